"""The station's memory of its wearers: what they are doing now, their history, who answered. What is to be told to whom is in jobs.py.

One Store an engine; its methods may be called from any thread. Times are UTC; rows and errors as in transactions.py.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm import aliased

from guardian.station import alarms, heard, tables
from guardian.station.heard import Batch, Stored
from guardian.station.jobs import add_jobs
from guardian.station.settings import Settings
from guardian.station.tables import Ack, Attempt, Episode, Event, Last, Login, PushJob, Trace, Wearer
from guardian.station.transactions import IN_MAX, count, insert, reads, writes

__all__ = ["Feedback", "JobsFor", "Known", "SessionRow", "Store"]
Feedback = Literal["false_alarm", "helped", "injured"]
JobsFor = Callable[[str, Event, datetime], list[PushJob]]  # (device, event, now) -> the push jobs that it makes


class Known(Struct, frozen=True):
    """All that is stored about one wearer's now; live.py makes a Picture of it."""

    device: str
    name: str | None  # as enrolled
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

    @classmethod
    def opened(cls, settings: Settings) -> "Store":
        """The store that station.toml names, its tables made if new. Raises ConfigError, or SQLAlchemyError when it cannot be reached."""
        engine = tables.opened(settings.database_url(), settings.station.busy_s)
        tables.create(engine)
        return cls(engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # --- intake

    def write(self, batch: Batch, jobs_for: JobsFor, now: datetime) -> Stored:
        """Store all of it in one transaction, the push jobs of new events included. Repeated events change nothing."""
        with writes(self.engine) as session:
            stored = heard.write(session, batch)
            add_jobs(session, [job for event in stored.new for job in jobs_for(event.device, event, now)])
        return stored

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
        with reads(self.engine) as session:
            enrolled = {row.device: row for row in session.scalars(enrolled_ask)}
            spoke: dict[str, Any] = {row[0].device: row for row in session.execute(ask)}
        wanted = enrolled.keys() | spoke.keys()
        if devices is not None:
            wanted &= set(devices)
        known = []
        for device in sorted(wanted):
            row = enrolled.get(device)
            last, opener, newest, ack = spoke.get(device, (None, None, None, None))
            known.append(Known(device, row.name if row else None, last, opener, newest, ack))
        return known

    # --- wearers

    def add_wearer(self, device: str, name: str, now: datetime) -> None:
        """Enrol a wearer, or give an enrolled one another name."""
        with writes(self.engine) as session:
            row = insert(session, Wearer).values(device=device, name=name, created=now)
            session.execute(row.on_conflict_do_update(index_elements=["device"], set_={"name": name}))

    def wearer(self, device: str) -> tuple[str | None, Last | None]:
        """A wearer's name as enrolled, and the device's last word."""
        with reads(self.engine) as session:
            enrolled = session.get(Wearer, device)
            return (enrolled.name if enrolled else None), session.get(Last, device)

    def wearers(self) -> list[Wearer]:
        """All that are enrolled, by device."""
        with reads(self.engine) as session:
            return list(session.scalars(select(Wearer).order_by(Wearer.device)))

    def erase(self, device: str) -> int:
        """Delete all that is stored about a device and its wearer; how many rows. What the device retains at the broker comes again."""
        kinds: tuple[Any, ...] = (PushJob, Episode, Ack, Event, Trace, Last, Wearer)
        with writes(self.engine) as session:
            return sum(count(session.execute(delete(table).where(table.device == device))) for table in kinds)

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
        with writes(self.engine) as session:
            return sum(count(session.execute(one)) for one in old)

    # --- history

    def event(self, event_id: str) -> Event | None:
        """One event."""
        with reads(self.engine) as session:
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
        with reads(self.engine) as session:
            return list(session.scalars(ask))

    def sessions(self, device: str, since: datetime | None = None, limit: int = 50) -> list[SessionRow]:
        """The sessions of a wearer, newest first."""
        ask = select(Event).where(Event.device == device, Event.event_type == "session_started").order_by(Event.at.desc()).limit(limit)
        if since is not None:
            ask = ask.where(Event.at >= since)
        with reads(self.engine) as session:
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
        with reads(self.engine) as session:
            return list(reversed(session.scalars(ask).all()))

    def set_feedback(self, event_id: str, feedback: Feedback | None, by: str, now: datetime) -> bool:
        """Keep what the alarm turned out to be (None takes it back); whether there is such an event."""
        change = update(Event).where(Event.id == event_id)
        with writes(self.engine) as session:
            done = session.execute(change.values(feedback=feedback, feedback_by=by, feedback_at=now))
        return count(done) == 1

    # --- alarms

    def add_ack(self, alarm_id: str, device: str, by: str, now: datetime, command_id: str | None = None) -> bool:
        """Keep who acknowledged; False: somebody was first. A second sos in the same alarm asks anew, and takes a new acknowledgement."""
        with writes(self.engine) as session:
            return heard.write_ack(session, alarm_id, device, by, now, command_id)

    def ack(self, alarm_id: str) -> Ack | None:
        """Who acknowledged this alarm."""
        with reads(self.engine) as session:
            return session.get(Ack, alarm_id)

    def alarm_of(self, event_id: str) -> str | None:
        """The id of the alarm that an event belongs to: that of the first opening event since the last closing one, as far as they came."""
        with reads(self.engine) as session:
            event = session.get(Event, event_id)
            return alarms.alarm_of(session, event) if event else None
