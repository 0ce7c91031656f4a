"""Inertial chips whose samples are spoilt on their way to the computer: bits flip, samples come twice or not at all.

Theory of operation. When the driver asks how much the FIFO holds, all whole samples are taken out of the chip and go through Flaws, each
with its own luck; what comes out waits, is what the count says, and is handed over byte by byte. Nothing of the chip itself differs, and
without flaws nothing happens here.
"""

from random import Random

from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.mpu6050 import MpuChip
from guardian.sim.world import World

LSM_SAMPLE = 21  # bytes: words of gyroscope, accelerometer and time stamp
LSM_WORD = 7
LSM_WORDS_MOST = 1023  # that its count can say
MPU_SAMPLE = 14


class Flaws:
    """Shares of samples, 0 … 1, that have one bit flipped, come twice, or are missing."""

    def __init__(self, seed: int) -> None:
        self.flipped = self.doubled = self.missing = 0.0
        self.waiting = bytearray()
        self._random = Random(seed)

    @property
    def active(self) -> bool:
        """Whether anything differs from a sound chip."""
        return bool(self.flipped or self.doubled or self.missing or self.waiting)

    def heal(self) -> None:
        """No more flaws; what waits is still handed over."""
        self.flipped = self.doubled = self.missing = 0.0

    def take(self, data: bytes, size: int) -> None:
        """Whole samples of `size` bytes come out of the chip."""
        luck = self._random.random
        for at in range(0, len(data), size):
            sample = bytearray(data[at : at + size])
            if luck() < self.missing:
                continue
            if luck() < self.flipped:
                bit = self._random.randrange(8 * size)
                sample[bit // 8] ^= 1 << bit % 8
            self.waiting += sample
            if luck() < self.doubled:
                self.waiting += sample

    def give(self, n: int) -> bytes:
        """Up to n bytes of what waits."""
        given = bytes(self.waiting[:n])
        del self.waiting[:n]
        return given


class Spoilt:
    """What a chip with flaws does whichever it is; stands before the chip's own class."""

    def __init__(self, world: World, seed: int) -> None:
        self.flaws = Flaws(seed)
        super().__init__(world, seed=seed)

    def power_on(self, t_ns: int) -> None:
        """See the chip."""
        self.flaws.waiting.clear()
        super().power_on(t_ns)

    def write(self, register: int, data: bytes, t_ns: int) -> None:
        """See the chip. Settings are written while it is brought up, which empties the FIFO, and the FIFO's reset."""
        self.flaws.waiting.clear()
        super().write(register, data, t_ns)


class SpoiltLsm(Spoilt, LsmChip):
    """An LSM6DSOX with flaws."""

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        """See LsmChip."""
        if register == 0x3A and n == 2 and self.flaws.active:
            low, flags = super().read(register, n, t_ns)
            words = low | (flags & 0x03) << 8
            whole = words // 3
            if whole:
                self.flaws.take(super().read(0x78, whole * LSM_SAMPLE, t_ns), LSM_SAMPLE)
            words = min(words - 3 * whole + len(self.flaws.waiting) // LSM_WORD, LSM_WORDS_MOST)
            return bytes((words & 0xFF, flags & ~0x03 | words >> 8))
        if register == 0x78 and self.flaws.waiting:
            given = self.flaws.give(n)
            return given + (super().read(register, n - len(given), t_ns) if len(given) < n else b"")
        return super().read(register, n, t_ns)


class SpoiltMpu(Spoilt, MpuChip):
    """An MPU-6050 with flaws."""

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        """See MpuChip."""
        if register == 0x72 and n == 2 and self.flaws.active:
            whole = int.from_bytes(super().read(register, n, t_ns), "big") // MPU_SAMPLE
            if whole:
                self.flaws.take(super().read(0x74, whole * MPU_SAMPLE, t_ns), MPU_SAMPLE)
            return (len(self.flaws.waiting) + int.from_bytes(super().read(register, n, t_ns), "big")).to_bytes(2, "big")
        if register == 0x74 and self.flaws.waiting:
            given = self.flaws.give(n)
            return given + (super().read(register, n - len(given), t_ns) if len(given) < n else b"")
        return super().read(register, n, t_ns)
