"""The ranger part on its wires: what a logic analyser would see."""

import tracemalloc

import pytest
from gpiozero.output_devices import OutputDevice

from guardian.sim.clock import SimClock
from guardian.sim.hcsr04 import HcSr04, NoEcho
from guardian.sim.pins import SimPins

MS = 1_000_000


class Room:
    """A wall at a distance, or nothing."""

    def __init__(self, distance_m: float | None, temperature_c: float = 20.0) -> None:
        self.distance_m = distance_m
        self.temperature_c = temperature_c
        self.asked: list[int] = []

    def echo(self, t_ns: int) -> float | None:
        self.asked.append(t_ns)
        return self.distance_m


class Analyser:
    """Edges on the echo line."""

    def __init__(self, room: Room, no_echo: NoEcho = "pulse_38ms", seed: int = 0) -> None:
        self.clock = SimClock()
        self.pins = SimPins(self.clock)
        self.part = HcSr04(self.clock, self.pins.line(23), self.pins.line(24), room, no_echo, seed)
        self.trigger = OutputDevice(23, pin_factory=self.pins)
        self.edges: list[tuple[int, bool]] = []
        self.echo = self.pins.pin(24)
        self.echo.when_changed = self.on_edge

    def on_edge(self, ticks: float, level: bool) -> None:
        self.edges.append((round(ticks * 1e9), level))

    def pulse(self, duration_ns: int = 10_000) -> int:
        """A trigger pulse; returns when it ended."""
        self.trigger.on()
        self.clock.wait_until(self.clock.now_ns() + duration_ns)
        self.trigger.off()
        return self.clock.now_ns()

    def wait(self, duration_ms: float) -> None:
        self.clock.wait_until(self.clock.now_ns() + int(duration_ms * MS))


@pytest.mark.parametrize(("temperature_c", "speed_m_s"), [(20.0, 343.42), (0.0, 331.3), (-10.0, 325.24)])
def test_a_wall_makes_a_pulse_as_long_as_sound_travels(temperature_c: float, speed_m_s: float) -> None:
    a = Analyser(Room(2.0, temperature_c))
    end = a.pulse()
    a.wait(60)
    (rise, up), (fall, down) = a.edges
    assert (up, down) == (True, False)
    assert 200_000 <= rise - end <= 500_000
    assert fall - rise == pytest.approx(4.0 / speed_m_s * 1e9, abs=2)


def test_the_ping_is_sent_when_the_trigger_ends() -> None:
    room = Room(1.0)
    a = Analyser(room)
    a.wait(5)
    end = a.pulse()
    assert room.asked == [end]


@pytest.mark.parametrize(("no_echo", "width_ms"), [("pulse_38ms", 38), ("pulse_200ms", 200)])
def test_nothing_in_range_is_a_long_pulse(no_echo: NoEcho, width_ms: int) -> None:
    a = Analyser(Room(None), no_echo)
    a.pulse()
    a.wait(300)
    (rise, _), (fall, _) = a.edges
    assert fall - rise == width_ms * MS


def test_some_parts_say_nothing_by_saying_nothing() -> None:
    a = Analyser(Room(None), "none")
    a.pulse()
    a.wait(300)
    assert a.edges == []
    assert a.part.pings == 1


def test_a_trigger_shorter_than_10_us_is_ignored() -> None:
    a = Analyser(Room(1.0))
    a.pulse(9_999)
    a.wait(60)
    assert a.edges == []
    a.pulse(10_000)
    a.wait(60)
    assert len(a.edges) == 2


def test_a_trigger_during_a_measurement_is_ignored() -> None:
    a = Analyser(Room(None), "pulse_200ms")
    a.pulse()
    a.wait(100)
    a.pulse()
    a.wait(300)
    assert len(a.edges) == 2
    assert a.part.pings == 1


def test_unplugged_the_line_falls_and_nothing_answers_until_plugged() -> None:
    a = Analyser(Room(3.0))
    end = a.pulse()
    a.wait(5)
    a.part.unplug()
    a.wait(60)
    a.pulse()
    a.wait(60)
    assert [level for _, level in a.edges] == [True, False]
    assert a.edges[1][0] == end + 5 * MS
    a.part.plug()
    a.pulse()
    a.wait(60)
    assert len(a.edges) == 4


def test_nothing_of_before_an_unplugging_comes_after_it() -> None:
    a = Analyser(Room(3.0))
    a.pulse()
    a.wait(5)
    a.part.unplug()
    a.part.plug()
    a.edges.clear()
    a.pulse()
    a.wait(60)
    (rise, _), (fall, _) = a.edges
    assert fall - rise == pytest.approx(6.0 / 343.42 * 1e9, abs=2)


def test_a_stuck_line_stays_and_heals() -> None:
    a = Analyser(Room(1.0))
    a.part.stick(True)
    a.pulse()
    a.wait(500)
    assert a.echo.state == 1
    a.part.unplug()
    assert a.echo.state == 0
    a.part.plug()
    assert a.echo.state == 1
    a.part.heal()
    assert a.echo.state == 0
    a.part.stick(False)
    a.edges.clear()
    a.pulse()
    a.wait(500)
    assert a.edges == []
    a.part.heal()
    a.pulse()
    a.wait(60)
    assert len(a.edges) == 2


def test_an_exception_in_a_callback_kills_all_callbacks_like_lgpio_does() -> None:
    a = Analyser(Room(1.0))
    bad = OSError("a bug")

    class Buggy:
        def on_edge(self, ticks: float, level: bool) -> None:
            raise bad

    buggy = Buggy()
    other = a.pins.pin(25)
    other.when_changed = buggy.on_edge
    a.pins.line(25).drive(True)
    a.pulse()
    a.wait(60)
    assert a.edges == []
    assert a.pins.callback_error is bad


def test_the_same_seed_gives_the_same_edges_and_another_does_not() -> None:
    def edges(seed: int) -> list[tuple[int, bool]]:
        a = Analyser(Room(1.0), seed=seed)
        for _ in range(5):
            a.pulse()
            a.wait(60)
        return a.edges

    assert edges(1) == edges(1) != edges(2)


def test_an_hour_of_pings_takes_no_memory() -> None:
    room = Room(1.0)
    a = Analyser(room)
    held = []
    tracemalloc.start()
    for _ in range(2):
        for _ in range(1000):
            a.pulse()
            a.wait(60)
            a.edges.clear()
            room.asked.clear()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] - held[0] < 1000  # less than a byte a ping
