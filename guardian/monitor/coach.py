"""The coach: warm-up, dose, halfway, rest, done; posture and pace; and when it is enough for today.

Theory of operation. A session of an exercise with a dose goes through phases:

    warm_up --(its time of light movement is over, or the exercise is begun)--> work --(dose of the set)--> rest --> work ... --> done

Light movement is walking in any direction but backward. *Begun* is, for what is walked, walking backward for begun_s, which then counts
from its beginning; for stairs and lunges the first one. So the warm-up needs no button: who does not want it begins. A rest ends by its
time, or likewise. Work counts only while guarding: a row of UNITS says what counts, and how far it leads. A direction that is not known
is the last known one for unsure_s, since gait's answer comes and goes.

What is amiss is a row of WATCHES: a bound of the exercise and the value it bounds, off for so long (posture lean_s, pace pace_s), while
doing it; a lunge is judged once, when it is complete. A cue is said at most once in its again_s, and none within apart_s of another. Marks
(work, half, rest, again, done, enough) are said when they are reached. What is said is a sound of lowest priority (monitor/sound.py
keeps it out of every warning's way) and an event, the latter at most once in told_s.

The dose is the row's, or the plan's: command "dose" (from the device itself, never from outside) sets it for the next session, within the
row's bounds, and that session begins with the event "plan". After a restart the session's tally says how far it was.

It looks ten times a second: a tick between costs two comparisons.
"""

from collections.abc import Callable

from msgspec import Struct

from guardian.config import Coach as Dose
from guardian.config import Config, cos_deg, ns
from guardian.monitor.summary import Progress, thousandths
from guardian.verdict import Direction, Evidence, Motion, Phase, Posture, Rep, Session, Training

LOOK_NS = 100_000_000
DOSE_MOST = 1e6  # of a plan: whatever is beyond is no number
WHY_MOST = 80  # characters of a plan's reason

Legs = tuple[float, float]  # what is done, of each leg where there are two; else (all, 0)


class Gain(Struct, frozen=True):
    """What has come since the last look."""

    walking: bool
    backward: bool  # walking backward
    forward: bool  # walking forward, for all that is known
    span_ns: int
    metres: float
    stairs: int
    left: int
    right: int


class Unit(Struct, frozen=True):
    """What a unit of the dose counts."""

    counts: Callable[[Gain], Legs | None]  # None: not doing it
    done: Callable[[Legs, float], float]  # how far it leads, each leg up to so many
    at_once: bool  # one is enough to have begun
    afoot: bool  # done by walking backward: nothing is judged at other times


UNITS: dict[str, Unit] = {
    "s": Unit(lambda g: (g.span_ns / 1e9, 0.0) if g.backward else None, lambda legs, most: legs[0], at_once=False, afoot=True),
    "m": Unit(lambda g: (g.metres, 0.0) if g.backward else None, lambda legs, most: legs[0], at_once=False, afoot=True),
    # whoever comes down again forward does not train
    "stairs": Unit(
        lambda g: (float(g.stairs), 0.0) if g.stairs and not g.forward else None, lambda legs, most: legs[0], at_once=True, afoot=False
    ),
    # per leg: ten of the left alone are half of ten
    "reps": Unit(
        lambda g: (float(g.left), float(g.right)) if g.left or g.right else None,
        lambda legs, most: (min(legs[0], most) + min(legs[1], most)) / 2.0,
        at_once=True,
        afoot=False,
    ),
}


class Watch(Struct, frozen=True):
    """One bound: `off(limits, motion)` is the bound if it is broken, else None; `value` names the field of Motion that breaks it."""

    cue: str
    value: str
    off: Callable[["Limits", Motion], float | None]
    posture: bool = False  # lean_s, else pace_s


class Limits(Struct, frozen=True):
    """A dose's bounds, and the cosine of its lean."""

    dose: Dose
    lean_cos: float


def _leans(limits: Limits, motion: Motion) -> float | None:
    """By the mean of the last seconds; where that is not known (standing), by the trunk as it is."""
    most, lean = limits.dose.lean_deg, motion.lean_deg
    if lean is None:
        return most if motion.lean_cos is not None and motion.lean_cos < limits.lean_cos else None
    return most if lean > most or lean < -most else None


def _above(bound: float | None, value: float | None) -> float | None:
    return bound if bound is not None and value is not None and value > bound else None


def _below(bound: float | None, value: float | None) -> float | None:
    return bound if bound is not None and value is not None and 0.0 < value < bound else None


WATCHES: tuple[Watch, ...] = (
    Watch("posture", "lean_deg", _leans, posture=True),
    Watch("slower", "cadence", lambda limits, m: _above(limits.dose.cadence_most, m.cadence)),
    Watch("slower", "speed_m_s", lambda limits, m: _above(limits.dose.speed_most_m_s, m.speed_m_s)),
    Watch("faster", "cadence", lambda limits, m: _below(limits.dose.cadence_least, m.cadence)),
    Watch("uneven", "regularity", lambda limits, m: _below(limits.dose.regularity_least, m.regularity)),
)


class Judgement(Struct, frozen=True):
    """One bound of a complete lunge."""

    cue: str
    value: str
    of: Callable[[Rep], float]
    least: Callable[[Dose], float | None]


JUDGEMENTS: tuple[Judgement, ...] = (
    Judgement("slower", "rep_s", lambda rep: rep.down_s + rep.up_s, lambda d: d.rep_least_s),
    Judgement("deeper", "depth_m", lambda rep: rep.depth_m, lambda d: d.depth_least_m),
)


class Said(Struct, frozen=True):
    """One cue: its sound, and what to tell of it (None: told not long ago). A plan has no sound."""

    cue: str
    evidence: Evidence | None


class Plan(Struct):
    """A dose for the next session of an exercise, and whether that has been told."""

    dose: float
    why: str
    told: bool = False


class CoachMemory(Struct):
    """All that changes."""

    session: str | None = None  # the session that is coached
    next_ns: int = 0
    phase: Phase = Phase.WARM_UP
    set_number: int = 1
    dose: float = 0.0
    legs: Legs = (0.0, 0.0)  # done of this set
    before: float = 0.0  # done in the sets before
    beginning: Legs = (0.0, 0.0)  # done in warm-up or rest without having begun for long enough
    beginning_ns: int = 0
    spent_ns: int = 0
    half_said: bool = False
    near_falls: int = 0  # of the session, when the last advice was given
    # counts at the last look, and the last known direction
    looked_ns: int = 0
    distance_m: float = 0.0
    stairs: int = 0
    left: int = 0
    right: int = 0
    rep_ns: int | None = None
    facing: Direction = Direction.UNKNOWN
    faced_ns: int = 0
    # cues
    off_since: dict[str, int] = {}
    said_ns: dict[str, int] = {}
    told_ns: dict[str, int] = {}
    corrected_ns: int | None = None
    plans: dict[str, Plan] = {}
    training: Training | None = None


class Coach:
    """Motion in; the training's state (in `memory.training`) and what is to be said out."""

    def __init__(self, config: Config) -> None:
        own = config.coach
        self._limits = {
            name: Limits(exercise.coach, cos_deg(exercise.coach.lean_deg))
            for name, exercise in config.exercises.items()
            if exercise.coach is not None
        }
        self._cues = own.cues
        self._begun_ns = ns(own.begun_s)
        self._unsure_ns = ns(own.unsure_s)
        self._posture_ns = ns(own.lean_s)
        self._pace_ns = ns(own.pace_s)
        self._apart_ns = ns(own.apart_s)
        self._near_falls = own.near_falls
        self.memory = CoachMemory()

    def plan(self, exercise: str | None, value: str | None) -> None:
        """The dose of an exercise's next session: "396 held after a near-fall". Ignored unless it is a number and the exercise has one."""
        limits = self._limits.get(exercise or "")
        number, _, why = (value or "").strip().partition(" ")
        try:
            asked = float(number)
        except ValueError:
            return
        if exercise is None or limits is None or not 0.0 < asked < DOSE_MOST:
            return
        dose = limits.dose
        self.memory.plans[exercise] = Plan(min(max(asked, dose.dose), dose.dose_most), why.strip()[:WHY_MOST])

    def progress(self, session: Session) -> Progress:
        """Of this session, as of the last look; a session that began in this tick has none yet."""
        m = self.memory
        return (m.training, m.before + m.training.done) if m.training is not None and session.id == m.session else (None, 0.0)

    def step(self, t_ns: int, motion: Motion, guarding: bool, session: Session | None, said: list[Said]) -> None:
        """One tick; what is to be said is appended to `said`."""
        m = self.memory
        if session is None:
            m.session = m.training = None
            return
        if session.id == m.session and t_ns < m.next_ns:
            return
        limits = self._limits.get(session.exercise)
        if session.id != m.session:
            m.session = session.id
            self._begin(t_ns, motion, session, limits.dose if limits else None, said)
        m.next_ns = t_ns + LOOK_NS
        if limits is None:
            return
        dose, unit = limits.dose, UNITS[limits.dose.unit]
        gain = self._gain(t_ns, motion)
        rep = motion.rep if motion.rep is not None and motion.rep.t_ns != m.rep_ns else None
        m.rep_ns = motion.rep.t_ns if motion.rep else None
        if guarding:
            self._work(t_ns, dose, unit, gain, said)
            if m.phase is Phase.WORK:
                self._watch(t_ns, limits, motion, gain.backward or not unit.afoot, rep, said)
            if session.tally.near_falls > m.near_falls:
                m.near_falls = session.tally.near_falls
                if m.near_falls >= self._near_falls:
                    self._say(t_ns, "enough", {"near_falls": m.near_falls}, said)
        elif m.phase is Phase.REST:  # its timer runs on
            m.spent_ns += gain.span_ns
        m.training = self._training(dose)

    # the session

    def _begin(self, t_ns: int, motion: Motion, session: Session, dose: Dose | None, said: list[Said]) -> None:
        m = self.memory
        m.looked_ns, m.distance_m, m.stairs = t_ns, motion.distance_m, motion.stairs
        m.left, m.right = motion.lunges_left, motion.lunges_right
        m.rep_ns = motion.rep.t_ns if motion.rep else None
        m.off_since, m.corrected_ns = {}, None
        m.near_falls, m.training = session.tally.near_falls, None
        if dose is None:
            return
        was = session.tally.training
        m.spent_ns, m.beginning, m.beginning_ns = 0, (0.0, 0.0), 0
        if was is not None and was.unit == dose.unit:  # a session that a restart interrupted
            m.spent_ns = ns(was.spent_s)
            m.phase, m.set_number, m.dose = was.phase, was.set_number, was.dose
            m.legs, m.before = (was.done, was.done if was.unit == "reps" else 0.0), session.tally.done - was.done
            m.half_said = session.tally.done >= was.dose * was.sets / 2.0
        else:
            plan = m.plans.get(session.exercise)
            m.phase = Phase.WARM_UP if dose.warm_up_s else Phase.WORK
            m.set_number, m.dose, m.legs, m.before, m.half_said = 1, plan.dose if plan else dose.dose, (0.0, 0.0), 0.0, False
            if plan is not None and not plan.told:
                plan.told = True
                said.append(Said("plan", {"cue": "plan", "dose": plan.dose, "unit": dose.unit, "why": plan.why}))
        m.training = self._training(dose)

    def _training(self, dose: Dose) -> Training:
        m = self.memory
        most = m.dose if m.phase is not Phase.DONE else DOSE_MOST
        done = UNITS[dose.unit].done(m.legs, most)
        return Training(m.phase, dose.unit, done, m.dose, m.set_number, dose.sets, m.spent_ns / 1e9)

    def _gain(self, t_ns: int, motion: Motion) -> Gain:
        m = self.memory
        if motion.walking and motion.direction is not Direction.UNKNOWN:
            m.facing, m.faced_ns = motion.direction, t_ns
        known = t_ns - m.faced_ns <= self._unsure_ns
        gain = Gain(
            walking=motion.walking,
            backward=motion.walking and known and m.facing is Direction.BACKWARD,
            forward=known and m.facing is Direction.FORWARD,
            span_ns=t_ns - m.looked_ns,
            metres=max(0.0, motion.distance_m - m.distance_m),
            stairs=max(0, motion.stairs - m.stairs),
            left=max(0, motion.lunges_left - m.left),
            right=max(0, motion.lunges_right - m.right),
        )
        m.looked_ns, m.distance_m, m.stairs = t_ns, motion.distance_m, motion.stairs
        m.left, m.right = motion.lunges_left, motion.lunges_right
        return gain

    # what is done

    def _work(self, t_ns: int, dose: Dose, unit: Unit, gain: Gain, said: list[Said]) -> None:
        """Go through the phases with what has come."""
        m = self.memory
        counted = unit.counts(gain)
        match m.phase:
            case Phase.WARM_UP:
                if gain.walking and not gain.backward:
                    m.spent_ns += gain.span_ns
                if self._begun(unit, gain, counted) or m.spent_ns >= ns(dose.warm_up_s):
                    self._set(1)
                    self._say(t_ns, "work", {"dose": m.dose, "unit": dose.unit, "sets": dose.sets}, said)
            case Phase.REST:
                m.spent_ns += gain.span_ns
                if self._begun(unit, gain, counted) or m.spent_ns >= ns(dose.rest_s):
                    m.before += unit.done(m.legs, m.dose)
                    self._set(m.set_number + 1)
                    self._say(t_ns, "again", {"set": m.set_number, "sets": dose.sets}, said)
            case Phase.WORK | Phase.DONE if counted is not None:
                m.legs = (m.legs[0] + counted[0], m.legs[1] + counted[1])
        if m.phase is Phase.WORK:
            self._reach(t_ns, dose, unit.done(m.legs, m.dose), said)

    def _begun(self, unit: Unit, gain: Gain, counted: Legs | None) -> bool:
        """Does the wearer do the exercise, and not in passing? What was done until that was certain counts too."""
        m = self.memory
        if counted is None:
            m.beginning, m.beginning_ns = (0.0, 0.0), 0
            return False
        m.beginning = (m.beginning[0] + counted[0], m.beginning[1] + counted[1])
        m.beginning_ns += gain.span_ns
        return unit.at_once or m.beginning_ns >= self._begun_ns

    def _set(self, number: int) -> None:
        m = self.memory
        m.phase, m.set_number, m.spent_ns = Phase.WORK, number, 0
        m.legs, m.beginning, m.beginning_ns = m.beginning, (0.0, 0.0), 0

    def _reach(self, t_ns: int, dose: Dose, done: float, said: list[Said]) -> None:
        """Half of all sets, the end of one, the end of all."""
        m = self.memory
        if not m.half_said and (m.set_number - 1) * m.dose + done >= dose.sets * m.dose / 2.0:
            m.half_said = True
            if done < m.dose:  # else the set's own mark says enough
                self._say(t_ns, "half", {"dose": m.dose, "unit": dose.unit, "sets": dose.sets}, said)
        if done < m.dose:
            return
        m.spent_ns, m.off_since = 0, {}
        if m.set_number >= dose.sets:
            m.phase = Phase.DONE
            self._say(t_ns, "done", {"dose": m.dose, "unit": dose.unit, "sets": dose.sets}, said)
        else:
            m.phase = Phase.REST
            self._say(t_ns, "rest", {"set": m.set_number, "sets": dose.sets, "rest_s": dose.rest_s}, said)

    # how it is done

    def _watch(self, t_ns: int, limits: Limits, motion: Motion, doing: bool, rep: Rep | None, said: list[Said]) -> None:
        """Bounds that have been broken for long enough while doing it, and those of a lunge that is complete."""
        m = self.memory
        judged = doing and motion.posture is Posture.UPRIGHT
        for watch in WATCHES:
            name = f"{watch.cue} {watch.value}"
            limit = watch.off(limits, motion) if judged else None
            if limit is None:
                m.off_since.pop(name, None)
                continue
            since_ns = m.off_since.setdefault(name, t_ns)
            if t_ns - since_ns >= (self._posture_ns if watch.posture else self._pace_ns):
                value: float | None = getattr(motion, watch.value)
                measured: Evidence = {} if value is None else {watch.value: thousandths(value)}
                self._say(t_ns, watch.cue, {**measured, "limit": limit}, said)
        if rep is None:
            return
        for judgement in JUDGEMENTS:
            least, has = judgement.least(limits.dose), judgement.of(rep)
            if least is not None and has < least:
                self._say(t_ns, judgement.cue, {judgement.value: thousandths(has), "limit": least, "leg": rep.leg}, said)

    def _say(self, t_ns: int, cue: str, evidence: Evidence, said: list[Said]) -> None:
        m, row = self.memory, self._cues[cue]
        if not row.on:
            return
        if row.again_s:
            last_ns = m.said_ns.get(cue)
            if last_ns is not None and t_ns - last_ns < ns(row.again_s):
                return
            if m.corrected_ns is not None and t_ns - m.corrected_ns < self._apart_ns:
                return
            m.said_ns[cue] = m.corrected_ns = t_ns
        told_ns = m.told_ns.get(cue)
        tell = told_ns is None or t_ns - told_ns >= ns(row.told_s)
        if tell:
            m.told_ns[cue] = t_ns
        said.append(Said(cue, {"cue": cue, **evidence} if tell else None))
