"""The space behind in each exercise: risers, a treadmill's console and open end, room for a lunge, and running too fast for the ranger."""

import itertools
import math
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from guardian.config import ConfigError, load
from guardian.frame import Echo
from guardian.monitor.gait import Stride
from guardian.monitor.obstacle import Behind, ObstacleMemory, ObstacleRule
from guardian.verdict import Direction, Obstacle
from tests.monitor.life import CLEAR as NOTHING
from tests.monitor.life import guarded
from tests.monitor.test_obstacle import BACKWARD, CONFIG, Pings, pose, sound_rule

CLEAR, CAUTION, STOP, UNKNOWN = Obstacle.CLEAR, Obstacle.CAUTION, Obstacle.STOP, Obstacle.UNKNOWN
RUN, STAIRS, TREADMILL, LUNGES = (CONFIG.exercises[name] for name in ("run", "stairs", "treadmill", "lunges"))
STANDS = Stride(walking=False, direction=Direction.STILL)
FORWARD = Stride(walking=True, direction=Direction.FORWARD)
PER_S = 15  # pings


def seconds(distance: float | None, for_s: float) -> list[float | None]:
    """The same distance for so long."""
    return [distance] * round(for_s * PER_S)


def way(start: float, end: float, for_s: float) -> list[float | None]:
    """From one distance to another, evenly."""
    n = round(for_s * PER_S)
    return [start + (end - start) * k / n for k in range(1, n + 1)]


def excursion(start: float, nearer_m: float, there_s: float, stay_s: float) -> list[float | None]:
    """A lunge as the ranger sees it: minimum-jerk nearer, a hold, and back."""
    steps = [k / (there_s * PER_S) for k in range(1, round(there_s * PER_S) + 1)]
    path = [nearer_m * u * u * u * (10 - u * (15 - 6 * u)) for u in steps]
    return [start - p for p in path] + seconds(start - nearer_m, stay_s) + [start - p for p in reversed(path)]


def warned(said: list[Behind]) -> bool:
    return any(behind.obstacle in (CAUTION, STOP) for behind in said)


# --- running --------------------------------------------------------------------------------------------------------------------------


def at_speed(speed_m_s: float, *distances: float | None, stride: Stride | None = BACKWARD, exercise: Any = RUN, rule: Any = None) -> Any:
    """Pings heard by somebody whose gait tells that speed; the rule, and what it said."""
    rule = rule or sound_rule()
    start = (rule.memory.ping_ns or 0) // 66_667_000
    said = []
    for n, d in enumerate(distances, start + 1):
        echo = Echo(n * 66_667_000, n, d, "nothing" if d is None else "echo")
        said.append(rule.step(echo.t_ns + 30_000_000, echo, None, stride, exercise, True, speed_m_s))
    return rule, said


def test_running_faster_than_the_ranger_covers_is_said_and_open_space_is_then_unknown() -> None:
    _, said = at_speed(2.4, *seconds(None, 4))
    first = next(k for k, behind in enumerate(said) if behind.blind == "too_fast")
    assert 1.0 <= first / PER_S <= 1.2
    assert {b.obstacle for b in said[3:first]} == {CLEAR}
    assert all(b.obstacle is UNKNOWN and b.blind == "too_fast" and not b.sounding for b in said[first:])


def test_running_within_the_range_is_not_too_fast() -> None:
    _, said = at_speed(1.9, *seconds(None, 4))
    assert {(b.obstacle, b.blind) for b in said[3:]} == {(CLEAR, "")}


def test_slowing_a_little_does_not_make_too_fast_flap_and_slowing_down_ends_it() -> None:
    rule, _ = at_speed(2.4, *seconds(None, 3))
    rule, said = at_speed(1.8, *seconds(None, 2), rule=rule)
    assert {b.blind for b in said} == {"too_fast"}
    rule, said = at_speed(1.5, *seconds(None, 2), rule=rule)
    assert {(b.obstacle, b.blind) for b in said} == {(CLEAR, "")}


def test_a_burst_of_a_few_steps_is_not_said() -> None:
    rule, said = at_speed(2.4, *seconds(None, 0.8))
    rule, after = at_speed(1.0, *seconds(None, 1), rule=rule)
    rule, again = at_speed(2.4, *seconds(None, 0.8), rule=rule)
    assert not any(b.blind for b in said + after + again)


def test_running_forward_has_nothing_to_do_with_what_is_behind() -> None:
    _, said = at_speed(3.0, *seconds(None, 4), stride=FORWARD)
    assert not any(b.blind for b in said)
    assert said[-1].obstacle is CLEAR


def test_a_wall_ahead_of_a_fast_runner_is_a_warning_and_not_a_reminder() -> None:
    _, said = at_speed(2.4, *seconds(None, 3), *way(4.0, 0.6, 3.4 / 2.4))
    stops = [b for b in said if b.obstacle is STOP]
    assert stops
    assert not any(b.blind for b in stops)


def test_the_ranger_measures_speed_better_than_steps_do() -> None:
    closing = way(4.0, 2.0, 2.0)  # 1 m/s; the gait believes 2.4
    _, said = at_speed(2.4, *closing)
    assert not any(b.blind for b in said)


@pytest.mark.parametrize("exercise", ["stairs", "treadmill", "lunges"])
def test_too_fast_is_not_said_where_nothing_far_behind_matters(exercise: str) -> None:
    _, said = at_speed(3.0, *seconds(None, 4), exercise=CONFIG.exercises[exercise])
    assert not any(b.blind == "too_fast" for b in said)


# --- stairs ---------------------------------------------------------------------------------------------------------------------------


def risers(first_m: float, tread_m: float, steps: int) -> list[float | None]:
    """Climbing up backward, a step in 1.2 s: the riser in the beam comes nearer by a tread and drops out, the next is seen."""
    return [d for _ in range(steps) for d in way(first_m + tread_m, first_m, 1.2)]


def test_risers_that_come_nearer_one_by_one_are_expected() -> None:
    said = Pings(exercise=STAIRS).hear(*risers(0.9, 0.3, 10))
    assert not warned(said)


def test_somebody_on_the_stairs_behind_is_warned_of_and_then_stopped_for() -> None:
    said = Pings(exercise=STAIRS).hear(*risers(0.95, 0.3, 4), *way(0.95, 0.3, 2.6))
    answers = [b.obstacle for b in said[72:]]
    assert CAUTION in answers
    first_stop = next(b for b in said if b.obstacle is STOP)
    assert 0.28 < (first_stop.gap.distance_m or 0.0) < 0.45
    assert not warned(said[:72])


def test_a_single_ghost_among_the_risers_is_nothing() -> None:
    for ghost in (0.68, 0.5, 0.3, 0.2, 0.05):
        path = [ghost if k % 11 == 7 else d for k, d in enumerate(risers(0.95, 0.3, 20))]
        assert not warned(Pings(exercise=STAIRS).hear(*path)), ghost


def test_a_riser_that_drops_out_of_the_beam_is_not_carried_on_into_the_wearer() -> None:
    pings = Pings(exercise=STAIRS)
    pings.hear(*way(1.4, 0.85, 0.55))  # a quick step, 1 m/s
    assert not warned(pings.hear(*seconds(None, 1)))


def test_a_wall_on_the_landing_is_no_obstacle_to_who_stands_or_turns_there() -> None:
    said = Pings(exercise=STAIRS, stride=STANDS).hear(*seconds(None, 1), *seconds(0.6, 3), *way(0.6, 0.5, 4), *seconds(0.5, 3))
    assert not warned(said)


def test_going_down_backward_with_nothing_behind_is_clear() -> None:
    said = Pings(exercise=STAIRS).hear(*seconds(None, 5))
    assert {b.obstacle for b in said[2:]} == {CLEAR}


def test_leaning_back_brings_the_risers_nearer_and_they_are_expected_there() -> None:
    lean = pose(0, 12.0)
    steepest_m = 0.95 / (math.sin(math.radians(27)) + 0.75 * math.cos(math.radians(27)))
    pings = Pings(exercise=STAIRS, pose=lean)
    assert not warned(pings.hear(*risers(steepest_m * 0.8, 0.26, 6)))


def riser_limit_m(lean_deg: float) -> float:
    """Nearer than any riser of the steepest stairs can be, to whom leans back by so much."""
    beam = math.radians(lean_deg + 15.0)
    return CONFIG.obstacle.riser_share * 0.95 / (math.sin(beam) + CONFIG.obstacle.riser_slope * math.cos(beam))


@pytest.mark.parametrize("short_m", [0.002, -0.002], ids=["nearer", "farther"])
@pytest.mark.parametrize(("lean_deg", "trusted"), [(12.0, True), (0.0, True), (-20.0, True), (12.0, False)])
def test_a_thing_on_the_stairs_is_told_at_the_third_ping_nearer_than_a_riser_can_be(lean_deg: float, trusted: bool, short_m: float) -> None:
    limit_m, step_m = riser_limit_m(lean_deg if trusted else 0.0), 0.04
    first_m = limit_m - short_m  # the third, 8 cm on, is not yet near
    path = [first_m + step_m * (12 - k) for k in range(17)]
    said = Pings(exercise=STAIRS, pose=replace(pose(0, lean_deg), trusted=trusted)).hear(*path)
    inside = next(k for k, d in enumerate(path) if d < limit_m)
    assert inside == (12 if short_m > 0.0 else 13)
    assert not warned(said[: inside + 2])
    assert all(b.obstacle in (CAUTION, STOP) and b.sounding for b in said[inside + 2 :])


def test_upright_is_taken_where_the_pitch_is_not_known_on_stairs() -> None:
    path = [1.2 - 0.04 * k for k in range(18)]
    assert Pings(exercise=STAIRS, pose=None).hear(*path) == Pings(exercise=STAIRS, pose=pose(0, 0.0)).hear(*path)


def test_a_warning_on_the_stairs_ends_a_little_beyond_its_limit() -> None:
    farthest_m, release_m = riser_limit_m(0.0) - 0.005, CONFIG.obstacle.near_release_m
    comes = [farthest_m + 0.02 * (10 - k) for k in range(13)]
    leans = [k / 100 for k in range(1200)]  # leaning back brings the limit nearer
    first_out = next(lean for lean in leans if riser_limit_m(lean) + release_m < farthest_m)
    assert riser_limit_m(first_out - 1.0) < farthest_m, "as long as it is told, a little more is"
    for lean_deg, told in ((first_out - 0.05, True), (first_out + 0.05, False)):
        pings = Pings(exercise=STAIRS, pose=pose(0, 0.0))
        assert pings.hear(*comes)[-1].obstacle is CAUTION
        pings.arguments["pose"] = pose(0, lean_deg)
        assert warned([pings.step(later_s=0.01)]) is told
        pings.arguments["pose"] = pose(0, first_out - 0.05)
        assert warned([pings.step(later_s=0.02)]) is told, "once it has ended, the limit holds"


# --- treadmill ------------------------------------------------------------------------------------------------------------------------


def test_a_steady_place_on_the_belt_is_clear_however_fast_the_belt_runs() -> None:
    wanders: list[float | None] = [0.8 + 0.12 * math.sin(k / PER_S / 1.6) for k in range(60 * PER_S)]
    said = Pings(exercise=TREADMILL).hear(*seconds(0.8, 3), *wanders)
    assert {b.obstacle for b in said[2:]} == {CLEAR}
    assert not any(b.warning or b.blind for b in said)


def test_drifting_into_the_console_is_caution_and_then_stop() -> None:
    said = Pings(exercise=TREADMILL).hear(*seconds(0.9, 15), *way(0.9, 0.4, 12))
    changes = [(b.obstacle, round(b.gap.distance_m or 0, 2)) for a, b in itertools.pairwise(said) if a.obstacle is not b.obstacle]
    assert [answer for answer, _ in changes] == [CLEAR, CAUTION, STOP]
    assert changes[1][1] == pytest.approx(0.55, abs=0.02)
    assert changes[2][1] == pytest.approx(0.45, abs=0.02)
    assert all(b.sounding and not b.warning for b in said if b.obstacle is not CLEAR and b.obstacle is not UNKNOWN)


def test_drifting_off_the_open_end_has_a_sound_of_its_own() -> None:
    said = Pings(exercise=TREADMILL).hear(*seconds(0.8, 15), *way(0.8, 1.4, 15), *seconds(1.4, 5))
    heard = [b.warning for a, b in itertools.pairwise(said) if a.warning != b.warning]
    assert heard == ["off_end", "off_end_now"]
    assert said[-1].sounding, "as long as the wearer walks there"


def test_a_place_kept_on_purpose_goes_quiet() -> None:
    said = Pings(exercise=TREADMILL).hear(*seconds(0.9, 15), *way(0.9, 0.5, 8), *seconds(0.5, 8))
    assert any(b.sounding for b in said)
    assert said[-1].obstacle is CAUTION
    assert not said[-1].sounding


def test_whoever_comes_back_to_their_place_is_clear_again() -> None:
    said = Pings(exercise=TREADMILL).hear(*seconds(0.9, 15), *way(0.9, 1.3, 8), *way(1.3, 0.95, 5))
    assert warned(said)
    assert (said[-1].obstacle, said[-1].warning, said[-1].sounding) == (CLEAR, "", False)


def test_a_belt_with_no_console_behind_is_unknown_and_that_is_said() -> None:
    for behind_m in (None, 2.5):
        said = Pings(exercise=TREADMILL).hear(*seconds(behind_m, 4))
        assert {b.obstacle for b in said[2:]} == {UNKNOWN}
        first = next(k for k, b in enumerate(said) if b.blind)
        assert 2.0 <= first / PER_S <= 2.3
        assert said[-1].blind == "no_reference"


def test_standing_beside_the_belt_nothing_is_said() -> None:
    said = Pings(exercise=TREADMILL, stride=STANDS).hear(*seconds(None, 10))
    assert not any(b.blind for b in said)
    assert said[-1].obstacle is UNKNOWN


def test_after_a_long_stop_the_place_is_measured_anew() -> None:
    pings = Pings(exercise=TREADMILL)
    pings.hear(*seconds(0.9, 15))
    pings.arguments["stride"] = STANDS
    pings.hear(*way(0.9, 0.5, 5), *seconds(0.5, 21))
    pings.arguments["stride"] = BACKWARD
    assert not warned(pings.hear(*seconds(0.5, 15)))
    assert warned(pings.hear(*way(0.5, 0.9, 8)))


def test_a_short_stop_changes_no_place() -> None:
    pings = Pings(exercise=TREADMILL)
    pings.hear(*seconds(0.9, 15))
    pings.arguments["stride"] = STANDS
    pings.hear(*seconds(0.9, 8))
    pings.arguments["stride"] = BACKWARD
    assert warned(pings.hear(*way(0.9, 0.5, 8)))


def test_another_exercise_and_back_measures_anew() -> None:
    pings = Pings(exercise=TREADMILL)
    pings.hear(*seconds(0.9, 15))
    pings.arguments["exercise"] = CONFIG.exercises["walk"]
    pings.hear(*way(0.9, 1.4, 2))
    pings.arguments["exercise"] = TREADMILL
    assert not warned(pings.hear(*seconds(1.4, 15)))
    assert pings.rule.memory.drift.console_m == pytest.approx(1.4, abs=0.01)


def test_the_console_within_reach_is_near_wherever_the_walk_began() -> None:
    said = Pings(exercise=TREADMILL).hear(*seconds(0.5, 15), *way(0.5, 0.2, 8))
    assert said[-1].near
    assert said[-1].warning == ""


def test_ghosts_neither_move_the_place_nor_cry_drift() -> None:
    path = [d if k % 9 else ghost for k, (d, ghost) in enumerate(zip(seconds(0.8, 60), [0.3, 1.3, 2.2, 0.05] * 225, strict=True))]
    said = Pings(exercise=TREADMILL).hear(*path)
    assert not warned(said)


def test_a_console_that_is_seen_anew_is_judged_once_a_step_is_averaged() -> None:
    pings = Pings(exercise=TREADMILL)
    assert not warned(pings.hear(*seconds(0.9, 15)))
    said = pings.hear(*seconds(0.5, 1))
    assert [b.obstacle for b in said[:8]] == [CLEAR] * (CONFIG.obstacle.sure_pings - 1) + [CAUTION]


# --- lunges ---------------------------------------------------------------------------------------------------------------------------


def test_lunging_before_a_wall_that_is_far_enough_is_silent() -> None:
    for wall_m in (1.3, 1.5, 2.5):
        reps = [d for _ in range(8) for d in [*seconds(wall_m, 1.0), *excursion(wall_m, 0.48, 0.9, 0.8)]]
        assert not warned(Pings(exercise=LUNGES, stride=STANDS).hear(*seconds(None, 2), *reps)), wall_m


def test_too_little_room_is_said_before_the_first_lunge() -> None:
    said = Pings(exercise=LUNGES, stride=STANDS).hear(*seconds(0.9, 2))
    assert (said[-1].obstacle, said[-1].warning, said[-1].sounding) == (CAUTION, "no_room", True)
    assert 0.4 <= next(k for k, b in enumerate(said) if b.sounding) / PER_S <= 0.6, "once a step is averaged"


def test_it_goes_quiet_for_who_rests_there_and_is_said_again_at_each_lunge() -> None:
    pings = Pings(exercise=LUNGES, stride=STANDS)
    said = pings.hear(*seconds(1.1, 8))
    assert said[-1].obstacle is CAUTION
    assert not said[-1].sounding
    said = pings.hear(*excursion(1.1, 0.4, 1.0, 0.5), *seconds(1.1, 1))
    assert said[12].sounding
    assert said[-1].warning == "no_room"
    assert said[-1].sounding


def test_stepping_forward_makes_room() -> None:
    said = Pings(exercise=LUNGES, stride=STANDS).hear(*seconds(0.9, 2), *way(0.9, 1.6, 2), *seconds(1.6, 1))
    assert (said[-1].obstacle, said[-1].warning) == (CLEAR, "")


def test_who_walks_up_to_a_wall_has_the_room_that_is_left() -> None:
    pings = Pings(exercise=LUNGES, stride=BACKWARD)
    said = pings.hear(*way(3.0, 1.0, 2.5))  # 0.8 m/s: walking backward, so time to collision counts
    assert warned(said)
    pings.arguments["stride"] = STANDS
    assert pings.hear(*seconds(1.0, 1))[-1].warning == "no_room"


def test_somebody_who_walks_up_behind_is_told_and_stopped_for() -> None:
    said = Pings(exercise=LUNGES, stride=STANDS).hear(*seconds(3.5, 3), *way(3.5, 0.6, 2.9))
    assert [b.obstacle for a, b in itertools.pairwise(said) if a.obstacle is not b.obstacle][:3] == [CLEAR, CAUTION, STOP]


def test_somebody_who_steps_in_close_during_a_lunge_is_told() -> None:
    lunge = excursion(2.0, 0.45, 1.0, 1.0)
    said = Pings(exercise=LUNGES, stride=STANDS).hear(*seconds(2.0, 3), *lunge[:18], *seconds(0.8, 0.7))
    assert said[-1].warning == "no_room"
    near = Pings(exercise=LUNGES, stride=STANDS).hear(*seconds(2.0, 3), *lunge[:18], *seconds(0.45, 0.3))
    assert near[-1].near


def test_the_floor_seen_by_a_belt_that_sinks_is_no_obstacle() -> None:
    floor_m = 0.95 / math.sin(math.radians(25))  # the box tilts back by 10°
    down = [0.95 - 0.42 * k / 14 for k in range(15)]
    sinking = [h / math.sin(math.radians(25)) for h in [*down, *[0.53] * 8, *reversed(down)]]
    assert sinking[14] < 0.6 * floor_m
    pings = Pings(exercise=LUNGES, stride=STANDS, pose=pose(0, 10.0))
    for _ in range(5):
        assert not warned(pings.hear(*seconds(floor_m, 1), *sinking)[5:])


def test_the_room_is_enough_to_the_millimetre_and_said_to_be_again_a_little_farther_out() -> None:
    clear_m, release_m = LUNGES.clear_m, CONFIG.obstacle.near_release_m
    assert clear_m is not None
    assert not warned(Pings(exercise=LUNGES, stride=STANDS).hear(*seconds(clear_m, 3)))
    for farther_m, told in ((release_m - 0.001, True), (release_m + 0.001, False)):
        pings = Pings(exercise=LUNGES, stride=STANDS)
        assert pings.hear(*seconds(clear_m - 0.001, 1))[-1].warning == "no_room"
        assert (pings.hear(*seconds(clear_m + farther_m, 1))[-1].warning == "no_room") is told


def test_in_a_lunge_the_near_limit_is_asked_of_what_is_heard_and_not_of_what_would_be() -> None:
    pings = Pings(exercise=LUNGES, stride=STANDS)
    pings.hear(*seconds(1.4, 2), *way(1.4, 0.55, 0.9))
    assert not any(b.near for b in pings.hear(*seconds(None, 1))), "it would have come to 0.1 m"


# --- all ------------------------------------------------------------------------------------------------------------------------------


def test_walking_is_judged_as_if_no_other_exercise_existed() -> None:
    """The same walk, with the gait's speed told and without."""
    path = [*seconds(None, 2), *way(3.9, 0.4, 4.4), *seconds(0.4, 4), *way(0.4, 2.0, 2)]
    plain = Pings().hear(*path)
    _, told = at_speed(0.8, *path, exercise=CONFIG.exercises["walk"])
    assert plain == told


@pytest.mark.parametrize("kind", ["ttc", "near", "backward", "risers", "drift", "room"])
def test_every_kind_goes_on_exactly_after_a_restore(kind: str) -> None:
    row = replace(RUN, obstacle=kind, drift_caution_m=0.3, drift_stop_m=0.4, clear_m=1.2, step_back_m=0.5)
    path = [*seconds(0.9, 12), *excursion(0.9, 0.4, 1.0, 0.5), *way(0.9, 1.4, 5), *seconds(None, 3)]
    whole, said = at_speed(2.4, *path, exercise=row)
    rule, first = at_speed(2.4, *path[:200], exercise=row)
    other = ObstacleRule(CONFIG, None)
    other.memory = msgspec.convert(msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(rule.memory))), ObstacleMemory)
    _, rest = at_speed(2.4, *path[200:], exercise=row, rule=other)
    assert first + rest == said
    assert other.memory == whole.memory


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"treadmill": {"drift_caution_m": 0.5}}, "drift_caution_m"),
        ({"walk": {"clear_m": 1.0}}, "clear_m"),
        ({"walk": {"obstacle": "drift"}}, "drift_caution_m"),
    ],
)
def test_keys_of_a_kind_belong_to_it_alone(row: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load(local=None, overrides={"exercises": row})


def test_each_reason_has_a_sound_below_the_warnings_of_things_seen_and_above_the_faults() -> None:
    priority = {name: sound.priority for name, sound in CONFIG.sounds.items()}
    for name in ("too_fast", "no_reference"):
        assert priority["imu_silent"] < priority[name] < priority["caution"]
    assert priority["stop"] > priority["off_end_now"] > priority["off_end"] > priority["caution"]
    assert priority["off_end"] > priority["no_room"] > priority["caution"]


@pytest.mark.parametrize(
    ("behind", "sound"),
    [
        (replace(NOTHING, obstacle=UNKNOWN, blind="too_fast"), "too_fast"),
        (replace(NOTHING, obstacle=UNKNOWN, blind="no_reference"), "no_reference"),
        (replace(NOTHING, obstacle=CAUTION, sounding=True, warning="off_end"), "off_end"),
        (replace(NOTHING, obstacle=STOP, sounding=True, warning="off_end_now"), "off_end_now"),
        (replace(NOTHING, obstacle=CAUTION, sounding=True, warning="no_room"), "no_room"),
        (replace(NOTHING, obstacle=STOP, sounding=True, near=True, warning="off_end_now"), "near"),
        (replace(NOTHING, obstacle=STOP, sounding=True, blind="too_fast"), "stop"),
    ],
)
def test_each_reason_is_heard_by_its_own_sound(behind: Behind, sound: str) -> None:
    life = guarded(CONFIG)
    since = len(life.verdicts)
    life.behind = behind
    life.live(1.0)
    assert sound in life.heard(since)


def test_drifting_off_the_end_tells_the_caregiver_which_obstacle_it_was() -> None:
    life = guarded(CONFIG)
    life.behind = replace(NOTHING, obstacle=STOP, sounding=True, warning="off_end_now")
    life.live(0.1)
    (event,) = [event for event in life.events if event.event_type == "obstacle"]
    assert event.evidence["warning"] == "off_end_now"
