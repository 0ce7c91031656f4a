"""The ranger driver against the simulated part, and against edges that no part would make."""

import itertools
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.config import Config, Ranger, load
from guardian.drivers.hcsr04 import Hcsr04
from guardian.frame import Echo, Fault
from guardian.sim.clock import SimClock
from guardian.sim.hcsr04 import HcSr04, NoEcho
from guardian.sim.pins import SimPins

MS = 1_000_000
TICK = 10 * MS
RANGER = load(local=None).ranger


class Yard:
    """What is behind; tests change it as they go."""

    def __init__(self, distance_m: float | None, temperature_c: float = 20.0) -> None:
        self.distance_m = distance_m
        self.temperature_c = temperature_c

    def echo(self, t_ns: int) -> float | None:
        return self.distance_m


class Walk:
    """Driver, part and loop."""

    def __init__(self, distance_m: float | None, habit: NoEcho = "pulse_38ms", air_c: float = 20.0, **keys: object) -> None:
        self.clock = SimClock()
        self.pins = SimPins(self.clock)
        self.yard = Yard(distance_m, air_c)
        self.part = HcSr04(self.clock, self.pins.line(23), self.pins.line(24), self.yard, habit)
        self.driver = Hcsr04(self.pins, msgspec.structs.replace(RANGER, **{"no_echo": habit, **keys}), self.clock)
        self.faults: tuple[Fault, ...] = ()

    def go(self, seconds: float) -> list[Echo]:
        """The outcomes of this much time."""
        outcomes = []
        end_ns = self.clock.now_ns() + int(seconds * 1e9)
        tick_ns = self.clock.now_ns()
        while tick_ns < end_ns:
            tick_ns += TICK
            self.clock.wait_until(tick_ns)
            echo, self.faults = self.driver.read(self.clock.now_ns())
            if echo is not None:
                outcomes.append(echo)
        return outcomes


def reasons(outcomes: list[Echo]) -> set[str]:
    return {echo.reason for echo in outcomes}


@pytest.mark.parametrize("distance_m", [0.03, 0.5, 1.0, 2.37, 3.99])
def test_a_wall_is_measured_to_the_millimetre(distance_m: float) -> None:
    outcomes = Walk(distance_m).go(2)
    assert reasons(outcomes) == {"echo"}
    assert all(echo.distance_m == pytest.approx(distance_m, abs=1e-3) for echo in outcomes)


def test_fifteen_pings_a_second_and_each_has_one_outcome() -> None:
    w = Walk(1.0)
    outcomes = w.go(20)
    assert 290 <= len(outcomes) <= 305
    assert [echo.seq for echo in outcomes] == list(range(1, len(outcomes) + 1))
    assert w.part.pings - len(outcomes) in (0, 1)
    gaps = [later.t_ns - earlier.t_ns for earlier, later in itertools.pairwise(outcomes)]
    assert min(gaps) >= 59 * MS
    assert len(set(gaps)) > 1


def test_the_outcome_carries_the_time_of_its_ping() -> None:
    w = Walk(3.0)
    asked: list[int] = []
    answer = w.yard.echo
    w.yard.echo = lambda t_ns: (asked.append(t_ns), answer(t_ns))[1]  # type: ignore[method-assign]
    outcomes = w.go(1)
    assert [echo.t_ns for echo in outcomes] == asked[: len(outcomes)]


def test_cold_air_reads_far_unless_the_temperature_is_set() -> None:
    assert Walk(2.0, air_c=0.0).go(1)[0].distance_m == pytest.approx(2.0 * 343.42 / 331.3, abs=1e-3)
    told = Walk(2.0, air_c=0.0, temperature_c=0.0)
    assert told.go(1)[0].distance_m == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("habit", ["pulse_38ms", "pulse_200ms"])
def test_nothing_in_range_is_no_fault(habit: NoEcho) -> None:
    outcomes = Walk(None, habit).go(3)
    assert reasons(outcomes) == {"nothing"}
    assert all(echo.distance_m is None for echo in outcomes)


def test_beyond_the_range_is_nothing_too() -> None:
    assert reasons(Walk(4.2).go(1)) == {"nothing"}


def test_a_200_ms_part_is_not_pinged_into_its_own_pulse() -> None:
    w = Walk(None, "pulse_200ms")
    outcomes = w.go(10)
    assert w.part.pings - len(outcomes) in (0, 1)
    gaps = [later.t_ns - earlier.t_ns for earlier, later in itertools.pairwise(outcomes)]
    assert min(gaps) >= 200 * MS
    assert max(gaps) <= 220 * MS


def test_silence_of_a_silent_part_is_trusted_only_for_a_while_after_an_echo() -> None:
    w = Walk(1.0, "none")
    w.go(1)
    w.yard.distance_m = None
    last_echo_ns = w.clock.now_ns()
    outcomes = [echo for echo in w.go(12) if echo.reason != "echo"]
    trusted = [echo for echo in outcomes if echo.t_ns < last_echo_ns + 4.8e9]
    doubted = [echo for echo in outcomes if echo.t_ns > last_echo_ns + 5.2e9]
    assert len(trusted) > 50
    assert len(doubted) > 50
    assert reasons(trusted) == {"nothing"}
    assert reasons(doubted) == {"no_edges"}


def test_silence_of_a_silent_part_is_never_trusted_before_its_first_echo() -> None:
    assert reasons(Walk(None, "none").go(2)) == {"no_edges"}


@pytest.mark.parametrize("habit", ["pulse_38ms", "pulse_200ms"])
def test_unplugged_is_no_edges_and_comes_back(habit: NoEcho) -> None:
    w = Walk(1.0, habit)
    w.go(1)
    w.part.unplug()
    assert reasons(w.go(3)[1:]) == {"no_edges"}
    w.part.plug()
    assert reasons(w.go(1)[1:]) == {"echo"}


def test_a_line_that_stays_high_is_stuck_high_and_comes_back() -> None:
    w = Walk(1.0)
    w.go(1)
    w.part.stick(True)
    outcomes = w.go(3)[1:]
    assert reasons(outcomes) == {"stuck_high"}
    assert len(outcomes) >= 40
    pings = w.part.pings
    w.go(1)
    assert w.part.pings == pings
    w.part.heal()
    assert reasons(w.go(1)[1:]) == {"echo"}


def test_a_line_that_rises_and_never_falls_is_stuck_high_after_250_ms() -> None:
    w = Walk(None, "pulse_200ms")
    w.clock.schedule(150 * MS, lambda: w.part.stick(True))  # amid the first pulse
    first = w.go(0.5)[0]
    assert (first.seq, first.reason) == (1, "stuck_high")


def test_a_line_stuck_low_is_no_edges() -> None:
    w = Walk(1.0)
    w.part.stick(False)
    assert reasons(w.go(2)) == {"no_edges"}


@pytest.mark.parametrize(("distance_m", "habit"), [(1.0, "pulse_38ms"), (None, "pulse_38ms"), (None, "pulse_200ms")])
def test_a_dead_notify_thread_is_no_edges_and_never_an_old_echo(distance_m: float | None, habit: NoEcho) -> None:
    """Facing nothing, a 200 ms part has its line high whenever the next ping is due: that is not a stuck line."""
    w = Walk(distance_m, habit)
    w.go(1)
    w.pins.delivering = False
    outcomes = w.go(3)[1:]
    assert reasons(outcomes) == {"no_edges"}
    assert len(outcomes) >= 40
    w.part.stick(True)
    assert reasons(w.go(2)[5:]) == {"stuck_high"}


def test_edges_delivered_late_are_still_measured_by_their_own_time() -> None:
    """The loop stalls for half a second; the kernel has stamped the edges."""
    w = Walk(2.0)
    w.go(1)
    seen = w.go(0.01)
    w.clock.stall(500 * MS)
    seen = w.go(0.02)
    assert [echo.distance_m for echo in seen if echo.reason == "echo"] == pytest.approx([2.0] * len(seen), abs=1e-3)


def test_a_stall_makes_no_burst_of_pings() -> None:
    w = Walk(1.0)
    w.go(1)
    w.clock.stall(1000 * MS)
    w.go(0.01)
    pings = w.part.pings
    w.go(0.2)
    assert w.part.pings - pings <= 4


def test_a_trigger_pulse_held_up_by_a_stall_still_pings() -> None:
    w = Walk(1.0)
    w.clock.schedule(10 * MS + 5_000, lambda: w.clock.stall(30 * MS))  # amid the first trigger pulse
    outcomes = w.go(1)
    assert reasons(outcomes) == {"echo"}


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("bad gpio handle")])
def test_broken_pins_are_a_fault_that_names_the_wires_and_clears(error: Exception) -> None:
    w = Walk(1.0)
    w.go(1)
    w.pins.broken = error
    assert len(w.go(1)) <= 1
    (fault,) = w.faults
    assert fault.name == "echo_silent"
    assert "GPIO 23 (trigger) or 24 (echo)" in fault.detail
    w.pins.broken = None
    assert reasons(w.go(1)) == {"echo"}
    assert w.faults == ()


def test_a_trigger_refused_at_the_start_is_a_fault_and_is_taken_once_it_is_given() -> None:
    w = Walk(1.0)
    w.driver.close()
    w.pins.line(RANGER.trigger_pin).broken = OSError(5, "Input/output error")
    w.driver = Hcsr04(w.pins, RANGER, w.clock)
    assert w.go(0.5) == []
    assert [fault.name for fault in w.faults] == ["echo_silent"]
    w.pins.line(RANGER.trigger_pin).broken = None
    assert "echo" in reasons(w.go(1.0)) and w.faults == ()


def test_glitches_too_short_for_an_echo_are_ignored() -> None:
    w = Walk(3.0)
    line = w.pins.line(24)

    def glitch() -> None:
        if not line.driven:
            line.drive(True)
            w.clock.schedule(w.clock.now_ns() + 50_000, lambda: line.drive(False))

    for n in range(100):
        w.clock.schedule(n * TICK + 100_000, glitch)  # between a trigger and the part's own rise
    outcomes = w.go(1)
    assert reasons(outcomes) == {"echo"}
    assert all(echo.distance_m == pytest.approx(3.0, abs=1e-3) for echo in outcomes)


def test_a_rise_long_after_the_trigger_is_not_its_answer() -> None:
    w = Walk(1.0)
    w.part.stick(False)
    line = w.pins.line(24)
    w.clock.schedule(35 * MS, lambda: line.drive(True))
    w.clock.schedule(41 * MS, lambda: line.drive(False))
    assert reasons(w.go(0.2)) == {"no_edges"}


def test_both_pins_are_free_after_close() -> None:
    w = Walk(1.0)
    w.go(0.1)
    w.driver.close()
    again = Hcsr04(w.pins, RANGER, w.clock)
    w.driver = again
    assert reasons(w.go(1)) == {"echo"}


class Torment:
    """The driver with its callback in our hands: any edge, at any time, with any stamp."""

    def __init__(self, config: Ranger) -> None:
        self.clock = SimClock()
        self.pins = SimPins(self.clock)
        self.config = config
        self.driver = Hcsr04(self.pins, config, self.clock)
        self.callback: Callable[[float, int], None] = self.pins.pin(config.echo_pin).when_changed
        self.stamps: list[float] = []
        self.outcomes: list[Echo] = []

    def edge(self, level: int, offset_ms: int) -> None:
        stamp = self.clock.now_ns() / 1e9 + offset_ms / 1e3
        self.stamps.append(stamp)
        self.callback(stamp, level)

    def wait(self, ms: int) -> None:
        self.clock.wait_until(self.clock.now_ns() + ms * MS)
        echo, faults = self.driver.read(self.clock.now_ns())
        assert faults == () or self.pins.broken is not None
        if echo is not None:
            self.outcomes.append(echo)

    def line(self, level: bool | None) -> None:
        self.stamps.append(self.clock.now_ns() / 1e9)
        self.pins.line(24).drive(level)

    def broken(self, yes: bool) -> None:
        self.pins.broken = OSError(5, "Input/output error") if yes else None

    def deaf(self, yes: bool) -> None:
        self.pins.delivering = not yes


def test_edges_of_an_earlier_time_are_not_this_pings_answer() -> None:
    torment = Torment(RANGER)
    torment.wait(100)  # a ping is sent
    torment.edge(1, -20)
    torment.edge(0, -10)
    torment.edge(1, -5)
    torment.edge(0, 2)
    torment.wait(10)
    torment.wait(70)
    assert [echo.reason for echo in torment.outcomes] == ["no_edges"]


def test_a_fall_without_a_rise_is_ignored_and_a_rise_told_twice_is_one() -> None:
    torment = Torment(RANGER)
    torment.wait(100)
    for level, offset_ms in ((0, 0), (2, 0), (1, 1), (1, 5), (0, 11), (0, 12)):
        torment.edge(level, offset_ms)
    torment.wait(20)
    assert [echo.distance_m for echo in torment.outcomes] == [pytest.approx(0.010 * 343.42 / 2)]


MOVES = st.one_of(
    st.tuples(st.just("edge"), st.sampled_from([0, 1, 1, 0, 2]), st.integers(-40, 3)),
    st.tuples(st.just("wait"), st.one_of(st.just(10), st.integers(0, 600))),
    st.tuples(st.just("line"), st.sampled_from([True, False, None])),
    st.tuples(st.just("broken"), st.booleans()),
    st.tuples(st.just("deaf"), st.booleans()),
)


@given(st.lists(MOVES, max_size=60), st.sampled_from(["pulse_38ms", "pulse_200ms", "none"]))
def test_no_order_of_edges_raises_or_brings_back_an_old_echo(moves: list[tuple[object, ...]], habit: str) -> None:
    torment = Torment(msgspec.structs.replace(RANGER, no_echo=habit))
    for name, *arguments in moves:
        getattr(torment, str(name))(*arguments)
    half_speed = (331.3 + 0.606 * RANGER.temperature_c) / 2
    outcomes = torment.outcomes
    assert torment.pins.callback_error is None
    assert [echo.seq for echo in outcomes] == list(range(1, len(outcomes) + 1))
    assert all(earlier.t_ns < later.t_ns for earlier, later in itertools.pairwise(outcomes))
    for echo in outcomes:
        assert (echo.distance_m is not None) == (echo.reason == "echo")
        if echo.distance_m is not None:
            assert RANGER.blind_m <= echo.distance_m <= RANGER.range_m
            own = [stamp for stamp in torment.stamps if stamp >= echo.t_ns / 1e9 - 1e-4]
            width_s = echo.distance_m / half_speed
            assert any(abs(fall - rise - width_s) < 1e-9 for rise in own for fall in own)


def test_the_shipped_period_is_within_what_the_sheets_ask_for(config: Config) -> None:
    assert 1.0 / config.ranger.rate_hz - config.ranger.jitter_ms / 2e3 >= 0.060
