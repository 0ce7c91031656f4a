"""What happened, to whom and when: messages to be searched, and sessions to be looked at."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct
from nicegui import background_tasks

from guardian.contract import EVENTS
from guardian.station import words
from guardian.station.pages.messages import Messages, evidence_of
from guardian.station.pages.tags import Tag, choice, link, search
from guardian.station.pages.viewer import Viewer
from guardian.station.store import SessionRow, Store
from guardian.station.tables import Event
from guardian.station.words import Language

MOST = 200
SESSIONS = 30
PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


class Question(Struct, frozen=True):
    """What somebody looks for. `devices` None: of all. Empty texts ask for everything."""

    devices: frozenset[str] | None
    since: datetime
    text: str = ""
    event_type: str = ""
    severity: str = ""


def found(store: Store, question: Question, names: dict[str, str], language: Language) -> list[Event]:
    """Newest first. A word is looked for as the reader sees it: in names and in the texts of this language too."""
    text, event_types = question.text.strip().casefold(), [question.event_type] if question.event_type else []
    severities = [question.severity] if question.severity else []
    ask: dict[str, object] = {"since": question.since, "severities": severities, "limit": MOST}
    rows = {one.id: one for one in store.events(question.devices, event_types=event_types, text=question.text.strip(), **ask)}  # type: ignore[arg-type]
    if text:
        such = [one for one in event_types or EVENTS if text in words.event(one, language).casefold()]
        if such:
            rows |= {one.id: one for one in store.events(question.devices, event_types=such, **ask)}  # type: ignore[arg-type]
        called = [device for device, name in names.items() if text in name.casefold()]
        wanted = [device for device in called if question.devices is None or device in question.devices]
        if wanted:
            rows |= {one.id: one for one in store.events(wanted, event_types=event_types, **ask)}  # type: ignore[arg-type]
    return sorted(rows.values(), key=lambda one: (one.at, one.boot, one.seq), reverse=True)[:MOST]


class History:
    """The page /history."""

    def __init__(self, viewer: Viewer, who: str) -> None:
        self._viewer = viewer
        self._names = viewer.names()
        self._who = who if who in self._names else ""
        self._text, self._type, self._severity, self._period = "", "", "", "week"
        self._asked = 0
        say, anyone = viewer.say, {"": viewer.say("history.any")}
        with Tag("div", "summary"):
            Tag("h1", text=say("history.title"))
        with Tag("div", "find many") as self._root:
            search(say("history.search"), lambda text: self._set("_text", text))
            if len(self._names) > 1:
                choice(say("history.who"), {**anyone, **self._names}, self._who, lambda one: self._set("_who", one))
            types = {one: words.event(one, viewer.language) for one in EVENTS}
            choice(say("history.type"), {**anyone, **types}, "", lambda one: self._set("_type", one))
            severities = {one: say(f"severity.{one}") for one in ("critical", "warning", "info")}
            choice(say("history.severity"), {**anyone, **severities}, "", lambda one: self._set("_severity", one))
            periods = {one: say(f"history.{one}") for one in PERIODS}
            choice(say("history.period"), periods, self._period, lambda one: self._set("_period", one))
        with Tag("div", "two"):
            with Tag("section", "card stack"):
                Tag("h2", text=say("history.events"))
                self._count = Tag("p", "soft small", aria_live="polite")
                self._messages = Messages(viewer, say("history.none"), names=True)
            with Tag("section", "card stack"):
                Tag("h2", text=say("history.sessions"))
                self._none = Tag("p", "soft", say("history.no_sessions"), hidden=True)
                self._sessions = Tag("ul", "messages")
        self._ask()

    def _set(self, name: str, value: str) -> None:
        setattr(self, name, value)
        self._ask()

    def _ask(self) -> None:
        self._asked += 1
        background_tasks.create(self._load(self._asked))

    async def _load(self, asked: int) -> None:
        viewer, store = self._viewer, self._viewer.parts.store
        mine = frozenset(self._names)  # what this person sees, and nothing else
        devices = frozenset({self._who}) if self._who else mine
        question = Question(devices, viewer.now - PERIODS[self._period], self._text, self._type, self._severity)
        events = await viewer.read(lambda: found(store, question, self._names, viewer.language)) or []
        rows = await viewer.read(lambda: sessions_of(store, devices, question.since)) or []
        if asked != self._asked or self._root.is_deleted:
            return  # somebody has typed on
        self._messages.update(events)
        self._count.say(viewer.say("history.first", count=MOST) if len(events) == MOST else "")
        self._none.show(not rows)
        self._sessions.clear()
        with self._sessions:
            for row in rows:
                self._line(row)

    def _line(self, row: SessionRow) -> None:
        viewer, started = self._viewer, row.started
        with Tag("li", "tone-quiet"):
            Tag("span", "disc", aria_hidden="true", data_sign="fitness_center" if row.ended else "play_arrow")
            with Tag("div"):
                link(self._names.get(started.device, started.device), f"/session/{started.device}/{started.id}", "whose",
                     aria_label=viewer.say("session.open", when=viewer.at(started.at)))  # fmt: skip
                Tag("p", "what", session_line(viewer, row))
                Tag("p", "when", viewer.at(started.at))


def sessions_of(store: Store, devices: frozenset[str], since: datetime) -> list[SessionRow]:
    """The newest sessions of these wearers."""
    started = store.events(devices, since=since, event_types=["session_started"], limit=SESSIONS)
    rows = [row for device in {one.device for one in started} for row in store.sessions(device, since, SESSIONS)]
    return sorted(rows, key=lambda row: row.started.at, reverse=True)[:SESSIONS]


def session_line(viewer: Viewer, row: SessionRow) -> str:
    """A session in one line."""
    exercise = words.exercise(row.started.exercise, viewer.language)
    if row.ended is None:
        return f"{exercise}, {viewer.say('session.running')}"
    spent = words.duration((row.ended.at - row.started.at).total_seconds(), viewer.language)
    return viewer.say("session.line", exercise=exercise, duration=spent, steps=steps_of(row))


def steps_of(row: SessionRow) -> str:
    """The steps that the device counted, as it told them at the end."""
    return str(evidence_of(row.ended).get("steps", "?")) if row.ended else "?"


def show(viewer: Viewer, who: str = "") -> Callable[[], None]:
    """Build the page."""
    History(viewer, who)
    return lambda: None
