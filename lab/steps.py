"""Steps, direction and distance judged: real people against a published detector, simulated people against their truth.

usage: SISFALL=/path/to/sisfall make steps        (or: python -m lab.steps /path/to/sisfall [--people 12] [--minutes 5])

Steps of SisFall's 26 people, walking (D01, D02) and jogging (D03, D04), forward and reversed in time (samples reversed, angular rates
negated), through Attitude and Gait from each trial's first sample to its last: what the device misses while it finds upright, and until
three steps have made a walk, counts against it. The reference is Mobilise-D's initial contact detector for the lower back, IcdIonescu
(McCamley 2012, Ionescu 2020), over the whole forward trial, vertical along its mean gravity; and for jogging, for which that was not
made, also the spectrum: the greatest line of each 10 s of vertical acceleration, 1.8-3.6 Hz, times its duration. Per person, over the
trials of both activities: |ours - theirs| / theirs; the bars are for the median over people.

Then simulated sessions: steps within walks and in all (of the small steps of a turn on the spot some half are not felt), the direction
that most of each minute's walking had against the one that most of it was said to have, distance against the way truly gone. No number
was chosen on these people, but SisFall's were looked at for the bounds of direction. Prints tables; 1 if a bar is missed. The reference
needs the extra [lab].
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mobgap.initial_contacts import IcdIonescu
from numpy.typing import NDArray
from pandas import DataFrame
from rich.console import Console
from rich.table import Table

from guardian.config import Config, load
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude
from guardian.monitor.gait import Gait
from guardian.monitor.quality import GaitQuality
from guardian.sim.exercises import EXERCISES, Exercise, session
from guardian.sim.population import TEST, TRAINING, Population
from guardian.verdict import Direction
from lab.evaluate import body, reversed_in_time

Array = NDArray[np.float64]

HZ = 100.0  # the device's samples: means of two of the recordings'
WALKS, JOGS = ("D01", "D02"), ("D03", "D04")
WINDOW_S = 10.0
JOG_HZ = (1.8, 3.6)
BARS = {"walking against IcdIonescu": 0.03, "jogging against the spectrum": 0.05, "jogging against IcdIonescu": 0.05}
SIMULATED_BAR, MINUTES_BAR = 0.02, 0.95
FIRST_SEED = 100  # those before it were looked at while the bounds were chosen
WAYS = (Direction.FORWARD, Direction.BACKWARD)


class Told(NamedTuple):
    """What the device said of each sample of a movement."""

    t_s: Array
    walking: NDArray[np.bool_]
    steps: NDArray[np.int64]
    direction: list[Direction]
    distance_m: float
    gait_us: float  # a sample
    quality_us: float


def halved(motion: Array) -> Array:
    """(n, 6) at twice HZ, as means of two."""
    paired: Array = motion[: len(motion) // 2 * 2].reshape(-1, 2, 6).mean(axis=1)
    return paired


def told(config: Config, motion: Array) -> Told:
    """Motion (n, 6) at HZ, through attitude, gait and quality."""
    attitude, gait, quality = Attitude(config), Gait(config), GaitQuality(config)
    walking, steps, direction = [], [], []
    gait_s = quality_s = distance = 0.0
    for i, (ax, ay, az, gx, gy, gz) in enumerate(motion.tolist()):
        pose = attitude.step(ImuSample(int(i * 1e9 / HZ), (ax, ay, az), (gx, gy, gz), False), gait.memory.walking)
        began = time.perf_counter()
        stride = gait.step(pose)
        between = time.perf_counter()
        distance = quality.step(pose, stride).distance_m
        quality_s += time.perf_counter() - between
        gait_s += between - began
        walking.append(stride.walking)
        steps.append(stride.steps)
        direction.append(stride.direction)
    each = 1e6 / len(motion)
    return Told(np.arange(len(motion)) / HZ, np.array(walking), np.array(steps), direction, distance, gait_s * each, quality_s * each)


def vertical(trial: Array) -> Array:
    """Specific force along the trial's mean gravity, m/s², HZ."""
    force = halved(trial[:, 1:])[:, :3]
    up = force.mean(axis=0)
    return np.asarray(force @ up / np.linalg.norm(up))


def contacts(trial: Array) -> int:
    """Initial contacts that IcdIonescu finds in a trial."""
    detector = IcdIonescu().detect(DataFrame({"acc_is": vertical(trial)}), sampling_rate_hz=HZ)
    return len(detector.ic_list_)


def by_spectrum(trial: Array) -> float:
    """Steps of a trial that is jogged throughout."""
    up, size = vertical(trial), int(WINDOW_S * HZ)
    hz = np.fft.rfftfreq(8 * size, 1 / HZ)
    tried = (hz >= JOG_HZ[0]) & (hz <= JOG_HZ[1])
    parts = [up[i : i + size] for i in range(0, len(up) - size // 2, size)]
    lines = [hz[tried][np.argmax(np.abs(np.fft.rfft((part - part.mean()) * np.hanning(len(part)), 8 * size))[tried])] for part in parts]
    return float(np.mean(lines)) * len(up) / HZ


def show(console: Console, title: str, headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """One table."""
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def real(console: Console, config: Config, folder: Path) -> int:
    """Recordings: steps and direction. Returns how many bars are missed."""
    ours: dict[tuple[str, str, str], float] = defaultdict(float)  # person, activities, variant -> steps
    theirs: dict[tuple[str, str, str], float] = defaultdict(float)  # person, activities, reference -> steps
    said: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    for source in sorted(folder.glob("S*.npz")):
        with np.load(source, allow_pickle=False) as archive:
            for name in (name for name in archive.files if name.startswith(WALKS + JOGS)):
                trial, what = body(archive[name]), "walking" if name.startswith(WALKS) else "jogging"
                theirs[source.stem, what, "IcdIonescu"] += contacts(trial)
                if what == "jogging":
                    theirs[source.stem, what, "the spectrum"] += by_spectrum(trial)
                for variant, right in (("forward", Direction.FORWARD), ("reversed", Direction.BACKWARD)):
                    played = trial if variant == "forward" else reversed_in_time(trial)
                    heard = told(config, halved(played[:, 1:]))
                    ours[source.stem, what, variant] += heard.steps[-1]
                    walked = [way for way, walks in zip(heard.direction, heard.walking, strict=True) if walks]
                    wrong = WAYS[right is WAYS[0]]
                    shares = [walked.count(way) / len(walked) for way in (right, wrong, Direction.TURNING, Direction.UNKNOWN)]
                    said[name[:3], variant].append((*shares, float(shares[0] > shares[1])))
    rows, missed = [], 0
    for what, reference in (("walking", "IcdIonescu"), ("jogging", "IcdIonescu"), ("jogging", "the spectrum")):
        for variant in ("forward", "reversed"):
            people = [person for person, *rest in theirs if rest == [what, reference]]
            apart = np.array([ours[p, what, variant] / theirs[p, what, reference] - 1 for p in people])
            middle, bar = float(np.median(np.abs(apart))), BARS[f"{what} against {reference}"]
            missed += middle > bar
            rows.append(
                (
                    f"{what} {variant}, against {reference} forward",
                    str(len(people)),
                    f"{middle:.1%}",
                    f"{np.percentile(np.abs(apart), 90):.1%}",
                    f"{np.median(apart):+.1%}",
                    f"{bar:.0%}",
                )
            )
    show(console, "Steps of SisFall's people", ("", "people", "median |error|", "90 %", "median error", "bar"), rows)
    show(
        console,
        "Direction of SisFall's people: shares of the time walked, means over trials",
        ("", "trials", "right", "wrong", "turning", "unknown", "trials told right"),
        (
            (f"{activity} {variant}", str(len(shares)), *(f"{share:.1%}" for share in np.mean(shares, axis=0)))
            for (activity, variant), shares in sorted(said.items())
        ),
    )
    return missed


class Person(NamedTuple):
    """One simulated session: what was said against what is true."""

    exercise: Exercise
    population: str
    steps_in_walks: float  # relative errors ...
    steps: float
    distance: float
    minutes: tuple[bool, ...]  # whose direction was told right
    gait_us: float
    quality_us: float


def simulated(config: Config, exercise: Exercise, population: Population, seed: int, minutes: float) -> Person:
    """One of that population in that exercise."""
    one = session(exercise, population, seed, minutes)
    truth, heard = one.truth, told(config, halved(one.samples(2 * HZ)))
    truly_all = ours_all = 0
    for span in truth.spans:
        if span.direction in ("forward", "backward"):  # a step that ends the walk is told just after it
            begin, end = span.begin_s, min(span.end_s + 1.0, heard.t_s[-1])
            truly_all += int(((truth.steps_s >= begin) & (truth.steps_s < end)).sum())
            ours_all += int(heard.steps[int(end * HZ)] - heard.steps[int(begin * HZ)])
    right = []
    for begin in range(0, int(minutes * 60), 60):
        within = [i for i in range(int(begin * HZ), min(len(heard.t_s), int((begin + 60) * HZ)), 10) if heard.walking[i]]
        walked = [(truth.direction(heard.t_s[i]), heard.direction[i]) for i in within]
        walked = [(true, way) for true, way in walked if true in ("forward", "backward")]
        if len(walked) >= 50:  # 5 s
            true_most = max(WAYS, key=lambda way: sum(true == way.value for true, _ in walked))
            said_right = sum(way is true_most for _, way in walked)
            right.append(said_right > sum(way in WAYS and way is not true_most for _, way in walked))
    return Person(
        exercise,
        population.name,
        ours_all / truly_all - 1 if truly_all else 0.0,
        heard.steps[-1] / len(truth.steps_s) - 1,
        heard.distance_m / truth.distance_m - 1,
        tuple(right),
        heard.gait_us,
        heard.quality_us,
    )


def people(console: Console, config: Config, number: int, minutes: float) -> int:
    """Simulated people: steps, direction, distance. Returns how many bars are missed."""
    rows, missed, everyone = [], 0, []
    told_right: list[bool] = []
    for exercise in EXERCISES:
        for population in (TRAINING, TEST):
            some = [simulated(config, exercise, population, seed, minutes) for seed in range(FIRST_SEED, FIRST_SEED + number)]
            everyone += some
            right = [minute for one in some for minute in one.minutes]
            in_walks, in_all, distance = (
                np.array(column) for column in zip(*((one.steps_in_walks, one.steps, one.distance) for one in some), strict=True)
            )
            if population is TEST:
                told_right += right
                missed += exercise in ("walk", "treadmill") and float(np.median(np.abs(in_walks))) > SIMULATED_BAR
            rows.append(
                (
                    f"{exercise}, {population.name}",
                    f"{np.median(np.abs(in_walks)):.1%}",
                    f"{np.median(np.abs(in_all)):.1%}",
                    f"{np.median(in_all):+.1%}",
                    f"{np.mean(right):.1%} of {len(right)}" if right else "",
                    f"{np.median(np.abs(distance)):.0%}",
                    f"{np.percentile(np.abs(distance), 90):.0%}",
                    f"{np.median(distance):+.0%}",
                )
            )
    show(
        console,
        f"Simulated people, {number} of each population, {minutes:g} minutes each",
        ("", "steps in walks, median |error|", "all steps", "bias", "minutes told right", "distance, median |error|", "90 %", "bias"),
        rows,
    )
    share = float(np.mean(told_right))
    console.print(f"minutes of test people told right: {share:.1%} of {len(told_right)} (bar {MINUTES_BAR:.0%})")
    cost = np.mean([(one.gait_us, one.quality_us) for one in everyone], axis=0)
    console.print(f"a sample costs {cost[0]:.1f} µs in gait, {cost[1]:.1f} in its quality")
    return missed + (share < MINUTES_BAR)


def main() -> int:
    """Print the tables; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description="Are steps, direction and distance right?")
    parser.add_argument("sisfall", type=Path)
    parser.add_argument("--people", type=int, default=12, help="simulated ones of each population and exercise")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each")
    args = parser.parse_args()
    console, config = Console(width=150), load(local=None)
    missed = real(console, config, args.sisfall) + people(console, config, args.people, args.minutes)
    console.print(f"steps: {missed} bars missed")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
