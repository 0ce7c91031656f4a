"""Five stories of each exercise: a clean session, its typical obstacle, its typical fall, what is often taken for a fall, and a fault.

The wearers are those of the test population (population.py): no threshold and no model was fitted to them. Doses are shortened by the
story's `settings`, so that a whole session lasts a minute; warm-up is skipped as wearers skip it, by beginning with the exercise.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from guardian.sim.daily import Kneel, PickUp, Rise, SitDown
from guardian.sim.exercises import Exercise, fall
from guardian.sim.falling import Fall
from guardian.sim.lunging import Leg, Lunge
from guardian.sim.phases import Phase, Sit, Stand, Turn, Walk
from guardian.sim.population import TEST, Trainee
from guardian.sim.staging import ALARMS, Action, Scenario, Staged, rows, told
from guardian.sim.striding import Climb, OnBelt, Run
from guardian.sim.surroundings import Somebody, Staircase, wall_behind

QUIET = ALARMS | {"imminent_fall", "near_fall", "not_guarding"}
OVER = frozenset({"cancelled", "cleared", "near_fall"})  # what would end a true alarm
WARNINGS = frozenset({"near", "stop", "caution", "caution_fast", "off_end", "off_end_now", "no_room"})
CORRECTIONS = frozenset({"coach_posture", "coach_slower", "coach_faster", "coach_uneven", "coach_deeper", "coach_enough"})
ALARMED = frozenset({"imminent", "countdown", "countdown_last", "fall"})
STRAIGHT_DEG = 2.0  # the trunk of one who trains as taught
RISER_M, TREAD_M, FIRST_RISER_M = 0.17, 0.29, -0.25


def _dose(exercise: str, **coach: float) -> Mapping[str, Any]:
    return {"exercises": {exercise: {"coach": coach}}}


def _falls(exercise: Exercise, kind: str) -> Callable[[int], Staged]:
    """Some seconds of the exercise, then that fall, and lying."""

    def stage(seed: int) -> Staged:
        story = fall(exercise, kind, TEST, seed)
        return story.world, ()

    return stage


def _impact_s(story: Staged, script: tuple[Phase, ...]) -> float:
    """When the body of a story that ends in a fall meets the floor, s."""
    body = story[0].body
    end_ns = int(sum(phase.seconds for phase in script if phase.seconds < 1000) * 1e9)
    return next(begin + phase.fell(start, body.who).contact_s for begin, _, phase, start in body.told(end_ns) if isinstance(phase, Fall))


# --- walk ---------------------------------------------------------------------------------------------------------------------------


def _back(who: Trainee, seconds: float, share: float = 1.0) -> Walk:
    return Walk(seconds, speed=-share * who.walk_m_s, lean_deg=STRAIGHT_DEG, veer_deg=1.5)


def _walk_clean(seed: int) -> Staged:
    who = TEST.draw(seed)
    presses = tuple(Action(48.0 + 0.5 * press, "press", (0.15,)) for press in range(3))
    return told(
        who, Stand(3), _back(who, 15), Stand(1.5), Turn(2.6, angle_deg=180.0), Stand(1), _back(who, 19), Stand(3600), actions=presses
    )


def _walk_obstacle(seed: int) -> Staged:
    """Somebody comes from the side and stands in the way, 2.2 s before the wearer is there."""
    who = TEST.draw(seed)
    speed = who.walk_m_s
    there = -speed * 5.0 - 2.2 * speed - 0.4
    somebody = Somebody(7.0, 1.0, (there, 2.5), (there, 0.0))
    walk = replace(_back(who, 7.2), stops_on_sound=True, veer_deg=0.0)
    return told(who, Stand(3), walk, Stand(5), Turn(2.4, angle_deg=90.0), Stand(1), _back(who, 5), Stand(3600), things=(somebody,))


def _walk_trap(seed: int) -> Staged:
    who = TEST.draw(seed)
    return told(
        who,
        Stand(3),
        _back(who, 8),
        Stand(1.2),
        PickUp(4.5, stoop_deg=72.0, depth_m=0.15),  # ties a shoe
        Stand(0.8),
        Turn(1.3, angle_deg=180.0),
        _back(who, 6),
        Stand(1.0),
        SitDown(2.0, seat_m=0.43, down_s=0.8, beyond=0.35, peak_g=2.8, bow_deg=24.0, recline_deg=12.0),  # a bench
        Sit(5),
        Rise(1.3, bow_deg=32.0),
        _back(who, 7),
        Stand(3600),
    )


def _walk_fault(seed: int) -> Staged:
    who = TEST.draw(seed)
    return told(who, Stand(3), _back(who, 3600), actions=(Action(10.0, "unplug_ranger"), Action(20.0, "plug_ranger")))


# --- run ----------------------------------------------------------------------------------------------------------------------------


def _sprint(who: Trainee, metres: float, share: float = 1.0, stops: bool = False) -> tuple[Phase, ...]:
    speed = share * who.run_m_s
    run = Run(round(metres / speed, 2), speed=-speed, lean_deg=STRAIGHT_DEG, stops_on_sound=stops)
    return (Walk(2.0, speed=-who.walk_m_s, lean_deg=STRAIGHT_DEG), run)


def _run_clean(seed: int) -> Staged:
    who = TEST.draw(seed)
    on = Walk(2.0, speed=-who.walk_m_s, lean_deg=STRAIGHT_DEG)
    return told(who, Stand(3), *_sprint(who, 14), on, Stand(10), *_sprint(who, 14), on, Stand(3600))


def _run_obstacle(seed: int) -> Staged:
    """A sprint in the open, then one, less quick, toward a wall."""
    who = TEST.draw(seed)
    (walk, sprint), (_, run) = _sprint(who, 14), _sprint(who, 12, share=0.8, stops=True)
    away = 4.0 * who.walk_m_s + 14.0 + 10.0
    return told(who, Stand(3), walk, sprint, Stand(5), walk, run, Stand(3600), things=(wall_behind(-away),))


def _run_trap(seed: int) -> Staged:
    """Stops dead, jogs on the spot, turns, and is off again."""
    who = TEST.draw(seed)
    return told(
        who,
        Stand(3),
        *_sprint(who, 12),
        Stand(1.2),
        Run(6.0, speed=-0.1),
        Stand(0.8),
        Turn(1.5, angle_deg=180.0),
        Stand(0.6),
        *_sprint(who, 10),
        Stand(3600),
    )


def _run_fault(seed: int) -> Staged:
    who = TEST.draw(seed)
    return told(who, Stand(3), *_sprint(who, 30), Walk(3600, speed=-who.walk_m_s), actions=(Action(9.0, "bus_hang", (3.0,)),))


# --- stairs -------------------------------------------------------------------------------------------------------------------------


def _stairs(who: Trainee, steps: int, share: float = 1.0) -> tuple[Phase, ...]:
    """So many up backward, a moment, and down again forward."""
    up = Climb.of(steps, share * who.stairs_rate, up=True, riser_m=RISER_M, tread_m=TREAD_M, jolt_g=0.2, lean_deg=3.0)
    down = Climb.of(
        steps, share * 1.3 * who.stairs_rate, up=False, backward=False, riser_m=RISER_M, tread_m=TREAD_M, jolt_g=0.35, lean_deg=0.0
    )
    return (up, Stand(2.0), down, Stand(2.0))


def _staircase(steps: int = 14) -> Staircase:
    return Staircase(FIRST_RISER_M, steps, RISER_M, TREAD_M)


def _stairs_clean(seed: int) -> Staged:
    who = TEST.draw(seed)
    return told(who, Stand(3), *_stairs(who, 6), Stand(5), *_stairs(who, 6), Stand(3600), things=(_staircase(),))


def _stairs_obstacle(seed: int) -> Staged:
    """Somebody stands some stairs up, the back against the wearer's."""
    who = TEST.draw(seed)
    up = Climb.of(8, who.stairs_rate, riser_m=RISER_M, tread_m=TREAD_M, jolt_g=0.2, lean_deg=3.0, stops_on_sound=True)
    there = -5 * TREAD_M - 0.5
    return told(who, Stand(3), up, Stand(3600), things=(_staircase(), Somebody(0.0, 1.0, (there, 0.0), (there, 0.0))))


def _stairs_trap(seed: int) -> Staged:
    """Quick stairs to a landing whose wall is near, a turn there, and down."""
    who = TEST.draw(seed)
    up = Climb.of(7, 1.4 * who.stairs_rate, riser_m=RISER_M, tread_m=TREAD_M, jolt_g=0.3, lean_deg=6.0)
    down = Climb.of(7, 1.5 * who.stairs_rate, up=False, backward=False, riser_m=RISER_M, tread_m=TREAD_M, jolt_g=0.5, lean_deg=0.0)
    turned = (Stand(1.0), Turn(1.6, angle_deg=360.0), Stand(0.8))
    return told(who, Stand(3), up, *turned, down, Stand(1.0), up, Stand(3600), things=(_staircase(7 + 6),))


def _stairs_fault(seed: int) -> Staged:
    who = TEST.draw(seed)
    return told(
        who, Stand(3), *_stairs(who, 7), Stand(3), *_stairs(who, 7), Stand(3600),
        things=(_staircase(),), actions=(Action(7.0, "imu_stuck", (1,)), Action(14.0, "imu_heals")),
    )  # fmt: skip


# --- treadmill ----------------------------------------------------------------------------------------------------------------------

CONSOLE_M = 0.85


def _belt(who: Trainee, seconds: float, share: float = 1.0, drift_m: float = 0.0) -> OnBelt:
    return OnBelt(seconds, speed=-share * who.walk_m_s, drift_m=drift_m, wander_m=0.05, lean_deg=STRAIGHT_DEG)


def _treadmill_clean(seed: int) -> Staged:
    who = TEST.draw(seed)
    return told(who, Stand(5), _belt(who, 10, 0.6), _belt(who, 30), Stand(3600), things=(wall_behind(-CONSOLE_M),))


def _treadmill_obstacle(seed: int) -> Staged:
    """Drifts into the console, is warned, walks back to the middle, and drifts off the other way."""
    who = TEST.draw(seed)
    return told(
        who,
        Stand(5),
        _belt(who, 12, 0.7),
        _belt(who, 9, 1.0, -0.45),
        _belt(who, 6, 1.0, 0.45),
        _belt(who, 6),
        _belt(who, 9, 1.0, 0.55),
        _belt(who, 6, 1.0, -0.55),
        Stand(3600),
        things=(wall_behind(-CONSOLE_M),),
    )


def _treadmill_trap(seed: int) -> Staged:
    """Stops the belt, wipes the face, steps off to the front and on again; the belt is set faster, then slower."""
    who = TEST.draw(seed)
    return told(
        who,
        Stand(5),
        _belt(who, 10, 0.6),
        Stand(2),
        PickUp(3.0, stoop_deg=25.0, depth_m=0.03),  # a towel
        Stand(2),
        _belt(who, 7, 0.5),
        _belt(who, 7, 1.0),
        _belt(who, 7, 0.5),
        Stand(3600),
        things=(wall_behind(-CONSOLE_M),),
    )


def _treadmill_fault(seed: int) -> Staged:
    """The Wi-Fi goes while the belt runs, and the fall comes meanwhile."""
    story = fall("treadmill", "feet carried off", TEST, seed)
    staged = told(story.who, *story.script, things=story.things)
    impact_s = _impact_s(staged, story.script)
    actions = (Action(6.0, "wifi_down"), Action(round(impact_s + 26.0, 1), "wifi_up"))
    return told(story.who, *story.script, things=story.things, actions=actions)


# --- lunges -------------------------------------------------------------------------------------------------------------------------


def _lunge(who: Trainee, leg: Leg, seed: int, quick: float = 1.0, depth: float = 0.34) -> tuple[Phase, ...]:
    slow = 1 / (who.vitality * quick)
    step, down, up, back = (round(seconds * slow, 2) for seconds in (1.0, 0.95, 0.8, 0.85))
    one = Lunge.of(
        leg=leg, depth_m=depth * who.leg_m, back_m=0.4 * who.leg_m, step_s=step, down_s=down, hold_s=0.3, up_s=up, return_s=back,
        lean_deg=6.0, wobble_deg=1.2, jolt_g=0.35, seed=seed,
    )  # fmt: skip
    return (one, Stand(0.9))


def _lunges(who: Trainee, *legs: Leg, quick: float = 1.0, depth: float = 0.34) -> tuple[Phase, ...]:
    return tuple(phase for number, leg in enumerate(legs) for phase in _lunge(who, leg, who.seed + number, quick, depth))


def _lunges_clean(seed: int) -> Staged:
    who = TEST.draw(seed)
    return told(
        who,
        Stand(4),
        *_lunges(who, "left", "left", "left", "left"),
        Stand(3),
        *_lunges(who, "right", "right", "right", "right"),
        Stand(3600),
    )


def _lunges_obstacle(seed: int) -> Staged:
    """A wall so near that the foot that steps back would meet it."""
    who = TEST.draw(seed)
    return told(who, Stand(6), *_lunges(who, "left"), Stand(3600), things=(wall_behind(-0.8),))


def _lunges_trap(seed: int) -> Staged:
    """Deep quick lunges, then down on a knee to stretch."""
    who = TEST.draw(seed)
    return told(
        who,
        Stand(4),
        *_lunges(who, "left", "right", "left", "right", quick=1.3, depth=0.42),
        Kneel(1.6, bow_deg=14.0, jolt_g=0.6),
        Sit(5),
        Rise(2.0, bow_deg=25.0),
        *_lunges(who, "left"),
        Stand(3600),
    )


def _lunges_fault(seed: int) -> Staged:
    """The button is jammed against the thigh, pulled free, and held to take back what it called."""
    who = TEST.draw(seed)
    actions = (Action(9.0, "press", (13.0,)), Action(27.0, "press", (6.0,)))
    return told(who, Stand(4), *_lunges(who, "left", "right"), Stand(3600), actions=actions)


TRAINING_SCENARIOS: dict[str, Scenario] = rows(
    Scenario(
        "walk_the_whole_dose",
        "Walks backward with a straight back until the dose is done, turning once, and ends the session.",
        54.0,
        ("session_started", "coach", "coach", "coach", "session_ended"),
        QUIET | {"obstacle"},
        _walk_clean,
        heard=("self_test", "guarding", "coach_work", "coach_half", "coach_done", "session_ended"),
        unheard=WARNINGS | ALARMED | CORRECTIONS,
        settings=_dose("walk", dose=20),
    ),
    Scenario(
        "walk_somebody_in_the_way",
        "Walks backward; somebody comes from the side and stays; the wearer hears STOP, stops and goes another way.",
        30.0,
        ("session_started", "obstacle"),
        QUIET,
        _walk_obstacle,
        heard=("self_test", "guarding", "stop"),
        unheard=ALARMED,
    ),
    Scenario(
        "walk_heel_catch",
        "A heel catches while walking backward; falls and stays down.",
        48.0,
        ("session_started", "imminent_fall", "fall_suspected", "fall"),
        OVER,
        _falls("walk", "heel catch"),
        heard=("self_test", "guarding", "imminent", "countdown", "countdown_last", "fall"),
        unheard=WARNINGS,
    ),
    Scenario(
        "walk_shoe_and_bench",
        "Ties a shoe, turns quickly, drops onto a bench, and walks on: none of it is a fall.",
        42.0,
        ("session_started",),
        QUIET | {"obstacle"},
        _walk_trap,
        heard=("self_test", "guarding"),
        unheard=WARNINGS | ALARMED,
    ),
    Scenario(
        "walk_ranger_cable",
        "The ranger's cable comes off in the middle of a walk, and is put back.",
        26.0,
        ("session_started", "fault", "fault_cleared"),
        QUIET | {"obstacle"},
        _walk_fault,
        heard=("self_test", "guarding", "echo_stuck_low"),
        unheard=WARNINGS | ALARMED,
    ),
    Scenario(
        "run_sprints",
        "Runs two sprints backward with a rest between.",
        46.0,
        ("session_started", "coach", "coach", "coach", "coach"),
        QUIET | {"obstacle"},
        _run_clean,
        "run",
        heard=("self_test", "guarding", "coach_work", "coach_rest", "coach_again", "coach_done"),
        unheard=WARNINGS | ALARMED | CORRECTIONS,
        settings=_dose("run", dose=14, sets=2, rest_s=6),
    ),
    Scenario(
        "run_to_a_wall",
        "Sprints in the open, then runs backward toward a wall, hears it, and stops before it.",
        38.0,
        ("session_started", "obstacle"),
        QUIET,
        _run_obstacle,
        "run",
        heard=("self_test", "guarding", "stop"),
        unheard=ALARMED,
    ),
    Scenario(
        "run_slip",
        "A foot slips away while running backward; falls and stays down.",
        46.0,
        ("session_started", "fall_suspected", "fall"),
        OVER,
        _falls("run", "slip"),
        "run",
        heard=("self_test", "guarding", "countdown", "countdown_last", "fall"),
    ),
    Scenario(
        "run_and_jog_on_the_spot",
        "Stops dead out of a sprint, jogs on the spot, turns, and is off again: none of it is a fall.",
        38.0,
        ("session_started",),
        QUIET | {"obstacle"},
        _run_trap,
        "run",
        heard=("self_test", "guarding"),
        unheard=WARNINGS | ALARMED,
    ),
    Scenario(
        # Every strike of a sprint is an impact, so a bus that hangs then may be a wire torn in a fall; going on takes it back.
        "run_bus_hang",
        "The I2C bus hangs for three seconds in a sprint: a fall is suspected until it is seen that the wearer runs on.",
        24.0,
        ("session_started", "fall_suspected", "fault", "fault_cleared", "cancelled"),
        frozenset({"fall", "sos", "imminent_fall"}),
        _run_fault,
        "run",
        heard=("self_test", "guarding", "countdown", "cancelled"),
        unheard=WARNINGS | {"countdown_last", "fall"},
    ),
    Scenario(
        "stairs_two_sets",
        "Climbs two sets of six stairs backward, coming down forward, with a rest between.",
        52.0,
        ("session_started", "coach", "coach", "coach", "coach"),
        QUIET | {"obstacle"},
        _stairs_clean,
        "stairs",
        heard=("self_test", "guarding", "coach_rest", "coach_again", "coach_done"),
        unheard=WARNINGS | ALARMED | CORRECTIONS,
        settings=_dose("stairs", dose=5, sets=2, rest_s=6),
    ),
    Scenario(
        "stairs_somebody_behind",
        "Climbs backward toward somebody who stands on the stairs, hears it, and stops.",
        25.0,
        ("session_started", "obstacle"),
        QUIET,
        _stairs_obstacle,
        "stairs",
        heard=("self_test", "guarding", "stop"),
        unheard=ALARMED,
    ),
    Scenario(
        "stairs_missed_step_down",
        "Goes down backward, and the foot finds no stair; falls and stays down.",
        48.0,
        ("session_started", "fall_suspected", "fall"),
        OVER,
        _falls("stairs", "missed step down"),
        "stairs",
        heard=("self_test", "guarding", "countdown", "countdown_last", "fall"),
        unheard=WARNINGS,
    ),
    Scenario(
        "stairs_quickly",
        "Takes the stairs quickly, turns about on the landing, comes down and goes up again: nothing to say.",
        42.0,
        ("session_started",),
        QUIET | {"obstacle"},
        _stairs_trap,
        "stairs",
        heard=("self_test", "guarding"),
        unheard=WARNINGS | ALARMED,
    ),
    Scenario(
        "stairs_imu_frozen",
        "One axis of the motion sensor freezes on the stairs, and comes back.",
        34.0,
        ("session_started", "not_guarding", "guarding"),
        ALARMS | {"imminent_fall"},
        _stairs_fault,
        "stairs",
        heard=("self_test", "guarding", "imu_stuck", "guarding"),
        unheard=ALARMED,
    ),
    Scenario(
        "treadmill_steady",
        "Walks backward on the belt, in one place, first slowly, then at the usual speed.",
        48.0,
        ("session_started", "coach", "coach", "coach"),
        QUIET | {"obstacle"},
        _treadmill_clean,
        "treadmill",
        heard=("self_test", "guarding", "coach_work", "coach_half", "coach_done"),
        unheard=WARNINGS | ALARMED | CORRECTIONS | {"no_reference"},
        settings=_dose("treadmill", dose=24),
    ),
    Scenario(
        "treadmill_drifting",
        "Drifts toward the console, is warned, goes back to the middle, and drifts toward the belt's end.",
        56.0,
        ("session_started", "obstacle", "obstacle"),
        QUIET,
        _treadmill_obstacle,
        "treadmill",
        heard=("self_test", "guarding", "caution", "stop", "off_end", "off_end_now"),
        unheard=ALARMED | {"no_reference"},
    ),
    Scenario(
        "treadmill_feet_carried_off",
        "The belt carries the feet off; falls and stays down.",
        64.0,
        ("session_started", "fall_suspected", "fall"),
        OVER,
        _falls("treadmill", "feet carried off"),
        "treadmill",
        heard=("self_test", "guarding", "countdown", "countdown_last", "fall"),
    ),
    Scenario(
        "treadmill_towel_and_speed",
        "Stops for a towel, and the belt is set faster and slower: nothing to say.",
        44.0,
        ("session_started",),
        QUIET | {"obstacle"},
        _treadmill_trap,
        "treadmill",
        heard=("self_test", "guarding"),
        unheard=WARNINGS | ALARMED | {"no_reference"},
    ),
    Scenario(
        "treadmill_wifi_gone",
        "The Wi-Fi goes while the belt runs, the wearer falls, the Wi-Fi comes back: the alarm is late, not lost.",
        84.0,
        ("session_started", "fault", "fall_suspected", "fall", "fault_cleared"),
        OVER,
        _treadmill_fault,
        "treadmill",
        heard=("self_test", "guarding", "link_down", "countdown", "countdown_last", "fall"),
    ),
    Scenario(
        "lunges_both_legs",
        "Four lunges with each leg.",
        53.0,
        ("session_started", "coach", "coach", "coach"),
        QUIET | {"obstacle"},
        _lunges_clean,
        "lunges",
        heard=("self_test", "guarding", "coach_work", "coach_half", "coach_done"),
        unheard=WARNINGS | ALARMED | CORRECTIONS,
        settings=_dose("lunges", dose=4),
    ),
    Scenario(
        "lunges_no_room",
        "Stands with the back to a wall, and lunges all the same: no room, said before, and again when the wall is at hand.",
        25.0,
        ("session_started", "obstacle"),
        QUIET,
        _lunges_obstacle,
        "lunges",
        heard=("self_test", "no_room", "guarding", "no_room", "near"),
        unheard=ALARMED,
    ),
    Scenario(
        "lunges_balance_lost",
        "Loses balance sideways at the bottom of a lunge; falls and stays down.",
        48.0,
        ("session_started", "fall_suspected", "fall"),
        OVER,
        _falls("lunges", "sideways at the bottom"),
        "lunges",
        heard=("self_test", "guarding", "countdown", "countdown_last", "fall"),
    ),
    Scenario(
        "lunges_deep_and_kneeling",
        "Deep quick lunges, then down on a knee to stretch: none of it is a fall.",
        36.0,
        ("session_started",),
        QUIET | {"obstacle"},
        _lunges_trap,
        "lunges",
        heard=("self_test", "guarding"),
        unheard=WARNINGS | ALARMED,
    ),
    Scenario(
        "lunges_button_jammed",
        "The button is jammed in a lunge: that calls for help; freed and held, it takes the call back.",
        40.0,
        ("session_started", "sos", "fault", "fault_cleared", "cleared", "guarding"),
        ALARMS - {"sos"},
        _lunges_fault,
        "lunges",
        heard=("self_test", "guarding", "fall", "cleared", "guarding"),
    ),
)  # fmt: skip
