"""All that is read from and written to the tables. One Store an engine; its methods may be called from any thread.

Rows come back detached: they are values to read, and changing one changes nothing. Every method that takes `now` or `at` wants UTC.
Errors of the database come out as sqlalchemy.exc.SQLAlchemyError; nothing of a failed call is kept.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Select, and_, delete, func, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult, Engine
from sqlalchemy.orm import Session, aliased

from guardian.station import tables
from guardian.station.payloads import EventPayload, StatePayload, install_of
from guardian.station.settings import Settings
from guardian.station.tables import Ack, Attempt, Episode, Event, Last, Login, PushJob, Table, Trace, Wearer

OPENING = ("fall_suspected", "fall", "sos")  # the first of these since the last closing one gives its id to the alarm
CLOSING = ("cleared", "cancelled")
CHAIN = (*OPENING, *CLOSING, "acknowledged", "long_lie")
CHAIN_MAX = 500  # events of a device that are looked through for one alarm
CLOCK_SLACK = timedelta(minutes=1)  # a device's clock may be this far ahead
IN_MAX = 500  # parameters in one IN (...)

Feedback = Literal["false_alarm", "helped", "injured"]
Answer = Literal["acknowledged", "closed"]
JobsFor = Callable[[str, Event, datetime], list[PushJob]]  # (device, event, now) -> the push jobs that it makes


T = TypeVar("T", bound=Table)


class HeardEvent(Struct, frozen=True):
    """An event as it came in."""

    device: str
    event: EventPayload
    at: datetime


class HeardState(Struct, frozen=True):
    """A device's newest state. `at` None: it was retained, so nobody knows when it was said."""

    device: str
    state: StatePayload
    json: str
    at: datetime | None


class HeardAvailability(Struct, frozen=True):
    """online, offline, or "" when the device was retired. `at` as in HeardState."""

    device: str
    word: str
    at: datetime | None


class Batch(Struct):
    """What one transaction stores: each device's newest state and availability, points of the trace, and events."""

    events: list[HeardEvent] = []
    states: dict[str, HeardState] = {}
    availabilities: dict[str, HeardAvailability] = {}
    traces: dict[tuple[str, int, str], dict[str, Any]] = {}  # by the key of tables.Trace: its columns


class Stored(Struct, frozen=True):
    """What became of a batch's events. Receipt `new` and `known`; never `foreign`: those ids are another device's."""

    new: list[Event]
    known: list[HeardEvent]
    foreign: list[HeardEvent]


class Standing(Struct, frozen=True):
    """How it stands with an event of an alarm."""

    event: Event
    alarm_id: str
    answer: Answer | None


class Told(Struct, frozen=True):
    """What the order of an alarm's events is worked out from."""

    id: str
    event_type: str
    boot: int
    seq: int


class Known(Struct, frozen=True):
    """All that is stored about one wearer's now; live.py makes a Picture of it."""

    device: str
    name: str | None  # as enrolled
    created: datetime | None
    last: Last | None
    opened: Event | None  # the event of last.alarm_id, if it has come
    critical: Event | None  # the newest critical event
    ack: Ack | None  # of last.alarm_id; without one of last.critical_alarm_id


class SessionRow(Struct, frozen=True):
    """One session: its session_started event, and its end if that has come."""

    started: Event
    ended: Event | None


class Store:
    """The station's memory."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(writes=True)
        self._brief_writer = engine.execution_options(writes=True, brief=True)
        self._insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @classmethod
    def opened(cls, settings: Settings) -> "Store":
        """The store that station.toml names, its tables made if new. Raises ConfigError, or SQLAlchemyError when it cannot be reached."""
        engine = tables.opened(settings.database_url(), settings.station.busy_s)
        tables.create(engine)
        return cls(engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reads(self) -> Iterator[Session]:
        """A transaction that reads."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writes(self) -> Iterator[Session]:
        """A transaction that writes: committed at the end, or nothing of it is kept."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def writes_briefly(self) -> Iterator[Session]:
        """As writes(), but a power cut may undo it: for leases and marks of push jobs. Then a message is sent twice, and none is lost."""
        with Session(self._brief_writer, expire_on_commit=False) as session, session.begin():
            if self.engine.dialect.name == "postgresql":
                session.connection().exec_driver_sql("SET LOCAL synchronous_commit TO off")
            yield session

    # --- intake

    def write(self, batch: Batch, jobs_for: JobsFor, now: datetime) -> Stored:
        """Store all of it in one transaction, the push jobs of new events included. Repeated events change nothing."""
        with self.writes() as session:
            for device in sorted(batch.states):  # every station in the same order: none waits for one that waits for it
                self._write_state(session, batch.states[device])
            for device in sorted(batch.availabilities):
                self._write_availability(session, batch.availabilities[device])
            if batch.traces:
                session.execute(self._insert(Trace).on_conflict_do_nothing(), [batch.traces[key] for key in sorted(batch.traces)])
            stored = self._write_events(session, batch.events)
            self._note(session, stored.new)
            self._add_jobs(session, [job for event in stored.new for job in jobs_for(event.device, event, now)])
        return stored

    def _write_state(self, session: Session, heard: HeardState) -> None:
        state = heard.state
        values = {
            "state_json": heard.json,
            "boot": state.boot,
            "uptime_s": state.uptime_s,
            "sw": state.sw,
            "alarm_id": state.alarm_id,
        }
        if heard.at is not None:
            values["state_at"] = heard.at
            newer = or_(Last.boot.is_(None), Last.boot != state.boot, Last.uptime_s <= state.uptime_s)
        else:  # retained: told again on subscribing, and perhaps long known
            newer = or_(Last.boot.is_(None), Last.boot < state.boot, and_(Last.boot == state.boot, Last.uptime_s < state.uptime_s))
        insert = self._insert(Last).values(device=heard.device, **values)
        session.execute(insert.on_conflict_do_update(index_elements=["device"], set_=values, where=newer))

    def _write_availability(self, session: Session, heard: HeardAvailability) -> None:
        if not heard.word:
            session.execute(delete(Last).where(Last.device == heard.device))
            return
        values = {"availability": heard.word, "availability_at": heard.at}
        changed = true() if heard.at is not None else Last.availability.is_distinct_from(heard.word)
        insert = self._insert(Last).values(device=heard.device, **values)
        session.execute(insert.on_conflict_do_update(index_elements=["device"], set_=values, where=changed))

    def _write_events(self, session: Session, heard: Sequence[HeardEvent]) -> Stored:
        first: dict[str, HeardEvent] = {}
        for one in heard:
            first.setdefault(one.event.id, one)
        if not first:
            return Stored([], [], [])
        lasts = {last.device: last for last in _many(session, Last, Last.device, {one.device for one in first.values()})}
        rows = [_row(one, lasts.get(one.device)) for one in first.values()]
        insert = self._insert(Event).on_conflict_do_nothing().returning(Event.id)
        added = set(session.execute(insert, rows).scalars())
        owners = {event.id: event.device for event in _many(session, Event, Event.id, [one.event.id for one in heard])}
        new = sorted((Event(**row) for row in rows if row["id"] in added), key=_order)
        known = [one for one in heard if owners[one.event.id] == one.device and not (one.event.id in added and first[one.event.id] is one)]
        return Stored(new, known, [one for one in heard if owners[one.event.id] != one.device])

    def _note(self, session: Session, events: Sequence[Event]) -> None:
        """What new events (in order) mean beside their own rows."""
        critical = {event.device: event for event in events if event.severity == "critical"}  # the newest of each device
        begun = {event.device: event for event in events if event.event_type == "session_started"}
        for device in sorted(critical.keys() | begun.keys()):
            session.execute(self._insert(Last).values(device=device).on_conflict_do_nothing())
        for event in sorted(critical.values(), key=lambda one: one.device):
            last = session.get_one(Last, event.device)
            before = session.get(Event, last.critical_id) if last.critical_id else None
            if before is None or install_of(before.id) != install_of(event.id) or _order(before) < _order(event):
                values = {"critical_id": event.id, "critical_alarm_id": _alarm_of(_chain(session, event), event)}
                session.execute(update(Last).where(Last.device == event.device).values(**values))
        for event in begun.values():
            later = or_(Last.session_at.is_(None), Last.session_at < event.at)
            session.execute(update(Last).where(Last.device == event.device, later).values(session_at=event.at))
        for event in events:
            alarm_id = _alarm_of(_chain(session, event), event) if event.event_type == "acknowledged" else None
            if alarm_id:
                command = msgspec.json.decode(event.evidence_json).get("command")
                self._ack(session, alarm_id, event.device, "", event.at, command if isinstance(command, str) else None)
                session.execute(update(Ack).where(Ack.alarm_id == alarm_id).values(heard_at=event.at))

    # --- now

    def overview(self, devices: Collection[str] | None = None) -> list[Known]:
        """What is stored of every wearer, enrolled or heard; of these devices only, if named."""
        opened, critical = aliased(Event), aliased(Event)
        ask = (
            select(Last, opened, critical, Ack)
            .outerjoin(opened, opened.id == Last.alarm_id)
            .outerjoin(critical, critical.id == Last.critical_id)
            .outerjoin(Ack, Ack.alarm_id == func.coalesce(Last.alarm_id, Last.critical_alarm_id))
        )
        enrolled_ask = select(Wearer)
        if devices is not None and len(devices) <= IN_MAX:
            ask, enrolled_ask = ask.where(Last.device.in_(devices)), enrolled_ask.where(Wearer.device.in_(devices))
        with self.reads() as session:
            enrolled = {row.device: row for row in session.scalars(enrolled_ask)}
            heard: dict[str, Any] = {row[0].device: row for row in session.execute(ask)}
        wanted = enrolled.keys() | heard.keys()
        if devices is not None:
            wanted &= set(devices)
        known = []
        for device in sorted(wanted):
            row = enrolled.get(device)
            last, opener, newest, ack = heard.get(device, (None, None, None, None))
            known.append(Known(device, row.name if row else None, row.created if row else None, last, opener, newest, ack))
        return known

    # --- wearers

    def add_wearer(self, device: str, name: str, now: datetime) -> None:
        """Enrol a wearer, or give an enrolled one another name."""
        insert = self._insert(Wearer).values(device=device, name=name, created=now)
        with self.writes() as session:
            session.execute(insert.on_conflict_do_update(index_elements=["device"], set_={"name": name}))

    def wearer(self, device: str) -> tuple[str | None, Last | None]:
        """A wearer's name as enrolled, and the device's last word."""
        with self.reads() as session:
            enrolled = session.get(Wearer, device)
            return (enrolled.name if enrolled else None), session.get(Last, device)

    def wearers(self) -> list[Wearer]:
        """All that are enrolled, by device."""
        with self.reads() as session:
            return list(session.scalars(select(Wearer).order_by(Wearer.device)))

    def erase(self, device: str) -> int:
        """Delete all that is stored about a device and its wearer; how many rows. What the device retains at the broker comes again."""
        kinds: tuple[Any, ...] = (PushJob, Episode, Ack, Event, Trace, Last, Wearer)
        with self.writes() as session:
            return sum(_count(session.execute(delete(table).where(table.device == device))) for table in kinds)

    def prune(self, before: datetime) -> int:
        """Delete history from before a time; how many rows. Open alarms and the last word of each device stay."""
        open_ids = (
            select(Last.alarm_id).where(Last.alarm_id.is_not(None)).union(select(Last.critical_id).where(Last.critical_id.is_not(None)))
        )
        old: list[Any] = [
            delete(Trace).where(Trace.at < before),
            delete(Event).where(Event.received_at < before, Event.id.not_in(open_ids)),
            delete(Ack).where(Ack.at < before, Ack.alarm_id.not_in(open_ids)),
            delete(PushJob).where(PushJob.due_at < before),
            delete(Episode).where(Episode.ended_at < before),
            delete(Attempt).where(Attempt.at < before),
            delete(Login).where(Login.last_seen < before),
        ]
        with self.writes() as session:
            return sum(_count(session.execute(one)) for one in old)

    # --- history

    def event(self, event_id: str) -> Event | None:
        """One event."""
        with self.reads() as session:
            return session.get(Event, event_id)

    def events(
        self,
        devices: Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        event_types: Collection[str] = (),
        severities: Collection[str] = (),
        text: str = "",
        limit: int = 100,
        offset: int = 0,
    ) -> list[Event]:
        """Newest first. `devices` None: of all; `text` is looked for in type, exercise, evidence, id and feedback, case ignored."""
        ask = select(Event).order_by(Event.at.desc(), Event.boot.desc(), Event.seq.desc()).limit(limit).offset(offset)
        if devices is not None:
            ask = ask.where(Event.device.in_(devices))
        if since is not None:
            ask = ask.where(Event.at >= since)
        if until is not None:
            ask = ask.where(Event.at < until)
        if event_types:
            ask = ask.where(Event.event_type.in_(event_types))
        if severities:
            ask = ask.where(Event.severity.in_(severities))
        if text:
            columns = (Event.event_type, Event.exercise, Event.evidence_json, Event.id, func.coalesce(Event.feedback, ""))
            ask = ask.where(or_(*(func.lower(column).contains(text.lower(), autoescape=True) for column in columns)))
        with self.reads() as session:
            return list(session.scalars(ask))

    def sessions(self, device: str, since: datetime | None = None, limit: int = 50) -> list[SessionRow]:
        """The sessions of a wearer, newest first."""
        ask = select(Event).where(Event.device == device, Event.event_type == "session_started").order_by(Event.at.desc()).limit(limit)
        if since is not None:
            ask = ask.where(Event.at >= since)
        with self.reads() as session:
            started = list(session.scalars(ask))
            ends: Select[Event] = select(Event).where(Event.device == device, Event.event_type == "session_ended")
            if started:
                ends = ends.where(Event.at >= started[-1].at)
            by_session = {msgspec.json.decode(end.evidence_json).get("session"): end for end in session.scalars(ends)}
        return [SessionRow(one, by_session.get(one.id)) for one in started]

    def trace(self, device: str, since: datetime, until: datetime | None = None, limit: int = 5000) -> list[Trace]:
        """The distance trace of a wearer, oldest first; the newest `limit` points."""
        ask = select(Trace).where(Trace.device == device, Trace.at >= since).order_by(Trace.at.desc()).limit(limit)
        if until is not None:
            ask = ask.where(Trace.at < until)
        with self.reads() as session:
            return list(reversed(session.scalars(ask).all()))

    def set_feedback(self, event_id: str, feedback: Feedback | None, by: str, now: datetime) -> bool:
        """Keep what the alarm turned out to be (None takes it back); whether there is such an event."""
        change = update(Event).where(Event.id == event_id)
        with self.writes() as session:
            done = session.execute(change.values(feedback=feedback, feedback_by=by, feedback_at=now))
        return _count(done) == 1

    # --- alarms

    def add_ack(self, alarm_id: str, device: str, by: str, now: datetime, command_id: str | None = None) -> bool:
        """Keep who acknowledged; False: somebody was first. A second sos in the same alarm asks anew, and takes a new acknowledgement."""
        with self.writes() as session:
            return self._ack(session, alarm_id, device, by, now, command_id)

    def _ack(self, session: Session, alarm_id: str, device: str, by: str, at: datetime, command_id: str | None) -> bool:
        values = {"by": by, "at": at, "command_id": command_id, "heard_at": None}
        insert = self._insert(Ack).values(alarm_id=alarm_id, device=device, **values)
        known = session.get(Ack, alarm_id)
        newest = session.scalar(select(func.max(Event.received_at)).where(Event.device == device, Event.event_type == "sos"))
        if known is not None and newest is not None and newest > known.at and by:
            session.execute(update(Ack).where(Ack.alarm_id == alarm_id).values(**values))
            return True
        return _added(session, insert, Ack.alarm_id)

    def ack(self, alarm_id: str) -> Ack | None:
        """Who acknowledged this alarm."""
        with self.reads() as session:
            return session.get(Ack, alarm_id)

    def alarm_of(self, event_id: str) -> str | None:
        """The id of the alarm that an event belongs to: that of the first opening event since the last closing one, as far as they came."""
        with self.reads() as session:
            event = session.get(Event, event_id)
            return _alarm_of(_chain(session, event), event) if event else None

    def standing(self, event_id: str) -> "Standing | None":
        """An event, the alarm that it belongs to, and whether somebody has seen to it: its alarm closed since, or acknowledged since (here,
        or as the device tells)."""
        with self.reads() as session:
            event = session.get(Event, event_id)
            if event is None:
                return None
            chain = _chain(session, event)
            alarm_id = _alarm_of(chain, event) or event.id
            later = {one.event_type for one in chain if _order(one) > _order(event)}
            if later & set(CLOSING):
                return Standing(event, alarm_id, "closed")
            ack = session.get(Ack, alarm_id)
            known = "acknowledged" in later or (ack is not None and ack.at >= event.received_at)
            return Standing(event, alarm_id, "acknowledged" if known else None)

    # --- push jobs

    def add_jobs(self, jobs: Iterable[PushJob]) -> int:
        """Add jobs; those whose (event_id, kind, contact, step) is there already are left as they are. How many were new."""
        with self.writes() as session:
            return self._add_jobs(session, jobs)

    def _add_jobs(self, session: Session, jobs: Iterable[PushJob]) -> int:
        rows = [
            {key: getattr(job, key) for key in ("device", "event_id", "kind", "severity", "contact", "due_at")}
            | {"step": job.step or 0, "tries": 0}
            for job in jobs
        ]
        return sum(_added(session, self._insert(PushJob).values(row), PushJob.id) for row in rows)

    def lease_jobs(self, station: str, now: datetime, lease_s: float, busy: Collection[str] = (), limit: int = 20) -> list[PushJob]:
        """Jobs that are due and nobody's, now this station's for lease_s: of each contact that is not busy the most pressing one, critical
        before others, then the oldest. `tries` counts this one."""
        free = and_(PushJob.sent_at.is_(None), PushJob.due_at <= now, or_(PushJob.leased_until.is_(None), PushJob.leased_until <= now))
        pressing = (PushJob.severity != "critical", PushJob.due_at, PushJob.id)
        turn = func.row_number().over(partition_by=PushJob.contact, order_by=pressing).label("turn")
        queue = select(PushJob.id, turn).where(free, PushJob.contact.not_in(busy)).subquery()
        first = select(queue.c.id).where(queue.c.turn == 1)
        ask = select(PushJob).where(PushJob.id.in_(first), free).order_by(*pressing).limit(limit).with_for_update(skip_locked=True)
        with self.writes_briefly() as session:
            jobs = list(session.scalars(ask))
            for job in jobs:
                job.leased_by, job.leased_until, job.tries = station, now + timedelta(seconds=lease_s), job.tries + 1
        return jobs

    def hold_job(self, job_id: int, station: str, until: datetime) -> bool:
        """Keep a job that is still being sent; False: another station has it by now."""
        mine = update(PushJob).where(PushJob.id == job_id, PushJob.sent_at.is_(None), PushJob.leased_by == station)
        with self.writes_briefly() as session:
            return _count(session.execute(mine.values(leased_until=until))) == 1

    def call_next(self, job: PushJob, now: datetime) -> bool:
        """The contact of this job does not answer: the next one's turn is now. Whether there is a next one that waits."""
        waits = select(PushJob.id).where(
            PushJob.event_id == job.event_id, PushJob.kind == job.kind, PushJob.step == 0, PushJob.tries == 0, PushJob.due_at > now
        )
        first = waits.order_by(PushJob.due_at).limit(1).scalar_subquery()
        with self.writes() as session:
            return _count(session.execute(update(PushJob).where(PushJob.id == first).values(due_at=now))) == 1

    def was_called(self, contact: str, event_id: str) -> bool:
        """Whether this contact was sent something critical about the alarm that this event belongs to."""
        with self.reads() as session:
            event = session.get(Event, event_id)
            if event is None:
                return False
            alarm: list[str] = []
            for one in _chain(session, event):
                if _order(one) >= _order(event):
                    break
                alarm = [] if one.event_type in CLOSING else [*alarm, one.id]
            sent = select(PushJob.id).where(
                PushJob.contact == contact, PushJob.severity == "critical", PushJob.sent_at.is_not(None), PushJob.event_id.in_(alarm)
            )
            return session.scalar(sent.limit(1)) is not None

    def job_sent(self, job_id: int, station: str, now: datetime, then: Iterable[PushJob] = ()) -> bool:
        """Mark a job sent and add what follows it, together. False: another station has it by now (it will be told twice, once each)."""
        with self.writes_briefly() as session:
            mine = update(PushJob).where(PushJob.id == job_id, PushJob.sent_at.is_(None), PushJob.leased_by == station)
            done = _count(session.execute(mine.values(sent_at=now, leased_until=None, error=None))) == 1
            if done:
                self._add_jobs(session, then)
        return done

    def job_failed(self, job_id: int, station: str, error: str, retry_at: datetime) -> None:
        """Give a job back: due again at retry_at, for any station. `error` must hold no secret."""
        mine = update(PushJob).where(PushJob.id == job_id, PushJob.sent_at.is_(None), PushJob.leased_by == station)
        with self.writes() as session:
            session.execute(mine.values(due_at=retry_at, leased_until=None, leased_by=None, error=error[:200]))

    def drop_job(self, job_id: int) -> None:
        """Delete a job that nobody needs any more."""
        self.drop_jobs(PushJob.id == job_id)

    def drop_jobs(self, which: Any) -> int:
        """Delete unsent jobs by a condition on PushJob; how many."""
        with self.writes() as session:
            return _count(session.execute(delete(PushJob).where(PushJob.sent_at.is_(None), which)))

    def jobs(self, device: str | None = None, event_id: str | None = None, limit: int = 200) -> list[PushJob]:
        """Jobs, sent or not, newest first."""
        ask = select(PushJob).order_by(PushJob.id.desc()).limit(limit)
        if device is not None:
            ask = ask.where(PushJob.device == device)
        if event_id is not None:
            ask = ask.where(PushJob.event_id == event_id)
        with self.reads() as session:
            return list(session.scalars(ask))

    # --- episodes

    def begin_episode(self, episode_id: str, device: str, kind: str, now: datetime, jobs: Iterable[PushJob] = ()) -> bool:
        """Open an episode with its jobs, together. False: one of this kind is open already (another station's, or from before a restart),
        or this very one was; nothing is added."""
        insert = self._insert(Episode).values(id=episode_id, device=device, kind=kind, begun_at=now)
        with self.writes() as session:
            if not _added(session, insert, Episode.id):
                return False
            self._add_jobs(session, jobs)
        return True

    def end_episode(self, episode_id: str, now: datetime, jobs: Iterable[PushJob] = ()) -> bool:
        """Close an open episode with its jobs, together. False: it was closed already; nothing is added."""
        with self.writes() as session:
            change = update(Episode).where(Episode.id == episode_id, Episode.ended_at.is_(None)).values(ended_at=now)
            if _count(session.execute(change)) == 0:
                return False
            self._add_jobs(session, jobs)
        return True

    def episode(self, episode_id: str) -> Episode | None:
        """One episode."""
        with self.reads() as session:
            return session.get(Episode, episode_id)

    def open_episodes(self, kind: str | None = None) -> list[Episode]:
        """Episodes that have not ended, oldest first."""
        ask = select(Episode).where(Episode.ended_at.is_(None)).order_by(Episode.begun_at)
        with self.reads() as session:
            return list(session.scalars(ask if kind is None else ask.where(Episode.kind == kind)))


def _added(session: Session, insert: Any, key: Any) -> bool:
    """Insert a row unless it is there; whether it was added. (PostgreSQL's driver counts no rows of an insert.)"""
    return session.execute(insert.on_conflict_do_nothing().returning(key)).first() is not None


def _count(result: Any) -> int:
    assert isinstance(result, CursorResult)
    return max(0, int(result.rowcount))


def _many(session: Session, table: type[T], key: Any, ids: Collection[str]) -> list[T]:
    wanted = list(ids)
    return [
        row
        for start in range(0, len(wanted), IN_MAX)
        for row in session.scalars(select(table).where(key.in_(wanted[start : start + IN_MAX])))
    ]


def _row(heard: HeardEvent, last: Last | None) -> dict[str, Any]:
    event = heard.event
    return {
        "id": event.id,
        "device": heard.device,
        "boot": event.boot,
        "seq": event.seq,
        "event_type": event.event_type,
        "severity": event.weight,
        "t": event.t,
        "uptime_s": event.uptime_s,
        "exercise": event.exercise,
        "evidence_json": msgspec.json.encode(event.evidence).decode(),
        "received_at": heard.at,
        "at": _happened(heard, last),
    }


def _happened(heard: HeardEvent, last: Last | None) -> datetime:
    """When: by the device's clock; without one by its uptime, if its state has told how that goes with our clock; else when it came."""
    event = heard.event
    if event.t is not None:
        return min(event.t, heard.at + CLOCK_SLACK)
    if last is not None and last.state_at is not None and last.boot == event.boot and last.uptime_s is not None:
        try:
            return min(last.state_at + timedelta(seconds=event.uptime_s - last.uptime_s), heard.at)
        except OverflowError:
            pass
    return heard.at


def _order(event: Event | Told) -> tuple[int, int]:
    return event.boot, event.seq


def _chain(session: Session, event: Event) -> list[Told]:
    """The alarm events of this device and install, in order, from around this one: the newest, should there be very many."""
    ask = (
        select(Event.id, Event.event_type, Event.boot, Event.seq)
        .where(Event.device == event.device, Event.event_type.in_(CHAIN), Event.boot >= event.boot - 1)
        .order_by(Event.boot.desc(), Event.seq.desc())
        .limit(CHAIN_MAX)
    )
    chain = [Told(*row) for row in session.execute(ask)]
    return [one for one in reversed(chain) if install_of(one.id) == install_of(event.id)]


def _alarm_of(chain: Iterable[Told], event: Event) -> str | None:
    alarm: str | None = None
    for one in chain:
        if _order(one) > _order(event):
            break
        if one.event_type in CLOSING:
            alarm = None
        elif alarm is None and one.event_type in OPENING:
            alarm = one.id
    return alarm
