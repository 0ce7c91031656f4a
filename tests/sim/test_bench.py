"""The bench: what its hands do arrives at the wires."""

import errno
import itertools
import tracemalloc

import msgspec
import numpy as np
import pytest
from gpiozero.output_devices import OutputDevice

from guardian.config import Config, load
from guardian.drivers.button import Button
from guardian.drivers.hcsr04 import Hcsr04
from guardian.drivers.imu import Imu
from guardian.frame import ImuSample
from guardian.sim.bench import Bench
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.recorded import RecordedWorld

MS = 1_000_000
SECOND = 1_000_000_000
CONFIG = load(local=None)
WHO_AM_I = (0x6A, 0x0F)


class Hall(RecordedWorld):
    """Somebody stands still in front of a wall, and listens."""

    def __init__(self, distance_m: float | None = 2.0) -> None:
        super().__init__([0.0, 1.0], np.tile([0.0, 0.0, 9.81, 0.0, 0.0, 0.0], (2, 1)))
        self.distance_m = distance_m
        self.sounds: list[tuple[int, bool]] = []

    def echo(self, t_ns: int) -> float | None:
        return self.distance_m

    def heard(self, t_ns: int, on: bool) -> None:
        self.sounds.append((t_ns, on))


@pytest.fixture
def bench() -> Bench:
    return Bench(CONFIG, Hall())


def changed(config: Config, section: str, **keys: object) -> Config:
    return msgspec.structs.replace(config, **{section: msgspec.structs.replace(getattr(config, section), **keys)})


def level_changes(bench: Bench, until_s: float) -> list[tuple[float, bool]]:
    """(ms, pressed) of the button's contact itself, sampled every 0.1 ms."""
    pin = bench.pins.pin(CONFIG.button.pin)
    pin.pull = "up"
    changes = [(0.0, False)]
    for t_ns in range(0, int(until_s * SECOND), 100_000):
        bench.clock.wait_until(t_ns)
        if (pressed := not pin.state) != changes[-1][1]:
            changes.append((t_ns / MS, pressed))
    return changes


def test_actions_happen_at_their_seconds(bench: Bench) -> None:
    times: list[int] = []
    bench.at(2.5, lambda: times.append(bench.clock.now_ns()))
    bench.at(0.25, lambda: times.append(bench.clock.now_ns()))
    bench.clock.wait_until(3 * SECOND)
    assert times == [SECOND // 4, 5 * SECOND // 2]


def test_a_press_bounces_for_a_few_ms_and_is_one_press_to_the_driver(bench: Bench) -> None:
    bench.at(0.1, lambda: bench.press(0.4))
    changes = level_changes(bench, 1.0)
    assert len(changes) > 3
    assert all(100 <= t <= 105.1 or 500 <= t <= 505.1 for t, _ in changes[1:])
    assert changes[-1][1] is False
    again = Bench(CONFIG, Hall())
    button = Button(again.pins, CONFIG.button)
    again.at(0.1, lambda: again.press(0.4))
    answers = []
    for t_ns in range(0, SECOND, 10 * MS):
        again.clock.wait_until(t_ns)
        answers.append(button.read(t_ns))
    assert sum(later != earlier for earlier, later in itertools.pairwise(answers)) == 2


@pytest.mark.parametrize("seed", range(20))
def test_even_a_tap_shorter_than_its_bouncing_ends_open(seed: int) -> None:
    bench = Bench(CONFIG, Hall(), seed)
    bench.press(0.002)
    assert level_changes(bench, 0.1)[-1][1] is False


def test_held_until_released(bench: Bench) -> None:
    bench.at(0.1, bench.hold)
    bench.at(12.0, bench.release)
    bench.clock.wait_until(11 * SECOND)
    pin = bench.pins.pin(CONFIG.button.pin)
    pin.pull = "up"
    assert not pin.state
    bench.clock.wait_until(13 * SECOND)
    assert pin.state


def test_a_torn_imu_cable_is_silence_at_its_address_until_plugged(bench: Bench) -> None:
    assert bench.bus.read_byte_data(*WHO_AM_I) == 0x6C
    bench.unplug_imu()
    bench.unplug_imu()
    with pytest.raises(OSError) as torn:
        bench.bus.read_byte_data(*WHO_AM_I)
    assert torn.value.errno == errno.EREMOTEIO
    bench.plug_imu()
    bench.plug_imu()
    assert bench.bus.read_byte_data(*WHO_AM_I) == 0x6C


def test_bus_faults_end_with_their_time(bench: Bench) -> None:
    bench.bus_error(errno.EIO, 1.0)
    with pytest.raises(OSError) as failed:
        bench.bus.read_byte_data(*WHO_AM_I)
    assert failed.value.errno == errno.EIO
    bench.clock.wait_until(SECOND)
    assert bench.bus.read_byte_data(*WHO_AM_I) == 0x6C
    bench.bus_hang(1.0)
    with pytest.raises(OSError) as hung:
        bench.bus.read_byte_data(*WHO_AM_I)
    assert hung.value.errno == errno.ETIMEDOUT
    assert bench.clock.now_ns() == SECOND + CONFIG.imu.bus_timeout_ms * MS
    bench.clock.wait_until(2 * SECOND)
    assert bench.bus.read_byte_data(*WHO_AM_I) == 0x6C


def test_the_configured_chip_is_on_the_bus() -> None:
    for chip, address, register, identity in (("lsm6dso32", 0x6A, 0x0F, 0x6C), ("mpu6050", 0x68, 0x75, 0x68)):
        bench = Bench(changed(CONFIG, "imu", chip=chip, address=address), Hall())
        assert bench.bus.read_byte_data(address, register) == identity


def test_the_configured_gauge_is_on_the_bus() -> None:
    bench = Bench(changed(CONFIG, "supply", gauge="max17048", address=0x36), Hall())
    assert bench.bus.read_i2c_block_data(0x36, 0x08, 2) == [0x00, 0x12]
    assert Bench(CONFIG, Hall()).gauge is None


def test_the_buzzer_is_logged_and_heard_and_the_motor_logged() -> None:
    hall = Hall()
    bench = Bench(changed(CONFIG, "buzzer", vibration_pin=18), hall)
    buzzer, motor = (OutputDevice(pin, pin_factory=bench.pins) for pin in (CONFIG.buzzer.pin, 18))
    buzzer.on()
    bench.clock.wait_until(5)
    motor.on()
    buzzer.off()
    assert bench.sound_log == hall.sounds == [(0, True), (5, False)]
    assert bench.vibration_log == [(5, True)]


def test_a_crash_leaves_the_sound_on_and_the_pins_free_and_a_power_cycle_is_silent(bench: Bench) -> None:
    before = OutputDevice(CONFIG.buzzer.pin, pin_factory=bench.pins)
    before.on()
    bench.crash()
    after = OutputDevice(CONFIG.buzzer.pin, pin_factory=bench.pins)  # its pin is not in use
    assert bench.sound_log == [(0, True), (0, False)]
    after.on()
    before.close()  # the dead program's remains do nothing
    assert len(bench.sound_log) == 3
    bench.power_cycle()
    assert bench.sound_log[-1] == (0, False)


def test_a_power_cycle_resets_the_imu(bench: Bench) -> None:
    bench.bus.write_byte_data(0x6A, 0x10, 0x44)
    bench.power_cycle()
    assert bench.bus.read_byte_data(0x6A, 0x10) == 0


def test_half_an_hour_of_pings_and_presses_takes_no_memory(bench: Bench) -> None:
    ranger = Hcsr04(bench.pins, CONFIG.ranger, bench.clock)
    button = Button(bench.pins, CONFIG.button)
    held = []
    tracemalloc.start()
    for _ in range(3):
        for _ in range(10_000):
            t_ns = bench.clock.now_ns() + 60 * MS
            bench.clock.wait_until(t_ns)
            ranger.read(t_ns)
            button.read(t_ns)
        bench.press(1.0)
        bench.clock.wait_until(bench.clock.now_ns() + 2 * SECOND)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[2] - held[1] < 1000


@pytest.mark.parametrize("name", ["unplug", "stuck_high", "stuck_low", "edges_lost", "pins_broken"])
def test_each_way_a_ranger_fails_reaches_the_driver(bench: Bench, name: str) -> None:
    driver = Hcsr04(bench.pins, CONFIG.ranger, bench.clock)
    fail, expected = {
        "unplug": (bench.unplug_ranger, {"no_edges"}),
        "stuck_high": (bench.ranger_stuck_high, {"stuck_high"}),
        "stuck_low": (bench.ranger_stuck_low, {"no_edges"}),
        "edges_lost": (bench.edges_lost, {"no_edges"}),
        "pins_broken": (lambda: bench.pins_broken(errno.EIO, 10.0), {"echo_silent"}),
    }[name]
    bench.at(1.0, fail)
    seen: set[str] = set()
    for t_ns in range(0, 2 * SECOND, 10 * MS):
        bench.clock.wait_until(t_ns)
        echo, faults = driver.read(t_ns)
        if t_ns > 1.2 * SECOND:
            seen |= {echo.reason} if echo else set()
            seen |= {fault.name for fault in faults}
        elif echo is not None and t_ns < SECOND:
            assert echo.reason == "echo"
    assert seen == expected
    bench.plug_ranger()
    bench.ranger_heals()
    bench.pins.delivering = True
    bench.clock.wait_until(20 * SECOND)
    outcomes = []
    for t_ns in range(21 * SECOND, 22 * SECOND, 10 * MS):
        bench.clock.wait_until(t_ns)
        echo, faults = driver.read(t_ns)
        outcomes += [echo.reason] if echo else []
    assert set(outcomes[1:]) == {"echo"}  # the first belongs to a ping of the bad times
    assert faults == ()


@pytest.mark.parametrize(("chip", "address"), [("lsm6dsox", 0x6A), ("mpu6050", 0x68)])
def test_a_stuck_output_shows_one_count_and_a_broken_one_full_scale_until_they_heal(chip: str, address: int) -> None:
    config = changed(CONFIG, "imu", chip=chip, address=address)
    bench = Bench(config, Hall())
    imu = Imu(bench.bus, bench.clock, config)
    imu.start()

    def sampled() -> list[ImuSample]:
        bench.clock.wait_until(bench.clock.now_ns() + 20 * MS)
        imu.read(bench.clock.now_ns())
        bench.clock.wait_until(bench.clock.now_ns() + SECOND // 2)
        return list(imu.read(bench.clock.now_ns())[0])

    def kinds(samples: list[ImuSample], axis: int) -> int:
        return len({sample.accel[axis] for sample in samples})

    well = sampled()
    assert kinds(well, 2) > 2
    bench.imu_stuck(2)
    stuck = sampled()
    assert (kinds(stuck, 2), stuck[0].saturated) == (1, False)
    assert abs(stuck[0].accel[2] - well[0].accel[2]) < 0.2, "it stays where it was"
    assert kinds(stuck, 0) > 2
    bench.imu_full_scale(3)
    assert all(sample.saturated and sample.gyro[0] > 34 for sample in sampled())
    bench.imu_heals()
    healed = sampled()
    assert kinds(healed, 2) > 2
    assert not any(sample.saturated for sample in healed)


def test_another_board_is_another_part(bench: Bench) -> None:
    imu = Imu(bench.bus, bench.clock, CONFIG)
    bench.fit_imu(LsmChip(bench.world, "lsm6dso32"))
    imu.start()
    bench.clock.wait_until(bench.clock.now_ns() + SECOND)
    samples, faults = imu.read(bench.clock.now_ns())
    assert faults == ()
    assert samples[-1].accel[2] == pytest.approx(9.81 / 2, abs=0.3)


def test_one_broken_pin_leaves_the_others(bench: Bench) -> None:
    button, buzzer = Button(bench.pins, CONFIG.button), OutputDevice(CONFIG.buzzer.pin, pin_factory=bench.pins)
    bench.pin_broken(CONFIG.button.pin, errno.EIO)
    assert not button.read(0)
    assert [fault.name for fault in button.faults] == ["button_stuck"]
    buzzer.on()
    assert bench.sound_log == [(0, True)]
    bench.pin_heals(CONFIG.button.pin)
    button.read(10 * MS)
    assert button.faults == ()
