"""The state table, told as lives."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from guardian import contract
from guardian.config import Config, load
from guardian.frame import Command, Fault
from guardian.monitor.obstacle import Behind
from guardian.monitor.policy import ALARM, TRANSITIONS
from guardian.monitor.quality import Quality
from guardian.monitor.repetitions import Reps
from guardian.verdict import Alarm, Alert, Direction, Event, Evidence, Gap, Motion, Obstacle, Posture, Rep, Resume, Session, State
from tests.monitor.life import TICK_NS, Life, guarded, resumed

CONFIG = load(local=None)


def test_power_on_is_heard_and_standing_upright_begins_a_session_with_a_chirp(config: Config) -> None:
    life = Life(config)
    life.live(3)
    assert life.told == ["session_started"]
    assert life.heard() == ["self_test", "guarding"]
    assert life.verdicts[-1].session is not None


def test_no_chirp_while_lying_when_switched_on(config: Config) -> None:
    life = Life(config)
    life.posture = Posture.DOWN
    life.live(30)
    assert life.state is State.SETTLING
    assert "guarding" not in life.heard()


def test_fall_caught_before_the_impact_counts_down_and_calls(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True)
    assert life.state is State.IMMINENT
    life.tick(impact=True)
    life.posture = Posture.DOWN
    life.live(0.1)
    assert life.state is State.DOWN
    life.live(19.8)
    assert life.state is State.DOWN
    life.live(0.3)
    assert life.state is State.FALLEN
    assert life.told == ["session_started", "imminent_fall", "fall_suspected", "fall"]
    assert life.heard()[2:] == ["imminent", "countdown", "countdown_last", "fall"]
    suspected = next(event for event in life.events if event.event_type == "fall_suspected")
    assert life.verdicts[-1].alarm is not None
    assert life.verdicts[-1].alarm.id == suspected.id, "the alarm keeps the id of the event that opened it"


@pytest.mark.parametrize("evidence", [{"rule": "ahn2019", "score": 0.61, "norm_g": 0.4}, {}], ids=["its own", "none"])
def test_imminent_fall_is_told_in_the_rules_own_words_where_it_has_any(config: Config, evidence: Evidence) -> None:
    life = guarded(config)
    life.evidence = evidence
    life.tick(firing=True)
    (told,) = life.verdicts[-1].events
    assert (told.event_type, told.evidence) == ("imminent_fall", evidence or {"rule": "fall model fires"})


def test_fall_that_the_model_misses_is_caught_by_the_impact(config: Config) -> None:
    life = guarded(config)
    life.fall()
    assert life.state is State.DOWN
    assert life.events[-1].evidence["impact_g"] == 4.0


def test_impact_while_staying_upright_is_no_fall(config: Config) -> None:
    life = guarded(config)
    life.tick(impact=True)
    life.live(3.5)
    life.posture = Posture.DOWN  # lies down later, of free will
    life.live(5)
    assert life.state is State.GUARDING


def test_soft_collapse_is_noticed_after_lying_s(config: Config) -> None:
    life = guarded(config)
    life.posture = Posture.DOWN
    life.live(9.9)
    assert life.state is State.GUARDING
    life.live(0.2)
    assert life.state is State.DOWN


def test_lying_down_in_everyday_wear_is_no_alarm() -> None:
    life = guarded(load(local=None, overrides={"device": {"exercise": "everyday"}}))
    life.posture = Posture.DOWN
    life.live(60)
    assert life.state is State.GUARDING


def test_lying_timer_runs_on_through_an_imu_fault(config: Config) -> None:
    life = guarded(config)
    life.posture = Posture.DOWN
    life.live(6)
    life.imu_ok = False
    life.live(4.2)
    assert life.state is State.DOWN


def test_wire_torn_in_the_fall_is_evidence(config: Config) -> None:
    life = guarded(config)
    life.tick(impact=True)
    life.live(1)
    life.imu_ok = False
    life.live(0.1)
    assert life.state is State.DOWN


def test_imu_fault_without_impact_stops_guarding_aloud(config: Config) -> None:
    life = guarded(config)
    life.imu_ok = False
    life.live(3)
    assert life.state is State.SETTLING
    assert "not_guarding" in life.told
    assert {"not_guarding", "imu_silent"} <= set(life.heard())
    life.imu_ok = True
    life.live(3)
    assert life.state is State.GUARDING
    assert life.told[-2:] == ["guarding", "fault_cleared"] or "guarding" in life.told
    assert life.told.count("session_started") == 1


def test_not_settling_for_ten_seconds_within_a_session_is_told_once(config: Config) -> None:
    life = guarded(config)
    life.imu_ok = False
    life.live(0.1)
    life.imu_ok, life.settled = True, False
    life.live(30)
    assert life.told.count("not_guarding") == 1


def test_stumble_recovered_is_a_near_fall(config: Config) -> None:
    life = guarded(config)
    life.walking = True
    life.tick(firing=True)
    life.live(0.9)
    assert life.state is State.IMMINENT
    life.live(0.3)
    assert life.state is State.GUARDING
    assert life.told[-1] == "near_fall"


def test_imminent_fall_that_does_not_come_ends_after_three_seconds(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True)
    life.live(2.9)
    assert life.state is State.IMMINENT
    life.live(0.2)
    assert life.state is State.GUARDING


def test_impact_and_no_walking_after_imminent_is_down_even_sitting_up(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True)
    life.tick(impact=True)
    life.live(3.1)
    assert life.state is State.DOWN


def test_impact_and_model_in_one_frame_after_a_stall_are_both_remembered(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True, impact=True)
    life.live(3.1)
    assert life.state is State.DOWN, "sits upright on the floor, and does not walk"


def test_slumped_after_the_model_fired_is_down_and_not_imminent_for_ever(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True)
    life.posture = Posture.LEANING
    life.live(2.9)
    assert life.state is State.IMMINENT
    life.live(0.2)
    assert life.state is State.DOWN


def test_bending_for_a_moment_after_the_model_fired_is_no_fall(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True)
    life.posture = Posture.LEANING
    life.live(2)
    life.posture = Posture.UPRIGHT
    life.live(1.2)
    assert life.state is State.GUARDING


def test_imu_lost_while_imminent_is_down(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True)
    life.imu_ok = False
    life.live(0.1)
    assert life.state is State.DOWN


def test_short_press_cancels_the_countdown_only_two_seconds_after_it_began(config: Config) -> None:
    life = guarded(config)
    life.fall()
    life.press(0.3)
    assert life.state is State.DOWN, "begun in the fall itself"
    life.live(2)
    life.press(0.3)
    assert life.state is State.GUARDING
    assert life.told[-1] == "cancelled"
    assert "cancelled" in life.heard()


def test_the_countdown_grows_faster_five_seconds_before_its_end(config: Config) -> None:
    life = guarded(config)
    life.tick(impact=True)
    life.posture = Posture.DOWN
    alerts = [life.tick().alert for _ in range(2001)]
    begun = [alert for n, alert in enumerate(alerts) if n == 0 or alert != alerts[n - 1]]
    began_ns = life.t_ns - 2001 * TICK_NS
    assert begun == [
        Alert("countdown", began_ns),
        Alert("countdown_last", began_ns + 15_000_000_000),
        Alert("fall", began_ns + 20_000_000_000),
    ]


def test_long_press_does_not_cancel_and_lying_on_the_button_calls(config: Config) -> None:
    life = guarded(config)
    life.fall()
    life.live(2.5)
    life.press(1.5)
    assert life.state is State.DOWN
    life.button = True
    life.live(2.1)
    assert life.state is State.FALLEN


def test_walking_away_upright_cancels(config: Config) -> None:
    life = guarded(config)
    life.fall()
    life.posture, life.walking = Posture.UPRIGHT, True
    life.live(2.9)
    assert life.state is State.DOWN
    life.live(0.3)
    assert life.state is State.GUARDING


def test_after_a_cancel_lying_alarms_again_only_once_upright(config: Config) -> None:
    life = guarded(config)
    life.fall()
    life.live(2.5)
    life.press(0.3)
    life.live(30)
    assert life.state is State.GUARDING
    life.posture = Posture.UPRIGHT
    life.live(1)
    life.posture = Posture.DOWN
    life.live(10.2)
    assert life.state is State.DOWN


@pytest.mark.parametrize("state", ["OFF", "SETTLING", "GUARDING", "IMMINENT", "DOWN"])
def test_two_second_hold_calls_for_help_from_every_state(config: Config, state: str) -> None:
    life = guarded(config)
    match state:
        case "OFF":
            for _ in range(3):
                life.press()
        case "SETTLING":
            life.imu_ok = False
            life.live(0.1)
        case "IMMINENT":
            life.tick(firing=True)
        case "DOWN":
            life.fall()
    assert life.state == state
    life.button = True
    life.live(1.9)
    assert life.state is not State.FALLEN
    life.live(0.2)
    assert life.state is State.FALLEN
    assert life.told[-1] == "sos"
    life.live(7)
    life.button = False
    life.live(1)
    assert life.state is State.FALLEN, "the hold that called does not also clear"


def test_hold_that_began_before_the_fall_was_noticed_still_calls(config: Config) -> None:
    life = guarded(config)
    life.button = True
    life.live(0.3)
    life.fall()
    life.live(1.7)
    assert life.state is State.FALLEN
    assert life.told[-1] == "sos"


def test_hold_that_the_guarding_chirp_interrupts_still_calls(config: Config) -> None:
    life = Life(config)
    life.settled = False
    life.live(1)
    life.button = True
    life.live(1)
    life.settled = True
    life.live(1.1)
    assert "session_started" in life.told
    assert life.state is State.FALLEN


def test_wearer_clears_by_a_five_second_hold_upright(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.posture = Posture.UPRIGHT
    life.live(2)
    life.press(4.8)
    assert life.state is State.FALLEN
    life.press(5.2)
    assert life.state in (State.SETTLING, State.GUARDING)
    assert "cleared" in life.told
    assert life.verdicts[-1].alarm is None


def test_hold_lying_down_calls_again_and_never_clears(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.press(6)
    assert life.state is State.FALLEN
    assert life.told[-1] == "sos"


def test_stuck_button_never_clears(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.posture = Posture.UPRIGHT
    life.press(11)
    assert life.state is State.FALLEN


def test_with_posture_unknown_two_long_holds_clear(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.imu_ok = False
    life.press(5.2, 1)
    assert life.state is State.FALLEN
    life.press(5.2, 0.1)
    assert life.state is State.SETTLING


def test_two_calls_for_help_made_lying_do_not_clear_when_the_wire_tears_later(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.press(6)
    life.press(6)
    life.imu_ok = False
    life.live(60)
    assert life.state is State.FALLEN
    life.press(6)
    assert life.state is State.FALLEN, "the first hold with posture unknown"


def test_two_long_holds_too_far_apart_do_not_clear(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.imu_ok = False
    life.press(5.2, 31)
    life.press(5.2, 0.1)
    assert life.state is State.FALLEN


def test_long_lie_is_told_every_ten_minutes(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.live(1250)
    assert life.told.count("long_lie") == 2


def test_calling_for_help_from_bed_is_no_long_lie_yet() -> None:
    life = guarded(load(local=None, overrides={"device": {"exercise": "everyday"}}))
    life.posture = Posture.DOWN
    life.live(700)
    life.press(2.5)
    life.live(60)
    assert life.told[-1] == "sos"
    life.live(540)
    assert life.told[-1] == "long_lie"


def test_fallen_with_a_dead_imu_is_a_long_lie_too(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.imu_ok = False
    life.live(650)
    assert life.told.count("long_lie") == 1


def _command(cmd: str, alarm_id: str | None = None, value: str | None = None) -> Command:
    return Command(cmd, f"c-{cmd}", alarm_id, value)


def test_caregiver_acknowledges_the_sound_grows_quieter_and_stays(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    alarm = life.verdicts[-1].alarm
    assert alarm is not None
    begun = len(life.verdicts)
    life.tick(commands=[_command("ack", alarm.id)])
    life.live(60)
    assert life.told[-1] == "acknowledged"
    assert life.heard(begun)[:2] == ["acknowledged", "fall_acknowledged"]
    assert all(verdict.alert for verdict in life.verdicts[begun + 200 :])
    life.press(2.5)
    assert life.told[-1] == "sos"
    assert life.verdicts[-1].alert is not None
    assert life.verdicts[-1].alert.sound == "fall", "asking again is heard again"


@pytest.mark.parametrize("named", [None, "inst-1-999"])
def test_clear_that_does_not_name_the_open_alarm_is_ignored(config: Config, named: str | None) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    life.tick(commands=[_command("clear", named), _command("ack", named)])
    assert life.state is State.FALLEN
    assert life.told[-1] == "fall"


def test_what_is_acknowledged_already_is_not_acknowledged_again(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    alarm = life.verdicts[-1].alarm
    assert alarm is not None
    for _ in range(2):
        life.tick(commands=[_command("ack", alarm.id)])
    assert life.told.count("acknowledged") == 1
    life.press(2.5)
    life.tick(commands=[_command("ack", alarm.id)])
    assert life.told[-2:] == ["sos", "acknowledged"], "who has asked again is answered again"


def test_caregivers_clear_naming_the_alarm_ends_it(config: Config) -> None:
    life = guarded(config)
    life.fall()
    alarm = life.verdicts[-1].alarm
    assert alarm is not None
    life.tick(commands=[_command("clear", alarm.id)])
    assert life.state is State.SETTLING
    life.live(30)
    assert life.state is State.SETTLING, "still down: neither guarded, nor the same fall again"
    assert "not_guarding" in life.told


def test_belt_on_the_table_is_not_worn_after_a_minute_and_walking_wakes_it(config: Config) -> None:
    life = guarded(config)
    life.moving = False
    life.live(59.9)
    assert life.state is State.GUARDING
    life.live(0.2)
    assert life.state is State.OFF
    assert life.told[-2:] == ["not_worn", "session_ended"]
    alert = life.verdicts[-1].alert
    assert alert is not None and alert.sound == "session_ended", "whoever has just put it down hears that it has stopped"
    life.moving = life.walking = True
    life.live(3.2)
    assert life.state in (State.SETTLING, State.GUARDING)


def test_switched_on_where_it_lies_it_waits_a_minute_before_it_is_not_worn_again(config: Config) -> None:
    life = guarded(config)
    life.moving = False
    life.live(60)
    assert life.state is State.OFF
    life.posture = Posture.DOWN
    life.press(0.2, 59.9)
    assert life.state is State.SETTLING
    life.live(0.2)
    assert life.state is State.OFF


def test_three_short_presses_switch_off_and_one_switches_on(config: Config) -> None:
    life = guarded(config)
    for _ in range(3):
        life.press()
    assert life.state is State.OFF
    assert life.events[-1].evidence["reason"] == "three_presses"
    life.live(60)
    assert life.heard()[-1] == "session_ended"
    life.press()
    life.live(1)
    assert life.state is State.GUARDING


def test_slow_presses_do_not_switch_off(config: Config) -> None:
    life = guarded(config)
    for _ in range(5):
        life.press(0.2, 1.2)
    assert life.state is State.GUARDING


def test_walking_unguarded_is_heard(config: Config) -> None:
    life = guarded(config)
    for _ in range(3):
        life.press()
    life.live(2)
    life.walking = True
    begun = len(life.verdicts)
    life.live(10)
    assert life.heard(begun) == []
    life.tick()
    assert life.heard(begun) == ["unguarded"]
    assert life.state is State.OFF


def test_who_switches_off_while_walking_is_told_only_after_ten_more_seconds(config: Config) -> None:
    life = guarded(config)
    life.walking = True
    life.live(15)
    for _ in range(3):
        life.press()
    begun = len(life.verdicts)
    life.live(9)
    assert "unguarded" not in life.heard(begun)


def test_switched_off_and_on_again_not_guarding_is_forgotten(config: Config) -> None:
    life = guarded(config)
    life.imu_ok = False
    life.live(1)
    for _ in range(3):
        life.press()
    life.imu_ok, life.posture = True, Posture.LEANING
    life.press()
    begun = len(life.verdicts)
    life.live(20)
    assert life.state is State.SETTLING
    assert "not_guarding" not in life.heard(begun), "no session: nobody has been told that he is guarded"


def test_nothing_but_sos_is_armed_while_off(config: Config) -> None:
    life = guarded(config)
    for _ in range(3):
        life.press()
    life.live(5)
    told = len(life.told)
    life.behind = Behind(obstacle=Obstacle.STOP, gap=Gap(0.4, 0.5, 0.8, 0), near=True, straighten_up=False, sounding=True)
    begun = len(life.verdicts)
    life.tick(firing=True)
    life.fall()
    life.live(30)
    assert life.state is State.OFF
    assert len(life.told) == told
    assert life.heard(begun) == []


def test_power_off_in_a_session_ends_it_and_says_why(config: Config) -> None:
    life = guarded(config)
    verdict = life.tick(commands=[Command("power_off", "signal")])
    assert verdict.powering_off
    assert life.events[-1].event_type == "session_ended"
    assert life.events[-1].evidence["reason"] == "power_off"
    assert life.state is State.OFF


def test_power_off_while_fallen_keeps_the_alarm(config: Config) -> None:
    life = guarded(config)
    life.lie_until_fallen()
    verdict = life.tick(commands=[Command("power_off", "signal")])
    assert verdict.powering_off
    assert verdict.state is State.FALLEN
    assert verdict.alarm is not None


@pytest.mark.parametrize("state", ALARM)
def test_restart_with_an_open_alarm_sounds_again_and_tells_again_under_the_same_id(config: Config, state: State) -> None:
    told = Event("inst-1-9", 9, "fall", 55, "walk")
    life = resumed(config, state, told)
    life.live(3)
    assert life.state is state
    assert life.events == [told]
    assert life.verdicts[-1].alert is not None
    assert life.verdicts[-1].alert.sound in ("fall", "countdown")
    assert life.verdicts[-1].alarm == Alarm("inst-1-7", "fall_suspected", 0, told), "its time was another boot's clock"


def test_an_alarm_found_open_in_a_state_that_has_none_is_fallen(config: Config) -> None:
    life = resumed(config, State.GUARDING)
    life.live(3)
    assert life.state is State.FALLEN
    assert life.heard()[-1] == "fall"


def test_restart_within_a_session_goes_on_with_it_and_keeps_its_steps(config: Config) -> None:
    life = Life(config, Resume("inst", 2, session=Session("inst-1-1", "walk", 99, 40)))
    life.live(3)
    assert life.told == ["guarding"]
    life.steps = 5
    life.live(0.1)
    session = life.verdicts[-1].session
    assert session is not None
    assert session.steps == 45


def test_steps_are_counted_from_the_sessions_start(config: Config) -> None:
    life = Life(config)
    life.posture, life.steps = Posture.LEANING, 7
    life.live(1)
    life.posture = Posture.UPRIGHT
    life.live(1)
    life.steps = 10
    life.live(0.1)
    session = life.verdicts[-1].session
    assert session is not None
    assert session.steps == 3


def test_exercise_command_names_a_row_or_is_ignored(config: Config) -> None:
    life = guarded(config)
    life.tick(commands=[_command("exercise", value="stairs"), _command("exercise", value="dancing")])
    assert life.verdicts[-1].exercise == "stairs"
    assert life.told[-3:] == ["session_ended", "exercise_changed", "session_started"]
    life.lie_until_fallen()
    life.tick(commands=[_command("exercise", value="walk")])
    assert life.verdicts[-1].exercise == "stairs", "not in an alarm"


def test_exercise_changed_while_lying_on_the_sofa_is_no_fall(config: Config) -> None:
    life = guarded(load(local=None, overrides={"device": {"exercise": "everyday"}}))
    life.posture = Posture.DOWN
    life.live(60)
    life.tick(commands=[_command("exercise", value="walk")])
    life.live(15)
    assert life.state is State.GUARDING
    life.posture = Posture.UPRIGHT
    life.live(1)
    life.posture = Posture.DOWN
    life.live(10.2)
    assert life.state is State.DOWN


def test_exercise_changed_right_after_a_collapse_does_not_hide_it(config: Config) -> None:
    life = guarded(config)
    life.posture = Posture.DOWN
    life.live(5)
    life.tick(commands=[_command("exercise", value="run")])
    life.live(5.2)
    assert life.state is State.DOWN
    assert life.told[-4:] == ["session_ended", "exercise_changed", "session_started", "fall_suspected"]


def double(life: Life) -> None:
    """Two short presses, and the time in which no third comes."""
    life.press()
    life.press()
    life.live(2)


def test_two_presses_go_through_the_exercises_and_the_beeps_say_which(config: Config) -> None:
    life = guarded(config)
    names = list(config.exercises)
    for place in (1, 2, 3, 4, 5, 0):
        begun = len(life.verdicts)
        double(life)
        life.live(4)
        assert life.verdicts[-1].exercise == names[place]
        assert [name for name in life.heard(begun) if name != "press"] == [f"exercise_{names[place]}"]
        assert len(config.sounds[f"exercise_{names[place]}"].on_off_ms) == 2 * (place + 1)
    assert life.state is State.GUARDING


def test_another_exercise_ends_the_session_and_begins_one_in_the_same_tick(config: Config) -> None:
    life = guarded(config)
    life.steps = 12
    life.live(1)
    first = life.verdicts[-1].session
    assert first is not None
    begun = len(life.verdicts)
    double(life)
    assert all(verdict.session for verdict in life.verdicts[begun:]), "the nets that need a session are never without one"
    ended, changed, started = life.events[-3:]
    assert [event.event_type for event in (ended, changed, started)] == ["session_ended", "exercise_changed", "session_started"]
    assert ended.t_ns == changed.t_ns == started.t_ns
    assert (ended.exercise, started.exercise) == ("walk", "run")
    assert ended.evidence["reason"] == "exercise_changed"
    assert (ended.evidence["session"], ended.evidence["steps"]) == (first.id, 12)
    assert changed.evidence == {"from": "walk", "to": "run"}
    now = life.verdicts[-1].session
    assert now is not None
    assert (now.id, now.exercise, now.steps) == (started.id, "run", 0)


def test_two_presses_with_the_guarding_chirp_between_them_are_two(config: Config) -> None:
    life = Life(config)
    life.settled = False
    life.live(1)
    life.press()
    life.settled = True
    life.press()
    life.live(3)
    assert "session_started" in life.told
    assert life.verdicts[-1].exercise == "run"


@pytest.mark.parametrize("state", ["OFF", "IMMINENT", "DOWN", "FALLEN"])
def test_two_presses_change_nothing_elsewhere(config: Config, state: str) -> None:
    life = guarded(config)
    match state:
        case "OFF":
            for _ in range(3):
                life.press()
        case "IMMINENT":
            life.tick(firing=True)
        case "DOWN":
            life.fall()
        case "FALLEN":
            life.lie_until_fallen()
    assert life.state == state
    if state == "OFF":  # the first starts it
        life.settled = False
    life.press()
    life.press()
    life.live(1.3)
    assert life.verdicts[-1].exercise == "walk"
    assert "exercise_changed" not in life.told


def test_presses_in_a_fall_do_not_choose_another_exercise_for_who_lies_there(config: Config) -> None:
    life = guarded(load(local=None, overrides={"device": {"exercise": "lunges"}}))
    life.press()
    life.posture = Posture.DOWN
    life.press()
    life.live(3)
    assert life.verdicts[-1].exercise == "lunges", "the next is everyday wear, in which lying is no alarm"
    life.live(7)
    assert life.state is State.DOWN


def test_three_presses_end_the_session_and_change_no_exercise(config: Config) -> None:
    life = guarded(config)
    for _ in range(3):
        life.press()
    life.live(5)
    assert life.state is State.OFF
    assert life.events[-1].event_type == "session_ended"
    assert life.events[-1].evidence["reason"] == "three_presses"
    assert "exercise_changed" not in life.told


def test_one_press_and_a_hold_call_for_help_and_change_no_exercise(config: Config) -> None:
    life = guarded(config)
    life.press()
    life.press(2.2)
    assert life.state is State.FALLEN
    assert life.verdicts[-1].exercise == "walk"


def test_exercise_set_while_off_begins_no_session(config: Config) -> None:
    life = guarded(config)
    for _ in range(3):
        life.press()
    life.tick(commands=[_command("exercise", value="lunges")])
    assert life.verdicts[-1].session is None
    assert life.told[-1] == "exercise_changed"
    life.live(1)
    assert life.verdicts[-1].training is None


def test_locate_and_test_are_heard(config: Config) -> None:
    life = guarded(config)
    begun = len(life.verdicts)
    life.tick(commands=[_command("locate"), _command("test")])
    life.live(5)
    assert life.heard(begun) == ["locate", "test"]
    assert life.told[-1] == "test"


def test_an_asked_for_test_is_told_with_the_command_that_asked_for_it(config: Config) -> None:
    life = guarded(config)
    life.tick(commands=[_command("test")])
    assert life.events[-1].evidence == {"command": "c-test"}


def test_events_are_numbered_from_one_without_a_gap(config: Config) -> None:
    life = guarded(config)
    life.tick(firing=True)
    life.lie_until_fallen()
    double(life)
    assert [(event.id, event.seq) for event in life.events] == [(f"inst-1-{seq}", seq) for seq in range(1, len(life.events) + 1)]


UNSEEN = Gap()


def behind(obstacle: Obstacle, gap: Gap = UNSEEN, *, near: bool = False, sounding: bool = True, warning: str = "") -> Behind:
    """What is behind, as told to the policy."""
    return Behind(obstacle, gap, near, straighten_up=False, sounding=sounding, warning=warning)


@pytest.mark.parametrize(
    ("what", "sound"),
    [
        (behind(Obstacle.CAUTION, Gap(1.8, 0.8, 2.25, 0)), "caution"),
        (behind(Obstacle.CAUTION, Gap(1.79, 0.8, 2.24, 0)), "caution_fast"),
        (behind(Obstacle.CAUTION, Gap(1.8, 0.0, None, 0)), "caution"),
        (behind(Obstacle.CAUTION, Gap(1.8, 0.8, 2.0, 0), warning="off_end"), "off_end"),
        (behind(Obstacle.STOP, Gap(1.1, 0.8, 1.4, 0)), "stop"),
        (behind(Obstacle.STOP, Gap(1.1, 0.8, 1.4, 0), warning="no_room"), "no_room"),
        (behind(Obstacle.STOP, Gap(0.4, 0.8, 0.5, 0), near=True, warning="no_room"), "near"),
        (behind(Obstacle.STOP, Gap(1.1, 0.8, 1.4, 0), sounding=False), None),
        (behind(Obstacle.CLEAR, Gap(3.0, 0.0, None, 0)), None),
    ],
)
def test_the_warning_heard_is_that_of_what_is_behind(config: Config, what: Behind, sound: str | None) -> None:
    life = guarded(config)
    life.behind = what
    verdict = life.tick()
    assert (verdict.alert.sound if verdict.alert else None) == sound
    assert (verdict.obstacle, verdict.gap) == (what.obstacle, what.gap)


@pytest.mark.parametrize(
    ("what", "evidence"),
    [
        (behind(Obstacle.STOP, Gap(0.6, 0.5, 1.2, 0)), {"closing_m_s": 0.5, "distance_m": 0.6, "ttc_s": 1.2}),
        (behind(Obstacle.STOP, Gap(0.3, 0.0, None, 0), near=True), {"closing_m_s": 0.0, "distance_m": 0.3}),
        (behind(Obstacle.STOP, Gap(), warning="off_end_now"), {"closing_m_s": 0.0, "warning": "off_end_now"}),
    ],
)
def test_an_obstacle_is_told_with_what_is_known_of_it(config: Config, what: Behind, evidence: Evidence) -> None:
    life = guarded(config)
    life.behind = what
    (told,) = life.tick().events
    assert (told.event_type, told.evidence) == ("obstacle", evidence)


@pytest.mark.parametrize(("ticks", "told"), [(1000, 2), (999, 1)])
def test_the_next_obstacle_is_told_ten_seconds_after_the_last_to_the_tick(config: Config, ticks: int, told: int) -> None:
    life = guarded(config)
    for what in [*[behind(Obstacle.STOP)] * 5, *[behind(Obstacle.CLEAR)] * (ticks - 5), *[behind(Obstacle.STOP)] * 5]:
        life.behind = what
        life.tick()
    assert life.told.count("obstacle") == told


def test_each_tick_tells_all_of_the_motion_and_without_a_motion_sensor_only_what_is_counted(config: Config) -> None:
    life = guarded(config)
    rep = Rep(2, 4_000_000_000, "right", 0.31, 1.1, 0.9)
    life.walking, life.steps, life.cadence, life.direction, life.lean_cos = True, 12, 105.0, Direction.BACKWARD, 0.9
    life.quality, life.reps, life.charge = Quality(0.7, 5.0, 0.8, 0.95, 2.5, -3.5), Reps(4, 1, 2, rep), 0.55
    counted = (5.0, 0.8, 0.95, 2.5, -3.5, 4, 1, 2, rep)
    verdict = life.tick()
    assert verdict.motion == Motion(Posture.UPRIGHT, 0.9, True, 12, 105.0, Direction.BACKWARD, 0.7, *counted)
    assert verdict.charge == 0.55
    life.imu_ok = False
    assert life.tick().motion == Motion(Posture.UNKNOWN, None, False, 12, 0.0, Direction.UNKNOWN, 0.0, *counted)


def test_stop_publishes_one_obstacle_event_in_ten_seconds(config: Config) -> None:
    life = guarded(config)
    stop = Behind(obstacle=Obstacle.STOP, gap=Gap(0.6, 0.5, 1.2, 0), near=False, straighten_up=False, sounding=True)
    clear = life.behind
    for _ in range(12):
        life.behind = stop
        life.live(0.5)
        life.behind = clear
        life.live(0.5)
    assert life.told.count("obstacle") == 2


def test_each_fault_is_told_once_and_once_when_it_is_gone(config: Config) -> None:
    life = guarded(config)
    for _ in range(5):  # a fault that flickers was never gone
        life.faults = (Fault("link_down", "no broker"),)
        life.live(1)
        life.faults = ()
        life.live(1)
    life.live(3)
    assert life.told.count("fault") == 1
    assert life.told.count("fault_cleared") == 1


def test_a_fault_is_told_with_its_detail_and_as_gone_two_seconds_after_it_was_last_there(config: Config) -> None:
    life = guarded(config)
    life.faults = (Fault("link_down", "no broker"),)
    life.live(1)
    life.faults = ()
    life.live(1.98)
    assert [(event.event_type, event.evidence) for event in life.events[1:]] == [("fault", {"fault": "link_down", "detail": "no broker"})]
    assert life.tick().events == ()
    assert [(event.event_type, event.evidence) for event in life.tick().events] == [("fault_cleared", {"fault": "link_down"})]


@pytest.mark.parametrize(("detail", "event_type"), [("charge", "battery_low"), ("undervoltage", "fault")])
def test_an_empty_battery_has_an_event_of_its_own_and_a_bad_cable_has_not(config: Config, detail: str, event_type: str) -> None:
    life = guarded(config)
    life.faults = (Fault("supply_low", detail),)
    (told,) = life.tick().events
    assert (told.event_type, told.evidence) == (event_type, {"fault": "supply_low", "detail": detail})


def test_fault_that_flickers_is_heard_as_often_as_one_that_stands(config: Config) -> None:
    life = guarded(config)
    life.live(3)
    begun = len(life.verdicts)
    for _ in range(36):
        life.faults = (Fault("echo_silent", "loose wire"),)
        life.live(0.1)
        life.faults = ()
        life.live(0.15)
    assert life.heard(begun) == ["echo_silent"], "once in nine seconds, and to its end"


def test_faults_are_named_the_most_urgent_first(config: Config) -> None:
    life = guarded(config)
    life.faults = (Fault("loop_late"), Fault("clock_unsynced"), Fault("bus_hung"), Fault("imu_silent"), Fault("bus_hung", "again"))
    assert life.tick().faults == ("imu_silent", "bus_hung", "loop_late", "clock_unsynced")


@pytest.mark.parametrize("name", contract.FAULTS)
def test_every_fault_is_heard_within_half_a_second_while_guarding(config: Config, name: str) -> None:
    life = guarded(config)
    life.live(5)
    life.faults = (Fault(name),)
    begun = len(life.verdicts)
    life.live(0.5)
    assert name in life.heard(begun)
    assert life.verdicts[-1].faults == (name,)


def test_several_faults_are_all_heard_in_turn(config: Config) -> None:
    life = guarded(config)
    life.faults = tuple(Fault(name) for name in contract.FAULTS)
    begun = len(life.verdicts)
    life.live(120)
    assert set(contract.FAULTS) <= set(life.heard(begun))


def test_every_state_has_a_row_and_every_told_event_a_severity() -> None:
    assert {state for row in TRANSITIONS for state in row.states} == set(State)
    for row in TRANSITIONS:
        assert not row.event or row.event in contract.EVENTS, row.when
        assert not row.sound or row.sound in CONFIG.sounds, row.when
        assert "coach_" not in row.sound, "what the states say is no cue"
        assert row.states, row.when
    assert len({row.when for row in TRANSITIONS}) >= len(TRANSITIONS) - 2, "a row says when in words of its own"


Steps = list[tuple[int, dict[str, Any]]]  # for so many ticks with this so, from the first of them on; blows and commands: in it alone

HELD, LET_GO, TORN, UNSETTLED = {"button": True}, {"button": False}, {"imu_ok": False}, {"imu_ok": True, "settled": False}
LIES, LEANS, STANDS, UNKNOWN = ({"posture": posture} for posture in (Posture.DOWN, Posture.LEANING, Posture.UPRIGHT, Posture.UNKNOWN))
WALKS, STILL = {**STANDS, "walking": True, "moving": True}, {"moving": False}
FIRES, BLOW = {"firing": True}, {"impact": True}

REACHED: dict[str, Steps] = {
    "OFF": [(200, {}), *[(20, HELD), (20, LET_GO)] * 3],
    "SETTLING": [(200, {}), (1, TORN), (500, UNSETTLED)],
    "GUARDING": [(200, {})],
    "IMMINENT": [(200, {}), (1, FIRES)],
    "DOWN": [(200, {}), (1, BLOW), (1, LIES)],
    "FALLEN": [(200, {}), (1, BLOW), (2001, LIES)],
}


def lived(config: Config, state: str, steps: Steps) -> Life:
    """A life up to the tick in which it reaches a state, and on from there."""
    life = Life(config)
    for ticks, now in [*REACHED[state], *steps]:
        alarm = life.verdicts[-1].alarm if life.verdicts else None
        for name in now.keys() - {"impact", "firing", "command"}:
            setattr(life, name, now[name])
        commands = [_command(now["command"], alarm.id if alarm else None)] if "command" in now else []
        life.tick(impact=now.get("impact", False), firing=now.get("firing", False), commands=commands)
        for _ in range(ticks - 1):
            life.tick()
    return life


# the states, and what happens there up to the tick in which the row is taken; its words, where it leads ("": it stays), the event, the
# evidence beside the words, the sound of that tick
TELLING: list[tuple[str, Steps, str, str, str, dict[str, Any], str]] = [
    ("OFF SETTLING GUARDING IMMINENT", [(201, HELD)],
     "button held 2 s", "FALLEN", "sos", {"posture": "upright", "no_body_motion": False}, "fall"),
    ("DOWN", [(201, HELD)],
     "button held 2 s", "FALLEN", "sos", {"posture": "down", "no_body_motion": False}, "fall"),
    ("SETTLING GUARDING", [(1, BLOW), (299, {}), (1, LIES)],
     "impact, then not upright within 3 s", "DOWN", "fall_suspected",
     {"impact_g": 4.0, "impact_age_s": 3.0, "not_upright_s": 0.0}, "countdown"),
    ("SETTLING GUARDING", [(1001, LIES)],
     "not upright for lying_s: the soft collapse", "DOWN", "fall_suspected", {"not_upright_s": 10.0}, "countdown"),
    ("GUARDING", [(1, BLOW), (199, {}), (1, TORN)],
     "IMU fault right after an impact: a torn wire is evidence", "DOWN", "fall_suspected",
     {"impact_g": 4.0, "impact_age_s": 2.0}, "countdown"),
    ("SETTLING", [(1, {"settled": True})],
     "IMU fresh, settled, upright", "GUARDING", "guarding", {}, "guarding"),
    ("FALLEN", [(1, {"command": "clear"}), (1000, LEANS)],
     "not guarding for 10 s within a session", "SETTLING", "not_guarding", {}, "not_guarding"),
    ("GUARDING", [(1, TORN)],
     "IMU fault", "SETTLING", "not_guarding", {}, "imu_silent"),
    ("SETTLING GUARDING", [(6000, STILL)],
     "not worn: no motion above sensor noise, breathing included", "OFF", "not_worn",
     {"posture": "upright", "motionless_s": 60.0}, "session_ended"),
    ("IMMINENT", [(1, LIES)],
     "not upright", "DOWN", "fall_suspected", {"not_upright_s": 0.0}, "countdown"),
    ("IMMINENT", [(1, TORN)],
     "IMU fault", "DOWN", "fall_suspected", {}, "countdown"),
    ("IMMINENT", [(100, WALKS)],
     "upright and walking 1 s after the score fell", "GUARDING", "near_fall", {}, "near_fall"),
    ("IMMINENT", [(1, BLOW), (299, {})],
     "impact and no walking within 3 s", "DOWN", "fall_suspected", {"impact_g": 4.0, "impact_age_s": 2.99}, "countdown"),
    ("IMMINENT", [(301, LEANS)],
     "3 s over, and not upright in all of them: slumped, or on hands and knees", "DOWN", "fall_suspected", {}, "countdown"),
    ("IMMINENT", [(300, {})],
     "3 s over, upright, no impact", "GUARDING", "near_fall", {}, "near_fall"),
    ("DOWN FALLEN", [(1, {"command": "clear"})],
     "caregiver's clear naming this alarm", "SETTLING", "cleared", {"command": "c-clear"}, "cleared"),
    ("DOWN FALLEN", [(1, {"command": "ack"})],
     "caregiver's ack naming this alarm", "", "acknowledged", {"command": "c-ack"}, "acknowledged"),
    ("DOWN", [(199, {}), (100, HELD), (1, LET_GO)],
     "a short press begun 2 s after DOWN", "GUARDING", "cancelled", {}, "cancelled"),
    ("DOWN", [(301, WALKS)],
     "upright and walking 3 s", "GUARDING", "cancelled", {}, "cancelled"),
    ("DOWN", [(1800, {}), (200, STILL)],
     "countdown over", "FALLEN", "fall", {"posture": "down", "no_body_motion": True}, "fall"),
    ("DOWN", [(1801, {}), (199, STILL)],
     "countdown over", "FALLEN", "fall", {"posture": "down", "no_body_motion": False}, "fall"),
    ("FALLEN", [(201, HELD)],
     "released, then held 2 s, not upright or posture unknown", "", "sos", {"posture": "down", "no_body_motion": False}, "fall"),
    ("FALLEN", [(1, STANDS), (500, HELD), (1, LET_GO)],
     "released, then held 5 s, upright throughout", "SETTLING", "cleared", {}, "cleared"),
    ("FALLEN", [(1, UNKNOWN), (500, HELD), (2500, LET_GO), (500, HELD), (1, LET_GO)],
     "posture unknown: two separate 5 s holds within 30 s", "SETTLING", "cleared", {}, "cleared"),
    ("FALLEN", [(60000, {})],
     "still not upright after long_lie_s, repeated", "", "long_lie", {"posture": "down", "no_body_motion": False}, "fall"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "steps", "rule", "to", "event_type", "evidence", "sound"),
    [pytest.param(state, *row[1:], id=f"{state}: {row[2]}") for row in TELLING for state in row[0].split()],
)
def test_each_row_that_tells_does_so_in_its_tick(
    config: Config, state: str, steps: Steps, rule: str, to: str, event_type: str, evidence: dict[str, Any], sound: str
) -> None:
    life = lived(config, state, steps)
    before, verdict = life.verdicts[-2:]
    told = next(event for event in verdict.events if event.event_type == event_type)
    assert told == Event(f"inst-1-{told.seq}", told.seq, event_type, verdict.t_ns, "walk", {"rule": rule, **evidence})
    assert verdict.state == (to or before.state)
    assert verdict.alert is not None
    assert verdict.alert.sound == sound
    alarm = before.alarm or Alarm(told.id, event_type, told.t_ns)
    alarm = replace(alarm, acknowledged=True) if event_type == "acknowledged" else replace(alarm, told=told)
    assert verdict.alarm == (alarm if verdict.state in ALARM else None)


THRICE = [(20, HELD), (20, LET_GO), (20, HELD), (20, LET_GO), (20, HELD), (1, LET_GO)]


@pytest.mark.parametrize("state", ["SETTLING", "GUARDING", "IMMINENT"])
@pytest.mark.parametrize(
    ("steps", "reason", "sounds"), [([(1, {"command": "power_off"})], "power_off", []), (THRICE, "three_presses", ["session_ended"])]
)
def test_switching_off_ends_the_session_in_its_tick(config: Config, state: str, steps: Steps, reason: str, sounds: list[str]) -> None:
    life = lived(config, state, steps)
    before, verdict = life.verdicts[-2:]
    assert before.session is not None
    assert (before.state, verdict.state, verdict.session) == (state, "OFF", None)
    (told,) = verdict.events
    assert (told.event_type, told.evidence["reason"], told.evidence["session"]) == ("session_ended", reason, before.session.id)
    begun = len(life.verdicts)
    life.live(1)
    assert life.heard(begun) == sounds


@pytest.mark.parametrize(
    ("state", "steps"),
    [("OFF", [(70, HELD), (1, LET_GO)]), ("GUARDING", [(6000, STILL), (301, WALKS)])],
    ids=["short press", "after not worn: walking upright 3 s"],
)
def test_who_is_off_begins_anew_in_the_tick_of_a_short_press_or_once_worn_again(config: Config, state: str, steps: Steps) -> None:
    life = lived(config, state, steps)
    assert [verdict.state for verdict in life.verdicts[-2:]] == ["OFF", "SETTLING"]
    assert life.verdicts[-1].events == ()
    life.tick()
    assert life.state is State.GUARDING
    (told,) = life.verdicts[-1].events
    assert (told.event_type, told.evidence) == ("session_started", {"rule": "IMU fresh, settled, upright"})


@pytest.mark.parametrize(
    ("state", "steps", "to"),
    [
        ("OFF", [(71, HELD), (3, LET_GO)], "OFF"),
        ("OFF", [(400, WALKS)], "OFF"),
        ("GUARDING", [(6000, STILL), (250, WALKS), (1, LEANS), (250, STANDS)], "OFF"),
        ("GUARDING", [(200, HELD), (1, LET_GO)], "GUARDING"),
        ("GUARDING", [(1, BLOW), (300, {}), (20, LIES)], "GUARDING"),
        ("GUARDING", [(1, BLOW), (200, {}), (20, TORN)], "SETTLING"),
        ("GUARDING", [(600, LIES), (1, LEANS), (1000, LIES)], "GUARDING"),
        ("GUARDING", [(5000, STILL), (1, {"moving": True}), (5999, STILL)], "GUARDING"),
        ("IMMINENT", [(99, WALKS), (1, FIRES), (99, {})], "IMMINENT"),
        ("IMMINENT", [(99, WALKS), (1, {"walking": False}), (50, {})], "IMMINENT"),
        ("DOWN", [(198, {}), (100, HELD), (20, LET_GO)], "DOWN"),
        ("DOWN", [(199, {}), (101, HELD), (20, LET_GO)], "DOWN"),
        ("DOWN", [(200, WALKS), (1, LEANS), (300, STANDS)], "DOWN"),
        ("FALLEN", [(1, STANDS), (499, HELD), (20, LET_GO)], "FALLEN"),
        ("FALLEN", [(1, STANDS), (1000, HELD), (20, LET_GO)], "FALLEN"),
        ("FALLEN", [(1, STANDS), (999, HELD), (2, LET_GO)], "GUARDING"),
        ("FALLEN", [(1, STANDS), (300, HELD), (1, LEANS), (299, STANDS), (20, LET_GO)], "FALLEN"),
        ("FALLEN", [(1, UNKNOWN), (500, HELD), (2501, LET_GO), (500, HELD), (20, LET_GO)], "FALLEN"),
        ("FALLEN", [(1, UNKNOWN), (499, HELD), (20, LET_GO), (500, HELD), (20, LET_GO)], "FALLEN"),
        ("FALLEN", [(1, UNKNOWN), (1000, HELD), (20, LET_GO), (500, HELD), (20, LET_GO)], "FALLEN"),
        ("FALLEN", [(1, UNKNOWN), (999, HELD), (20, LET_GO), (999, HELD), (1, LET_GO)], "SETTLING"),
        ("DOWN", [(1998, STANDS), (502, HELD), (20, LET_GO)], "FALLEN"),
        ("DOWN", [(1999, STANDS), (501, HELD), (2, LET_GO)], "GUARDING"),
    ],
)  # fmt: skip
def test_a_row_is_not_taken_a_tick_too_early_or_for_part_of_its_reason(config: Config, state: str, steps: Steps, to: str) -> None:
    assert lived(config, state, steps).state == to


def test_only_a_person_leaves_fallen() -> None:
    leaving = [row for row in TRANSITIONS if State.FALLEN in row.states and row.to not in (None, State.FALLEN)]
    assert len(leaving) == 3
    assert all(row.event == "cleared" for row in leaving)


happening = st.fixed_dictionaries({
    "posture": st.sampled_from(Posture), "settled": st.booleans(), "walking": st.booleans(), "moving": st.booleans(),
    "imu_ok": st.booleans(),    "button": st.booleans(), "impact": st.booleans(), "firing": st.booleans(), "ticks": st.integers(1, 2500),
    "command": st.sampled_from(["", "ack", "clear", "exercise", "dose", "locate", "test", "power_off"]),
    "named": st.booleans(), "fault": st.sampled_from(["", *contract.FAULTS]),
})  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(happening, max_size=12))
def test_whatever_happens_nothing_raises_and_an_open_alarm_is_never_silent(what: list[dict]) -> None:  # type: ignore[type-arg]
    life = Life(CONFIG)
    for now in what:
        for key in ("posture", "settled", "walking", "moving", "imu_ok", "button"):
            setattr(life, key, now[key])
        life.faults = (Fault(now["fault"]),) if now["fault"] else ()
        alarm = life.verdicts[-1].alarm if life.verdicts else None
        commands = [Command(now["command"], "c", alarm.id if alarm and now["named"] else None, "walk")] if now["command"] else []
        life.tick(impact=now["impact"], firing=now["firing"], commands=commands)
        for _ in range(now["ticks"]):
            life.tick()
    for verdict in life.verdicts:
        assert (verdict.state in ALARM) == (verdict.alarm is not None)
        if verdict.state in ALARM:
            assert verdict.alert is not None
        for event in verdict.events:
            assert event.event_type in contract.EVENTS
    ids = [event.id for event in life.events]
    assert len(set(ids)) == len(ids)
