"""What only the LSM6DSOX does: tagged words, its own time stamps, marked start-up values, and a twin with another scale."""

from itertools import pairwise, permutations
from struct import unpack

import numpy as np
import pytest

from guardian.drivers.imu import Refusal
from guardian.sim.inertial import Specimen
from guardian.sim.mpu6050 import MpuChip
from tests.imu_rig import MS, PERFECT, SECOND, G, Rig, World, late_ms, lsm, spinning, still

DELAY_MS = 4.33  # of the 52 Hz low-pass (tests/sim/test_lsm6dsox.py)


class Between:
    """The chip, with its FIFO's words changed on their way by `change` (whole reads of any length)."""

    def __init__(self, rig: Rig) -> None:
        self.inner = rig.chip
        self.words: list[bytes] = []
        rig.bus.detach(rig.config.imu.address)
        rig.bus.attach(rig.config.imu.address, self)

    def change(self, words: list[bytes]) -> list[bytes]:
        return words

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        if register == 0x3A and n == 2:
            low, high = self.inner.read(register, 2, t_ns)
            data = self.inner.read(0x78, ((high & 3) << 8 | low) * 7, t_ns)
            self.words += self.change([data[i : i + 7] for i in range(0, len(data), 7)])
            return bytes([len(self.words) & 0xFF, len(self.words) >> 8 | high & 0xFC])
        if register == 0x78:
            out, self.words = self.words[: n // 7], self.words[n // 7 :]
            return b"".join(out)
        return self.inner.read(register, n, t_ns)

    def write(self, register: int, data: bytes, t_ns: int) -> None:
        self.inner.write(register, data, t_ns)


def test_another_identity_is_refused_naming_the_keys() -> None:
    with pytest.raises(Refusal, match=r"0x00.*imu\.chip and imu\.address"):
        Rig(MpuChip(still())).start()
    rig = lsm()
    rig.bus.flip(0x04)
    with pytest.raises(Refusal, match=r"0x68, not 0x6C.*imu\.chip and imu\.address"):
        rig.start()


def test_the_dso32_reaches_32_g() -> None:
    rig = lsm(still(z=25 * G), chip="lsm6dso32").start()
    last = rig.run(0.3)[-1]
    assert last.accel[2] == pytest.approx(25 * G, abs=0.01)
    assert not last.saturated


@pytest.mark.parametrize("rate_error", [-0.016, -0.0007, 0.0, 0.0004, 0.0147])
def test_each_sample_is_dated_to_a_millisecond(rate_error: float) -> None:
    """FREQ_FINE tells the trim in steps of 0.15 %; the rest is found from the host's clock."""
    rig = lsm(spinning(), Specimen(noise=0.0, rate_error=rate_error)).start()
    rig.run(3)
    late = late_ms(rig.run(57))
    assert late == pytest.approx(DELAY_MS, abs=1.1)
    assert np.abs(np.diff(late)).max() < 0.5, "and no sample jumps against its neighbour"
    assert late[-1000:] == pytest.approx(float(np.mean(late[1000:2000])), abs=0.7), "no drift"


@pytest.mark.parametrize("seconds", [1.9, 2.0, 2.1])
def test_the_time_stamp_may_wrap(seconds: float) -> None:
    rig = lsm(spinning(), first_tick=(1 << 32) - round(40_000 * seconds)).start()
    late = late_ms(rig.run(5))
    assert late[30:] == pytest.approx(DELAY_MS, abs=0.7)
    assert max(b.t_ns - a.t_ns for a, b in pairwise(rig.samples)) < 10.5 * MS


def test_a_burst_that_breaks_off_mixes_no_two_samples() -> None:
    """Words of a slot and of the one four slots on carry the same count: what was half put together must be forgotten."""
    rig = lsm(World(lambda t: [10 * t, 0, 0, 0, 0, t]))

    class Broken(Between):
        """A slot comes without its accelerometer; all is lost until the accelerometer of the slot four on, after a broken transfer."""

        reads, count, broken = 0, -1, False

        def change(self, words: list[bytes]) -> list[bytes]:
            self.reads += 1
            if self.reads < 100 or self.broken or not words:
                return words
            count = words[0][0] & 6
            if self.count < 0:
                self.count = count
                return words[:2]
            self.broken = count == self.count
            return words[2:3] if self.broken else []

        def read(self, register: int, n: int, t_ns: int) -> bytes:
            if register == 0x78 and self.broken and self.count >= 0:
                self.count = -1
                raise OSError(121, "Remote I/O error")
            return super().read(register, n, t_ns)

    between = Broken(rig)
    rig.start()
    rig.run(2)
    assert between.broken
    lag_s = 0.0068 - 0.0043
    late = [s for s in rig.samples if s.t_ns > SECOND // 2]
    assert [s.accel[0] / 10 - s.gyro[2] for s in late] == pytest.approx([lag_s] * len(late), abs=2e-3)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_words_within_a_slot_does_not_matter(order: tuple[int, ...]) -> None:
    rig = lsm(spinning())

    class Shuffled(Between):
        def change(self, words: list[bytes]) -> list[bytes]:
            return [words[i + k] for i in range(0, len(words), 3) for k in order]

    Shuffled(rig)
    rig.start()
    assert late_ms(rig.run(1))[30:] == pytest.approx(DELAY_MS, abs=0.7)
    assert rig.imu.lost == 0


def test_a_slot_read_in_two_parts_is_still_one_sample() -> None:
    rig = lsm(still(x=1.0, gz=0.5))

    class Late(Between):
        """The last word of each read comes with the next one."""

        kept: list[bytes]

        def change(self, words: list[bytes]) -> list[bytes]:
            words = self.kept + words
            self.kept = words[-1:]
            return words[:-1]

    Late(rig).kept = []
    rig.start()
    samples = rig.run(2)
    assert len(samples) >= 190
    assert rig.imu.lost == 0
    assert all(s.accel[0] == pytest.approx(1.0, abs=0.005) and s.gyro[2] == pytest.approx(0.5, abs=0.002) for s in samples)


def test_a_torn_slot_is_dropped_never_mixed() -> None:
    """Force and rate tell the same time here: a sample put together from two slots would show."""
    rig = lsm(World(lambda t: [10 * t, 0, 0, 0, 0, t]))

    class Torn(Between):
        """Every seventh word is lost."""

        seen = 0

        def change(self, words: list[bytes]) -> list[bytes]:
            first, self.seen = self.seen, self.seen + len(words)
            return [word for i, word in enumerate(words, first) if i % 7]

    Torn(rig)
    rig.start()
    samples = [s for s in rig.run(5) if s.t_ns > SECOND // 2]
    assert rig.imu.lost > 10
    assert len(samples) > 50
    lag_s = 0.0068 - 0.0043  # the gyroscope's low-pass is the slower one
    assert [s.accel[0] / 10 - s.gyro[2] for s in samples] == pytest.approx([lag_s] * len(samples), abs=2e-3)


def test_values_marked_as_settling_are_no_samples() -> None:
    rig = lsm(still(z=G, gx=0.2)).start()
    samples = rig.run(1)
    assert all(s.gyro[0] == pytest.approx(0.2, abs=0.002) and s.accel[2] == pytest.approx(G, abs=0.01) for s in samples)
    assert samples[0].t_ns < 100 * MS


def test_an_impact_at_full_scale_is_kept_although_it_looks_like_such_a_mark() -> None:
    rig = lsm(World(lambda t: [np.where((t > 1) & (t < 1.1), 900.0, 0.0), 0, G, 0, 0, 0])).start()
    samples = rig.run(2)
    hit = [s for s in samples if s.saturated]
    assert 9 <= len(hit) <= 12
    assert max(b.t_ns - a.t_ns for a, b in pairwise(samples)) < 10.5 * MS
    assert unpack("<h", rig.chip.read(0x28, 2, rig.clock.t_ns))[0] == 0


def test_even_a_chip_that_starts_at_full_scale_is_read_in_the_end() -> None:
    rig = lsm(still(x=900.0)).start()
    assert all(s.saturated for s in rig.run(1))
    assert rig.samples[0].t_ns > 140 * MS
    assert len(rig.samples) > 80


def test_noise_and_bias_of_a_real_part_arrive_as_they_are() -> None:
    part = Specimen(accel_bias=(0.1, -0.05, 0.2), gyro_bias=(0.01, 0.0, -0.01))
    samples = lsm(still(), part).start().run(10)
    accel = np.array([s.accel for s in samples])
    assert accel.mean(axis=0) == pytest.approx([0.1, -0.05, G + 0.2], abs=0.002)
    assert 0.004 < accel.std(axis=0).min() < accel.std(axis=0).max() < 0.015
    assert lsm(still(), PERFECT).start().run(1)[-1].gyro == (0.0, 0.0, 0.0)
