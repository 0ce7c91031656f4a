"""Presses, as a thumb makes them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.config import Config, load
from guardian.monitor.button import ButtonPresses, Press


def presses(config: Config, *spans: tuple[bool, float], upright: bool = True) -> list[Press]:
    """The press of each 10 ms tick through spans of (level, seconds)."""
    button, t_ns, seen = ButtonPresses(config), 0, []
    for level, seconds in spans:
        for _ in range(round(seconds * 100)):
            seen.append(button.step(t_ns, level, upright))
            t_ns += 10_000_000
    return seen


def test_press_has_a_beginning_a_length_and_an_end(config: Config) -> None:
    seen = presses(config, (False, 0.1), (True, 0.3), (False, 0.1))
    assert [press.began for press in seen].count(True) == 1
    released = [press for press in seen if press.released]
    assert len(released) == 1
    assert released[0].held_ns == 300_000_000
    assert released[0].short


def test_each_tick_of_a_press_says_all_of_it(config: Config) -> None:
    idle = Press(False, False, None, 0, False, False, False, False, False)
    ms = 1_000_000
    assert presses(config, (True, 0.01), (False, 0.02), (True, 0.03), (False, 0.02)) == [
        Press(True, False, None, 0, False, False, False, False, False),
        idle,
        idle,
        Press(True, True, 30 * ms, 0, False, True, False, False, False),
        Press(True, False, 30 * ms, 10 * ms, False, True, False, False, False),
        Press(True, False, 30 * ms, 20 * ms, False, True, False, False, False),
        Press(False, False, 30 * ms, 30 * ms, True, True, False, True, False),
        idle,
    ]


@pytest.mark.parametrize(("off", "short"), [(0, True), (1, False)])
def test_a_short_press_is_short_to_the_tick(config: Config, off: int, short: bool) -> None:
    seen = presses(config, (False, 0.1), (True, config.policy.short_press_s + off / 100), (False, 0.1))
    assert [press.short for press in seen if press.released] == [short]


@pytest.mark.parametrize(("off", "triple"), [(0, True), (1, False)])
def test_three_are_a_triple_when_the_third_is_released_in_time_to_the_tick(config: Config, off: int, triple: bool) -> None:
    pause_s = config.policy.triple_press_s - 0.3
    seen = presses(
        config, (False, 0.1), (True, 0.1), (False, 0.1), (True, 0.1), (False, pause_s - 0.1 + off / 100), (True, 0.1), (False, 3)
    )
    assert any(press.triple for press in seen) is triple


def test_button_held_since_before_the_start_is_no_press_until_released(config: Config) -> None:
    seen = presses(config, (True, 20), (False, 0.1))
    assert not any(press.began or press.released or press.held_ns for press in seen)
    seen = presses(config, (True, 1), (False, 0.1), (True, 0.2), (False, 0.1))
    assert [press.released for press in seen].count(True) == 1


def test_three_short_presses_make_a_triple_once(config: Config) -> None:
    tap = ((True, 0.15), (False, 0.2))
    seen = presses(config, (False, 0.1), *tap, *tap, *tap, *tap)
    assert [press.triple for press in seen].count(True) == 1


def test_long_press_between_spoils_the_triple(config: Config) -> None:
    tap = ((True, 0.15), (False, 0.2))
    seen = presses(config, (False, 0.1), *tap, *tap, (True, 0.9), (False, 0.2), *tap)
    assert not any(press.triple for press in seen)


def begins(seen: list[Press], what: str) -> list[float]:
    """When it was so, s."""
    return [tick / 100 for tick, press in enumerate(seen) if getattr(press, what)]


def test_two_short_presses_are_a_double_once_no_third_can_make_a_triple(config: Config) -> None:
    tap = ((True, 0.15), (False, 0.2))
    seen = presses(config, *tap, *tap, (False, 3))
    assert begins(seen, "double") == []  # the button was held from the start: the first is none
    seen = presses(config, (False, 0.1), *tap, *tap, (False, 3))
    assert begins(seen, "double") == [pytest.approx(0.1 + config.policy.triple_press_s, abs=0.02)]
    assert begins(seen, "triple") == []


def test_one_three_and_four_presses_are_no_double(config: Config) -> None:
    tap = ((True, 0.15), (False, 0.2))
    for count, triples in ((1, 0), (3, 1), (4, 1)):
        seen = presses(config, (False, 0.1), *tap * count, (False, 3))
        assert begins(seen, "double") == [], count
        assert len(begins(seen, "triple")) == triples


def test_third_press_that_comes_in_time_and_lasts_too_long_makes_neither(config: Config) -> None:
    seen = presses(config, (False, 0.1), (True, 0.15), (False, 1.0), (True, 0.15), (False, 0.5), (True, 0.4), (False, 3))
    assert begins(seen, "double") == []
    assert begins(seen, "triple") == []


def test_hold_after_a_short_press_is_no_double(config: Config) -> None:
    seen = presses(config, (False, 0.1), (True, 0.15), (False, 0.3), (True, 2.5), (False, 3))
    assert begins(seen, "double") == []


def test_doubles_follow_each_other(config: Config) -> None:
    tap = ((True, 0.15), (False, 0.2))
    seen = presses(config, (False, 0.1), *tap, *tap, (False, 2), *tap, *tap, (False, 2))
    assert len(begins(seen, "double")) == 2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 1.2), st.floats(0.05, 1.5)), max_size=8))
def test_triples_are_as_if_there_were_no_doubles_and_a_double_never_shares_its_presses(spans: list[tuple[float, float]]) -> None:
    config = load(local=None)
    story = [(False, 0.1)] + [span for on, off in spans for span in ((True, on), (False, off))] + [(False, 3.0)]
    seen = presses(config, *story)
    triple_s, short_s = config.policy.triple_press_s, config.policy.short_press_s
    shorts: list[float] = []
    triples = []
    for tick, press in enumerate(seen):
        if press.released:
            begun = tick / 100 - press.held_ns / 1e9
            short = press.held_ns / 1e9 <= short_s
            shorts = [*(one for one in shorts if tick / 100 - one <= triple_s + 1e-6), begun] if short else []
            if len(shorts) == 3:
                triples.append(tick / 100)
                shorts = []
    assert begins(seen, "triple") == triples
    assert len(begins(seen, "double")) * 2 + len(triples) <= len(spans)


def test_upright_means_throughout(config: Config) -> None:
    button = ButtonPresses(config)
    button.step(0, False, True)
    for tick in range(1, 50):
        press = button.step(tick * 10_000_000, True, tick != 20)
    assert not press.upright
