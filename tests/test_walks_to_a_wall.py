"""Simulated walks to a wall through the whole sensing path (lab/walks.py says how): the bar, and four broken rangers that must fail it."""

import pytest

from guardian.config import Config
from lab.walks import BROKEN, CAUTION_TTC_S, open_space, share_good, walk


def test_stop_comes_in_time_and_caution_not_too_early_in_200_walks(config: Config) -> None:
    walks = [walk(config, seed) for seed in range(200)]
    assert not [one for one in walks if (one.caution_ttc_s or 0.0) > CAUTION_TTC_S]
    assert share_good(walks) >= 0.99, [one for one in walks if not one.good]


@pytest.mark.parametrize("part", range(20))
def test_open_space_stays_silent_for_three_minutes(config: Config, part: int) -> None:
    assert not open_space(config, part, 180)


@pytest.mark.parametrize("how", BROKEN)
def test_the_bar_fails_a_broken_ranger(config: Config, how: str) -> None:
    rule, lie = BROKEN[how]
    walks = [walk(config, seed, lie, rule) for seed in range(12)]
    assert share_good(walks) < 0.5, walks


def test_a_scaled_ranger_says_the_wrong_distance_but_the_right_time(config: Config) -> None:
    walks = [walk(config, seed, lambda distance_m: None if distance_m is None else 1.3 * distance_m) for seed in range(6)]
    assert share_good(walks) == 1.0
