"""LSM6DSOX and LSM6DSO32 (the same registers; one full-scale code means 16 g on the first, 32 g on the second).

Theory of operation. Both sensors run at 104 Hz behind their low-pass and fill the chip's FIFO with tagged words: gyroscope,
accelerometer, and the chip's own 25 µs time stamp. Words of one instant carry the same 2-bit count, so a sample is put together in
whatever order they come, and what an overflow tore apart is dropped. A status read tells how many words there are, then bursts of whole
words fetch them. `read = "direct"` takes the output registers by block read instead, one sample a tick, dated by the host.
Register values: ST's lsm6dsox driver and Linux's st_lsm6dsx; names as in the data sheet's register map.
"""

from collections.abc import Iterator
from errno import EPROTO
from struct import Struct

from guardian.config import CHIP_LSB, Imu
from guardian.drivers.chip import SATURATED, ChipSample, no_identity, no_reset, not_kept
from guardian.drivers.timebase import Timebase
from guardian.hardware import Bus, Clock, burst

FIFO_CTRL1, WHO_AM_I, CTRL3_C = 0x07, 0x0F, 0x12
STATUS_REG, FIFO_STATUS1, INTERNAL_FREQ_FINE, FIFO_DATA_OUT_TAG = 0x1E, 0x3A, 0x63, 0x78
IDENTITY = 0x6C  # of both: they cannot be told apart
SW_RESET = 0x01
SETTINGS = (
    (0x18, 0xE2),  # CTRL9_XL: I3C off (bit 1), the rest as at reset
    (0x12, 0x44),  # CTRL3_C: BDU (no torn values) | IF_INC
    (0x13, 0x0A),  # CTRL4_C: DRDY_MASK (marks values of settling filters) | LPF1_SEL_G
    (0x15, 0x00),  # CTRL6_C: high performance, gyroscope LPF1 33 Hz at 104 Hz
    (0x16, 0x00),  # CTRL7_G: high performance, no high-pass
    (0x17, 0x00),  # CTRL8_XL: no high-pass
    (0x10, 0x44),  # CTRL1_XL: 104 Hz, full-scale code 01, low-pass ODR/2 = 52 Hz
    (0x11, 0x4C),  # CTRL2_G: 104 Hz, ±2000 °/s
    (0x19, 0x20),  # CTRL10_C: time stamps
)
FIFO_SETTINGS = (
    (0x07, 0x00),  # FIFO_CTRL1: no watermark
    (0x08, 0x00),  # FIFO_CTRL2: no compression
    (0x09, 0x44),  # FIFO_CTRL3: batch both at 104 Hz
    (0x0A, 0x00),  # FIFO_CTRL4: bypass, which empties it ...
    (0x0A, 0x46),  # ... then a time stamp with each batch, continuous: the oldest is overwritten
)
IMAGE = 19  # registers 0x07-0x19, settings and identity, in one block read
PERIOD_NS = 9_600_000.0  # 104.17 Hz nominal: 6667 Hz / 64
TICK_NS = 25_000.0
FINE_STEP = 0.0015  # INTERNAL_FREQ_FINE: the oscillator's trim, 0.15 % a bit
WORD = 7
BURST_WORDS = 63  # 441 bytes: 10 ms at 400 kHz, 40 ms at 100 kHz. The adapter's time-out counts for a whole transfer
OVERRUN = 0x48  # FIFO_STATUS2: FIFO_OVR_IA | FIFO_OVR_LATCHED
GYRO, ACCEL, TIMESTAMP = 1, 2, 4  # TAG_SENSOR
GARBAGE = 0x7FFD  # and above: a filter is still settling (st_lsm6dsx: "invalid sample during bootstrap phase")
SETTLING_SAMPLES = 15  # then a value at full scale is believed: gyroscope turn-on takes 70 ms, and 200 ms are silence

words = Struct("<Bhhh").iter_unpack  # tag, x, y, z
outputs = Struct("<B3x3h3h").unpack  # STATUS_REG, reserved, temperature, gyroscope, accelerometer

Counts = tuple[int, int, int]


class Lsm6dsox:
    """Chip driver; `config.chip` says which of the two it is."""

    def __init__(self, bus: Bus, config: Imu) -> None:
        self.note = ""
        self.lost = 0
        self._bus = bus
        self._config = config
        self._address = config.address
        self._direct = config.read == "direct"
        self._accel_lsb, self._gyro_lsb = CHIP_LSB[config.chip]
        self._image: list[int] = []
        self._time = Timebase(PERIOD_NS)
        self._forget()

    def bring_up(self, clock: Clock) -> Iterator[int]:
        """See Chip."""
        bus, address = self._bus, self._address
        self._image = []
        who = bus.read_byte_data(address, WHO_AM_I)
        if who != IDENTITY:
            raise no_identity(self._config, who, f"0x{IDENTITY:02X} of an LSM6DSOX or LSM6DSO32")
        bus.write_byte_data(address, CTRL3_C, SW_RESET)
        give_up_ns = clock.now_ns() + self._config.reset_timeout_ms * 1_000_000
        while bus.read_byte_data(address, CTRL3_C) & SW_RESET:
            if clock.now_ns() >= give_up_ns:
                raise no_reset(self._config)
            yield clock.now_ns() + 1_000_000
        settings = SETTINGS if self._direct else SETTINGS + FIFO_SETTINGS
        for register, value in settings:
            bus.write_byte_data(address, register, value)
        image = self._registers()
        for register, value in dict(settings).items():
            if image[register - FIFO_CTRL1] != value:
                raise not_kept(self._config, register, value, image[register - FIFO_CTRL1])
        fine = bus.read_byte_data(address, INTERNAL_FREQ_FINE)
        self._tick_ns = TICK_NS / (1 + FINE_STEP * (fine - 256 if fine > 127 else fine))
        self._clock = clock
        self._image = image
        self._settling = SETTLING_SAMPLES
        self._ticks: int | None = None
        self._time.restart()
        self._forget()

    def intact(self) -> bool:
        """See Chip."""
        return bool(self._image) and self._registers() == self._image

    def resume(self) -> None:
        """See Chip. Tags keep the FIFO aligned: only a sample half put together is dropped."""
        self._forget()

    def read(self, now_ns: int) -> list[ChipSample]:
        """See Chip."""
        if self._direct:
            return self._read_outputs(now_ns)
        status = self._bus.read_i2c_block_data(self._address, FIFO_STATUS1, 2)
        after_ns = self._clock.now_ns()
        if len(status) != 2:
            raise OSError(EPROTO, "short read of the FIFO status")
        low, high = status
        left = (high & 3) << 8 | low
        if high & OVERRUN:
            self.lost += 1
        taken: list[tuple[int, Counts, Counts]] = []
        while left:
            n = min(left, BURST_WORDS)
            self._sort(burst(self._bus, self._address, FIFO_DATA_OUT_TAG, n * WORD), taken)
            left -= n
        return self._dated(taken, now_ns, after_ns) if taken else []

    def _registers(self) -> list[int]:
        image = self._bus.read_i2c_block_data(self._address, FIFO_CTRL1, IMAGE)
        if len(image) != IMAGE:
            raise OSError(EPROTO, "short read of the registers")
        return image

    def _forget(self) -> None:
        self._slot = -1
        self._gyro: Counts | None = None
        self._accel: Counts | None = None
        self._stamp: int | None = None

    def _sort(self, data: bytes, taken: list[tuple[int, Counts, Counts]]) -> None:
        """Put words together by their tag's count; appends (ticks, accel, gyro) of each whole sample."""
        for tag, x, y, z in words(data):
            if tag & 0x06 != self._slot:
                if self._gyro or self._accel:
                    self.lost += 1
                self._forget()
                self._slot = tag & 0x06
            kind = tag >> 3
            if kind == GYRO:
                self._gyro = (x, y, z)
            elif kind == ACCEL:
                self._accel = (x, y, z)
            elif kind == TIMESTAMP:
                self._stamp = x & 0xFFFF | (y & 0xFFFF) << 16
            elif kind == 0:  # an empty FIFO where words were promised
                raise OSError(EPROTO, "short read of the FIFO")
            if self._gyro and self._accel and self._stamp is not None:
                if self._settled(self._accel, self._gyro):
                    taken.append((self._unwrapped(self._stamp), self._accel, self._gyro))
                self._gyro = self._accel = self._stamp = None

    def _settled(self, accel: Counts, gyro: Counts) -> bool:
        """False while the first values after bringing up are marked as a settling filter's; later such a value is an impact."""
        if self._settling:
            self._settling = 0 if max(gyro) < GARBAGE and max(accel) < GARBAGE else self._settling - 1
        return not self._settling

    def _unwrapped(self, stamp: int) -> int:
        """The 32-bit time stamp, which wraps after 29.8 hours, as a count that does not."""
        if self._ticks is None:
            self._ticks = stamp
        else:
            step = (stamp - self._ticks) & 0xFFFFFFFF
            self._ticks += step if step < 0x80000000 else step - 0x100000000
        return self._ticks

    def _dated(self, taken: list[tuple[int, Counts, Counts]], before_ns: int, after_ns: int) -> list[ChipSample]:
        tick_ns, time = self._tick_ns, self._time
        time.observe(taken[-1][0] * tick_ns, before_ns, after_ns)
        return [self._sample(time.host_ns(ticks * tick_ns, after_ns), accel, gyro) for ticks, accel, gyro in taken]

    def _sample(self, t_ns: int, accel: Counts, gyro: Counts) -> ChipSample:
        ax, ay, az = accel
        gx, gy, gz = gyro
        a, g = self._accel_lsb, self._gyro_lsb
        saturated = max(ax, ay, az, gx, gy, gz) >= SATURATED or min(ax, ay, az, gx, gy, gz) <= -SATURATED
        return ChipSample(t_ns, (ax * a, ay * a, az * a), (gx * g, gy * g, gz * g), saturated)

    def _read_outputs(self, now_ns: int) -> list[ChipSample]:
        data = self._bus.read_i2c_block_data(self._address, STATUS_REG, 16)
        if len(data) != 16:
            raise OSError(EPROTO, "short read of the outputs")
        status, gx, gy, gz, ax, ay, az = outputs(bytes(data))
        if status & 0x03 != 0x03:  # GDA | XLDA: nothing new yet, or settling, or asleep
            return []
        if not self._settled((ax, ay, az), (gx, gy, gz)):
            return []
        return [self._sample(now_ns, (ax, ay, az), (gx, gy, gz))]
