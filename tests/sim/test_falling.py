"""Simulated falls obey physics, are as hard as real ones, and carry their truth; near-falls are saved."""

from itertools import pairwise
from math import cos, sin

import numpy as np
import pytest

from guardian.sim.exercises import FALLS, NEAR_FALLS, Exercise, Session, fall, near_fall
from guardian.sim.gait import G
from guardian.sim.population import TEST, TRAINING, Population

HZ = 500
KINDS = [(exercise, kind) for exercise, kinds in FALLS.items() if exercise != "everyday" for kind in kinds]


def norm_g(motion: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(motion[:, :3], axis=1) / G)


def rate_deg_s(motion: np.ndarray) -> np.ndarray:
    return np.asarray(np.degrees(np.linalg.norm(motion[:, 3:], axis=1)))


def attitude(told: Session, t_ns: int) -> np.ndarray:
    _, _, _, r, p, y = told.world.body.pose(t_ns)
    about_z = np.array([[cos(y), -sin(y), 0], [sin(y), cos(y), 0], [0, 0, 1]])
    about_y = np.array([[cos(p), 0, sin(p)], [0, 1, 0], [-sin(p), 0, cos(p)]])
    about_x = np.array([[1, 0, 0], [0, cos(r), -sin(r)], [0, sin(r), cos(r)]])
    return about_z @ about_y @ about_x @ told.world.body._mount


def rotation(angle: np.ndarray) -> np.ndarray:
    size = float(np.linalg.norm(angle))
    if size == 0:
        return np.eye(3)
    x, y, z = angle / size
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + sin(size) * cross + (1 - cos(size)) * cross @ cross)


@pytest.mark.parametrize(("exercise", "kind"), KINDS)
@pytest.mark.parametrize("population", [TRAINING, TEST], ids=["training", "test"])
def test_a_fall_gives_way_turns_hits_and_lies_breathing(exercise: Exercise, kind: str, population: Population) -> None:
    peaks = []
    for seed in range(10):
        told = fall(exercise, kind, population, seed)
        (lost,) = told.truth.falls
        felt = told.samples(HZ)
        onset, contact, impact = (int(t * HZ) for t in (lost.onset_s, lost.contact_s or 0, lost.impact_s or 0))
        assert np.isfinite(felt).all()
        assert lost.cause == kind
        assert 0.2 < (contact - onset) / HZ < 2.6
        assert -0.02 <= (impact - contact) / HZ < 0.4
        assert 2.2 < (lost.peak_g or 0) < 13.5
        assert norm_g(felt).max() < 16
        assert norm_g(felt[contact - HZ // 2 : contact]).min() < 0.85
        assert 40 < rate_deg_s(felt[contact - HZ // 2 : contact]).max() < 500
        lying = felt[contact + 5 * HZ : contact + 20 * HZ]
        assert np.abs(norm_g(lying) - 1).max() < 0.02
        assert 0.02 < rate_deg_s(lying).max() < 5
        roll, pitch = np.degrees(told.world.body.pose(int((contact / HZ + 5) * 1e9))[3:5])
        assert max(abs(roll), abs(pitch)) > 60
        peaks.append(lost.peak_g)
    assert len(set(peaks)) == 10


@pytest.mark.parametrize(("exercise", "kind"), KINDS)
def test_a_fall_goes_the_way_it_says(exercise: Exercise, kind: str) -> None:
    for seed in range(10):
        told = fall(exercise, kind, TEST, seed)
        (lost,) = told.truth.falls
        body = told.world.body
        after = body.pose(int(((lost.contact_s or 0) + 4) * 1e9))
        before = body.pose(int(((lost.contact_s or 0) - 0.05) * 1e9))
        roll, pitch = np.degrees(before[3:5] if exercise != "lunges" else after[3:5])
        leaning = {"backward": -pitch, "forward": pitch, "left": -roll, "right": roll}
        assert max(leaning, key=lambda way: leaning[way]) == lost.direction or leaning[lost.direction] > 8


@pytest.mark.parametrize(("exercise", "kind"), KINDS)
def test_force_and_rate_of_a_fall_belong_to_one_motion(exercise: Exercise, kind: str) -> None:
    told = fall(exercise, kind, TEST, 7)
    (lost,) = told.truth.falls
    t = np.arange(int((lost.onset_s - 1) * HZ), int(((lost.contact_s or 0) + 2) * HZ), dtype=np.int64) * (10**9 // HZ)
    felt = told.motion(t)
    turns = np.array([attitude(told, int(at)) for at in t])
    world = np.einsum("nij,nj->ni", turns, felt[:, :3]) - [0, 0, G]
    place = np.array([told.world.body.pose(int(at))[:3] for at in t])
    speed = (place[1] - place[0]) * HZ + np.cumsum(world[1:] / HZ, axis=0)
    assert np.abs(place[1] + np.cumsum(speed / HZ, axis=0)[:-1] - place[2:]).max() < 0.01
    turned = turns[0]
    for a, b in pairwise(felt[:, 3:]):
        turned = turned @ rotation((a + b) / 2 / HZ)
    assert np.degrees(np.arccos(np.clip((np.trace(turned.T @ turns[-1]) - 1) / 2, -1, 1))) < 1.5


def test_the_same_fall_is_the_same_bit_for_bit() -> None:
    one, again, other = (fall("stairs", "missed step down", TEST, seed).samples(200) for seed in (5, 5, 6))
    assert (one == again).all()
    assert one.shape != other.shape or not np.allclose(one, other, atol=0.1)


def test_a_missed_step_drops_before_it_tips_and_down_the_stairs_is_lower() -> None:
    lower = 0
    for seed in range(20):
        told = fall("stairs", "missed step down", TRAINING, seed)
        (lost,) = told.truth.falls
        start, later = (told.world.body.pose(int(t * 1e9)) for t in (lost.onset_s, lost.onset_s + 0.3))
        assert start[2] - later[2] > 0.06
        lower += told.world.body.pose(int(((lost.contact_s or 0) + 3) * 1e9))[2] < start[2] - 0.9
    assert 3 < lower < 20


@pytest.mark.parametrize("exercise", ["walk", "run", "stairs", "treadmill", "lunges"])
@pytest.mark.parametrize("kind", NEAR_FALLS)
@pytest.mark.parametrize("seed", range(4))
def test_a_near_fall_tips_and_is_caught(exercise: Exercise, kind: str, seed: int) -> None:
    told = near_fall(exercise, kind, TEST, seed)
    (lost,) = told.truth.near_falls
    assert not told.truth.falls
    assert lost.contact_s is None
    felt = told.samples(200)
    span = felt[int(lost.onset_s * 200) : int((lost.onset_s + 2.4) * 200)]
    assert norm_g(span).max() < (5.0 if exercise == "run" else 3.2)
    lean = np.array([np.degrees(told.world.body.pose(int(t * 1e9))[3:5]) for t in np.arange(lost.onset_s, told.seconds, 0.05)])
    assert 3 < np.abs(lean[:50]).max() < 45
    assert np.abs(lean[-20:]).max() < 15


def test_an_unknown_fall_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no such fall in walk: 'levitation'; there are heel catch, slip, sideways"):
        fall("walk", "levitation", TEST, 0)
    with pytest.raises(ValueError, match="no such near-fall"):
        near_fall("walk", "levitation", TEST, 0)
