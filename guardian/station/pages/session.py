"""One session: the space behind, steps, and what happened in it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct
from nicegui import background_tasks, ui

from guardian.station import words
from guardian.station.pages import plots
from guardian.station.pages.history import session_line
from guardian.station.pages.messages import Messages
from guardian.station.pages.tags import Tag, icon, link
from guardian.station.pages.viewer import Viewer
from guardian.station.pages.wearer import metres
from guardian.station.store import SessionRow, Store
from guardian.station.tables import Event, Trace

LONGEST = timedelta(hours=12)  # of a session whose end never came
MOST = 200


class Told(Struct, frozen=True):
    """A session with all that is kept of it."""

    row: SessionRow
    until: datetime
    trace: list[Trace]
    events: list[Event]


def told_of(store: Store, device: str, session_id: str, now: datetime) -> Told | None:
    """Read it; None where this wearer has no such session."""
    started = store.event(session_id)
    if started is None or started.device != device or started.event_type != "session_started":
        return None
    rows = store.sessions(device, started.at, limit=100)
    row = next((one for one in rows if one.started.id == session_id), SessionRow(started, None))
    until = row.ended.at if row.ended else min(now, started.at + LONGEST)
    events = store.events([device], started.at, until + timedelta(seconds=1), limit=MOST)
    return Told(row, until, store.trace(device, started.at, until), events)


def show(viewer: Viewer, device: str, session_id: str) -> Callable[[], None]:
    """Build the page."""
    with Tag("div", "session") as place, link("", f"/history?who={device}", "back"):
        icon("arrow_back")
        Tag("span", text=viewer.say("page.history"))
    background_tasks.create(_load(viewer, place, device, session_id))
    return lambda: None


async def _load(viewer: Viewer, place: Tag, device: str, session_id: str) -> None:
    picture, store = viewer.picture(device), viewer.parts.store
    told = await viewer.read(lambda: told_of(store, device, session_id, viewer.now)) if picture else None
    if place.is_deleted:
        return
    with place:
        if told is None or picture is None:
            Tag("h1", text=viewer.say("page.no_access"))
            return
        began = told.row.started.at
        with Tag("div", "summary"):
            Tag("h1", text=viewer.say("session.title", name=picture.name, when=viewer.at(began)))
            Tag("p", "soft", session_line(viewer, told.row))
        if told.trace:
            _plots(viewer, told)
        else:
            Tag("p", "card soft", viewer.say("session.no_trace"))
        with Tag("section", "card below"):
            Tag("h2", text=viewer.say("history.events"))
            Messages(viewer, viewer.say("wearer.alerts_none")).update(told.events)


def _plots(viewer: Viewer, told: Told) -> None:
    began = told.row.started.at
    measured = [point.distance_m for point in told.trace if point.distance_m is not None]
    spent = words.duration((told.until - began).total_seconds(), viewer.language)
    said = viewer.say("session.sum", steps=max(point.steps for point in told.trace), duration=spent,
                      nearest=metres(viewer, min(measured, default=None)), alerts=len(told.events))  # fmt: skip
    for title, options in (
        ("plot.distance", plots.distance(viewer, told.trace, began, told.until)),
        ("plot.cadence", plots.session(viewer, told.trace, began, told.until)),
    ):
        with Tag("section", "card stack below"):
            Tag("h2", text=viewer.say(title))
            with Tag("figure"):
                ui.echart(options, renderer="svg").classes("chart tall").props["aria-hidden"] = "true"
                if title == "plot.distance":
                    Tag("figcaption", "soft small", said)
