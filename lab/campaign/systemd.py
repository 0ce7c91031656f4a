"""What systemd does for the device (systemd/guardian.service), on simulated time: it listens for the watchdog's word, and kills.

Theory of operation. The program tells a socket that it is ready and that it lives, as the real one does; each such word puts off the kill
by WATCHDOG_S. A kill is an exception that no program catches, raised where the program waits: nothing of it runs any more. What follows
is the unit's: ExecStopPost silences the pins, RestartSec passes, Python starts.
"""

import contextlib
import os
import socket
from functools import partial
from pathlib import Path
from types import TracebackType

from guardian.config import ns
from guardian.sim.clock import SimClock

WATCHDOG_S = 2.0  # WatchdogSec
SILENCE_S = 0.5  # ExecStopPost: a Python that imports gpiozero alone
RESTART_S = 1.5  # RestartSec 0.5, and Python's start


class Killed(BaseException):
    """The program ends here, without a word."""


class Supervisor:
    """Systemd, while in `with`: the environment names its socket."""

    def __init__(self, clock: SimClock, folder: Path) -> None:
        self._clock = clock
        self._place = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._fed_ns: int | None = None

    def __enter__(self) -> "Supervisor":
        self._socket.bind(str(self._place))
        self._socket.setblocking(False)
        os.environ |= {"NOTIFY_SOCKET": str(self._place), "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            os.environ.pop(name, None)
        self._socket.close()

    def listen(self) -> None:
        """Hear what the program has said."""
        with contextlib.suppress(BlockingIOError):
            while True:
                words = self._socket.recv(4096).split(b"\n")
                if b"STOPPING=1" in words:
                    self._fed_ns = None
                elif b"READY=1" in words or b"WATCHDOG=1" in words:
                    self._fed_ns = self._clock.now_ns()
                    self._clock.schedule(self._fed_ns + ns(WATCHDOG_S), partial(self._bite, self._fed_ns))

    def buried(self) -> None:
        """The program is gone."""
        self.listen()
        self._fed_ns = None

    def _bite(self, fed_ns: int) -> None:
        if self._fed_ns == fed_ns:
            raise Killed("the watchdog was not fed")
