"""The coach, told as training: what counts, what is said, and what never is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from guardian.config import ConfigError, load
from guardian.contract import SUMMARY_KEYS, BadPayload, parse_command
from guardian.frame import Command
from guardian.monitor.coach import JUDGEMENTS, UNITS, WATCHES, CoachMemory
from guardian.monitor.obstacle import Behind
from guardian.outputs.outbox import MAX_PAYLOAD
from guardian.verdict import Direction, Event, Evidence, Gap, Motion, Obstacle, Phase, Posture, Resume, Session, State, Training
from tests.monitor.life import Life

BACKWARD, FORWARD, TURNING, UNKNOWN = Direction.BACKWARD, Direction.FORWARD, Direction.TURNING, Direction.UNKNOWN
CONFIG = load(local=None)
COACHED = [name for name, exercise in CONFIG.exercises.items() if exercise.coach]


def training(exercise: str = "walk", **overrides: Any) -> Life:
    """A life in GUARDING, a session of this exercise begun."""
    life = Life(load(local=None, overrides={"device": {"exercise": exercise}, **overrides}))
    life.live(2)
    assert life.state is State.GUARDING
    return life


def at(life: Life) -> Training:
    now = life.verdicts[-1].training
    assert now is not None
    return now


def last(life: Life, event_type: str = "session_ended") -> Event:
    return [event for event in life.events if event.event_type == event_type][-1]


def told(life: Life, cue: str) -> list[Evidence]:
    return [event.evidence for event in life.events if event.event_type == "coach" and event.evidence["cue"] == cue]


def ended(life: Life) -> Evidence:
    """The summary, after three presses."""
    for _ in range(3):
        life.press()
    return last(life).evidence


# phases


def test_warm_up_is_over_after_its_time_of_forward_walking_and_standing_is_no_warm_up() -> None:
    life = training("walk")
    life.live(30)
    assert at(life).phase is Phase.WARM_UP
    assert at(life).spent_s == 0.0
    life.walk(FORWARD, 100)
    life.walk(TURNING, 10)
    assert at(life).phase is Phase.WARM_UP
    assert at(life).spent_s == pytest.approx(110, abs=0.5)
    life.walk(FORWARD, 12)
    assert at(life).phase is Phase.WORK
    assert life.cues() == ["work"]
    life.live(1)
    assert life.heard()[-1] == "coach_work"


@pytest.mark.parametrize("exercise", ["walk", "treadmill", "run"])
def test_walking_backward_for_some_seconds_skips_the_warm_up_and_counts_from_its_beginning(exercise: str) -> None:
    life = training(exercise)
    life.walk(BACKWARD, 4)
    life.walk(FORWARD, 4)
    assert at(life).phase is Phase.WARM_UP, "a step aside"
    life.walk(BACKWARD, 8)
    assert at(life).phase is Phase.WORK
    assert at(life).done == pytest.approx(8 * (0.5 if exercise == "run" else 1), abs=0.2)


def test_the_first_stair_and_the_first_lunge_skip_the_warm_up() -> None:
    life = training("stairs")
    life.climb(1)
    assert (at(life).phase, at(life).done) == (Phase.WORK, 1)
    life = training("lunges")
    life.lunge("left")
    assert (at(life).phase, at(life).done) == (Phase.WORK, 0.5)


def test_five_minutes_of_backward_walking_are_half_and_done_once_each_and_go_on_counting() -> None:
    life = training("walk")
    life.walk(BACKWARD, 149)
    assert life.cues() == ["work"]
    life.walk(BACKWARD, 2)
    assert life.cues() == ["work", "half"]
    life.walk(BACKWARD, 150)
    assert life.cues() == ["work", "half", "done"]
    assert at(life).phase is Phase.DONE
    life.walk(BACKWARD, 60)
    assert life.cues() == ["work", "half", "done"]
    summary = ended(life)
    assert summary["done"] == pytest.approx(361, abs=1.5)
    assert (summary["unit"], summary["dose"], summary["sets_done"], summary["phase"]) == ("s", 300, 1, "done")


def test_only_backward_counts_and_a_direction_not_known_is_the_last_known_for_a_while() -> None:
    life = training("walk")
    life.walk(BACKWARD, 10)
    life.walk(FORWARD, 20)
    life.walk(BACKWARD, 10)
    life.walk(UNKNOWN, 4)
    assert at(life).done == pytest.approx(24, abs=0.5)
    life.walk(UNKNOWN, 20)
    assert at(life).done == pytest.approx(25, abs=0.7)


def test_what_is_done_while_nobody_guards_does_not_count() -> None:
    life = training("walk")
    life.walk(BACKWARD, 10)
    done = at(life).done
    life.imu_ok = False
    life.walk(BACKWARD, 20)
    assert life.state is State.SETTLING
    assert at(life).done == done


def test_four_sprints_with_rests_between_them() -> None:
    life = training("run")
    life.walk(BACKWARD, 10.5, speed_m_s=2.0, cadence=160)
    assert (at(life).phase, at(life).set_number, at(life).sets) == (Phase.REST, 1, 4)
    life.walk(FORWARD, 20)
    assert at(life).spent_s == pytest.approx(20, abs=0.7)
    life.live(41)
    assert (at(life).phase, at(life).set_number, at(life).done) == (Phase.WORK, 2, 0.0)
    for _ in range(2):
        life.walk(BACKWARD, 10.5, speed_m_s=2.0, cadence=160)
        life.live(61)
    life.walk(BACKWARD, 10.5, speed_m_s=2.0, cadence=160)
    assert at(life).phase is Phase.DONE
    heard = [name for name in life.heard() if name.startswith("coach_")]
    assert heard == ["coach_work", *["coach_rest", "coach_again"] * 3, "coach_done"], "half of four is the end of the second"
    summary = ended(life)
    assert summary["sets_done"] == 4
    assert summary["done"] == pytest.approx(80, abs=4)


def test_each_mark_says_what_it_is_the_mark_of() -> None:
    life = training("run", coach={"cues": {cue: {"told_s": 0.0} for cue in ("work", "rest", "again")}})
    for _ in range(4):
        life.walk(BACKWARD, 10.5, speed_m_s=2.0, cadence=160)
        life.live(61)
    assert [event.evidence for event in life.events if event.event_type == "coach"] == [
        {"cue": "work", "dose": 20, "unit": "m", "sets": 4},
        *(
            mark
            for number in (1, 2, 3)
            for mark in (
                {"cue": "rest", "set": number, "sets": 4, "rest_s": 60},
                {"cue": "again", "set": number + 1, "sets": 4},
            )
        ),
        {"cue": "done", "dose": 20, "unit": "m", "sets": 4},
    ]
    life = training("walk")
    life.walk(BACKWARD, 151)
    assert told(life, "half") == [{"cue": "half", "dose": 300, "unit": "s", "sets": 1}]


def test_caregivers_are_told_of_the_first_set_and_of_the_first_session_in_ten_minutes() -> None:
    life = training("run")
    for _ in range(3):
        life.walk(BACKWARD, 10.5, speed_m_s=2.0, cadence=160)
        life.live(61)
    ended(life)
    life.press()
    life.live(2)
    life.walk(BACKWARD, 6, speed_m_s=2.0, cadence=160)
    life.live(3)
    heard = [name for name in life.heard() if name.startswith("coach_")]
    assert heard == ["coach_work", *["coach_rest", "coach_again"] * 3, "coach_work"]
    assert life.cues() == ["work", "rest", "again"]


def test_the_rest_goes_on_while_nobody_guards() -> None:
    life = training("run")
    life.walk(BACKWARD, 10.5, speed_m_s=2.0, cadence=160)
    life.imu_ok = False
    life.live(30)
    assert life.state is State.SETTLING
    assert at(life).spent_s == pytest.approx(30, abs=0.5)
    life.imu_ok = True
    life.live(31)
    assert (at(life).phase, at(life).set_number) == (Phase.WORK, 2)


def test_the_first_lunge_of_a_rest_begins_the_next_set_and_each_set_has_its_own() -> None:
    life = training("lunges", exercises={"lunges": {"coach": {"dose": 2, "dose_most": 4, "sets": 2, "rest_s": 60}}})
    for leg in ("left", "left", "left", "right"):
        life.lunge(leg)
    assert (at(life).phase, at(life).done) == (Phase.WORK, 1.5)
    for phase, set_number, done in ((Phase.REST, 1, 2.0), (Phase.WORK, 2, 0.5), (Phase.WORK, 2, 1.0)):
        life.reps = replace(life.reps, lunges_right=life.reps.lunges_right + 1)
        life.live(0.1)  # one look of the coach
        assert (at(life).phase, at(life).set_number, at(life).done) == (phase, set_number, done)
    for _ in range(2):
        life.lunge("left")
    assert at(life).phase is Phase.DONE
    assert ended(life)["done"] == 4


def test_a_rest_ends_when_the_next_set_is_begun_and_coming_down_forward_begins_none() -> None:
    life = training("stairs")
    life.climb(5)
    assert at(life).phase is Phase.REST
    life.walk(FORWARD, 2)
    life.climb(4)
    assert at(life).phase is Phase.REST, "comes down again"
    life.live(10)
    life.climb(2)
    assert (at(life).phase, at(life).set_number, at(life).done) == (Phase.WORK, 2, 2)
    life.climb(3)
    assert at(life).phase is Phase.DONE
    assert ended(life)["stairs"] == 14


def test_lunges_count_per_leg_so_twenty_of_one_are_half() -> None:
    life = training("lunges")
    for _ in range(20):
        life.lunge("left")
    assert at(life).done == 5
    assert life.cues()[-1] == "half"
    for _ in range(9):
        life.lunge("right")
    assert at(life).phase is Phase.WORK
    life.lunge("right")
    assert at(life).phase is Phase.DONE
    summary = ended(life)
    assert (summary["lunges_left"], summary["lunges_right"], summary["lunge_depth_m"]) == (20, 10, 0.3)


def test_everyday_wear_has_no_coach() -> None:
    life = training("everyday")
    life.walk(BACKWARD, 60, cadence=200)
    assert life.verdicts[-1].training is None
    assert life.cues() == []
    assert "unit" not in ended(life)


def test_an_exercise_more_is_a_row_more() -> None:
    row = msgspec.to_builtins(CONFIG.exercises["walk"]) | {"label": "crab walk"}
    row["coach"] |= {"unit": "m", "dose": 30, "dose_most": 90, "warm_up_s": 0}
    life = training("crab", exercises={"crab": row})
    assert (at(life).phase, at(life).done) == (Phase.WORK, 0.0)
    life.walk(BACKWARD, 61)
    assert at(life).phase is Phase.DONE
    life.tick(commands=[Command("exercise", "c", None, "walk")])
    life.tick(commands=[Command("exercise", "d", None, "crab")])
    life.live(6)
    assert life.heard()[-1] == "exercise_crab"
    assert life.verdicts[-1].alert is None or life.verdicts[-1].alert.sound == "exercise_crab"


# cues


def at_work(exercise: str = "walk") -> Life:
    life = training(exercise)
    life.walk(BACKWARD, 20, cadence=130 if exercise == "run" else 100)
    life.live(3)
    assert at(life).phase is Phase.WORK
    return life


def test_leaning_for_two_seconds_while_training_is_said_and_shorter_is_not() -> None:
    life = at_work()
    life.quality = replace(life.quality, lean_deg=20.0)
    life.walk(BACKWARD, 1.8)
    life.quality = replace(life.quality, lean_deg=5.0)
    life.walk(BACKWARD, 5)
    assert told(life, "posture") == []
    life.quality = replace(life.quality, lean_deg=-14.0)
    life.walk(BACKWARD, 2.3)
    assert told(life, "posture") == [{"cue": "posture", "lean_deg": -14.0, "limit": 12}]
    assert life.heard()[-1] == "coach_posture"


def test_walking_back_forward_between_two_sprints_is_nobodys_pace() -> None:
    life = training("run")
    life.walk(BACKWARD, 7, 1.0, cadence=150)
    life.walk(FORWARD, 20, 1.2, cadence=100)
    assert at(life).phase is Phase.WORK
    assert life.cues() == ["work"]


def test_bending_down_between_two_walks_is_nobodys_posture() -> None:
    life = at_work()
    life.quality = replace(life.quality, lean_deg=30.0)
    life.live(10)
    assert told(life, "posture") == []


def test_lunges_are_judged_by_the_trunk_itself_and_lying_down_is_not_judged() -> None:
    life = training("lunges")
    life.lunge("left")
    life.lean_cos = 0.9  # 26 degrees
    life.live(2.3)
    assert told(life, "posture") == [{"cue": "posture", "limit": 20}]
    life = training("lunges")
    life.lunge("left")
    life.lean_cos, life.posture = 0.3, Posture.DOWN
    life.live(8)
    assert told(life, "posture") == []


@pytest.mark.parametrize(
    ("exercise", "cadence", "speed_m_s", "regularity", "cue"),
    [
        ("walk", 140.0, 0.5, 0.8, "slower"),
        ("walk", 110.0, 1.5, 0.8, "slower"),
        ("walk", 50.0, 0.2, 0.8, "faster"),
        ("treadmill", 100.0, 0.5, 0.2, "uneven"),
        ("run", 110.0, 1.5, 0.8, "faster"),
        ("run", 160.0, 2.5, 0.8, ""),
        ("walk", 100.0, 0.6, 0.8, ""),
        ("walk", 100.0, 0.6, None, ""),
    ],
)
def test_pace_is_a_bound_of_the_exercise(exercise: str, cadence: float, speed_m_s: float, regularity: float | None, cue: str) -> None:
    life = training(exercise, exercises={exercise: {"coach": {"dose": 600, "dose_most": 900}}})
    life.walk(BACKWARD, 6, cadence=125)
    life.quality = replace(life.quality, regularity=regularity)
    life.walk(BACKWARD, 12, speed_m_s, cadence)
    assert life.cues() == (["work", cue] if cue else ["work"])


def test_a_lunge_that_drops_or_hardly_sinks_is_said_with_its_leg() -> None:
    life = training("lunges")
    life.lunge("left")
    life.lunge("right", down_s=0.4, up_s=0.4)
    assert told(life, "slower") == [{"cue": "slower", "rep_s": 0.8, "limit": 1.0, "leg": "right"}]
    life.live(20)
    life.lunge("left", depth_m=0.05)
    assert told(life, "deeper") == [{"cue": "deeper", "depth_m": 0.05, "limit": 0.12, "leg": "left"}]


def test_a_lunge_right_at_its_bounds_is_a_good_one() -> None:
    life = training("lunges")
    life.lunge("left", down_s=0.5, up_s=0.5, depth_m=0.12)
    assert life.cues() == ["work"]


def test_who_is_off_the_pace_hears_it_after_five_seconds() -> None:
    life = at_work()
    begun = len(life.verdicts)
    life.walk(BACKWARD, 4.9, cadence=140)
    assert not life.heard(begun)
    life.walk(BACKWARD, 5.2, cadence=140)
    assert life.heard(begun) == ["coach_slower"]


def test_a_cue_that_may_be_told_as_often_as_it_may_be_said_is_told_each_time() -> None:
    life = training("walk", coach={"cues": {"posture": {"again_s": 20.0, "told_s": 20.0}}})
    life.quality = replace(life.quality, lean_deg=20.0)
    life.walk(BACKWARD, 100)
    assert life.heard().count("coach_posture") == 5
    assert len(told(life, "posture")) == 5


def test_cues_are_rare_and_rarer_still_to_caregivers() -> None:
    life = at_work()
    life.quality = replace(life.quality, lean_deg=20.0, regularity=0.1)
    begun = len(life.verdicts)
    life.walk(BACKWARD, 240, cadence=140)
    heard = [name for name in life.heard(begun) if name.startswith("coach_") and name != "coach_half"]
    assert {"coach_posture", "coach_slower", "coach_uneven"} <= set(heard)
    assert len(heard) <= 240 / CONFIG.coach.apart_s + 1
    for cue in ("posture", "slower", "uneven"):
        assert heard.count(f"coach_{cue}") <= 240 / CONFIG.coach.cues[cue].again_s + 1
        assert len(told(life, cue)) == 1


@pytest.mark.parametrize("cue", list(CONFIG.coach.cues))
def test_each_cue_can_be_switched_off_and_is_then_neither_heard_nor_told(cue: str) -> None:
    def trained(on: bool) -> Life:
        life = training("run", coach={"cues": {cue: {"on": on}}})
        life.quality = replace(life.quality, regularity=0.1, lean_deg=25.0)
        for _ in range(3):
            life.tick(firing=True)
            life.live(4)
        for pace in (100.0, 230.0):
            life.walk(BACKWARD, 39, 0.5, cadence=pace)
            life.live(63)
        life.quality = replace(life.quality, regularity=0.8, lean_deg=0.0)
        life.walk(BACKWARD, 25, 1.2, cadence=100.0)
        life.live(80)
        life.walk(BACKWARD, 25, 1.2, cadence=240.0)
        life.live(5)
        return life

    def lunged(on: bool) -> Life:
        life = training("lunges", coach={"cues": {cue: {"on": on}}})
        life.lunge("left", depth_m=0.05)
        for leg in ("left", "right") * 10:
            life.lunge(leg)  # type: ignore[arg-type]
        return life

    story = lunged if cue in ("deeper", "half") else trained
    with_it, without = story(True), story(False)
    assert f"coach_{cue}" in with_it.heard()
    assert cue in with_it.cues()
    assert f"coach_{cue}" not in without.heard()
    assert cue not in without.cues()


def test_after_three_near_falls_the_coach_advises_to_end_and_guards_on() -> None:
    life = training("walk")
    for number in range(3):
        life.tick(firing=True)
        life.live(5)
        assert life.told.count("near_fall") == number + 1
        assert ("enough" in life.cues()) == (number == 2)
    assert told(life, "enough") == [{"cue": "enough", "near_falls": 3}]
    assert "coach_enough" in life.heard()
    assert life.state is State.GUARDING
    life.fall()
    assert life.state is State.DOWN


def test_the_coach_is_silent_in_an_alarm_and_says_nothing_late() -> None:
    life = training("walk")
    life.walk(BACKWARD, 299.5)
    life.walking, life.direction = True, BACKWARD
    life.live(0.8)
    assert life.cues()[-1] == "done"
    life.fall()
    life.live(3)
    life.press(0.3)
    life.posture = Posture.UPRIGHT
    begun = len(life.verdicts)
    life.live(15)
    assert not [name for name in life.heard(begun) if name.startswith("coach_")]


# the plan


def dose(exercise: str, value: str | None) -> Command:
    return Command("dose", exercise, None, value)


def test_a_planned_dose_holds_from_the_next_session_and_is_told_once_with_its_reason() -> None:
    life = training("walk")
    life.tick(commands=[dose("walk", "396 held after a near-fall")])
    life.live(1)
    assert at(life).dose == 300, "not in the middle"
    ended(life)
    life.press()
    life.live(2)
    assert at(life).dose == 396
    assert told(life, "plan") == [{"cue": "plan", "dose": 396.0, "unit": "s", "why": "held after a near-fall"}]
    ended(life)
    life.press()
    life.live(2)
    assert at(life).dose == 396
    assert len(told(life, "plan")) == 1


@pytest.mark.parametrize(("value", "meant"), [("100000 much", 600), ("1 little", 300), ("450", 450), ("330.5 +10 %", 330.5)])
def test_a_planned_dose_stays_within_the_rows_bounds(value: str, meant: float) -> None:
    life = Life(CONFIG)
    life.tick(commands=[dose("walk", value)])
    life.live(2)
    assert at(life).dose == meant


@pytest.mark.parametrize("command", [
    dose("walk", None), dose("walk", ""), dose("walk", "much"), dose("walk", "nan x"), dose("walk", "inf x"), dose("walk", "-3 x"),
    dose("everyday", "400 x"), dose("dancing", "400 x"), dose("run", "30 x"),
])  # fmt: skip
def test_a_dose_that_is_none_changes_nothing(command: Command) -> None:
    life = Life(CONFIG)
    life.tick(commands=[command])
    life.live(2)
    assert at(life).dose == 300
    assert life.cues() == []


def test_no_caregiver_can_send_a_dose() -> None:
    with pytest.raises(BadPayload):
        parse_command(b'{"v": 1, "cmd": "dose", "id": "walk", "value": "600 more"}')


def test_a_plan_is_part_of_the_snapshot() -> None:
    life = Life(CONFIG)
    life.tick(commands=[dose("walk", "400 more")])
    life.policy.coach.memory = msgspec.convert(msgspec.to_builtins(life.policy.coach.memory), CoachMemory)
    life.live(2)
    assert at(life).dose == 400


def test_a_plan_for_a_session_to_come_is_part_of_the_snapshot_and_told_in_that_session() -> None:
    life = training("walk")
    life.tick(commands=[dose("walk", "400 more")])
    life.policy.coach.memory = msgspec.convert(msgspec.to_builtins(life.policy.coach.memory), CoachMemory)
    ended(life)
    life.press()
    life.live(2)
    assert at(life).dose == 400
    assert told(life, "plan") == [{"cue": "plan", "dose": 400.0, "unit": "s", "why": "more"}]


# the summary


def test_the_summary_is_the_truth_of_the_session_and_of_it_alone() -> None:
    life = training("walk")
    life.walk(BACKWARD, 30, 0.5)
    ended(life)
    life.press()
    life.live(2)
    life.quality = replace(life.quality, regularity=0.8, symmetry=0.9, sway_deg=2.0, lean_deg=-3.0)
    life.walk(BACKWARD, 20, 0.6, cadence=90)
    life.live(20)
    life.walk(BACKWARD, 20, 0.8, cadence=110)
    stop = Behind(obstacle=Obstacle.STOP, gap=Gap(0.6, 0.5, 1.2, 0), near=False, straighten_up=False, sounding=True)
    caution, clear = replace(stop, obstacle=Obstacle.CAUTION), life.behind
    for behind in (caution, stop, caution, clear, caution, clear, replace(caution, sounding=False), clear):
        life.behind = behind
        life.live(1)
    life.tick(firing=True)
    life.live(4)
    begun = [event for event in life.events if event.event_type == "session_started"][-1]
    steps = life.verdicts[-1].session.steps if life.verdicts[-1].session else 0
    summary = ended(life)
    assert summary["reason"] == "three_presses"
    assert summary["session"] == begun.id
    assert summary["duration_s"] == pytest.approx((last(life).t_ns - begun.t_ns) / 1e9, abs=1e-3)
    assert summary["steps"] == steps == 66
    assert summary["distance_m"] == pytest.approx(28.0, abs=0.02)
    assert summary["walking_s"] == pytest.approx(40, abs=2)
    assert summary["cadence"] == pytest.approx(100, abs=1)
    assert summary["speed_m_s"] == pytest.approx(0.7, abs=0.01)
    assert (summary["regularity"], summary["symmetry"], summary["sway_deg"], summary["lean_deg"]) == (0.8, 0.9, 2.0, -3.0)
    assert (summary["cautions"], summary["stops"], summary["warnings"]) == (2, 1, 3)
    assert (summary["near_falls"], summary["alarms"]) == (1, 0)
    assert "lunge_depth_m" not in summary


def test_a_session_that_ends_in_its_own_tick_has_nothing_of_the_one_before() -> None:
    life = training("walk")
    life.walk(BACKWARD, 20)
    life.tick(commands=[Command("exercise", "a", None, "treadmill"), Command("exercise", "b", None, "run")])
    walked, passed = [event.evidence for event in life.events if event.event_type == "session_ended"]
    assert walked["done"] == pytest.approx(20, abs=0.3)
    assert (passed["steps"], passed["duration_s"]) == (0, 0.0)
    assert "done" not in passed
    assert at(life).unit == "m"


def test_measures_that_were_never_known_are_absent() -> None:
    life = training("walk")
    life.live(5)
    summary = ended(life)
    assert not {"cadence", "speed_m_s", "regularity", "symmetry", "sway_deg", "lean_deg", "lunge_depth_m"} & summary.keys()


def test_a_fall_in_the_session_is_in_its_summary() -> None:
    life = training("walk")
    life.fall()
    life.live(2.5)
    life.press(0.3)
    life.posture = Posture.UPRIGHT
    life.live(2)
    assert ended(life)["alarms"] == 1


def test_a_tally_changes_at_most_once_a_second_and_rarely_while_nothing_is_done() -> None:
    life = training("walk")
    begun = len(life.verdicts)
    life.walk(BACKWARD, 20)
    tallies = [verdict.session.tally for verdict in life.verdicts[begun:] if verdict.session]
    assert len({id(tally) for tally in tallies}) <= 22
    life.live(2)
    begun = len(life.verdicts)
    life.live(110)
    tallies = [verdict.session.tally for verdict in life.verdicts[begun:] if verdict.session]
    assert len({id(tally) for tally in tallies}) <= 3


@pytest.mark.parametrize("exercise", COACHED)
def test_a_restart_goes_on_where_the_session_was(exercise: str) -> None:
    life = training(exercise)
    match exercise:
        case "lunges":
            for leg in ("left", "right", "left", "right"):
                life.lunge(leg)  # type: ignore[arg-type]
        case "stairs":
            life.climb(7)
        case _:
            life.walk(BACKWARD, 15)
    life.live(2)
    before, session = at(life), life.verdicts[-1].session
    assert session is not None
    kept = msgspec.json.decode(msgspec.json.encode(session), type=Session)
    life.tick(commands=[Command("power_off", "signal")])
    expected = last(life).evidence
    again = Life(load(local=None, overrides={"device": {"exercise": exercise}}), Resume("inst", 2, session=kept, exercise=exercise))
    again.live(1)
    now = at(again)
    assert (now.phase, now.set_number, now.dose) == (before.phase, before.set_number, before.dose)
    assert now.done == pytest.approx(before.done, abs=0.6)
    again.tick(commands=[Command("power_off", "signal")])
    summary = last(again).evidence
    for key in ("steps", "distance_m", "stairs", "lunges_left", "lunges_right", "cadence", "unit", "dose", "sets_done"):
        assert summary.get(key) == expected.get(key), key
    assert summary["done"] == pytest.approx(expected["done"], abs=0.6)
    assert float(summary["duration_s"]) > float(expected["duration_s"]) - 3


def test_the_longest_summary_is_far_below_what_an_event_may_be() -> None:
    life = training("lunges")
    life.quality = replace(life.quality, regularity=0.8123456, symmetry=0.9123456, sway_deg=2.123456, lean_deg=-3.123456)
    for leg in ("left", "right"):
        life.lunge(leg, depth_m=0.3123456)  # type: ignore[arg-type]
    life.walk(BACKWARD, 20, 0.654321, cadence=100.123456)
    summary = ended(life)
    assert tuple(summary) == SUMMARY_KEYS
    assert all(isinstance(value, int | float | str) for value in summary.values())
    assert len(msgspec.json.encode(summary)) < MAX_PAYLOAD / 3


# the tables


def test_the_table_is_complete_and_within_its_own_bounds() -> None:
    assert COACHED == ["walk", "run", "stairs", "treadmill", "lunges"]
    units = {exercise.coach.unit for exercise in CONFIG.exercises.values() if exercise.coach}
    assert units == set(UNITS)
    said = {row.cue for row in (*WATCHES, *JUDGEMENTS)} | {"work", "half", "rest", "again", "done", "enough"}
    assert said == set(CONFIG.coach.cues)
    assert all(watch.value in Motion.__struct_fields__ for watch in WATCHES)


def test_the_coachs_sounds_have_the_lowest_priorities_and_the_range_for_themselves() -> None:
    for name, sound in CONFIG.sounds.items():
        assert (sound.priority <= 20) == name.startswith("coach_"), name


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ({"sounds": {"coach_done": {"priority": 70}}}, "coach"),
        ({"sounds": {"press": {"priority": 3}}}, "press"),
        ({"coach": {"cues": {"postur": {"on": False, "again_s": 1.0, "told_s": 1.0, "wait_s": 1.0}}}}, "coach_postur"),
        ({"exercises": {"walk": {"coach": {"dose": 700}}}}, "dose_most"),
        ({"exercises": {"walk": {"coach": {"cadence_least": 131}}}}, "cadence_least"),
        ({"exercises": {"walk": {"coach": {"unit": "miles"}}}}, "unit"),
        ({"exercises": {"walk": {"coach": {"lean": 3}}}}, "lean"),
    ],
)
def test_a_coach_that_cannot_be_is_refused_by_name(overrides: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load(local=None, overrides=overrides)


happening = st.fixed_dictionaries({
    "walking": st.booleans(), "direction": st.sampled_from(Direction), "cadence": st.floats(0, 300), "metres": st.floats(0, 50),
    "stairs": st.integers(0, 30), "left": st.integers(0, 30), "right": st.integers(0, 30), "imu_ok": st.booleans(),
    "posture": st.sampled_from(Posture), "lean": st.none() | st.floats(-90, 90), "firing": st.booleans(), "ticks": st.integers(1, 2000),
    "exercise": st.sampled_from(["", *CONFIG.exercises]), "dose": st.text(max_size=8),
})  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(happening, max_size=8))
def test_whatever_is_done_the_work_never_shrinks_and_the_phases_have_their_order(what: list[dict[str, Any]]) -> None:
    life = Life(CONFIG)
    for now in what:
        for key in ("walking", "direction", "cadence", "imu_ok", "posture"):
            setattr(life, key, now[key])
        life.quality = replace(life.quality, distance_m=life.quality.distance_m + now["metres"], lean_deg=now["lean"])
        reps = life.reps
        life.reps = replace(
            reps,
            stairs=reps.stairs + now["stairs"],
            lunges_left=reps.lunges_left + now["left"],
            lunges_right=reps.lunges_right + now["right"],
        )
        commands = [Command("exercise", "c", None, now["exercise"])] if now["exercise"] else []
        life.tick(firing=now["firing"], commands=[*commands, dose("walk", now["dose"])])
        for _ in range(now["ticks"]):
            life.tick()
    order = [Phase.WARM_UP, Phase.WORK, Phase.REST, Phase.DONE]
    before: tuple[str, Training] | None = None
    for verdict in life.verdicts:
        if verdict.training is None or verdict.session is None:
            before = None
            continue
        now_at = verdict.training
        assert 1 <= now_at.set_number <= now_at.sets
        if before is not None and before[0] == verdict.session.id:
            was = before[1]
            assert (now_at.set_number, order.index(now_at.phase), now_at.done) >= (was.set_number, order.index(was.phase), was.done)
        before = verdict.session.id, now_at
