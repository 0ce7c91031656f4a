"""The wiring: what comes before what, what outlives what, and how it ends."""

import gc
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guardian.app import AlreadyRunning, Device, Inbox, calibration_of, locked, places, settle, simulated_device, write_durably
from guardian.commands.run import obey_signals
from guardian.config import Calibration, Config, ConfigError, load
from guardian.frame import Command, Fault, Frame
from guardian.outputs.guard import Guarded
from guardian.sim.bench import Bench
from guardian.sim.broker import SimLink
from guardian.sim.person import Person
from guardian.sim.phases import Stand, Walk
from guardian.sim.world import Story
from guardian.verdict import Alarm, Resume, State, Verdict
from tests.stage import Witness


@pytest.fixture
def at_home(tmp_path: Path) -> Config:
    return load(local=None, overrides={"device": {"state_dir": str(tmp_path)}})


class Rig:
    """A bench with a walker, and devices started on it one after the other."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.bench = Bench(config, Story(Person.drawn(1), (Stand(3.0), Walk(3600.0, speed=-0.5))))
        self.link = SimLink(self.bench.clock, config)
        self.witness = Witness()

    def device(self) -> Device:
        return simulated_device(
            self.config, self.bench.hardware, self.link, lambda: datetime(2026, 1, 1, tzinfo=UTC), install="rig", watching=(self.witness,)
        )

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        self.bench.clock.schedule(self.bench.clock.now_ns() + int(seconds * 1e9), action)


def test_an_alarm_is_on_disk_before_its_event_before_the_sound_before_the_caregiver(at_home: Config) -> None:
    with Rig(at_home).device() as device:
        assert [output.name for output in device.outputs] == [
            "journal", "outbox", "buzzer", "mqtt", "recorder", "logbook", "watchdog", "witness", "switch",
        ]  # fmt: skip
        acting = device.outputs[:7]
        assert all(isinstance(output, Guarded) for output in acting), "each behind a guard of its own"


def test_sigterm_ends_the_session_says_offline_and_leaves_the_buzzer_silent(at_home: Config) -> None:
    rig = Rig(at_home)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        with rig.device() as device:
            device.start()
            obey_signals(device)
            rig.at(5.0, lambda: os.kill(os.getpid(), signal.SIGTERM))
            device.run()
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    last = rig.witness.verdicts[-1]
    assert last.powering_off
    assert last.t_ns < 5.1e9, "the loop ends with the tick that heard of it"
    assert last.state is State.OFF
    assert [event["event_type"] for event in rig.link.events()] == ["session_started", "session_ended"]
    assert rig.link.availability == "offline"
    assert rig.link.state()["power"] == "off"
    assert not rig.bench.pins.line(at_home.buzzer.pin).on


def test_an_alarm_open_at_the_end_is_open_at_the_next_start(at_home: Config) -> None:
    rig = Rig(at_home)
    rig.at(5.0, lambda: rig.bench.press(2.5))
    rig.at(9.0, lambda: first.power_off("test"))
    with rig.device() as first:
        first.start()
        first.run()
    sos = rig.witness.verdicts[-1].alarm
    assert sos is not None
    assert sos.opened_by == "sos"
    assert places(at_home).open_alarm() == f"sos {sos.id}"

    rig.link, rig.witness = SimLink(rig.bench.clock, at_home), Witness()
    with rig.device() as second:
        rig.at(5.0, second.stop)
        second.start()
        second.run()
    alarms = {verdict.alarm.id for verdict in rig.witness.verdicts if verdict.alarm}
    assert alarms == {sos.id}
    assert rig.witness.verdicts[-1].state is State.FALLEN
    begun_ns = rig.witness.verdicts[0].t_ns
    assert any(verdict.alert and verdict.alert.sound == "fall" and verdict.t_ns - begun_ns < 5e9 for verdict in rig.witness.verdicts)


def test_without_its_imu_the_device_says_so_aloud_and_guards_when_it_is_plugged_in(at_home: Config) -> None:
    rig = Rig(at_home)
    rig.bench.unplug_imu()
    with rig.device() as device:
        rig.at(5.0, rig.bench.plug_imu)
        rig.at(12.0, device.stop)
        device.start()
        device.run()
    heard = [verdict.alert.sound for verdict in rig.witness.verdicts if verdict.alert]
    assert "imu_silent" in heard
    assert rig.witness.verdicts[-1].state is State.GUARDING


def test_without_its_imu_an_open_alarm_sounds_all_the_same(at_home: Config) -> None:
    """A wire torn in the fall, and a restart: silence would be the worst answer."""
    rig = Rig(at_home)
    rig.bench.unplug_imu()
    resume = Resume("rig", 1, State.FALLEN, Alarm("rig-1-3", "fall", 0))
    write_durably(places(at_home).journal, msgspec.json.encode(resume))
    with rig.device() as device:
        rig.at(3.0, device.stop)
        device.start()
        device.run()
    last = rig.witness.verdicts[-1]
    assert (last.state, last.alarm.id if last.alarm else "") == (State.FALLEN, "rig-1-3")
    assert last.alert is not None
    assert last.alert.sound == "fall"
    assert "imu_silent" in last.faults
    assert rig.bench.sound_log


class Closing:
    """Notes when it is closed."""

    def __init__(self, name: str, closed: list[str]) -> None:
        self.name = name
        self._closed = closed

    def apply(self, frame: Frame, verdict: Verdict) -> None: ...

    def faults(self) -> tuple[Fault, ...]:
        return ()

    def close(self) -> None:
        self._closed.append(self.name)


def test_at_the_end_systemd_hears_first_and_the_outbox_outlives_the_link(at_home: Config) -> None:
    device, closed = Rig(at_home).device(), list[str]()
    device.outputs = tuple(Closing(output.name, closed) for output in device.outputs)
    device.close()
    assert closed[0] == "watchdog"
    assert closed.index("buzzer") < closed.index("mqtt") < closed.index("outbox")
    assert len(closed) == len(device.outputs)


class Broken:
    """An output with a bug."""

    name = "broken"

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        raise ZeroDivisionError("a bug")

    def faults(self) -> tuple[Fault, ...]:
        return ()

    def close(self) -> None: ...


def test_an_output_that_raises_is_a_fault_of_the_next_frame_and_the_others_go_on(at_home: Config) -> None:
    rig = Rig(at_home)
    device = rig.device()
    guarded = Guarded(Broken())
    device.outputs = (guarded, *device.outputs)
    device.inbox.connect(device.outputs, tuple)
    rig.at(2.0, device.stop)
    with device:
        device.start()
        device.run()
    assert not rig.witness.frames[0].faults
    assert Fault("output_failed", "broken: a bug") in rig.witness.frames[1].faults
    assert "output_failed" in rig.witness.verdicts[-1].faults
    assert rig.bench.sound_log, "the buzzer still plays"


def test_what_is_asked_comes_once_and_in_order() -> None:
    inbox = Inbox()
    inbox.connect((), lambda: (Command("ack", "1"),))
    inbox.ask(Command("power_off", "2"))
    assert [command.id for command in inbox.commands()] == ["1", "2"]
    assert [command.id for command in inbox.commands()] == ["1"]


def test_two_guardians_do_not_share_a_state_folder(at_home: Config) -> None:
    with locked(places(at_home)), pytest.raises(AlreadyRunning, match=at_home.device.state_dir), locked(places(at_home)):
        pass
    with locked(places(at_home)):
        pass


def test_the_state_folder_is_its_owners_alone(at_home: Config) -> None:
    place = places(at_home).state_dir / "below"
    here = places(msgspec.structs.replace(at_home, device=msgspec.structs.replace(at_home.device, state_dir=str(place))))
    here.make()
    assert place.stat().st_mode & 0o077 == 0


def test_a_damaged_calibration_is_refused_with_the_way_out(at_home: Config) -> None:
    here = places(at_home)
    assert calibration_of(here) is None
    write_durably(here.calibration, msgspec.json.encode(Calibration(up=(0, 0, 1), gyro_bias=(0, 0, 0), height_m=0.9)))
    found = calibration_of(here)
    assert found is not None
    assert found.height_m == 0.9
    for damage in (b"{}", b'"\xff"', b'{"x":' + b"[" * 5000):
        here.calibration.write_bytes(damage)
        with pytest.raises(ConfigError, match=r"calibration\.json.*guardian calibrate"):
            calibration_of(here)


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"sounds": {"exercise_changed": {"priority": 2}}}, "priority"),
        ({"sounds": {"exercise_changed": {"on_off_ms": [50] * 10}}}, "on_off_ms"),
        ({"sounds": {"exercise_changed": {"meaning": "so " * 36}}}, "label"),
        ({"sounds": {"exercise_changed": {"priority": 24}}}, "priority"),
    ],
)
def test_a_beep_that_cannot_be_counted_for_each_exercise_is_refused_before_it_is_recorded(overrides: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load(local=None, overrides=overrides)


def test_only_the_deciding_thread_is_real_time(caplog: pytest.LogCaptureFixture) -> None:
    """SCHED_FIFO where it is allowed, else a warning; threads begun later are ordinary either way."""
    policies: list[int] = []

    def decide() -> None:
        settle(1)
        policies.append(os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK)
        later = threading.Thread(target=lambda: policies.append(os.sched_getscheduler(0)))
        later.start()
        later.join()

    thread = threading.Thread(target=decide)
    thread.start()
    thread.join()
    gc.unfreeze()
    assert policies[0] == os.SCHED_FIFO or "real-time" in caplog.text
    assert policies[1] == os.SCHED_OTHER
