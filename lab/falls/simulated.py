"""Simulated strangers train, and fall: what does the shipped model say? `make strangers`, or `python -m lab.falls.simulated`.

All people are the test population's (guardian.sim.population): other seeds and wider ranges of height, speed and style than those of the
training population, whose sessions and falls the model has learned from. Their motion alone is played through the whole device, without the
ranger. First falls of each kind in each exercise: how many were alarmed before the impact, the median lead of those, how long after the
impact the latest alarm came. Then hours of training without a fall: the alarms in them, and the share of the time that was guarded.
"""

import argparse
import os
import statistics
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from guardian.app import fall_model, recorded_device
from guardian.commands.replay_imu import Teller
from guardian.config import Config, load
from guardian.sim.exercises import EXERCISES, FALLS, Exercise, Session, fall, session
from guardian.sim.population import TEST
from lab.evaluate import RATE_HZ
from lab.score import ALARMS, WINDOW_S

TRAINED: tuple[Exercise, ...] = tuple(exercise for exercise in EXERCISES if exercise != "everyday")
SESSION_MIN = 10.0
FIRST_FALL, FIRST_SESSION = 4100, 4500  # seeds; those of 100 and 500 were looked at while the recipe was chosen
AFTER_S = 12.0  # played on after an impact: the nets under the model have had their say by then

FallJob = tuple[Exercise, str, int]
SessionJob = tuple[Exercise, int]


class Heard(NamedTuple):
    """What the device said of one story: alarms (s from its start), and how long it guarded (s)."""

    alarms_s: list[float]
    guarded_s: float


def worn_for(config: Config, exercise: str) -> Config:
    """With this exercise chosen."""
    return replace(config, device=replace(config.device, exercise=exercise))


def heard(config: Config, story: Session, seconds: float) -> Heard:
    """The whole device, told of the motion alone."""
    t_s = np.arange(0, seconds, 1 / RATE_HZ)
    teller = Teller()
    bench, device = recorded_device(config, t_s, story.motion((t_s * 1e9).astype(np.int64)), fall_model(config), teller)
    start_ns = bench.clock.now_ns()
    bench.at(float(t_s[-1]), device.stop)
    with device:
        device.run()
    alarms = [(event.t_ns - start_ns) * 1e-9 for event in teller.events if event.event_type in ALARMS]
    return Heard(alarms, teller.guarded_ns * 1e-9)


def lead_s(job: FallJob) -> float | None:
    """From the first alarm to the impact, negative after it; None: never."""
    exercise, kind, seed = job
    story = fall(exercise, kind, TEST, seed)
    impact_s = story.truth.falls[0].impact_s
    if impact_s is None:
        raise ValueError(f"{job}: a fall without an impact")
    first = min(heard(worn_for(load(None), exercise), story, impact_s + AFTER_S).alarms_s, default=None)
    return None if first is None else impact_s - first


def quiet(job: SessionJob) -> Heard:
    """A session without a fall."""
    exercise, seed = job
    return heard(worn_for(load(None), exercise), session(exercise, TEST, seed, minutes=SESSION_MIN), SESSION_MIN * 60)


def falls(pool: ProcessPoolExecutor, each: int) -> bool:
    """Play and print `each` falls an exercise; whether 95 % of each exercise's were alarmed before the impact."""
    jobs = [
        (exercise, kind, FIRST_FALL + n)
        for exercise in TRAINED
        for kind in FALLS[exercise]
        for n in range(-(-each // len(FALLS[exercise])))
    ]
    found: dict[FallJob, float | None] = dict(zip(jobs, pool.map(lead_s, jobs, chunksize=4), strict=True))
    by_kind: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    for (exercise, kind, _), lead in found.items():
        by_kind[exercise, kind].append(lead)
        by_kind[exercise, "all"].append(lead)
    well = True
    for (exercise, kind), leads in sorted(by_kind.items()):
        ahead = [lead for lead in leads if lead is not None and 0 <= lead <= WINDOW_S]
        told = [lead for lead in leads if lead is not None]
        median = f"{statistics.median(ahead):.2f} s" if ahead else "-"
        latest = max(0.0, -min(told, default=0.0))
        share = len(ahead) / len(leads)
        well = well and (kind != "all" or share >= 0.95)
        print(
            f"{exercise:10s} {kind:22s} {len(ahead):3d}/{len(leads):<3d} {share:7.2%} median lead {median:7s} "
            f"latest {latest:.2f} s after, {len(leads) - len(told)} never",
            flush=True,
        )
    return well


def hours(pool: ProcessPoolExecutor, wanted: float) -> bool:
    """Play and print sessions without a fall; whether none had an alarm."""
    each = -(-round(wanted * 60) // round(SESSION_MIN * len(TRAINED)))
    jobs = [(exercise, FIRST_SESSION + n) for exercise in TRAINED for n in range(each)]
    found = dict(zip(jobs, pool.map(quiet, jobs), strict=True))
    for exercise in TRAINED:
        mine = [(seed, said) for (which, seed), said in found.items() if which == exercise]
        alarmed = [f"person {seed}: {', '.join(f'{t_s:.1f} s' for t_s in said.alarms_s)}" for seed, said in mine if said.alarms_s]
        total_s = len(mine) * SESSION_MIN * 60
        guarded = sum(said.guarded_s for _, said in mine) / total_s
        print(
            f"{exercise:10s} {total_s / 3600:.2f} h, guarded {guarded:.2%}, alarms {sum(len(said.alarms_s) for _, said in mine)}",
            *alarmed,
            sep="\n           " if alarmed else " ",
            flush=True,
        )
    return not any(said.alarms_s for said in found.values())


def main() -> int:
    """Play and print; 1 if a bar is missed."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--falls", type=int, default=200, help="in each exercise (default 200)")
    arguments.add_argument("--hours", type=float, default=20.0, help="of training without a fall, over all exercises (default 20)")
    arguments.add_argument("--jobs", type=int, default=2)
    args = arguments.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(args.jobs) as pool:
        well = (falls(pool, args.falls) if args.falls else True, hours(pool, args.hours) if args.hours else True)
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
