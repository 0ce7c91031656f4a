"""LSM6DSOX and LSM6DSO32 as register maps, from ST's data sheets and the application note AN5272.

How it works. The oscillator gives a fine grid of 833 Hz; each output data rate is a power of two below it. Slot k of the sample clock
lies on grid point k × divider. Outputs and FIFO words of coming slots are made in blocks ahead of time, and what is visible at a time
is arithmetic on slots. A write that changes sampling forgets what lies ahead and begins anew from there.

Simulated: registers with reset values, masks and self-clearing bits, power-down at power-up, ranges, ODR, LPF1/LPF2, noise, bias,
saturation, filter settling (DRDY_MASK), FIFO modes bypass and continuous with tags, batch rates, time stamps with FREQ_FINE,
overrun flags, temperature. Not simulated, and refused with ValueError: rates above 833 Hz, other FIFO modes and FIFO compression.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from guardian.config import Axis
from guardian.sim.inertial import Element, Floats, Moving, Specimen, Stuck, Tape, taps

G = 9.80665
GRID_HZ = 6667 / 8  # INTERNAL_FREQ_FINE: ODR = (6667 + 0.0015 × FREQ_FINE × 6667) / coefficient; 833 Hz has coefficient 8
TICK_HZ = 40000  # 25 µs time stamps, trimmed by the same FREQ_FINE
FINE_STEP = 0.0015
# grid points per sample for each ODR code; 11 is 1.6 Hz (low power only)
DIVIDER = {0: 0, 1: 64, 2: 32, 3: 16, 4: 8, 5: 4, 6: 2, 7: 1, 11: 512}
TEMP_DIVIDER = (0, 512, 64, 16)  # FIFO_CTRL4 ODR_T_BATCH: none, 1.6, 12.5, 52 Hz
FIFO_WORDS = 512  # 3 kB of 7-byte words
WORD = 7
GYRO, ACCEL, TEMPERATURE, TIMESTAMP = 1, 2, 3, 4  # FIFO_DATA_OUT_TAG, TAG_SENSOR
SETTLING_GYRO_S = 0.07  # gyroscope turn-on time
SETTLING_ACCEL_SLOTS = 2  # samples to discard after power-down
GARBAGE = 0x7FFD  # what FIFO and outputs hold while filters settle and DRDY_MASK is set
RESET_NS = 50_000  # SW_RESET clears itself within 50 µs
BOOT_NS = 10_000_000  # BOOT takes 10 ms

RESET_VALUES = {0x02: 0x3F, 0x0F: 0x6C, 0x12: 0x04, 0x18: 0xE0}  # all others 0 (register address map)
# writable bits; registers that are not here ignore writes
MASKS = {
    0x01: 0xC0, 0x02: 0x7F, 0x07: 0xFF, 0x08: 0xD7, 0x09: 0xFF, 0x0A: 0xF7, 0x0B: 0xE7, 0x0C: 0xFF, 0x0D: 0xFF, 0x0E: 0x7F,
    0x10: 0xFE, 0x11: 0xFE, 0x12: 0xFD, 0x13: 0x6E, 0x14: 0xFF, 0x15: 0xFF, 0x16: 0xFE, 0x17: 0xFF, 0x18: 0xFE, 0x19: 0x20,
    0x56: 0xFF, 0x57: 0xFF, 0x58: 0xFF, 0x59: 0xFF, 0x5A: 0xFF, 0x5B: 0x9F, 0x5C: 0xFF, 0x5D: 0xFF, 0x5E: 0xFF, 0x5F: 0xFF,
    0x62: 0x18, 0x73: 0xFF, 0x74: 0xFF, 0x75: 0xFF,
}  # fmt: skip
SAMPLING = frozenset({0x08, 0x09, 0x0A, 0x10, 0x11, 0x13, 0x15, 0x16, 0x17, 0x19})

ACCEL_G = {"lsm6dsox": (2, 16, 4, 8), "lsm6dso32": (4, 32, 8, 16)}  # FS_XL code -> full scale in g
ACCEL_LSB_G = {2: 0.061e-3, 4: 0.122e-3, 8: 0.244e-3, 16: 0.488e-3, 32: 0.976e-3}
GYRO_LSB_DPS = (8.75e-3, 17.5e-3, 35e-3, 70e-3)  # FS_G 250, 500, 1000, 2000
GYRO_125_DPS = 4.375e-3
ACCEL_NOISE_G = {2: 70e-6, 4: 75e-6, 8: 80e-6, 16: 110e-6, 32: 220e-6}  # per √Hz
GYRO_NOISE_DPS = 3.8e-3  # per √Hz, high performance
ZERO_G = 0.020 * G  # typical
ZERO_RATE = math.radians(1.0)
RATE_TOLERANCE = 0.015  # FREQ_FINE spans ±19 %; parts seen lie within this
GYRO_LPF1_HZ = {
    64: 4.2,
    32: 8.3,
    16: 16.6,
    8: 33.0,
    4: 66.8,
    2: 135.9,
    1: 239.2,
}  # by divider, FTYPE 0; the data sheet gives no delay: Butterworth
HPCF_DIVIDER = (4, 10, 20, 45, 100, 200, 400, 800)  # LPF2 cutoff = ODR / this


class LsmChip:
    """An LSM6DSOX or LSM6DSO32 (`model`) mounted on the world's body with chip axes `mount` = (forward, left, up).

    `first_tick`: where the 32-bit time stamp begins (0 in a real part), so that a test can see it wrap.
    """

    def __init__(
        self,
        world: Moving,
        model: Literal["lsm6dsox", "lsm6dso32"] = "lsm6dsox",
        mount: Sequence[Axis] = ("+x", "+y", "+z"),
        seed: int = 0,
        specimen: Specimen | None = None,
        first_tick: int = 0,
    ) -> None:
        self.model = model
        self.specimen = specimen or Specimen.drawn(seed, ZERO_G, ZERO_RATE, RATE_TOLERANCE)
        self.freq_fine = round(self.specimen.rate_error / FINE_STEP)
        self._element = Element(world, mount, 1e9 / (GRID_HZ * (1 + self.specimen.rate_error)))
        self._rng = np.random.default_rng((seed, 2))
        self._first_tick = first_tick
        self._bias = np.array([*self.specimen.accel_bias, *self.specimen.gyro_bias])
        self._fifo = Tape()
        self._stuck = Stuck()
        self.power_on(0)

    def power_on(self, t_ns: int) -> None:
        """The supply comes on: all registers at reset, both sensors in power-down."""
        self._element.power_on(t_ns)
        self._reset_registers(t_ns)

    def _reset_registers(self, t_ns: int) -> None:
        self._registers = bytearray(128)
        for register, value in RESET_VALUES.items():
            self._registers[register] = value
        self._registers[0x63] = self.freq_fine & 0xFF
        self._busy_until_ns = t_ns
        self._booting_until_ns = t_ns
        self._settled_gyro = self._settled_accel = 0  # grid index from which the output is valid
        self._divider = self._accel_every = self._gyro_every = 0
        self._stamp_from: int | None = None
        self._fifo_full = self._fifo_latched = False
        self._plan(self._element.index(t_ns))

    def stick(self, axes: Sequence[int], t_ns: int, count: int | None = None) -> None:
        """From now on these outputs (0-2 accelerometer, 3-5 gyroscope) stay at `count`, None: where they are; no axes: all move again."""
        self._replan(t_ns)
        self._stuck.hold(axes, count)

    # The bus

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        """Registers from `register` on. With IF_INC the address advances, and wraps from 0x7E to 0x78 in the FIFO."""
        if register == 0x78:
            return self._read_fifo(n, t_ns)
        if register == 0x3A and n == 2:
            return self._fifo_status(t_ns)
        self._show(t_ns)
        increments = self._registers[0x12] & 0x04
        out = bytes(self._registers[(register + i if increments else register) & 0x7F] for i in range(n))
        last = register + n - 1 if increments else register
        for at in range(register, last + 1):
            self._after_read(at & 0x7F)
        return out

    def write(self, register: int, data: bytes, t_ns: int) -> None:
        """Registers from `register` on."""
        for i, value in enumerate(data):
            self._write_one(register + i if self._registers[0x12] & 0x04 else register, value, t_ns)

    def _write_one(self, register: int, value: int, t_ns: int) -> None:
        if t_ns < self._busy_until_ns:
            return  # resetting: not listening
        if register == 0x42 and value == 0xAA:
            self._first_tick = 0
            self._stamp_from = None
            self._replan(t_ns)
        mask = MASKS.get(register, 0)
        if not mask:
            return
        if register == 0x12 and value & 0x01:
            self._replan(t_ns)
            self._reset_registers(t_ns)
            self._busy_until_ns = t_ns + RESET_NS
            return
        if register == 0x12 and value & 0x80:
            self._booting_until_ns = t_ns + BOOT_NS
        before = self._registers[register]
        self._registers[register] = (before & ~mask) | (value & mask)
        if register in SAMPLING and self._registers[register] != before:
            self._replan(t_ns)

    # Sampling

    def _replan(self, t_ns: int) -> None:
        """Registers changed: keep what was sampled until now, forget what lies ahead, and go on with the new plan."""
        here = self._advance(t_ns)
        self._fifo.cut(here // self._divider)
        self._plan(here)

    def _plan(self, here: int) -> None:
        r = self._registers
        if r[0x08] & 0x40 or r[0x0A] & 0x07 not in (0, 6):
            raise ValueError(f"FIFO_CTRL2 = 0x{r[0x08]:02X}, FIFO_CTRL4 = 0x{r[0x0A]:02X}: this mode is not simulated")
        accel, gyro = DIVIDER.get(r[0x10] >> 4), DIVIDER.get(r[0x11] >> 4)
        if accel is None or gyro is None or gyro > 64:
            raise ValueError(f"CTRL1_XL = 0x{r[0x10]:02X}, CTRL2_G = 0x{r[0x11]:02X}: this rate is not simulated")
        if gyro and not self._gyro_every:
            self._settled_gyro = here + int(SETTLING_GYRO_S * GRID_HZ)
        if accel and not self._accel_every:
            self._settled_accel = here + SETTLING_ACCEL_SLOTS * accel + 1
        self._accel_every, self._gyro_every = accel, gyro
        self._divider = min(d for d in (accel, gyro, 512) if d)
        self._next = here // self._divider + 1  # first slot not made
        self._fifo.rebase(self._next)
        if not r[0x0A] & 0x07:
            self._fifo.empty()
            self._fifo_full = self._fifo_latched = False
        self._row0 = self._next
        self._rows = b""
        self._read_accel = self._read_gyro = -1  # slot last read: STATUS_REG
        step_s = 1 / GRID_HZ
        accel_hz = GRID_HZ / max(accel, 1)
        lpf2 = r[0x10] & 0x02
        self._accel_hz = accel_hz / HPCF_DIVIDER[r[0x17] >> 5] if lpf2 else accel_hz / 2
        self._gyro_hz = GYRO_LPF1_HZ.get(gyro, 4.2) if r[0x13] & 0x02 else 0.48 * GRID_HZ / max(gyro, 1)
        self._accel_taps, self._gyro_taps = taps(self._accel_hz, None, step_s), taps(self._gyro_hz, None, step_s)
        scale_g = ACCEL_G[self.model][r[0x10] >> 2 & 3]
        accel_lsb = ACCEL_LSB_G[scale_g] * G
        gyro_lsb = math.radians(GYRO_125_DPS if r[0x11] & 0x02 else GYRO_LSB_DPS[r[0x11] >> 2 & 3])
        self._lsb = np.array([accel_lsb] * 3 + [gyro_lsb] * 3)
        accel_noise = ACCEL_NOISE_G[scale_g] * G * math.sqrt(1.11 * self._accel_hz)  # 1.11: second order against a brick wall
        gyro_noise = math.radians(GYRO_NOISE_DPS) * math.sqrt(1.11 * self._gyro_hz)
        self._sigma = np.array([accel_noise] * 3 + [gyro_noise] * 3) * self.specimen.noise
        if not r[0x19] & 0x20:
            self._stamp_from = None
        elif self._stamp_from is None:
            self._stamp_from = here

    def _advance(self, t_ns: int) -> int:
        """Make all slots up to now, and more where the world is known ahead. Returns the grid index of now."""
        here = self._element.index(t_ns)
        slot = here // self._divider
        if slot >= self._next:
            end = self._element.reach(t_ns, here) // self._divider
            self._make(np.arange(self._next, end + 1))
            self._next = end + 1
        return here

    def _make(self, slots: NDArray[np.int64]) -> None:
        if not (self._accel_every or self._gyro_every):
            zero = np.zeros((len(slots), 6), dtype="<i2")
            self._keep(slots, zero)
            return
        points = slots * self._divider
        motion: Floats = self._element.sense(points, self._accel_taps, self._gyro_taps) + self._bias
        motion += self._rng.standard_normal(motion.shape) * self._sigma
        raw = np.clip(np.rint(motion / self._lsb), -32768, 32767).astype("<i2")
        self._stuck.spoil(raw)
        masked = self._registers[0x13] & 0x08
        for columns, settled, every in (
            (slice(0, 3), self._settled_accel, self._accel_every),
            (slice(3, 6), self._settled_gyro, self._gyro_every),
        ):
            if not every:
                raw[:, columns] = 0
            elif points[0] < settled:
                early = np.flatnonzero(points < settled)
                left = (settled - points[early]) / GRID_HZ
                raw[early, columns] = GARBAGE if masked else np.rint(8000 * left / SETTLING_GYRO_S)[:, None]
        self._keep(slots, raw)

    def _keep(self, slots: NDArray[np.int64], raw: NDArray[np.int16]) -> None:
        at_least = max(self._row0, self._next - 2)  # the output registers show the last slot only
        self._rows = self._rows[(at_least - self._row0) * 12 :] + raw.tobytes()
        self._row0 = at_least
        sizes, data = self._words(slots, raw)
        self._fifo.append(sizes, data)

    def _words(self, slots: NDArray[np.int64], raw: NDArray[np.int16]) -> tuple[NDArray[np.int64], bytes]:
        """FIFO words of these slots: their bytes per slot, and the bytes. A slot's order: time stamp, temperature, gyro, accelerometer."""
        r = self._registers
        none = np.zeros(len(slots), dtype=np.int64)
        if not r[0x0A] & 0x07:
            return none, b""
        points = slots * self._divider
        batch_gyro, batch_accel = DIVIDER.get(r[0x09] >> 4), DIVIDER.get(r[0x09] & 15)
        if batch_gyro is None or batch_accel is None:
            raise ValueError(f"FIFO_CTRL3 = 0x{r[0x09]:02X}: this batch rate is not simulated")
        due = []
        for tag, every in ((GYRO, max(batch_gyro, self._gyro_every)), (ACCEL, max(batch_accel, self._accel_every))):
            batched = batch_gyro and self._gyro_every if tag == GYRO else batch_accel and self._accel_every
            due.append((tag, points % every == 0 if batched else np.zeros(len(slots), dtype=bool)))
        temp_every = TEMP_DIVIDER[r[0x0A] >> 4 & 3]
        due.insert(0, (TEMPERATURE, points % temp_every == 0 if temp_every else np.zeros(len(slots), dtype=bool)))
        some = due[0][1] | due[1][1] | due[2][1]
        stamp_every = (0, 1, 8, 32)[r[0x0A] >> 6] if r[0x19] & 0x20 else 0
        due.insert(0, (TIMESTAMP, some & (slots % stamp_every == 0) if stamp_every else np.zeros(len(slots), dtype=bool)))
        words = np.zeros((len(slots), 4, WORD), dtype=np.uint8)
        count = slots & 3
        for i, (tag, _) in enumerate(due):
            head = tag << 3 | count << 1
            ones = head ^ head >> 4
            ones ^= ones >> 2
            ones ^= ones >> 1
            words[:, i, 0] = head | ones & 1  # TAG_PARITY makes the byte's ones even
        octets = raw.view(np.uint8).reshape(len(slots), 12)
        words[:, 0, 1:5] = self._ticks(points).astype("<u4").view(np.uint8).reshape(-1, 4)
        words[:, 1, 1:3] = np.frombuffer(self._temperature(), dtype=np.uint8)
        words[:, 2, 1:] = octets[:, 6:]
        words[:, 3, 1:] = octets[:, :6]
        chosen = np.stack([when for _, when in due], axis=1)
        sizes = chosen.sum(axis=1) * WORD
        return sizes, words[chosen].tobytes()

    def _ticks(self, points: NDArray[np.int64]) -> NDArray[np.int64]:
        """Time stamps at grid points: both come from one oscillator, so its error cancels."""
        if self._stamp_from is None:
            return np.zeros(len(points), dtype=np.int64)
        since = np.floor((points - self._stamp_from) * (TICK_HZ / GRID_HZ)).astype(np.int64)
        ticks: NDArray[np.int64] = since + self._first_tick & 0xFFFFFFFF
        return ticks

    def _temperature(self) -> bytes:
        raw = round((self._element.world.temperature_c - 25) * 256)  # 256 LSB/°C, 0 at 25 °C
        return max(-32768, min(32767, raw)).to_bytes(2, "little", signed=True)

    # What the bus sees

    def _show(self, t_ns: int) -> None:
        """Bring the read-only registers up to a time."""
        r = self._registers
        here = self._advance(t_ns)
        slot = here // self._divider
        at = slot * self._divider
        busy = t_ns < self._busy_until_ns
        booting = t_ns < self._booting_until_ns
        r[0x12] = r[0x12] & 0x7E | (0x01 if busy else 0) | (0x80 if booting else 0)
        row = self._rows[(slot - self._row0) * 12 : (slot - self._row0 + 1) * 12] if slot >= self._row0 else bytes(12)
        r[0x20:0x22] = self._temperature()
        r[0x22:0x28] = row[6:]
        r[0x28:0x2E] = row[:6]
        masked = r[0x13] & 0x08
        accel = self._accel_every and self._new(slot, self._accel_every) > self._read_accel and not (masked and at < self._settled_accel)
        gyro = self._gyro_every and self._new(slot, self._gyro_every) > self._read_gyro and not (masked and at < self._settled_gyro)
        r[0x1E] = (1 if accel else 0) | (2 if gyro else 0) | (4 if accel or gyro else 0)
        self._slot_now = slot
        r[0x3A:0x3C] = self._fifo_status(t_ns, peek=True)
        if self._stamp_from is not None:
            ticks = self._ticks(np.array([here]))[0]
            r[0x40:0x44] = int(ticks).to_bytes(4, "little")

    def _new(self, slot: int, every: int) -> int:
        """The slot of a sensor's newest sample, -1 before its first."""
        ratio = every // self._divider
        newest = slot // ratio * ratio
        return newest if newest >= self._row0 else -1

    def _after_read(self, register: int) -> None:
        if register in (0x29, 0x2B, 0x2D):
            self._read_accel = self._slot_now
        elif register in (0x23, 0x25, 0x27):
            self._read_gyro = self._slot_now
        elif register == 0x3B:
            self._fifo_latched = False

    def _fill(self, t_ns: int) -> int:
        """Words in the FIFO now, after dropping what did not fit."""
        slot = self._advance(t_ns) // self._divider
        held = (self._fifo.written(slot) - self._fifo.read_at) // WORD
        if held > FIFO_WORDS:
            self._fifo_full = self._fifo_latched = True
            self._fifo.read_at += (held - FIFO_WORDS) * WORD
            held = FIFO_WORDS
        return held

    def _fifo_status(self, t_ns: int, peek: bool = False) -> bytes:
        held = self._fill(t_ns)
        r = self._registers
        level = (r[0x08] & 1) << 8 | r[0x07]
        flags = held >> 8
        flags |= 0x80 if level and held >= level else 0
        flags |= 0x40 if self._fifo_full else 0
        flags |= 0x20 if held >= FIFO_WORDS else 0
        flags |= 0x08 if self._fifo_latched else 0
        if not peek:
            self._fifo_latched = False
        return bytes((held & 0xFF, flags))

    def _read_fifo(self, n: int, t_ns: int) -> bytes:
        """The oldest words; a word leaves when its last byte was read. An empty FIFO gives zeros (tag 0)."""
        held = self._fill(t_ns) * WORD
        data = self._fifo.peek(min(n, held))
        if data:
            self._fifo_full = False
        self._fifo.read_at += len(data) // WORD * WORD
        return data if len(data) == n else data + bytes(n - len(data))
