"""An SD card that hangs for a while, on simulated time, and the writers in front of it.

Theory of operation. A real device's writers have a thread each (guardian/outputs/writer.py): while the card hangs, their jobs queue up, the
loop waits for one as long as it was told to and goes on. Here a job runs at once while the card is well; while it hangs jobs queue, up
to the same depth, whoever waits lets simulated time pass, and when the card is back all run in their order.
"""

from collections import deque

from guardian.config import ns
from guardian.outputs.writer import InlineWriter, Job
from guardian.sim.clock import SimClock


class Card:
    """The card; `writer` makes what writes to it."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.well_ns = 0  # it hangs until then
        self._writers: list[CardWriter] = []

    def writer(self, name: str, depth: int) -> "CardWriter":
        """A writer of the program now running."""
        self._writers.append(CardWriter(self, name, depth))
        return self._writers[-1]

    def hang(self, duration_s: float) -> None:
        """Nothing that is written comes to an end for so long."""
        self.well_ns = max(self.well_ns, self.clock.now_ns() + ns(duration_s))
        self.clock.schedule(self.well_ns, self._work)

    def forget(self) -> None:
        """The program is gone, and what it had queued."""
        for writer in self._writers:
            writer.abandon()
        self._writers.clear()

    def _work(self) -> None:
        if self.clock.now_ns() >= self.well_ns:
            for writer in self._writers:
                writer.work()


class _Ticket:
    """A job that waits for the card, and whether it has run well."""

    def __init__(self, job: Job, asked_ns: int) -> None:
        self.job, self.asked_ns, self.well = job, asked_ns, False


class CardWriter:
    """See guardian.outputs.writer.Writer."""

    def __init__(self, card: Card, name: str, depth: int) -> None:
        self.name = name
        self.dropped = 0
        self._card, self._depth = card, depth
        self._pen = InlineWriter(name)
        self._queue: deque[_Ticket] = deque()
        self._closed = False

    @property
    def failure(self) -> str:
        """What the last job raised."""
        return self._pen.failure

    def submit(self, job: Job, wait_s: float = 0.0) -> bool:
        """Hand over a job and wait at most `wait_s` for it."""
        clock, now_ns = self._card.clock, self._card.clock.now_ns()
        if self._closed or len(self._queue) > self._depth:
            self.dropped += 1
            return False
        if now_ns >= self._card.well_ns:
            return self._pen.submit(job)
        ticket = _Ticket(job, now_ns)
        self._queue.append(ticket)
        if wait_s:
            clock.wait_until(min(now_ns + ns(wait_s), self._card.well_ns))
        return ticket.well

    def work(self) -> None:
        """The card is well: what has waited is written."""
        while self._queue:
            ticket = self._queue.popleft()
            ticket.well = self._pen.submit(ticket.job)

    def stalled_s(self, now_ns: int) -> float:
        """For how long the first in the queue has been under way, s."""
        return max(0, now_ns - self._queue[0].asked_ns) / 1e9 if self._queue else 0.0

    def close(self, limit_s: float = 5.0) -> bool:
        """Write what is queued, waiting at most `limit_s`."""
        if self._queue:
            self._card.clock.wait_until(min(self._card.clock.now_ns() + ns(limit_s), self._card.well_ns))
        self._closed = True
        return not self._queue

    def abandon(self) -> None:
        """Its program is gone."""
        self._closed = True
        self._queue.clear()
