"""systemd's watchdog: fed while the loop turns and every worker makes progress, so that nothing hangs unseen.

A device whose loop lives but whose alarms are stuck behind a hung thread looks well and is not. So the loop feeds the dog, and only while
no worker is stalled; systemd then kills and restarts the whole program, and journal and outbox bring everything back.
"""

import logging
import os
import socket
from collections.abc import Callable, Mapping

from guardian import config
from guardian.frame import Fault, Frame
from guardian.verdict import Verdict

log = logging.getLogger(__name__)


def sd_notify(address: str, message: str) -> None:
    """Send one message to systemd (sd_notify(3)); an address that begins with @ is in the abstract namespace. Raises OSError."""
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.setblocking(False)
        link.sendto(message.encode(), address)


class Watchdog:
    """READY at the first tick, WATCHDOG at most every third of WATCHDOG_USEC, STOPPING at the end. Without NOTIFY_SOCKET it does nothing.

    `stalled`: for each worker, by name, for how many seconds it has had work and made no progress, at a given t_ns (Writer.stalled_s).
    """

    name = "watchdog"

    def __init__(
        self, config_: config.Watchdog, stalled: Mapping[str, Callable[[int], float]], environ: Mapping[str, str] = os.environ
    ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watched = "WATCHDOG_USEC" in environ
        self._period_ns = int(environ.get("WATCHDOG_USEC", "3000000")) * 1000 // 3
        self._limit_s = config_.worker_stall_s
        self._stalled = stalled
        self._next_ns: int | None = None
        self._ready = False
        self._hung: str | None = None

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Feed systemd when it is due and deserved."""
        if not self._address or (self._next_ns is not None and frame.t_ns < self._next_ns):
            return
        self._next_ns = frame.t_ns + self._period_ns
        if not self._ready:
            sd_notify(self._address, "READY=1")
            self._ready = True
        if self._watched:
            self._look(frame.t_ns)
            if self._hung is None:
                sd_notify(self._address, "WATCHDOG=1")

    def _look(self, t_ns: int) -> None:
        hung = next((name for name, seconds in self._stalled.items() if seconds(t_ns) > self._limit_s), None)
        if hung != self._hung and hung is not None:
            log.error("%s has made no progress for %.0f s: systemd will restart the program", hung, self._limit_s)
            sd_notify(self._address, f"STATUS={hung} hangs: waiting for the restart")
        elif hung != self._hung:
            sd_notify(self._address, "STATUS=")
        self._hung = hung

    def faults(self) -> tuple[Fault, ...]:
        """A hung worker."""
        return () if self._hung is None else (Fault("output_failed", f"{self._hung}: hangs"),)

    def close(self) -> None:
        """Tell systemd that this end is meant."""
        if self._address:
            sd_notify(self._address, "STOPPING=1")
