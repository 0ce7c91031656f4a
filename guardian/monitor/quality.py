"""How well the wearer walks: speed and distance, regularity, symmetry, lean and sway.

Theory of operation. What is needed of the last seconds is kept at 25 Hz (PART_NS) and looked at once a step, so that a sample costs little.

Speed and distance. Walking, the body is an inverted pendulum over the standing leg: a waist that rises and falls by h within a step has
gone 2 sqrt(2 l h - h²), l the leg's length (Zijlstra & Hof 2003, Gait Posture 18:1). The height is the vertical acceleration integrated
twice, each time with a leak of height_s, and h its range within one step's time. The formula wants a factor, which Zijlstra and Hof found
to be 1.25 for their forward walkers; ours, one forward and one backward, are those of the simulated training people. The same formula
serves running, where nothing is a pendulum but a longer flight is a higher one: nothing else that a waist feels (range of forward
speed, cadence, leg) did better on people who were not used to choose it. The error is large: the distance of 5-minute sessions of
simulated people, leg_m as shipped (lab/steps.py, twelve of each population), is off by 7-17 % at the median walking (44-68 % at the 90th
percentile: the slowest), 7-10 % (19-28 %) running, 14-26 % (50-81 %) in everyday wear. On a treadmill it
is half too long, since slow short steps shake the waist as longer ones do; on stairs, where each riser looks like a long step, it is no
distance at all. No recording with a known distance was at hand.

Regularity and symmetry. The unbiased autocorrelation of the vertical acceleration, divided by its value at no lag, has peaks at one step
and at one stride: the first is the regularity, first over second the symmetry, 1 when both legs move alike (Moe-Nilssen & Helbostad
2004, J Biomech 37:121). The last regularity_s of unbroken walking are looked at once a stride; 40 ms between values cost no more than 0.02
of a peak, as a parabola through three of them is taken.

Lean and sway. The vertical's mean over lean_s, seen from the side, is off the trunk's axis by the lean; the rms of the sideward angle
about its own mean over lean_s is the sway. The attitude's upright follows the mean of walking, and would take a lasting lean for it; so
lean is against the wearer's own stance: the box's pitch in a still second at most stance_s before a walk begins, later ones each
correcting it by stance_gain. Until there is one, it is against the attitude's upright. Angles without trigonometry: `angle_deg`.
"""

import math

from msgspec import Struct

from guardian.config import Config, ns
from guardian.monitor.estimate import DEG, Pose
from guardian.monitor.gait import Stride
from guardian.verdict import Direction, Posture

PART_NS = 40_000_000  # 25 Hz: steps have next to nothing above 10 Hz
PART_S = PART_NS * 1e-9
PACE_STEPS = 4  # speed is over the lengths of these, as cadence is over their intervals
SEARCH = 0.25  # a peak of the autocorrelation lies this share about where the cadence puts it
WIDE = 2  # parts about twice or half a peak's place in which its fellow is looked for
HALVED = 0.3  # a peak at half a step, this share of the step's: a step alone has its lowest there
FLAT = 0.1  # a stride regularity below this is no gait to take a share of


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

    t_ns: int | None = None
    mean: float = 0.0  # of the vertical acceleration, m/s²
    rising: float = 0.0  # speed, m/s, and ...
    height: float = 0.0  # ... height of the waist against its mean, m
    # the part that is being gathered
    part_ns: int = 0  # its beginning
    part_n: int = 0
    part_sum: float = 0.0
    # parts, oldest first
    vertical: list[float] = []
    heights: list[float] = []
    walked: int = 0  # of them in this walk
    steps: int = 0
    lengths: tuple[float, ...] = ()  # of the last steps, m
    # the trunk
    rest_ns: int | None = None  # the last still second ...
    rest_deg: float = 0.0  # ... and the box's pitch in it, + forward
    stance_deg: float | None = None  # the same of standing upright
    from_stance: bool = False  # the means below are of the box's axes, not of the aligned ones
    told_s: float = 0.0  # how long lean and sway have been gathered
    ahead: float = 0.0  # means of up: its part along x ...
    along: float = 0.0  # ... and z
    side: float = 0.0  # mean of the sideward angle, degrees, and ...
    side_power: float = 0.0  # ... of the square of what it differs by
    quality: Quality = Quality()


class GaitQuality:
    """Poses and strides in, Quality out."""

    def __init__(self, config: Config) -> None:
        settings = config.gait
        self._hole_ns = ns(config.estimate.hole_s)
        self._leg_m = settings.leg_m
        self._forward = settings.step_length_forward
        self._backward = settings.step_length_backward
        self._height_s = settings.height_s
        self._parts = max(2, ns(settings.regularity_s) // PART_NS)
        self._lean_s = settings.lean_s
        self._stance_ns = ns(settings.stance_s)
        self._stance_gain = settings.stance_gain
        self.memory = QualityMemory()

    def step(self, pose: Pose, stride: Stride) -> Quality:
        """The quality at this pose."""
        m = self.memory
        t_ns = pose.t_ns
        since = -1 if m.t_ns is None else t_ns - m.t_ns
        m.t_ns = t_ns
        if not (0 <= since <= self._hole_ns and pose.trusted):
            self._begin(m, t_ns, stride)
            return m.quality
        m.part_n += 1
        m.part_sum += pose.vertical_m_s2
        if t_ns - m.part_ns >= PART_NS:
            self._part(m, pose, stride)
        if pose.still:
            self._rested(m, pose, stride)
        if stride.steps != m.steps:
            self._stepped(m, stride)
        elif m.lengths and not stride.walking:
            self._stop(m)
        return m.quality

    def _begin(self, m: QualityMemory, t_ns: int, stride: Stride) -> None:
        """After a hole, or while up is not known: only the distance is kept, and how this wearer stands."""
        m.mean = m.rising = m.height = m.part_sum = m.told_s = 0.0
        m.part_ns, m.part_n, m.walked, m.steps, m.lengths = t_ns, 0, 0, stride.steps, ()
        m.vertical, m.heights = [], []
        m.quality = Quality(distance_m=m.quality.distance_m)

    def _stop(self, m: QualityMemory) -> None:
        m.lengths = ()
        m.quality = Quality(0.0, m.quality.distance_m, None, None, m.quality.sway_deg, m.quality.lean_deg)

    def _rested(self, m: QualityMemory, pose: Pose, stride: Stride) -> None:
        """A still second: if a walk follows soon, it was a stance."""
        if not stride.walking and pose.posture is Posture.UPRIGHT:
            m.rest_ns = pose.t_ns
            m.rest_deg = angle_deg(-pose.box_up[0], pose.box_up[2])

    def _part(self, m: QualityMemory, pose: Pose, stride: Stride) -> None:
        """40 ms are complete."""
        dt, v = (pose.t_ns - m.part_ns) * 1e-9, m.part_sum / m.part_n
        m.part_ns, m.part_n, m.part_sum = pose.t_ns, 0, 0.0
        gain = dt / (self._height_s + dt)
        m.mean += (v - m.mean) * gain
        m.rising += (v - m.mean) * dt - m.rising * gain
        m.height += m.rising * dt - m.height * gain
        m.vertical.append(v)
        m.heights.append(m.height)
        if len(m.vertical) > self._parts:
            del m.vertical[0], m.heights[0]
        m.walked = m.walked + 1 if stride.walking else 0
        if m.walked == 1 and m.rest_ns is not None and pose.t_ns - m.rest_ns <= self._stance_ns:
            m.stance_deg = m.rest_deg if m.stance_deg is None else m.stance_deg + (m.rest_deg - m.stance_deg) * self._stance_gain
            m.rest_ns = None
        x, y, z = pose.up if m.stance_deg is None else pose.box_up
        side = angle_deg(y, math.sqrt(x * x + z * z))
        if (m.stance_deg is None) is m.from_stance:  # a stance has become known: the means are of other axes
            m.from_stance, m.told_s = not m.from_stance, 0.0
        m.told_s += dt
        gain = dt / (m.told_s if m.told_s < self._lean_s else self._lean_s + dt)
        m.ahead += (x - m.ahead) * gain
        m.along += (z - m.along) * gain
        m.side += (side - m.side) * gain
        m.side_power += ((side - m.side) * (side - m.side) - m.side_power) * gain
        if m.told_s >= self._lean_s:
            q = m.quality
            lean, sway = angle_deg(-m.ahead, m.along) - (m.stance_deg or 0.0), math.sqrt(m.side_power)
            m.quality = Quality(q.speed_m_s, q.distance_m, q.regularity, q.symmetry, sway, lean)

    def _stepped(self, m: QualityMemory, stride: Stride) -> None:
        """One step more, or the first few of a walk at once."""
        q, fresh = m.quality, stride.steps - m.steps
        m.steps = stride.steps
        if not stride.walking or stride.cadence <= 0.0:
            return
        step_parts = 60.0 / (stride.cadence * PART_S)
        lengths = [self._length(m, i, step_parts, stride.direction) for i in range(fresh - 1, -1, -1)]
        distance = q.distance_m
        for length in lengths:
            distance += length
        m.lengths = (*m.lengths, *lengths)[-PACE_STEPS:]
        speed = 0.0
        for length in m.lengths:
            speed += length
        speed *= stride.cadence / (60.0 * len(m.lengths))
        regularity, symmetry = q.regularity, q.symmetry
        if m.walked < self._parts or len(m.vertical) < self._parts:
            regularity = symmetry = None
        elif stride.steps % 2 == 0:
            regularity, symmetry = _alike(m.vertical, step_parts)
        m.quality = Quality(speed, distance, regularity, symmetry, q.sway_deg, q.lean_deg)

    def _length(self, m: QualityMemory, ago: int, step_parts: float, direction: Direction) -> float:
        """Length in m of the step that many steps ago."""
        end = len(m.heights) - int(ago * step_parts)
        within = m.heights[max(0, end - int(step_parts) - 2) : max(0, end)]
        if not within:
            return 0.0
        h = min(max(within) - min(within), self._leg_m)
        share = 0.5 * (self._forward + self._backward)
        if direction is Direction.FORWARD:
            share = self._forward
        elif direction is Direction.BACKWARD:
            share = self._backward
        return share * 2.0 * math.sqrt(2.0 * self._leg_m * h - h * h)


def _alike(values: list[float], step_parts: float) -> tuple[float | None, float | None]:
    """Regularity at one step and symmetry of equally spaced values, a step being about `step_parts` of them; None where there is none."""
    n = len(values)
    mean = 0.0
    for value in values:
        mean += value
    mean /= n
    level = [value - mean for value in values]
    power = _product(level, 0)
    low, high = int(step_parts * (1.0 - SEARCH)), int(step_parts * (1.0 + SEARCH)) + 1
    if power <= 0.0 or low < 1 or 2 * high + 3 >= n:
        return None, None
    at, step = _peak(level, low, high)
    if at > 2 * WIDE + 2 and _product(level, at // 2) > 0.0:
        half, at_half = _peak(level, at // 2 - WIDE, at // 2 + WIDE + 1)
        if abs(2 * half - at) <= WIDE and at_half > HALVED * step:  # a limp: every other step was counted, and its stride taken for a step
            at, step = half, at_half
    _, stride = _peak(level, 2 * at - WIDE, 2 * at + WIDE)
    regularity = min(1.0, max(0.0, step / power))
    return regularity, regularity * power / stride if stride > FLAT * power else None


def _product(level: list[float], lag: int) -> float:
    """Unbiased autocorrelation."""
    total = 0.0
    for one, other in zip(level, level[lag:], strict=False):
        total += one * other
    return total / (len(level) - lag)


def _peak(level: list[float], low: int, high: int) -> tuple[int, float]:
    """Lag and height of the greatest autocorrelation from `low` to `high`; the height is that of the parabola through its neighbours."""
    row = [_product(level, lag) for lag in range(low - 1, high + 2)]
    at = 1
    for i in range(2, len(row) - 1):
        if row[i] > row[at]:
            at = i
    before, top, after = row[at - 1 : at + 2]
    bend = before - 2.0 * top + after
    if bend < 0.0 and top >= before and top >= after:
        top -= (before - after) * (before - after) / (8.0 * bend)
    return low - 1 + at, top


def angle_deg(y: float, x: float) -> float:
    """The angle of (x, y) from the x axis, -180..180 degrees, 0 at (0, 0); within 0.0007° of atan2(y, x).

    Only + - * /: the polynomial of Abramowitz & Stegun 1964, 4.4.47 (1e-5 rad for -1 <= y/x <= 1), and the other octants by symmetry.
    """
    across, along = abs(y), abs(x)
    steep = across > along
    ratio = along / across if steep else across / along if along > 0.0 else 0.0
    square = ratio * ratio
    angle = ratio * (0.9998660 + square * (-0.3302995 + square * (0.1801410 + square * (-0.0851330 + square * 0.0208351)))) * DEG
    if steep:
        angle = 90.0 - angle
    if x < 0.0:
        angle = 180.0 - angle
    return -angle if y < 0.0 else angle
