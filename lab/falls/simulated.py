"""Simulated strangers fall, of each kind and in each exercise: when does the shipped model say so? `python -m lab.falls.simulated`.

The people are the test population's (guardian.sim.population), none of whose falls, and of the training population's too, the model has
learned from. Their motion alone is played through the whole device. Prints, by kind: falls alarmed before the impact, the median lead of
those, and how long after the impact the latest alarm came.
"""

import argparse
import os
import statistics
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from msgspec.structs import replace

from guardian.app import fall_model, recorded_device
from guardian.commands.replay_imu import Teller
from guardian.config import Config, load
from guardian.sim.exercises import FALLS, Exercise, Session, fall
from guardian.sim.population import TEST
from lab.evaluate import RATE_HZ
from lab.score import ALARMS, WINDOW_S

Job = tuple[Exercise, str, int]


def worn_for(config: Config, exercise: str) -> Config:
    """With this exercise chosen."""
    return replace(config, device=replace(config.device, exercise=exercise))


def alarms(config: Config, story: Session) -> list[float]:
    """When the whole device, told of the motion alone, raises an alarm, s."""
    t_s = np.arange(0, story.seconds, 1 / RATE_HZ)
    teller = Teller()
    bench, device = recorded_device(config, t_s, story.motion((t_s * 1e9).astype(np.int64)), fall_model(config), teller)
    start_ns = bench.clock.now_ns()
    bench.at(float(t_s[-1]), device.stop)
    with device:
        device.run()
    return [(event.t_ns - start_ns) * 1e-9 for event in teller.events if event.event_type in ALARMS]


def lead_s(job: Job) -> float | None:
    """From the first alarm to the impact, negative after it; None: never."""
    exercise, kind, seed = job
    story = fall(exercise, kind, TEST, seed)
    impact_s = story.truth.falls[0].impact_s
    first = min(alarms(worn_for(load(None), exercise), story), default=None)
    return None if first is None or impact_s is None else impact_s - first


def main() -> int:
    """Play and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--falls", type=int, default=60, help="in each exercise (default 60)")
    arguments.add_argument("--jobs", type=int, default=2)
    args = arguments.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    kinds = [(exercise, kind) for exercise in FALLS for kind in FALLS[exercise]]
    jobs = [(exercise, kind, 100 + n) for exercise, kind in kinds for n in range(args.falls // len(FALLS[exercise]))]
    found: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    with ProcessPoolExecutor(args.jobs) as pool:
        for (exercise, kind, _), lead in zip(jobs, pool.map(lead_s, jobs, chunksize=4), strict=True):
            found[exercise, kind].append(lead)
    for (exercise, kind), leads in found.items():
        ahead = [lead for lead in leads if lead is not None and 0 <= lead <= WINDOW_S]
        told = [lead for lead in leads if lead is not None]
        median = f"{statistics.median(ahead):.2f} s" if ahead else "-"
        latest = max(0.0, -min(told, default=0.0))
        never = len(leads) - len(told)
        print(f"{exercise:10s} {kind:22s} {len(ahead):3d}/{len(leads)} median lead {median:7s} latest {latest:.2f} s after, {never} never")
    return 0


if __name__ == "__main__":
    sys.exit(main())
