"""Stairs from parts whose motion is known: how many, up and down, alone, and where they are not to be told."""

import math

import pytest

from guardian.config import Config
from guardian.monitor.parts import PART_S, Part
from guardian.monitor.stairs import Stairs, StairsMemory, _averaged

from .wearer import STEP_NS

RISER_M = 0.17
MOVING_S, STAIR_S = 0.6, 0.9  # the belt rests in between


class Climber:
    """A belt, in parts; tells the stairs found."""

    def __init__(self, config: Config, zero: float = 0.0) -> None:
        self.stairs, self.memory, self.zero, self.t_ns = Stairs(config), StairsMemory(), zero, 0

    def parts(self, upward: list[float]) -> int:
        found = 0
        for one in upward:
            self.t_ns += 5 * STEP_NS
            a = one + self.zero
            found += self.stairs.step(self.memory, Part(self.t_ns, PART_S, a, a, a, 0.0, 0.0, 1.0))
        return found

    def stand(self, seconds: float = 1.0) -> int:
        return self.parts([0.0] * round(seconds / PART_S))

    def climb(self, stairs: int, riser_m: float = RISER_M, rest_s: float = 0.3) -> int:
        """Each stair: up (or down: a negative riser) by a sine's period of acceleration, and a moment at rest."""
        moving = round(MOVING_S / PART_S)
        seconds = moving * PART_S
        push = riser_m * 2 * math.pi / (seconds * seconds)
        stair = [push * math.sin(2 * math.pi * (i + 0.5) / moving) for i in range(moving)]
        return self.parts((stair + [0.0] * round(rest_s / PART_S)) * stairs)


@pytest.mark.parametrize("zero", [0.0, 0.15, -0.15])
@pytest.mark.parametrize("riser_m", [RISER_M, -RISER_M, 0.14, -0.2], ids=["up", "down", "low, up", "high, down"])
@pytest.mark.parametrize("stairs", [1, 2, 3, 5, 10])
def test_every_stair_from_standing_to_standing_counts(config: Config, stairs: int, riser_m: float, zero: float) -> None:
    who = Climber(config, zero)
    who.stand(2.0)
    assert who.climb(stairs, riser_m) == 0
    assert who.stand() == stairs
    assert who.stand(5.0) == 0, "once"


@pytest.mark.parametrize("stairs", [3, 4, 5, 8])
def test_a_stair_taken_in_a_large_and_a_small_push_is_one(config: Config, stairs: int) -> None:
    who = Climber(config)
    who.stand()
    found = sum(who.climb(1, 0.7 * RISER_M, 0.0) + who.climb(1, 0.3 * RISER_M, 0.0) for _ in range(stairs))
    assert found + who.stand() == stairs


def test_a_flight_that_began_before_the_first_stand_is_not_counted(config: Config) -> None:
    who = Climber(config)
    who.climb(5)
    assert who.stand() == 0
    who.climb(4)
    assert who.stand() == 4


def test_a_stretch_longer_than_its_bound_is_not_counted_nor_what_is_left_of_it(config: Config) -> None:
    longest = config.repetitions.stair_stretch_s
    who = Climber(config)
    who.stand(2.0)
    assert who.climb(math.ceil((longest + 6.0) / STAIR_S)) + who.stand() == 0
    who.climb(6)
    assert who.stand() == 6, "the next one is"
    assert who.climb(int((longest - 2.0) / STAIR_S)) + who.stand() == int((longest - 2.0) / STAIR_S)


def test_one_stair_up_and_down_again_is_none_unless_most_of_it_is_left(config: Config) -> None:
    who = Climber(config)
    who.stand()

    def stepped(up_m: float, down_m: float) -> int:
        return who.climb(1, up_m, 0.1) + who.climb(1, -down_m, 0.1) + who.stand()

    assert stepped(RISER_M, RISER_M) == 0
    assert stepped(0.2, 0.12) == 0
    assert stepped(0.2, 0.06) == 1


def test_one_rise_by_more_than_a_riser_can_be_is_from_a_chair(config: Config) -> None:
    single_m = config.repetitions.stair_single_m
    who = Climber(config)
    who.stand()
    assert who.climb(1, single_m + 0.02) + who.stand() == 0
    assert who.climb(1, single_m - 0.02) + who.stand() == 1


def test_an_average_holds_as_many_as_there_are_around_each(config: Config) -> None:
    assert _averaged([1.0, 2.0, 6.0, 3.0], 3) == [1.5, 3.0, 11 / 3, 4.5]
    assert _averaged([2.5] * 7, 5) == [2.5] * 7
    assert _averaged([4.0, 6.0], 41) == [5.0, 5.0]
