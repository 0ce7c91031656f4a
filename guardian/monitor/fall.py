"""The signs of a fall: a rule that fires before the ground is hit, and the impact itself.

Theory of operation. A rule answers each sample with a score in 0..1; the exercise's `fall_threshold` decides whether that fires.
FallDetector chooses the rule once, as `fall.rule` says: the learned one or a published one. A rule's state goes in and comes out as
integers, so that snapshots hold it and replay is exact.
Impacts are the net under every rule: the norm of one 10 ms sample (the chip's low-pass has averaged about that long) at or above
`impact_g`, counted only within `impact_upright_s` of the wearer having been upright: someone lying down drops no further.
What follows from either is policy's business.
"""

import math
from typing import Protocol

import numpy as np
from msgspec import Struct

from guardian.config import LEARNED, Config, Exercise, PublishedRule, cos_deg, ns
from guardian.monitor.estimate import DEG, G, Pose
from guardian.monitor.network import INPUT_ONE, INT16, Network, Weights, read
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

    name: str

    def step(self, pose: Pose, state: RuleState) -> tuple[float, RuleState]:
        """The score, 0..1, and the state for the next sample (empty before the first)."""
        ...


class Thresholds:
    """Three thresholds at once: the rules of [fall.published], of which `ahn2019` is the one to beat.

    Norm of specific force below, size of the angular rate above, vertical angle by a complementary filter above. Of Ahn, Kim, Koo, Kim,
    Sensors 19(4):774, 2019 (100 % / 78.3 % on SisFall by its authors), and of the abstract in J Foot Ankle Res 7(S1):A124, 2014, only the
    abstracts could be read. Not read, and chosen here: the filter's constant (ours is estimate.gravity_time_s); what the angle is
    measured from (here the wearer's upright trunk axis as far as it is known, else nominal up); whether the three must hold in the
    very same sample (here they must); any smoothing of norm and rate (here none but the chip's low-pass).

    The score is the weakest of the three as a share of its threshold, halved: 0.5 is the published rule, and an exercise with a
    higher fall_threshold asks for more of each (Ahn's at 0.7: 0.86 g, 66 °/s, 29°). 0 without a trusted attitude.
    """

    def __init__(self, name: str, rule: PublishedRule) -> None:
        self.name = name
        self._lightness = 0.5 / (1.0 - rule.accel_g)
        self._rate = 0.5 * DEG / rule.gyro_deg_s
        self._tilt = 0.5 / (1.0 - cos_deg(rule.angle_deg))

    def step(self, pose: Pose, state: RuleState) -> tuple[float, RuleState]:
        """See Rule; this one remembers nothing."""
        score = (1.0 - pose.norm_g) * self._lightness
        if score <= 0.0 or not pose.trusted:
            return 0.0, state
        x, y, z = pose.gyro
        return max(0.0, min(score, (1.0 - pose.lean_cos) * self._tilt, math.sqrt(x * x + y * y + z * z) * self._rate, 1.0)), state


# Inputs of the learned rule, ten a sample: what one unit of each is, in 1/INPUT_ONE. In int16 that holds
# 8 g (falls are decided before the blow), 32 rad/s (the chips end at 35), 16 m/s.
FORCE = INPUT_ONE / G  # specific force, g
RATE = INPUT_ONE / 4.0  # angular rate, 4 rad/s
SPEED = INPUT_ONE / 2.0  # vertical velocity, 2 m/s
SPEED_FADES_NS = 700_000_000  # it is the integral of the vertical acceleration, forgotten with this time constant: a descent takes 0.6 s
SAMPLES = 2  # the network takes one step every two samples, 50 a second, and sees both
HOLE_NS = 50_000_000  # after a longer hole it begins anew, as Attitude does


class Learned:
    """The trained networks (lab/falls, and its card there) over aligned force, rate, vertical and vertical velocity.

    What it remembers, all whole numbers: time of the last sample (ns); vertical velocity (µm/s); the last score (1/2^20); the inputs of the
    first of two samples, or none; the networks' states. The score scales the network's logit so that 0.5 and 0.7 are its two
    operating points, chosen with the weights. Untrusted attitude is an input (a vertical of length 0), and scores 0.
    """

    def __init__(self, weights: Weights) -> None:
        if weights.inputs != SAMPLES * 10:
            raise ValueError(f"the model reads {weights.inputs} inputs; this version gives {SAMPLES * 10}")
        self.name = f"{weights.name} {weights.version}"
        self.network = Network(weights)
        self._slope = 0.2 / (weights.everyday_logit - weights.exercise_logit)
        self._base = 0.5 - self._slope * weights.exercise_logit
        self._asleep: RuleState = (0,) * (4 + self.network.hidden)
        # the state last returned, and its networks' states as they are computed with: to make them of it again is a fifth of a step
        self._known: RuleState = ()
        self._hidden = np.zeros(self.network.hidden)

    def step(self, pose: Pose, state: RuleState) -> tuple[float, RuleState]:
        """See Rule."""
        speed = score = dt = 0
        first: RuleState = ()
        if state and 0 < pose.t_ns - state[0] <= HOLE_NS:
            dt = pose.t_ns - state[0]
            speed, score = state[1], state[2]
            first = state[4 : 4 + state[3]]
            hidden = self._hidden if state is self._known else np.array(state[4 + state[3] :], dtype=np.float64)
        else:
            state, hidden = self._asleep, np.zeros(self.network.hidden)
        speed = self.speed(pose, speed, dt)
        if not pose.trusted:
            score = 0
        inputs = self.inputs(pose, speed)
        if first:
            hidden, logit = self.network.step(first + inputs, hidden)
            if pose.trusted:
                score = int(max(0.0, min(1.0, self._base + self._slope * logit)) * (1 << 20))
            known = (pose.t_ns, speed, score, 0, *hidden.astype(np.int64).tolist())
        else:
            known = (pose.t_ns, speed, score, len(inputs), *inputs, *state[4:])
        self._known, self._hidden = known, hidden
        return score / (1 << 20), known

    @staticmethod
    def speed(pose: Pose, before_um_s: int, dt_ns: int) -> int:
        """The vertical velocity dt_ns later, µm/s; 0 without a trusted attitude."""
        if not pose.trusted:
            return 0
        after = before_um_s + int(pose.vertical_m_s2 * 1e6) * dt_ns // 1_000_000_000
        return after - after * dt_ns // SPEED_FADES_NS

    @staticmethod
    def inputs(pose: Pose, speed_um_s: int) -> RuleState:
        """One sample as ten whole numbers within int16: force, rate, vertical (each x y z), vertical velocity."""
        fx, fy, fz = pose.accel
        wx, wy, wz = pose.gyro
        ux, uy, uz = pose.up if pose.trusted else (0.0, 0.0, 0.0)
        values: tuple[float, ...] = (fx * FORCE, fy * FORCE, fz * FORCE, wx * RATE, wy * RATE, wz * RATE)
        values += (ux * INPUT_ONE, uy * INPUT_ONE, uz * INPUT_ONE, speed_um_s * 1e-6 * SPEED)
        if max(values) > INT16 or min(values) < -INT16:
            values = tuple(INT16 if value > INT16 else -INT16 if value < -INT16 else value for value in values)
        return tuple(map(int, values))


class FallMemory(Struct):
    """All that changes."""

    upright_ns: int | None = None  # last seen upright
    impact_ns: int | None = None  # a counted impact began
    peak_g: float = 0.0
    rule: RuleState = ()


class FallDetector:
    """Poses in, FallSigns out; see the module's docstring."""

    def __init__(self, config: Config, model: bytes | None = None) -> None:
        """`model`: what the learned rule, and no other, needs. Raises ValueError without it, or where it cannot be read."""
        settings = config.fall
        self.rule: Rule
        if settings.rule != LEARNED:
            self.rule = Thresholds(settings.rule, settings.published[settings.rule])
        elif model is None:
            raise ValueError(f"fall.rule = {LEARNED!r} needs weights")
        else:
            self.rule = Learned(read(model))
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
        score, m.rule = self.rule.step(pose, m.rule)
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
            "rule": self.rule.name,
            "score": _shown(score),
            "norm_g": _shown(pose.norm_g),
            "rate_deg_s": _shown(math.sqrt(x * x + y * y + z * z) * DEG),
            "lean_cos": _shown(pose.lean_cos),
        }


def _shown(value: float) -> float:
    """To two decimals, for people to read."""
    return int(value * 100.0 + (0.5 if value >= 0.0 else -0.5)) / 100.0
