"""The lab shows the network what the device shows it, and chooses thresholds on people it has not seen."""

import json
from pathlib import Path

import numpy as np
import pytest

from guardian.config import Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude
from guardian.monitor.fall import HOLE_NS, Learned
from guardian.monitor.network import read
from guardian.sim.exercises import fall
from guardian.sim.population import TRAINING
from lab import evaluate
from lab.falls.decisions import FOLD_MODELS, RESULTS, Outcome, operating_points, quiet_at
from lab.falls.disturb import disturbed, worn_otherwise
from lab.falls.recordings import FOLDS, fold_of
from lab.falls.senses import Ear


def test_the_lab_hears_exactly_what_the_device_hears(config: Config) -> None:
    story = fall("walk", "heel catch", TRAINING, 3)
    times = np.arange(0, story.seconds, 0.0097)
    rows = story.motion((times * 1e9).astype(np.int64)).tolist()
    attitude, ear, speed, last_ns = Attitude(config), Ear(), 0, None
    shown = []
    for t_s, (ax, ay, az, gx, gy, gz) in zip(times.tolist(), rows, strict=True):
        t_ns = int(t_s * 1e9)
        pose = attitude.step(ImuSample(t_ns, (ax, ay, az), (gx, gy, gz), False))
        ear.step(pose, ())
        speed = Learned.speed(pose, speed, t_ns - last_ns if last_ns is not None and t_ns - last_ns <= HOLE_NS else 0)
        shown.append(Learned.inputs(pose, speed))
        last_ns = t_ns
    heard = ear.heard().x
    assert heard.reshape(-1, 10).tolist() == [list(row) for row in shown[: 2 * len(heard)]]
    assert heard.any(axis=0).all()


def test_every_fold_holds_its_share_of_adults_and_elderly_and_nobody_twice() -> None:
    everybody = [*(f"SA{i:02d}" for i in range(16)), *(f"SE{i:02d}" for i in range(10))]
    folds = fold_of(everybody)
    assert sorted(folds) == sorted(everybody)
    for fold in range(FOLDS):
        inside = [person for person, of in folds.items() if of == fold]
        assert 5 <= len(inside) <= 6
        assert 3 <= sum(person.startswith("SA") for person in inside) <= 4


def test_the_fold_models_that_are_kept_are_those_of_the_figures_each_for_the_people_it_has_not_seen() -> None:
    results = json.loads(RESULTS.read_text())
    model_of = json.loads((FOLD_MODELS / "folds.json").read_text())
    assert {person: f"fold{fold}.model" for person, fold in fold_of(list(model_of)).items()} == model_of
    for fold in range(FOLDS):
        weights = read((FOLD_MODELS / f"fold{fold}.model").read_bytes())
        assert weights.people == len(model_of) - list(model_of.values()).count(f"fold{fold}.model")
        assert weights.data_sha256 == results["data_sha256"]
        assert [weights.exercise_logit, weights.everyday_logit] == results["fold_logits"][str(fold)]


def test_a_box_worn_otherwise_feels_the_same_force_from_elsewhere() -> None:
    rng = np.random.default_rng(1)
    values = np.column_stack((np.arange(50) / 100, rng.normal(0, 5, (50, 6))))
    other = worn_otherwise(values, 30.0, 20.0, 70.0)
    for axes in (slice(1, 4), slice(4, 7)):
        assert np.linalg.norm(other[:, axes], axis=1) == pytest.approx(np.linalg.norm(values[:, axes], axis=1))
    upright = worn_otherwise(np.array([[0.0, 0, 0, 9.81, 0, 0, 0]]), 30.0, 20.0, 70.0)[0, 1:4]
    assert np.degrees(np.arccos(upright[2] / 9.81)) == pytest.approx(20.0)


def test_a_disturbed_trial_keeps_its_length_in_its_own_pace_and_its_gravity() -> None:
    still = np.column_stack((np.arange(2000) / 200, np.tile((0.0, 0.0, 9.81, 0.0, 0.0, 0.0), (2000, 1))))
    for seed in range(5):
        rows, full, pace = disturbed(np.random.default_rng(seed), still, activity=False)
        assert rows[-1, 0] * pace == pytest.approx(still[-1, 0], abs=0.05)
        assert 97 < 1 / np.diff(rows[:, 0]).mean() < 108
        assert not full.any()
        assert np.linalg.norm(rows[50:, 1:4], axis=1).mean() == pytest.approx(9.81, abs=1.5)


@pytest.mark.parametrize("share", [0.002, 0.01, 0.3])
def test_a_threshold_lets_no_more_alarm_than_its_share(share: float) -> None:
    highest = np.random.default_rng(0).normal(0, 1, 4000)
    threshold = quiet_at(highest, share)
    assert np.mean(highest >= threshold) <= share < np.mean(highest >= threshold - 0.02) + 1e-3


def test_everyday_is_never_the_more_sensitive_point() -> None:
    loud_exercise = [Outcome(f"D01_SA01_R{i}", "", 2.0 + i / 100) for i in range(99)]
    quiet_rest = [Outcome(f"D07_SA01_R{i}", "", -5.0) for i in range(500)]
    exercise, everyday = operating_points([*loud_exercise, *quiet_rest])
    assert everyday > exercise > 2.9
    reversed_too = [Outcome("D02_SA01_R01", "reversed", 6.0) for _ in range(5)]
    assert operating_points([*loud_exercise, *quiet_rest, *reversed_too])[0] > exercise


@pytest.mark.parametrize("options", [[], ["--set", "fall.rule=learned"], ["--set", "fall.rule=ahn2019", "--set", 'fall.rule="learned"']])
def test_the_shipped_weights_are_never_scored_on_the_people_they_have_learned_from(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fall_times.csv").write_text("trial,contact_s,impact_s,peak_g\n")
    monkeypatch.setattr("sys.argv", ["evaluate", str(tmp_path), *options])
    assert evaluate.main() == 2
    assert "--folds" in capsys.readouterr().err
