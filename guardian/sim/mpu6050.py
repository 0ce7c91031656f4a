"""MPU-6050 and the dies sold as one (MPU-6500, 9250, ICM-20689 …) as register maps, from InvenSense's register maps RM-MPU-6000A and
RM-MPU-6500A and the product specifications.

How it works. The oscillator gives a grid of 1 kHz; sample k lies on grid point k × (1 + SMPLRT_DIV). Outputs and FIFO bytes of coming
samples are made in blocks ahead of time. The FIFO is a stream of bytes: when it is full the oldest bytes go, and as its size is no
multiple of a frame of 12 what remains begins in the middle of one.

Simulated: reset values, masks, self-clearing bits, sleep at power-up (awake in the 6500's family), gyroscope start-up, ranges, DLPF with
the documented bandwidths and delays (and the 6500's separate one for the accelerometer), sample rate, FIFO, interrupt status, noise, bias,
saturation, temperature. Sample rates above 1 kHz (DLPF off) are shown at 1 kHz. Not simulated, and refused with ValueError: FIFO_MODE 1.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from guardian.config import Axis
from guardian.sim.inertial import Element, Moving, Specimen, Stuck, Tape, taps

G = 9.80665
GRID_HZ = 1000.0
FIFO_SIZE = {0x68: 1024, 0x70: 512, 0x71: 512, 0x73: 512, 0x74: 512}  # by WHO_AM_I; 0x98 chooses by ACCEL_CONFIG_2
ICM20689 = 0x98
RESET_NS = 50_000_000  # the register map asks for 100 ms after DEVICE_RESET; until then writes are lost
GYRO_START_S = 0.030  # product specification, gyroscope start-up time; zeros until then
# DLPF_CFG -> (bandwidth Hz, delay s). CONFIG of the 6050 filters both sensors ...
ACCEL_6050 = ((260, 0.0), (184, 0.0020), (94, 0.0030), (44, 0.0049), (21, 0.0085), (10, 0.0138), (5, 0.0190), (260, 0.0))
GYRO_6050 = ((256, 0.00098), (188, 0.0019), (98, 0.0028), (42, 0.0048), (20, 0.0083), (10, 0.0134), (5, 0.0186), (256, 0.00098))
# ... that of the 6500 the gyroscope; its accelerometer has ACCEL_CONFIG_2
GYRO_6500 = ((250, 0.00097), (184, 0.0029), (92, 0.0039), (41, 0.0059), (20, 0.0099), (10, 0.01785), (5, 0.03348), (3600, 0.00017))
ACCEL_6500 = (
    (218, 0.00188),
    (218, 0.00188),
    (99, 0.00288),
    (44.8, 0.00488),
    (21.2, 0.00887),
    (10.2, 0.01683),
    (5.05, 0.03248),
    (420, 0.00138),
)
ACCEL_UNFILTERED = (1046, 0.0005)
ACCEL_LSB_PER_G = (16384, 8192, 4096, 2048)
GYRO_LSB_PER_DPS = (131.0, 65.5, 32.8, 16.4)
ACCEL_NOISE_G = 400e-6  # per √Hz
GYRO_NOISE_DPS = 0.005
ZERO_G = 0.050 * G
ZERO_RATE = math.radians(3.0)  # parts seen; the sheet allows ±20 °/s
RATE_TOLERANCE = 0.01  # clocked by the gyroscope's PLL

MASKS = {
    0x19: 0xFF, 0x1A: 0x7F, 0x1B: 0xF8, 0x1C: 0xF8, 0x1F: 0xFF, 0x20: 0xFF, 0x23: 0xFF, 0x24: 0xFF,
    0x37: 0xFE, 0x38: 0x59, 0x67: 0xFF, 0x69: 0x30, 0x6A: 0x70, 0x6B: 0x7F, 0x6C: 0xFF,
}  # fmt: skip
SAMPLING = frozenset({0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x23, 0x6A, 0x6B, 0x6C})


class MpuChip:
    """An MPU-6050 or relative (`who_am_i`) mounted on the world's body with chip axes `mount` = (forward, left, up)."""

    def __init__(
        self,
        world: Moving,
        who_am_i: int = 0x68,
        mount: Sequence[Axis] = ("+x", "+y", "+z"),
        seed: int = 0,
        specimen: Specimen | None = None,
    ) -> None:
        self.who_am_i = who_am_i
        self.specimen = specimen or Specimen.drawn(seed, ZERO_G, ZERO_RATE, RATE_TOLERANCE)
        self._newer = who_am_i != 0x68  # register map of the 6500
        self._element = Element(world, mount, 1e9 / (GRID_HZ * (1 + self.specimen.rate_error)))
        self._rng = np.random.default_rng((seed, 3))
        self._bias = np.array([*self.specimen.accel_bias, *self.specimen.gyro_bias])
        self._fifo = Tape()
        self._stuck = Stuck()
        self.power_on(0)

    def power_on(self, t_ns: int) -> None:
        """The supply comes on: all registers at reset; the 6050 sleeps."""
        self._element.power_on(t_ns)
        self._reset_registers(t_ns)
        self._busy_until_ns = t_ns

    def _reset_registers(self, t_ns: int) -> None:
        self._registers = bytearray(128)
        self._registers[0x6B] = 0x01 if self._newer else 0x40
        self._registers[0x75] = self.who_am_i
        self._last_byte = 0
        self._awake = False
        self._ready_slot = -1
        self._overflowed = False
        self._plan(self._element.index(t_ns))
        self._fifo.empty()

    def stick(self, axes: Sequence[int], t_ns: int, count: int | None = None) -> None:
        """From now on these outputs (0-2 accelerometer, 3-5 gyroscope) stay at `count`, None: where they are; no axes: all move again."""
        self._replan(t_ns)
        self._stuck.hold(axes, count)

    # The bus

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        """Registers from `register` on; the address advances, but stays at FIFO_R_W."""
        if register == 0x74:
            return self._read_fifo(n, t_ns)
        if register == 0x72 and n == 2:
            return self._fill(t_ns).to_bytes(2, "big")
        self._show(t_ns)
        out = bytes(self._registers[(register + i) & 0x7F] for i in range(n))
        any_read_clears = self._registers[0x37] & 0x10
        if register <= 0x3A < register + n or any_read_clears:
            self._ready_slot = max(self._ready_slot, self._slot_now)
            self._overflowed = False
        return out

    def write(self, register: int, data: bytes, t_ns: int) -> None:
        """Registers from `register` on."""
        for i, value in enumerate(data):
            self._write_one(register + i, value, t_ns)

    def _write_one(self, register: int, value: int, t_ns: int) -> None:
        if t_ns < self._busy_until_ns:
            return
        if register == 0x6B and value & 0x80:
            self._replan(t_ns)
            self._reset_registers(t_ns)
            self._busy_until_ns = t_ns + RESET_NS
            return
        mask = (0xFF if self.who_am_i == ICM20689 else 0x0F) if register == 0x1D and self._newer else MASKS.get(register, 0)
        before = self._registers[register]
        self._registers[register] = (before & ~mask) | (value & mask)
        if register in SAMPLING:
            self._replan(t_ns)
        if register == 0x6A and value & 0x04 and not value & 0x40:  # FIFO_RESET works while FIFO_EN is 0, and clears itself
            self._fifo.empty()

    # Sampling

    @property
    def fifo_size(self) -> int:
        """Bytes."""
        if self.who_am_i == ICM20689:
            return 512 << (self._registers[0x1D] >> 6)
        return FIFO_SIZE.get(self.who_am_i, 512)

    def _replan(self, t_ns: int) -> None:
        """Registers changed: keep what was sampled until now, forget what lies ahead, and go on with the new plan."""
        here = self._advance(t_ns)
        self._fill(t_ns)
        self._fifo.cut(here // self._divider)
        self._plan(here)

    def _plan(self, here: int) -> None:
        r = self._registers
        if r[0x1A] & 0x40:
            raise ValueError("CONFIG: FIFO_MODE 1 is not simulated")
        awake = not r[0x6B] & 0x40
        if awake and not self._awake:
            self._gyro_from = here + int(GYRO_START_S * GRID_HZ)
        self._awake = awake
        dlpf = r[0x1A] & 7
        self._divider = max(1, (1 + r[0x19]) // (8 if dlpf in (0, 7) else 1))
        self._next = here // self._divider + 1
        self._row0, self._rows = self._next, b""
        self._ready_slot = self._slot_now = here // self._divider
        self._fifo.rebase(self._next)
        if self._newer:
            accel_hz, accel_s = ACCEL_UNFILTERED if r[0x1D] & 8 else ACCEL_6500[r[0x1D] & 7]
            gyro_hz, gyro_s = GYRO_6500[dlpf]
        else:
            (accel_hz, accel_s), (gyro_hz, gyro_s) = ACCEL_6050[dlpf], GYRO_6050[dlpf]
        self._accel_taps, self._gyro_taps = taps(accel_hz, accel_s, 1 / GRID_HZ), taps(gyro_hz, gyro_s, 1 / GRID_HZ)
        accel_lsb = G / ACCEL_LSB_PER_G[r[0x1C] >> 3 & 3]
        gyro_lsb = math.radians(1 / GYRO_LSB_PER_DPS[r[0x1B] >> 3 & 3])
        self._lsb = np.array([accel_lsb] * 3 + [gyro_lsb] * 3)
        accel_noise = ACCEL_NOISE_G * G * math.sqrt(1.11 * min(accel_hz, 500))
        gyro_noise = math.radians(GYRO_NOISE_DPS) * math.sqrt(1.11 * min(gyro_hz, 500))
        self._sigma = np.array([accel_noise] * 3 + [gyro_noise] * 3) * self.specimen.noise
        enabled = r[0x23] if r[0x6A] & 0x40 else 0
        columns = (list(range(6)) if enabled & 0x08 else []) + ([6, 7] if enabled & 0x80 else [])
        for bit, first in ((0x40, 8), (0x20, 10), (0x10, 12)):
            columns += [first, first + 1] if enabled & bit else []
        self._fifo_columns = columns
        self._standby = [column for column in range(6) if r[0x6C] & 0x20 >> column]

    def _advance(self, t_ns: int) -> int:
        """Make all samples up to now, and more where the world is known ahead. Returns the grid index of now."""
        here = self._element.index(t_ns)
        if here // self._divider >= self._next:
            end = self._element.reach(t_ns, here) // self._divider
            if self._awake:
                self._make(np.arange(self._next, end + 1))
            else:
                self._fifo.append(np.zeros(end + 1 - self._next, dtype=np.int64), b"")
            self._next = end + 1
        return here

    def _make(self, slots: NDArray[np.int64]) -> None:
        points = slots * self._divider
        motion = self._element.sense(points, self._accel_taps, self._gyro_taps) + self._bias
        motion += self._rng.standard_normal(motion.shape) * self._sigma
        raw = np.clip(np.rint(motion / self._lsb), -32768, 32767).astype(">i2")
        self._stuck.spoil(raw)
        raw[points < self._gyro_from, 3:] = 0
        raw[:, self._standby] = 0
        rows = np.empty((len(slots), 14), dtype=np.uint8)  # as the registers 0x3B-0x48
        octets = raw.view(np.uint8).reshape(len(slots), 12)
        rows[:, :6], rows[:, 6:8], rows[:, 8:] = octets[:, :6], np.frombuffer(self._temperature(), dtype=np.uint8), octets[:, 6:]
        at_least = max(self._row0, self._next - 2)  # the output registers show the last sample only
        self._rows = self._rows[(at_least - self._row0) * 14 :] + rows.tobytes()
        self._row0 = at_least
        frames = rows[:, self._fifo_columns]
        self._fifo.append(np.full(len(slots), frames.shape[1], dtype=np.int64), frames.tobytes())

    def _temperature(self) -> bytes:
        celsius = self._element.world.temperature_c
        raw = round((celsius - 21) * 333.87) if self._newer else round((celsius - 36.53) * 340)
        return max(-32768, min(32767, raw)).to_bytes(2, "big", signed=True)

    # What the bus sees

    def _show(self, t_ns: int) -> None:
        """Bring the read-only registers up to a time."""
        r = self._registers
        slot = self._advance(t_ns) // self._divider
        self._slot_now = slot
        at = (slot - self._row0) * 14
        if self._awake and slot >= self._row0:
            r[0x3B:0x49] = self._rows[at : at + 14]
        held = self._fill(t_ns)
        ready = self._awake and slot > self._ready_slot
        r[0x3A] = ((1 if ready else 0) | (0x10 if self._overflowed else 0)) & r[0x38]
        r[0x6B] = r[0x6B] & 0x7F | (0x80 if t_ns < self._busy_until_ns else 0)
        r[0x72:0x74] = held.to_bytes(2, "big")

    def _fill(self, t_ns: int) -> int:
        """Bytes in the FIFO now, after the oldest were overwritten by what did not fit."""
        slot = self._advance(t_ns) // self._divider
        held = self._fifo.written(slot) - self._fifo.read_at
        size = self.fifo_size
        if held > size:
            self._overflowed = True
            self._fifo.read_at += held - size
            held = size
        return held

    def _read_fifo(self, n: int, t_ns: int) -> bytes:
        """The oldest bytes; an empty FIFO repeats the last one."""
        data = self._fifo.peek(min(n, self._fill(t_ns)))
        if data:
            self._fifo.read_at += len(data)
            self._last_byte = data[-1]
        return data if len(data) == n else data + bytes((self._last_byte,)) * (n - len(data))
