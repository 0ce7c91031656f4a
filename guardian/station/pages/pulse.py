"""What keeps every open page fresh: at once when something has changed, and once a second anyway, with the beat that says so.

The beat goes the same way as everything else, so a page that hears it sees what there is; without it the page says that it is blind.
"""

import asyncio
import contextlib
import json
import logging
from typing import Literal

from nicegui import Client, app

from guardian.station.live import LOOK, Picture
from guardian.station.pages.viewer import Parts, Viewer

log = logging.getLogger(__name__)

BEAT_S = 1.0
AGAIN_S = 5.0  # between two looks at whether somebody may still see what they see

Sound = Literal["alarm", "look"]


class Pulse:
    """All open pages."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._viewers: set[Viewer] = set()
        app.on_startup(self._run)

    def join(self, viewer: Viewer) -> None:
        """Keep this page fresh for as long as it is there."""
        self._viewers.add(viewer)
        viewer.client.on_delete(lambda: self._viewers.discard(viewer))

    async def _run(self) -> None:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:  # in Live's thread
            loop.call_soon_threadsafe(changed.set)

        end = self._parts.live.on_change(wake)
        app.on_shutdown(end)
        again_at = loop.time() + AGAIN_S
        asking = asyncio.ensure_future(self._all_allowed([]))
        while not app.is_stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), BEAT_S)
            changed.clear()
            if loop.time() >= again_at and asking.done():  # beside the beat: a slow database must not silence it
                again_at = loop.time() + AGAIN_S
                asking = asyncio.ensure_future(self._all_allowed(list(self._viewers)))
            for viewer in list(self._viewers):
                if viewer.client.has_socket_connection:
                    _refresh(viewer)
                    await asyncio.sleep(0)  # the others' turn

    async def _all_allowed(self, viewers: list[Viewer]) -> None:
        for error in await asyncio.gather(*(self._still_allowed(viewer) for viewer in viewers), return_exceptions=True):
            if isinstance(error, BaseException):
                log.error("whether a login still stands could not be asked", exc_info=error)

    async def _still_allowed(self, viewer: Viewer) -> None:
        if not await viewer.again() and viewer.client.id in Client.instances:
            viewer.client.open("/login")


def _refresh(viewer: Viewer) -> None:
    """One page. Its beat comes last: a page whose refreshing fails goes blind, and says so."""
    try:
        with viewer.client:
            viewer.around()
            viewer.refresh()
        _beat(viewer)
    except Exception:  # one page's mistake must not stop the others'
        log.exception("a page of %s could not be refreshed", viewer.person.name)


def _beat(viewer: Viewer) -> None:
    pictures = viewer.pictures()
    for one in pictures:
        before = viewer.urgent.get(one.device)
        if before is not None and one.urgency <= LOOK and one.urgency < before:
            viewer.chimes += 1
    viewer.urgent = {one.device: one.urgency for one in pictures}
    viewer.looking &= {(one.device, one.status) for one in pictures}
    loud = [one for one in pictures if sound_of(viewer, one) is not None]
    sounds = {sound_of(viewer, one) for one in loud}
    names = ", ".join(one.name for one in loud[:3])
    said = {
        "sound": "alarm" if "alarm" in sounds else "look" if sounds else None,
        "title": viewer.say("page.title_alarm", names=names) if loud else viewer.say("page.title"),
        "chimes": viewer.chimes,
    }
    viewer.client.run_javascript(f"window.station?.beat({json.dumps(said)})")


def sound_of(viewer: Viewer, picture: Picture) -> Sound | None:
    """What a wearer makes this page sound like, until somebody acknowledges; where nothing can be acknowledged, until somebody looks."""
    if picture.urgency > 1 or (picture.device, picture.status) in viewer.looking:
        return None
    return "alarm" if picture.urgency == 0 else "look"
