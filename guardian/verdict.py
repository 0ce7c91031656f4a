"""What the mind says in one tick: state, obstacle, the one sound now playing, events, and what it knows of the wearer.

Outputs act on a Verdict alone; replay compares Verdicts with ==.
"""

from enum import StrEnum

from msgspec import Struct

Evidence = dict[str, float | int | bool | str]


class State(StrEnum):
    """What the guard is doing (design: the state table is monitor/policy.py)."""

    OFF = "OFF"
    SETTLING = "SETTLING"
    GUARDING = "GUARDING"
    IMMINENT = "IMMINENT"
    DOWN = "DOWN"
    FALLEN = "FALLEN"


class Obstacle(StrEnum):
    """What is behind. UNKNOWN is an answer of its own, never shown as CLEAR."""

    CLEAR = "CLEAR"
    CAUTION = "CAUTION"
    STOP = "STOP"
    UNKNOWN = "UNKNOWN"


class Posture(StrEnum):
    """The trunk: upright < 45° from vertical; down > 60° for 0.3 s; leaning is between; unknown without a trusted IMU."""

    UPRIGHT = "upright"
    LEANING = "leaning"
    DOWN = "down"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """Which way the wearer walks."""

    STILL = "still"
    FORWARD = "forward"
    BACKWARD = "backward"
    UNKNOWN = "unknown"


class Motion(Struct, frozen=True, gc=False):
    """The wearer's motion. `lean_cos`: cosine of the trunk's angle to the vertical; `cadence` in steps/min, 0 when not walking."""

    posture: Posture = Posture.UNKNOWN
    lean_cos: float | None = None
    walking: bool = False
    steps: int = 0
    cadence: float = 0.0
    direction: Direction = Direction.UNKNOWN


class Gap(Struct, frozen=True, gc=False):
    """The tracked space behind. `closing_m_s` > 0 while it shrinks; `ttc_s` only while closing; `age_ns` since the last usable ping."""

    distance_m: float | None = None
    closing_m_s: float = 0.0
    ttc_s: float | None = None
    age_ns: int | None = None


class Event(Struct, frozen=True, gc=False):
    """Something that happened, told once. `id` is `<install>-<boot>-<seq>`; severity and texts are contract.EVENTS[event_type]."""

    id: str
    seq: int
    event_type: str
    t_ns: int
    exercise: str
    evidence: Evidence = {}


class Alarm(Struct, frozen=True, gc=False):
    """An open alarm: from DOWN until cancelled or cleared. `id` is that of the event that opened it."""

    id: str
    opened_by: str  # event_type
    t_ns: int  # when it opened, this boot's clock (0 when it was opened before a restart)
    told: Event | None = None  # the last event of it that caregivers must not miss; told again, same id, after a restart
    acknowledged: bool = False


class Session(Struct, frozen=True, gc=False):
    """A guarded exercise session. `id` is that of its session_started event."""

    id: str
    exercise: str
    t_ns: int  # when it started, this boot's clock (0 when it was opened before a restart)
    steps: int = 0  # taken in it so far


class Alert(Struct, frozen=True, gc=False):
    """The sound row now playing (a key of guardian.toml [sounds]) and since when."""

    sound: str
    since_ns: int


class Resume(Struct, frozen=True, gc=False):
    """What outlives a restart: written to disk before an alarm sounds; the monitor starts from it."""

    install: str  # random, once, at the database's creation
    boot: int  # counts starts of the program
    state: State = State.SETTLING
    alarm: Alarm | None = None
    session: Session | None = None
    exercise: str | None = None  # None: the configured one


class Verdict(Struct, frozen=True, gc=False):
    """One tick's answer."""

    t_ns: int
    state: State
    obstacle: Obstacle
    alert: Alert | None
    events: tuple[Event, ...]
    motion: Motion
    gap: Gap
    session: Session | None
    alarm: Alarm | None
    exercise: str
    faults: tuple[str, ...] = ()  # names of all that stand, in the order of contract.FAULTS
    charge: float | None = None  # battery, 0..1
    powering_off: bool = False  # told to stop: outputs say so themselves, and the loop ends
