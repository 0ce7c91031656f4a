"""The button driver on a bouncing contact."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.config import load
from guardian.drivers.button import Button
from guardian.sim.clock import SimClock
from guardian.sim.pins import SimPins

MS = 1_000_000
TICK_MS = 10
CONFIG = load(local=None).button


class Finger:
    """The driver, asked every 10 ms, and the wire it is on."""

    def __init__(self) -> None:
        self.clock = SimClock()
        self.pins = SimPins(self.clock)
        self.line = self.pins.line(CONFIG.pin)
        self.driver = Button(self.pins, CONFIG)

    def change(self, t_ms: float, level: bool | None) -> None:
        """At `t_ms` the contact closes (False) or opens (None)."""
        self.clock.schedule(int(t_ms * MS), lambda: self.line.drive(level))

    def watch(self, duration_ms: int) -> list[tuple[int, bool]]:
        """(ms, level) of each change of the driver's answer, beginning with False at 0."""
        changes = [(0, False)]
        for t_ms in range(TICK_MS, duration_ms + 1, TICK_MS):
            self.clock.wait_until(t_ms * MS)
            pressed = self.driver.read(self.clock.now_ns())
            if pressed != changes[-1][1]:
                changes.append((t_ms, pressed))
        return changes


def test_a_press_is_seen_once_and_40_ms_late_at_most() -> None:
    finger = Finger()
    finger.change(101, False)
    finger.change(501, None)
    assert finger.watch(1000) == [(0, False), (140, True), (540, False)]


def test_bouncing_contacts_are_one_press() -> None:
    finger = Finger()
    for start_ms, level in ((100, False), (400, None)):
        other = None if level is False else False
        for bounce in range(10):  # 20 ms of it, at the very moments of asking too
            finger.change(start_ms + 2 * bounce, level)
            finger.change(start_ms + 2 * bounce + 1, other)
        finger.change(start_ms + 20, level)
    changes = finger.watch(1000)
    assert [level for _, level in changes] == [False, True, False]
    assert 120 <= changes[1][0] <= 160
    assert 420 <= changes[2][0] <= 460


def test_a_spark_of_10_ms_is_no_press() -> None:
    finger = Finger()
    finger.change(99, False)
    finger.change(111, None)
    assert finger.watch(500) == [(0, False)]


def test_sparks_do_not_add_up_to_a_press() -> None:
    finger = Finger()
    for start_ms in range(99, 1000, 50):
        finger.change(start_ms, False)
        finger.change(start_ms + 22, None)
    assert finger.watch(1200) == [(0, False)]


def test_held_at_power_on_is_a_press() -> None:
    finger = Finger()
    finger.line.drive(False)
    assert finger.watch(200)[1:] == [(40, True)]


def test_two_readings_far_apart_are_enough_after_a_stall() -> None:
    finger = Finger()
    finger.line.drive(False)
    assert finger.driver.read(0) is False
    assert finger.driver.read(500 * MS) is True


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("bad gpio handle")])
def test_an_unreadable_pin_is_a_fault_and_neither_press_nor_release(error: Exception) -> None:
    finger = Finger()
    finger.change(101, False)
    finger.watch(200)
    finger.pins.broken = error
    assert finger.driver.read(300 * MS) is True
    assert [fault.name for fault in finger.driver.faults] == ["button_stuck"]
    assert f"GPIO {CONFIG.pin}" in finger.driver.faults[0].detail
    finger.pins.broken = None
    assert finger.driver.read(310 * MS) is True
    assert finger.driver.faults == ()


@given(st.lists(st.tuples(st.integers(1, 80), st.booleans()), max_size=40))
def test_whatever_the_contact_does_no_answer_lasts_less_than_the_debounce_time(moves: list[tuple[int, bool]]) -> None:
    finger = Finger()
    t_ms = 0
    for step_ms, closed in moves:
        t_ms += step_ms
        finger.change(t_ms, False if closed else None)
    changes = finger.watch(t_ms + 200)
    gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(changes)]
    assert all(gap >= CONFIG.debounce_ms for gap in gaps)
    assert changes[-1][1] == bool(moves and moves[-1][1])
