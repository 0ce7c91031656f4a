"""Attitude: up, alignment, posture, stillness, against movements whose truth is known."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from guardian.config import Calibration, Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude, Pose
from guardian.verdict import Posture

from .wearer import STEP_NS, G, Wearer, recorded, sample, turned

FORWARD, SIDE = turned("y", 36.0), turned("x", -36.0)  # how people's belts sit
Z = (0.0, 0.0, 0.0)


def poses(attitude: Attitude, samples: list[ImuSample], walking: bool = False) -> list[Pose]:
    return [attitude.step(each, walking) for each in samples]


def lean_deg(pose: Pose) -> float:
    return math.degrees(math.acos(max(-1.0, min(1.0, pose.lean_cos))))


def test_standing_is_known_as_upright_after_half_a_second(config: Config) -> None:
    seen = poses(Attitude(config), Wearer(noise_g=0.003, noise_deg_s=0.05).stay(2.0))
    assert [pose.posture for pose in seen[:45]] == [Posture.UNKNOWN] * 45
    assert all(pose.posture is Posture.UPRIGHT and pose.trusted for pose in seen[52:])
    assert seen[-1].settled
    assert not seen[60].settled, "settled needs half a second of known vertical"


@pytest.mark.parametrize("mount", [FORWARD, SIDE, turned("y", -36.0)], ids=["forward", "side", "back"])
def test_a_belt_36_degrees_off_is_upright_after_a_still_second_and_measures_lean_from_there(config: Config, mount: np.ndarray) -> None:
    attitude, wearer = Attitude(config), Wearer(mount, noise_g=0.003, noise_deg_s=0.05)
    standing = poses(attitude, wearer.stay(2.0))
    assert lean_deg(standing[80]) > 30, "until a still second is over, nominal axes"
    assert lean_deg(standing[-1]) < 0.5
    leaning = poses(attitude, wearer.lean(30.0, 1.0))[-1]
    assert lean_deg(leaning) == pytest.approx(30.0, abs=1.0)
    assert math.degrees(math.asin(-leaning.up[0])) == pytest.approx(30.0, abs=1.0), "forward stays forward"


@pytest.mark.parametrize("mount", [FORWARD, SIDE], ids=["forward", "side"])
def test_a_belt_put_on_in_mid_walk_is_aligned_by_five_seconds_of_walking(config: Config, mount: np.ndarray) -> None:
    attitude, wearer = Attitude(config), Wearer(mount)
    walk = poses(attitude, wearer.walk(7.0, swing=4.0, sway_deg=4.0), walking=True)
    assert lean_deg(walk[300]) > 25
    assert max(lean_deg(pose) for pose in walk[600:]) < 7, "sway of 4° and nothing else"


def test_a_belt_put_on_lying_down_is_not_aligned_to_lying(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer(noise_deg_s=0.05)
    wearer.lean(-90.0, 1.0)  # before power-on
    lying = poses(attitude, wearer.stay(5.0))
    assert lying[-1].posture is Posture.DOWN
    assert any(pose.still for pose in lying)
    poses(attitude, wearer.lean(0.0, 2.0))
    assert poses(attitude, wearer.stay(2.0))[-1].posture is Posture.UPRIGHT


def test_a_still_second_in_an_armchair_is_replaced_by_the_first_walk(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer(noise_deg_s=0.01)
    wearer.lean(-25.0, 1.0)
    assert lean_deg(poses(attitude, wearer.stay(2.0))[-1]) < 1, "nothing better is known yet"
    poses(attitude, wearer.lean(0.0, 1.0))
    assert lean_deg(poses(attitude, wearer.stay(1.0))[-1]) == pytest.approx(25.0, abs=1)
    assert lean_deg(poses(attitude, wearer.walk(8.0), walking=True)[-1]) < 5


def test_a_creeping_belt_is_followed_slowly_even_from_a_calibration(config: Config) -> None:
    calibrated = Calibration(up=(0.0, 0.0, 1.0), gyro_bias=(0.0, 0.0, 0.0), height_m=0.95)
    attitude, wearer = Attitude(config, calibrated), Wearer(turned("y", 20.0))
    walk = poses(attitude, wearer.walk(120.0, sway_deg=0.0), walking=True)
    at = {second: lean_deg(walk[second * 100]) for second in (10, 60, 119)}
    assert 16 < at[10] < 20, "a lean is not taken for the belt at once"
    assert at[60] == pytest.approx(20 * math.exp(-1), abs=3)
    assert at[119] < 5


@pytest.mark.parametrize("up", [(0.0, 0.0, -1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.2), (math.nan, 0.0, 1.0), (0.0, 0.0, math.inf)], ids=str)
def test_a_calibration_that_is_no_upright_stance_is_left_aside(config: Config, up: tuple[float, float, float]) -> None:
    attitude = Attitude(config, Calibration(up=up, gyro_bias=(math.nan, 50.0, 0.0), height_m=0.95))
    assert poses(attitude, Wearer().stay(3.0))[-1].lean_cos == pytest.approx(1.0, abs=1e-6)


def test_falling_flat_is_followed_through_the_air_and_is_down_after_0_3_s(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    poses(attitude, wearer.stay(3.0))
    falling = poses(attitude, wearer.lean(90.0, 0.6, lightness=0.7))
    assert lean_deg(falling[-1]) == pytest.approx(90.0, abs=6), "the accelerometer says nothing true in a fall"
    after = falling + poses(attitude, wearer.stay(1.0))
    beyond = next(i for i, pose in enumerate(after) if lean_deg(pose) > 60)
    first_down = next(i for i, pose in enumerate(after) if pose.posture is Posture.DOWN)
    assert first_down - beyond == 30
    assert {pose.posture for pose in after[:first_down]} == {Posture.UPRIGHT, Posture.LEANING}


def test_a_bow_of_a_moment_is_not_down(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    poses(attitude, wearer.stay(2.0))
    bow = poses(attitude, wearer.lean(70.0, 0.7) + wearer.stay(0.1) + wearer.lean(0.0, 0.7))
    assert max(lean_deg(pose) for pose in bow) > 65
    assert all(pose.posture is not Posture.DOWN for pose in bow)


def test_turning_in_the_air_comes_back_to_where_it_began(config: Config) -> None:
    attitude = Attitude(config)
    poses(attitude, Wearer().stay(2.0))
    rate = np.radians(np.array([960.0, 720.0, -800.0]))  # 1440 °/s about a slanted axis: one turn in a quarter of a second
    turn = 2 * math.pi / float(np.linalg.norm(rate))
    count = round(turn * 100)
    spin = [sample(2_000_000_000 + i * STEP_NS, np.zeros(3), rate * (turn * 100 / count)) for i in range(count)]
    stop = sample(2_000_000_000 + count * STEP_NS, np.zeros(3), np.zeros(3))
    assert poses(attitude, [*spin, stop])[-1].lean_cos > 0.999


def test_nothing_is_integrated_across_a_hole(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    poses(attitude, wearer.stay(2.0))
    wearer.lean(80.0, 0.3)  # lost
    after = poses(attitude, wearer.stay(1.0))
    assert [pose.posture for pose in after[:45]] == [Posture.UNKNOWN] * 45
    assert after[-1].trusted
    assert lean_deg(after[-1]) == pytest.approx(80.0, abs=1)


def test_a_reported_gap_counts_as_a_hole_and_time_running_backward_too(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    poses(attitude, wearer.stay(2.0))
    attitude.gap(2_000_000_000)
    again = poses(attitude, wearer.stay(1.0))
    assert not again[0].trusted
    assert again[-1].trusted
    assert not poses(attitude, [sample(0, np.array([0.0, 0.0, G]), np.zeros(3))])[0].trusted


def test_after_a_full_scale_sample_the_posture_is_unknown_for_a_second(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    poses(attitude, wearer.stay(2.0))
    hit = wearer.stay(2.0)
    hit[10] = msgspec.structs.replace(hit[10], saturated=True)
    seen = poses(attitude, hit)
    unknown = [i for i, pose in enumerate(seen) if pose.posture is Posture.UNKNOWN]
    assert unknown == list(range(10, 110))


def test_half_the_scale_is_never_trusted_and_its_still_second_shows_it(config: Config) -> None:
    attitude = Attitude(config)
    wrong = [msgspec.structs.replace(each, accel=(0.0, 0.0, each.accel[2] / 2)) for each in Wearer(noise_g=0.003).stay(3.0)]
    seen = poses(attitude, wrong)
    assert all(pose.posture is Posture.UNKNOWN for pose in seen)
    assert any(pose.still for pose in seen)
    assert attitude.still_means[0] == pytest.approx(0.5, abs=0.01)


def test_a_worn_out_gyro_has_still_seconds_that_show_it(config: Config) -> None:
    attitude = Attitude(config)
    assert any(pose.still for pose in poses(attitude, Wearer(noise_deg_s=0.1, bias_deg_s=12.0).stay(3.0)))
    norm_g, rate = attitude.still_means
    assert norm_g == pytest.approx(1.0, abs=0.001)
    assert math.degrees(rate) == pytest.approx(12.0 * math.sqrt(3), abs=0.1)


def test_the_gyros_bias_is_learnt_at_rest_and_taken_off(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer(noise_deg_s=0.1, bias_deg_s=3.0)
    rest = poses(attitude, wearer.stay(25.0))
    assert lean_deg(rest[-1]) < 0.6
    assert abs(math.degrees(rest[-1].gyro[1])) < 0.5


def test_walking_is_settled_and_sitting_down_is_not(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    walk = poses(attitude, wearer.walk(6.0, sway_deg=4.0))
    assert all(pose.settled for pose in walk[250:])
    sitting = poses(attitude, wearer.lean(40.0, 0.8) + wearer.lean(-10.0, 0.8))
    assert not any(pose.settled for pose in sitting[60:115]), "down and half up again; where it turns it rests for a moment"


def test_walking_holds_no_still_second_and_standing_sway_does(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    assert not any(pose.still for pose in poses(attitude, wearer.walk(5.0)))
    assert any(pose.still for pose in poses(attitude, wearer.move(3.0, lambda t: 0.5 * math.sin(3.0 * t))))


def test_bouncing_without_turning_and_turning_without_bouncing_are_not_still(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer()
    assert not any(pose.still for pose in poses(attitude, wearer.move(4.0, lambda t: 0.0, down=lambda t: 1.0 * math.sin(12.0 * t))))
    assert not any(pose.still for pose in poses(attitude, wearer.move(4.0, lambda t: 1.0 * math.sin(12.0 * t))))


def test_vertical_acceleration_is_of_the_world_whatever_the_lean(config: Config) -> None:
    attitude, wearer = Attitude(config), Wearer(FORWARD)
    poses(attitude, wearer.stay(2.0) + wearer.lean(30.0, 1.0) + wearer.stay(2.0))
    up = poses(attitude, wearer.move(0.5, lambda t: 30.0, down=lambda t: 3.0))
    assert up[20].vertical_m_s2 == pytest.approx(3.0, abs=0.1)
    assert up[20].norm_g == pytest.approx((G + 3.0) / G, abs=0.001)


@pytest.mark.parametrize("trial", ["D01_SE11_R01", "D04_SA11_R01", "D04_SE01_R01"])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "reversed"])
def test_real_walks_and_runs_with_tilted_belts_are_upright_and_settled(config: Config, sisfall: Path, trial: str, backward: bool) -> None:
    samples = recorded(sisfall, trial, backward)[:3000]  # these belts sit 27-43° off
    seen = poses(Attitude(config), samples, walking=True)
    assert sum(pose.posture is Posture.UPRIGHT for pose in seen[600:]) == len(seen[600:])
    assert sum(pose.settled for pose in seen[150:]) / len(seen[150:]) > 0.9
    assert sum(lean_deg(pose) < 25 for pose in seen[600:]) / len(seen[600:]) > 0.95


# --- exactly ----------------------------------------------------------------------------------------------------------------------------


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    """The matrix that turns by an angle about any axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * (cross @ cross))


@pytest.mark.parametrize("axis", [(0.3, -0.4, 0.8), (-0.5, 0.2, 0.75), (0.1, 0.6, 0.7)])
def test_everything_is_told_in_the_frame_of_who_stands_upright(config: Config, axis: tuple[float, float, float]) -> None:
    """The smallest turn that brings this wearer's vertical to z."""
    stance = np.array(axis) / np.linalg.norm(axis)
    turn = about(np.cross(stance, (0.0, 0.0, 1.0)), math.acos(stance[2]))
    attitude = Attitude(config, Calibration(up=axis, gyro_bias=(0.01, -0.02, 0.03), height_m=0.95))
    accel, rate = np.array([1.0, -2.0, 9.0]), np.array([0.5, -0.3, 0.2])
    pose = attitude.step(sample(7, accel, rate))
    box_up = accel / np.linalg.norm(accel)
    assert pose.t_ns == 7
    assert pose.box_up == pytest.approx(tuple(box_up), abs=1e-12)
    assert pose.up == pytest.approx(tuple(turn @ box_up), abs=1e-12)
    assert pose.lean_cos == pytest.approx(float(stance @ box_up), abs=1e-12)
    assert pose.accel == pytest.approx(tuple(turn @ accel), abs=1e-12)
    assert pose.gyro == pytest.approx(tuple(turn @ (rate - (0.01, -0.02, 0.03))), abs=1e-12)
    assert pose.measured_rate == tuple(rate)
    assert pose.vertical_m_s2 == pytest.approx(float(np.linalg.norm(accel)) - G, abs=1e-12)
    assert pose.norm_g == pytest.approx(float(np.linalg.norm(accel)) / G, abs=1e-12)


def test_until_a_stance_is_known_the_boxs_axes_are_the_wearers(config: Config) -> None:
    accel, rate = np.array([3.0, -4.0, 8.0]), np.array([0.5, -0.3, 0.2])
    pose = Attitude(config).step(sample(0, accel, rate))
    assert (pose.accel, pose.gyro, pose.up, pose.lean_cos) == (tuple(accel), tuple(rate), pose.box_up, pose.box_up[2])


@pytest.mark.parametrize("seed", range(3))
def test_in_the_air_the_vertical_is_turned_by_the_gyroscope_alone(config: Config, seed: int) -> None:
    """From one sample to the next about the mean of their rates, by 2 atan(angle / 2): a rational rotation."""
    attitude, random = Attitude(config), np.random.default_rng(seed)
    start, spin = random.normal((0.0, 0.0, 9.0), 2.0), np.zeros(3)
    poses(attitude, [sample(i * STEP_NS, start, spin) for i in range(100)])
    up = start / np.linalg.norm(start)
    for i in range(100, 140):
        before, spin = spin, random.normal(0.0, 20.0, 3)
        pose = attitude.step(sample(i * STEP_NS, np.zeros(3), spin))
        mean = (before + spin) / 2
        up = about(mean, -2.0 * math.atan(0.5 * float(np.linalg.norm(mean)) * 0.01)) @ up
        assert pose.box_up == pytest.approx(tuple(up), abs=1e-9)


def test_a_first_sample_in_free_fall_says_nothing_of_up(config: Config) -> None:
    pose = Attitude(config).step(sample(0, np.zeros(3), np.zeros(3)))
    assert (pose.box_up, pose.trusted, pose.posture) == ((0.0, 0.0, 1.0), False, Posture.UNKNOWN)


def test_the_size_of_gravity_is_believed_near_one_g_and_no_more_three_times_as_far(config: Config) -> None:
    level_g = config.estimate.level_g

    def trusted(*sizes_g: float) -> list[bool]:
        """After 12 s of each."""
        attitude, t_ns, said = Attitude(config), 0, []
        for size_g in sizes_g:
            for _ in range(1200):
                t_ns += STEP_NS
                pose = attitude.step(sample(t_ns, np.array([0.0, 0.6, 0.8]) * size_g * G, np.zeros(3)))
            said.append(pose.trusted)
        return said

    for side in (1.0, -1.0):
        assert trusted(1.0 + side * (level_g + 0.01), 1.0 + side * (level_g - 0.01)) == [False, True]
        near, far = 1.0 + side * (3.0 * level_g - 0.01), 1.0 + side * (3.0 * level_g + 0.01)
        assert trusted(1.0, near, far, near, 1.0) == [True, True, False, False, True]


def test_a_frozen_chip_is_not_at_rest(config: Config) -> None:
    """It goes on saying what it said last, here in the middle of a slow turn, leaning: no stance and no bias of the gyroscope."""
    leaning, turning = np.array([3.0, 0.0, 9.33]), np.array([0.0, 0.0, 0.1])
    for noise, learns in ((0.0, False), (1e-4, True)):
        attitude = Attitude(config)
        said = poses(attitude, [sample(i * STEP_NS, leaning, turning + noise * (i % 2)) for i in range(500)])
        assert any(pose.still for pose in said) is learns
        assert (attitude.memory.source == "still") is learns
        assert any(attitude.memory.bias) is learns


def test_posture_changes_at_its_two_angles(config: Config) -> None:
    upright, down = config.estimate.upright_deg, config.estimate.down_deg
    for to_deg, posture in (
        (upright - 0.5, Posture.UPRIGHT),
        (upright + 0.5, Posture.LEANING),
        (down - 0.5, Posture.LEANING),
        (down + 0.5, Posture.DOWN),
    ):
        for side in (1.0, -1.0):
            attitude, wearer = Attitude(config), Wearer(noise_deg_s=0.01)
            poses(attitude, wearer.stay(3.0) + wearer.lean(side * to_deg, 3.0))
            assert poses(attitude, wearer.stay(5.0))[-1].posture is posture, (side, to_deg)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_settled_is_a_vertical_that_moves_by_less_than_its_bound_in_its_time(config: Config, axis: str) -> None:
    bound_deg_s = config.estimate.settled_deg / config.estimate.settled_s
    for share, settled in ((0.97, True), (1.03, False)):
        deg_s = share * bound_deg_s
        attitude = Attitude(config)
        rate = np.radians(deg_s) * np.array([axis == "x", axis == "y", False], dtype=float)
        said = []
        for i in range(400):
            down = turned(axis, deg_s * 0.01 * i)
            said.append(attitude.step(sample(i * STEP_NS, down.T @ np.array([0.0, 0.0, G]), rate)).settled)
        assert said[330:] == [settled] * 70


def still_seconds(config: Config, samples: list[ImuSample]) -> list[int]:
    """Where a still second ends, by the rule as it is written."""
    e, begun, ends = config.estimate, list[ImuSample](), []
    for i, one in enumerate(samples):
        begun.append(one)
        spans = [max(s.gyro[k] for s in begun) - min(s.gyro[k] for s in begun) for k in range(3)]
        norms = [math.hypot(*s.accel) for s in begun]
        if max(spans) >= 2 * math.radians(e.still_gyro_deg_s) or max(norms) - min(norms) >= 2 * e.still_accel_g * G:
            begun = [one]
        elif one.t_ns - begun[0].t_ns >= e.still_s * 1e9:
            ends.append(i)
            begun = []
    return ends


@pytest.mark.parametrize("seed", range(4))
def test_a_still_second_is_one_in_which_no_rate_and_no_size_leaves_its_range(config: Config, seed: int) -> None:
    random, samples, wander = np.random.default_rng(seed), [], np.zeros(4)
    for i in range(6000):
        wander = 0.98 * wander + random.normal(0.0, 0.13, 4)  # of its bound
        rate = math.radians(config.estimate.still_gyro_deg_s) * wander[:3]
        samples.append(sample(i * STEP_NS, np.array([0.0, 0.0, (1.0 + config.estimate.still_accel_g * wander[3]) * G]), rate))
    ends = still_seconds(config, samples)
    assert 5 < len(ends) < 45
    assert [i for i, pose in enumerate(poses(Attitude(config), samples)) if pose.still] == ends


def test_the_means_of_a_still_second_are_those_of_its_samples(config: Config) -> None:
    attitude, random = Attitude(config), np.random.default_rng(3)
    samples = [
        sample(i * STEP_NS, np.array([1.0, 2.0, 9.5]) + random.normal(0, 0.05, 3), random.normal(0.03, 0.005, 3)) for i in range(101)
    ]
    assert poses(attitude, samples)[-1].still
    norm_g, rate = attitude.still_means
    assert norm_g == pytest.approx(np.mean([math.hypot(*one.accel) for one in samples]) / G, abs=1e-12)
    mean_rate = np.mean([one.gyro for one in samples], axis=0)
    assert rate == pytest.approx(float(np.linalg.norm(mean_rate)), abs=1e-12)
    stance = np.mean([one.accel for one in samples], axis=0)
    upright = attitude.step(sample(101 * STEP_NS, stance, mean_rate))
    assert upright.accel == pytest.approx((0.0, 0.0, float(np.linalg.norm(stance))), abs=1e-9), "its mean is this wearer's upright"
    assert upright.measured_rate == tuple(mean_rate)
    assert upright.gyro == pytest.approx(tuple(attitude_turn(stance) @ (mean_rate * (1.0 - config.estimate.bias_gain))), abs=1e-9)


def attitude_turn(stance: np.ndarray) -> np.ndarray:
    """The smallest turn that brings a stance to z."""
    return about(np.cross(stance, (0.0, 0.0, 1.0)), math.acos(stance[2] / np.linalg.norm(stance)))


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_snapshot_at_any_sample_is_everything(config: Config, calibrated: bool) -> None:
    calibration = Calibration(up=(0.1, 0.2, 0.9), gyro_bias=(0.01, 0.0, 0.0), height_m=0.95) if calibrated else None
    wearer = Wearer(FORWARD, noise_g=0.003, noise_deg_s=0.05)
    samples = wearer.stay(2.0) + wearer.walk(6.0) + wearer.stay(1.5)
    whole = poses(Attitude(config, calibration), samples)
    for cut in (0, 1, 30, 150, 500, 790):
        before, after = Attitude(config, calibration), Attitude(config)
        poses(before, samples[:cut])
        after.memory = msgspec.convert(msgspec.to_builtins(before.memory), type(before.memory))
        assert poses(after, samples[cut:]) == whole[cut:]
