"""The place on the belt, ping by ping: to the centimetre and the tick."""

import pytest

from guardian.config import Config
from guardian.monitor.drift import Drift, Drifted, DriftMemory
from guardian.monitor.gait import Stride
from guardian.verdict import Obstacle

PING_NS = 70_000_000
CLEAR, CAUTION, STOP, UNKNOWN = Obstacle.CLEAR, Obstacle.CAUTION, Obstacle.STOP, Obstacle.UNKNOWN


class Belt:
    """Somebody on a treadmill, and a console that is pinged."""

    def __init__(self, config: Config) -> None:
        self.config, self.exercise = config, config.exercises["treadmill"]
        self.rule, self.memory, self.t_ns = Drift(config), DriftMemory(), 0

    def ping(self, distance_m: float | None, walking: bool | None = True, sure: bool = True) -> Drifted:
        """The next ping, and what is said in its tick."""
        self.t_ns += PING_NS
        stride = None if walking is None else Stride(walking=walking)
        return self.rule.step(self.memory, self.t_ns, self.t_ns, distance_m, sure, stride, self.exercise)

    def pings(self, seconds: float, distance_m: float | None, walking: bool | None = True) -> Drifted:
        end_ns = self.t_ns + int(seconds * 1e9)
        while self.t_ns < end_ns:
            said = self.ping(distance_m, walking)
        return said

    def learnt(self, distance_m: float = 0.7) -> "Belt":
        """The place is known."""
        assert self.pings(self.config.obstacle.drift_learn_s + 0.2, distance_m).obstacle is CLEAR
        return self


@pytest.fixture
def belt(config: Config) -> Belt:
    return Belt(config)


def test_the_place_is_the_mean_of_the_first_walking(belt: Belt) -> None:
    belt.pings(5, 1.5, walking=False)  # standing there does not count
    assert belt.memory.since_ns is None
    begun_ns = belt.t_ns + PING_NS
    while belt.t_ns - begun_ns < belt.config.obstacle.drift_learn_s * 1e9 - PING_NS:
        belt.ping(0.6 if belt.t_ns // PING_NS % 2 else 0.8)
    assert belt.memory.console_m is None
    belt.pings(0.1, 0.7)
    assert belt.memory.console_m == pytest.approx(0.7, abs=0.002)


def test_a_ping_is_taken_once_and_only_from_a_sure_track(belt: Belt) -> None:
    stride = Stride(walking=True)
    for _ in range(3):
        belt.rule.step(belt.memory, 100, 50, 0.7, True, stride, belt.exercise)
    assert belt.memory.pings == 1
    belt.rule.step(belt.memory, 200, 60, 0.7, False, stride, belt.exercise)
    assert belt.memory.pings == 1
    belt.rule.step(belt.memory, 300, 70, 0.7, True, None, belt.exercise)
    assert (belt.memory.pings, belt.memory.total_m) == (2, 1.4), "without a trusted gait it may be walking"


@pytest.mark.parametrize("side", [1, -1])
def test_each_limit_holds_to_the_millimetre_and_ends_inside_itself(belt: Belt, side: int) -> None:
    belt.learnt()
    caution_m, stop_m, release_m = belt.exercise.drift_caution_m, belt.exercise.drift_stop_m, belt.config.obstacle.drift_release_m
    assert caution_m is not None
    assert stop_m is not None
    off_end = side > 0

    def at(off_m: float) -> Drifted:
        return belt.ping(0.7 + side * off_m)

    assert at(caution_m - 0.001) == Drifted(CLEAR, off_end)
    assert at(caution_m + 0.001) == Drifted(CAUTION, off_end, sounding=True)
    assert at(caution_m - release_m + 0.001).obstacle is CAUTION
    assert at(caution_m - release_m - 0.001) == Drifted(CLEAR, off_end)
    assert at(stop_m - 0.001).obstacle is CAUTION
    assert at(stop_m + 0.001) == Drifted(STOP, off_end, sounding=True)
    assert at(stop_m - release_m + 0.001).obstacle is STOP
    assert at(stop_m - release_m - 0.001).obstacle is CAUTION
    assert at(0.0) == Drifted(CLEAR)


def test_caution_goes_quiet_unless_it_grows_and_stop_only_when_the_walking_ends(belt: Belt) -> None:
    belt.learnt()
    quiet_s, grew_m = belt.config.obstacle.quiet_after_s, belt.config.obstacle.near_release_m
    assert belt.pings(quiet_s - 0.1, 1.06) == Drifted(CAUTION, True, True)
    assert belt.pings(0.2, 1.06) == Drifted(CAUTION, True, False)
    assert not belt.ping(1.06 + grew_m - 0.001).sounding, "the line's own wobble"
    assert belt.ping(1.06 + grew_m + 0.001).sounding
    assert belt.pings(quiet_s, 1.06 + grew_m + 0.001) == Drifted(CAUTION, True, False)
    assert belt.pings(2 * quiet_s, 1.2) == Drifted(STOP, True, True)
    assert belt.ping(1.2, walking=False) == Drifted(STOP, True, False)
    assert belt.ping(1.2) == Drifted(STOP, True, True)
    belt.ping(0.7)
    assert belt.ping(1.06).sounding, "a new warning"


def test_who_steps_off_the_place_into_stop_is_warned_even_where_the_drift_was_as_large_before(belt: Belt) -> None:
    belt.learnt()
    stop_m, release_m = belt.exercise.drift_stop_m, belt.config.obstacle.drift_release_m
    assert stop_m is not None
    belt.ping(0.7 + stop_m + 0.001)
    assert not belt.pings(4, 0.7 + stop_m - release_m - 0.001).sounding
    assert belt.ping(0.7 + stop_m + 0.001, walking=False) == Drifted(STOP, True, True)


def test_after_a_long_stand_the_place_is_found_anew(belt: Belt) -> None:
    belt.learnt()
    relearn_s = belt.config.obstacle.drift_relearn_s
    belt.pings(relearn_s - 0.1, 1.2, walking=False)
    assert belt.memory.console_m is not None
    assert belt.pings(0.2, 1.2, walking=False) == Drifted(CLEAR, True)
    assert (belt.memory.console_m, belt.memory.walked_ns, belt.memory.worst_m) == (None, None, 0.0)
    belt.learnt(1.2)
    assert belt.memory.console_m == pytest.approx(1.2)


def test_no_console_in_sight_is_said_to_who_walks(belt: Belt) -> None:
    missing_s, reference_m = belt.config.obstacle.drift_missing_s, belt.config.obstacle.drift_reference_m
    assert belt.pings(10, None, walking=False) == Drifted(UNKNOWN)
    belt.t_ns -= PING_NS  # the tick of the last stand
    assert belt.pings(missing_s - PING_NS / 1e9, None) == Drifted(UNKNOWN)
    assert belt.pings(0.1, None) == Drifted(UNKNOWN, missing=True)
    assert belt.ping(reference_m + 0.001).missing
    assert belt.ping(reference_m) == Drifted(CLEAR)
    assert belt.ping(None) == Drifted(UNKNOWN)
