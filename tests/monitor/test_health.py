"""Three truths: yes, no, don't know."""

import msgspec
import pytest

from guardian.config import CHIP_LSB, Config
from guardian.frame import Echo, EchoReason, Fault, Frame, ImuSample, Supply
from guardian.monitor.health import Condition, Health

TICK_NS = 10_000_000


class Day:
    """Frames of healthy inputs, unless told otherwise."""

    def __init__(self, config: Config) -> None:
        self.health, self.config = Health(config), config
        self.t_ns, self.n, self.pings = 0, 0, 0
        self.imu, self.echo = True, True
        self.reason: EchoReason = "nothing"
        self.saturated, self.button = False, False
        self.frozen_axis: int | None = None
        self.frozen_gyro_axis: int | None = None
        self.swing = 40  # counts
        self.faults: tuple[Fault, ...] = ()
        self.supply: Supply | None = None

    def sample(self) -> ImuSample:
        accel_lsb, gyro_lsb = CHIP_LSB[self.config.imu.chip]
        wave = (self.n % 7 - 3) * self.swing / 6
        accel = [0.1 + wave * accel_lsb, 0.2 - wave * accel_lsb, 9.8 + wave * accel_lsb]
        if self.frozen_axis is not None:
            accel[self.frozen_axis] = 1.0
        gyro = [wave * gyro_lsb, -wave * gyro_lsb, 2 * wave * gyro_lsb]
        if self.frozen_gyro_axis is not None:
            gyro[self.frozen_gyro_axis] = 0.5
        return ImuSample(self.t_ns, (accel[0], accel[1], accel[2]), (gyro[0], gyro[1], gyro[2]), self.saturated)

    def live(self, seconds: float, late_ns: int = 0) -> Condition:
        for _ in range(round(seconds * 100)):
            self.n += 1
            self.t_ns += TICK_NS + late_ns
            echo = None
            if self.echo and self.n % 7 == 0:
                self.pings += 1
                echo = Echo(self.t_ns, self.pings, None, self.reason)
            imu = (self.sample(),) if self.imu else ()
            condition = self.health.step(Frame(self.t_ns, late_ns, imu, echo, self.button, self.supply, self.faults))
        return condition


def names(condition: Condition) -> list[str]:
    return [fault.name for fault in condition.faults]


@pytest.fixture
def day(config: Config) -> Day:
    return Day(config)


def test_healthy_day_has_no_fault(day: Day) -> None:
    condition = day.live(30)
    assert condition == Condition(True, True, (), None)


def test_imu_silent_for_its_periods_is_a_fault_and_comes_back(day: Day) -> None:
    day.live(2)
    day.imu = False
    assert day.live(0.2).imu_ok
    assert day.live(0.01).faults == (Fault("imu_silent", "no sample"),)
    day.faults = (Fault("imu_silent", "check SDA"), Fault("bus_hung", "SDA low"))
    assert day.live(0.01).faults == (Fault("bus_hung", "SDA low"),), "the driver knows more"
    day.faults = day.faults[:1]
    assert day.live(0.01).faults == (Fault("imu_silent", "check SDA"),)
    day.faults = ()
    day.imu = True
    assert day.live(0.01).imu_ok


def test_driver_says_why_but_staleness_decides(day: Day) -> None:
    day.live(1)
    day.faults = (Fault("bus_hung", "SDA low"),)
    assert names(day.live(0.05)) == [], "one failed transfer is a datum"
    day.imu = False
    condition = day.live(0.3)
    assert condition.faults == (Fault("bus_hung", "SDA low"),)
    assert not condition.imu_ok


def test_ranger_without_outcomes_is_silent(day: Day) -> None:
    day.live(1.05)  # a ping has just come back
    day.echo = False
    assert names(day.live(0.4)) == []
    condition = day.live(0.01)
    assert condition.faults == (Fault("echo_silent", "no ping comes back from the driver"),)
    assert not condition.echo_ok
    assert condition.imu_ok
    day.faults = (Fault("echo_silent", "the pins are taken"),)
    assert day.live(0.01).faults == day.faults, "the driver knows more"


def test_loose_echo_wire_that_is_now_silent_now_high_is_a_fault_too(day: Day) -> None:
    day.live(2)
    for _ in range(10):
        day.reason = "no_edges"
        day.live(0.07)
        day.reason = "stuck_high"
        condition = day.live(0.07)
    assert not condition.echo_ok
    assert names(condition) == ["echo_stuck_high", "echo_stuck_low"]
    day.reason = "nothing"
    assert day.live(0.1).echo_ok


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("no_edges", Fault("echo_stuck_low", "pings stay without any answer")),
        ("stuck_high", Fault("echo_stuck_high", "the echo line stays high")),
    ],
)
def test_ranger_stuck_either_way_for_five_pings_has_its_own_name(day: Day, reason: EchoReason, fault: Fault) -> None:
    day.live(1.05)
    day.reason = reason
    assert names(day.live(0.28)) == [], "four pings"
    condition = day.live(0.07)
    assert condition.faults == (fault,)
    assert condition.imu_ok and not condition.echo_ok
    day.reason = "echo"
    assert names(day.live(0.1)) == []


def test_nothing_in_range_for_an_hour_is_no_fault(day: Day) -> None:
    assert day.live(3600 / 20).echo_ok


def test_stalled_loop_is_not_a_silent_sensor(day: Day) -> None:
    day.live(1)
    condition = day.live(0.01, late_ns=700_000_000)
    assert "imu_silent" not in names(condition)
    assert "echo_silent" not in names(condition)
    assert Fault("loop_late", "ticks come late") in condition.faults
    assert names(day.live(5)) == []


@pytest.mark.parametrize(("stall_ms", "lasts_s"), [(490, 0.0), (500, 1.25), (800, 2.75), (60_000, 3.75)])
def test_a_stall_of_half_a_second_is_lateness_until_half_of_it_is_forgotten(day: Day, stall_ms: int, lasts_s: float) -> None:
    day.live(1)
    assert names(day.live(0.01, late_ns=stall_ms * 1_000_000)) == (["loop_late"] if lasts_s else [])
    if lasts_s:
        assert names(day.live(lasts_s)) == ["loop_late"]
        assert names(day.live(0.01)) == []


def test_the_loops_lateness_counts_from_its_bound_on(day: Day, config: Config) -> None:
    bound_ns = config.loop.late_ms * 1_000_000
    assert names(day.live(10, late_ns=bound_ns)) == []
    assert names(day.live(10, late_ns=bound_ns + 1)) == ["loop_late"]


def test_one_frozen_axis_is_stuck_only_while_others_move(day: Day) -> None:
    day.live(1)
    day.frozen_axis = 0
    assert names(day.live(0.9)) == []
    assert names(day.live(0.3)) == ["imu_stuck"]
    day.frozen_axis = None
    assert names(day.live(0.02)) == []
    day.swing, day.frozen_axis = 6, 0  # a still wearer: nothing moves by 20 counts
    assert names(day.live(5)) == []


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_frozen_axis_of_either_sensor_is_told_when_another_of_it_moves_by_its_counts(config: Config, axis: int) -> None:
    for sensor in ("frozen_axis", "frozen_gyro_axis"):
        day = Day(config)
        day.swing = 9 if sensor == "frozen_gyro_axis" else 19  # one gyro axis moves twice as far
        day.live(1)
        setattr(day, sensor, axis)
        assert names(day.live(3)) == [], "less than the 20 counts"
        day = Day(config)
        day.swing = 41
        day.live(1)
        setattr(day, sensor, axis)
        condition = day.live(1.03)
        assert condition.faults == (Fault("imu_stuck", "one axis does not change while another moves"),)
        assert condition.echo_ok and not condition.imu_ok


def test_chip_that_repeats_its_last_sample_for_ever_is_stuck(day: Day) -> None:
    day.live(1)
    day.swing = 0
    assert names(day.live(0.9)) == []
    assert day.live(0.3).faults == (Fault("imu_stuck", "no axis changes by a single count: not even the noise of the chip"),)


def test_impact_saturates_briefly_a_loose_imu_for_long(day: Day) -> None:
    day.saturated = True
    assert names(day.live(0.3)) == []
    day.saturated = False
    day.live(0.01)
    day.saturated = True
    assert names(day.live(0.5)) == []
    assert day.live(0.01).faults == (Fault("imu_saturated", "at full scale"),)
    day.saturated = False
    assert names(day.live(0.01)) == []


def test_outputs_that_freeze_in_mid_stride_are_no_still_second_at_a_wrong_scale(day: Day) -> None:
    day.live(5)
    day.swing = 0
    assert names(day.live(1.0)) == []
    day.health.still_second(0.7, 0.5)  # the monitor's word: nothing varied for a second
    assert names(day.live(0.5)) == ["imu_stuck"]
    day.swing = 40
    assert names(day.live(1.0)) == [], "the wearer walks on, and will not stand still for minutes"


def test_wrong_scale_is_found_at_a_still_second_and_forgiven_at_a_good_one(day: Day) -> None:
    day.live(1)
    day.health.still_second(0.5, 0.01)
    condition = day.live(0.01)
    assert names(condition) == ["imu_scale"]
    assert condition.faults == (Fault("imu_scale", "at rest the norm is not 1 g: check imu.chip in guardian.toml against the board"),)
    day.health.still_second(1.01, 0.01)
    assert names(day.live(0.01)) == []


def test_gyro_that_turns_at_rest_is_found_and_again_when_the_board_has_been_away(day: Day) -> None:
    day.health.still_second(1.0, 0.3)
    condition = day.live(0.01)
    assert names(condition) == ["imu_scale"]
    assert condition.faults == (Fault("imu_scale", "at rest the gyro turns: replace the IMU, or raise imu.rest_gyro_deg_s"),)
    day.health.still_second(1.0, 0.01)
    assert names(day.live(1)) == []
    day.imu = False
    day.live(1)
    day.imu = True
    day.live(1)
    day.health.still_second(1.0, 0.3)
    assert names(day.live(0.01)) == ["imu_scale"]


def test_the_scale_is_right_between_its_bounds(day: Day, config: Config) -> None:
    low, high = config.imu.rest_g_min, config.imu.rest_g_max
    for norm_g, found in ((low, []), (low - 1e-4, ["imu_scale"]), (high, []), (high + 1e-4, ["imu_scale"])):
        day.health.still_second(norm_g, 0.0)
        assert names(day.live(0.01)) == found, norm_g


def test_bus_on_a_roundabout_is_no_broken_gyro(day: Day) -> None:
    day.health.still_second(1.0, 0.01)
    for _ in range(6):
        day.live(1)
        day.health.still_second(1.02, 0.3)
    assert names(day.live(0.01)) == []


def test_button_held_for_ten_seconds_is_stuck(day: Day) -> None:
    day.button = True
    assert names(day.live(10.0)) == []
    condition = day.live(0.01)
    assert condition == Condition(True, True, (Fault("button_stuck", "pressed for long"),), None)
    day.faults = (Fault("button_stuck", "cannot be read"),)
    assert names(day.live(0.2)) == ["button_stuck"], "once, whoever says it"
    day.faults, day.button = (), False
    assert names(day.live(0.01)) == []
    day.button = True
    assert names(day.live(9.9)) == [], "counted from its own beginning"


def test_low_supply_is_told_and_unknown_charge_is_not_low(day: Day) -> None:
    day.supply = Supply(None, None)
    assert names(day.live(0.1)) == []
    low = day.config.supply.low_charge
    day.supply = Supply(None, low)
    assert day.live(0.1) == Condition(True, True, (), low)
    day.supply = Supply(None, low - 0.01)
    assert day.live(0.1) == Condition(True, True, (Fault("supply_low", "charge"),), low - 0.01)
    day.supply = Supply(True, 0.9)
    assert day.live(0.1).faults == (Fault("supply_low", "undervoltage"),)
    day.supply = None
    assert day.live(0.1).faults == (Fault("supply_low", "undervoltage"),), "until the supply is read again"


def test_outputs_faults_pass_through(day: Day) -> None:
    day.faults = (Fault("link_down", "x"), Fault("disk_full", "y"))
    assert names(day.live(0.1)) == ["link_down", "disk_full"]


def test_small_hiccups_are_no_fault_but_a_loop_far_behind_is(day: Day) -> None:
    for _ in range(20):
        day.live(1)
        assert names(day.live(0.01, late_ns=60_000_000)) == []
    assert "loop_late" in names(day.live(2, late_ns=60_000_000))


def samples(*moments: tuple[float, float, float], every_ns: int = TICK_NS) -> tuple[ImuSample, ...]:
    """Both sensors alike."""
    return tuple(ImuSample(i * every_ns, moment, moment, False) for i, moment in enumerate(moments))


def test_a_sensor_is_silent_a_nanosecond_after_its_periods_and_lateness_is_none_of_its_time(config: Config) -> None:
    rows = {"imu_silent": config.health.imu, "echo_silent": config.health.echo}
    for fault, row in rows.items():
        bound_ns = round(row.period_ms * row.silent_periods * 1e6)
        for late_ns in (0, 300_000_000):
            health = Health(config)
            noise = samples((0.1, 0.2, 9.8), (0.2, 0.3, 9.7))
            health.step(Frame(0, imu=noise, echo=Echo(0, 1, None, "nothing")))
            health.step(Frame(late_ns, late_ns=late_ns))
            assert fault not in names(health.step(Frame(late_ns + bound_ns)))
            assert fault in names(health.step(Frame(late_ns + bound_ns + 1)))
            assert fault in names(health.step(Frame(late_ns + bound_ns + 2, late_ns=1_000)))


@pytest.mark.parametrize("value", [0.0, 9.8])
def test_a_chip_that_says_the_same_from_power_on_is_stuck_after_its_time(config: Config, value: float) -> None:
    stuck = round(config.health.stuck_s * 1e9) // TICK_NS
    health, told = Health(config), []
    for one in samples(*[(value, value, value)] * (stuck + 5)):
        told.append(names(health.step(Frame(one.t_ns, imu=(one,), echo=Echo(one.t_ns, 1, None, "nothing")))))
    seen = 0 if value == 0.0 else 1  # that a value stays shows with the second sample; a chip that says nothing but zeros with the first
    assert told.index(["imu_stuck"]) == stuck + seen


@pytest.mark.parametrize("sensor", ["accel", "gyro"])
@pytest.mark.parametrize(("frozen", "moves"), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)])
def test_a_frozen_axis_is_told_whichever_other_moves(config: Config, sensor: str, frozen: int, moves: int) -> None:
    lsb = CHIP_LSB[config.imu.chip][0 if sensor == "accel" else 1]
    for counts, found in ((config.health.stuck_moving_counts - 1, []), (config.health.stuck_moving_counts + 1, ["imu_stuck"])):
        health = Health(config)
        for i in range(120):
            sway = (1.0, 0.0)[i % 2] * lsb  # the chip's noise
            moving = [sway, sway, sway]
            moving[frozen], moving[moves] = 0.5, counts * lsb * (i % 2)
            vector = (moving[0], moving[1], moving[2])
            quiet = (sway, -sway, 9.8 + sway)
            one = ImuSample(i * TICK_NS, vector, quiet, False) if sensor == "accel" else ImuSample(i * TICK_NS, quiet, vector, False)
            condition = health.step(Frame(one.t_ns, imu=(one,), echo=Echo(one.t_ns, i, None, "nothing")))
        assert names(condition) == found, counts


def test_a_snapshot_in_any_trouble_is_everything(config: Config) -> None:
    def trouble(day: Day, part: int) -> Condition:
        day.imu, day.echo = part % 3 != 1, part % 4 != 2
        day.saturated, day.button = part % 5 == 3, part % 2 == 1
        day.supply = Supply(part % 2 == 0, 0.1 * part)
        condition = day.live(0.7, late_ns=40_000_000 if part == 4 else 0)
        day.health.still_second(1.0 if part % 2 else 0.5, 0.01)
        return condition

    for cut in range(8):
        whole, again = Day(config), Day(config)
        for part in range(cut):
            trouble(whole, part)
            trouble(again, part)
        kept = msgspec.to_builtins(again.health.memory)
        again.health = Health(config)
        again.health.memory = msgspec.convert(kept, type(again.health.memory))
        assert [trouble(again, part) for part in range(cut, 8)] == [trouble(whole, part) for part in range(cut, 8)]
