"""The space behind in each exercise: is a clean session silent, and is its typical obstacle told in time?

usage: python -m lab.rooms [--sessions 6] [--minutes 10] [--trials 40] [--exercise NAME ...]

People of the test population train in simulated sessions (guardian/sim/exercises.py) with what stands around them; the whole device but
the learned fall model works at the world's standard rates, with the height in the configuration, not theirs. First, hours of clean
sessions: how often CAUTION or STOP begins, of which false are those that the truth does not bear out (on the treadmill: drifted by
less than drift_caution_m less 5 cm from the mean place of the first 15 s). Then each exercise's obstacle in many trials. `told` is the
share warned, and `in time` the share with at least NEEDED_S between the first warning and the collision (or the fall, or the lunge);
`lead` is that time. Runners are split by whether the ranger can cover their speed: the faster must be told that it cannot. Their rows are
information: 4 m of range, or less where a box that sits tilted back meets the floor before, are all the time there is.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from guardian.app import Device, Inbox
from guardian.config import Config, load
from guardian.drivers.sensors import Sensors
from guardian.frame import Frame
from guardian.monitor import Monitor
from guardian.outputs.buzzer import Buzzer
from guardian.sim.bench import Bench
from guardian.sim.exercises import EXERCISES, Exercise, fall, session
from guardian.sim.lunging import Lunge
from guardian.sim.phases import Phase, Stand, Walk
from guardian.sim.population import TEST, Trainee
from guardian.sim.striding import Climb, OnBelt, Run
from guardian.sim.surroundings import Somebody, Staircase, Surroundings, Thing, wall_behind
from guardian.sim.world import Story
from guardian.verdict import Obstacle, Resume, Verdict

NEEDED_S = 1.1  # older walkers stop within 1.1 s (recognition, reaction and slowing down: the reasons beside [exercises])
WARNS = (Obstacle.CAUTION, Obstacle.STOP)
SHARE_IN_TIME = 0.95


class Onset(NamedTuple):
    """A warning that begins."""

    t_s: float
    obstacle: Obstacle
    sounding: bool
    distance_m: float | None


class Ear:
    """An output that notes when warnings begin, and every sound's first time."""

    name = "ear"

    def __init__(self) -> None:
        self.onsets: list[Onset] = []
        self.first_s: dict[str, float] = {}
        self._before = Obstacle.UNKNOWN

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        t_s = verdict.t_ns / 1e9
        if verdict.obstacle is not self._before and verdict.obstacle in WARNS:
            self.onsets.append(Onset(t_s, verdict.obstacle, verdict.alert is not None, verdict.gap.distance_m))
        self._before = verdict.obstacle
        if verdict.alert:
            self.first_s.setdefault(verdict.alert.sound, t_s)

    def faults(self) -> tuple[()]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""

    def first(self, *sounds: str, after_s: float = 0.0) -> float | None:
        """When one of these was first heard, if not before `after_s`."""
        return min((t_s for sound, t_s in self.first_s.items() if sound in sounds and t_s >= after_s), default=None)


def listen(exercise: Exercise, story: Story, seed: int, seconds: float) -> Ear:
    """The device in a story, for so long. A published fall rule stands in for the learned one: falls are not the question here."""
    config = configured(exercise)
    bench, ear, inbox = Bench(config, story, seed), Ear(), Inbox()
    monitor = Monitor(config, None, None, Resume("rooms", 1))
    sensors = Sensors(bench.hardware, config, inbox)
    bench.at(seconds, sensors.stop)
    with Device(sensors, monitor, [Buzzer(bench.hardware.pins, config), ear], inbox) as device:
        device.start()
        device.run()
    return ear


def configured(exercise: Exercise) -> Config:
    """The shipped configuration, in that exercise."""
    return load(local=None, overrides={"fall": {"rule": "ahn2019"}, "device": {"exercise": exercise}})


# --- clean sessions


class Clean(NamedTuple):
    """Warnings begun in a clean session, and how many of them nothing bears out."""

    minutes: float
    cautions: int
    stops: int
    false: int


def clean(exercise: Exercise, seed: int, minutes: float) -> Clean:
    """One session."""
    one = session(exercise, TEST, seed, minutes)
    ear = listen(exercise, one.world, seed, one.seconds)
    return Clean(
        minutes,
        len([onset for onset in ear.onsets if onset.obstacle is Obstacle.CAUTION]),
        len([onset for onset in ear.onsets if onset.obstacle is Obstacle.STOP]),
        len([onset for onset in ear.onsets if not _borne_out(exercise, one.world, onset)]),
    )


def _borne_out(exercise: Exercise, story: Story, onset: Onset) -> bool:
    """In clean sessions only treadmill walkers may come where a warning is due: they wander."""
    if exercise != "treadmill":
        return False
    row = configured(exercise).exercises[exercise]
    began_s = next(begin for begin, _, phase, _ in story.body.told(int(onset.t_s * 1e9)) if isinstance(phase, OnBelt))
    places = [story.truth(int((began_s + s) * 1e9)).wall_m or 0.0 for s in np.arange(0.0, 15.0, 0.5)]
    here = story.truth(int(onset.t_s * 1e9)).wall_m or 0.0
    return here <= row.near_m + 0.05 or abs(here - float(np.mean(places))) >= (row.drift_caution_m or 0.0) - 0.05


# --- typical obstacles


class Trial(NamedTuple):
    """What came of one. `lead_s`: from the first sound to the collision; None: never told."""

    lead_s: float | None


def _told(ear: Ear, sounds: tuple[str, ...], hit_s: float, after_s: float = 0.0) -> Trial:
    t_s = ear.first(*sounds, after_s=after_s)
    return Trial(None if t_s is None or t_s > hit_s else hit_s - t_s)


def _story(who: Trainee, script: tuple[Phase, ...], things: tuple[Thing, ...]) -> Story:
    return Story(who, script, Surroundings(things, seed=who.seed))


def _reaches(story: Story, until_s: float, within_m: float = 0.1) -> float:
    """When something behind first is that near, s."""
    for t_s in np.arange(0.0, until_s, 0.02):
        wall_m = story.truth(int(t_s * 1e9)).wall_m
        if wall_m is not None and wall_m <= within_m:
            return float(t_s)
    return until_s


WALL = ("caution", "caution_fast", "stop", "near")


def _wall_behind(exercise: Exercise, who: Trainee, rng: np.random.Generator, speed: float, fast: bool) -> Trial:
    seconds = float(rng.uniform(6, 9))
    go = (Run if fast else Walk)(seconds, speed=-speed, lean_deg=float(rng.uniform(-3, 10)) if fast else None)
    away = speed * (seconds - 1.0)
    story = _story(who, (Stand(3), go, Stand(1)), (wall_behind(-away),))
    hit_s = _reaches(story, 3 + seconds)
    ear = listen(exercise, story, who.seed, hit_s)
    return _told(ear, WALL, hit_s)


def walker_to_a_wall(seed: int) -> Trial:
    """Walks backward into a wall."""
    who, rng = TEST.draw(70_000 + seed), np.random.default_rng([seed, 31])
    return _wall_behind("walk", who, rng, who.walk_m_s, False)


def limit_m_s() -> float:
    """The fastest that the ranger covers."""
    config = configured("run")
    return config.ranger.range_m / (config.exercises["run"].stop_ttc_s + config.obstacle.sure_pings / config.ranger.rate_hz)


def runner_to_a_wall(seed: int) -> Trial:
    """Runs backward into a wall, at a speed that the ranger covers."""
    who, rng = TEST.draw(71_000 + seed), np.random.default_rng([seed, 32])
    return _wall_behind("run", who, rng, min(who.run_m_s, 0.97 * limit_m_s()), True)


def fast_runner_to_a_wall(seed: int) -> Trial:
    """The same, faster than that."""
    who, rng = TEST.draw(72_000 + seed), np.random.default_rng([seed, 33])
    return _wall_behind("run", who, rng, float(rng.uniform(1.15, 1.3)) * limit_m_s(), True)


def fast_runner_in_the_open(seed: int) -> Trial:
    """Runs so fast with nothing in sight: "too fast" within the run's 8 s."""
    who, rng = TEST.draw(73_000 + seed), np.random.default_rng([seed, 34])
    go = Run(8.0, speed=-float(rng.uniform(1.15, 1.3)) * limit_m_s())
    ear = listen("run", _story(who, (Stand(3), go), ()), who.seed, 11.0)
    return _told(ear, ("too_fast",), 11.0)


def somebody_on_the_stairs(seed: int) -> Trial:
    """Climbs up backward toward somebody who stands there."""
    who, rng = TEST.draw(74_000 + seed), np.random.default_rng([seed, 35])
    riser, tread = float(rng.uniform(0.15, 0.19)), float(rng.uniform(0.26, 0.31))
    climb = Climb.of(10, who.stairs_rate, up=True, riser_m=riser, tread_m=tread, lean_deg=float(rng.uniform(-2, 10)))
    at = -0.25 - tread * int(rng.integers(6, 9))
    things = (Staircase(-0.25, 16, riser, tread), Somebody(0.0, 1.0, (at, 0.0), (at, 0.0)))
    story = _story(who, (Stand(3), climb, Stand(1)), things)
    hit_s = _reaches(story, 3 + climb.seconds)
    return _told(listen("stairs", story, who.seed, hit_s), WALL, hit_s)


def into_the_console(seed: int) -> Trial:
    """Drifts back into the console, 15 cm before it."""
    who, rng = TEST.draw(75_000 + seed), np.random.default_rng([seed, 36])
    away, seconds = float(rng.uniform(0.65, 0.95)), float(rng.uniform(12, 20))
    steady = OnBelt(20.0, speed=-who.walk_m_s * 0.7)
    drifts = OnBelt(seconds, speed=-who.walk_m_s * 0.8, drift_m=-(away - 0.1))
    story = _story(who, (Stand(4), steady, drifts, Stand(1)), (wall_behind(-away),))
    hit_s = _reaches(story, 24 + seconds, 0.15)
    return _told(listen("treadmill", story, who.seed, hit_s), WALL, hit_s)


def off_the_end(seed: int) -> Trial:
    """Drifts off the belt's open end and falls."""
    one = fall("treadmill", "off the end", TEST, 76_000 + seed)
    onset_s = one.truth.falls[0].onset_s
    return _told(listen("treadmill", one.world, one.who.seed, onset_s), ("off_end", "off_end_now"), onset_s)


def _lunges(seed: int, wall_m: tuple[float, float]) -> tuple[Ear, float]:
    who, rng = TEST.draw(77_000 + seed), np.random.default_rng([seed, 37])
    legs = ("left", "right") * 4
    reps = [
        Lunge.of(leg=leg, depth_m=who.leg_m * float(rng.uniform(0.24, 0.42)), back_m=who.leg_m * float(rng.uniform(0.32, 0.48)), seed=seed)
        for leg in legs
    ]
    begin_s = float(rng.uniform(3, 6))
    script = (Stand(begin_s), *(phase for rep in reps for phase in (rep, Stand(float(rng.uniform(0.3, 1.6))))))
    away = float(rng.uniform(*wall_m))
    seconds = sum(phase.seconds for phase in script)
    return listen("lunges", _story(who, script, (wall_behind(-away),)), who.seed, seconds), begin_s


def no_room_for_a_lunge(seed: int) -> Trial:
    """Begins lunges 0.55-1.1 m before a wall."""
    ear, begin_s = _lunges(seed, (0.55, 1.1))
    return _told(ear, ("no_room", *WALL), begin_s)


def room_enough(seed: int) -> Trial:
    """Does lunges 1.3-2 m before a wall: told is false here."""
    ear, _ = _lunges(seed, (1.3, 2.0))
    return _told(ear, ("no_room", *WALL), 1e9)


def somebody_close_during_lunges(seed: int) -> Trial:
    """Somebody steps to 0.5 m behind the wearer while they lunge: until they stand there."""
    who, rng = TEST.draw(78_000 + seed), np.random.default_rng([seed, 38])
    back = [who.leg_m * float(rng.uniform(0.32, 0.48)) for _ in range(4)]
    script = (Stand(5), *(phase for b in back for phase in (Lunge.of(leg="left", back_m=b), Stand(float(rng.uniform(0.3, 1.6))))))
    comes_s, takes_s = float(rng.uniform(6, 12)), float(rng.uniform(1.5, 3.0))
    somebody = Somebody(comes_s, takes_s, (-2.5, 2.0), (-0.9, 0.0))
    ear = listen("lunges", _story(who, script, (somebody,)), who.seed, comes_s + takes_s + 2.0)
    return _told(ear, ("no_room", *WALL), comes_s + takes_s + 1.5)


class Danger(NamedTuple):
    """A row of the table. `aim`: what share is to be in time; None: information."""

    exercise: Exercise
    name: str
    trial: Callable[[int], Trial]
    aim: tuple[float, float] | None = (SHARE_IN_TIME, 1.0)
    needed_s: float = NEEDED_S


DANGERS = (
    Danger("walk", "a wall behind a walker", walker_to_a_wall),
    Danger("run", "a wall behind a runner the ranger covers", runner_to_a_wall, None),
    Danger("run", "a wall behind a faster runner", fast_runner_to_a_wall, None),
    Danger("run", "too fast, nothing in sight: said within 8 s", fast_runner_in_the_open, None, 0.0),
    Danger("stairs", "somebody on the stairs", somebody_on_the_stairs),
    Danger("treadmill", "drifting into the console", into_the_console),
    Danger("treadmill", "drifting off the open end", off_the_end),
    Danger("lunges", "no room: told before the first lunge", no_room_for_a_lunge),
    Danger("lunges", "room enough (must be silent)", room_enough, (0.0, 0.0), 0.0),
    Danger("lunges", "somebody steps in close: within 1.5 s of standing there", somebody_close_during_lunges, needed_s=0.0),
)


def _in_time(trials: list[Trial], needed_s: float) -> float:
    return len([one for one in trials if one.lead_s is not None and one.lead_s >= needed_s]) / len(trials)


def _cleanly(chosen: list[Exercise], sessions: int, minutes: float, console: Console) -> Iterator[tuple[Exercise, list[Clean]]]:
    for exercise in chosen:
        seeds = track(range(sessions), f"clean sessions: {exercise}", console=console, transient=True)
        yield exercise, [clean(exercise, 100 + seed, minutes) for seed in seeds]


def main() -> int:
    """Print the tables; 1 if a clean session is warned of falsely or an aim is missed."""
    parser = argparse.ArgumentParser(description="The space behind in each exercise: silent when clean, told in time when not?")
    parser.add_argument("--sessions", type=int, default=6, help="clean ones of each exercise")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of one")
    parser.add_argument("--trials", type=int, default=40, help="of each obstacle")
    parser.add_argument("--exercise", nargs="+", choices=EXERCISES, default=list(EXERCISES))
    args = parser.parse_args()
    console, missed = Console(width=140), 0
    table = Table(title="clean sessions, test population", title_justify="left", box=None, pad_edge=False)
    for heading in ("exercise", "hours", "CAUTION an hour", "STOP an hour", "false, in all"):
        table.add_column(heading, justify="left" if heading == "exercise" else "right")
    for exercise, heard in _cleanly(args.exercise, args.sessions, args.minutes, console):
        hours = args.minutes * len(heard) / 60
        counts = [float(np.sum([getattr(one, name) for one in heard])) for name in ("cautions", "stops", "false")]
        missed += counts[2] > 0
        table.add_row(exercise, f"{hours:.1f}", f"{counts[0] / hours:.1f}", f"{counts[1] / hours:.1f}", f"{counts[2]:.0f}")
    console.print(table)
    table = Table(title="typical obstacles", title_justify="left", box=None, pad_edge=False)
    for heading in ("exercise", "obstacle", "trials", "told", "in time", "lead, s: 5 %", "50 %", "95 %", ""):
        table.add_column(heading, justify="left" if heading in ("exercise", "obstacle") else "right")
    for danger in DANGERS:
        if danger.exercise not in args.exercise:
            continue
        trials = [danger.trial(seed) for seed in track(range(args.trials), danger.name, console=console, transient=True)]
        leads = [one.lead_s for one in trials if one.lead_s is not None]
        share = _in_time(trials, danger.needed_s)
        well = danger.aim is None or danger.aim[0] <= share <= danger.aim[1]
        missed += not well
        spread = [f"{value:.1f}" for value in np.percentile(leads, [5, 50, 95])] if leads and danger.aim != (0.0, 0.0) else ["", "", ""]
        told = f"{len(leads) / len(trials):.0%}"
        table.add_row(danger.exercise, danger.name, str(len(trials)), told, f"{share:.0%}", *spread, "" if well else "MISSED")
    console.print(table)
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
