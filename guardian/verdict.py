"""What the mind says in one tick: state, obstacle, the one sound now playing, events, and what it knows of the wearer.

Outputs act on a Verdict alone; replay compares Verdicts with ==.
"""

from enum import StrEnum
from typing import Literal

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
    """Which way the wearer walks; turning: on the spot or round a corner, and which way is not asked."""

    STILL = "still"
    FORWARD = "forward"
    BACKWARD = "backward"
    TURNING = "turning"
    UNKNOWN = "unknown"


Leg = Literal["left", "right"]


class Rep(Struct, frozen=True, gc=False):
    """One lunge that is complete: the leg that stepped back, how far the belt sank, how long down and up took."""

    number: int  # of those of this leg since power-on
    t_ns: int  # when the belt was up again
    leg: Leg
    depth_m: float
    down_s: float
    up_s: float


class Motion(Struct, frozen=True, gc=False):
    """The wearer's motion. Counts are since power-on; None: not known (yet), or not walking."""

    posture: Posture = Posture.UNKNOWN
    lean_cos: float | None = None  # cosine of the trunk's angle to the vertical
    walking: bool = False
    steps: int = 0
    cadence: float = 0.0  # steps/min, 0 when not walking
    direction: Direction = Direction.UNKNOWN
    speed_m_s: float = 0.0  # over ground or belt, whichever way; 0 when not walking
    distance_m: float = 0.0  # walked
    regularity: float | None = None  # of steps, 0..1: autocorrelation of the vertical at one step
    symmetry: float | None = None  # step over stride regularity; 1: both legs alike
    sway_deg: float | None = None  # rms of the trunk's sideward tilt about its mean
    lean_deg: float | None = None  # mean of the trunk's tilt over the last seconds, + forward
    stairs: int = 0  # taken, up and down
    lunges_left: int = 0  # complete
    lunges_right: int = 0
    rep: Rep | None = None  # the last complete lunge


class Phase(StrEnum):
    """Where in the exercise's dose the wearer is."""

    WARM_UP = "warm_up"
    WORK = "work"
    REST = "rest"
    DONE = "done"


class Training(Struct, frozen=True, gc=False):
    """The session's dose: `done` of `dose`, both in `unit`; with sets, of this set."""

    phase: Phase
    unit: Literal["s", "m", "stairs", "reps"]
    done: float
    dose: float
    set_number: int = 1  # of sets
    sets: int = 1
    spent_s: float = 0.0  # of the warm-up (light movement alone), or of the rest


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


class Mean(Struct, frozen=True, gc=False):
    """A weighted mean in the making; weights are seconds of walking, or repetitions."""

    total: float = 0.0
    weight: float = 0.0


class Tally(Struct, frozen=True, gc=False):
    """What a session has come to so far, up to date to the second; journalled, so that a restart goes on with it."""

    duration_ns: int = 0  # without the time of restarts
    walking_ns: int = 0
    distance_m: float = 0.0
    stairs: int = 0
    lunges_left: int = 0
    lunges_right: int = 0
    means: dict[str, Mean] = {}  # of Motion's fields over the time of walking, and lunge_depth_m over lunges
    cautions: int = 0  # entries into CAUTION that were heard
    stops: int = 0  # into STOP
    near_falls: int = 0
    alarms: int = 0
    training: Training | None = None
    done: float = 0.0  # of all sets, in the training's unit


class Session(Struct, frozen=True, gc=False):
    """A guarded exercise session. `id` is that of its session_started event."""

    id: str
    exercise: str
    t_ns: int  # when it started, this boot's clock (0 when it was opened before a restart)
    steps: int = 0  # taken in it so far
    tally: Tally = Tally()


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
    faults: tuple[str, ...] = ()  # names of all that stand, the one whose sound is most urgent first
    charge: float | None = None  # battery, 0..1
    training: Training | None = None  # None: no session, or an exercise without a coach
    powering_off: bool = False  # told to stop: outputs say so themselves, and the loop ends
