"""What only the MPU family does: dies by identity, clones, frames without tags, times by count."""

from itertools import pairwise

import numpy as np
import pytest

from guardian.drivers.imu import Refusal
from guardian.sim.inertial import Specimen
from guardian.sim.lsm6dsox import LsmChip
from tests.imu_rig import MS, G, Rig, World, late_ms, mpu, spinning, still


@pytest.mark.parametrize(
    ("who", "die"),
    [(0x68, "MPU-6050"), (0x70, "MPU-6500"), (0x71, "MPU-9250"), (0x73, "MPU-9255"), (0x74, "MPU-6515"), (0x98, "ICM-20689")],
)
def test_known_dies_are_read_through_their_fifo(who: int, die: str) -> None:
    rig = mpu(spinning(), who_am_i=who).start()
    assert rig.imu.note.startswith(die)
    rig.tick(300 * MS)
    assert len(rig.run(1)) == pytest.approx(100, abs=2)
    assert max(b.t_ns - a.t_ns for a, b in pairwise(rig.samples)) < 10.5 * MS
    assert rig.imu.lost == 0


def test_a_small_fifo_is_told_to_the_builder() -> None:
    assert "512 bytes: a stall of 0.4 s" in mpu(who_am_i=0x70).start().imu.note
    assert "stall" not in mpu(who_am_i=0x98).start().imu.note


@pytest.mark.parametrize("who", [0x72, 0x75, 0x12])
def test_an_unknown_identity_is_refused_unless_clones_are_allowed(who: int) -> None:
    with pytest.raises(Refusal, match=rf"0x{who:02X}.*imu\.allow_clone = true"):
        mpu(who_am_i=who).start()
    rig = mpu(spinning(), Specimen(), who_am_i=who, allow_clone=True).start()
    samples = rig.run(1)
    assert f"0x{who:02X} is unknown: read directly" in rig.imu.note
    assert len(samples) == 100
    assert [s.t_ns % (10 * MS) for s in samples] == [0] * 100, "dated by the host"


def test_a_clone_whose_values_freeze_is_silent_not_believed() -> None:
    rig = mpu(still(), Specimen(), who_am_i=0x72, allow_clone=True).start()
    rig.run(1)
    frozen = rig.chip.read(0x3A, 15, rig.clock.t_ns)
    live = rig.chip.read

    def read(register: int, n: int, t_ns: int) -> bytes:
        return frozen if register == 0x3A else live(register, n, t_ns)

    rig.chip.read = read  # type: ignore[method-assign]
    rig.run(0.1)
    assert len(rig.run(0.5)) == 0
    assert rig.fault_names() == ["imu_silent"]


def test_an_lsm_at_the_address_is_refused() -> None:
    with pytest.raises(Refusal, match="WHO_AM_I reads 0x00"):  # its register 0x75 is a user offset, 0
        Rig(LsmChip(still()), chip="mpu6050", address=0x68).start()


def test_the_6500s_separate_low_pass_is_set() -> None:
    """A vibration of 151 Hz folds back to 49 Hz: a seventh of it is left behind 44 Hz, two thirds if only CONFIG were set."""
    for who in (0x68, 0x70, 0x98):
        rig = mpu(World(lambda t: [20 * np.sin(2 * np.pi * 151 * t), 0, G, 0, 0, 0]), who_am_i=who).start()
        rig.run(0.5)
        assert max(abs(s.accel[0]) for s in rig.run(1)) < 3.2


def test_an_overflow_is_never_read_as_shifted_frames() -> None:
    rig = mpu(still(x=1.0, y=2.0, z=9.0, gx=0.5)).start()
    for stall_ms in (840, 850, 860, 900, 1000, 2000, 5000):
        rig.run(0.5)
        rig.tick(stall_ms * MS)
    rig.run(0.5)
    assert rig.imu.lost >= 6
    assert len(rig.samples) > 350
    for s in rig.samples:
        assert s.accel == pytest.approx((1.0, 2.0, 9.0), abs=0.01)
        assert s.gyro == pytest.approx((0.5, 0.0, 0.0), abs=0.002)


def test_a_count_out_of_step_empties_the_fifo() -> None:
    """A clone whose FIFO is smaller than its identity says overflows earlier; its count is no multiple of a frame then."""
    rig = mpu(still(x=1.0, y=2.0, z=9.0)).start()
    rig.run(0.8)
    rig.chip.read(0x74, 5, rig.clock.t_ns + 10 * MS)  # somebody else read five bytes
    after = rig.run(4)
    assert rig.imu.lost == 1
    assert all(b.t_ns - a.t_ns == pytest.approx(10 * MS, abs=MS) for a, b in pairwise(after)), "its times are counted anew"
    assert after[-1].t_ns > rig.clock.t_ns - 11 * MS
    assert all(s.accel == pytest.approx((1.0, 2.0, 9.0), abs=0.01) for s in rig.samples)
    assert not rig.faults


def test_a_burst_that_breaks_off_costs_samples_but_never_shifts_them() -> None:
    rig = mpu(still(x=1.0, y=2.0, z=9.0, gx=0.5)).start()
    rig.run(1)
    live = rig.chip.read

    def breaks_off(register: int, n: int, t_ns: int) -> bytes:
        live(register, 24, t_ns)
        rig.chip.read = live  # type: ignore[method-assign]
        raise OSError(5, "Input/output error")

    for _ in range(5):
        rig.tick(40 * MS)
        rig.chip.read = lambda register, n, t_ns: (breaks_off if register == 0x74 else live)(register, n, t_ns)  # type: ignore[method-assign]
        rig.run(0.2)
        assert not rig.faults
    assert rig.imu.lost == 5
    for s in rig.samples:
        assert s.accel == pytest.approx((1.0, 2.0, 9.0), abs=0.01)
        assert s.gyro == pytest.approx((0.5, 0.0, 0.0), abs=0.002)


@pytest.mark.parametrize("rate_error", [-0.015, -0.0005, 0.0, 0.0003, 0.0012, 0.01, 0.03])
def test_times_by_count_stay_within_a_period_and_do_not_drift(rate_error: float) -> None:
    """100 Hz against 100 Hz: where in a period the samples lie is not to be known at once, but it may not run away."""
    rig = mpu(spinning(), Specimen(noise=0.0, rate_error=rate_error)).start()
    late = late_ms(rig.run(120)) - 4.9
    assert late[200:].min() > -10
    assert late[200:].max() < 10.5
    assert late[-6000:].std() < 3
    spacing = [b.t_ns - a.t_ns for a, b in pairwise(rig.samples)]
    assert min(spacing) >= 4.9 * MS
    assert max(spacing) <= 20.1 * MS
