"""Lunges and stairs of simulated people, counted set by set: `make repetitions`, or python -m lab.repetitions --sets 200.

People of the test population train (--population training: those it was tuned on). What they feel is sampled as a chip does, with its
low-pass, noise, zero errors and counts (lab.falls.disturb), and goes through attitude and repetitions; with --device through simulated
registers, driver and the whole monitor instead, which takes some ten times as long. A set of lunges lies between two long pauses, one
of stairs is one way up or down. Exact: as many as were done, lunges of each leg. False: with the row of lunges, or of stairs, in force,
in all other exercises and in sitting, kneeling, lying down, picking up, hopping. With SISFALL=folder: stairs on its stairs and
level walks, lunges in its chairs, beds and cars. It says nowhere how many stairs there were: ten, by all that its sensor felt.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from guardian.app import fall_model, recorded_device
from guardian.config import Config, load
from guardian.frame import Fault, Frame, ImuSample
from guardian.monitor.estimate import Attitude
from guardian.monitor.repetitions import Repetitions, Reps
from guardian.sim.exercises import CONTROLLED, EXERCISES, Session, controlled, session
from guardian.sim.population import TEST, TRAINING, Population
from guardian.verdict import Verdict
from lab.evaluate import BACKWARD, RATE_HZ, Job, trials
from lab.falls.disturb import Ranges, sampled

Counts = Literal["lunges", "stairs"]
Array = NDArray[np.float64]
Ear = Callable[[Config, Array, Counts, int], list["Said"]]

FINE_HZ = 416.0  # of the motion handed to the chip: four times its own rate
CHIP = Ranges(accel_bias_m_s2=0.25)  # an LSM6DSOX's zero-g (±20 mg) and a little; an MPU's 0.8 is tried with --mpu
PAUSE_S = 10.0  # between sets of lunges
MINUTES = {"lunges": 10.0, "stairs": 8.0}
SHARE = 0.95
STAIRS = 10  # SisFall's staircase, as it seems: its climbs gain 1.7-2.0 m in ten swings
FLIGHT = 6  # so many counted at once are a whole way up or down it


class Said(NamedTuple):
    """A count that changed."""

    t_s: float
    reps: Reps


@dataclass(frozen=True)
class Set:
    """What was done in one set, and counted."""

    seed: int
    begin_s: float
    done: tuple[int, ...]  # lunges: left, right; stairs: one number
    counted: tuple[int, ...]
    depth_errors: tuple[float, ...] = ()  # of its lunges, counted less done, m

    @property
    def exact(self) -> bool:
        """All of them, and each leg's."""
        return self.done == self.counted


def felt(story: Session) -> Array:
    """(n, 7): t_s, specific force, angular rate, at FINE_HZ."""
    motion = story.samples(FINE_HZ)
    return np.column_stack((np.arange(len(motion)) / FINE_HZ, motion))


def by_ear(config: Config, values: Array, counts: Counts, seed: int, chip: Ranges = CHIP) -> list[Said]:
    """What is counted of this motion, through a chip's errors, attitude and repetitions."""
    rows, full = sampled(np.random.default_rng([seed, 5]), values, chip)
    attitude, repetitions, row = Attitude(config), Repetitions(config), config.exercises[counts]
    said: list[Said] = []
    for (t_s, ax, ay, az, gx, gy, gz), saturated in zip(rows.tolist(), full.tolist(), strict=True):
        sample = ImuSample(int(t_s * 1e9), (ax, ay, az), (gx, gy, gz), saturated)
        reps = repetitions.step(attitude.step(sample), row)
        if not said or reps != said[-1].reps:
            said.append(Said(t_s, reps))
    return said


class _Listener:
    """An output that keeps the counts."""

    name = "listener"

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.start_ns = 0

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        motion = verdict.motion
        reps = Reps(motion.stairs, motion.lunges_left, motion.lunges_right, motion.rep)
        if not self.said or reps != self.said[-1].reps:
            self.said.append(Said((frame.t_ns - self.start_ns) * 1e-9, reps))

    def faults(self) -> tuple[Fault, ...]:
        return ()

    def close(self) -> None:
        """Nothing to do."""


def by_device(config: Config, values: Array, counts: Counts, seed: int) -> list[Said]:
    """The same through the whole device."""
    config = replace(config, device=replace(config.device, exercise=counts))
    listener = _Listener()
    bench, device = recorded_device(config, values[:, 0], values[:, 1:], fall_model(config), listener)
    listener.start_ns = bench.clock.now_ns()
    bench.at(float(values[-1, 0]), device.stop)
    with device:
        device.run()
    return listener.said


# --- sets ---------------------------------------------------------------------------------------------------------------------------


def _whole_sets(story: Session, counts: Counts) -> list[tuple[float, float]]:
    """Begin and end of each set that is whole."""
    if counts == "stairs":
        return [(span.begin_s, span.end_s) for span in story.truth.spans if span.phase == "Climb" and span.end_s < story.seconds - 2.0]
    sets: list[tuple[float, float]] = []
    for rep in story.truth.reps:
        if sets and rep.begin_s - sets[-1][1] < PAUSE_S:
            sets[-1] = (sets[-1][0], rep.end_s)
        else:
            sets.append((rep.begin_s, rep.end_s))
    return [one for one in sets if one[1] < story.seconds - PAUSE_S]


def sets(story: Session, counts: Counts, said: list[Said]) -> list[Set]:
    """Each whole set, and what was counted from its beginning to the next one's."""
    whole = _whole_sets(story, counts)
    begins = [*(begin for begin, _ in whole[1:]), whole[-1][1] + 3.0] if whole else []
    out = []
    for (begin, end), until in zip(whole, begins, strict=True):
        until_s = min(until, end + PAUSE_S) if counts == "lunges" else until
        before, after = (max((one for one in said if one.t_s <= at), key=lambda one: one.t_s).reps for at in (begin, until_s))
        if counts == "stairs":
            done = sum(begin <= stair.t_s <= end for stair in story.truth.stairs)
            out.append(Set(story.who.seed, begin, (done,), (after.stairs - before.stairs,)))
            continue
        reps = [rep for rep in story.truth.reps if begin <= rep.begin_s <= end]
        counted = (after.lunges_left - before.lunges_left, after.lunges_right - before.lunges_right)
        left = sum(rep.leg == "left" for rep in reps)
        told = [one.reps.rep for one in said if begin < one.t_s <= until_s and one.reps.rep is not None]
        pairs = [(rep, one) for rep in reps for one in told if rep.bottom_s < one.t_ns * 1e-9 <= rep.end_s + 0.5]
        depths = tuple(one.depth_m - rep.depth_m for rep, one in pairs)
        out.append(Set(story.who.seed, begin, (left, len(reps) - left), counted, depths))
    return out


def _session_sets(population: Population, counts: Counts, ear: Ear, seed: int) -> list[Set]:
    story = session(counts, population, seed, MINUTES[counts])
    return sets(story, counts, ear(load(None), felt(story), counts, seed))


# --- what is none -------------------------------------------------------------------------------------------------------------------


class Others(NamedTuple):
    """Counted where there was nothing to count."""

    what: str
    hours: float
    counted: int


def _others(population: Population, counts: Counts, ear: Ear, what: str, seed: int) -> Others:
    story = session(what, population, seed, 6.0) if what in EXERCISES else controlled(what, population, seed)  # type: ignore[arg-type]
    said = ear(load(None), felt(story), counts, seed)
    last = said[-1].reps
    counted = last.stairs if counts == "stairs" else last.lunges_left + last.lunges_right
    done = story.truth.stairs if counts == "stairs" else story.truth.reps
    return Others(what, story.seconds / 3600, max(0, counted - len(done)))


def _other_kinds(counts: Counts) -> list[str]:
    own = "climb" if counts == "stairs" else "lunge"
    return [*(one for one in EXERCISES if one not in (counts, "everyday")), *(one for one in CONTROLLED if one != own)]


# --- recordings ---------------------------------------------------------------------------------------------------------------------


class Trial(NamedTuple):
    """Of a recording: counted at once, one number a time, and how long it lasts. Stairs in D01-D06, lunges in all other activities."""

    activity: str
    minutes: float
    counted: tuple[int, ...]


def _recorded(folder: Path, person: str) -> list[Trial]:
    config, own = load(None), Ranges(yaw_deg=0, tilt_deg=0, accel_bias_m_s2=0, gyro_bias_rad_s=0)
    found = []
    for name, values in trials(Job(folder / f"{person}.npz", "")):
        if name.startswith("D"):
            said = by_ear(config, values, "stairs" if name.startswith(BACKWARD) else "lunges", 1, own)
            totals = [one.reps.stairs + one.reps.lunges_left + one.reps.lunges_right for one in said]
            found.append(Trial(name[:3], len(values) / RATE_HZ / 60, tuple(b - a for a, b in pairwise(totals))))
    return found


def _told_of_recordings(folder: Path, pool: Executor) -> Iterator[str]:
    people = sorted(path.stem for path in folder.glob("*.npz"))
    rows = [row for some in pool.map(partial(_recorded, folder), people) for row in some]
    yield f"SisFall, {len(people)} people"
    for activity in sorted({row.activity for row in rows}):
        same = [row for row in rows if row.activity == activity]
        if activity in ("D05", "D06"):
            flights = [at_once for row in same for at_once in row.counted if at_once >= FLIGHT]
            ten, near = ([abs(at_once - STAIRS) <= off for at_once in flights] for off in (0, 1))
            yield (
                f"  {activity}: {len(same)} trials, {len(flights)} flights between two stands; ten stairs in {np.mean(ten):.0%}, "
                f"9 to 11 in {np.mean(near):.0%}; all together {sum(sum(row.counted) for row in same)} stairs"
            )
        else:
            what = "stairs" if activity in BACKWARD else "lunges"
            counted, hours = sum(sum(row.counted) for row in same), sum(row.minutes for row in same) / 60
            yield f"  {activity}: {len(same)} trials, {counted} {what} counted, {counted / hours:.1f} an hour"


# --- the table ----------------------------------------------------------------------------------------------------------------------


def _said_of(counts: Counts, found: list[Set]) -> Iterator[str]:
    exact = sum(one.exact for one in found)
    yield f"{counts}: {exact} of {len(found)} sets exact, {exact / len(found):.1%}"
    done, counted = (np.array([getattr(one, key) for one in found]) for key in ("done", "counted"))
    yield f"  done {done.sum()}, counted {counted.sum()}; whichever leg: {(done.sum(1) == counted.sum(1)).mean():.1%} of sets exact"
    if counts == "lunges":
        legs = np.abs(done - counted).sum() / 2 / done.sum()
        errors = np.array([error for one in found for error in one.depth_errors])
        yield f"  taken for the other leg or missed: {legs:.2%} of lunges"
        yield (
            f"  depth: median error {np.median(errors) * 100:+.1f} cm, 95 % within "
            f"{np.percentile(np.abs(errors), 95) * 100:.1f} cm, of {len(errors)} lunges"
        )


def main() -> int:
    """Print the figures; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="of lunges, and of stairs (default 200)")
    parser.add_argument("--others", type=int, default=6, metavar="N", help="people in each other exercise and movement (default 6)")
    parser.add_argument("--population", choices=("test", "training"), default="test")
    parser.add_argument("--counts", choices=("lunges", "stairs"), help="only these")
    parser.add_argument("--device", action="store_true", help="through registers, driver and the whole monitor")
    parser.add_argument("--mpu", action="store_true", help="zero errors of an MPU-6050: ±80 mg")
    parser.add_argument("--wrong", action="store_true", help="name each set that is not exact")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    population = TEST if args.population == "test" else TRAINING
    ear: Ear = by_device if args.device else partial(by_ear, chip=Ranges()) if args.mpu else by_ear
    kinds: tuple[Counts, ...] = (args.counts,) if args.counts else ("lunges", "stairs")
    missed = False
    with ProcessPoolExecutor(args.jobs) as pool:
        for counts in kinds:
            found: list[Set] = []
            seeds = count()
            while len(found) < args.sets:
                some = [next(seeds) for _ in range(2 * args.jobs)]
                for one in pool.map(partial(_session_sets, population, counts, ear), some):
                    found += one
            del found[args.sets :]
            print("\n".join(_said_of(counts, found)))
            missed |= sum(one.exact for one in found) < SHARE * len(found)
            for wrong in found if args.wrong else ():
                if not wrong.exact:
                    print(f"  {wrong}"[:110])
            jobs = [(what, seed) for what in _other_kinds(counts) for seed in range(args.others)]
            others = list(pool.map(partial(_others, population, counts, ear), *zip(*jobs, strict=True))) if jobs else []
            for what in _other_kinds(counts) if others else ():
                same = [other for other in others if other.what == what]
                false, hours = sum(other.counted for other in same), sum(other.hours for other in same)
                print(f"  in {what}: {false} counted in {hours * 60:.0f} min, {false / hours:.1f} an hour")
        if "SISFALL" in os.environ and not args.counts:
            print("\n".join(_told_of_recordings(Path(os.environ["SISFALL"]), pool)))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
