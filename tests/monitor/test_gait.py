"""Gait: steps, cadence, direction and body motion, against walks whose truth is known and SisFall's."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from guardian.config import Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude, Pose
from guardian.monitor.gait import Gait, Stride
from guardian.sim.exercises import Exercise, Session, session
from guardian.sim.phases import Phase, Stand, Turn, Walk
from guardian.sim.population import TEST, TRAINING
from guardian.sim.striding import Run
from guardian.verdict import Direction, Posture

from .wearer import STEP_NS, G, Wearer, recorded, sample, turned


class Walker:
    """Attitude and gait in a row, as the monitor has them."""

    def __init__(self, config: Config) -> None:
        self.config, self.attitude, self.gait = config, Attitude(config), Gait(config)

    def strides(self, samples: list[ImuSample]) -> list[Stride]:
        out = []
        for each in samples:
            out.append(self.gait.step(self.attitude.step(each, self.gait.memory.walking)))
        return out


class Told:
    """A Gait that is told poses, 100 a second."""

    def __init__(self, config: Config) -> None:
        self.gait, self.t_ns = Gait(config), 0

    def feel(
        self,
        seconds: float,
        swing: Callable[[float], float] = lambda t: 0.0,
        surge: Callable[[float], float] = lambda t: 0.0,
        turn_deg_s: float = 0.0,
        lean_deg: float = 0.0,
    ) -> list[Stride]:
        """So long, m/s² along the vertical and ahead of seconds since it began."""
        lean, rate, out = math.radians(lean_deg), math.radians(turn_deg_s), []
        ux, uz = -math.sin(lean), math.cos(lean)
        for t in (i / 100 for i in range(round(seconds * 100))):
            v, x = swing(t), surge(t)
            accel = (ux * (G + v) + uz * x, 0.0, uz * (G + v) - ux * x)
            pose = Pose(
                self.t_ns, Posture.UPRIGHT, uz, (ux, 0.0, uz), v, accel, (ux * rate, 0.0, uz * rate), 1.0, settled=False, still=False,
                trusted=True,
            )  # fmt: skip
            out.append(self.gait.step(pose))
            self.t_ns += STEP_NS
        return out

    def walk(self, seconds: float, hz: float = 1.8, swing: float = 2.5, surge: float = 1.2, **more: float) -> list[Stride]:
        """As Wearer.walk."""
        w = 2 * math.pi * hz
        return self.feel(seconds, lambda t: swing * math.cos(w * t), lambda t: -surge * math.sin(w * t), **more)

    def steps_at(self, times: list[float], turn_deg_s: float = 0.0) -> Stride:
        """One step at each of these seconds, and then nothing for a while."""

        def swing(t: float) -> float:
            return sum(-4.0 * math.sin(2 * math.pi * (t - at) / 0.4) for at in times if 0.0 <= t - at < 0.4)

        return self.feel(times[-1] + 3.0, swing, turn_deg_s=turn_deg_s)[-1]


@pytest.fixture
def told(config: Config) -> Told:
    return Told(config)


@pytest.fixture
def walker(config: Config) -> Walker:
    return Walker(config)


# steps/s, vertical swing m/s², heel strikes at three times the step rate m/s²
PACES = {
    "0.4 m/s, backward, old": (1.5, 0.5, 0.6),
    "slow": (1.2, 0.9, 1.5),
    "ordinary": (1.8, 2.5, 1.0),
    "brisk": (2.2, 5.0, 2.0),
    "jogging": (2.7, 12.0, 3.0),
    "up the stairs at a run": (4.0, 14.0, 2.0),
}


@pytest.mark.parametrize("pace", PACES)
def test_every_pace_from_cautious_to_running_is_counted(walker: Walker, pace: str) -> None:
    hz, swing, heels = PACES[pace]
    wearer = Wearer(noise_g=0.003, noise_deg_s=0.05)
    walker.strides(wearer.stay(2.0))
    walk = walker.strides(wearer.walk(30.0, hz=hz, swing=swing, heels=heels))
    assert walk[-1].steps == pytest.approx(30.0 * hz, abs=3)
    assert walk[-1].cadence == pytest.approx(60.0 * hz, rel=0.04)
    assert sum(stride.walking for stride in walk) > len(walk) - 100 * (1.0 + 3.5 / hz)


def test_walking_begins_with_the_third_step_and_ends_a_step_time_after_the_last(walker: Walker, config: Config) -> None:
    wearer = Wearer()
    walker.strides(wearer.stay(2.0))
    walk = walker.strides(wearer.walk(6.0))
    began = next(i for i, stride in enumerate(walk) if stride.walking)
    assert walk[began - 1].steps == 0
    assert walk[began].steps == config.gait.walking_steps
    stand = walker.strides(wearer.stay(4.0))
    ended = next(i for i, stride in enumerate(stand) if not stride.walking) / 100
    assert 1.0 < ended < config.gait.step_max_s + 0.5
    assert stand[-1].cadence == 0.0
    assert stand[-1].direction is Direction.STILL
    assert stand[-1].steps in (walk[-1].steps, walk[-1].steps + 1)


def test_standing_swaying_sitting_down_and_bowing_are_no_steps(walker: Walker) -> None:
    wearer = Wearer(noise_g=0.003, noise_deg_s=0.05)
    idle = wearer.move(20.0, lambda t: 1.5 * math.sin(2.0 * t))
    sit = wearer.move(1.0, lambda t: 20 * math.sin(math.pi * t), down=lambda t: -3.0 * math.sin(2 * math.pi * t)) + wearer.stay(5.0)
    bow = wearer.lean(60.0, 1.5) + wearer.stay(1.0) + wearer.lean(0.0, 1.5) + wearer.stay(3.0)
    strides = walker.strides(idle + sit + bow)
    assert strides[-1].steps == 0
    assert not any(stride.walking for stride in strides)


def test_fidgeting_at_unlike_intervals_is_no_walk(walker: Walker) -> None:
    wearer = Wearer()
    walker.strides(wearer.stay(2.0))
    for _ in range(10):
        bump = wearer.move(0.4, lambda t: 0.0, down=lambda t: -3.0 * math.sin(5 * math.pi * t))
        pair = walker.strides(bump + wearer.stay(0.05) + wearer.move(0.4, lambda t: 0.0, down=lambda t: -3.0 * math.sin(5 * math.pi * t)))
        pause = walker.strides(wearer.stay(0.85))
        assert not any(stride.walking for stride in pair + pause)


def test_a_car_shaking_at_six_hertz_is_not_360_steps_a_minute(walker: Walker) -> None:
    wearer = Wearer()
    walker.strides(wearer.stay(2.0))
    shaken = walker.strides(wearer.move(20.0, lambda t: 0.0, down=lambda t: 8.0 * math.sin(12 * math.pi * t)))
    assert max(stride.cadence for stride in shaken) < 300


def test_a_stamping_walker_is_not_counted_twice(walker: Walker) -> None:
    wearer = Wearer()
    walker.strides(wearer.stay(2.0))

    def stamp(t: float) -> float:
        """1.2 steps/s; the third harmonic makes the band-passed swing cross zero three times a step."""
        return 4.0 * math.sin(2.4 * math.pi * t) + 10.0 * math.sin(7.2 * math.pi * t + 2.0)

    assert walker.strides(wearer.move(30.0, lambda t: 0.0, down=stamp))[-1].steps == pytest.approx(36, abs=2)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("mount", [turned("y", 0.0), turned("y", 30.0), turned("x", 30.0)], ids=["straight", "pitched", "rolled"])
def test_direction_of_a_walk(walker: Walker, backward: bool, mount: np.ndarray) -> None:
    wearer = Wearer(mount, noise_g=0.003)
    walker.strides(wearer.stay(2.0))
    walk = walker.strides(wearer.walk(10.0, surge=-1.2 if backward else 1.2))
    want = Direction.BACKWARD if backward else Direction.FORWARD
    assert {stride.direction for stride in walk[600:]} == {want}
    assert (Direction.FORWARD if backward else Direction.BACKWARD) not in {stride.direction for stride in walk}


def test_running_turns_the_sign_around(walker: Walker) -> None:
    wearer = Wearer()
    walker.strides(wearer.stay(2.0))
    run = walker.strides(wearer.walk(10.0, hz=2.8, swing=13.0, surge=-3.0))  # slowest when lowest: a runner going forward
    assert {stride.direction for stride in run[600:]} == {Direction.FORWARD}


def test_between_walking_and_running_and_without_surge_direction_is_unknown(walker: Walker) -> None:
    wearer = Wearer()
    walker.strides(wearer.stay(2.0))
    marching = walker.strides(wearer.walk(10.0, surge=0.0, sway_deg=0.0))
    assert {stride.direction for stride in marching[600:]} == {Direction.UNKNOWN}
    shuffle = walker.strides(wearer.walk(10.0, hz=2.3, swing=7.7))
    assert {stride.direction for stride in shuffle[600:]} == {Direction.UNKNOWN}


def test_no_step_is_counted_while_up_is_not_known(walker: Walker) -> None:
    wearer = Wearer()
    walker.strides(wearer.stay(2.0))
    walk = wearer.walk(20.0)
    broken = [each for i, each in enumerate(walk) if i % 40 > 8]  # a hole of 90 ms every 0.4 s
    assert walker.strides(broken)[-1].steps == 0


CHIPS = {"LSM6DSOX": (0.0008, 0.03), "MPU-6050": (0.0032, 0.045)}  # rms at 100 Hz of 100 and 400 µg/√Hz, 3.8 and 5 mdps/√Hz, 45-65 Hz wide


def quantised(samples: list[ImuSample]) -> list[ImuSample]:
    """As from a chip at ±16 g, ±2000 °/s: 0.488 mg and 70 mdps a count."""
    g, r = 0.000488 * G, math.radians(0.07)
    return [sample(s.t_ns, np.round(np.array(s.accel) / g) * g, np.round(np.array(s.gyro) / r) * r) for s in samples]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_belt_on_a_table_does_not_move(walker: Walker, chip: str) -> None:
    noise_g, noise_deg_s = CHIPS[chip]
    wearer = Wearer(turned("x", 80.0), noise_g, noise_deg_s, bias_deg_s=1.0)
    table = walker.strides(quantised(wearer.stay(90.0)))
    assert all(stride.moving for stride in table[:300]), "until it is known"
    assert not any(stride.moving for stride in table[360:])


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("breaths_a_minute", [10, 15, 20])
def test_a_person_who_lies_and_breathes_moves(walker: Walker, chip: str, breaths_a_minute: int) -> None:
    noise_g, noise_deg_s = CHIPS[chip]
    wearer = Wearer(noise_g=noise_g, noise_deg_s=noise_deg_s)
    wearer.lean(-85.0, 1.0)
    lying = wearer.move(60.0, lambda t: -85.0 + 0.25 * math.sin(2 * math.pi * breaths_a_minute / 60 * t))  # 0.5° between extremes
    assert all(stride.moving for stride in walker.strides(quantised(lying)))


def test_a_belt_tossed_on_a_table_stops_moving_within_seconds(walker: Walker) -> None:
    wearer = Wearer(noise_g=0.0032, noise_deg_s=0.045)
    toss = wearer.walk(5.0) + wearer.lean(90.0, 0.5, lightness=0.9)
    assert walker.strides(toss)[-1].moving
    assert not walker.strides(wearer.stay(6.0))[-1].moving


# trial: steps/s by its spectrum (vertical and forward at the step rate, sideways and yaw at half of it), least share of known direction
REAL = {
    "D01_SE04_R01": (1.19, 0.9),
    "D02_SE09_R01": (2.27, 0.0),  # strides out as hard as others jog
    "D03_SE13_R01": (2.47, 0.0),  # jogs as softly as others walk
    "D04_SA20_R01": (3.08, 0.7),
}


@pytest.mark.parametrize("trial", REAL)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "reversed"])
def test_real_steps_forward_and_reversed(walker: Walker, sisfall: Path, trial: str, backward: bool) -> None:
    hz, known = REAL[trial]
    strides = walker.strides(recorded(sisfall, trial, backward)[:6000])
    assert strides[-1].steps == pytest.approx(60 * hz, rel=0.08)
    assert sum(stride.walking for stride in strides) > 0.9 * len(strides)
    seen = [stride.direction for stride in strides if stride.walking and stride.direction is not Direction.TURNING]
    assert len(seen) > 0.8 * len(strides)
    right = Direction.BACKWARD if backward else Direction.FORWARD
    wrong = Direction.FORWARD if backward else Direction.BACKWARD
    assert seen.count(wrong) < 0.05 * len(seen)
    assert seen.count(right) >= known * len(seen)


def test_a_real_standing_person_moves_and_does_not_walk(walker: Walker, sisfall: Path) -> None:
    standing = walker.strides(recorded(sisfall, "D06_SA20_R03")[1400:])  # ten seconds of standing at the top of the stairs
    assert len(standing) * STEP_NS > 9e9
    assert all(stride.moving for stride in standing)
    assert standing[-1].steps == 0


def simulated(told: Session, seconds: float) -> list[ImuSample]:
    """The first seconds of a simulated session, 100 Hz."""
    return [sample(i * STEP_NS, row[:3], row[3:]) for i, row in enumerate(told.samples(100.0)[: int(seconds * 100)])]


def person(*script: Phase, seed: int = 1) -> Session:
    """A training person who stands for 3 s, and then does that."""
    who = TRAINING.draw(seed)
    return Session(who, (Stand(3), *script), 3 + sum(phase.seconds for phase in script), "walk")


def directions(walker: Walker, told: Session, begin_s: float, end_s: float) -> list[Direction]:
    """Between those times, while walking or turning."""
    strides = walker.strides(simulated(told, end_s))[int(begin_s * 100) :]
    return [stride.direction for stride in strides if stride.walking or stride.direction is Direction.TURNING]


@pytest.mark.parametrize("seed", range(3))
def test_turning_on_the_spot_is_turning_until_it_ends(walker: Walker, seed: int) -> None:
    told = person(Turn(3.0, angle_deg=180.0), Stand(4), seed=seed)
    seen = [stride.direction for stride in walker.strides(simulated(told, 10.0))]
    assert Direction.TURNING not in seen[:320]
    assert seen[350:600].count(Direction.TURNING) > 180
    assert Direction.TURNING not in seen[700:]


@pytest.mark.parametrize("speed", [1.2, -0.7], ids=["forward", "backward"])
def test_a_corner_is_a_turn_and_the_way_on_is_known_again_within_two_seconds(walker: Walker, speed: float) -> None:
    told = person(Walk(24.0, speed=speed, bend_deg=90.0))  # the corner lies at 13.8-16.2 s
    seen = [stride.direction for stride in walker.strides(simulated(told, 27.0))]
    way = Direction.FORWARD if speed > 0 else Direction.BACKWARD
    assert set(seen[700:1350]) == {way}
    assert Direction.TURNING in seen[1450:1600]
    assert set(seen[1900:]) == {way}
    assert not {Direction.FORWARD, Direction.BACKWARD} - {way} & set(seen)


def test_walking_straight_on_with_a_swinging_pelvis_is_no_turn(walker: Walker) -> None:
    for seed in range(4):
        told = person(Walk(20.0, speed=-0.7, veer_deg=4.0), Walk(20.0, speed=1.3), seed=seed)
        assert Direction.TURNING not in directions(Walker(walker.config), told, 3.0, 42.0)


def test_rolling_over_in_bed_is_no_turn(walker: Walker) -> None:
    wearer = Wearer(turned("y", 90.0))
    walker.strides(wearer.stay(2.0))
    still = wearer.stay(4.0)
    rolling = [replace(each, gyro=(1.0, 0.0, 0.0)) for each in still]  # the box lies: x is along the vertical
    assert Direction.TURNING not in {stride.direction for stride in walker.strides(rolling)}


def test_a_run_out_of_a_walk_keeps_its_way(walker: Walker) -> None:
    told = person(Walk(6.0, speed=-0.7), Run(12.0, speed=-1.9), Walk(6.0, speed=-0.7), seed=2)
    seen = directions(walker, told, 5.0, 27.0)
    assert seen.count(Direction.BACKWARD) > 0.8 * len(seen)
    assert seen.count(Direction.FORWARD) < 0.03 * len(seen)


def test_who_stops_and_walks_the_other_way_is_known_within_three_steps(walker: Walker) -> None:
    told = person(Walk(10.0, speed=1.1), Stand(3.0), Walk(10.0, speed=-0.7))
    strides = walker.strides(simulated(told, 26.0))
    again = next(i for i, stride in enumerate(strides) if i > 1600 and stride.walking)
    assert Direction.FORWARD not in {stride.direction for stride in strides[1600:]}
    assert {stride.direction for stride in strides[again + 100 :]} == {Direction.BACKWARD}


@pytest.mark.parametrize("exercise", ["walk", "run", "treadmill", "everyday"])
@pytest.mark.parametrize("seed", [50, 51])
def test_minutes_of_people_not_learnt_from_are_told_apart(walker: Walker, exercise: Exercise, seed: int) -> None:
    told = session(exercise, TEST, seed, 2.0)
    strides = walker.strides(simulated(told, 120.0))
    for minute in range(2):
        truly = [told.truth.direction(60.0 * minute + 0.1 * i) for i in range(600)]
        seen = [stride.direction for stride in strides[6000 * minute : 6000 * minute + 6000 : 10]]
        gone = [(true, said) for true, said in zip(truly, seen, strict=True) if true in ("forward", "backward")]
        most = max(("forward", "backward"), key=lambda way: sum(true == way for true, _ in gone))
        if sum(true == most for true, _ in gone) > 0.6 * len(gone) > 60:
            other = "backward" if most == "forward" else "forward"
            assert sum(said == most for _, said in gone) > sum(said == other for _, said in gone)


def test_the_small_steps_of_a_turn_on_the_spot_count_though_they_are_no_walk(walker: Walker) -> None:
    """Where they are felt; a twist of the trunk without steps has none."""
    counted = 0
    for seed in range(6):
        one = Walker(walker.config)
        strides = one.strides(simulated(person(Turn(3.0, angle_deg=180.0), Stand(5), seed=seed), 11.0))
        counted += strides[-1].steps
        assert strides[-1].steps <= 6
    assert counted >= 6
    twist = Wearer(noise_g=0.002)
    walker.strides(twist.stay(3.0))
    turning = [replace(each, gyro=(0.0, 0.0, math.radians(60.0))) for each in twist.stay(2.0)]
    seen = walker.strides(turning + twist.stay(4.0))
    assert Direction.TURNING in {stride.direction for stride in seen}
    assert seen[-1].steps == 0


@pytest.mark.parametrize("steps", [2, 3, 4, 5])
def test_so_many_like_steps_are_walking_and_count_all_at_once(config: Config, steps: int) -> None:
    strides = Told(replace(config, gait=replace(config.gait, walking_steps=steps))).walk(8.0)
    counts = [later.steps for earlier, later in pairwise(strides) if later.steps != earlier.steps]
    assert counts == list(range(steps, 15)), "then each by itself"
    assert [stride.walking for stride in strides] == [stride.steps > 0 for stride in strides]


@pytest.mark.parametrize("walking_steps", [3, 5])
def test_every_step_of_a_turn_on_the_spot_counts_however_unlike_their_intervals(config: Config, walking_steps: int) -> None:
    own = replace(config, gait=replace(config.gait, walking_steps=walking_steps))
    for times in ([1.0, 1.6, 2.9, 3.5, 4.8], [1.0, 1.6, 2.2, 3.5, 4.8, 5.4], [1.0, 1.6, 2.2]):
        assert Told(own).steps_at(times, turn_deg_s=45.0).steps == len(times)
    assert Told(own).steps_at([1.0, 1.6, 2.9, 3.5, 4.8]).steps == 0, "without a turn they are fidgeting"


def test_a_turn_begins_above_the_upper_bound_and_lasts_until_below_the_lower(told: Told) -> None:
    def turning(deg_s: float) -> set[bool]:
        """Of the last of so much turning."""
        return {stride.direction is Direction.TURNING for stride in told.feel(5.0, turn_deg_s=deg_s)[300:]}

    for side in (1.0, -1.0):
        assert turning(24.0 * side) == {False}
        assert turning(26.0 * side) == {True}
        assert turning(13.0 * side) == {True}
        assert turning(11.0 * side) == {False}
        assert turning(24.0 * side) == {False}


def test_after_a_quick_turn_the_way_is_not_known_until_it_has_been_felt_again(told: Told) -> None:
    known = told.walk(6.0)[-1]
    assert known.direction is Direction.FORWARD
    strides = told.walk(1.0, turn_deg_s=90.0) + told.walk(5.0, surge=-1.2)
    changes = [later.direction for earlier, later in pairwise([known, *strides]) if later.direction is not earlier.direction]
    assert changes == [Direction.TURNING, Direction.UNKNOWN, Direction.BACKWARD]


@pytest.mark.parametrize("surge", [0.6, -0.6], ids=["forward", "backward"])
@pytest.mark.parametrize("lean_deg", [-30.0, 30.0])
def test_the_way_of_who_leans_is_that_of_what_is_level(told: Told, lean_deg: float, surge: float) -> None:
    strides = told.walk(8.0, surge=surge, lean_deg=lean_deg)
    assert {stride.direction for stride in strides[400:]} == {Direction.FORWARD if surge > 0 else Direction.BACKWARD}


def test_walking_again_after_a_pace_between_walking_and_running_the_way_is_known_at_once(told: Told) -> None:
    told.walk(6.0)
    between = told.walk(5.0, hz=2.3)
    assert between[-1].direction is Direction.UNKNOWN
    again = [stride for stride in told.walk(5.0) if stride.cadence < 131.0]
    assert len(again) > 300
    assert {stride.direction for stride in again} == {Direction.FORWARD}


def test_a_swing_that_no_walking_has_is_running_after_a_second(told: Told) -> None:
    """It turns the sign around, once direction_least_s of it have been gathered; until then what was known holds."""
    assert told.walk(6.0)[-1].direction is Direction.FORWARD
    run = [stride.direction for stride in told.walk(4.0, swing=12.0, surge=5.8)]
    assert 150 < run.index(Direction.BACKWARD) < 200
    assert set(run[: run.index(Direction.BACKWARD)]) == {Direction.FORWARD}
    assert set(run[run.index(Direction.BACKWARD) :]) == {Direction.BACKWARD}


def test_the_way_is_said_where_the_correlation_is_sure_and_kept_a_little_longer(told: Told, config: Config) -> None:
    def walk(told: Told, share: float) -> set[Direction]:
        """With a surge of which this share is where a walker's is, the rest along with the vertical: the last of ten seconds."""
        w, rest = 4.2 * math.pi, math.sqrt(1.0 - share * share)
        at = w * 0.005  # a change is that from one sample to the next: half a sample late
        strides = told.feel(
            10.0, lambda t: 2.5 * math.cos(w * t), lambda t: 1.5 * (rest * math.cos(w * t - at) - share * math.sin(w * t - at))
        )
        return {stride.direction for stride in strides[600:]}

    assert walk(told, 0.2) == {Direction.UNKNOWN}
    assert walk(told, 0.325) == {Direction.UNKNOWN}
    assert walk(told, 0.4) == {Direction.FORWARD}
    assert walk(told, 0.325) == {Direction.FORWARD}
    assert walk(told, 0.25) == {Direction.UNKNOWN}
    assert walk(Told(config), -0.4) == {Direction.BACKWARD}
