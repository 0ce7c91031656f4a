"""Which events are one alarm: from the first that opens it to what closes it, in the order in which the device told them.

Events may come late and in any order, so this is worked out from what has come so far, each time.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from guardian.station.payloads import install_of
from guardian.station.tables import Ack, Event

OPENING = ("fall_suspected", "fall", "sos")  # the first of these since the last closing one gives its id to the alarm
CLOSING = ("cleared", "cancelled")
CHAIN = (*OPENING, *CLOSING, "acknowledged", "long_lie")
CHAIN_MAX = 500  # events of a device that are looked through for one alarm

Answer = Literal["acknowledged", "closed"]


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


def order(event: Event | Told) -> tuple[int, int]:
    """Sorts the events of one device and install."""
    return event.boot, event.seq


def alarm_of(session: Session, event: Event) -> str | None:
    """The id of the alarm that an event belongs to: that of the first opening event since the last closing one, as far as they came."""
    return _alarm_of(_chain(session, event), event)


def standing(session: Session, event: Event) -> Standing:
    """Whether somebody has seen to an event: its alarm closed since, or acknowledged since (here, or as the device tells)."""
    chain = _chain(session, event)
    alarm_id = _alarm_of(chain, event) or event.id
    later = {one.event_type for one in chain if order(one) > order(event)}
    if later & set(CLOSING):
        return Standing(event, alarm_id, "closed")
    ack = session.get(Ack, alarm_id)
    known = "acknowledged" in later or (ack is not None and ack.at >= event.received_at)
    return Standing(event, alarm_id, "acknowledged" if known else None)


def before(session: Session, event: Event) -> list[str]:
    """The ids of an alarm's events that came before this one, which may be the one that closes it."""
    alarm: list[str] = []
    for one in _chain(session, event):
        if order(one) >= order(event):
            break
        alarm = [] if one.event_type in CLOSING else [*alarm, one.id]
    return alarm


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
        if order(one) > order(event):
            break
        if one.event_type in CLOSING:
            alarm = None
        elif alarm is None and one.event_type in OPENING:
            alarm = one.id
    return alarm
