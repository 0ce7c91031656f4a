"""The IMU, whatever chip it is and however it is read: true to one count, and every failure named and survived."""

import errno
from collections.abc import Callable
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.config import Axis, determinant
from guardian.drivers.imu import Refusal, rest_check
from guardian.frame import ImuSample
from guardian.hardware import I2cFunc
from guardian.sim.inertial import Specimen
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.mpu6050 import MpuChip
from tests.imu_rig import MS, SECOND, G, Rig, World, lsm, mpu, still

Make = Callable[..., Rig]


def mpu6500(world: World | None = None, **more: Any) -> Rig:
    return mpu(world, who_am_i=0x70, **more)


def direct(make: Make) -> Make:
    return lambda world=None, **more: make(world, read="direct", **more)


FIFO = {"lsm": lsm, "mpu6050": mpu, "mpu6500": mpu6500}
ALL = {**FIFO, "lsm direct": direct(lsm), "mpu6050 direct": direct(mpu), "mpu6500 direct": direct(mpu6500)}
AXES: list[Axis] = ["+x", "-x", "+y", "-y", "+z", "-z"]
RIGHT_HANDED = [axes for axes in permutations(AXES, 3) if len({axis[1] for axis in axes}) == 3 and determinant(list(axes)) == 1]


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=FIFO.values(), ids=FIFO.keys())
def make_fifo(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


def norms_g(samples: list[ImuSample]) -> list[float]:
    return [(s.accel[0] ** 2 + s.accel[1] ** 2 + s.accel[2] ** 2) ** 0.5 / G for s in samples]


# True values


@settings(max_examples=25, deadline=None)
@given(
    which=st.sampled_from(sorted(ALL)),
    accel=st.tuples(st.floats(-150, 150), st.floats(-150, 150), st.floats(1, 150)),  # six zeros would be an empty read
    gyro=st.tuples(*[st.floats(-34, 34)] * 3),
)
def test_values_are_true_to_half_a_count(which: str, accel: tuple[float, ...], gyro: tuple[float, ...]) -> None:
    rig = ALL[which](still(*accel, *gyro)).start()
    last = rig.run(0.3)[-1]
    assert last.accel == pytest.approx(accel, abs=0.501 * G / 2048)
    assert last.gyro == pytest.approx(gyro, abs=0.501 * 0.07 * 3.14159265 / 180)
    assert not last.saturated


def test_there_are_24_right_handed_mountings() -> None:
    assert len(RIGHT_HANDED) == 24


@pytest.mark.parametrize("axes", RIGHT_HANDED, ids=" ".join)
def test_however_the_board_is_mounted_the_samples_are_in_body_axes(axes: tuple[Axis, Axis, Axis]) -> None:
    forward, left, up = axes
    rig = lsm(still(1.0, 2.0, 9.0, 0.1, 0.2, 0.3), forward=forward, left=left, up=up).start()
    last = rig.run(0.2)[-1]
    assert last.accel == pytest.approx((1.0, 2.0, 9.0), abs=0.005)
    assert last.gyro == pytest.approx((0.1, 0.2, 0.3), abs=0.002)


def test_beyond_full_scale_a_sample_says_so(make: Make) -> None:
    rig = make(World(lambda t: [(t > 1) * 400.0, 0, G, 0, 0, 0])).start()
    samples = rig.run(2)
    assert [s.saturated for s in samples if s.t_ns < 0.99 * SECOND] == [False] * len([s for s in samples if s.t_ns < 0.99 * SECOND])
    assert all(s.saturated for s in samples if s.t_ns > 1.1 * SECOND)


# When


def test_times_increase_and_are_never_in_the_future(make: Make) -> None:
    rig = make().start()
    for _ in range(300):
        for sample in rig.tick():
            assert sample.t_ns <= rig.clock.t_ns
    assert all(b.t_ns > a.t_ns for a, b in pairwise(rig.samples))
    assert len(rig.samples) == pytest.approx(300, abs=18)


def test_what_is_sampled_while_the_bus_is_being_read_belongs_to_the_next_tick() -> None:
    rig = lsm()
    rig.bus.baud = 100_000
    rig.start()
    for _ in range(200):
        rig.clock.t_ns += 10 * MS
        now_ns = rig.clock.t_ns
        samples, _ = rig.imu.read(now_ns)
        assert all(sample.t_ns <= now_ns for sample in samples)
        rig.samples += samples
        rig.clock.t_ns = max(rig.clock.t_ns, now_ns + 3 * MS)
    spacing = [b.t_ns - a.t_ns for a, b in pairwise(rig.samples[50:])]
    assert min(spacing) > 4 * MS
    assert max(spacing) < 11 * MS


@pytest.mark.parametrize(("name", "stall_ms"), [("lsm", 1500), ("mpu6050", 750), ("mpu6500", 350)])
def test_a_stalled_loop_loses_no_sample(name: str, stall_ms: int) -> None:
    rig = FIFO[name]().start()
    rig.run(2)
    rig.tick(stall_ms * MS)
    rig.run(1)
    spacing = [b.t_ns - a.t_ns for a, b in pairwise(rig.samples[100:])]
    assert max(spacing) < 11 * MS
    assert rig.imu.lost == 0
    assert not rig.faults


def test_after_a_longer_stall_it_goes_on_with_whole_samples_and_says_that_some_are_lost(make_fifo: Make) -> None:
    rig = make_fifo(still(x=1.0, y=2.0, z=9.0, gx=0.5)).start()
    rig.run(1)
    rig.tick(3 * SECOND)
    after = rig.run(1)
    assert rig.imu.lost >= 1
    assert len(after) >= 98
    for sample in rig.samples:
        assert sample.accel == pytest.approx((1.0, 2.0, 9.0), abs=0.01)
        assert sample.gyro == pytest.approx((0.5, 0.0, 0.0), abs=0.002)
    assert after[-1].t_ns == pytest.approx(rig.clock.t_ns, abs=12 * MS)


def test_a_slow_bus_and_a_long_stall_never_run_into_the_adapters_time_out(make_fifo: Make) -> None:
    rig = make_fifo()
    rig.bus.baud = 100_000
    rig.start()
    rig.run(1)
    rig.tick(600 * MS)
    assert not rig.faults
    rig.tick(1400 * MS)
    rig.tick()
    rig.tick()
    assert not rig.faults


# Refusals at start


def test_an_idle_line_is_refused_naming_the_wires(make: Make) -> None:
    rig = make()
    rig.bus.flip(0xFF ^ rig.chip.read(0x0F if isinstance(rig.chip, LsmChip) else 0x75, 1, 0)[0])
    with pytest.raises(Refusal, match=r"0xFF.*SDA \(pin 3\) and SCL \(pin 5\)"):
        rig.start()


def test_nobody_at_the_address_is_told_with_wires_and_key(make: Make) -> None:
    rig = make()
    rig.unplug()
    with pytest.raises(OSError, match=r"SDA \(pin 3\).*imu.address") as error:
        rig.start()
    assert error.value.errno == errno.EREMOTEIO


def test_a_chip_found_absent_at_start_is_taken_up_when_it_comes(make: Make) -> None:
    rig = make()
    rig.unplug()
    with pytest.raises(OSError):
        rig.start()
    assert rig.run(3) == []
    assert rig.fault_names() == ["imu_silent"]
    rig.plug()
    assert rig.run(2)
    assert not rig.faults


@pytest.mark.parametrize("name", FIFO)
def test_without_raw_i2c_the_fifo_is_refused_naming_the_key(name: str) -> None:
    rig = FIFO[name]()
    rig.bus.funcs = I2cFunc.SMBUS_EMUL
    with pytest.raises(Refusal, match=r'imu.read = "direct"'):
        rig.start()
    plain = ALL[name + " direct"]()
    plain.bus.funcs = I2cFunc.SMBUS_EMUL
    assert plain.start().run(0.5)


def test_a_chip_that_stays_in_reset_is_refused(make: Make) -> None:
    rig = make()

    class Stuck:
        """Passes everything on but ends no reset."""

        def read(self, register: int, n: int, t_ns: int) -> bytes:
            if (register, n) in ((0x12, 1), (0x6B, 1)):
                return b"\x81"
            return rig.chip.read(register, n, t_ns)

        def write(self, register: int, data: bytes, t_ns: int) -> None:
            rig.chip.write(register, data, t_ns)

    rig.bus.detach(rig.config.imu.address)
    rig.bus.attach(rig.config.imu.address, Stuck())
    with pytest.raises(Refusal, match=r"imu\.reset_timeout_ms"):
        rig.start()
    assert rig.clock.t_ns < 350 * MS


def test_a_chip_that_does_not_keep_its_settings_is_refused(make: Make) -> None:
    rig = make()
    write = rig.chip.write
    range_register = 0x10 if isinstance(rig.chip, LsmChip) else 0x1C

    class Weak:
        """Forgets the accelerometer's range."""

        def read(self, register: int, n: int, t_ns: int) -> bytes:
            return rig.chip.read(register, n, t_ns)

        def write(self, register: int, data: bytes, t_ns: int) -> None:
            write(register, bytes(n & (0xF3 if register == 0x10 else 0xE7) for n in data) if register == range_register else data, t_ns)

    rig.bus.detach(rig.config.imu.address)
    rig.bus.attach(rig.config.imu.address, Weak())
    with pytest.raises(Refusal, match=f"0x{range_register:02X}.*3V3"):
        rig.start()


# Failures while worn


def test_one_nack_is_no_fault_and_costs_nothing(make: Make) -> None:
    rig = make().start()
    rig.run(1)
    for _ in range(120):  # the looks at its settings are hit too
        rig.bus.fail(errno.EREMOTEIO, times=1)
        rig.tick()
        assert not rig.faults
    spacing = [b.t_ns - a.t_ns for a, b in pairwise(rig.samples[20:])]
    assert max(spacing) <= 40 * MS


def test_unplugged_it_is_silent_by_name_and_plugged_in_it_comes_back(make: Make) -> None:
    rig = make(still(z=G)).start()
    rig.run(1)
    rig.unplug()
    rig.tick()
    assert rig.fault_names() == ["imu_silent"]
    assert "SDA (pin 3)" in rig.faults[0].detail
    assert "imu.address" in rig.faults[0].detail
    assert rig.run(5) == []
    assert rig.fault_names() == ["imu_silent"], "it stands as long as it is so"
    rig.plug()
    back = rig.run(1.5)
    assert len(back) > 10
    assert not rig.faults
    assert norms_g(back) == pytest.approx([1.0] * len(back), abs=0.01)


def test_a_hung_bus_is_named_and_costs_ever_less(make: Make) -> None:
    rig = make().start()
    rig.run(1)
    rig.bus.hang()
    began_ns, blocked_ns = rig.clock.t_ns, 0
    while rig.clock.t_ns < began_ns + 10 * SECOND:
        rig.clock.t_ns += 10 * MS
        now_ns = rig.clock.t_ns
        _, rig.faults = rig.imu.read(now_ns)
        assert rig.clock.t_ns - now_ns <= rig.config.imu.bus_timeout_ms * MS, "one time-out a try"
        blocked_ns += rig.clock.t_ns - now_ns
    assert rig.fault_names() == ["bus_hung"]
    assert "SCL (pin 5)" in rig.faults[0].detail
    assert blocked_ns < 0.8 * SECOND, "about once a second in the end"
    rig.bus.heal()
    rig.run(1.5)
    assert not rig.faults


@pytest.mark.parametrize(("code", "name"), [(121, "imu_silent"), (6, "imu_silent"), (19, "imu_silent"), (5, "bus_hung"), (110, "bus_hung")])
def test_each_bus_error_has_its_fault(make: Make, code: int, name: str) -> None:
    rig = make().start()
    rig.run(0.5)
    rig.bus.fail(code)
    rig.tick()
    assert rig.fault_names() == [name]
    assert f"errno {code}" in rig.faults[0].detail
    rig.bus.heal()
    rig.run(1.5)
    assert not rig.faults


def test_a_bus_error_of_a_moment_loses_no_sample_of_a_tagged_fifo() -> None:
    rig = lsm().start()
    rig.run(1)
    rig.bus.fail(errno.EREMOTEIO, until_ns=rig.clock.t_ns + 50 * MS)
    rig.run(1)
    spacing = [b.t_ns - a.t_ns for a, b in pairwise(rig.samples[30:])]
    assert max(spacing) < 11 * MS, "the FIFO kept what could not be read"


def test_a_short_read_is_an_error_not_a_sample(make: Make) -> None:
    rig = make(still(x=1.0, y=2.0, z=9.0)).start()
    rig.run(0.5)
    rig.bus.short(keep=1)
    rig.run(0.5)
    assert rig.fault_names() == ["imu_silent"]
    rig.bus.heal()
    rig.run(2)
    assert not rig.faults
    assert all(sample.accel == pytest.approx((1.0, 2.0, 9.0), abs=0.01) for sample in rig.samples)


def test_a_flicker_of_its_supply_never_gives_a_wrong_scale(make: Make) -> None:
    """The chip falls back to reset values (other ranges, asleep) without a bus error: it must be noticed and put right."""
    rig = make(still(z=G)).start()
    rig.run(1.05)
    rig.chip.power_on(rig.clock.t_ns)  # type: ignore[attr-defined]
    after = rig.run(0.4)
    assert rig.fault_names() in (["imu_silent"], []), "noticed within the silent time"
    after += rig.run(1)
    assert not rig.faults
    assert len(after) > 50
    assert norms_g(after) == pytest.approx([1.0] * len(after), abs=0.01)


def test_the_flicker_is_told(make: Make) -> None:
    rig = make().start()
    rig.run(1.05)
    rig.chip.power_on(rig.clock.t_ns)  # type: ignore[attr-defined]
    told = []
    for _ in range(40):
        rig.tick()
        told += [fault.detail for fault in rig.faults]
    assert any("gives no samples" in detail or "lost its settings" in detail for detail in told)


def test_one_register_gone_wrong_is_found_within_a_second(make: Make) -> None:
    rig = make(still(z=G)).start()
    rig.run(1)
    register, value = (0x10, 0x40) if isinstance(rig.chip, LsmChip) else (0x1C, 0x00)
    rig.chip.write(register, bytes([value]), rig.clock.t_ns)
    told = []
    for _ in range(110):
        rig.tick()
        told += [fault.detail for fault in rig.faults]
    assert any("lost its settings" in detail for detail in told)
    rig.run(1)
    after = rig.run(0.5)
    assert not rig.faults
    assert norms_g(after) == pytest.approx([1.0] * len(after), abs=0.01)


def test_bringing_it_up_again_never_blocks_the_loop(make: Make) -> None:
    rig = make().start()
    rig.run(0.5)
    rig.chip.power_on(rig.clock.t_ns)  # type: ignore[attr-defined]
    for _ in range(200):
        rig.clock.t_ns += 10 * MS
        now_ns = rig.clock.t_ns
        _, rig.faults = rig.imu.read(now_ns)
        assert rig.clock.t_ns == now_ns, "the driver slept"
    assert not rig.faults


def test_another_chip_plugged_in_while_worn_is_named_and_not_read() -> None:
    rig = lsm().start()
    rig.run(0.5)
    rig.unplug()
    rig.bus.attach(rig.config.imu.address, MpuChip(still()))
    assert rig.run(2) == []
    assert rig.fault_names() == ["imu_silent"]
    assert "WHO_AM_I" in rig.faults[0].detail
    rig.unplug()
    rig.plug()
    rig.run(1.5)
    assert not rig.faults


ACTIONS = st.sampled_from(["run", "stall", "unplug", "plug", "flicker", "nack", "hang", "eio", "short", "flip", "heal"])


@settings(max_examples=40, deadline=None)
@given(which=st.sampled_from(sorted(ALL)), story=st.lists(st.tuples(ACTIONS, st.integers(1, 60)), max_size=12))
def test_whatever_happens_read_never_raises_and_all_is_well_in_the_end(which: str, story: list[tuple[str, int]]) -> None:
    rig = ALL[which](still(z=G)).start()
    plugged = True
    for action, ticks in story:
        if action == "stall":
            rig.tick(ticks * 50 * MS)
        elif action == "unplug" and plugged:
            rig.unplug()
            plugged = False
        elif action == "plug" and not plugged:
            rig.plug()
            plugged = True
        elif action == "flicker":
            rig.chip.power_on(rig.clock.t_ns)  # type: ignore[attr-defined]
        elif action == "heal":
            rig.bus.heal()
        elif action in ("nack", "eio"):
            rig.bus.fail(121 if action == "nack" else 5)
        elif action == "hang":
            rig.bus.hang()
        elif action == "short":
            rig.bus.short(ticks % 20)
        elif action == "flip":
            rig.bus.flip(ticks)
        for _ in range(ticks):
            for sample in rig.tick():
                assert sample.t_ns <= rig.clock.t_ns
    assert all(b.t_ns > a.t_ns for a, b in pairwise(rig.samples))
    rig.bus.heal()
    if not plugged:
        rig.plug()
    rig.run(3)
    assert not rig.faults
    last = rig.run(0.5)
    assert len(last) >= 45
    assert norms_g(last) == pytest.approx([1.0] * len(last), abs=0.01)


# Checks at rest


def test_at_rest_a_good_chip_passes(make: Make) -> None:
    rig = make(still(z=G), specimen=Specimen.drawn(3, 0.3, 0.02, 0.01)).start()
    assert rest_check(rig.run(1), rig.config.imu) is None


@pytest.mark.parametrize(("configured", "fitted"), [("lsm6dsox", "lsm6dso32"), ("lsm6dso32", "lsm6dsox")])
def test_the_twin_that_cannot_be_told_by_identity_is_told_by_one_g(configured: str, fitted: str) -> None:
    rig = lsm(chip=configured, model=fitted).start()
    assert f"the board is an {fitted}: set imu.chip" in str(rest_check(rig.run(1), rig.config.imu))


def test_a_gyroscope_that_turns_at_rest_is_refused(make: Make) -> None:
    rig = make(still(gz=0.3)).start()
    assert "imu.rest_gyro_deg_s" in str(rest_check(rig.run(1), rig.config.imu))
    assert "no samples" in str(rest_check([], rig.config.imu))
