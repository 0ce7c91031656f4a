"""What a session comes to: sums and means as it goes on, and the summary that its end tells.

Theory of operation. The sums are the session's Tally. Each update folds in what has come since the last: the growth of Motion's counts,
which are since power-on, and Motion's measures (cadence, lean ...), weighted with the time if the wearer walks; they are means over
seconds themselves, so one look a second misses nothing. Each update is written to the card some time, so they come at most every tally_s,
every tally_idle_s while nothing is done, and once more when the session ends. Warnings, near-falls and alarms are noted when they happen
and folded in with the next update.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from guardian.config import Config, ns
from guardian.verdict import Evidence, Mean, Motion, Phase, Session, Tally, Training

# of Motion, over the time of walking; None: not known now
MEASURES: dict[str, Callable[[Motion], float | None]] = {
    "cadence": lambda motion: motion.cadence or None,
    "speed_m_s": lambda motion: motion.speed_m_s or None,
    "regularity": lambda motion: motion.regularity,
    "symmetry": lambda motion: motion.symmetry,
    "lean_deg": lambda motion: motion.lean_deg,
    "sway_deg": lambda motion: motion.sway_deg,
}
Progress = tuple[Training | None, float]  # and what is done of all sets
LUNGE_DEPTH = "lunge_depth_m"
NOTHING = Mean()


class SummaryMemory(Struct):
    """What is not in the tally yet, and the counts up to which it is."""

    session: str | None = None
    looked_ns: int = 0
    idle_ns: int = 0  # before that, in which nothing was done
    distance_m: float = 0.0
    stairs: int = 0
    left: int = 0
    right: int = 0
    rep_ns: int | None = None
    depths: Mean = Mean()
    level: int = 0  # of the warning now heard: 1 caution, 2 stop
    cautions: int = 0
    stops: int = 0
    near_falls: int = 0
    alarms: int = 0


class Summary:
    """Keeps the open session's tally."""

    def __init__(self, config: Config) -> None:
        self._often_ns = ns(config.coach.tally_s)
        self._idle_ns = ns(config.coach.tally_idle_s)
        self.memory = SummaryMemory()

    def warned(self, level: int) -> None:
        """The warning heard in this tick: 0 none, 1 caution, 2 stop. Entering a level counts; coming down to one does not."""
        m = self.memory
        if level > m.level:
            if level == 2:
                m.stops += 1
            else:
                m.cautions += 1
        m.level = level

    def nearly_fell(self) -> None:
        """One near-fall more."""
        self.memory.near_falls += 1

    def alarmed(self) -> None:
        """One alarm more."""
        self.memory.alarms += 1

    def step(self, t_ns: int, motion: Motion, session: Session, progress: Progress, last: bool = False) -> Session:
        """The session with its tally up to date, if it is time (or the session's `last` moment); else as it was."""
        m = self.memory
        if session.id != m.session:
            self._begin(t_ns, motion, session)
        if motion.rep is not None and motion.rep.t_ns != m.rep_ns:
            m.rep_ns = motion.rep.t_ns
            m.depths = Mean(m.depths.total + motion.rep.depth_m, m.depths.weight + 1.0)
        since_ns = t_ns - m.looked_ns
        if not last and since_ns < self._often_ns:
            return session
        tally, training = session.tally, progress[0]
        if not last and m.idle_ns + since_ns < self._idle_ns and not self._something(motion, training, tally):
            m.idle_ns, m.looked_ns = m.idle_ns + since_ns, t_ns
            return session
        return replace(session, tally=self._folded(t_ns, motion, tally, *progress))

    def _begin(self, t_ns: int, motion: Motion, session: Session) -> None:
        m = self.memory
        m.session, m.looked_ns, m.idle_ns = session.id, t_ns, 0
        m.distance_m, m.stairs, m.left, m.right = motion.distance_m, motion.stairs, motion.lunges_left, motion.lunges_right
        m.rep_ns = motion.rep.t_ns if motion.rep else None
        m.depths = NOTHING
        m.cautions = m.stops = m.near_falls = m.alarms = 0

    def _something(self, motion: Motion, training: Training | None, tally: Tally) -> bool:
        m = self.memory
        return (
            motion.walking
            or motion.distance_m != m.distance_m
            or motion.stairs != m.stairs
            or motion.lunges_left != m.left
            or motion.lunges_right != m.right
            or m.cautions + m.stops + m.near_falls + m.alarms > 0
            or (training.phase if training else None) != (tally.training.phase if tally.training else None)
        )

    def _folded(self, t_ns: int, motion: Motion, tally: Tally, training: Training | None, done: float) -> Tally:
        m = self.memory
        since_ns = t_ns - m.looked_ns
        means = dict(tally.means)
        if motion.walking:
            for name, measure in MEASURES.items():
                value = measure(motion)
                if value is not None:
                    before = means.get(name, NOTHING)
                    weight = since_ns / 1e9
                    means[name] = Mean(before.total + value * weight, before.weight + weight)
        if m.depths.weight > 0.0:
            before = means.get(LUNGE_DEPTH, NOTHING)
            means[LUNGE_DEPTH] = Mean(before.total + m.depths.total, before.weight + m.depths.weight)
        folded = Tally(
            duration_ns=tally.duration_ns + m.idle_ns + since_ns,
            walking_ns=tally.walking_ns + (since_ns if motion.walking else 0),
            distance_m=tally.distance_m + max(0.0, motion.distance_m - m.distance_m),
            stairs=tally.stairs + max(0, motion.stairs - m.stairs),
            lunges_left=tally.lunges_left + max(0, motion.lunges_left - m.left),
            lunges_right=tally.lunges_right + max(0, motion.lunges_right - m.right),
            means=means,
            cautions=tally.cautions + m.cautions,
            stops=tally.stops + m.stops,
            near_falls=tally.near_falls + m.near_falls,
            alarms=tally.alarms + m.alarms,
            training=training if training is not None else tally.training,
            done=done if training is not None else tally.done,
        )
        m.looked_ns, m.idle_ns = t_ns, 0
        m.distance_m, m.stairs, m.left, m.right = motion.distance_m, motion.stairs, motion.lunges_left, motion.lunges_right
        m.depths = NOTHING
        m.cautions = m.stops = m.near_falls = m.alarms = 0
        return folded


def summary_of(session: Session, reason: str) -> Evidence:
    """The summary, all scalars: about 1 kB. Units stand in the names; means are over the time of walking, and absent where never known."""
    tally = session.tally
    told: Evidence = {
        "reason": reason,
        "session": session.id,
        "duration_s": thousandths(tally.duration_ns / 1e9),
        "walking_s": thousandths(tally.walking_ns / 1e9),
        "steps": session.steps,
        "distance_m": thousandths(tally.distance_m),
        "stairs": tally.stairs,
        "lunges_left": tally.lunges_left,
        "lunges_right": tally.lunges_right,
        "cautions": tally.cautions,
        "stops": tally.stops,
        "warnings": tally.cautions + tally.stops,
        "near_falls": tally.near_falls,
        "alarms": tally.alarms,
    }
    for name in (*MEASURES, LUNGE_DEPTH):
        mean = tally.means.get(name)
        if mean is not None and mean.weight > 0.0:
            told[name] = thousandths(mean.total / mean.weight)
    training = tally.training
    if training is not None:
        sets_done = training.set_number if training.phase in (Phase.REST, Phase.DONE) else training.set_number - 1
        told |= {
            "unit": training.unit,
            "dose": training.dose,
            "done": thousandths(tally.done),
            "sets": training.sets,
            "sets_done": sets_done,
            "phase": str(training.phase),
        }
    return told


def thousandths(value: float) -> float:
    """To three decimals, half away from zero: shorter to send, exact enough to read."""
    return int(value * 1000.0 + 0.5) / 1000.0 if value >= 0.0 else -int(0.5 - value * 1000.0) / 1000.0
