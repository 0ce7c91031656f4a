"""Real falls through the whole device: SisFall's recordings through `guardian replay --imu`, and scored.

usage: SISFALL=/path/to/sisfall make evaluate        (or: python -m lab.evaluate /path/to/sisfall --set fall.rule=ahn2019)

Each person's trials are converted to body axes and SI units, into a temporary folder, and played through simulated chip, driver and
monitor in processes of their own. Backward walking is nearly forward walking reversed in time, so D01-D06 are played reversed too
(samples reversed, angular rates negated), as the variant "reversed". Prints a table by activity, then the figures as one JSON line.

The folder holds <person>.npz (int16, one array a trial, 200 Hz) and fall_times.csv.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from guardian.config import LEARNED
from lab.falls.disturb import worn_otherwise
from lab.score import REVERSED, ScoreError, read, table

Array = NDArray[np.float64]

RATE_HZ = 200.0
G_M_S2 = 9.80665
ACCEL_M_S2 = G_M_S2 / 256  # ADXL345, ±16 g, 13 bits: 1/256 g a count
GYRO_RAD_S = np.radians(4000 / 65536)  # ITG3200, ±2000 °/s
BACKWARD = ("D01", "D02", "D03", "D04", "D05", "D06")  # walking, jogging, stairs


def body(counts: NDArray[np.int16]) -> Array:
    """(n, 6) counts of the belt-buckle sensor as (n, 7): t_s, specific force (m/s²), angular rate (rad/s), x forward, y left, z up."""
    values = counts.astype(np.float64)
    force, rate = values[:, 0:3] * ACCEL_M_S2, values[:, 3:6] * GYRO_RAD_S
    axes = [np.column_stack((v[:, 2], -v[:, 0], -v[:, 1])) for v in (force, rate)]  # forward = +z, left = -x, up = -y of the sensor
    return np.column_stack((np.arange(len(values)) / RATE_HZ, *axes))


def reversed_in_time(trial: Array) -> Array:
    """The same movement backward: samples in reverse order, angular rates negated."""
    back = trial.copy()
    back[:, 1:4] = trial[::-1, 1:4]
    back[:, 4:7] = -trial[::-1, 4:7]
    return back


@dataclass(frozen=True)
class Job:
    """One person's trials in one variant: one process."""

    source: Path
    variant: str  # "" or REVERSED

    @property
    def name(self) -> str:
        """SA02 or SA02-reversed."""
        return f"{self.source.stem}{'-' if self.variant else ''}{self.variant}"


def jobs(folder: Path, people: frozenset[str]) -> list[Job]:
    """All of them, the long ones first so that no core waits at the end."""
    sources = [path for path in sorted(folder.glob("*.npz")) if not people or path.stem in people]
    return [Job(source, variant) for variant in ("", REVERSED) for source in sorted(sources, key=lambda path: -path.stat().st_size)]


def trials(job: Job) -> Iterator[tuple[str, Array]]:
    """The job's trials, converted."""
    with np.load(job.source, allow_pickle=False) as archive:
        for name in archive.files:
            if not job.variant:
                yield name, body(archive[name])
            elif name.startswith(BACKWARD):
                yield name, reversed_in_time(body(archive[name]))


def worn_askew(name: str, values: Array, tilt_deg: float, yaw_deg: float) -> Array:
    """The same trial in a box that sits otherwise: turned by ± yaw, then tilted, each way drawn from the trial's name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return worn_otherwise(values, yaw_deg * float(rng.choice((-1, 1))), tilt_deg, float(rng.uniform(0, 360)))


def play(job: Job, into: Path, options: list[str], askew: tuple[float, float] = (0.0, 0.0)) -> tuple[Path, list[tuple[str, float, str]]]:
    """Replay one job; returns the events' file and rows (trial, duration_s, variant). Raises RuntimeError with the replay's own words."""
    arrays = {name: worn_askew(name, values, *askew) if any(askew) else values for name, values in trials(job)}
    converted, events = into / f"{job.name}.npz", into / f"{job.name}.jsonl"
    np.savez(converted, **arrays)  # type: ignore[arg-type]
    command = [sys.executable, "-m", "guardian", "replay", "--imu", str(converted), "--jsonl", *options]
    with events.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [*command, *(["--variant", job.variant] if job.variant else [])], stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
    converted.unlink()
    if done.returncode:
        raise RuntimeError(f"{job.name}: guardian replay ended with {done.returncode}: {done.stderr.strip()}")
    return events, [(name, len(array) / RATE_HZ, job.variant) for name, array in arrays.items()]


def evaluate(
    folder: Path,
    into: Path,
    people: frozenset[str],
    processes: int,
    options: list[str],
    folds: Path | None = None,
    askew: tuple[float, float] = (0.0, 0.0),
) -> tuple[Path, list[Path]]:
    """Replay everything; returns TRIALS.csv and the events' files. `folds`: the folder of models by person; see `--folds`."""
    unseen = json.loads((folds / "folds.json").read_text()) if folds else {}
    todo = jobs(folder, people)
    rows: list[tuple[str, float, str]] = []
    events: list[Path] = []
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar, ThreadPoolExecutor(processes) as pool:
        task = bar.add_task("replaying people", total=len(todo))
        futures = []
        for job in todo:
            by_fold = ["--model", str(folds / unseen[job.source.stem])] if folds else []
            futures.append(pool.submit(play, job, into, [*options, *by_fold], askew))
        try:
            for future in as_completed(futures):
                path, played = future.result()
                events.append(path)
                rows += played
                bar.advance(task)
        except RuntimeError:
            pool.shutdown(cancel_futures=True)
            raise
    listed = into / "trials.csv"
    with listed.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("trial", "duration_s", "variant"))
        writer.writerows(sorted(rows))
    return listed, events


def compare(scorer: Path, listed: Path, times: Path, events: list[Path], ours: dict[str, object]) -> bool:
    """Run an outside scorer on the same files; are its figures ours? Says which differ."""
    command = [sys.executable, str(scorer), "--trials", str(listed), "--times", str(times), *map(str, events)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{scorer} ended with {done.returncode}: {done.stderr.strip()}", file=sys.stderr)
        return False
    theirs = json.loads(done.stdout.splitlines()[-1])
    differing = [key for key in sorted(theirs.keys() | ours.keys()) if theirs.get(key) != ours.get(key)]
    for key in differing:
        print(f"{key}: ours {ours.get(key)}, {scorer.name} {theirs.get(key)}", file=sys.stderr)
    print(f"{scorer.name}: {'differs' if differing else 'the same figures'}", file=sys.stderr)
    return not differing


def main() -> int:
    """Replay, score, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--people", default="", metavar="CODE,...", help="only these (default all)")
    arguments.add_argument("--jobs", type=int, default=2, help="processes at a time (default 2)")
    arguments.add_argument("--chip", help="the simulated IMU (default: imu.chip of the shipped configuration)")
    arguments.add_argument("--model", help="weights of a fall model that has not seen these people")
    arguments.add_argument(
        "--folds",
        type=Path,
        metavar="DIR",
        help="a model for each person who has not been seen by it: DIR/folds.json (lab.falls.crossvalidate)",
    )
    arguments.add_argument("--exercise", default="walk", help="row of [exercises] (default walk)")
    arguments.add_argument(
        "--askew", default="0,0", metavar="TILT,YAW", help="tilt the box and turn it round the hip on every trial, degrees"
    )
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of guardian.toml; may be repeated")
    arguments.add_argument(
        "--scorer", type=Path, help="an outside scorer with the same arguments as lab/score.py: compare its figures with ours"
    )
    arguments.add_argument("--keep", type=Path, metavar="DIR", help="keep trials.csv and the events there")
    args = arguments.parse_args()
    times = args.folder / "fall_times.csv"
    if not times.exists():
        print(f"{args.folder} holds no fall_times.csv: name the folder of the recordings", file=sys.stderr)
        return 2
    rules = [key.partition("=")[2].strip("\"' ") for key in args.set if key.startswith("fall.rule=")]
    if not (args.folds or args.model) and (not rules or rules[-1] == LEARNED):
        print(
            "the shipped weights have learned from these people and are never scored on them: name a published rule "
            "(--set fall.rule=ahn2019), or models that have not seen them (--folds; make crossvalidate trains those)",
            file=sys.stderr,
        )
        return 2
    people = frozenset(code for code in args.people.split(",") if code)
    options = ["--exercise", args.exercise, *(["--chip", args.chip] if args.chip else []), *(["--model", args.model] if args.model else [])]
    askew = tuple(float(word) for word in args.askew.split(","))
    options += [word for key in args.set for word in ("--set", key)]
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="guardian-evaluate-") as temporary:
        into = Path(args.keep or temporary)
        into.mkdir(parents=True, exist_ok=True)
        try:
            listed, events = evaluate(args.folder, into, people, args.jobs, options, args.folds, askew)
            result = read(listed, times, events)
        except (RuntimeError, ScoreError) as error:
            print(error, file=sys.stderr)
            return 1
        figures = result.figures()
        print(table(result))
        print(json.dumps(figures))
        print(f"{time.monotonic() - began_s:.0f} s of wall time, {args.jobs} processes", file=sys.stderr)
        return 0 if args.scorer is None or compare(args.scorer, listed, times, events, figures) else 1


if __name__ == "__main__":
    sys.exit(main())
