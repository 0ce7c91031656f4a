"""Repetitions: simulated people lunge and climb, count by count; and what resembles it, in simulation and on recordings, is not counted."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from guardian.config import Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude, Pose
from guardian.monitor.repetitions import Repetitions, Reps
from guardian.sim.exercises import Session, controlled, session
from guardian.sim.phases import Phase, Stand, Turn, Walk
from guardian.sim.population import TEST, Trainee
from guardian.sim.striding import Climb

from .wearer import recorded, sample, turned

HZ = 100
NOISE = (0.02, 0.002)  # m/s², rad/s: of a chip, rms


def felt(story: Session, tilt_deg: float = 0.0, yaw_deg: float = 0.0, zero: float = 0.15) -> list[ImuSample]:
    """What a chip in a belt that sits askew says of it, with noise and a zero error (m/s²) on each axis."""
    motion, random = story.samples(HZ), np.random.default_rng(11)
    mount = turned("y", tilt_deg) @ turned("z", yaw_deg)
    out = []
    for i, row in enumerate(motion):
        accel = mount.T @ row[:3] + zero * np.array([1.0, -1.0, 1.0]) + random.normal(0, NOISE[0], 3)
        out.append(sample(i * 10_000_000, accel, mount.T @ row[3:] + 0.01 + random.normal(0, NOISE[1], 3)))
    return out


def counted(config: Config, samples: list[ImuSample], exercise: str) -> list[tuple[float, Reps]]:
    """Every change of the counts and when, s; the first is what was known at the first sample."""
    attitude, repetitions = Attitude(config), Repetitions(config)
    said: list[tuple[float, Reps]] = []
    for one in samples:
        reps = repetitions.step(attitude.step(one), config.exercises[exercise])
        if not said or said[-1][1] != reps:
            said.append((one.t_ns * 1e-9, reps))
    return said


def did(who: Trainee, *script: Phase) -> Session:
    """These things in a row."""
    return Session(who, script, sum(phase.seconds for phase in script), "stairs")


@cache
def lunging() -> Session:
    return session("lunges", TEST, 3, 2.5)


# --- lunges -------------------------------------------------------------------------------------------------------------------------


def test_each_lunge_counts_for_the_leg_that_stepped_back_as_soon_as_the_belt_is_up_again(config: Config) -> None:
    story = lunging()
    reps = [rep for rep in story.truth.reps if rep.end_s < story.seconds - 1.0]
    said = counted(config, felt(story), "lunges")
    told = [(t_s, reps.rep) for t_s, reps in said[1:] if reps.rep is not None]
    assert len(reps) > 15
    assert [one.leg for _, one in told[: len(reps)]] == [rep.leg for rep in reps]
    for rep, (t_s, one) in zip(reps, told, strict=False):
        assert rep.bottom_s < one.t_ns * 1e-9 < rep.end_s
        assert t_s < rep.end_s + 0.5
        assert one.depth_m == pytest.approx(rep.depth_m, abs=0.05)
        assert 0.35 < one.down_s < rep.bottom_s - rep.begin_s
        assert 0.35 < one.up_s < rep.end_s - rep.bottom_s
    for leg in ("left", "right"):
        assert [one.number for _, one in told if one.leg == leg] == list(range(1, 1 + sum(one.leg == leg for _, one in told)))
    last = said[-1][1]
    assert (last.lunges_left, last.lunges_right) == tuple(sum(one.leg == leg for _, one in told) for leg in ("left", "right"))


@pytest.mark.parametrize(("tilt_deg", "yaw_deg"), [(25.0, 0.0), (-20.0, 0.0), (0.0, 25.0), (15.0, -25.0)])
def test_a_belt_that_sits_askew_counts_the_same(config: Config, tilt_deg: float, yaw_deg: float) -> None:
    story = lunging()
    straight, askew = (counted(config, felt(story, *how), "lunges")[-1][1] for how in ((0.0, 0.0), (tilt_deg, yaw_deg)))
    assert (askew.lunges_left, askew.lunges_right) == (straight.lunges_left, straight.lunges_right)
    assert askew.lunges_left > 5


def test_the_zero_error_of_a_cheap_chip_costs_no_lunge(config: Config) -> None:
    story = lunging()
    dear, cheap = (counted(config, felt(story, zero=zero), "lunges")[-1][1] for zero in (0.0, 0.8))
    assert (cheap.lunges_left, cheap.lunges_right) == (dear.lunges_left, dear.lunges_right)
    assert dear.lunges_left > 5


def test_a_sample_that_comes_twice_costs_no_lunge(config: Config) -> None:
    samples = felt(lunging())
    twice = [one for i, sample in enumerate(samples) for one in ([sample, sample] if i % 50 == 0 else [sample])]
    once, again = (counted(config, told, "lunges")[-1][1] for told in (samples, twice))
    assert (again.lunges_left, again.lunges_right) == (once.lunges_left, once.lunges_right)
    assert once.lunges_left > 5


def test_a_lunge_forward_is_none(config: Config) -> None:
    """The same movement with the pelvis going forth and back: a belt worn back to front feels it."""
    last = counted(config, felt(lunging(), yaw_deg=180.0), "lunges")[-1][1]
    assert last.lunges_left + last.lunges_right == 0


@pytest.mark.parametrize("exercise", ["walk", "run", "treadmill"])
@pytest.mark.parametrize("seed", range(2))
def test_nobody_lunges_by_walking_or_running(config: Config, exercise: str, seed: int) -> None:
    assert len(counted(config, felt(session(exercise, TEST, seed, 2.0)), "lunges")) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "what", ["kneel", "pick up, knees bent", "pick up, stooping", "hop", "lie down slowly", "lie down quickly", "sit down slowly"]
)
def test_nobody_lunges_by_going_down_in_another_way(config: Config, what: str) -> None:
    for seed in range(4):
        assert len(counted(config, felt(controlled(what, TEST, seed)), "lunges")) == 1, seed


def test_sisfalls_walks_stairs_and_beds_hold_no_lunge(config: Config, sisfall: Path) -> None:
    for trial in ("D05_SA02_R01", "D06_SA08_R01", "D12_SA16_R01", "D14_SE01_R01", "D16_SA21_R01", "D18_SA10_R01", "D19_SA06_R01"):
        assert len(counted(config, recorded(sisfall, trial), "lunges")) == 1, trial
    assert len(counted(config, recorded(sisfall, "D01_SE05_R01")[:4000], "lunges")) == 1


# --- stairs -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backward", [True, False], ids=["backward", "forward"])
@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("tempo", [0.7, 1.0, 1.5])
def test_each_set_of_stairs_is_told_when_the_wearer_stands(config: Config, tempo: float, up: bool, backward: bool) -> None:
    who = TEST.draw(5)
    climbs = [Climb.of(steps, tempo, up=up, backward=backward) for steps in (5, 8, 10)]
    story = did(who, Stand(4), climbs[0], Stand(1.6), climbs[1], Stand(2), Turn(2.5, angle_deg=180.0), Stand(1), climbs[2], Stand(3))
    said = counted(config, felt(story), "stairs")
    assert [reps.stairs for _, reps in said] == [0, 5, 13, 23]
    ends = [span.end_s for span in story.truth.spans if span.phase == "Climb"]
    assert all(-0.4 < t_s - end < 1.0 for (t_s, _), end in zip(said[1:], ends, strict=True))


def test_level_steps_before_the_stairs_are_no_stairs(config: Config) -> None:
    who = TEST.draw(6)
    story = did(who, Stand(4), Walk(6.0, speed=-0.6), Stand(0.8), Climb.of(6, 0.9), Stand(3))
    last = counted(config, felt(story), "stairs")[-1][1]
    assert last.stairs == pytest.approx(6, abs=1)


@pytest.mark.parametrize("exercise", ["walk", "treadmill"])
@pytest.mark.parametrize("seed", range(2))
def test_level_walking_climbs_no_stairs(config: Config, exercise: str, seed: int) -> None:
    assert len(counted(config, felt(session(exercise, TEST, seed, 2.0)), "stairs")) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("trial", ["D05_SA02_R04", "D05_SA20_R03", "D06_SA15_R01", "D06_SA15_R04"])
def test_sisfalls_staircase_has_ten_stairs_up_and_down_at_a_walk_and_at_a_run(config: Config, sisfall: Path, trial: str) -> None:
    """Nobody wrote down how many it has; that so many people's flights have ten swings of 17-20 cm says it."""
    totals = [reps.stairs for _, reps in counted(config, recorded(sisfall, trial), "stairs")]
    flights = [after - before for before, after in pairwise(totals) if after - before > 5]
    assert flights
    assert all(abs(flight - 10) <= 1 for flight in flights)


@pytest.mark.parametrize("trial", ["D01_SA02_R01", "D02_SE05_R01", "D03_SA08_R01"])
def test_sisfalls_level_walks_climb_next_to_nothing(config: Config, sisfall: Path, trial: str) -> None:
    assert counted(config, recorded(sisfall, trial)[:6000], "stairs")[-1][1].stairs <= 1


# --- both ---------------------------------------------------------------------------------------------------------------------------


def test_what_is_not_trained_is_not_counted(config: Config) -> None:
    samples = felt(lunging())
    assert counted(config, samples, "walk")[-1][1] == counted(config, samples, "everyday")[-1][1] == Reps()


def poses(config: Config, samples: list[ImuSample]) -> list[Pose]:
    attitude = Attitude(config)
    return [attitude.step(one) for one in samples]


def test_another_exercise_and_a_hole_keep_the_counts_and_forget_what_was_under_way(config: Config) -> None:
    told, repetitions, row = poses(config, felt(lunging())), Repetitions(config), config.exercises["lunges"]
    reps = lunging().truth.reps
    during = reps[4].bottom_s
    for pose in told:
        if pose.t_ns * 1e-9 < during:
            before = repetitions.step(pose, row)
    assert before.lunges_left + before.lunges_right == 4
    assert repetitions.step(told[int(during * HZ)], config.exercises["walk"]) == before
    late = [replace(pose, t_ns=pose.t_ns + 2_000_000_000) for pose in told[int(during * HZ) + 1 : int((reps[4].end_s + 0.3) * HZ)]]
    for pose in late:
        after = repetitions.step(pose, row)
    assert after == before


@pytest.mark.parametrize("exercise", ["lunges", "stairs"])
def test_a_snapshot_in_mid_repetition_is_everything(config: Config, exercise: str) -> None:
    told = poses(config, felt(session(exercise, TEST, 4, 1.5)))  # type: ignore[arg-type]
    row, cut = config.exercises[exercise], 6543
    repetitions, again = Repetitions(config), Repetitions(config)
    said = []
    for i, pose in enumerate(told):
        if i == cut:
            snapshot = json.loads(json.dumps(msgspec.to_builtins(repetitions.memory), allow_nan=False))
            again.memory = msgspec.convert(snapshot, type(again.memory))
        said.append(repetitions.step(pose, row))
    assert [again.step(pose, row) for pose in told[cut:]] == said[cut:]
    assert said[-1] != said[cut]
