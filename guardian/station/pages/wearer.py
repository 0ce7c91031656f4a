"""One wearer: how they are now, what can be done, the space behind them, this session, and what happened."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct
from nicegui import background_tasks, ui

from guardian.station import words
from guardian.station.live import Picture
from guardian.station.pages import plots
from guardian.station.pages.alarm import AlarmCard, wants_card
from guardian.station.pages.feedback import Question, ask_about
from guardian.station.pages.marks import battery_of, contact_of, status_of, tone_of, warnings_of
from guardian.station.pages.messages import Messages
from guardian.station.pages.tags import Tag, button, choice, icon, link
from guardian.station.pages.viewer import Viewer
from guardian.station.store import Store
from guardian.station.tables import Event, Trace
from guardian.verdict import Obstacle

TRACE = timedelta(minutes=5)
MESSAGES = 20
LOAD_S = 2.0  # at most this often is the database asked for one page


class Past(Struct, frozen=True):
    """What the database says of one wearer."""

    events: list[Event]
    trace: list[Trace]
    session_at: datetime | None
    question: Event | None  # an alarm that is over, and nobody has said what it was


def past_of(store: Store, device: str, session: str | None, now: datetime) -> Past:
    """Read it."""
    events = store.events([device], limit=MESSAGES)
    started = store.event(session) if session else None
    return Past(events, store.trace(device, now - TRACE), started.at if started else None, ask_about(store, device, now))


class WearerPage:
    """The page /wearer/…"""

    def __init__(self, viewer: Viewer, picture: Picture) -> None:
        self._viewer, self._device = viewer, picture.device
        self._loaded_at: datetime | None = None
        self._loading = False
        self._past = Past([], [], None, None)
        self._card: AlarmCard | None = None
        say = viewer.say
        with Tag("div", "wearer") as self._root:
            with link("", "/", "back"):
                icon("arrow_back")
                Tag("span", text=say("page.back"))
            self._name = Tag("h1", "wearer-name", picture.name)
            self._alarm = Tag("div", "alarms")
            self._question = Question(viewer)
            with Tag("div", "two"):
                with Tag("div", "stack"):
                    self._now = Now(viewer)
                    self._controls = Controls(viewer, picture)
                with Tag("div", "stack"):
                    self._space = Space(viewer)
                    self._progress = Progress(viewer)
            with Tag("section", "card below"):
                with Tag("div", "row spread"):
                    Tag("h2", text=say("wearer.alerts"))
                    link(say("wearer.all_history"), f"/history?who={self._device}")
                self._messages = Messages(viewer, say("wearer.alerts_none"))
            self._sees = Tag("p", "soft small below")
        self.refresh()
        background_tasks.create(self._who_sees())

    def refresh(self) -> None:
        """Show what is so now; ask the database if it is time."""
        viewer, picture = self._viewer, self._viewer.picture(self._device)
        if picture is None:  # erased, or the right to see was taken away
            viewer.client.open("/")
            return
        self._name.say(picture.name)
        self._name.show(not wants_card(picture))  # the card says it, larger
        self._show_alarm(picture)
        self._now.update(picture)
        self._controls.update(picture)
        self._progress.update(picture, self._past.session_at)
        due = self._loaded_at is None or (viewer.now - self._loaded_at).total_seconds() >= LOAD_S
        if due and not self._loading:
            background_tasks.create(self._load(picture))

    def _show_alarm(self, picture: Picture) -> None:
        if not wants_card(picture):
            if self._card is not None:
                self._card.remove()
                self._card = None
        elif self._card is not None:
            self._card.update(picture)
        else:
            with self._alarm:
                self._card = AlarmCard(self._viewer, picture, own_page=True)

    async def _load(self, picture: Picture) -> None:
        self._loading = True
        try:
            session = picture.state.session if picture.state and picture.in_session else None
            store, now = self._viewer.parts.store, self._viewer.now
            past = await self._viewer.read(lambda: past_of(store, self._device, session, now)) or self._past
            if self._root.is_deleted:
                return
            self._past, self._loaded_at = past, now
            self._messages.update(past.events)
            self._space.update(past.trace, now)
            self._progress.update(picture, past.session_at)
            self._question.update(past.question)
        finally:
            self._loading = False

    async def _who_sees(self) -> None:
        people = await self._viewer.read(self._viewer.parts.accounts.people) or []
        names = ", ".join(person.name for person in people if person.may_see(self._device))
        days = f"{self._viewer.parts.settings.station.keep_days:g}"
        if not self._root.is_deleted:
            self._sees.say(f"{self._viewer.say('wearer.who_sees', names=names)} {self._viewer.say('wearer.kept', days=days)}")


class Now:
    """The big state, and what else is known."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._told: list[str] = []
        with Tag("section", "card now", aria_label=viewer.say("wearer.now")) as self._card:
            with Tag("div", "top"):
                self._sign = Tag("span", "disc", aria_hidden="true")
                with Tag("div"):
                    self._status = Tag("p", "status", aria_live="polite")
                    self._exercise = Tag("p", "soft")
            self._old = Tag("p", "old")
            self._facts = Tag("div", "facts")
            self._faults = Tag("ul", "faults", aria_label=viewer.say("wearer.faults"))
            self._software = Tag("p", "soft small")

    def update(self, picture: Picture) -> None:
        """Show this now."""
        viewer, state = self._viewer, picture.state
        live = picture.contact in ("live", "stale")
        self._card.wear("tone", tone_of(picture))
        how = status_of(self._viewer, picture)
        self._sign.put(data_sign=how.sign)
        self._status.say(how.text)
        self._exercise.say(words.exercise(state.exercise, viewer.language) if state else "")
        self._old.say("" if live or state is None else viewer.say("wearer.old", ago=viewer.ago(picture.heard_at)))
        self._old.show(not live and state is not None)
        notes = [contact_of(viewer, picture), *warnings_of(viewer, picture)]
        facts = [(note.sign, note.text) for note in notes]
        if state is not None:
            obstacle = viewer.say(f"obstacle.{state.obstacle if live else Obstacle.UNKNOWN}")
            metres = f" ({viewer.say('unit.metres', value=f'{state.distance_m:.1f}')})" if live and state.distance_m is not None else ""
            facts += [("sensors", obstacle + metres), (battery_of(viewer, picture).sign, battery_of(viewer, picture).text)]
        if picture.session_today is False:
            facts.append(("event_busy", viewer.say("note.no_session_today")))
        faults = [words.fault(name, viewer.language) for name in state.faults] if state and live else []
        if [*map(str, facts), *faults] != self._told:
            self._told = [*map(str, facts), *faults]
            self._facts.clear()
            with self._facts:
                for sign, text in facts:
                    Tag("span", text=text, data_sign=sign)
            self._faults.clear()
            self._faults.show(bool(faults))
            with self._faults:
                for text in faults:
                    Tag("li", text=text, data_sign="build")
        self._software.say(viewer.say("wearer.device", id=picture.device, sw=state.sw if state else viewer.say("unit.none")))


class Controls:
    """What a caregiver can say to the device."""

    def __init__(self, viewer: Viewer, picture: Picture) -> None:
        self._viewer, self._picture = viewer, picture
        say, device, command = viewer.say, picture.device, viewer.parts.command
        options = {key.partition(".")[2]: say(key) for key in words.WORDS if key.startswith("exercise.")}
        now = picture.state.exercise if picture.state else next(iter(options))
        options.setdefault(now, words.exercise(now, viewer.language))
        with Tag("section", "card stack"):
            Tag("h2", text=say("command.title"))
            self._clear = button(say("command.clear"), "button", self._ask, "task_alt")
            self._exercise = choice(say("command.exercise"), options, now, self._change)
            with Tag("div", "row even"):
                button(say("command.locate"), "button", lambda: viewer.command(device, lambda: command.locate(device)), "volume_up",
                       title=say("command.locate_why"))  # fmt: skip
                button(say("command.test"), "button", lambda: viewer.command(device, lambda: command.test(device)), "send",
                       title=say("command.test_why"))  # fmt: skip
        with ui.dialog() as self._dialog, Tag("div", "card stack", role="alertdialog"):
            self._title = Tag("h2")
            self._why = Tag("p")
            with Tag("div", "row even"):
                button(say("command.cancel"), "button", self._dialog.close)
                button(say("command.clear_yes"), "button strong", self._clear_it, "task_alt")
        self.update(picture)

    def update(self, picture: Picture) -> None:
        """Show this now."""
        self._picture = picture
        self._clear.show(picture.alarm is not None)
        if picture.state is not None:
            for option in self._exercise.default_slot.children:
                option.put(selected=True if option.props["value"] == picture.state.exercise else None)  # type: ignore[attr-defined]
        self._title.say(self._viewer.say("command.clear_ask", name=picture.name))
        self._why.say(self._viewer.say("command.clear_why", name=picture.name))

    def _ask(self) -> None:
        self._asked = self._picture.alarm.id if self._picture.alarm else None  # this alarm, not one that begins while the question stands
        self._dialog.open()

    async def _clear_it(self) -> None:
        self._dialog.close()
        device, alarm_id, command = self._picture.device, self._asked, self._viewer.parts.command
        if alarm_id is not None:
            await self._viewer.command(device, lambda: command.clear(device, alarm_id))

    async def _change(self, exercise: str) -> None:
        device, command = self._picture.device, self._viewer.parts.command
        await self._viewer.command(device, lambda: command.exercise(device, exercise))


class Space:
    """The distance trace, drawn and said."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._drawn: object = None
        with Tag("section", "card stack"):
            Tag("h2", text=viewer.say("wearer.distance"))
            with Tag("figure"):
                self._chart = ui.echart(plots.distance(viewer, [], viewer.now - TRACE, viewer.now), renderer="svg").classes("chart")
                self._chart.props["aria-hidden"] = "true"
                self._said = Tag("figcaption", "soft small")

    def update(self, trace: list[Trace], now: datetime) -> None:
        """Show these points."""
        viewer = self._viewer
        measured = [point.distance_m for point in trace if point.distance_m is not None]
        last = trace[-1].distance_m if trace else None
        self._said.say(
            viewer.say("wearer.distance_sum", nearest=metres(viewer, min(measured)), now=metres(viewer, last))
            if measured
            else viewer.say("wearer.distance_none")
        )
        drawn = plots.distance(viewer, trace, now - TRACE, now)
        self._chart.options.clear()
        self._chart.options.update(drawn)
        self._chart.update()


class Progress:
    """How far this session has come."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        say = viewer.say
        with Tag("section", "card stack"):
            Tag("h2", text=say("wearer.progress"))
            self._none = Tag("p", "soft", say("wearer.progress_none"))
            with Tag("div", "figures") as self._figures:
                self._steps, self._cadence, self._duration = (
                    figure(say(key)) for key in ("wearer.steps", "wearer.cadence", "wearer.duration")
                )
            self._dose = Tag("p", "soft small")

    def update(self, picture: Picture, session_at: datetime | None) -> None:
        """Show this now."""
        viewer, state = self._viewer, picture.state
        running = bool(picture.in_session) and state is not None
        self._none.show(not running)
        self._figures.show(running)
        dose = f"dose.{state.exercise}" if state else ""
        self._dose.show(running and words.known(dose))
        if running and state is not None:
            self._steps.say(str(state.steps))
            self._cadence.say(f"{state.cadence:.0f}" if picture.contact == "live" else viewer.say("unit.none"))
            spent = words.duration((viewer.now - session_at).total_seconds(), viewer.language) if session_at else viewer.say("unit.none")
            self._duration.say(spent)
            if words.known(dose):
                self._dose.say(viewer.say("wearer.dose", dose=viewer.say(dose)))


def figure(label: str) -> Tag:
    """A number with its name."""
    with Tag("div", "figure"):
        number = Tag("b")
        Tag("span", text=label)
    return number


def metres(viewer: Viewer, distance_m: float | None) -> str:
    """A distance in words."""
    return viewer.say("unit.none") if distance_m is None else viewer.say("unit.metres", value=f"{distance_m:.1f}")


def show(viewer: Viewer, device: str) -> Callable[[], None]:
    """Build the page; what comes back keeps it fresh."""
    picture = viewer.picture(device)
    if picture is None:
        Tag("h1", text=viewer.say("page.no_access"))
        link(viewer.say("page.back"), "/", "back")
        return lambda: None
    return WearerPage(viewer, picture).refresh
