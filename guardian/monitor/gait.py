"""Gait: steps, cadence, which way, and whether there is a living body in the belt at all.

Theory of operation, steps. The acceleration along the vertical swings once a step, in walking and running, forward and backward.
Slow cautious walking is the hard case: heel strikes at two and three times the step rate outweigh the swing itself. So it is
band-passed low (step_highpass_s, then twice step_lowpass_s: about 0.3-1.5 Hz; running at 3 Hz is damped, but has amplitude to
spare), and a step is a rise through +h after a fall through -h, h being a share of the recent swing. `walking_steps` of them at
like intervals are walking; only then do they count, all of them, or when a turn on the spot was made of them. Against Mobilise-D's
detector on SisFall (26 people) the count is off by 0.4 % walking and jogging, 0.7 % reversed, at the median over people (lab/steps.py).

Direction. In walking the body is an inverted pendulum: lowest and fastest with both feet down, so speed rises and falls with the
vertical acceleration, and *forward* acceleration leads it by a quarter step when walking forward, lags when walking backward. In
running the body is lowest when slowest, and the sign turns. The correlation of forward acceleration with the vertical's rate of
change, both band-passed alike, gives the sign. It is taken over the last direction_s, since the first step of a walk, the end of a
turn or the change from walking to running and back at most, and not before direction_least_s of it. Walking and running are told
apart by cadence, or a swing that no walking has. Between walk_cadence and run_cadence, and when the correlation is weak, the answer is
UNKNOWN; what was known holds for direction_hold_s of such a change, since nobody turns round in it without a stop or a turn. It
holds on SisFall's walks and runs played backward (lab/steps.py); it was not tried on people who walk backward.

Turning. The rate about the vertical, low-passed (turn_lowpass_s twice: 0.4 Hz each, so that the pelvis' own to and fro with each
stride, some 20-30 °/s at 0.6-1 Hz, leaves 5), is over turn_deg_s from the beginning of a turn and over turn_end_deg_s to its end, on
the spot or round a corner. The waist's yaw rate against two such bounds finds turns within walks of the healthy and of patients (El-Gohary
et al. 2014, Sensors 14(1):356: low-pass 1.5 Hz, 15 °/s for the peak, 5 °/s for its ends, and then at least 45° over the whole turn,
which is known only afterwards; higher bounds take that condition's place here). Only who is upright turns: who rolls over in bed does not.

Body motion. A belt on a table shows the sensor's noise alone; on a lying person breathing tilts it by about 0.5° (9 mg; 0.4-0.8 °/s
between extremes) every 3-6 s. Means over half a second leave of the noise (white, 100 Hz, 40-50 Hz low-pass) 0.1 mg and 4 mdps of
an LSM6DSOX (0.1 mg/√Hz, 3.8 mdps/√Hz), 0.5 mg and 6 mdps of an MPU-6050 (0.4 mg/√Hz, 5 mdps/√Hz). If the means of the last
`body_motion_s` differ in any axis by more than body_motion_accel_g or body_motion_gyro_deg_s, something moves: eight standard
deviations of the noisier chip, half of what breathing does.
"""

from typing import Literal

from msgspec import Struct

from guardian.config import Config, ns
from guardian.frame import Vector
from guardian.monitor.estimate import DEG, Pose
from guardian.monitor.estimate import G as ONE_G
from guardian.verdict import Direction, Posture

Pace = Literal["walk", "between", "run"]

PART_NS = 500_000_000  # body motion: span of one mean
PART_MIN = 20  # fewer samples (of 50) do not make one
CADENCE_STEPS = 5  # cadence is over the intervals between these


class Stride(Struct, frozen=True, gc=False):
    """The gait as of one sample."""

    walking: bool = False
    steps: int = 0  # since power-on, those of walking and of turns on the spot
    cadence: float = 0.0  # steps/min over the last few, 0 when not walking
    direction: Direction = Direction.UNKNOWN
    moving: bool = True  # body motion above the sensor's noise in the last seconds; True until known


class GaitMemory(Struct):
    """All that changes."""

    t_ns: int | None = None
    # band-passed vertical and forward acceleration, m/s²: slow mean, first and second low-pass
    vertical: Vector = (0.0, 0.0, 0.0)
    forward: Vector = (0.0, 0.0, 0.0)
    swing: float = 0.0  # recent peak of the band-passed vertical
    armed: bool = False  # has fallen through -h since the last step
    times: tuple[int, ...] = ()  # of the last steps at plausible intervals, newest last
    walking: bool = False
    steps: int = 0
    cadence: float = 0.0
    # direction: running means
    power: float = 0.0  # of the vertical, not band-passed, (m/s²)²
    pace: Pace = "walk"  # the last that was not in between
    known: Direction = Direction.UNKNOWN  # the last that was, since the walk's beginning or its last turn ...
    known_ns: int = 0  # ... and when
    told_s: float = 0.0  # how long those below have been gathered
    cross: float = 0.0
    forward_power: float = 0.0
    change_power: float = 0.0
    # turning: rate about the vertical, rad/s, once and twice low-passed
    yaw: float = 0.0
    yaw_slow: float = 0.0
    turning: bool = False
    turning_ns: int | None = None  # last
    # body motion
    part_ns: int | None = None
    part_n: int = 0
    part_sum: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    parts: tuple[tuple[float, float, float, float, float, float], ...] = ()
    moving: bool = True


class Gait:
    """Poses in, Stride out; see the module's docstring."""

    def __init__(self, config: Config) -> None:
        settings = config.gait
        self._hole_ns = ns(config.estimate.hole_s)
        self._low_s = settings.step_lowpass_s
        self._high_s = settings.step_highpass_s
        self._memory_s = settings.step_memory_s
        self._share = settings.step_share
        self._least = settings.step_accel_m_s2
        self._step_min_ns = ns(settings.step_min_s)
        self._step_max_ns = ns(settings.step_max_s)
        self._ratio = settings.step_ratio
        self._walking_steps = settings.walking_steps
        self._direction_s = settings.direction_s
        self._direction_least_s = settings.direction_least_s
        self._sure_squared = settings.direction_sure * settings.direction_sure
        self._keep_squared = settings.direction_keep * settings.direction_keep
        self._hold_ns = ns(settings.direction_hold_s)
        self._power_s = settings.swing_s
        self._run_power = settings.run_swing_m_s2 * settings.run_swing_m_s2
        self._walk_cadence = settings.walk_cadence
        self._run_cadence = settings.run_cadence
        self._turn_s = settings.turn_lowpass_s
        self._turn_rate = settings.turn_deg_s / DEG
        self._turn_end_rate = settings.turn_end_deg_s / DEG
        self._parts = max(2, ns(settings.body_motion_s) // PART_NS)
        self._moving_accel = settings.body_motion_accel_g * ONE_G
        self._moving_rate = settings.body_motion_gyro_deg_s / DEG
        self.memory = GaitMemory()

    def step(self, pose: Pose) -> Stride:
        """The stride at this pose."""
        m = self.memory
        t_ns = pose.t_ns
        since = 0 if m.t_ns is None else t_ns - m.t_ns
        m.t_ns = t_ns
        whole = 0 <= since <= self._hole_ns
        self._body(m, pose, whole)
        if whole and pose.trusted:
            dt = since * 1e-9
            self._swing(m, pose, dt)
            self._turn(m, pose, dt)
            if m.times and t_ns - m.times[-1] > self._step_max_ns:
                self._stop(m)
        else:
            self._stop(m)
            m.vertical = m.forward = (0.0, 0.0, 0.0)
            m.armed = False
            m.yaw = m.yaw_slow = m.power = 0.0
            m.turning = False
        return Stride(m.walking, m.steps, m.cadence, self._direction(m, pose), m.moving)

    def _swing(self, m: GaitMemory, pose: Pose, dt: float) -> None:
        low, high = dt / (self._low_s + dt), dt / (self._high_s + dt)
        v = pose.vertical_m_s2
        mean, first, second = m.vertical
        mean += (v - mean) * high
        first += (v - mean - first) * low
        second += (first - second) * low
        m.vertical = (mean, first, second)
        change = first - second  # proportional to the rate of change of `second`

        x = pose.accel[0] - pose.up[0] * (v + ONE_G)  # what of forward is level: gravity's share through lean taken off
        mean, first_x, x_band = m.forward
        mean += (x - mean) * high
        first_x += (x - mean - first_x) * low
        x_band += (first_x - x_band) * low
        m.forward = (mean, first_x, x_band)

        m.power += (v * v - m.power) * (dt / (self._power_s + dt))
        if m.times:
            m.told_s = told = m.told_s + dt
            slow = dt / (told if told < self._direction_s else self._direction_s + dt)
            m.cross += (x_band * change - m.cross) * slow
            m.forward_power += (x_band * x_band - m.forward_power) * slow
            m.change_power += (change * change - m.change_power) * slow

        size = abs(second)
        m.swing -= m.swing * dt / (self._memory_s + dt)
        m.swing = max(m.swing, size)
        bound = m.swing * self._share
        bound = max(bound, self._least)
        if second < -bound:
            m.armed = True
        elif second > bound and m.armed:
            m.armed = False
            self._stepped(m, pose.t_ns)

    def _stepped(self, m: GaitMemory, t_ns: int) -> None:
        times = m.times
        if times:
            interval = t_ns - times[-1]
            if interval < self._step_min_ns:
                return
            if len(times) > 1 and not m.walking:
                before = times[-1] - times[-2]
                if interval > before * self._ratio or before > interval * self._ratio:
                    self._shuffled(m, times[:-1])
                    times = times[-1:]  # too unlike to be a gait: the count begins again
        times = (*times[1 - CADENCE_STEPS :], t_ns) if len(times) >= CADENCE_STEPS else (*times, t_ns)
        m.times = times
        if m.walking:
            m.steps += 1
        elif len(times) >= self._walking_steps:
            m.walking = True
            m.steps += len(times)
        if m.walking:
            m.cadence = 60e9 * (len(times) - 1) / (times[-1] - times[0])

    def _shuffled(self, m: GaitMemory, times: tuple[int, ...]) -> None:
        """Steps that have made no walk count where they were those of a turn on the spot."""
        if times and not m.walking and m.turning_ns is not None and m.turning_ns >= times[0]:
            m.steps += len(times)

    def _stop(self, m: GaitMemory) -> None:
        self._shuffled(m, m.times)
        m.times = ()
        m.walking = False
        m.cadence = 0.0
        m.told_s = 0.0

    def _turn(self, m: GaitMemory, pose: Pose, dt: float) -> None:
        (gx, gy, gz), (ux, uy, uz) = pose.gyro, pose.up
        gain = dt / (self._turn_s + dt)
        m.yaw += (gx * ux + gy * uy + gz * uz - m.yaw) * gain
        m.yaw_slow += (m.yaw - m.yaw_slow) * gain
        bound = self._turn_end_rate if m.turning else self._turn_rate
        turning = not -bound < m.yaw_slow < bound and pose.posture is Posture.UPRIGHT
        if m.turning and not turning:
            m.told_s = 0.0  # which way it went before the turn says nothing of after
        m.turning = turning
        if turning:
            m.turning_ns = pose.t_ns

    def _pace(self, m: GaitMemory) -> Pace:
        """Whether this is walking or running; in between neither is said."""
        if m.power > self._run_power or m.cadence > self._run_cadence:
            return "run"
        return "walk" if m.cadence < self._walk_cadence else "between"

    def _direction(self, m: GaitMemory, pose: Pose) -> Direction:
        if m.turning:
            m.known = Direction.UNKNOWN
            return Direction.TURNING
        if not m.walking:
            m.known = Direction.UNKNOWN
            return Direction.UNKNOWN if m.times or not pose.trusted else Direction.STILL
        pace = self._pace(m)
        if pace not in ("between", m.pace):
            m.told_s = 0.0  # the sign turns: what was gathered is of the other gait, or of both
            m.pace = pace
        if pace == "between" or m.told_s < self._direction_least_s:
            return m.known if pose.t_ns - m.known_ns <= self._hold_ns else Direction.UNKNOWN
        cross = m.cross
        seen = Direction.FORWARD if (cross > 0.0) is (pace == "walk") else Direction.BACKWARD
        enough = self._keep_squared if seen is m.known else self._sure_squared
        if cross * cross <= enough * m.forward_power * m.change_power:
            return Direction.UNKNOWN
        m.known, m.known_ns = seen, pose.t_ns
        return seen

    def _body(self, m: GaitMemory, pose: Pose, whole: bool) -> None:
        ax, ay, az = pose.accel
        gx, gy, gz = pose.measured_rate
        if not whole or m.part_ns is None:
            m.part_ns, m.part_n, m.part_sum, m.parts, m.moving = pose.t_ns, 1, (ax, ay, az, gx, gy, gz), (), True
            return
        sax, say, saz, sgx, sgy, sgz = m.part_sum
        sums = (sax + ax, say + ay, saz + az, sgx + gx, sgy + gy, sgz + gz)
        m.part_n += 1
        if pose.t_ns - m.part_ns < PART_NS:
            m.part_sum = sums
            return
        n = m.part_n
        m.part_ns, m.part_n, m.part_sum = pose.t_ns, 0, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        if n < PART_MIN:
            return
        x, y, z, p, q, r = sums
        parts = (*m.parts[-self._parts + 1 :], (x / n, y / n, z / n, p / n, q / n, r / n))
        m.parts = parts
        bounds = (self._moving_accel,) * 3 + (self._moving_rate,) * 3
        spans = (max(axis) - min(axis) for axis in zip(*parts, strict=True))
        m.moving = len(parts) < self._parts or any(span > bound for span, bound in zip(spans, bounds, strict=True))
