"""Each story is consistent in itself; what the device makes of it is tested in tests/test_scenarios.py."""

import inspect

import numpy as np
import pytest

from guardian.config import ConfigError, changed, load
from guardian.contract import EVENTS
from guardian.sim.bench import Bench
from guardian.sim.gait import G
from guardian.sim.phases import TripBackward
from guardian.sim.scenarios import SCENARIOS, WALK_S, Scenario
from guardian.sim.world import Story

S = 1_000_000_000
LINK_ACTIONS = {"wifi_down", "wifi_up"}


def norm_g(story: Story, start_s: float, end_s: float) -> np.ndarray:
    t = np.arange(round(start_s * 500), round(end_s * 500), dtype=np.int64) * (S // 500)
    return np.asarray(np.linalg.norm(story.motion(t)[:, :3], axis=1) / G)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda row: row.name)
def test_every_story_runs_to_its_end_and_names_what_exists(scenario: Scenario) -> None:
    for seed in range(3):
        story, actions = scenario.stage(seed)
        assert norm_g(story, 0, scenario.duration_s).max() < 13  # the hardest fall of the test population peaks at 12 g
        assert abs(norm_g(story, 0, 2.5) - 1).max() < 0.02  # all begin standing
        assert [a.t_s for a in actions] == sorted(a.t_s for a in actions)
        for action in actions:
            assert 0 < action.t_s < scenario.duration_s
            if action.name not in LINK_ACTIONS | {"restart"}:
                inspect.signature(getattr(Bench, action.name)).bind(None, *action.args)
    config = load(local=None)
    assert set(scenario.expect) | scenario.never <= set(EVENTS)
    assert not set(scenario.expect) & scenario.never
    assert set(scenario.heard) | scenario.unheard <= set(config.sounds)
    assert not set(scenario.heard) & scenario.unheard
    assert scenario.exercise in config.exercises
    changed(config, scenario.settings)
    assert scenario.summary.endswith(".")
    assert scenario.expect[0] == "session_started"


def test_settings_of_a_story_change_what_they_name_and_nothing_else() -> None:
    config = load(local=None)
    assert changed(config) == config
    told = changed(config, {"exercises": {"walk": {"coach": {"dose": 20}}}}, {"device": {"exercise": "run"}})
    assert told.exercises["walk"].coach is not None
    assert (told.exercises["walk"].coach.dose, told.device.exercise) == (20, "run")
    assert (told.exercises["run"], told.sounds, told.device.id) == (config.exercises["run"], config.sounds, config.device.id)
    with pytest.raises(ConfigError, match="jog"):
        changed(config, {"device": {"exercise": "jog"}})


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_is_the_same_story(name: str) -> None:
    def told(seed: int) -> tuple[list[float | None], np.ndarray]:
        story, _ = SCENARIOS[name].stage(seed)
        return [story.echo(k * S // 15) for k in range(150)], story.motion(np.arange(0, 10 * S, S // 100))

    (echoes, motion), (echoes_again, motion_again), (echoes_other, _) = told(3), told(3), told(4)
    assert echoes == echoes_again != echoes_other
    assert (motion == motion_again).all()


@pytest.mark.parametrize("seed", range(30))
def test_who_hears_nothing_comes_up_to_the_wall_and_who_is_there_begins_outside_caution(seed: int) -> None:
    story, _ = SCENARIOS["walk_and_stop_at_a_wall"].stage(seed)
    start, end = story.truth(6 * S), story.truth(25 * S)
    assert start.ttc_s is None or start.ttc_s > 3.0 or start.backward_m_s > 0.9
    assert end.wall_m is not None
    assert -0.05 < end.wall_m < 0.6
    ttc = [story.truth(k * S // 10).ttc_s for k in range(50, 250)]
    assert min(t for t in ttc if t is not None) < 1.3  # STOP is due


@pytest.mark.parametrize("seed", range(10))
def test_somebody_steps_in_at_a_time_that_calls_for_stop(seed: int) -> None:
    story, _ = SCENARIOS["somebody_steps_in"].stage(seed)
    behind = [story.truth(k * S // 50).wall_m for k in range(200, 450)]
    first = next(k for k, wall in enumerate(behind) if wall is not None)
    assert 7.0 < 4 + first / 50 < 8.1
    assert 0.5 < behind[first] < 2.5  # type: ignore[operator]


@pytest.mark.parametrize(
    "name", ["trip_backward_and_fall", "imu_torn_in_the_fall", "restart_while_fallen", "lie_on_the_button", "wifi_gone"]
)
@pytest.mark.parametrize("seed", range(6))
def test_falls_hit_and_what_follows_follows_the_impact(name: str, seed: int) -> None:
    story, actions = SCENARIOS[name].stage(seed)
    fall_ns = story.body.begins_ns(TripBackward)
    assert fall_ns is not None
    norms = norm_g(story, fall_ns / S, fall_ns / S + 3)
    assert 3 <= norms.max() <= 8
    impact_s = fall_ns / S + norms.argmax() / 500
    if name == "imu_torn_in_the_fall":
        assert 0 < actions[0].t_s - impact_s < 0.2
    if name == "trip_backward_and_fall":
        assert fall_ns == (3 + WALK_S) * S
    assert story.truth(fall_ns + 4 * S).posture == "down"


@pytest.mark.parametrize("name", ["three_presses_then_toss", "toss_unannounced"])
def test_a_tossed_belt_ends_still_and_lying(name: str) -> None:
    story, _ = SCENARIOS[name].stage(1)
    assert norm_g(story, 5, 20).max() > 4
    assert np.ptp(story.motion(np.arange(25 * S, 40 * S, S // 100)), axis=0).max() < 1e-6
    assert story.truth(30 * S).posture == "down"


def test_presses_end_before_the_belt_is_taken_off() -> None:
    story, actions = SCENARIOS["three_presses_then_toss"].stage(1)
    assert [a.name for a in actions] == ["press"] * 3
    assert actions[-1].t_s - actions[0].t_s < 2.0
    assert story.truth(round((actions[-1].t_s + 0.5) * S)).phase == "Stand"


def test_in_the_demo_a_walker_who_hears_stop_avoids_the_wall_and_falls_later() -> None:
    story, _ = SCENARIOS["demo"].stage(0)
    t, stop_ns = 0, None
    while t < 12 * S:
        truth = story.truth(t)
        if stop_ns is None and truth.ttc_s is not None and truth.ttc_s < 1.5:
            stop_ns = t
        if stop_ns is not None:
            story.heard(t, (t - stop_ns) % 180_000_000 < 90_000_000) if t < stop_ns + S else story.heard(t, False)
        story.horizon_ns(t)
        t += S // 100
    assert stop_ns is not None
    assert 5 * S < stop_ns < 8 * S
    nearest = [
        truth.wall_m for k in range(1400) if (truth := story.truth(k * S // 100)).wall_m is not None and k * S // 100 < stop_ns + 3 * S
    ]
    assert min(nearest) > 0.4
    fall_ns = story.body.begins_ns(TripBackward)
    assert fall_ns is not None
    assert 10 * S < fall_ns < 17 * S  # countdown of 20 s included, the alarm comes before 40 s
    assert story.truth(30 * S).posture == "down"
