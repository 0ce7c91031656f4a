"""Three truths: yes, no, don't know."""

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
        self.swing = 40  # counts
        self.faults: tuple[Fault, ...] = ()
        self.supply: Supply | None = None

    def sample(self) -> ImuSample:
        accel_lsb, gyro_lsb = CHIP_LSB[self.config.imu.chip]
        wave = (self.n % 7 - 3) * self.swing / 6
        accel = [0.1 + wave * accel_lsb, 0.2 - wave * accel_lsb, 9.8 + wave * accel_lsb]
        if self.frozen_axis is not None:
            accel[self.frozen_axis] = 1.0
        gyro = (wave * gyro_lsb, -wave * gyro_lsb, 2 * wave * gyro_lsb)
        return ImuSample(self.t_ns, (accel[0], accel[1], accel[2]), gyro, self.saturated)

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
    assert names(day.live(0.02)) == ["imu_silent"]
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
    day.live(1)
    day.echo = False
    condition = day.live(0.5)
    assert names(condition) == ["echo_silent"]
    assert not condition.echo_ok
    assert condition.imu_ok


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


@pytest.mark.parametrize(("reason", "name"), [("no_edges", "echo_stuck_low"), ("stuck_high", "echo_stuck_high")])
def test_ranger_stuck_either_way_has_its_own_name(day: Day, reason: EchoReason, name: str) -> None:
    day.live(1)
    day.reason = reason
    assert names(day.live(0.5)) == [name]
    day.reason = "echo"
    assert names(day.live(0.1)) == []


def test_nothing_in_range_for_an_hour_is_no_fault(day: Day) -> None:
    assert day.live(3600 / 20).echo_ok


def test_stalled_loop_is_not_a_silent_sensor(day: Day) -> None:
    day.live(1)
    condition = day.live(0.01, late_ns=700_000_000)
    assert "imu_silent" not in names(condition)
    assert "echo_silent" not in names(condition)
    assert "loop_late" in names(condition)
    assert names(day.live(5)) == []


def test_one_frozen_axis_is_stuck_only_while_others_move(day: Day) -> None:
    day.live(1)
    day.frozen_axis = 0
    assert names(day.live(0.9)) == []
    assert names(day.live(0.3)) == ["imu_stuck"]
    day.frozen_axis = None
    assert names(day.live(0.02)) == []
    day.swing, day.frozen_axis = 6, 0  # a still wearer: nothing moves by 20 counts
    assert names(day.live(5)) == []


def test_chip_that_repeats_its_last_sample_for_ever_is_stuck(day: Day) -> None:
    day.live(1)
    day.swing = 0
    assert names(day.live(0.9)) == []
    assert names(day.live(0.3)) == ["imu_stuck"]


def test_impact_saturates_briefly_a_loose_imu_for_long(day: Day) -> None:
    day.saturated = True
    assert names(day.live(0.3)) == []
    assert names(day.live(0.4)) == ["imu_saturated"]


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
    assert "imu.chip" in condition.faults[0].detail
    day.health.still_second(1.01, 0.01)
    assert names(day.live(0.01)) == []


def test_gyro_that_turns_at_rest_is_found_and_again_when_the_board_has_been_away(day: Day) -> None:
    day.health.still_second(1.0, 0.3)
    condition = day.live(0.01)
    assert names(condition) == ["imu_scale"]
    assert "gyro" in condition.faults[0].detail
    day.health.still_second(1.0, 0.01)
    assert names(day.live(1)) == []
    day.imu = False
    day.live(1)
    day.imu = True
    day.live(1)
    day.health.still_second(1.0, 0.3)
    assert names(day.live(0.01)) == ["imu_scale"]


def test_bus_on_a_roundabout_is_no_broken_gyro(day: Day) -> None:
    day.health.still_second(1.0, 0.01)
    for _ in range(6):
        day.live(1)
        day.health.still_second(1.02, 0.3)
    assert names(day.live(0.01)) == []


def test_button_held_for_ten_seconds_is_stuck(day: Day) -> None:
    day.button = True
    assert names(day.live(9.9)) == []
    day.faults = (Fault("button_stuck", "cannot be read"),)
    assert names(day.live(0.2)) == ["button_stuck"], "once, whoever says it"


def test_low_supply_is_told_and_unknown_charge_is_not_low(day: Day) -> None:
    day.supply = Supply(None, None)
    assert names(day.live(0.1)) == []
    day.supply = Supply(None, 0.10)
    assert day.live(0.1).faults == (Fault("supply_low", "charge"),)
    day.supply = Supply(True, 0.9)
    assert day.live(0.1).faults == (Fault("supply_low", "undervoltage"),)


def test_outputs_faults_pass_through(day: Day) -> None:
    day.faults = (Fault("link_down", "x"), Fault("disk_full", "y"))
    assert names(day.live(0.1)) == ["link_down", "disk_full"]


def test_small_hiccups_are_no_fault_but_a_loop_far_behind_is(day: Day) -> None:
    for _ in range(20):
        day.live(1)
        assert names(day.live(0.01, late_ns=60_000_000)) == []
    assert "loop_late" in names(day.live(2, late_ns=60_000_000))
