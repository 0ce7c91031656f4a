"""Training sessions, falls and controlled movements of simulated people, with their truth: for scenarios, tests and the lab, in bulk.

    session("stairs", TRAINING, seed=7, minutes=10).motion(t_ns)         what the belt feels: (n, 6), any rate
    session("stairs", TRAINING, seed=7, minutes=10).truth.stairs         when which stair was climbed
    fall("lunges", "sideways at the bottom", TEST, seed=3).truth.falls   onset_s, contact_s, impact_s, direction
    near_fall("walk", "heel catch", TEST, seed=3)                        the same, saved by a step
    controlled("sit down quickly", TRAINING, seed=5)                     what is no fall

The same arguments give the same motion, bit for bit. `.world` is the Story behind it, for the bench.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Literal, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from guardian.sim.daily import Hop, Kneel, LieDown, PickUp, Rise, SitDown
from guardian.sim.falling import Fall, NearFall, Rest
from guardian.sim.gait import G
from guardian.sim.lunging import Leg, Lunge
from guardian.sim.phases import GetUp, Lie, Phase, Sit, Stand, Stumble, Turn, Walk
from guardian.sim.population import Population, Range, Trainee
from guardian.sim.striding import Climb, OnBelt, Run
from guardian.sim.surroundings import Staircase, Surroundings, Thing, wall_behind
from guardian.sim.walker import STEP_NS
from guardian.sim.world import Story

Exercise = Literal["walk", "run", "stairs", "treadmill", "lunges", "everyday"]
EXERCISES: tuple[Exercise, ...] = ("walk", "run", "stairs", "treadmill", "lunges", "everyday")
Direction = Literal["forward", "backward", "turning", "still"]
Random = np.random.Generator


class Span(NamedTuple):
    """One phase of what was done."""

    begin_s: float
    end_s: float
    phase: str  # class name
    direction: Direction
    speed_m_s: float  # over ground or belt, backward negative; aimed at
    distance_m: float


class Rep(NamedTuple):
    """One lunge."""

    leg: Leg
    begin_s: float
    bottom_s: float
    end_s: float
    depth_m: float


class Stair(NamedTuple):
    """One stair taken."""

    t_s: float
    up: bool
    backward: bool


class Lost(NamedTuple):
    """Balance lost. Contact and impact are those of the pelvis; None where a step saved it. Impact is the greatest 10 ms mean force."""

    cause: str
    direction: str
    onset_s: float
    contact_s: float | None
    impact_s: float | None
    peak_g: float | None


class Truth(NamedTuple):
    """What was really done."""

    spans: tuple[Span, ...]
    steps_s: NDArray[np.float64]  # when each was completed; lunges are no steps
    reps: tuple[Rep, ...]
    stairs: tuple[Stair, ...]
    falls: tuple[Lost, ...]
    near_falls: tuple[Lost, ...]

    @property
    def distance_m(self) -> float:
        """Gone on foot, on the belt included."""
        return sum(span.distance_m for span in self.spans)

    def direction(self, t_s: float) -> Direction:
        """Which way at that time."""
        return next((span.direction for span in self.spans if span.begin_s <= t_s < span.end_s), "still")


@dataclass(frozen=True)
class Session:
    """Somebody does something for `seconds`."""

    who: Trainee
    script: tuple[Phase, ...]
    seconds: float
    exercise: Exercise
    things: tuple[Thing, ...] = field(default=())
    floor_m: float = 0.0  # of the floor behind, against the one that is begun on

    @cached_property
    def world(self) -> Story:
        """For the bench. Who hears STOP changes the future, and the truth asked for later."""
        return Story(self.who, self.script, Surroundings(self.things, seed=self.who.seed, floor_m=self.floor_m))

    def motion(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Specific force x y z (m/s²), angular rate x y z (rad/s) at increasing times: (n, 6)."""
        return self.world.motion(t_ns)

    def samples(self, hz: float = 200.0) -> NDArray[np.float64]:
        """Motion of the whole session at that rate."""
        return self.motion((np.arange(int(self.seconds * hz)) * (1e9 / hz)).astype(np.int64))

    @cached_property
    def truth(self) -> Truth:
        """What was really done, until the end."""
        return _truth(self)


def _truth(session: Session) -> Truth:
    body, end_ns = session.world.body, int(session.seconds * 1e9)
    spans, reps, stairs, falls, near_falls = [], [], [], [], []
    for begin, end, phase, start in body.told(end_ns):
        speed = phase.speed if isinstance(phase, Walk) else 0.0
        direction: Direction = "still"
        if isinstance(phase, Turn):
            direction = "turning"
        elif isinstance(phase, Walk):
            direction = "forward" if speed > 0 else "backward"
        if isinstance(phase, OnBelt):
            gone = abs(speed) * max(0.0, end - begin - 0.5)
        else:
            (x0, y0, *_), (x1, y1, *_) = (body.pose(int(t * 1e9)) for t in (begin, end))
            gone = float(np.hypot(x1 - x0, y1 - y0)) if isinstance(phase, Walk) else 0.0
        spans.append(Span(begin, end, type(phase).__name__, direction, speed, gone))
        if isinstance(phase, Lunge) and end - begin > phase.bottom_s + phase.hold_s + phase.up_s:
            reps.append(Rep(phase.leg, begin, begin + phase.bottom_s, end, phase.depth_m))
        elif isinstance(phase, Climb):
            s = np.arange(0.0, end - begin, 0.002)
            taken = np.floor(phase.climbed(s, session.who) + 1e-3)
            stairs += [Stair(begin + float(t), phase.up, phase.backward) for t in s[1:][np.diff(taken) > 0]]
        elif isinstance(phase, Fall):
            contact = begin + phase.fell(start, session.who).contact_s
            t_ns = np.arange(int((contact - 0.1) * 1e9), int((contact + 0.8) * 1e9), STEP_NS, dtype=np.int64)
            norm = np.convolve(np.linalg.norm(body.motion(t_ns)[:, :3], axis=1) / G, np.ones(5) / 5, "same")
            at = int(norm[5:-5].argmax()) + 5
            falls.append(Lost(phase.cause, phase.direction, begin, contact, float(t_ns[at]) / 1e9, float(norm[at])))
        elif isinstance(phase, NearFall | Stumble):
            toward = phase.toward_deg if isinstance(phase, NearFall) else 0.0
            side = ("backward", "left", "forward", "right")[round(toward / 90) % 4]
            near_falls.append(Lost(getattr(phase, "cause", "heel catch"), side, begin, None, None, None))
    return Truth(tuple(spans), body.step_times_s(end_ns), tuple(reps), tuple(stairs), tuple(falls), tuple(near_falls))


def session(exercise: Exercise, population: Population, seed: int, minutes: float = 10.0, near_falls: int = 0) -> Session:
    """A training session of the population's person `seed`, with pauses, turns and what goes with it, tiring. No fall in it."""
    who = population.draw(seed)
    rng = np.random.default_rng([who.seed, 12, EXERCISES.index(exercise)])
    script: list[Phase] = []
    end = minutes * 60.0

    def tired() -> float:
        return min(1.0, who.tires * sum(phase.seconds for phase in script) / 600.0)

    for phase in _SESSIONS[exercise](who, rng, tired):
        script.append(phase)
        if sum(phase.seconds for phase in script) >= end:
            break
    for _ in range(near_falls):
        walks = [i for i, phase in enumerate(script) if type(phase) in (Walk, Run, OnBelt) and 8 < phase.seconds < 1e6]
        if not walks:
            break
        at = int(rng.choice(walks))
        first, walk = float(rng.uniform(0.3, 0.7)), script[at]
        kind = str(rng.choice(NEAR_FALLS))
        script[at : at + 1] = [
            replace(walk, seconds=round(walk.seconds * first, 2)),
            _near(kind, population, rng),
            replace(walk, seconds=round(walk.seconds * (1 - first), 2)),
        ]
    return Session(who, tuple(script), end, exercise, _things(exercise, rng, script))


def fall(exercise: Exercise, kind: str, population: Population, seed: int) -> Session:
    """Some seconds of the exercise, then a fall of that kind (FALLS[exercise]), and lying for half a minute."""
    _known(kind, FALLS[exercise], f"fall in {exercise}")
    who = population.draw(seed)
    rng = np.random.default_rng([who.seed, 13, EXERCISES.index(exercise), FALLS[exercise].index(kind)])
    before = _before(exercise, kind, who, rng)
    falling = FALLING[kind](population, rng, who, before[-1])
    script: tuple[Phase, ...] = (Stand(round(float(rng.uniform(3, 6)), 2)), *before, falling, Lie(3600))
    seconds = sum(p.seconds for p in script[:-1]) + 25.0
    down = next((phase for phase in before if isinstance(phase, Climb) and not phase.up), None)
    floor_m = -(down.steps + BELOW_STAIRS) * down.riser_m if down else 0.0
    return Session(who, script, seconds, exercise, _things(exercise, rng, list(script)), floor_m)


def near_fall(exercise: Exercise, kind: str, population: Population, seed: int) -> Session:
    """Some seconds of the exercise, balance lost and found (NEAR_FALLS), and on."""
    _known(kind, NEAR_FALLS, "near-fall")
    who = population.draw(seed)
    rng = np.random.default_rng([who.seed, 14, EXERCISES.index(exercise), NEAR_FALLS.index(kind)])
    before = _before(exercise, kind, who, rng)
    going_on: Phase = Stand(2) if isinstance(before[-1], Climb | Lunge) else replace(before[-1], seconds=8.0)
    script = (Stand(round(float(rng.uniform(3, 6)), 2)), *before, _near(kind, population, rng), going_on, Stand(4))
    return Session(who, script, sum(p.seconds for p in script), exercise, _things(exercise, rng, list(script)))


def controlled(kind: str, population: Population, seed: int) -> Session:
    """Something fast or low that is no fall (CONTROLLED), out of standing or a short walk."""
    _known(kind, CONTROLLED, "movement")
    who = population.draw(seed)
    rng = np.random.default_rng([who.seed, 15, list(CONTROLLED).index(kind)])
    script: list[Phase] = [Stand(round(float(rng.uniform(2, 5)), 2))]
    if rng.random() < 0.6:
        script += [Walk(_s(rng, (3, 8)), speed=float(rng.choice((-1, 1))) * who.walk_m_s), Stand(_s(rng, (1.0, 2.5)))]
    script += [*CONTROLLED[kind](who, rng), Stand(3)]
    return Session(who, tuple(script), sum(p.seconds for p in script), "everyday")


def _known(kind: str, kinds: Iterable[str], what: str) -> None:
    if kind not in kinds:
        raise ValueError(f"no such {what}: {kind!r}; there are {', '.join(kinds)}")


# --- sessions -----------------------------------------------------------------------------------------------------------------------

Tired = Callable[[], float]


def _u(rng: Random, span: Range) -> float:
    return float(rng.uniform(*span))


def _s(rng: Random, span: Range) -> float:
    """Seconds, whole on the path's grid."""
    return round(float(rng.uniform(*span)), 2)


def _warm_up(who: Trainee, rng: Random) -> Iterator[Phase]:
    yield Stand(_s(rng, (3, 8)))
    yield Walk(_s(rng, (12, 40)), speed=_u(rng, (1.1, 1.6)) * who.walk_m_s + 0.2)
    yield Stand(_s(rng, (1, 3)))
    yield Turn(_s(rng, (2.4, 4)), angle_deg=180.0)
    yield Stand(_s(rng, (1, 4)))


def _walk(who: Trainee, rng: Random, tired: Tired) -> Iterator[Phase]:
    yield from _warm_up(who, rng)
    for lap in count(1):
        speed = -who.walk_m_s * _u(rng, (0.85, 1.12)) * (1 - 0.12 * tired())
        lean = -who.lean_back_deg + _u(rng, (-1.5, 1.5)) + 4 * tired()
        bend = _u(rng, (-100, 100)) if rng.random() < 0.3 else 0.0
        yield Walk(_s(rng, (15, 70)), speed=speed, veer_deg=_u(rng, (0.5, 4)), bend_deg=bend, fatigue=tired(), lean_deg=lean)
        yield Stand(_s(rng, (1.0, 4)))
        yield Turn(round(_u(rng, (2.2, 4)) / who.vitality, 2), angle_deg=float(rng.choice((-180.0, 180.0))))
        if lap % 5 == 0:
            yield Walk(_s(rng, (5, 20)), speed=1.3 * who.walk_m_s)
            yield Stand(_s(rng, (5, 25)))


def _run(who: Trainee, rng: Random, tired: Tired) -> Iterator[Phase]:
    yield from _warm_up(who, rng)
    yield Run(_s(rng, (8, 20)), speed=_u(rng, (1.0, 1.3)) * who.run_m_s)
    yield Stand(_s(rng, (2, 6)))
    while True:
        speed = -who.run_m_s * _u(rng, (0.88, 1.1)) * (1 - 0.1 * tired())
        yield Walk(_s(rng, (2, 4)), speed=-who.walk_m_s)
        yield Run(
            round(_u(rng, (20, 50)) / -speed, 2), speed=speed, veer_deg=_u(rng, (0.5, 3)), fatigue=tired(), lean_deg=_u(rng, (-3, 10))
        )
        yield Walk(_s(rng, (1.5, 3)), speed=-who.walk_m_s)
        yield Stand(_s(rng, (2, 20)))
        yield Walk(_s(rng, (10, 30)), speed=1.4 * who.walk_m_s)
        yield Stand(_s(rng, (1, 10)))


def _staircase(rng: Random) -> tuple[float, float]:
    return _u(rng, (0.15, 0.19)), _u(rng, (0.26, 0.31))


def _stairs(who: Trainee, rng: Random, tired: Tired) -> Iterator[Phase]:
    """Either backward up and forward down, or forward up and backward down."""
    riser, tread = _staircase(rng)
    up_backward = bool(rng.random() < 0.65)
    yield Stand(_s(rng, (3, 8)))
    while True:
        steps = int(rng.integers(5, 11))
        for up in (True, False):
            backward = up == up_backward
            tempo = who.stairs_rate * _u(rng, (0.9, 1.1)) * (1 - 0.15 * tired()) * (1.0 if backward else 1.35)
            jolt = _u(rng, (0.1, 0.3)) if up else _u(rng, (0.2, 0.5))
            lean = _u(rng, (-2, 10)) if up else _u(rng, (-4, 5))
            yield Climb.of(
                steps, tempo, up=up, backward=backward, riser_m=riser, tread_m=tread, jolt_g=jolt, lean_deg=lean, fatigue=tired()
            )
            yield Stand(_s(rng, (1.2, 4)))
        yield Stand(_s(rng, (2, 45)))


def _treadmill(who: Trainee, rng: Random, tired: Tired) -> Iterator[Phase]:
    yield Stand(_s(rng, (4, 10)))
    place, speed = 0.0, 0.25
    while True:
        speed = min(who.walk_m_s, speed + _u(rng, (0.0, 0.15)))
        drift = _u(rng, (-0.12, 0.12)) - 0.7 * place
        place += drift
        yield OnBelt(
            _s(rng, (25, 80)), speed=-speed, drift_m=drift, wander_m=_u(rng, (0.03, 0.09)), fatigue=tired(), lean_deg=_u(rng, (-4, 8))
        )
        if rng.random() < 0.12:
            yield OnBelt(_s(rng, (6, 10)), speed=-0.2, drift_m=0.0, wander_m=0.03)
            yield Stand(_s(rng, (5, 30)))
            speed = 0.25


def _lunge(who: Trainee, rng: Random, leg: Leg, tired: float) -> Lunge:
    slow = (1 + 0.3 * tired) / who.vitality
    step, down, up, back = (round(_u(rng, span) * slow, 2) for span in ((0.75, 1.25), (0.6, 1.6), (0.55, 1.2), (0.65, 1.1)))
    return Lunge.of(
        leg=leg,
        depth_m=who.leg_m * _u(rng, (0.24, 0.42)) * (1 - 0.15 * tired),
        back_m=who.leg_m * _u(rng, (0.32, 0.48)),
        step_s=step,
        down_s=down,
        hold_s=round(_u(rng, (0.0, 1.0)) ** 2, 2),
        up_s=up,
        return_s=back,
        lean_deg=_u(rng, (0, 16)) + 6 * tired,
        wobble_deg=_u(rng, (0.6, 2.2)) * (1 + 0.8 * tired),
        jolt_g=_u(rng, (0.15, 0.6)),
        seed=int(rng.integers(2**31)),
    )


def _lunges(who: Trainee, rng: Random, tired: Tired) -> Iterator[Phase]:
    yield from _warm_up(who, rng)
    legs: tuple[Leg, Leg] = ("left", "right")
    while True:
        reps, alternately = int(rng.integers(10, 16)), bool(rng.random() < 0.5)
        order = [legs[i % 2] for i in range(2 * reps)] if alternately else [legs[0]] * reps + [legs[1]] * reps
        for leg in order:
            yield _lunge(who, rng, leg, tired())
            yield Stand(_s(rng, (0.3, 1.6)))
        yield Stand(_s(rng, (20, 60)))


def _everyday(who: Trainee, rng: Random, tired: Tired) -> Iterator[Phase]:
    yield Stand(_s(rng, (3, 6)))
    while True:
        yield Walk(_s(rng, (4, 25)), speed=float(rng.choice((-0.8, 1.2, 1.5, 1.7))) * who.walk_m_s, veer_deg=_u(rng, (0, 5)))
        yield Stand(_s(rng, (1, 8)))
        if rng.random() < 0.5:
            yield Turn(_s(rng, (1.6, 3)), angle_deg=_u(rng, (-180, 180)))
        kind = str(rng.choice(list(CONTROLLED)))
        yield from CONTROLLED[kind](who, rng)
        yield Stand(_s(rng, (1, 5)))


_SESSIONS: dict[Exercise, Callable[[Trainee, Random, Tired], Iterator[Phase]]] = {
    "walk": _walk,
    "run": _run,
    "stairs": _stairs,
    "treadmill": _treadmill,
    "lunges": _lunges,
    "everyday": _everyday,
}


def _things(exercise: Exercise, rng: Random, script: list[Phase]) -> tuple[Thing, ...]:
    """What stands behind: the console on a treadmill, risers where stairs go up backward."""
    if exercise == "treadmill":
        return (wall_behind(-_u(rng, (0.65, 0.95))),)
    climb = next((phase for phase in script if isinstance(phase, Climb)), None)
    if exercise == "stairs" and climb is not None and climb.up and climb.backward:
        return (Staircase(-0.25, 14, climb.riser_m, climb.tread_m),)
    return ()


# --- what is no fall ----------------------------------------------------------------------------------------------------------------


def _sits(who: Trainee, rng: Random, quick: bool, low: bool) -> Iterator[Phase]:
    seat = _u(rng, (0.26, 0.38)) if low else _u(rng, (0.40, 0.50))
    down = _s(rng, (0.7, 1.2)) if quick else _s(rng, (1.4, 2.8))
    let_go = _u(rng, (0.08, 0.5)) if quick else float(rng.choice((0.0, 0.05, 0.15)))
    peak = _u(rng, (1.4, 3.4)) if quick else _u(rng, (1.3, 1.8))
    bow = _u(rng, (10, 32))
    yield SitDown(down + 1.2, seat_m=seat, down_s=down, beyond=let_go, peak_g=peak, bow_deg=bow, recline_deg=_u(rng, (-3, 18)))
    yield Sit(_s(rng, (2, 12)))
    yield Rise(_s(rng, (0.9, 1.6)) if quick else _s(rng, (1.6, 3.5)), bow_deg=_u(rng, (16, 42)))


def _car(who: Trainee, rng: Random) -> Iterator[Phase]:
    down, side = _s(rng, (1.0, 2.4)), float(rng.choice((-1, 1)))
    turn = side * _u(rng, (60, 100))
    yield SitDown(
        down + 1.4,
        seat_m=_u(rng, (0.32, 0.5)),
        down_s=down,
        beyond=_u(rng, (0.0, 0.4)),
        peak_g=_u(rng, (1.4, 2.6)),
        bow_deg=_u(rng, (14, 34)),
        recline_deg=_u(rng, (8, 22)),
        turn_deg=turn,
        roll_deg=side * _u(rng, (5, 18)),
    )
    yield Sit(_s(rng, (3, 20)))
    yield Rise(_s(rng, (1.4, 3.2)), bow_deg=_u(rng, (16, 36)), turn_deg=-turn)


def _lies(who: Trainee, rng: Random, quick: bool) -> Iterator[Phase]:
    side: Rest = ("back", "left", "right", "front")[int(rng.choice(4, p=(0.55, 0.18, 0.18, 0.09)))]
    on_m = float(rng.choice((0.0, 0.4, 0.5, 0.6)))
    yield LieDown(_s(rng, (2.4, 3.6)) if quick else _s(rng, (4, 8)), on_m=on_m, side=side)
    yield Lie(_s(rng, (2, 8)))
    rises = _s(rng, (3, 4.5)) if quick else _s(rng, (4.5, 8))
    yield Rise(rises) if on_m else GetUp(rises)


def _lunges_only(who: Trainee, rng: Random) -> Iterator[Phase]:
    for leg in ("left", "right", "left"):
        yield _lunge(who, rng, "left" if leg == "left" else "right", _u(rng, (0, 1)))
        yield Stand(_s(rng, (0.3, 1.2)))


def _stairs_only(who: Trainee, rng: Random) -> Iterator[Phase]:
    phases = _stairs(who, rng, lambda: 0.0)
    next(phases)
    for _ in range(4):
        yield next(phases)


def _kneels(who: Trainee, rng: Random) -> Iterator[Phase]:
    yield Kneel(_s(rng, (1.2, 3.5)), bow_deg=_u(rng, (0, 25)), jolt_g=_u(rng, (0.1, 0.8)))
    yield Sit(_s(rng, (1, 6)))
    yield Rise(_s(rng, (1.6, 3.5)), bow_deg=_u(rng, (15, 35)))


CONTROLLED: dict[str, Callable[[Trainee, Random], Iterator[Phase]]] = {
    "sit down slowly": lambda who, rng: _sits(who, rng, False, False),
    "sit down quickly": lambda who, rng: _sits(who, rng, True, False),
    "sit down low, slowly": lambda who, rng: _sits(who, rng, False, True),
    "sit down low, quickly": lambda who, rng: _sits(who, rng, True, True),
    "get into a car": _car,
    "lie down slowly": lambda who, rng: _lies(who, rng, False),
    "lie down quickly": lambda who, rng: _lies(who, rng, True),
    "kneel": _kneels,
    "pick up, knees bent": lambda who, rng: iter((PickUp(_s(rng, (1.6, 4)), stoop_deg=_u(rng, (10, 35)), depth_m=_u(rng, (0.25, 0.45))),)),
    "pick up, stooping": lambda who, rng: iter((PickUp(_s(rng, (1.5, 4)), stoop_deg=_u(rng, (40, 80)), depth_m=_u(rng, (0.02, 0.15))),)),
    "hop": lambda who, rng: iter(Hop(2.2, up_m=_u(rng, (0.04, 0.2)), peak_g=_u(rng, (2.2, 4.5))) for _ in range(3)),
    "lunge": _lunges_only,
    "climb": _stairs_only,
}


# --- falls --------------------------------------------------------------------------------------------------------------------------

FALLS: dict[Exercise, tuple[str, ...]] = {
    "walk": ("heel catch", "slip", "sideways"),
    "run": ("heel catch", "slip", "sideways"),
    "stairs": ("missed step up", "missed step down"),
    "treadmill": ("off the end", "feet carried off", "heel catch"),
    "lunges": ("backward at the bottom", "sideways at the bottom"),
    "everyday": ("heel catch", "slip", "sideways"),
}
NEAR_FALLS = ("heel catch", "slip", "sideways")
BELOW_STAIRS = 3  # stairs below those that are taken: who misses one falls onto the next, not to the bottom


def _before(exercise: Exercise, kind: str, who: Trainee, rng: Random) -> list[Phase]:
    """The exercise up to the moment balance is lost."""
    tired = _u(rng, (0.0, who.tires))
    if exercise == "run":
        speed = -who.run_m_s * _u(rng, (0.85, 1.1))
        return [Walk(3.0, speed=-who.walk_m_s), Run(_s(rng, (5, 10)), speed=speed, fatigue=tired, lean_deg=_u(rng, (-3, 10)))]
    if exercise == "stairs":
        riser, tread = _staircase(rng)
        up = kind != "missed step down"
        climb = Climb.of(
            int(rng.integers(4, 9)), who.stairs_rate * _u(rng, (0.85, 1.1)), up=up, riser_m=riser, tread_m=tread, fatigue=tired
        )
        missed = climb.steps - 1 + _u(rng, (0.0, 0.3))  # the last of them does not find its stair
        return [replace(climb, seconds=round(missed / climb.tempo, 2))]
    if exercise == "treadmill":
        speed = -who.walk_m_s * _u(rng, (0.6, 1.0))
        drift = _u(rng, (0.5, 0.8)) if kind == "off the end" else _u(rng, (-0.1, 0.1))
        return [OnBelt(12.0, speed=0.5 * speed), OnBelt(_s(rng, (12, 20)), speed=speed, drift_m=drift, fatigue=tired)]
    if exercise == "lunges":
        legs: list[Leg] = ["left", "right"] if rng.random() < 0.5 else ["right", "left"]
        first, last = (_lunge(who, rng, leg, tired) for leg in legs)
        if kind not in FALLS["lunges"]:
            return [first, Stand(0.6), last]
        return [first, Stand(0.6), replace(last, seconds=round(last.bottom_s + _u(rng, (-0.25, 0.3)), 2))]
    return [Walk(_s(rng, (6, 14)), speed=-who.walk_m_s * _u(rng, (0.85, 1.15)), fatigue=tired)]


def _fall(population: Population, rng: Random, cause: str, toward_deg: float, **own: float) -> Fall:
    low, high = (float(np.log(g)) for g in population.impact_g)
    side: Rest = "back"
    if 55 < toward_deg % 360 < 125:
        side = "left"
    elif 125 <= toward_deg % 360 <= 235:
        side = "front"
    elif 235 < toward_deg % 360 < 305:
        side = "right"
    drawn: dict[str, float] = {
        "struggle_s": _u(rng, population.struggle_s) if rng.random() < 0.6 else 0.0,
        "hold": _u(rng, (0.3, 0.85)),
        "buckle": _u(rng, population.buckle),
        "buckle_deg": _u(rng, population.buckle_deg),
        "brake": _u(rng, population.brake),
        "trunk": _u(rng, population.trunk),
        "bow_deg": _u(rng, population.bow_deg),
        "twist_deg": _u(rng, (-45, 45)),
        "land_m": _u(rng, (0.12, 0.19)),
        "impact_g": float(np.exp(rng.uniform(low, high))),
        "after_s": _u(rng, (0.08, 0.3)),
    }
    falls = Fall(cause=cause, toward_deg=toward_deg % 360, rest=side, seed=int(rng.integers(2**31)))
    return replace(falls, **{**drawn, **own})


def _sideways(rng: Random) -> float:
    return float(rng.choice((90.0, 270.0))) + _u(rng, (-30, 30))


def _missed(population: Population, rng: Random, who: Trainee, last: Phase, kind: str) -> Fall:
    """Uphill onto the stairs, or down them: what is landed on is some risers higher or lower than the feet."""
    assert isinstance(last, Climb)
    uphill = bool(rng.random() < (0.55 if last.up else 0.3))
    behind_is_uphill = last.up  # who goes up backward has the stairs behind, who goes down backward has them in front
    toward = (0.0 if uphill == behind_is_uphill else 180.0) + _u(rng, (-25, 25))
    below = last.riser_m * (_u(rng, (-1.6, -0.8)) if uphill else _u(rng, (0.6, 1.8)))
    drop = last.riser_m * (_u(rng, (0.3, 0.9)) if last.up else _u(rng, (0.6, 1.0)))
    return _fall(population, rng, kind, toward, drop_m=drop, below_m=below, push_m_s=_u(rng, (0.15, 0.5)))


FALLING: dict[str, Callable[[Population, Random, Trainee, Phase], Fall]] = {
    "heel catch": lambda p, rng, who, last: _fall(p, rng, "heel catch", _u(rng, (-28, 28)), push_m_s=_u(rng, (0.05, 0.4))),
    "slip": lambda p, rng, who, last: _fall(
        p, rng, "slip", _u(rng, (-25, 25)) + (0 if rng.random() < 0.75 else 180), slide=_u(rng, (0.3, 0.9)), push_m_s=_u(rng, (0.4, 1.1))
    ),
    "sideways": lambda p, rng, who, last: _fall(p, rng, "sideways", _sideways(rng), push_m_s=_u(rng, (0.2, 0.7))),
    "missed step up": lambda p, rng, who, last: _missed(p, rng, who, last, "missed step up"),
    "missed step down": lambda p, rng, who, last: _missed(p, rng, who, last, "missed step down"),
    "off the end": lambda p, rng, who, last: _fall(
        p,
        rng,
        "off the end",
        _u(rng, (-25, 25)) + (0 if rng.random() < 0.65 else 180),
        drop_m=_u(rng, (0.1, 0.2)),
        below_m=_u(rng, (0.05, 0.2)),
        push_m_s=_u(rng, (0.2, 0.6)),
    ),
    "feet carried off": lambda p, rng, who, last: _fall(
        p, rng, "feet carried off", _u(rng, (-20, 20)), slide=_u(rng, (0.5, 1.0)), push_m_s=who.walk_m_s * _u(rng, (0.6, 1.0)) + 0.15
    ),
    "backward at the bottom": lambda p, rng, who, last: _fall(
        p, rng, "backward at the bottom", _u(rng, (-35, 35)), push_m_s=_u(rng, (0.15, 0.5)), buckle_deg=_u(rng, (5, 16))
    ),
    "sideways at the bottom": lambda p, rng, who, last: _fall(
        p, rng, "sideways at the bottom", _sideways(rng), push_m_s=_u(rng, (0.15, 0.5)), buckle_deg=_u(rng, (5, 16))
    ),
}


def _near(kind: str, population: Population, rng: Random) -> NearFall:
    toward = _sideways(rng) if kind == "sideways" else _u(rng, (-30, 30))
    tip_s = _u(rng, (0.28, 0.5))
    return NearFall(
        2.4,
        cause=kind,
        toward_deg=toward % 360,
        tip_deg=_u(rng, population.tip_deg),
        tip_s=tip_s,
        dip_m=_u(rng, (0.02, 0.06)),
        strike_g=_u(rng, (1.3, 2.1)),
        lurch_m_s=_u(rng, (0.1, 0.6)),
    )
