"""The buzzer's line, as an ear would take it: on simulated pins, 100 times a second."""

import itertools

import msgspec
import pytest
from gpiozero import GPIOPinInUse
from hypothesis import given
from hypothesis import strategies as st

from guardian.config import Config, Sound, load
from guardian.frame import Frame
from guardian.outputs.buzzer import Buzzer, pattern_on
from guardian.sim.clock import SimClock
from guardian.sim.pins import SimPins
from guardian.verdict import Alert, Gap, Motion, Obstacle, State, Verdict

MS = 1_000_000
SHIPPED = load(local=None)


class Room:
    """A buzzer, its lines, and what was heard on them in ms. `refused`: the kernel refuses its pin at first."""

    def __init__(self, config: Config = SHIPPED, vibration_pin: int = 0, kind: str = "active", refused: bool = False) -> None:
        buzzer = msgspec.structs.replace(config.buzzer, vibration_pin=vibration_pin, kind=kind)
        self.config = msgspec.structs.replace(config, buzzer=buzzer)
        self.clock = SimClock()
        self.pins = SimPins(self.clock)
        self.heard: list[tuple[float, bool]] = []
        self.felt: list[tuple[float, bool]] = []
        self.pins.line(buzzer.pin).listener = lambda t_ns, on: self.heard.append((t_ns / MS, on))
        if vibration_pin:
            self.pins.line(vibration_pin).listener = lambda t_ns, on: self.felt.append((t_ns / MS, on))
        self.pins.line(buzzer.pin).broken = OSError(5, "Input/output error") if refused else None
        self.buzzer = Buzzer(self.pins, self.config)

    def play(self, sound: str | None, duration_ms: int, since_ms: int | None = None) -> None:
        """Ticks from now on, with this alert since now, or since `since_ms`."""
        start_ns = self.clock.now_ns()
        alert = Alert(sound, start_ns if since_ms is None else since_ms * MS) if sound else None
        for t_ns in range(start_ns, start_ns + duration_ms * MS, 10 * MS):
            self.clock.wait_until(t_ns)
            self.tick(alert)
        self.clock.wait_until(start_ns + duration_ms * MS)

    def tick(self, alert: Alert | None) -> None:
        t_ns = self.clock.now_ns()
        verdict = Verdict(t_ns, State.GUARDING, Obstacle.CLEAR, alert, (), Motion(), Gap(), None, None, "walk")
        self.buzzer.apply(Frame(t_ns), verdict)


def beeps(heard: list[tuple[float, bool]]) -> list[float]:
    """Lengths of all that was heard, on and off in turn, ms."""
    times = [t for t, _ in heard]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.mark.parametrize("name", list(SHIPPED.sounds))
def test_each_sound_is_played_as_written(name: str) -> None:
    room = Room()
    sound = SHIPPED.sounds[name]
    room.play(name, sum(sound.on_off_ms))
    room.play(None, 100)
    written = list(sound.on_off_ms)
    assert beeps(room.heard) == (written if len(written) % 2 else written[:-1])
    assert room.heard[-1][1] is False
    assert [on for _, on in room.heard] == [True, False] * (len(room.heard) // 2)


def test_a_looping_sound_goes_on_and_on() -> None:
    room = Room()
    room.play("countdown", 3000)
    assert beeps(room.heard) == [250, 750, 250, 750, 250]


def test_a_sound_played_once_is_silent_afterwards() -> None:
    room = Room()
    room.play("guarding", 5000)
    assert beeps(room.heard) == [60, 60, 120]
    assert room.heard[-1] == (240, False)


def test_a_sound_that_repeats_waits_for_whoever_wants_it_again() -> None:
    room = Room()
    room.play("imu_silent", 15_000)
    assert beeps(room.heard) == [600, 200, 80]


def test_joining_late_plays_the_middle_of_the_pattern() -> None:
    room = Room()
    room.clock.wait_until(1000 * MS)
    room.play("countdown", 1000, since_ms=900)  # 100 ms in: 150 of the 250 are left
    assert room.heard[:2] == [(1000, True), (1150, False)]


def test_no_alert_is_silence_at_once() -> None:
    room = Room()
    room.play("near", 500)
    room.play(None, 500)
    assert room.heard == [(0, True), (500, False)]


def test_the_motor_mirrors_the_buzzer() -> None:
    room = Room(vibration_pin=18)
    room.play("stop", 2000)
    assert room.felt == room.heard != []


def test_a_passive_buzzer_gets_a_square_wave() -> None:
    room = Room(kind="passive")
    room.play("near", 100)
    pin = room.pins.pin(room.config.buzzer.pin)
    assert (pin.frequency, pin.state) == (520, 0.5)
    room.play(None, 100)
    assert pin.state == 0
    assert room.heard == [(0, True), (100, False)]


@pytest.mark.parametrize("kind", ["active", "passive"])
def test_silent_from_the_start_and_after_close_even_amid_a_sound(kind: str) -> None:
    room = Room(kind=kind)
    assert room.heard == []
    room.play("near", 100)
    room.buzzer.close()
    assert room.heard[-1] == (100, False)
    room.buzzer.close()
    assert Buzzer(room.pins, room.config).faults() == ()  # its pin is free again


def test_a_program_started_anew_silences_what_a_crash_left_on() -> None:
    room = Room()
    room.play("near", 100)
    room.pins.abandon()
    assert room.pins.line(room.config.buzzer.pin).on
    Buzzer(room.pins, room.config)
    assert not room.pins.line(room.config.buzzer.pin).on


@pytest.mark.parametrize("kind", ["active", "passive"])
def test_close_is_quiet_even_if_the_pin_cannot_be_written(kind: str) -> None:
    room = Room(kind=kind, vibration_pin=18)
    room.play("near", 100)
    room.pins.broken = OSError(5, "Input/output error")
    room.buzzer.close()
    assert room.heard[-1] == (100, False)
    assert room.felt[-1] == (100, False)


def test_a_failed_write_is_told_and_tried_again() -> None:
    room = Room(vibration_pin=18)
    alert = Alert("near", 0)
    room.pins.broken = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output error"):
        room.tick(alert)
    assert room.heard == []
    room.pins.broken = None
    room.clock.wait_until(10 * MS)
    room.tick(alert)
    assert room.heard == [(10, True)]
    room.pins.broken = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output error"):
        room.tick(None)
    room.pins.broken = None
    room.tick(None)
    assert room.heard[-1][1] is False


def test_a_failed_write_stands_between_the_beeps_too_until_one_succeeds() -> None:
    room = Room(vibration_pin=18)
    room.pins.line(18).broken = OSError(5, "Input/output error")
    for alert in (Alert("near", 0), None):
        with pytest.raises(OSError, match="Input/output error"):
            room.tick(alert)
    assert [on for _, on in room.heard] == [True, False], "the buzzer beeps all the while"
    room.pins.line(18).broken = None
    room.tick(None)
    assert room.felt == []


@pytest.mark.parametrize("kind", ["active", "passive"])
def test_a_pin_refused_at_the_start_is_told_stills_nothing_else_and_is_taken_once_it_is_given(kind: str) -> None:
    room = Room(vibration_pin=18, kind=kind, refused=True)
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            room.play("stop", 10)
    assert room.felt and not room.heard
    room.pins.line(room.config.buzzer.pin).broken = None
    room.play("stop", 50)
    assert room.heard
    room.buzzer.close()
    assert not room.pins.line(room.config.buzzer.pin).on


def test_a_pin_that_another_part_has_is_a_wrong_configuration() -> None:
    room = Room()
    with pytest.raises(GPIOPinInUse):
        Buzzer(room.pins, room.config)


def test_a_broken_buzzer_does_not_still_the_motor() -> None:
    room = Room(vibration_pin=18)
    room.pins.pin(room.config.buzzer.pin).function = "input"  # somebody else has taken the pin: writing raises PinSetInput
    with pytest.raises(Exception, match="cannot set state"):
        room.tick(Alert("near", 0))
    assert room.felt == [(0, True)]


PATTERNS = st.lists(st.integers(10, 500), min_size=1, max_size=12).map(tuple)


@given(PATTERNS, st.integers(-(10**9), 10**12))
def test_a_loop_repeats_itself_exactly(on_off_ms: tuple[int, ...], elapsed_ns: int) -> None:
    sound = Sound(priority=1, on_off_ms=on_off_ms, repeat_s=0.0, meaning="any")
    if elapsed_ns >= 0:
        assert pattern_on(sound, elapsed_ns) == pattern_on(sound, elapsed_ns + 7 * sound.length_ns)
    else:
        assert pattern_on(sound, elapsed_ns) is False


@given(PATTERNS, st.sampled_from([None, 5.0]))
def test_played_once_it_starts_on_changes_at_each_border_and_ends_off(on_off_ms: tuple[int, ...], repeat_s: float | None) -> None:
    sound = Sound(priority=1, on_off_ms=on_off_ms, repeat_s=repeat_s, meaning="any")
    at_ns, on = 0, True
    for duration_ms in on_off_ms:
        assert pattern_on(sound, at_ns) is on
        at_ns += duration_ms * MS
        assert pattern_on(sound, at_ns - 1) is on
        on = not on
    assert pattern_on(sound, at_ns) is False
