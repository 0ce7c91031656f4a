"""How well the wearer walks: speed and distance, regularity, symmetry, lean and sway."""

from msgspec import Struct

from guardian.config import Config
from guardian.monitor.estimate import Pose
from guardian.monitor.gait import Stride


class Quality(Struct, frozen=True, gc=False):
    """The gait's quality as of one sample; fields as in verdict.Motion."""

    speed_m_s: float = 0.0
    distance_m: float = 0.0
    regularity: float | None = None
    symmetry: float | None = None
    sway_deg: float | None = None
    lean_deg: float | None = None


class QualityMemory(Struct):
    """All that changes."""


class GaitQuality:
    """Poses and strides in, Quality out."""

    def __init__(self, config: Config) -> None:
        self.memory = QualityMemory()

    def step(self, pose: Pose, stride: Stride) -> Quality:
        """The quality at this pose."""
        return Quality()
