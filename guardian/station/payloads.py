"""What devices say, checked: bytes from the broker become StatePayload, EventPayload or an availability, or raise BadPayload.

Everything here is untrusted: sizes, lengths, ranges and nesting are bounded before anything is kept. Unknown keys are ignored, so that a
newer device is heard too.
"""

import re
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from guardian import contract
from guardian.contract import BadPayload, Id, Severity
from guardian.verdict import Obstacle, Posture, State

MAX_BYTES = 8192  # a device sends at most 4096
MAX_PACKET = 16384  # what a v5 broker may send: payload, topic and properties

Count = Annotated[int, Meta(ge=0, le=2**53)]  # exact in every JSON reader
Uptime = Annotated[float, Meta(ge=0, le=1e10)]
Word = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,32}\Z")]
Version = Annotated[int, Meta(ge=1, le=1000)]
Availability = Literal["online", "offline", ""]  # "": the device was retired, and its retained words were taken away
Leaf = Literal["availability", "state", "event"]

T = TypeVar("T")

_device = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_availabilities: dict[bytes, Availability] = {b"online": "online", b"offline": "offline", b"": ""}
_leaves: dict[str, Leaf] = {"availability": "availability", "state": "state", "event": "event"}


class StatePayload(Struct, frozen=True, gc=False):
    """contract.STATE_KEYS, each."""

    v: Version
    state: State
    posture: Posture
    alarm_id: Id | None
    fall: Literal["ON", "OFF"]
    obstacle: Obstacle
    distance_m: Annotated[float, Meta(ge=0, le=100)] | None
    exercise: Word
    session: Id | None
    faults: Annotated[tuple[Word, ...], Meta(max_length=64)]
    battery: Annotated[int, Meta(ge=0, le=100)] | None
    steps: Count
    cadence: Annotated[float, Meta(ge=0, le=1000)]
    power: Literal["on", "off"]
    uptime_s: Uptime
    boot: Count
    sw: Annotated[str, Meta(pattern=r"^[ -~]{0,64}\Z")]


Fact = float | int | bool | Annotated[str, Meta(max_length=500)] | None


class EventPayload(Struct, frozen=True):
    """contract.EVENT_KEYS, each. An event type that this station does not know is kept too, with the severity that it claims."""

    v: Version
    id: Id
    boot: Count
    seq: Count
    event_type: Word
    severity: Severity
    t: Annotated[datetime, Meta(tz=True)] | None
    uptime_s: Uptime
    exercise: Word
    evidence: Annotated[dict[Annotated[str, Meta(max_length=64)], Fact], Meta(max_length=64)]

    @property
    def weight(self) -> Severity:
        """What counts: the contract's word for a known type, whatever the payload claims."""
        return contract.EVENTS.get(self.event_type, self.severity)


_states = msgspec.json.Decoder(StatePayload)
_events = msgspec.json.Decoder(EventPayload)


def install_of(event_id: str) -> str:
    """The install in `<install>-<boot>-<seq>`: (boot, seq) are in order within one install only."""
    return event_id.rsplit("-", 2)[0]


def is_device(word: str) -> bool:
    """Whether this can be a device's id, and so a level of a topic."""
    return _device.fullmatch(word) is not None


def parse_topic(root: str, topic: str) -> tuple[str, Leaf]:
    """(device, leaf) of a topic. Raises BadPayload for any other shape."""
    parts = topic.split("/")
    if len(parts) != 3 or parts[0] != root or parts[2] not in _leaves or not is_device(parts[1]):
        raise BadPayload(f"no topic of a device under {root}/")
    return parts[1], _leaves[parts[2]]


def parse_availability(payload: bytes) -> Availability:
    """online, offline, or "" for a device that was retired. Raises BadPayload for anything else."""
    try:
        return _availabilities[payload]
    except KeyError:
        raise BadPayload(f"neither online nor offline: {payload[:32]!r}") from None


def parse_state(payload: bytes) -> StatePayload:
    """The state in a payload. Raises BadPayload for anything else."""
    return _parse(_states, payload)


def kept_state(state_json: str | None) -> StatePayload | None:
    """A state as it was stored; None: none was, or a station of another version wrote it, and nobody here knows what it says."""
    if state_json is None:
        return None
    try:
        return parse_state(state_json.encode())
    except BadPayload:
        return None


def parse_event(payload: bytes) -> EventPayload:
    """The event in a payload. Raises BadPayload for anything else."""
    return _parse(_events, payload)


def _parse(decoder: "msgspec.json.Decoder[T]", payload: bytes) -> T:
    if len(payload) > MAX_BYTES:
        raise BadPayload(f"{len(payload)} bytes; at most {MAX_BYTES} are read")
    try:
        return decoder.decode(payload.decode())  # msgspec passes over a key that it does not know, whatever bytes are in it
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload(str(error)) from error
