"""Attitude: which way is up, how the belt sits on this wearer, and what posture that makes.

Theory of operation. `gravity` is specific force low-passed with `gravity_time_s`, in nominal body axes, and carried along by the
gyroscope: between two samples the world turns past the belt by the opposite of what was measured, v' = v × ω, done as a rational
(Cayley) rotation that keeps the length, without trigonometry. This is the complementary filter in its linear form: a sample weighs
by its own length (at most `accel_most_g`), so free fall says nothing, and the mean over a stride is unbiased, running included; a
filter that only believes samples near 1 g picks phases of the stride and was found to be 20-40° off in running.
The mean's length should be 1 g. Nothing is integrated across a hole, and after a full-scale sample nothing is believed for a
while; either way the filter levels itself anew as a plain running mean, and `trusted` stays False until that has gone on for
`level_s` and its length is within `level_g` of 1 g. It ends when the length leaves 1 g by thrice that: wrong scale, wrong chip.

A belt sits up to 36° off on real people, so "upright" is learnt: `axis` is the vertical, in nominal axes, of this wearer standing.
It comes from the calibration file, else from the first still second within `align_max_deg` of nominal up (someone who puts the
belt on lying down is not aligned to lying), else from the mean specific force over `align_walk_s` of walking (a walk's mean
acceleration is zero, so what is left is gravity). Walking then corrects it slowly, whatever it came from: belts creep. A still
second more than `align_doubt_deg` from the first walk's mean was an armchair, not standing, and is replaced by it.
Until it is known the nominal axes are used. All outputs are in the aligned frame: nominal axes turned by the smallest rotation
that brings `axis` to z.

Stillness is judged by variation, never by size, so that a wrong scale or a biased gyroscope still has still seconds to be found in.
"""

import math
from typing import Literal

from msgspec import Struct

from guardian.config import Calibration, Config, cos_deg, ns
from guardian.frame import ImuSample, Vector
from guardian.verdict import Posture

G = 9.80665  # standard gravity, m/s²
DEG = 180.0 / math.pi
Z: Vector = (0.0, 0.0, 1.0)
Rotation = tuple[float, float, float, float, float, float, float, float, float]  # row by row
LEVEL: Rotation = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
TINY = 1e-9  # below any count of any chip, squared and not: what is smaller has no direction
SETTLED_PARTS = 10  # comparisons in settled_s


class Pose(Struct, frozen=True, gc=False):
    """One sample's attitude, aligned body axes (x forward, y left, z the trunk's axis when upright)."""

    t_ns: int
    posture: Posture
    lean_cos: float  # cosine of the angle between the trunk's axis and the vertical: up[2]
    up: Vector  # unit vector of the vertical
    vertical_m_s2: float  # acceleration along the vertical, gravity taken off: + is upward
    accel: Vector  # specific force, m/s²
    gyro: Vector  # rad/s, bias taken off
    norm_g: float  # size of the specific force, g
    settled: bool  # low-passed vertical moved < settled_deg in settled_s
    still: bool  # a still second ends with this sample
    trusted: bool  # False: the orientation is not known, and the posture neither
    box_up: Vector = Z  # unit vector of the vertical in nominal axes, those of the box: where the ranger really looks
    measured_rate: Vector = (0.0, 0.0, 0.0)  # rad/s, nominal axes, as the chip gave it: no bias taken off, so no steps where it is learnt


class AttitudeMemory(Struct):
    """All that changes."""

    t_ns: int | None = None  # last sample
    gravity: Vector = Z  # g
    rate: Vector = (0.0, 0.0, 0.0)  # last angular rate, bias taken off
    level_s: float = 0.0  # time since levelling began
    trusted: bool = False
    distrust_ns: int | None = None  # nothing is believed before this
    down_ns: int | None = None  # further than down_deg since
    # settled
    slow: Vector = Z  # low-passed up
    ring: tuple[Vector, ...] = ()  # its last settled_s, newest last
    ring_ns: int | None = None
    settled: bool = False
    # stillness: the window that is still so far
    still_ns: int | None = None
    still_n: int = 0
    still_sum: tuple[float, float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)  # accel, gyro, norm
    still_low: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # gyro, norm
    still_high: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    still_means: tuple[float, float] = (1.0, 0.0)
    bias: Vector = (0.0, 0.0, 0.0)  # rad/s, nominal axes
    # alignment
    source: Literal["nominal", "calibration", "still", "walking"] = "nominal"
    axis: Vector = Z
    rotation: Rotation = LEVEL
    walk_s: float = 0.0  # walking summed so far ...
    walk_sum: Vector = (0.0, 0.0, 0.0)  # ... and its specific force times seconds


class Attitude:
    """Samples in, Pose out; see the module's docstring."""

    def __init__(self, config: Config, calibration: Calibration | None = None) -> None:
        """A calibration that is no stance (over align_max_deg off) or no bias (over imu.rest_gyro_deg_s) is left aside."""
        settings = config.estimate
        self._gravity_s = settings.gravity_time_s
        self._most = settings.accel_most_g * G
        self._level_g = settings.level_g
        self._hole_s = settings.hole_s
        self._level_s = settings.level_s
        self._distrust_ns = ns(settings.saturation_distrust_s)
        self._upright_cos = cos_deg(settings.upright_deg)
        self._down_cos = cos_deg(settings.down_deg)
        self._down_ns = ns(settings.down_s)
        self._settled_cos = cos_deg(settings.settled_deg)
        self._settled_part_ns = ns(settings.settled_s) // SETTLED_PARTS
        self._slow_s = settings.settled_lowpass_s
        self._still_rate = 2.0 * settings.still_gyro_deg_s / DEG  # the range that holds ± this
        self._still_norm = 2.0 * settings.still_accel_g * G
        self._still_ns = ns(settings.still_s)
        self._bias_gain = settings.bias_gain
        self._bias_max = config.imu.rest_gyro_deg_s / DEG
        self._align_cos = cos_deg(settings.align_max_deg)
        self._doubt_cos = cos_deg(settings.align_doubt_deg)
        self._align_walk_s = settings.align_walk_s
        self._align_gain = settings.align_walk_s / (settings.align_walk_s + settings.align_correct_s)
        self.memory = AttitudeMemory()
        if calibration is not None:
            if all(-self._bias_max < bias < self._bias_max for bias in calibration.gyro_bias):
                self.memory.bias = calibration.gyro_bias
            self._align(calibration.up, "calibration")

    @property
    def still_means(self) -> tuple[float, float]:
        """Mean norm (g) and size of the mean rate (rad/s) of the last still second, as the chip gave them: 1 and 0 at true rest."""
        return self.memory.still_means

    def gap(self, t_ns: int) -> None:
        """Samples were lost at t_ns: integrate nothing across the hole, and level anew."""
        m = self.memory
        m.t_ns = None
        m.level_s = 0.0
        m.down_ns = None
        m.ring = ()
        m.settled = False
        m.still_ns = None
        m.walk_s = 0.0
        m.walk_sum = (0.0, 0.0, 0.0)

    def step(self, sample: ImuSample, walking: bool = False) -> Pose:
        """The pose at this sample; `walking` is the gait's last word. Samples out of order count as a hole."""
        m = self.memory
        t_ns = sample.t_ns
        dt = 0.0 if m.t_ns is None else (t_ns - m.t_ns) * 1e-9
        if not 0.0 <= dt <= self._hole_s:
            self.gap(t_ns)
            dt = 0.0
        m.t_ns = t_ns
        ax, ay, az = sample.accel
        gx, gy, gz = sample.gyro
        bx, by, bz = m.bias
        rx, ry, rz = gx - bx, gy - by, gz - bz
        norm = math.sqrt(ax * ax + ay * ay + az * az)
        if dt > 0.0:
            self._carry(m, rx, ry, rz, dt)
        m.rate = (rx, ry, rz)
        ux, uy, uz = up = self._level(m, sample, norm, dt)
        self._settle(m, t_ns, dt, up)
        still = self._rest(m, sample, norm)
        if walking or m.walk_s:
            self._walk(m, sample.accel, dt, walking)
        a, b, c, d, e, f, g, h, i = m.rotation
        lean_cos = g * ux + h * uy + i * uz
        return Pose(
            t_ns,
            self._posture(m, t_ns, lean_cos),
            lean_cos,
            (a * ux + b * uy + c * uz, d * ux + e * uy + f * uz, lean_cos),
            ax * ux + ay * uy + az * uz - G,
            (a * ax + b * ay + c * az, d * ax + e * ay + f * az, g * ax + h * ay + i * az),
            (a * rx + b * ry + c * rz, d * rx + e * ry + f * rz, g * rx + h * ry + i * rz),
            norm / G,
            m.settled,
            still,
            m.trusted,
            (ux, uy, uz),
            sample.gyro,
        )

    def _carry(self, m: AttitudeMemory, rx: float, ry: float, rz: float, dt: float) -> None:
        """Turn gravity by the mean of the last rate and this one over dt: exact in length, to the third order in angle."""
        vx, vy, vz = m.gravity
        px, py, pz = m.rate
        half = 0.25 * dt  # half the angle, of the mean of two rates
        qx, qy, qz = (rx + px) * half, (ry + py) * half, (rz + pz) * half
        cx, cy, cz = vy * qz - vz * qy, vz * qx - vx * qz, vx * qy - vy * qx
        scale = 2.0 / (1.0 + qx * qx + qy * qy + qz * qz)
        m.gravity = (
            vx + scale * (cx + cy * qz - cz * qy),
            vy + scale * (cy + cz * qx - cx * qz),
            vz + scale * (cz + cx * qy - cy * qx),
        )

    def _level(self, m: AttitudeMemory, sample: ImuSample, norm: float, dt: float) -> Vector:
        """Take the accelerometer into gravity, decide on trust, and return the unit vertical."""
        t_ns = sample.t_ns
        ax, ay, az = sample.accel
        vx, vy, vz = m.gravity
        if sample.saturated:
            m.distrust_ns = t_ns + self._distrust_ns
            m.level_s = 0.0
        elif m.level_s == 0.0:
            vx, vy, vz = ax / G, ay / G, az / G
            m.level_s = TINY
        else:
            m.level_s = span = m.level_s + dt
            gain = dt / (span if span < self._gravity_s else self._gravity_s + dt)
            weight = (1.0 if norm <= self._most else self._most / norm) / G
            vx += (ax * weight - vx) * gain
            vy += (ay * weight - vy) * gain
            vz += (az * weight - vz) * gain
        m.gravity = (vx, vy, vz)
        size = math.sqrt(vx * vx + vy * vy + vz * vz)
        off = abs(size - 1.0)
        if m.distrust_ns is not None and t_ns >= m.distrust_ns:
            m.distrust_ns = None
        believable = off < (3.0 * self._level_g if m.trusted else self._level_g)
        m.trusted = believable and m.level_s >= self._level_s and m.distrust_ns is None
        return (vx / size, vy / size, vz / size) if size > TINY else Z

    def _posture(self, m: AttitudeMemory, t_ns: int, lean_cos: float) -> Posture:
        if not m.trusted or lean_cos > self._down_cos:
            m.down_ns = None
            if not m.trusted:
                return Posture.UNKNOWN
            known = m.source != "nominal"  # until then what leans may be the belt: only down is not upright
            return Posture.UPRIGHT if not known or lean_cos > self._upright_cos else Posture.LEANING
        if m.down_ns is None:
            m.down_ns = t_ns
        return Posture.DOWN if t_ns - m.down_ns >= self._down_ns else Posture.LEANING

    def _walk(self, m: AttitudeMemory, accel: Vector, dt: float, walking: bool) -> None:
        """Sum specific force while walking lasts; align_walk_s of it are a vertical."""
        if not walking or not m.trusted:
            m.walk_s, m.walk_sum = 0.0, (0.0, 0.0, 0.0)
            return
        x, y, z = m.walk_sum
        m.walk_s += dt
        m.walk_sum = (x + accel[0] * dt, y + accel[1] * dt, z + accel[2] * dt)
        if m.walk_s >= self._align_walk_s:
            self._align(m.walk_sum, "walking")
            m.walk_s, m.walk_sum = 0.0, (0.0, 0.0, 0.0)

    def _settle(self, m: AttitudeMemory, t_ns: int, dt: float, up: Vector) -> None:
        """Compare the low-passed vertical with itself up to settled_s ago, SETTLED_PARTS times in that span."""
        if not m.trusted:
            m.ring = ()
            m.settled = False
            return
        if not m.ring:
            m.slow = up
            m.ring = (up,)
            m.ring_ns = t_ns
            return
        gain = dt / (self._slow_s + dt)
        sx, sy, sz = m.slow
        ux, uy, uz = up
        m.slow = sx, sy, sz = sx + (ux - sx) * gain, sy + (uy - sy) * gain, sz + (uz - sz) * gain
        if m.ring_ns is not None and t_ns - m.ring_ns < self._settled_part_ns:
            return
        m.ring_ns = t_ns
        size = math.sqrt(sx * sx + sy * sy + sz * sz)
        bound = self._settled_cos * size
        full = len(m.ring) >= SETTLED_PARTS
        m.settled = full and all(x * sx + y * sy + z * sz > bound for x, y, z in m.ring)
        if size > TINY:
            m.ring = (*m.ring[1:], (sx / size, sy / size, sz / size)) if full else (*m.ring, (sx / size, sy / size, sz / size))

    def _rest(self, m: AttitudeMemory, sample: ImuSample, norm: float) -> bool:
        """True when this sample ends a still second; its means become still_means, a share of the bias, at first the alignment."""
        ax, ay, az = sample.accel
        gx, gy, gz = sample.gyro
        t_ns = sample.t_ns
        if m.still_ns is not None and not sample.saturated:
            lx, ly, lz, ln = m.still_low
            hx, hy, hz, hn = m.still_high
            if gx < lx or gy < ly or gz < lz or norm < ln:
                m.still_low = lx, ly, lz, ln = (
                    gx if gx < lx else lx,
                    gy if gy < ly else ly,
                    gz if gz < lz else lz,
                    norm if norm < ln else ln,
                )
            if gx > hx or gy > hy or gz > hz or norm > hn:
                m.still_high = hx, hy, hz, hn = (
                    gx if gx > hx else hx,
                    gy if gy > hy else hy,
                    gz if gz > hz else hz,
                    norm if norm > hn else hn,
                )
            limit = self._still_rate
            if hx - lx < limit and hy - ly < limit and hz - lz < limit and hn - ln < self._still_norm:
                sax, say, saz, sgx, sgy, sgz, sn = m.still_sum
                m.still_sum = (sax + ax, say + ay, saz + az, sgx + gx, sgy + gy, sgz + gz, sn + norm)
                m.still_n += 1
                if t_ns - m.still_ns < self._still_ns:
                    return False
                m.still_ns = None
                if m.still_low == m.still_high:
                    return False  # not one count of noise: the chip is frozen, and knows nothing of rest
                self._rested(m)
                return True
        # begin again with this sample
        m.still_ns = None if sample.saturated else t_ns
        m.still_n = 1
        m.still_sum = (ax, ay, az, gx, gy, gz, norm)
        m.still_low = m.still_high = (gx, gy, gz, norm)
        return False

    def _rested(self, m: AttitudeMemory) -> None:
        ax, ay, az, gx, gy, gz, norm = m.still_sum
        n = m.still_n
        gx, gy, gz = gx / n, gy / n, gz / n
        rate = math.sqrt(gx * gx + gy * gy + gz * gz)
        m.still_means = (norm / n / G, rate)
        if rate < self._bias_max:
            bx, by, bz = m.bias
            gain = self._bias_gain
            m.bias = (bx + (gx - bx) * gain, by + (gy - by) * gain, bz + (gz - bz) * gain)
        if m.source == "nominal":
            self._align((ax, ay, az), "still")

    def _align(self, vertical: Vector, source: Literal["calibration", "still", "walking"]) -> None:
        """Take a vertical of any length, in nominal axes, as the wearer's upright one; if one is known, move a little towards it."""
        m = self.memory
        x, y, z = vertical
        size = math.sqrt(x * x + y * y + z * z)
        if not (TINY < size < 1e9 and z >= self._align_cos * size):
            return
        x, y, z = x / size, y / size, z / size
        ox, oy, oz = m.axis
        if m.source == "nominal" or (m.source == "still" and x * ox + y * oy + z * oz < self._doubt_cos):
            m.source = source
        else:
            gain = self._align_gain
            x, y, z = ox + (x - ox) * gain, oy + (y - oy) * gain, oz + (z - oz) * gain
            size = math.sqrt(x * x + y * y + z * z)  # both lie within align_max_deg < 90° of z: never 0
            x, y, z = x / size, y / size, z / size
        m.axis = (x, y, z)
        w = 1.0 / (1.0 + z)
        m.rotation = (1.0 - x * x * w, -x * y * w, -x, -x * y * w, 1.0 - y * y * w, -y, x, y, z)
