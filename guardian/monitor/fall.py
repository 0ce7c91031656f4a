"""The signs of a fall: a rule that fires before the ground is hit, and the impact itself.

Theory of operation. A rule answers each sample with a score in 0..1; the exercise's `fall_threshold` decides whether that fires.
FallDetector chooses the rule once: the literature's (Ahn) without a model. A learned model is one more class here with the same
`step(pose, state)`: its state goes in and comes out as integers, so that snapshots hold it and nothing else changes.
Impacts are the net under every rule: the norm of one 10 ms sample (the chip's low-pass has averaged about that long) at or above
`impact_g`, counted only within `impact_upright_s` of the wearer having been upright: someone lying down drops no further.
What follows from either is policy's business.
"""

import math
from typing import ClassVar, Protocol

from msgspec import Struct

from guardian.config import Config, Exercise, cos_deg, ns
from guardian.config import Fall as FallConfig
from guardian.monitor.estimate import DEG, Pose
from guardian.verdict import Evidence, Posture

RuleState = tuple[int, ...]  # what a learned rule remembers, in integers


class FallSigns(Struct, frozen=True, gc=False):
    """What one sample, or several merged, say of a fall."""

    firing: bool  # the rule fires: a fall is under way
    score: float  # the rule's score, 0..1
    impact: bool  # an impact that counts
    peak_g: float  # highest norm of this sample, or since the last counted impact began (for impact_down_s), g
    evidence: Evidence  # the values that fired; empty otherwise

    def merged(self, later: "FallSigns") -> "FallSigns":
        """Both as one: what either saw, the evidence of the higher score."""
        best = later if later.score > self.score else self
        return FallSigns(
            self.firing or later.firing, best.score, self.impact or later.impact, max(self.peak_g, later.peak_g), best.evidence
        )


class Rule(Protocol):
    """A rule that sees a fall coming."""

    name: ClassVar[str]

    def step(self, pose: Pose, state: RuleState) -> tuple[float, RuleState]:
        """The score, 0..1, and the state for the next sample (empty before the first)."""
        ...


class Ahn:
    """Ahn, Kim, Koo, Kim, Sensors 19(4):774, 2019, the rule with the vertical angle: all three at once.

    Norm of specific force < 0.9 g, size of the angular rate > 47.3 °/s, vertical angle > 24.7° by a complementary filter, waist
    sensor. Its authors report 100 % / 78.3 % (sensitivity / specificity) on SisFall. Only the abstracts of this paper and of its
    2018 conference version could be read. Not read, and chosen here: the filter's constant (ours is estimate.gravity_time_s); what
    the angle is measured from (here the wearer's upright trunk axis as far as it is known, else nominal up); whether the three must
    hold in the very same sample (here they must); any smoothing of norm and rate (here none but the chip's low-pass).

    The score is the weakest of the three as a share of its threshold, halved: 0.5 is the published rule, and an exercise with a
    higher fall_threshold asks for more of each (0.7: 0.86 g, 66 °/s, 29°). 0 without a trusted attitude.
    """

    name: ClassVar[str] = "ahn2019"

    def __init__(self, settings: FallConfig) -> None:
        self._lightness = 0.5 / (1.0 - settings.ahn_accel_g)
        self._rate = 0.5 * DEG / settings.ahn_gyro_deg_s
        self._tilt = 0.5 / (1.0 - cos_deg(settings.ahn_angle_deg))

    def step(self, pose: Pose, state: RuleState) -> tuple[float, RuleState]:
        """See Rule; this one remembers nothing."""
        score = (1.0 - pose.norm_g) * self._lightness
        if score <= 0.0 or not pose.trusted:
            return 0.0, state
        x, y, z = pose.gyro
        return max(0.0, min(score, (1.0 - pose.lean_cos) * self._tilt, math.sqrt(x * x + y * y + z * z) * self._rate, 1.0)), state


class FallMemory(Struct):
    """All that changes."""

    upright_ns: int | None = None  # last seen upright
    impact_ns: int | None = None  # a counted impact began
    peak_g: float = 0.0
    rule: RuleState = ()


class FallDetector:
    """Poses in, FallSigns out; see the module's docstring."""

    def __init__(self, config: Config, model: bytes | None = None) -> None:
        """`model`: learned weights, None for the literature's rule. Raises ValueError for weights that no rule here can read."""
        settings = config.fall
        if model is not None:
            raise ValueError("this version has no learned fall rule: leave the model out")
        self._rule: Rule = Ahn(settings)
        self._impact_g = settings.impact_g
        self._upright_ns = ns(settings.impact_upright_s)
        self._peak_ns = ns(settings.impact_down_s)
        self.memory = FallMemory()

    def step(self, pose: Pose, exercise: Exercise) -> FallSigns:
        """What this sample says, by this exercise's threshold."""
        m = self.memory
        t_ns = pose.t_ns
        norm_g = pose.norm_g
        if pose.posture is Posture.UPRIGHT:
            m.upright_ns = t_ns
        score, m.rule = self._rule.step(pose, m.rule)
        impact = norm_g >= self._impact_g and m.upright_ns is not None and t_ns - m.upright_ns <= self._upright_ns
        if m.impact_ns is not None and t_ns - m.impact_ns > self._peak_ns:
            m.impact_ns = None
        if impact and m.impact_ns is None:
            m.impact_ns, m.peak_g = t_ns, norm_g
        elif m.impact_ns is None or norm_g > m.peak_g:
            m.peak_g = norm_g
        firing = score >= exercise.fall_threshold
        return FallSigns(firing, score, impact, m.peak_g, self._evidence(pose, score) if firing else {})

    def _evidence(self, pose: Pose, score: float) -> Evidence:
        x, y, z = pose.gyro
        return {
            "rule": self._rule.name,
            "score": _shown(score),
            "norm_g": _shown(pose.norm_g),
            "rate_deg_s": _shown(math.sqrt(x * x + y * y + z * z) * DEG),
            "lean_cos": _shown(pose.lean_cos),
        }


def _shown(value: float) -> float:
    """To two decimals, for people to read."""
    return int(value * 100.0 + (0.5 if value >= 0.0 else -0.5)) / 100.0
