"""Repetitions: lunges of each leg, and stairs; which of them is counted, the exercise's row says (`counts`).

Sitting on a chair and rising, or a flight of stairs on the way to the mat, resemble what is counted: what is not trained is not counted.
"""

from msgspec import Struct, field
from msgspec.structs import replace

from guardian.config import Config, Exercise, ns
from guardian.monitor.estimate import Pose
from guardian.monitor.lunges import Lunges, LungesMemory
from guardian.monitor.parts import PartMemory, gathered
from guardian.monitor.stairs import Stairs, StairsMemory
from guardian.verdict import Rep


class Reps(Struct, frozen=True, gc=False):
    """Counts since power-on; fields as in verdict.Motion."""

    stairs: int = 0
    lunges_left: int = 0
    lunges_right: int = 0
    rep: Rep | None = None


class RepsMemory(Struct):
    """All that changes."""

    t_ns: int | None = None  # last sample
    counts: str = "steps"  # of the exercise in force
    part: PartMemory = field(default_factory=PartMemory)
    lunges: LungesMemory = field(default_factory=LungesMemory)
    stairs: StairsMemory = field(default_factory=StairsMemory)
    reps: Reps = Reps()


class Repetitions:
    """Poses in, Reps out."""

    def __init__(self, config: Config) -> None:
        self._hole_ns = ns(config.estimate.hole_s)
        self._lunges = Lunges(config)
        self._stairs = Stairs(config)
        self.memory = RepsMemory()

    def step(self, pose: Pose, exercise: Exercise) -> Reps:
        """The counts at this pose. A hole, a lost attitude, another exercise: what was under way is forgotten, the counts stay."""
        m = self.memory
        t_ns = pose.t_ns
        whole = m.t_ns is not None and 0 <= t_ns - m.t_ns <= self._hole_ns and pose.trusted and m.counts == exercise.counts
        m.t_ns = t_ns
        if not whole:
            self._forget(m, exercise)
        elif m.counts != "steps":
            part = gathered(m.part, pose)
            if part is None:
                pass
            elif m.counts == "stairs":
                taken = self._stairs.step(m.stairs, part)
                if taken:
                    m.reps = replace(m.reps, stairs=m.reps.stairs + taken)
            else:
                rep = self._lunges.step(m.lunges, part)
                if rep is not None:
                    m.reps = _counted(m.reps, rep)
        return m.reps

    def _forget(self, m: RepsMemory, exercise: Exercise) -> None:
        m.counts = exercise.counts
        m.part = PartMemory()
        if m.lunges.parts:
            m.lunges = LungesMemory()
        if m.stairs.parts:
            m.stairs = StairsMemory()


def _counted(reps: Reps, rep: Rep) -> Reps:
    if rep.leg == "left":
        number = reps.lunges_left + 1
        return replace(reps, lunges_left=number, rep=replace(rep, number=number))
    number = reps.lunges_right + 1
    return replace(reps, lunges_right=number, rep=replace(rep, number=number))
