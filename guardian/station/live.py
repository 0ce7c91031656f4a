"""What is so now, for every wearer: in contact or not, well or not, and how urgent.

Theory of operation. A Picture is a pure function of what is stored about a wearer and of the time: any station sees the same, and one
that was restarted sees it at once. Three truths everywhere: yes, no, don't know. A word that is too old is never shown as if it were so.

Live keeps the pictures of all wearers in one immutable Snapshot. A thread of its own makes them anew: at once for a device of which
something was stored here (touch), and all of them every page.refresh_s, because other stations store too and time alone changes
contact. Pages read `live.now` and compare its `version`; they never wait for the database.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from guardian.contract import Severity
from guardian.station.loop import Loop
from guardian.station.payloads import StatePayload, install_of, kept_state
from guardian.station.settings import Settings
from guardian.station.store import Known, Store
from guardian.station.tables import Event, Last
from guardian.verdict import State

log = logging.getLogger(__name__)

Contact = Literal["live", "stale", "lost", "switched_off", "never"]
Status = Literal[
    "fall", "long_lie", "sos", "fallen", "lost_alarm", "switched_off_alarm", "down", "imminent", "acknowledged", "lost", "stale",
    "not_guarding", "unknown", "settling", "walking", "guarding", "off", "switched_off", "never",
]  # fmt: skip

# status -> urgency: 0 needs help now, 1 may need it now, 2 somebody is on it, 3 look, 4 nothing is wrong, 5 nobody is there
URGENCY: dict[Status, int] = {
    "fall": 0, "long_lie": 0, "sos": 0, "fallen": 0, "lost_alarm": 0, "switched_off_alarm": 0,
    "down": 1, "imminent": 1,
    "acknowledged": 2,
    "lost": 3, "stale": 3, "not_guarding": 3, "unknown": 3,
    "settling": 4, "walking": 4, "guarding": 4, "off": 4,
    "switched_off": 5, "never": 5,
}  # fmt: skip
ALARMS: dict[str, Status] = {"fall": "fall", "long_lie": "long_lie", "sos": "sos"}
LOOK = 3  # faults, a weak battery, a wearer who is not upright: at least this urgent


class OpenAlarm(Struct, frozen=True):
    """An alarm that nobody has cleared. `since` None: its event has not come, so nobody knows."""

    id: str
    event_type: str | None  # the gravest that is known of it
    severity: Severity
    since: datetime | None
    acknowledged_by: str | None  # a user; "": somebody elsewhere, as the device tells
    acknowledged_at: datetime | None
    heard_at: datetime | None  # the device has said so: its wearer heard "help is coming"


class Picture(Struct, frozen=True):
    """One wearer now. What is None is not known."""

    device: str
    name: str
    status: Status
    urgency: int  # URGENCY, and at most LOOK where there is something to look at
    contact: Contact
    heard_at: datetime | None  # the last word spoken while a station listened
    silent_since: datetime | None  # as far as this station has listened itself; None: it is deaf, or nothing is known of the device
    state: StatePayload | None  # the last one, however old: see contact
    alarm: OpenAlarm | None
    in_session: bool | None
    session_today: bool | None
    battery: int | None  # percent
    battery_low: bool | None


class Blind(Struct, frozen=True):
    """Why this station may be wrong. "" and None: it is not."""

    broker: str
    broker_since: datetime | None
    database: str


class Snapshot(Struct, frozen=True):
    """All wearers at one time, the most urgent first."""

    version: int
    at: datetime
    pictures: tuple[Picture, ...]
    by_device: dict[str, Picture]
    blind: Blind


def picture(known: Known, settings: Settings, now: datetime, listening_since: datetime | None) -> Picture:
    """The picture of one wearer, from what is stored, at a time of this machine's zone."""
    last, plan = known.last, settings.wearer(known.device)
    state = kept_state(last.state_json if last else None)
    contact = _contact(last, state, settings, now)
    alarm = _alarm(known, state)
    heard_at = last.state_at if last else None
    session_at = last.session_at if last else None
    in_session = state.session is not None if state and contact in ("live", "stale", "lost") else None if state is None else False
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    session_today = None if last is None else bool(in_session or (session_at and session_at >= midnight))
    battery = state.battery if state else None
    status = _status(state, contact, alarm)
    look = contact in ("live", "stale") and state is not None and (bool(state.faults) or state.posture == "down")
    battery_low = _low(state, settings)
    return Picture(
        known.device,
        plan.name or known.name or known.device,
        status,
        min(URGENCY[status], LOOK) if look or (battery_low and contact == "live") else URGENCY[status],
        contact,
        heard_at,
        max(heard_at or listening_since, listening_since) if listening_since and last else None,
        state,
        alarm,
        in_session,
        session_today,
        battery,
        battery_low,
    )


def by_urgency(one: Picture) -> tuple[int, bool, float, str, str]:
    """Sorts pictures: the most urgent first; unanswered before answered; the older alarm first; then by name."""
    alarm = one.alarm
    since = alarm.since.timestamp() if alarm and alarm.since else 0.0
    return one.urgency, alarm is None or alarm.acknowledged_by is not None, since, one.name.casefold(), one.device


def _contact(last: Last | None, state: StatePayload | None, settings: Settings, now: datetime) -> Contact:
    if last is None or (last.availability is None and last.state_json is None):
        return "never"
    spoke_since = last.availability_at is not None and last.state_at is not None and last.state_at > last.availability_at
    if last.availability == "offline" and not spoke_since:
        return "switched_off" if state is not None and state.power == "off" else "lost"
    if last.state_at is not None and abs((now - last.state_at).total_seconds()) <= settings.watch.stale_s:
        return "live"
    silent_s = (now - (last.state_at or last.availability_at or now)).total_seconds()
    return "lost" if silent_s > settings.wearer(last.device).lost_after_s else "stale"


def _alarm(known: Known, state: StatePayload | None) -> OpenAlarm | None:
    """What the state says, or a critical event that is newer than the state."""
    last, critical = known.last, known.critical
    if last is None:
        return None
    newer = critical is not None and (
        state is None
        or (
            (critical.boot, critical.uptime_s) > (state.boot, state.uptime_s)
            and (last.state_at is None or critical.received_at >= last.state_at)  # not one of an install before this one
        )
    )
    alarm_id = last.alarm_id if state is not None and state.alarm_id else (last.critical_alarm_id or last.critical_id) if newer else None
    if alarm_id is None:
        return None
    same = critical is not None and (newer or alarm_id in (last.critical_alarm_id, critical.id) or _follows(critical, known.opened))
    told: Event | None = critical if same else known.opened
    first = known.opened or told
    ack = known.ack
    answered = ack is not None and not (told is not None and told.event_type == "sos" and told.received_at > ack.at)
    grave = told is None or told.severity == "critical" or (state is not None and state.fall == "ON")
    return OpenAlarm(
        alarm_id,
        told.event_type if told else None,
        "critical" if grave else "warning",
        first.at if first else None,
        ack.by if ack and answered else None,
        ack.at if ack and answered else None,
        ack.heard_at if ack and answered else None,
    )


def _follows(critical: Event, opened: Event | None) -> bool:
    """Whether it belongs to the alarm that this event opened, which is the newest one."""
    same = opened is not None and install_of(critical.id) == install_of(opened.id)
    return opened is not None and same and (critical.boot, critical.seq) >= (opened.boot, opened.seq)


def _status(state: StatePayload | None, contact: Contact, alarm: OpenAlarm | None) -> Status:  # noqa: PLR0911  (one row each)
    if alarm is not None and alarm.acknowledged_by is not None:
        return "acknowledged"
    if alarm is not None and contact == "switched_off":
        return "switched_off_alarm"
    if alarm is not None and contact in ("lost", "never"):
        return "lost_alarm"
    if alarm is not None and alarm.severity == "critical":
        return ALARMS.get(alarm.event_type or "", "fallen")
    if alarm is not None:
        return "down"
    if state is None:
        return "never" if contact in ("never", "switched_off") else "unknown"
    if contact == "switched_off":
        return "switched_off"
    if contact == "lost":
        return "lost_alarm" if state.state is State.IMMINENT else "lost"
    if state.state is State.IMMINENT:
        return "imminent"
    if contact == "stale":
        return "stale"
    if state.state is State.GUARDING:
        return "walking" if state.cadence > 0 else "guarding"
    if state.state is State.SETTLING:
        return "settling" if state.session is None else "not_guarding"
    return "off" if state.state is State.OFF else "fallen"


def _low(state: StatePayload | None, settings: Settings) -> bool | None:
    if state is None:
        return None
    if "supply_low" in state.faults:
        return True
    return None if state.battery is None else state.battery <= settings.watch.low_battery


class Live:
    """The pictures of all wearers, kept up to date by a thread between start() and close()."""

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._listening_since: datetime | None = None
        self._broker = ("not connected yet", clock())
        self._written = ""  # why nothing can be stored
        self._read = ""
        self.now = Snapshot(0, clock(), (), {}, self._blind())
        self._listeners: list[Callable[[], None]] = []
        self._wake = threading.Condition()
        self._touched: set[str] = set()
        self._all = True
        self._news = False  # something but the pictures has changed
        self._closed = False
        self._loop = Loop("live", self._run, settings.page.refresh_s)

    def start(self) -> None:
        """Make the first snapshot, and keep it up to date."""
        self.refresh()
        self._loop.start()

    def close(self) -> None:
        """Stop."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self._loop.ident is not None:
            self._loop.join()

    def works(self) -> bool:
        """Whether the pictures are still made anew; for the watchdog. A database that is down is not meant."""
        return self._loop.works()

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called after each new snapshot, in Live's thread: it must return at once. What comes back ends it."""
        self._listeners.append(call)
        return lambda: self._listeners.remove(call) if call in self._listeners else None

    def touch(self, devices: Iterable[str]) -> None:
        """Something was stored about these devices."""
        with self._wake:
            self._touched |= set(devices)
            self._wake.notify_all()

    def heard(self, listening_since: datetime | None, why: str) -> None:
        """The line to the broker came or went."""
        with self._wake:
            self._listening_since = listening_since
            self._broker = _since(self._broker, why if listening_since is None else "", self._clock())
            self._all = True
            self._wake.notify_all()

    def stored(self, why: str) -> None:
        """Writing to the database fails ("": it works again)."""
        with self._wake:
            self._written = why
            self._news = True
            self._wake.notify_all()

    def refresh(self) -> None:
        """Make all pictures anew, now."""
        self._make(None)

    def _run(self) -> None:
        refresh_s = self._settings.page.refresh_s
        due_s = time.monotonic() + refresh_s  # then all, whoever was touched in between: the silent ones change by time alone
        while True:
            self._loop.turned()
            with self._wake:
                wanted = max(0.0, due_s - time.monotonic())
                self._wake.wait_for(lambda: self._closed or self._all or self._touched or self._news, wanted)
                if self._closed:
                    return
                everybody = self._all or time.monotonic() >= due_s
                some = None if everybody else self._touched
                self._touched, self._all, self._news = set(), False, False
            self._make(some)
            if everybody:
                due_s = time.monotonic() + refresh_s

    def _make(self, devices: set[str] | None) -> None:
        """New pictures of some devices, or of all."""
        before, now = self.now, self._clock()
        by_device = dict(before.by_device)
        try:
            known = self._store.overview(devices) if devices is None or devices else []
        except SQLAlchemyError as error:
            self._read = f"cannot be read: {type(error).__name__}"
            known = []
        else:
            self._read = ""
            for device in set(before.by_device) if devices is None else devices:
                by_device.pop(device, None)
        by_device |= {one.device: picture(one, self._settings, now, self._listening_since) for one in known}
        blind = self._blind()
        if by_device != before.by_device or blind != before.blind or before.version == 0:
            pictures = tuple(sorted(by_device.values(), key=by_urgency))
            self.now = Snapshot(before.version + 1, now, pictures, by_device, blind)
            for call in list(self._listeners):
                try:
                    call()
                except Exception:  # (a page's mistake must not stop the others')
                    log.exception("a listener of live failed")
        else:
            self.now = msgspec.structs.replace(before, at=now)

    def _blind(self) -> Blind:
        why, since = self._broker
        return Blind(why, since if why else None, self._written or self._read)


def _since(before: tuple[str, datetime], why: str, now: datetime) -> tuple[str, datetime]:
    return (why, before[1] if bool(before[0]) == bool(why) else now)
