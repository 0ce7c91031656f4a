"""What devices said, and how that goes into the tables. Told twice it changes nothing; late, it does not undo what is newer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import and_, delete, func, or_, select, true, update
from sqlalchemy.orm import Session

from guardian.station.alarms import alarm_of, order
from guardian.station.payloads import EventPayload, StatePayload, install_of
from guardian.station.tables import Ack, Event, Last, Trace
from guardian.station.transactions import added, insert, many

CLOCK_SLACK = timedelta(minutes=1)  # a device's clock may be this far ahead


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


def write(session: Session, batch: Batch) -> Stored:
    """Add all of it to a transaction."""
    for device in sorted(batch.states):  # every station in the same order: none waits for one that waits for it
        _write_state(session, batch.states[device])
    for device in sorted(batch.availabilities):
        _write_availability(session, batch.availabilities[device])
    if batch.traces:
        session.execute(insert(session, Trace).on_conflict_do_nothing(), [batch.traces[key] for key in sorted(batch.traces)])
    stored = _write_events(session, batch.events)
    _note(session, stored.new)
    return stored


def write_ack(session: Session, alarm_id: str, device: str, by: str, at: datetime, command_id: str | None) -> bool:
    """Keep who acknowledged; False: somebody was first. `by` "": the device says so, and nobody knows who."""
    values = {"by": by, "at": at, "command_id": command_id, "heard_at": None}
    row = insert(session, Ack).values(alarm_id=alarm_id, device=device, **values)
    known = session.get(Ack, alarm_id)
    newest = session.scalar(select(func.max(Event.received_at)).where(Event.device == device, Event.event_type == "sos"))
    if known is not None and newest is not None and newest > known.at and by:
        session.execute(update(Ack).where(Ack.alarm_id == alarm_id).values(**values))
        return True
    return added(session, row, Ack.alarm_id)


def _write_state(session: Session, heard: HeardState) -> None:
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
    row = insert(session, Last).values(device=heard.device, **values)
    session.execute(row.on_conflict_do_update(index_elements=["device"], set_=values, where=newer))


def _write_availability(session: Session, heard: HeardAvailability) -> None:
    if not heard.word:
        session.execute(delete(Last).where(Last.device == heard.device))
        return
    values = {"availability": heard.word, "availability_at": heard.at}
    changed = true() if heard.at is not None else Last.availability.is_distinct_from(heard.word)
    row = insert(session, Last).values(device=heard.device, **values)
    session.execute(row.on_conflict_do_update(index_elements=["device"], set_=values, where=changed))


def _write_events(session: Session, heard: Sequence[HeardEvent]) -> Stored:
    first: dict[str, HeardEvent] = {}
    for one in heard:
        first.setdefault(one.event.id, one)
    if not first:
        return Stored([], [], [])
    lasts = {last.device: last for last in many(session, Last, Last.device, {one.device for one in first.values()})}
    rows = [_row(one, lasts.get(one.device)) for one in first.values()]
    fresh = set(session.execute(insert(session, Event).on_conflict_do_nothing().returning(Event.id), rows).scalars())
    owners = {event.id: event.device for event in many(session, Event, Event.id, [one.event.id for one in heard])}
    new = sorted((Event(**row) for row in rows if row["id"] in fresh), key=order)
    known = [one for one in heard if owners[one.event.id] == one.device and not (one.event.id in fresh and first[one.event.id] is one)]
    return Stored(new, known, [one for one in heard if owners[one.event.id] != one.device])


def _note(session: Session, events: Sequence[Event]) -> None:
    """What new events (in order) mean beside their own rows."""
    critical = {event.device: event for event in events if event.severity == "critical"}  # the newest of each device
    begun = {event.device: event for event in events if event.event_type == "session_started"}
    for device in sorted(critical.keys() | begun.keys()):
        session.execute(insert(session, Last).values(device=device).on_conflict_do_nothing())
    for event in sorted(critical.values(), key=lambda one: one.device):
        last = session.get_one(Last, event.device)
        before = session.get(Event, last.critical_id) if last.critical_id else None
        if before is None or install_of(before.id) != install_of(event.id) or order(before) < order(event):
            values = {"critical_id": event.id, "critical_alarm_id": alarm_of(session, event)}
            session.execute(update(Last).where(Last.device == event.device).values(**values))
    for event in begun.values():
        later = or_(Last.session_at.is_(None), Last.session_at < event.at)
        session.execute(update(Last).where(Last.device == event.device, later).values(session_at=event.at))
    for event in events:
        alarm_id = alarm_of(session, event) if event.event_type == "acknowledged" else None
        if alarm_id:
            command = msgspec.json.decode(event.evidence_json).get("command")
            write_ack(session, alarm_id, event.device, "", event.at, command if isinstance(command, str) else None)
            session.execute(update(Ack).where(Ack.alarm_id == alarm_id).values(heard_at=event.at))


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
