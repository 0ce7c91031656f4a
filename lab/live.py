"""The bench's clock in real time: what is scheduled happens by itself, in a thread, as it does to a real computer.

Theory of operation. One thread sleeps until the next scheduled event and lets it happen, which on the pins is what lgpio's notify thread
is: an edge's callback comes when that thread gets to run, its time stamp is the event's own time, as the kernel's is. So a program with
threads of its own (gpiozero's) and one with a loop (ours) meet the same part on the same pins.
"""

import heapq
import threading
from collections.abc import Callable

from guardian.hardware import MonotonicClock
from guardian.sim.clock import Action, SimClock


class LiveClock(SimClock):
    """Nanoseconds since the start. Use it as a context: leaving it ends its thread, and what is still scheduled does not happen."""

    def __init__(self) -> None:
        super().__init__()
        self._real = MonotonicClock()
        self._began_ns = self._real.now_ns()
        self._turn = threading.Condition()
        self._ended = False
        self._event = threading.local()  # .t_ns: time of the event under way, in the thread that lets it happen
        self._thread = threading.Thread(target=self._live, name="world", daemon=True)

    def now_ns(self) -> int:
        """Real nanoseconds since the start; within an event, the event's own time."""
        t_ns: int | None = getattr(self._event, "t_ns", None)
        return self._real.now_ns() - self._began_ns if t_ns is None else t_ns

    def schedule(self, t_ns: int, action: Action) -> None:
        """Let `action` happen at `t_ns`, or now where that is past."""
        with self._turn:
            super().schedule(t_ns, action)
            self._turn.notify()

    def wait_until(self, t_ns: int) -> None:
        """Sleep until then."""
        self._real.wait_until(t_ns + self._began_ns)

    def wait_for(self, holds: Callable[[], bool], limit_s: float, every_s: float = 0.002) -> bool:
        """Look again and again whether it holds, at most so long."""
        until_ns = self.now_ns() + int(limit_s * 1e9)
        while not holds():
            if self.now_ns() > until_ns:
                return False
            self.wait_until(self.now_ns() + int(every_s * 1e9))
        return True

    def __enter__(self) -> "LiveClock":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._ended = True
            self._turn.notify()
        self._thread.join()

    def _live(self) -> None:
        while True:
            with self._turn:
                while not self._ended and not (self._events and self._events[0][0] <= self.now_ns()):
                    left_ns = self._events[0][0] - self.now_ns() if self._events else None
                    self._turn.wait(None if left_ns is None else max(0, left_ns) / 1e9)
                if self._ended:
                    return
                self._event.t_ns, _, action = heapq.heappop(self._events)
            try:
                action()
            finally:
                del self._event.t_ns
