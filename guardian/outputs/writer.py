"""Writing to a card that stalls for seconds, without the loop waiting for it.

Theory of operation. A writer runs jobs one at a time, in the order they were given, so that what was handed over first is on disk first.
ThreadWriter has one thread and a bounded queue: a job given to a full queue is dropped and counted, because a loop that waits for a hung
card guards nobody. The loop may wait a bounded time for one job (an alarm is on disk before it sounds). A job that raises ends only
itself; what it said is remembered until a later job succeeds. InlineWriter has the same face and runs each job at once: simulation and
replay have one thread.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)

Job = Callable[[], object]  # what it returns is not looked at


class Writer(Protocol):
    """Runs jobs in order."""

    name: str
    dropped: int  # jobs refused because the queue was full, or the writer closed
    failure: str  # what the last job raised; "" when it succeeded

    def submit(self, job: Job, wait_s: float = 0.0) -> bool:
        """Hand over a job and wait at most `wait_s` for it. True: it has run, and did not raise."""
        ...

    def stalled_s(self, now_ns: int) -> float:
        """For how long the job now running has been running, s (0: idle); `now_ns` is of CLOCK_MONOTONIC."""
        ...

    def close(self, limit_s: float = 5.0) -> bool:
        """Run what is queued, waiting at most `limit_s`; later jobs are dropped. True: all has run."""
        ...


class InlineWriter:
    """Runs each job at once, in the caller's thread."""

    def __init__(self, name: str = "writer") -> None:
        self.name = name
        self.dropped = 0
        self.failure = ""
        self._closed = False

    def submit(self, job: Job, wait_s: float = 0.0) -> bool:
        """Run it. False: it raised, or the writer is closed."""
        if self._closed:
            self.dropped += 1
            return False
        self.failure = _run(self.name, job, self.failure)
        return not self.failure

    def stalled_s(self, now_ns: int) -> float:
        """Nothing is ever under way."""
        return 0.0

    def close(self, limit_s: float = 5.0) -> bool:
        """Nothing is ever queued."""
        self._closed = True
        return True


class _Ticket:
    """A job in the queue, and whether it has run."""

    __slots__ = ("done", "job", "well")

    def __init__(self, job: Job, watched: bool) -> None:
        self.job = job
        self.done = threading.Event() if watched else None
        self.well = False


class ThreadWriter:
    """One thread, `depth` jobs waiting at most."""

    def __init__(self, name: str, depth: int = 64) -> None:
        self.name = name
        self.dropped = 0
        self.failure = ""
        self._depth = depth
        self._queue: deque[_Ticket] = deque()
        self._turn = threading.Condition()  # guards the queue, the counters and the flags below
        self._running_since_ns = 0  # 0: idle
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"{name}-writer", daemon=True)  # a hung card must not hold the exit
        self._thread.start()

    def submit(self, job: Job, wait_s: float = 0.0) -> bool:
        """Queue it, and wait for it if asked."""
        ticket = _Ticket(job, watched=wait_s > 0)
        with self._turn:
            if self._closing or len(self._queue) >= self._depth:
                self.dropped += 1
                return False
            self._queue.append(ticket)
            self._turn.notify()
        return ticket.done is not None and ticket.done.wait(wait_s) and ticket.well

    def stalled_s(self, now_ns: int) -> float:
        """Age of the job under way."""
        since_ns = self._running_since_ns
        return max(0, now_ns - since_ns) / 1e9 if since_ns else 0.0

    def close(self, limit_s: float = 5.0) -> bool:
        """Drain, within the limit."""
        with self._turn:
            self._closing = True
            self._turn.notify()
        self._thread.join(limit_s)
        if self._thread.is_alive():
            log.error("%s: the disk did not take %d jobs within %.1f s", self.name, len(self._queue) + 1, limit_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._turn:
                while not self._queue and not self._closing:
                    self._turn.wait()
                if not self._queue:
                    return
                ticket = self._queue.popleft()
                self._running_since_ns = time.monotonic_ns()
            self.failure = _run(self.name, ticket.job, self.failure)
            ticket.well = not self.failure
            self._running_since_ns = 0
            if ticket.done is not None:
                ticket.done.set()


def _run(name: str, job: Job, before: str) -> str:
    """Run it; what it raised, or "". The same failure again is not logged again."""
    try:
        job()
    except Exception as error:  # one bad job must not end the writing of all others
        failure = f"{type(error).__name__}: {error}"
        if failure != before:
            log.error("%s: a write failed", name, exc_info=error)
        return failure
    return ""
