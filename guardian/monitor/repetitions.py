"""Repetitions: lunges of each leg, and stairs."""

from msgspec import Struct

from guardian.config import Config
from guardian.monitor.estimate import Pose
from guardian.monitor.gait import Stride
from guardian.verdict import Rep


class Reps(Struct, frozen=True, gc=False):
    """Counts since power-on; fields as in verdict.Motion."""

    stairs: int = 0
    lunges_left: int = 0
    lunges_right: int = 0
    rep: Rep | None = None


class RepsMemory(Struct):
    """All that changes."""


class Repetitions:
    """Poses and strides in, Reps out."""

    def __init__(self, config: Config) -> None:
        self.memory = RepsMemory()

    def step(self, pose: Pose, stride: Stride) -> Reps:
        """The counts at this pose."""
        return Reps()
