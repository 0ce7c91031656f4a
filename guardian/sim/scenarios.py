"""The stories of one who walks backward, and of hardware that fails; with those of the exercises, all that `guardian sim` can play."""

from collections.abc import Callable

import numpy as np

from guardian.sim.person import Person
from guardian.sim.phases import Faint, Lie, Phase, Sit, SitDownHard, Stand, Stumble, TakeOff, Toss, TripBackward, Turn, Walk
from guardian.sim.staging import ALARMS, Action, Actions, Scenario, Staged, rows, told
from guardian.sim.surroundings import Somebody, Thing, wall_behind
from guardian.sim.training_scenarios import TRAINING_SCENARIOS

__all__ = ["GUARDING", "SCENARIOS", "WALK_S", "Scenario"]

WALK_S = 7.0  # of the falls' stories: stand 3 s, walk this long, fall


def _told(seed: int, *script: Phase, things: tuple[Thing, ...] = (), actions: Actions = ()) -> Staged:
    return told(Person.drawn(seed), *script, things=things, actions=actions)


def _speed(seed: int, low: float = 0.3, high: float = 1.2) -> float:
    """Backward walking speed, m/s: old fallers 0.44, old non-fallers 0.59 (Polo-Ferrero 2025), young people about 1.1."""
    return float(np.random.default_rng([seed, 4]).uniform(low, high))


def _wall(seed: int) -> Staged:
    speed = _speed(seed)
    away = 2.5 + 3 * speed + float(np.random.default_rng([seed, 5]).uniform(0, 1))
    to_the_wall = Walk((away - 0.25) / speed, speed=-speed, stops_on_sound=True)  # who hears nothing ends some 25 cm before it
    return _told(seed, Stand(3), to_the_wall, Stand(4), things=(wall_behind(-away),))


def _steps_in(seed: int) -> Staged:
    speed = _speed(seed, 0.5, 0.9)
    there = -speed * 4.5 - 1.3  # 1.3 m behind where the walker is at 8 s
    somebody = Somebody(7.0, 1.0, (there, 2.5), (there, 0.0))
    walk = Walk((-there - 0.45) / speed, speed=-speed, stops_on_sound=True)
    return _told(seed, Stand(3), walk, Stand(5), things=(somebody,))


def _fall(seed: int, *after: Callable[[float], Action], before_s: float = WALK_S) -> Staged:
    """Stand, walk, trip backward, lie; each of `after` is told the time of the impact."""
    who = Person.drawn(seed)
    impact_s = 3 + before_s + TripBackward().impact_s(who)
    story, _ = _told(seed, Stand(3), Walk(before_s, speed=-_speed(seed, 0.4, 1.0)), TripBackward(), Lie(3600))
    return story, tuple(sorted(action(impact_s) for action in after))


def _wifi_gone(seed: int) -> Staged:
    story, _ = _fall(seed, before_s=27.0)
    return story, (Action(8.0, "wifi_down"), Action(62.0, "wifi_up"))


def _walking(*actions: Action) -> Callable[[int], Staged]:
    return lambda seed: _told(seed, Stand(3), Walk(3600, speed=-_speed(seed)), actions=actions)


def _demo(seed: int) -> Staged:
    away = 3.4
    return _told(
        seed,
        Stand(3),
        Walk((away - 0.25) / 0.75, speed=-0.75, stops_on_sound=True),
        Stand(1.2),
        Turn(1.5, angle_deg=90.0),
        Walk(3.5, speed=-0.7),
        TripBackward(),
        Lie(3600),
        things=(wall_behind(-away),),
    )


GUARDING: dict[str, Scenario] = rows(
    Scenario(
        "walk_and_stop_at_a_wall",
        "Walks backward toward a wall, hears STOP, and stops before it.",
        26.0,
        ("session_started", "obstacle"),
        ALARMS | {"imminent_fall"},
        _wall,
    ),
    Scenario(
        "somebody_steps_in",
        "Walks backward in the open; somebody steps into the way.",
        20.0,
        ("session_started", "obstacle"),
        ALARMS | {"imminent_fall"},
        _steps_in,
    ),
    Scenario(
        "trip_backward_and_fall",
        "A heel catches while walking backward; falls on the back and stays down.",
        40.0,
        ("session_started", "imminent_fall", "fall_suspected", "fall"),
        frozenset({"cancelled", "cleared", "near_fall"}),
        _fall,
    ),
    Scenario(
        "faint_slowly_and_lie_breathing",
        "Faints, sinks slowly onto a carpet without an impact, and lies still, breathing.",
        55.0,
        ("session_started", "fall_suspected", "fall"),
        frozenset({"cancelled", "cleared", "not_worn"}),
        lambda seed: _told(seed, Stand(3), Walk(6, speed=-0.5), Stand(1.5), Faint(), Lie(3600)),
    ),
    Scenario(
        "stumble_and_recover",
        "A heel catches, the trunk tips back, a quick step saves it; walks on.",
        25.0,
        ("session_started",),
        ALARMS,
        lambda seed: _told(seed, Stand(3), Walk(6, speed=-_speed(seed, 0.5, 0.9)), Stumble(), Walk(3600, speed=-0.5)),
    ),
    Scenario(
        "sit_down_hard",
        "Drops onto a chair with an impact above 2.5 g, and stays seated upright.",
        30.0,
        ("session_started",),
        ALARMS,
        lambda seed: _told(seed, Stand(3), Walk(5, speed=-0.5), Stand(1.5), SitDownHard(), Sit(3600)),
    ),
    Scenario(
        "lie_on_the_button",
        "Falls, and lies on the button: that calls for help, and neither cancels nor clears.",
        45.0,
        ("session_started", "fall_suspected", "sos", "fault"),
        frozenset({"cancelled", "cleared"}),
        lambda seed: _fall(seed, lambda impact_s: Action(impact_s + 0.3, "press", (3600.0,))),
    ),
    Scenario(
        "three_presses_then_toss",
        "Ends the session with three short presses, takes the belt off and tosses it on a table: silence.",
        40.0,
        ("session_started", "session_ended"),
        ALARMS | {"imminent_fall"},
        lambda seed: _told(
            seed,
            Stand(3),
            Walk(5, speed=-0.5),
            Stand(4),
            TakeOff(),
            Toss(),
            actions=tuple(Action(9.5 + 0.5 * press, "press", (0.15,)) for press in range(3)),
        ),
    ),
    Scenario(
        "two_presses_between_exercises",
        "Walks backward, sets the next exercise with two short presses, and goes on under guard.",
        40.0,
        ("session_started", "session_ended", "exercise_changed", "session_started"),
        ALARMS | {"imminent_fall", "not_guarding"},
        lambda seed: _told(
            seed,
            Stand(3),
            Walk(10, speed=-0.5),
            Stand(8),
            Walk(8, speed=-0.5),
            Stand(15),
            actions=tuple(Action(14.5 + 0.5 * press, "press", (0.15,)) for press in range(2)),
        ),
    ),
    Scenario(
        "toss_unannounced",
        "Takes the belt off without a word and tosses it on a table: an alarm, without any body motion.",
        40.0,
        ("session_started", "fall_suspected", "fall"),
        frozenset({"cancelled", "cleared", "session_ended"}),
        lambda seed: _told(seed, Stand(3), Walk(5, speed=-0.5), Stand(2), TakeOff(), Toss()),
    ),
    Scenario(
        "imu_torn_in_the_fall",
        "Falls backward, and the impact tears the motion sensor's cable.",
        40.0,
        ("session_started", "fall_suspected", "fall"),
        frozenset({"cancelled", "cleared"}),
        lambda seed: _fall(seed, lambda impact_s: Action(impact_s + 0.1, "unplug_imu")),
    ),
    Scenario(
        "restart_while_fallen",
        "The program dies while an alarm stands; after the restart it sounds again.",
        50.0,
        ("session_started", "fall_suspected", "fall"),
        frozenset({"cancelled", "cleared"}),
        lambda seed: _fall(seed, lambda impact_s: Action(impact_s + 28.0, "restart")),
    ),
    Scenario(
        "imu_unplugged",
        "The motion sensor's cable comes off while walking, and is put back.",
        30.0,
        ("session_started", "not_guarding", "guarding"),
        ALARMS,
        _walking(Action(10.0, "unplug_imu"), Action(16.0, "plug_imu")),
    ),
    Scenario(
        "ranger_unplugged",
        "The ranger's cable comes off while walking, and is put back.",
        30.0,
        ("session_started", "fault", "fault_cleared"),
        ALARMS | {"not_guarding"},
        _walking(Action(10.0, "unplug_ranger"), Action(18.0, "plug_ranger")),
    ),
    Scenario(
        "bus_hang",
        "The I2C bus hangs for three seconds while walking.",
        25.0,
        ("session_started", "not_guarding", "guarding"),
        ALARMS,
        _walking(Action(10.0, "bus_hang", (3.0,))),
    ),
    Scenario(
        "wifi_gone",
        "Wi-Fi goes, the wearer falls, Wi-Fi comes back: the alarm is late, not lost.",
        80.0,
        ("session_started", "fault", "fall_suspected", "fall", "fault_cleared"),
        frozenset({"cancelled", "cleared"}),
        _wifi_gone,
    ),
    Scenario(
        "open_space",
        "Walks backward for a minute with nothing behind: silence.",
        60.0,
        ("session_started",),
        ALARMS | {"obstacle", "imminent_fall"},
        _walking(),
    ),
    Scenario(
        "demo",
        "Power on, walks backward, hears STOP and avoids a wall, walks on, falls backward and lies.",
        40.0,
        ("session_started", "obstacle", "imminent_fall", "fall_suspected", "fall"),
        frozenset({"cancelled", "cleared"}),
        _demo,
    ),
)

SCENARIOS: dict[str, Scenario] = GUARDING | TRAINING_SCENARIOS
