"""What both inertial chips are made of: sensing elements behind a low-pass, and a FIFO that fills by itself.

How it works. The element samples the world on a fine grid of the chip's own oscillator (833 or 1000 Hz nominal) and low-passes it with
the truncated impulse response of a second-order filter that has the data sheet's bandwidth and delay. The world is asked in blocks up to
its horizon, each time once and in order; what a later change of registers makes of those samples is computed anew from them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from guardian.config import Axis, axis_row

Vector = tuple[float, float, float]
Floats = NDArray[np.float64]

BLOCK = 4096  # fine samples computed ahead where the horizon allows, 4-5 s: numpy's cost per call is spread over some 400 outputs
KEEP_TAPS = 256  # history kept for filters that a register write may choose


class Moving(Protocol):
    """The world as an inertial chip feels it (guardian.sim.world)."""

    @property
    def temperature_c(self) -> float: ...

    def motion(self, t_ns: NDArray[np.int64]) -> Floats: ...

    def horizon_ns(self, now_ns: int) -> int: ...


@dataclass(frozen=True)
class Specimen:
    """What differs between two parts of one type. Biases in chip axes; `noise` in multiples of the data sheet's density."""

    accel_bias: Vector = (0.0, 0.0, 0.0)  # m/s²
    gyro_bias: Vector = (0.0, 0.0, 0.0)  # rad/s
    noise: float = 1.0
    rate_error: float = 0.0  # of the oscillator: +0.01 runs 1 % fast

    @staticmethod
    def drawn(seed: int, zero_g: float, zero_rate: float, rate: float) -> "Specimen":
        """A part drawn at random within the data sheet's typical zero-g (m/s²), zero-rate (rad/s) and oscillator tolerance."""
        rng = np.random.default_rng((seed, 1))
        ax, ay, az, gx, gy, gz, r = rng.uniform(-1, 1, 7).tolist()
        return Specimen((ax * zero_g, ay * zero_g, az * zero_g), (gx * zero_rate, gy * zero_rate, gz * zero_rate), 1.0, r * rate)


class Stuck:
    """What is broken between element and registers: some outputs (0-2 accelerometer, 3-5 gyroscope) show one count whatever is sensed."""

    def __init__(self) -> None:
        self._axes: list[int] = []
        self._counts: NDArray[np.int16] | int | None = None

    def hold(self, axes: Sequence[int], count: int | None = None) -> None:
        """These stay at `count`, None: at the next they show. No axes: all follow again."""
        self._axes, self._counts = list(axes), count

    def spoil(self, raw: NDArray[np.int16]) -> None:
        """Put it into rows of six counts."""
        if self._axes:
            if self._counts is None:
                self._counts = raw[0, self._axes].copy()
            raw[:, self._axes] = self._counts


def taps(bandwidth_hz: float, delay_s: float | None, step_s: float) -> Floats:
    """Impulse response, sum 1, of a second-order low-pass with this -3 dB bandwidth and this delay at low frequency.

    Without a documented delay it is a Butterworth filter (delay sqrt(2)/ω). A longer delay is added as dead time; a shorter one is met by a
    lower Q, for which delay × bandwidth falls towards that of one pole (the 6050's sheet claims less than that at 5 and 10 Hz: not met).
    """
    q = math.sqrt(0.5)
    dead_s = 0.0
    if delay_s is not None:
        own_s = _spread(q) / (2 * math.pi * bandwidth_hz)
        dead_s = max(0.0, delay_s - own_s)
        if delay_s < own_s:
            low, high = 0.25, q
            for _ in range(40):
                q = (low + high) / 2
                low, high = (low, q) if _spread(q) > delay_s * 2 * math.pi * bandwidth_hz else (q, high)
    omega = 2 * math.pi * bandwidth_hz / _corner(q)
    t = np.arange(KEEP_TAPS) * step_s - dead_s
    root = np.emath.sqrt(complex(0.25 / q**2 - 1))
    fast, slow = omega * (-0.5 / q - root), omega * (-0.5 / q + root)
    t_on = np.maximum(t, 0.0)
    response = np.where(t > 0, ((np.exp(slow * t_on) - np.exp(fast * t_on)) / (slow - fast)).real, 0.0)
    if not response.any():  # wider than the grid can show
        response[0] = 1.0
    last = int(np.flatnonzero(np.abs(response) > 1e-4 * np.abs(response).max())[-1])
    kept: Floats = response[: last + 1] / response[: last + 1].sum()
    return kept


def _corner(q: float) -> float:
    """-3 dB frequency of a second-order low-pass in units of its natural frequency."""
    a = 1 - 0.5 / q**2
    return math.sqrt(a + math.sqrt(a * a + 1))


def _spread(q: float) -> float:
    """Delay at low frequency × 2π bandwidth: (1/q)/ω0 × ω3."""
    return _corner(q) / q


class Element:
    """Proof masses on a body: specific force and rate in chip axes, low-passed, at instants of the chip's fine grid.

    `step_ns` is the grid's true spacing; grid point 0 lies at the first power-on.
    """

    def __init__(self, world: Moving, mount: Sequence[Axis], step_ns: float) -> None:
        self.world = world
        self.step_ns = step_ns
        self.origin_ns: int | None = None
        self._turn = np.array([axis_row(axis) for axis in mount], dtype=float)  # body = turn · chip, so chip = body · turn
        self._first = 0  # grid index of _seen[0]
        self._seen: Floats = np.empty((0, 6))

    def power_on(self, t_ns: int) -> None:
        """The supply comes on. The grid stays where it was first."""
        if self.origin_ns is None:
            self.origin_ns = t_ns

    def index(self, t_ns: int) -> int:
        """The last grid point at or before a time."""
        assert self.origin_ns is not None, "not powered"
        return int((t_ns - self.origin_ns) / self.step_ns)

    def reach(self, now_ns: int, index: int) -> int:
        """How far ahead the world is known now: a grid index ≥ `index`, at most BLOCK ahead."""
        return max(index, min(self.index(self.world.horizon_ns(now_ns)), index + BLOCK))

    def sense(self, points: NDArray[np.int64], accel_taps: Floats, gyro_taps: Floats) -> Floats:
        """(n, 6) at these grid points, increasing: m/s² and rad/s in chip axes."""
        self._see(int(points[0]) - KEEP_TAPS, int(points[-1]))
        at = points - self._first
        out = np.empty((len(points), 6))
        for columns, response in ((slice(0, 3), accel_taps), (slice(3, 6), gyro_taps)):
            window = np.maximum(at[:, None] - np.arange(len(response)), 0)  # before the first moment the world stood as it was then
            out[:, columns] = np.tensordot(self._seen[:, columns][window], response, axes=(1, 0))
        return out

    def _see(self, first: int, last: int) -> None:
        """Have the world's motion from grid index `first` (or the origin) to `last`; never asks it twice or backward."""
        first = max(first, 0)
        end = self._first + len(self._seen)
        if last < end:
            return
        if first >= end:  # nobody looked for a while
            self._seen, self._first, end = np.empty((0, 6)), first, first
        grid = np.arange(end, last + 1)
        assert self.origin_ns is not None
        t_ns = self.origin_ns + np.floor(grid * self.step_ns).astype(np.int64)
        body = self.world.motion(t_ns)
        chip = np.hstack((body[:, :3] @ self._turn, body[:, 3:] @ self._turn))
        drop = max(0, first - self._first)
        self._seen = np.concatenate((self._seen[drop:], chip))
        self._first += drop


class Tape:
    """A stream of bytes written slot by slot ahead of time and read up to now: the body of a FIFO.

    Positions are absolute byte counts, so that a fixed size or a lost frame is plain arithmetic.
    """

    def __init__(self) -> None:
        self.read_at = 0
        self._data = b""
        self._base = 0  # position of _data[0]
        self._first_slot = 0
        self._start = 0  # position before _first_slot
        self._ends: list[int] = []  # position after each slot

    def rebase(self, slot: int) -> None:
        """Number the batches to come from `slot` on."""
        self._start = self._ends[-1] if self._ends else self._start
        self._ends.clear()
        self._first_slot = slot

    def empty(self) -> None:
        """Forget what is unread."""
        self._start = self._base = self.read_at
        self._ends = [self.read_at] * len(self._ends)
        self._data = b""

    def append(self, sizes: NDArray[np.int64], data: bytes) -> None:
        """The bytes of the next len(sizes) slots. What was read before is forgotten."""
        drop = min(self.read_at, self._base + len(self._data)) - self._base
        self._data = self._data[drop:] + data
        self._base += drop
        kept = max(0, len(self._ends) - 1)  # reads go forward only: of the ends, the last tells all
        while kept > 0 and self._ends[kept - 1] > self.read_at:
            kept -= 1
        last = self._ends[-1] if self._ends else self._start
        if kept:
            self._start = self._ends[kept - 1]
            del self._ends[:kept]
            self._first_slot += kept
        self._ends.extend((np.cumsum(sizes) + last).tolist())

    def cut(self, slot: int) -> None:
        """Forget what was written ahead for slots after `slot`."""
        keep = max(0, slot + 1 - self._first_slot)
        if keep < len(self._ends):
            del self._ends[keep:]
            last = self._ends[-1] if self._ends else self._start
            self._data = self._data[: max(0, last - self._base)]

    def written(self, slot: int) -> int:
        """Bytes written by the end of a slot, since the beginning."""
        at = slot - self._first_slot
        return self._start if at < 0 else self._ends[at]

    def peek(self, n: int) -> bytes:
        """The next n bytes, unread."""
        at = self.read_at - self._base
        return self._data[at : at + n]
