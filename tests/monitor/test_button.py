"""Presses, as a thumb makes them."""

from guardian.config import Config
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


def test_upright_means_throughout(config: Config) -> None:
    button = ButtonPresses(config)
    button.step(0, False, True)
    for tick in range(1, 50):
        press = button.step(tick * 10_000_000, True, tick != 20)
    assert not press.upright
