"""A thread that works round by round until the station ends, and can be asked whether it still goes round (watchdog.py asks)."""

import threading
import time
from collections.abc import Callable

ROUND_S = 60.0  # no round takes so long: a database that is down raises before (station.busy_s; tables.PATIENCE), and that is not a hang


class Loop(threading.Thread):
    """Calls `work` once, which says turned() in each round. `pause_s`: how long it may rest between two."""

    def __init__(self, name: str, work: Callable[[], None], pause_s: float = 0.0) -> None:
        super().__init__(target=work, name=name, daemon=True)
        self._limit_s = ROUND_S + pause_s
        self._turned_s = time.monotonic()

    def turned(self) -> None:
        """It goes on: at each round, and within one that is long because there is much to do."""
        self._turned_s = time.monotonic()

    def works(self) -> bool:
        """Whether it runs and has turned lately. Answers at once."""
        return self.is_alive() and time.monotonic() - self._turned_s < self._limit_s
