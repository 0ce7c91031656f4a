"""The model that ships: what it says of itself, what it weighs, and that simulated strangers may train with it and fall."""

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from guardian.app import SHIPPED_MODEL, fall_model
from guardian.config import Config, ConfigError
from guardian.monitor.network import EXACT, MODEL_BYTES, proven, read
from guardian.sim.exercises import EXERCISES, FALLS, Exercise, session
from guardian.sim.population import TEST
from lab.falls.decisions import RESULTS
from lab.falls.simulated import heard, lead_s, worn_for


def test_it_is_small_proven_and_says_where_it_comes_from() -> None:
    model = SHIPPED_MODEL.read_bytes()
    assert len(model) <= MODEL_BYTES == 64 * 1024
    weights = read(model)
    assert proven(weights) < EXACT
    assert weights.people == 26
    results = json.loads(RESULTS.read_text())
    assert weights.data_sha256 == results["data_sha256"]
    assert len(weights.data_sha256) == 64
    assert [weights.exercise_logit, weights.everyday_logit] == results["logits"]
    assert weights.version


def test_the_figures_inside_are_those_of_the_cross_validation_which_it_has_not_seen() -> None:
    inside = read(SHIPPED_MODEL.read_bytes()).figures
    assert inside == json.loads(RESULTS.read_text())["figures"]
    assert {"walk_sensitivity_walking_falls", "walk_specificity_exercise", "everyday_sensitivity", "everyday_specificity"} <= set(inside)
    assert all(0 <= inside[name] <= 1 for name in inside if "sensitivity" in name or "specificity" in name)


def test_weights_for_a_published_rule_and_a_file_that_holds_none_are_refused(config: Config, tmp_path: Path) -> None:
    published = replace(config, fall=replace(config.fall, rule="ahn2019"))
    assert fall_model(published) is None
    with pytest.raises(ConfigError, match="ahn2019"):
        fall_model(published, SHIPPED_MODEL)
    (tmp_path / "no.model").write_bytes(b"no")
    with pytest.raises(ConfigError, match=r"no\.model"):
        fall_model(config, tmp_path / "no.model")
    with pytest.raises(ConfigError, match=r"absent\.model"):
        fall_model(config, tmp_path / "absent.model")
    weights = read(SHIPPED_MODEL.read_bytes())
    narrow = [replace(member, input_weights=member.input_weights[: 3 * weights.hidden]) for member in weights.members]
    (tmp_path / "narrow.model").write_bytes(msgspec.msgpack.encode(replace(weights, inputs=1, members=narrow)))
    with pytest.raises(ConfigError, match=r"narrow\.model.*1 inputs"):
        fall_model(config, tmp_path / "narrow.model")


@pytest.mark.parametrize("exercise", [name for name in EXERCISES if name != "everyday"])
def test_a_minute_of_any_exercise_by_a_simulated_stranger_is_quiet(config: Config, exercise: Exercise) -> None:
    assert heard(worn_for(config, exercise), session(exercise, TEST, 5, minutes=1.0), 60.0).alarms_s == []


FALLING = [(exercise, kind) for exercise, kinds in FALLS.items() for kind in kinds]


@pytest.mark.parametrize(("exercise", "kind"), FALLING)
def test_a_simulated_stranger_who_falls_is_alarmed_before_the_impact(exercise: Exercise, kind: str) -> None:
    lead = lead_s((exercise, kind, 11))
    assert lead is not None
    assert 0.0 <= lead <= 1.5
