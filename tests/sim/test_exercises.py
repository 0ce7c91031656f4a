"""Simulated training sessions are plausible, tell the truth, and come out the same every time."""

from itertools import pairwise

import numpy as np
import pytest
from msgspec.structs import replace

from guardian.sim.exercises import CONTROLLED, EXERCISES, Exercise, Session, controlled, fall, session
from guardian.sim.gait import G
from guardian.sim.phases import Stand, Walk
from guardian.sim.population import TEST, TRAINING, Population
from guardian.sim.rates import PERFECT
from guardian.sim.striding import Climb, OnBelt, Run
from guardian.sim.surroundings import Staircase, Surroundings
from guardian.sim.world import Story

HZ = 200


def norm_g(motion: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(motion[:, :3], axis=1) / G)


def rate_deg_s(motion: np.ndarray) -> np.ndarray:
    return np.asarray(np.degrees(np.linalg.norm(motion[:, 3:], axis=1)))


def place(told: Session, t_s: float) -> np.ndarray:
    return np.array(told.world.body.pose(int(t_s * 1e9))[:3])


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_same_session_is_the_same_bit_for_bit_and_another_is_not(exercise: Exercise) -> None:
    one, again, other = (session(exercise, TRAINING, seed, 1.5).samples(HZ) for seed in (3, 3, 4))
    assert (one == again).all()
    assert not np.allclose(one, other, atol=0.1)


def test_motion_asked_for_in_pieces_is_the_same() -> None:
    t = (np.arange(60 * 833) * (1e9 / 833)).astype(np.int64)
    whole = session("lunges", TEST, 2, 1.0).motion(t)
    pieces = session("lunges", TEST, 2, 1.0)
    assert (whole == np.concatenate([pieces.motion(part) for part in np.array_split(t, 777)])).all()


def test_the_two_populations_share_nobody_and_the_test_one_reaches_beyond_on_both_sides() -> None:
    assert TRAINING.draw(0).seed != TEST.draw(0).seed
    for name in ("height_m", "walk_m_s", "run_m_s", "cadence", "vigour", "asymmetry", "spread", "impact_g", "buckle", "belt_tilt_deg"):
        (low, high), (lower, higher) = getattr(TRAINING, name), getattr(TEST, name)
        assert lower < low < high < higher, name
    heights = np.array([[population.draw(seed).height_m for seed in range(200)] for population in (TRAINING, TEST)])
    assert heights[1].min() < heights[0].min() < heights[0].max() < heights[1].max()


@pytest.mark.parametrize("population", [TRAINING, TEST], ids=["training", "test"])
@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("seed", range(4))
def test_no_session_holds_a_jump_an_impact_or_a_whirl(exercise: Exercise, seed: int, population: Population) -> None:
    told = session(exercise, population, seed, 4.0, near_falls=1)
    felt = told.samples(500)
    assert np.isfinite(felt).all()
    assert norm_g(felt).max() < 6.0
    assert rate_deg_s(felt).max() < 420
    assert not told.truth.falls
    lean = [np.degrees(told.world.body.pose(int(t * 1e9))[3:5]) for t in np.arange(0, told.seconds, 0.2)]
    if exercise != "everyday":
        assert np.abs(lean).max() < 45


@pytest.mark.parametrize("seed", range(6))
def test_step_times_are_those_of_the_footfalls(seed: int) -> None:
    told = session("walk", TEST, seed, 3.0)
    span = max((one for one in told.truth.spans if one.phase == "Walk"), key=lambda one: one.end_s - one.begin_s)
    begin, end = span.begin_s + 2, span.end_s - 2
    steps = told.truth.steps_s[(told.truth.steps_s >= begin) & (told.truth.steps_s < end)]
    assert np.diff(steps).std() / np.diff(steps).mean() < 0.15
    up = told.samples(HZ)[int(begin * HZ) : int(end * HZ), 2]
    size = 8 * len(up)
    power, hz = np.abs(np.fft.rfft((up - up.mean()) * np.hanning(len(up)), size)), np.fft.rfftfreq(size, 1 / HZ)
    band = (hz > 1.0) & (hz < 2.6)
    assert len(steps) == pytest.approx(hz[band][power[band].argmax()] * (end - begin), rel=0.02, abs=1.5)


@pytest.mark.parametrize("seed", range(4))
def test_the_truth_of_direction_and_distance_is_where_the_body_goes(seed: int) -> None:
    told = session("walk", TRAINING, seed, 4.0)
    walked = [span for span in told.truth.spans if span.phase == "Walk" and span.end_s - span.begin_s > 8]
    assert {span.direction for span in walked} == {"forward", "backward"}
    for span in walked:
        middle, later = (span.begin_s + span.end_s) / 2 + 2, (span.begin_s + span.end_s) / 2 + 3.5
        yaw = told.world.body.pose(int(middle * 1e9))[5]
        gone = (place(told, later) - place(told, middle)) @ [np.cos(yaw), np.sin(yaw), 0]
        assert (gone < 0) == (span.direction == "backward")
        assert told.truth.direction(middle) == span.direction
        assert abs(gone) / 1.5 == pytest.approx(abs(span.speed_m_s), rel=0.25)
    assert told.truth.distance_m == pytest.approx(sum(abs(s.speed_m_s) * (s.end_s - s.begin_s) for s in told.truth.spans), rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_runners_leave_the_ground_at_every_step_for_20_to_50_m(seed: int) -> None:
    told = session("run", TEST, seed, 4.0)
    felt = told.samples(HZ)
    sprints = [
        span for span in told.truth.spans if span.phase == "Run" and span.direction == "backward" and span.end_s < told.seconds - 0.1
    ]
    assert sprints
    for span in sprints:
        assert 17 < span.distance_m < 55
        steps = told.truth.steps_s[(told.truth.steps_s > span.begin_s + 2) & (told.truth.steps_s < span.end_s - 1)]
        least = [norm_g(felt[int(a * HZ) : int(b * HZ)]).min() for a, b in pairwise(steps)]
        assert np.mean(np.array(least) < 0.6) > 0.9
        assert 130 < 60 / np.diff(steps).mean() < 195


@pytest.mark.parametrize("seed", range(6))
def test_each_lunge_goes_as_deep_as_it_says_when_it_says_and_comes_back(seed: int) -> None:
    told = session("lunges", TEST, seed, 3.0)
    reps = [rep for rep in told.truth.reps if rep.end_s < told.seconds]
    assert {rep.leg for rep in reps} <= {"left", "right"}
    assert len(reps) >= 8
    for rep in reps:
        before, bottom, after = (place(told, t) for t in (rep.begin_s, rep.bottom_s + 0.02, rep.end_s))
        assert before[2] - bottom[2] == pytest.approx(rep.depth_m, abs=0.03)
        assert np.linalg.norm(bottom[:2] - before[:2]) > 0.2
        assert np.linalg.norm(after - before) < 0.08
    assert not any(rep.begin_s < t < rep.end_s - 0.5 and t > rep.begin_s + 1 for rep in reps for t in told.truth.steps_s)


@pytest.mark.parametrize("seed", range(6))
def test_every_stair_is_counted_and_lifts_the_body_by_its_riser(seed: int) -> None:
    told = session("stairs", TRAINING, seed, 3.0)
    stairs = told.truth.stairs
    climbs = [phase for phase in told.script if isinstance(phase, Climb)]
    assert len(stairs) >= climbs[0].steps + climbs[1].steps
    assert [stair.up for stair in stairs[: climbs[0].steps]] == [True] * climbs[0].steps
    first = next(span for span in told.truth.spans if span.phase == "Climb")
    risen = place(told, first.end_s)[2] - place(told, first.begin_s)[2]
    assert risen == pytest.approx(climbs[0].steps * climbs[0].riser_m, abs=0.06)
    assert len([t for t in told.truth.steps_s if first.begin_s < t <= first.end_s]) == climbs[0].steps
    assert {stair.backward for stair in stairs if stair.up} != {stair.backward for stair in stairs if not stair.up}


def test_a_belt_carries_nobody_off_unasked_and_the_console_stays_behind() -> None:
    told = session("treadmill", TRAINING, 5, 5.0)
    assert told.truth.distance_m > 50
    away = [told.world.truth(int(t * 1e9)).wall_m for t in np.arange(5, 300, 1.0)]
    assert None not in away
    assert 0.3 < min(away) < max(away) < 1.4  # type: ignore[type-var]
    assert np.ptp(np.array(away, dtype=float)) > 0.04


def test_drift_moves_the_belt_wearer_by_what_it_says() -> None:
    who = TRAINING.draw(1)
    told = Session(who, (Stand(3), OnBelt(20.0, speed=-0.6, drift_m=0.5, wander_m=0.02), Stand(2)), 25.0, "treadmill")
    assert place(told, 23)[0] - place(told, 3)[0] == pytest.approx(0.5, abs=0.1)


def test_risers_stand_behind_who_climbs_backward_and_keep_their_distance() -> None:
    stairs = Staircase(-0.25, 14)
    near = [stairs.distance(0.0, (-0.29 * step, 0.0, 0.95 + 0.17 * step), (-1.0, 0.0, 0.0), PERFECT) for step in range(8)]
    assert None not in near
    assert near[0] == pytest.approx(0.25 + 3 * 0.29, abs=0.3)
    assert np.ptp(np.array(near, dtype=float)) < 0.01
    assert stairs.distance(0.0, (0.0, 0.0, 0.95), (1.0, 0.0, 0.0), PERFECT) is None
    assert stairs.distance(0.0, (-14 * 0.29, 0.0, 0.95 + 14 * 0.17), (-1.0, 0.0, 0.0), PERFECT) is None  # the top: nothing more behind


def test_who_tires_steps_slower_and_softer() -> None:
    who = TEST.draw(8)
    fresh, tired = (Walk(30, speed=-0.6, fatigue=fatigue).pace(None, who) for fatigue in (0.0, 1.0))  # type: ignore[arg-type]
    assert tired[0] < 0.96 * fresh[0]
    assert fresh[2] is not None
    assert tired[2] is not None
    assert np.abs(tired[2].locked[3:]).sum() < np.abs(fresh[2].locked[3:]).sum()


def test_people_of_other_height_move_alike_at_the_same_froude_number() -> None:
    who = TRAINING.draw(3)
    small, tall = replace(who, height_m=1.5), replace(who, height_m=1.95)
    ratio = np.sqrt(1.5 / 1.95)
    assert small.step_rate("walk", -0.6 * ratio) == pytest.approx(tall.step_rate("walk", -0.6) / ratio)
    a, b = (one.waves("run", -v, one.step_rate("run", -v)) for one, v in ((small, 1.8 * ratio), (tall, 1.8)))
    force = [np.abs(w.locked[2]) * one.step_rate("run", -v) ** 2 for w, one, v in ((a, small, 1.8 * ratio), (b, tall, 1.8))]
    assert force[0] == pytest.approx(force[1], rel=0.2)  # the belt rings at a rate of its own


@pytest.mark.parametrize("kind", CONTROLLED)
@pytest.mark.parametrize("seed", range(4))
def test_controlled_movements_are_no_falls(kind: str, seed: int) -> None:
    told = controlled(kind, TEST, seed)
    felt = told.samples(HZ)
    assert norm_g(felt).max() < (5.0 if kind == "hop" else 4.0 if "quickly" in kind or "car" in kind else 2.6)
    assert rate_deg_s(felt).max() < 330
    lean = np.abs([np.degrees(told.world.body.pose(int(t * 1e9))[3:5]) for t in np.arange(0, told.seconds, 0.1)]).max()
    assert (lean > 60) == (kind.startswith("lie") or (lean > 60 and kind == "pick up, stooping"))
    assert not told.truth.falls


def test_an_unknown_movement_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no such movement: 'fly'; there are sit down slowly"):
        controlled("fly", TEST, 0)


def test_a_runner_who_stops_stands() -> None:
    told = Session(TEST.draw(4), (Stand(2), Run(8.0, speed=-2.0), Stand(6)), 16.0, "run")
    assert rate_deg_s(told.samples(HZ)[14 * HZ :]).max() < 12
    assert abs(norm_g(told.samples(HZ)[14 * HZ :]) - 1).max() < 0.06


@pytest.mark.parametrize("seed", range(6))
def test_who_goes_down_stairs_backward_has_no_floor_beside_the_belt(seed: int) -> None:
    told = fall("stairs", "missed step down", TEST, seed)
    quiet = Story(told.who, told.script, Surroundings(rates=PERFECT, floor_m=told.floor_m))
    pings = range(int(told.truth.falls[0].onset_s * 15))
    assert min(quiet.echo(k * 66_700_000) or 9.0 for k in pings) > 0.8
