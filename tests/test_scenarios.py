"""The stories, told by the whole device: chips, pins, drivers, monitor, outputs, link."""

from pathlib import Path

import pytest

from guardian.sim.scenarios import GUARDING
from guardian.verdict import State
from tests.stage import Performance, in_order


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", GUARDING)
def test_story(name: str, seed: int, tmp_path: Path) -> None:
    story = GUARDING[name]
    performance = Performance(name, tmp_path, seed)
    assert in_order(story.expect, performance.told), performance.told
    assert not story.never & set(performance.told), performance.told
    # what the wearer heard is what the verdicts said, on the pin itself
    assert performance.play.bench.sound_log, "no chirp, no trust"
    # what was told has reached the caregiver, unless told in the last moments
    last_ns = performance.verdicts[-1].t_ns - 15_000_000_000
    missing = [event for event in performance.events if event.t_ns < last_ns and event.id not in performance.seen]
    assert not missing


def test_wall_is_heard_as_caution_then_stop_and_the_walker_stops_before_it(tmp_path: Path) -> None:
    performance = Performance("walk_and_stop_at_a_wall", tmp_path)
    caution, stop = performance.when("caution"), performance.when("stop")
    assert caution is not None
    assert stop is not None
    assert caution < stop
    truth = performance.play.world.truth(performance.verdicts[-1].t_ns)
    assert truth.wall_m is not None
    assert truth.wall_m > 0.2
    assert performance.state is State.GUARDING


def test_fall_sounds_until_the_end_and_reaches_the_caregiver_as_critical(tmp_path: Path) -> None:
    performance = Performance("trip_backward_and_fall", tmp_path)
    assert performance.heard()[-4:] == ["imminent", "countdown", "countdown_last", "fall"]
    fall = performance.seen[performance.first("fall").id]
    assert fall["severity"] == "critical"
    assert fall["t"] is not None
    assert performance.states[-1]["fall"] == "ON"
    assert performance.states[-1]["alarm_id"] == performance.first("fall_suspected").id


def test_two_presses_are_answered_by_two_beeps_for_the_second_exercise(tmp_path: Path) -> None:
    performance = Performance("two_presses_between_exercises", tmp_path)
    answers = [name for name in performance.heard() if name == "press" or name.startswith("exercise_")]
    assert answers == ["press", "exercise_run"]
    ended = performance.first("session_ended")
    started = [event for event in performance.events if event.event_type == "session_started"][-1]
    assert ended.evidence["reason"] == "exercise_changed"
    assert (ended.exercise, started.exercise, ended.t_ns) == ("walk", "run", started.t_ns)
    assert ended.evidence["unit"] == "s"
    assert 7 < float(ended.evidence["done"]) < 12, "the ten seconds of backward walking"
    assert performance.states[-1]["exercise"] == "run"
    assert performance.state is State.GUARDING


def test_toss_unannounced_says_that_nobody_moves(tmp_path: Path) -> None:
    performance = Performance("toss_unannounced", tmp_path)
    assert performance.first("fall").evidence["no_body_motion"] is True


def test_fainting_slowly_is_told_from_a_tossed_belt_by_breathing(tmp_path: Path) -> None:
    performance = Performance("faint_slowly_and_lie_breathing", tmp_path)
    assert performance.first("fall").evidence["no_body_motion"] is False


def test_restart_while_fallen_sounds_again_within_five_seconds(tmp_path: Path) -> None:
    performance = Performance("restart_while_fallen", tmp_path)
    times = [verdict.t_ns for verdict in performance.verdicts]
    gap = max(range(1, len(times)), key=lambda i: times[i] - times[i - 1])
    before, after = performance.verdicts[gap - 1], performance.verdicts[gap]
    assert before.state is after.state is State.FALLEN
    assert after.alert is not None
    assert after.alert.sound == "fall"
    assert before.alarm is not None
    assert after.alarm is not None
    assert after.alarm.id == before.alarm.id
    on_again = next(t_ns for t_ns, on in performance.play.bench.sound_log if on and t_ns >= after.t_ns)
    assert on_again - before.t_ns < 5_000_000_000
    assert len([1 for payload in performance.seen.values() if payload["event_type"] == "fall"]) == 1, "one fall, whatever the restarts"


def test_wifi_gone_the_buzzer_says_so_and_the_fall_arrives_when_it_returns(tmp_path: Path) -> None:
    performance = Performance("wifi_gone", tmp_path)
    down = performance.when("link_down")
    assert down is not None
    assert down < 8 + 15 + 0.5 + 10, "within 1.5 × keepalive of the last word, plus what the client needs to know"
    assert performance.first("fall").id in performance.seen


def test_unplugged_ranger_is_unknown_and_never_clear(tmp_path: Path) -> None:
    performance = Performance("ranger_unplugged", tmp_path)
    blind = [verdict for verdict in performance.verdicts if 10.6e9 < verdict.t_ns < 18e9]
    assert {str(verdict.obstacle) for verdict in blind} == {"UNKNOWN"}
    assert any(verdict.alert and verdict.alert.sound.startswith("echo_") for verdict in blind if verdict.t_ns < 11.2e9)


def test_same_story_twice_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    first = Performance("demo", tmp_path / "a", 7)
    again = Performance("demo", tmp_path / "b", 7)
    assert first.verdicts == again.verdicts
    assert first.play.bench.sound_log == again.play.bench.sound_log
