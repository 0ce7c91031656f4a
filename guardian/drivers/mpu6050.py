"""MPU-6050 and what is sold as one: MPU-6500, 9250, 9255, 6515, ICM-20689, and clones without a known identity.

Theory of operation. The chip samples at 1 kHz / 10 behind its low-pass and fills a FIFO with frames of 12 bytes, accelerometer first.
There are no tags: what is a frame's beginning is known only as long as none of it was lost. So after an overflow (whose size is no
multiple of 12), a broken transfer or a count that is no multiple of 12, the FIFO is emptied and what it held is dropped, never guessed at.
Samples are dated by their count. A chip with an unknown WHO_AM_I is refused unless `allow_clone`, and then read by its output registers.
Register values: Linux's inv_mpu6050 and the register maps RM-MPU-6000A, RM-MPU-6500A.
"""

from collections.abc import Iterator
from errno import EPROTO
from struct import Struct

from guardian.config import CHIP_LSB, Imu
from guardian.drivers.chip import SATURATED, ChipSample, Refusal, no_identity, no_reset, not_kept, place
from guardian.drivers.timebase import Timebase
from guardian.hardware import Bus, Clock, burst

SMPLRT_DIV, CONFIG, GYRO_CONFIG, ACCEL_CONFIG, ACCEL_CONFIG_2, FIFO_EN = 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x23
INT_PIN_CFG, INT_ENABLE, INT_STATUS = 0x37, 0x38, 0x3A
SIGNAL_PATH_RESET, USER_CTRL, PWR_MGMT_1, PWR_MGMT_2 = 0x68, 0x6A, 0x6B, 0x6C
FIFO_COUNT, FIFO_R_W, WHO_AM_I = 0x72, 0x74, 0x75
MPU6050, ICM20689 = 0x68, 0x98
# WHO_AM_I -> (die, FIFO in bytes): hw_info of Linux's inv_mpu_core.c, dies with this register map
DIES = {
    MPU6050: ("MPU-6050", 1024),
    0x70: ("MPU-6500", 512),
    0x71: ("MPU-9250", 512),
    0x73: ("MPU-9255", 512),
    0x74: ("MPU-6515", 512),
    ICM20689: ("ICM-20689", 4096),
}
SETTINGS = (
    (PWR_MGMT_2, 0x00),  # all axes on
    (CONFIG, 0x03),  # DLPF: 6050 accelerometer 44 Hz, 4.9 ms, gyroscope 42 Hz, 4.8 ms; 6500 gyroscope 41 Hz, 5.9 ms
    (SMPLRT_DIV, 9),  # 1 kHz / (1 + 9)
    (GYRO_CONFIG, 0x18),  # ±2000 °/s
    (ACCEL_CONFIG, 0x18),  # ±16 g
    (INT_PIN_CFG, 0x20),  # latched, cleared by reading INT_STATUS alone: looking at other registers hides no sample
)
ACCEL_LOW_PASS = 0x03  # ACCEL_CONFIG_2 of the 6500 family, 44.8 Hz, 4.9 ms: without it the accelerometer is not filtered
ICM20689_FIFO_4096 = 0xC0  # its FIFO_SIZE bits in the same register
ON_PLL = 0x01  # PWR_MGMT_1: awake, clocked by the gyroscope, steadier than the internal oscillator
DATA_RDY = 0x01
RESET_NS = 100_000_000  # register map: 100 ms after DEVICE_RESET and after SIGNAL_PATH_RESET; the gyroscope needs 30-70 ms
POLL_NS = 5_000_000
PERIOD_NS = 10_000_000.0
FRAME = 12
BURST_FRAMES = 35  # 420 bytes: 10 ms at 400 kHz, 39 ms at 100 kHz. The adapter's time-out counts for a whole transfer
FULL_FRAMES = 3  # nearer to full than this has overflown, or will while it is read (inv_mpu6050)

frames = Struct(">6h").iter_unpack  # accelerometer x y z, gyroscope x y z
outputs = Struct(">B3h2x3h").unpack  # INT_STATUS, accelerometer, temperature, gyroscope


class Mpu6050:
    """Chip driver for the whole family; WHO_AM_I says which die it is."""

    def __init__(self, bus: Bus, config: Imu) -> None:
        self.note = ""
        self.lost = 0
        self._bus = bus
        self._config = config
        self._address = config.address
        self._accel_lsb, self._gyro_lsb = CHIP_LSB[config.chip]
        self._image: tuple[list[int], list[int]] | None = None
        self._time = Timebase(PERIOD_NS)
        self._frames = 0  # since the FIFO was emptied
        self._midway = False  # in a burst that has not ended well
        self._outputs = b""  # of a clone, last seen

    def bring_up(self, clock: Clock) -> Iterator[int]:
        """See Chip."""
        bus, address, config = self._bus, self._address, self._config
        self._image = None
        who = bus.read_byte_data(address, WHO_AM_I)
        die, size = self._recognised(who)
        bus.write_byte_data(address, PWR_MGMT_1, 0x80)  # DEVICE_RESET
        yield clock.now_ns() + RESET_NS
        give_up_ns = clock.now_ns() + config.reset_timeout_ms * 1_000_000
        while bus.read_byte_data(address, PWR_MGMT_1) & 0x80:
            if clock.now_ns() >= give_up_ns:
                raise no_reset(config)
            yield clock.now_ns() + POLL_NS
        bus.write_byte_data(address, SIGNAL_PATH_RESET, 0x07)
        yield clock.now_ns() + RESET_NS
        bus.write_byte_data(address, PWR_MGMT_1, ON_PLL)
        yield clock.now_ns() + RESET_NS
        settings = dict(SETTINGS)
        settings[INT_ENABLE] = DATA_RDY
        if who != MPU6050:
            settings[ACCEL_CONFIG_2] = ACCEL_LOW_PASS | (ICM20689_FIFO_4096 if who == ICM20689 else 0)
        for register, value in settings.items():
            bus.write_byte_data(address, register, value)
        for register, value in {**settings, PWR_MGMT_1: ON_PLL}.items():
            reads = bus.read_byte_data(address, register)
            if reads != value:
                raise not_kept(config, register, value, reads)
        self._direct = config.read == "direct" or not size
        self._clone = not size
        self._size = size
        self._clock = clock
        if not self._direct:
            self._empty()
        self._image = self._registers()
        stall_s = size / FRAME / 100
        if self._clone:
            self.note = f"WHO_AM_I 0x{who:02X} is unknown: read directly, {die}"
        else:
            self.note = f"{die}, FIFO of {size} bytes: a stall of {stall_s:.1f} s loses samples" if size <= 512 else die

    def intact(self) -> bool:
        """See Chip."""
        return self._image is not None and self._registers() == self._image

    def resume(self) -> None:
        """See Chip. What was half read has lost its alignment; a count that could not be read has cost nothing."""
        if self._midway:
            self.lost += 1
            self._empty()

    def read(self, now_ns: int) -> list[ChipSample]:
        """See Chip."""
        if self._direct:
            return self._read_outputs(now_ns)
        count = self._count()
        if count % FRAME:  # caught while it wrote a frame, or out of step
            count = self._count()
        after_ns = self._clock.now_ns()
        if count % FRAME or count > self._size - FULL_FRAMES * FRAME:
            self.lost += 1
            self._empty()
            return []
        if not count:
            return []
        self._midway = True
        data = b""
        while len(data) < count:
            data += burst(self._bus, self._address, FIFO_R_W, min(count - len(data), BURST_FRAMES * FRAME))
        self._midway = False
        time = self._time
        first, self._frames = self._frames, self._frames + count // FRAME
        time.observe((self._frames - 1) * PERIOD_NS, now_ns, after_ns)
        taken = []
        for n, (ax, ay, az, gx, gy, gz) in enumerate(frames(data), first):
            if ax == ay == az == gx == gy == gz and ax in (0, -1):  # no motion gives six equal values: an idle line, or nothing
                self._midway = True
                raise OSError(EPROTO, "short read of the FIFO")
            taken.append(self._sample(time.host_ns(n * PERIOD_NS, after_ns), (ax, ay, az), (gx, gy, gz)))
        return taken

    def _recognised(self, who: int) -> tuple[str, int]:
        """The die and its FIFO's bytes; 0 bytes for a clone that is allowed."""
        if who in DIES:
            return DIES[who]
        if who in (0x00, 0xFF):
            raise no_identity(self._config, who, "one of the MPU-6050 family")
        if not self._config.allow_clone:
            raise Refusal(
                f"{place(self._config)}: WHO_AM_I reads 0x{who:02X}, no known MPU: set imu.allow_clone = true in guardian.toml to read it "
                "directly at your own risk, or imu.chip to what it is"
            )
        return "check its rest values", 0

    def _registers(self) -> tuple[list[int], list[int]]:
        bus, address = self._bus, self._address
        sampling = bus.read_i2c_block_data(address, SMPLRT_DIV, FIFO_EN + 1 - SMPLRT_DIV)
        power = bus.read_i2c_block_data(address, USER_CTRL, 3)
        return sampling, power

    def _count(self) -> int:
        count = self._bus.read_i2c_block_data(self._address, FIFO_COUNT, 2)  # high byte first, which holds the low one still
        if len(count) != 2:
            raise OSError(EPROTO, "short read of the FIFO count")
        return count[0] << 8 | count[1]

    def _empty(self) -> None:
        """Empty the FIFO and begin with a whole frame."""
        write, address = self._bus.write_byte_data, self._address
        write(address, FIFO_EN, 0x00)
        write(address, USER_CTRL, 0x04)  # FIFO_RESET, which works while it is disabled
        write(address, USER_CTRL, 0x40)  # FIFO enabled ...
        write(address, FIFO_EN, 0x78)  # ... accelerometer and gyroscope go in
        self._frames = 0
        self._midway = False
        self._time.restart()

    def _sample(self, t_ns: int, accel: tuple[int, int, int], gyro: tuple[int, int, int]) -> ChipSample:
        ax, ay, az = accel
        gx, gy, gz = gyro
        a, g = self._accel_lsb, self._gyro_lsb
        saturated = max(ax, ay, az, gx, gy, gz) >= SATURATED or min(ax, ay, az, gx, gy, gz) <= -SATURATED
        return ChipSample(t_ns, (ax * a, ay * a, az * a), (gx * g, gy * g, gz * g), saturated)

    def _read_outputs(self, now_ns: int) -> list[ChipSample]:
        data = bytes(self._bus.read_i2c_block_data(self._address, INT_STATUS, 15))
        if len(data) != 15:
            raise OSError(EPROTO, "short read of the outputs")
        status, ax, ay, az, gx, gy, gz = outputs(data)
        new = data[1:] != self._outputs if self._clone else status & DATA_RDY  # some clones never say that data is ready
        if not new:
            return []
        self._outputs = data[1:]
        return [self._sample(now_ns, (ax, ay, az), (gx, gy, gz))]
