"""What day it is, and whether the machine knows.

A Pi has no clock that runs while it is off: until the network has set it, its time is a guess, and a wrong time on an alarm is worse than
none. systemd-timesyncd says so by a file; for other daemons the kernel's own flag is read (adjtimex(2), STA_UNSYNC), but never under a
system-call filter, where that call can be fatal (`ProtectClock=`, `SystemCallFilter=` without `SystemCallErrorNumber=`).
"""

import ctypes
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

SYNCED = Path("/run/systemd/timesync/synchronized")  # touched by systemd-timesyncd; /run is empty at each boot
TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronized"


def clock_synced() -> bool:
    """Whether somebody has set this machine's clock since it booted."""
    return SYNCED.exists() or (not _filtered() and _kernel_synced())


class WallClock:
    """UTC now; None until the clock has been set in this boot. Once set, it stays known: the crystal drifts seconds a day at worst."""

    def __init__(self, synced: Callable[[], bool] = clock_synced, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._synced = synced
        self._now = now
        self._known = False

    def __call__(self) -> datetime | None:
        """The time now."""
        if not self._known:
            self._known = self._synced()
        return self._now() if self._known else None


def _filtered() -> bool:
    """Whether seccomp filters this process's system calls, or might (proc(5): Seccomp: 2)."""
    try:
        return "\nSeccomp:\t0" not in Path("/proc/self/status").read_text()
    except OSError:
        return True


def _kernel_synced() -> bool:
    timex = ctypes.create_string_buffer(1024)  # struct timex is 208 bytes; modes = 0 changes nothing
    try:
        return 0 <= int(ctypes.CDLL(None).adjtimex(timex)) < TIME_ERROR
    except (OSError, AttributeError):
        return False
