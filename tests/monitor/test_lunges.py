"""Lunges from parts whose motion is known: depth and times as they were, the leg, and what is none."""

import math
from collections.abc import Callable

import msgspec
import pytest

from guardian.config import Config
from guardian.monitor.lunges import Lunges, LungesMemory
from guardian.monitor.parts import PART_S, Part
from guardian.verdict import Leg, Rep

PART_NS = 50_000_000
Way = Callable[[float], float]  # of seconds


def eased(u: float) -> float:
    """Minimum jerk, from 0 to 1."""
    u = min(1.0, max(0.0, u))
    return u * u * u * (10.0 - u * (15.0 - 6.0 * u))


def crossed(share: float) -> float:
    """When so much of an eased way is done."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if eased(middle) < share else (low, middle)
    return low


MIDDLE = crossed(0.95) - crossed(0.05)  # of the time down, and up: what is told


class Mover:
    """A belt, in parts; remembers what was told, and when."""

    def __init__(self, config: Config, zero: float = 0.0, drift: float = 0.0) -> None:
        self.lunges, self.memory, self.zero, self.drift, self.t_ns = Lunges(config), LungesMemory(), zero, drift, 0
        self.told: list[tuple[float, Rep]] = []
        self.stand(6.0)

    def part(self, upward: float, forward: float, turning: float, lean_deg: float = 0.0) -> None:
        self.t_ns += PART_NS
        up = upward + self.zero
        one = Part(self.t_ns, PART_S, up, up, up, forward, turning + self.drift, math.cos(math.radians(lean_deg)))
        rep = self.lunges.step(self.memory, one)
        if rep is not None:
            self.told.append((self.t_ns * 1e-9, rep))

    def stand(self, seconds: float) -> "Mover":
        for _ in range(round(seconds / PART_S)):
            self.part(0.0, 0.0, 0.0)
        return self

    def lunge(
        self,
        depth_m: float = 0.3,
        down_s: float = 1.2,
        hold_s: float = 0.3,
        up_s: float = 1.0,
        leg: Leg = "left",
        back_m: float = 0.35,
        lean_deg: float = 8.0,
    ) -> "Mover":
        """Down and back, a hold, up and forward again; the pelvis turns toward the leg behind by 6° and back."""

        def at(t: float) -> float:
            return eased(t / down_s) - eased((t - down_s - hold_s) / up_s)

        turn = math.radians(6.0 if leg == "left" else -6.0)
        return self.move(down_s + hold_s + up_s, lambda t: depth_m * at(t), lambda t: back_m * at(t), lambda t: turn * at(t), lean_deg)

    def move(self, seconds: float, sunk: Way, back: Way, heading: Way, lean_deg: float = 8.0) -> "Mover":
        """Any ways: the belt's down and back, m, and its heading, rad."""

        def curve(way: Way, t: float) -> float:
            return (way(t) - 2.0 * way(t - PART_S) + way(t - 2 * PART_S)) / (PART_S * PART_S)

        for i in range(round(seconds / PART_S) + 1):
            t = PART_S * i
            self.part(-curve(sunk, t), -curve(back, t), (heading(t) - heading(t - PART_S)) / PART_S, lean_deg)
        return self


@pytest.mark.parametrize("zero", [0.0, 0.12])
@pytest.mark.parametrize("leg", ["left", "right"])
@pytest.mark.parametrize(
    ("depth_m", "down_s", "hold_s", "up_s"), [(0.3, 1.2, 0.3, 1.0), (0.18, 1.0, 0.0, 0.8), (0.42, 2.0, 1.0, 1.5), (0.25, 0.9, 0.5, 1.6)]
)
def test_a_lunge_is_told_as_it_was(
    config: Config, depth_m: float, down_s: float, hold_s: float, up_s: float, leg: Leg, zero: float
) -> None:
    mover = Mover(config, zero)
    begun_s = mover.t_ns * 1e-9
    mover.lunge(depth_m, down_s, hold_s, up_s, leg).stand(3.0)
    ((told_s, rep),) = mover.told
    over_s = begun_s + down_s + hold_s + up_s
    assert rep.leg == leg
    assert rep.depth_m == pytest.approx(depth_m, abs=0.01)
    assert told_s < over_s + 0.4
    if zero:
        return  # it costs the end some millimetres, and so the times
    assert rep.down_s == pytest.approx(MIDDLE * down_s, abs=0.11)
    assert rep.up_s == pytest.approx(MIDDLE * up_s, abs=0.11)
    assert rep.t_ns * 1e-9 == pytest.approx(over_s - crossed(0.05) * up_s, abs=0.11)


def test_lunges_in_a_row_are_told_one_by_one(config: Config) -> None:
    mover = Mover(config)
    for leg in ("left", "right", "right", "left"):
        mover.lunge(leg=leg).stand(0.8)
    assert [rep.leg for _, rep in mover.told] == ["left", "right", "right", "left"]


@pytest.mark.parametrize("drift_deg_s", [5.0, -5.0])
def test_the_leg_is_told_whichever_way_the_wearer_or_the_gyroscope_drifts(config: Config, drift_deg_s: float) -> None:
    for leg in ("left", "right"):
        mover = Mover(config, drift=math.radians(drift_deg_s)).lunge(leg=leg, hold_s=0.8).stand(2.0)  # type: ignore[arg-type]
        assert [rep.leg for _, rep in mover.told] == [leg]


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_leg_is_that_of_most_of_the_time_and_not_of_the_last_moment(config: Config, side: float) -> None:
    def at(t: float) -> float:
        return eased(t) - eased(t - 1.5)

    def twists(t: float) -> float:  # beyond straight, while still deep
        return side * (eased(t) - 2.0 * eased((t - 1.5) / 0.4) + eased((t - 1.9) / 0.6))

    mover = Mover(config).move(2.5, lambda t: 0.3 * at(t), lambda t: 0.35 * at(t), lambda t: 0.1 * twists(t)).stand(2.0)
    assert [rep.leg for _, rep in mover.told] == ["left" if side > 0.0 else "right"]


@pytest.mark.parametrize(("first", "last_s"), [(0.5, 0.7), (0.5, 1.0), (0.6, 0.7)])
def test_who_hesitates_on_the_way_down_makes_one_lunge_of_the_whole_depth(config: Config, first: float, last_s: float) -> None:
    def back(t: float) -> float:
        return eased(t / 0.8) - eased(t - 1.3 - last_s)

    def sunk(t: float) -> float:
        return first * eased(t / 0.8) + (1.0 - first) * eased((t - 1.1) / last_s) - eased(t - 1.3 - last_s)

    mover = Mover(config).move(2.3 + last_s, lambda t: 0.3 * sunk(t), lambda t: 0.35 * back(t), lambda t: 0.1 * back(t)).stand(2.0)
    assert [(rep.leg, rep.depth_m) for _, rep in mover.told] == [("left", pytest.approx(0.3, abs=0.01))]


def test_too_shallow_too_quick_bowed_or_without_a_step_back_it_is_none(config: Config) -> None:
    settings = config.repetitions
    for how, counts in (
        ({"depth_m": settings.lunge_depth_least_m + 0.03}, True),
        ({"depth_m": settings.lunge_depth_least_m - 0.03}, False),
        ({"down_s": 0.9, "up_s": 0.9, "depth_m": 0.2}, True),
        ({"down_s": 0.4, "up_s": 0.9, "depth_m": 0.2}, False),
        ({"lean_deg": settings.lunge_lean_most_deg - 1.0}, True),
        ({"lean_deg": settings.lunge_lean_most_deg + 1.0}, False),
        ({"back_m": 0.0}, False),
        ({"back_m": -0.35}, False),
    ):
        mover = Mover(config).lunge(**how).stand(3.0)  # type: ignore[arg-type]
        assert len(mover.told) == counts, how


def test_a_snapshot_at_any_part_of_a_rest_and_a_lunge_is_everything(config: Config) -> None:
    class Forgetful(Mover):
        def part(self, upward: float, forward: float, turning: float, lean_deg: float = 0.0) -> None:
            super().part(upward, forward, turning, lean_deg)
            self.memory = msgspec.convert(msgspec.to_builtins(self.memory), LungesMemory)

    told = []
    for who in (Mover(config), Forgetful(config)):
        told.append(who.lunge().stand(config.repetitions.lunge_most_s + 4.0).lunge(leg="right").stand(2.0).told)
    assert told[0] == told[1]
    assert [rep.leg for _, rep in told[0]] == ["left", "right"]
