"""Simulated time: it stands still until somebody waits, then passes in steps from one scheduled event to the next.

Theory of operation. Nothing happens between two events, so `wait_until` runs all that is due in order of time (and, at the same
time, in order of scheduling), each with the clock set to its own time, and then sets the clock to the time waited for. One thread,
no wall clock: a simulated hour is the same hour each time. With `pace` (1.0 = real time) a wait ends no earlier than the wall clock
allows, for somebody watching.
"""

import heapq
import time
from collections.abc import Callable

Action = Callable[[], None]


class SimClock:
    """Monotonic simulated time in ns, and what is going to happen."""

    def __init__(
        self,
        pace: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        wall_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._now_ns = 0
        self._late_until_ns = 0  # a stalled computer is not back before this
        self._events: list[tuple[int, int, Action]] = []
        self._scheduled = 0
        self._pace = pace
        self._sleep = sleep
        self._wall_ns = wall_ns
        self._wall_start_ns = wall_ns() if pace is not None else 0

    def now_ns(self) -> int:
        """Simulated nanoseconds since the start."""
        return self._now_ns

    def schedule(self, t_ns: int, action: Action) -> None:
        """Let `action` happen at `t_ns`, or, where that is past, as soon as time passes."""
        self._scheduled += 1
        heapq.heappush(self._events, (t_ns, self._scheduled, action))

    def stall(self, duration_ns: int) -> None:
        """The computer does nothing for this long: the wait under way, or else the next one, returns late. The world goes on."""
        self._late_until_ns = max(self._late_until_ns, self._now_ns + duration_ns)

    def resume(self) -> None:
        """What stalled is gone, killed: the stall is over."""
        self._late_until_ns = 0

    def wait_until(self, t_ns: int) -> None:
        """Let time pass to `t_ns` (or to the end of a stall); returns at once if it has passed."""
        events = self._events
        end_ns = max(t_ns, self._late_until_ns, self._now_ns)
        while events and events[0][0] <= end_ns:
            at_ns, _, action = heapq.heappop(events)
            self._now_ns = max(self._now_ns, at_ns)
            action()
            end_ns = max(end_ns, self._late_until_ns)
        self._now_ns = end_ns
        if self._pace is not None:
            left_s = self._now_ns / self._pace / 1e9 - (self._wall_ns() - self._wall_start_ns) / 1e9
            if left_s > 0:
                self._sleep(left_s)
