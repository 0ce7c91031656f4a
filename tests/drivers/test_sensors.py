"""Frames and their pacing, with the whole simulated hardware below."""

from collections.abc import Iterator
from itertools import islice, pairwise

import numpy as np
import pytest

from guardian.config import load
from guardian.drivers.imu import Refusal
from guardian.drivers.sensors import Sensors
from guardian.frame import Command, Fault, Frame
from guardian.sim.bench import Bench
from guardian.sim.recorded import RecordedWorld

MS = 1_000_000
SECOND = 1_000_000_000
CONFIG = load(local=None)


class Hall(RecordedWorld):
    """Somebody stands still, 2 m in front of a wall."""

    def __init__(self) -> None:
        super().__init__([0.0, 1.0], np.tile([0.0, 0.0, 9.81, 0.0, 0.0, 0.0], (2, 1)))

    def echo(self, t_ns: int) -> float | None:
        return 2.0


class Letterbox:
    """What outputs and signals would say."""

    def __init__(self) -> None:
        self.standing: tuple[Fault, ...] = ()
        self.post: list[Command] = []

    def faults(self) -> tuple[Fault, ...]:
        return self.standing

    def commands(self) -> tuple[Command, ...]:
        post, self.post = tuple(self.post), []
        return post


class Desk:
    """Bench, sensors, letterbox, started."""

    def __init__(self) -> None:
        self.bench = Bench(CONFIG, Hall())
        self.letters = Letterbox()
        self.sensors = Sensors(self.bench.hardware, CONFIG, self.letters)
        self.sensors.start()
        self.frames: Iterator[Frame] = self.sensors.frames()

    def take(self, seconds: float) -> list[Frame]:
        return list(islice(self.frames, int(seconds * 100)))

    def now_s(self) -> float:
        return self.bench.clock.now_ns() / 1e9


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_tick_is_ten_milliseconds_for_ever(desk: Desk) -> None:
    frames = desk.take(10)
    assert {later.t_ns - earlier.t_ns for earlier, later in pairwise(frames)} == {10 * MS}
    assert {frame.late_ns for frame in frames} == {0}


def test_frames_hold_everything_once(desk: Desk) -> None:
    frames = desk.take(10)
    samples = [sample for frame in frames for sample in frame.imu]
    assert 1000 <= len(samples) <= 1080  # 104 Hz, within the part's tolerance
    assert all(earlier.t_ns < later.t_ns for earlier, later in pairwise(samples))
    assert all(sample.t_ns <= frame.t_ns for frame in frames for sample in frame.imu)
    echoes = [frame.echo for frame in frames if frame.echo]
    assert [echo.seq for echo in echoes] == list(range(1, len(echoes) + 1))
    assert len(echoes) > 140
    readings = 10 / load(local=None).supply.read_s
    assert readings - 1 <= sum(frame.supply is not None for frame in frames) <= readings + 1
    assert {frame.faults for frame in frames} == {()}


def test_after_a_stall_one_late_frame_and_no_burst(desk: Desk) -> None:
    desk.take(2)
    desk.bench.at(desk.now_s() + 0.1, lambda: desk.bench.stall(0.5))
    frames = desk.take(1)
    late = [frame for frame in frames if frame.late_ns]
    assert [frame.late_ns for frame in late] == [500 * MS]
    after = frames[frames.index(late[0]) :]
    assert {b.t_ns - a.t_ns for a, b in pairwise(after)} == {10 * MS}


def test_no_sample_is_lost_in_a_stall(desk: Desk) -> None:
    before = desk.take(2)
    desk.bench.at(desk.now_s() + 0.1, lambda: desk.bench.stall(0.7))
    samples = [sample.t_ns for frame in before + desk.take(2) for sample in frame.imu]
    assert max(b - a for a, b in pairwise(samples)) < 11 * MS


@pytest.mark.parametrize(("work_ms", "late_ms"), [(9, 0), (60, 50), (200, 190)])
def test_a_slow_computer_is_told_of_in_each_frame(desk: Desk, work_ms: int, late_ms: int) -> None:
    frames = []
    for frame in islice(desk.frames, 50):
        frames.append(frame)
        desk.bench.clock.wait_until(frame.t_ns + work_ms * MS)
    assert {frame.late_ns for frame in frames[1:]} == {late_ms * MS}


def test_a_slightly_slow_computer_falls_behind_by_less_than_two_ticks(desk: Desk) -> None:
    frames = []
    for frame in islice(desk.frames, 500):
        frames.append(frame)
        desk.bench.clock.wait_until(frame.t_ns + 12 * MS)
    assert {b.t_ns - a.t_ns for a, b in pairwise(frames)} == {12 * MS}
    assert 0 < max(frame.late_ns for frame in frames) < 20 * MS


def test_frames_end_when_told_to(desk: Desk) -> None:
    desk.bench.at(desk.now_s() + 1.0, desk.sensors.stop)
    assert 99 <= len(desk.take(10)) <= 102


def test_a_press_is_in_the_frames(desk: Desk) -> None:
    desk.bench.at(desk.now_s() + 0.5, lambda: desk.bench.press(0.3))
    pressed = [frame.t_ns for frame in desk.take(2) if frame.button]
    assert pressed[-1] - pressed[0] == pytest.approx(0.3 * SECOND, abs=20 * MS)
    assert len(pressed) * 10 * MS == pressed[-1] - pressed[0] + 10 * MS


def test_faults_of_drivers_and_outputs_stand_together_and_commands_come_once(desk: Desk) -> None:
    desk.take(1)
    link, asked = Fault("link_down", "broker"), Command("ack", "c1", "a1")
    desk.letters.standing, desk.letters.post = (link,), [asked]
    desk.bench.unplug_imu()
    desk.bench.pins_broken(5, 60.0)
    frames = desk.take(1)
    assert {fault.name for fault in frames[-1].faults} == {"imu_silent", "echo_silent", "button_stuck", "link_down"}
    assert link in frames[-1].faults
    assert [command for frame in frames for command in frame.commands] == [asked]
    desk.letters.standing = ()
    desk.bench.plug_imu()
    desk.bench.pins.broken = None
    assert desk.take(4)[-1].faults == ()


def test_an_imu_that_is_not_there_refuses_the_start_and_names_its_wires() -> None:
    bench = Bench(CONFIG, Hall())
    bench.unplug_imu()
    with pytest.raises((OSError, Refusal), match=r"(?i)pin|wire"):
        Sensors(bench.hardware, CONFIG, Letterbox()).start()


def test_a_killed_program_is_started_anew_on_the_same_hardware(desk: Desk) -> None:
    desk.take(1)
    desk.bench.crash()
    again = Sensors(desk.bench.hardware, CONFIG, Letterbox())
    again.start()
    frames = list(islice(again.frames(), 100))
    assert sum(len(frame.imu) for frame in frames) > 95
    assert {frame.echo.reason for frame in frames if frame.echo} == {"echo"}


def test_a_closed_program_is_started_anew_on_the_same_hardware(desk: Desk) -> None:
    desk.take(1)
    desk.sensors.close()
    desk.bench.hardware.close()
    again = Sensors(desk.bench.hardware, CONFIG, Letterbox())
    again.start()
    assert {frame.echo.reason for frame in islice(again.frames(), 100) if frame.echo} == {"echo"}
