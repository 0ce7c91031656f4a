"""systemd's watchdog: fed from the page's own loop, and only while every part works, so that nothing hangs unseen.

A station whose page loads but whose intake is dead looks well and calls nobody. systemd kills and restarts the whole program then; the
database brings back what was under way.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

import uvicorn

log = logging.getLogger(__name__)

UP_S = 0.05  # between two looks whether the page is up


async def feed(server: uvicorn.Server, works: Mapping[str, Callable[[], bool]], environ: Mapping[str, str] = os.environ) -> None:
    """READY once the page is up, WATCHDOG at most every third of WATCHDOG_USEC, until cancelled. Without NOTIFY_SOCKET it does nothing.

    `works`: for each part, by name, whether it does; asked in the page's loop, so it must answer at once.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    period_s = int(environ.get("WATCHDOG_USEC", "30000000")) / 3e6
    while not server.started:
        await asyncio.sleep(UP_S)
    sd_notify(address, "READY=1")
    try:
        while True:
            broken = [name for name, does in works.items() if not does()]
            if broken:
                log.error("%s does not work any more: systemd will restart the station", ", ".join(broken))
            elif "WATCHDOG_USEC" in environ:
                sd_notify(address, "WATCHDOG=1")
            await asyncio.sleep(period_s)
    finally:
        sd_notify(address, "STOPPING=1")


def sd_notify(address: str, message: str) -> None:
    """Send one message to systemd (sd_notify(3)); an address that begins with @ is in the abstract namespace. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.setblocking(False)
        link.sendto(message.encode(), "\0" + address[1:] if address.startswith("@") else address)
