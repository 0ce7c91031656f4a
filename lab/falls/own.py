"""Your own recordings as recordings to learn from: the device's MCAP files into a folder like SisFall's.

usage: python -m lab.falls.own FOLDER RECORDING.mcap D02_GA01_R01 --from 12 --to 75
       python -m lab.falls.own FOLDER RECORDING.mcap F02_GA01_R01 --from 60 --to 75 --impact 71.34

Cuts a stretch (seconds from the file's first sample) out of a recording and adds it to FOLDER/<person>.npz under a trial's name,
<activity>_<person>_R<repeat>: an activity D01 … D19 or a fall F01 … F15 as SisFall numbers them, and a person of two letters and two digits
(SE.. for somebody over 60). A fall's impact, and its first contact with the ground, go into FOLDER/fall_times.csv. Put SisFall's files
into the same folder to learn from both: `SISFALL=FOLDER make crossvalidate train`.
"""

import argparse
import csv
import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardian.recording import Missing, RecordingError, Tick, read
from lab.evaluate import ACCEL_M_S2, GYRO_RAD_S, RATE_HZ

Array = NDArray[np.float64]
NAME = re.compile(r"[DF]\d\d_[A-Z]{2}\d\d_R\d\d")
HOLE_S = 0.05  # a longer one is no recording of a movement
COLUMNS = ("trial", "contact_s", "impact_s", "peak_g")


class Unfit(ValueError):
    """It cannot be learnt from; the message says why, and what to do."""


def samples(recording: Path) -> Array:
    """(n, 7): t_s from the first sample on, specific force (m/s²), angular rate (rad/s), body axes. Raises RecordingError, Unfit."""
    rows = []
    for entry in read(recording).entries():
        if isinstance(entry, Missing):
            rows.append([entry.last_ns * 1e-9, *[np.nan] * 6])
        elif isinstance(entry, Tick):
            rows += [[one.t_ns * 1e-9, *one.accel, *one.gyro] for one in entry.frame.imu]
    found = np.array(rows).reshape(-1, 7)
    if not len(found):
        raise Unfit(f"{recording}: no IMU samples in it")
    found[:, 0] -= found[0, 0]
    return found


def cut(motion: Array, from_s: float, to_s: float) -> Array:
    """A stretch at RATE_HZ, its time from 0 on. Raises Unfit where samples are missing."""
    inside = motion[(motion[:, 0] >= from_s) & (motion[:, 0] <= to_s)]
    if len(inside) < 2 or inside[-1, 0] - inside[0, 0] < 5:
        raise Unfit(f"{from_s:g} to {to_s:g} s: less than 5 s of it; the recording ends at {motion[-1, 0]:.1f} s")
    holes = inside[:-1, 0][(np.diff(inside[:, 0]) > HOLE_S) | np.isnan(inside[1:, 1])]
    if len(holes):
        raise Unfit(f"samples are missing at {holes[0]:.2f} s: choose --from and --to on one side of it")
    t_s = np.arange(inside[0, 0], inside[-1, 0], 1 / RATE_HZ)
    columns = [np.interp(t_s, inside[:, 0], inside[:, column]) for column in range(1, 7)]
    return np.column_stack((t_s - from_s, *columns))


def counts(values: Array) -> NDArray[np.int16]:
    """Body axes as SisFall's sensor counts them: the inverse of lab.evaluate.body."""
    force, rate = values[:, 1:4] / ACCEL_M_S2, values[:, 4:7] / GYRO_RAD_S
    axes = np.column_stack([column for v in (force, rate) for column in (-v[:, 1], -v[:, 2], v[:, 0])])
    return np.clip(np.floor(axes + 0.5), -32768, 32767).astype(np.int16)


def add(folder: Path, name: str, values: Array, impact_s: float | None, contact_s: float | None) -> None:
    """Put a trial into the folder. Raises Unfit for a name that is none, or is taken, and for a fall without its impact."""
    if not NAME.fullmatch(name):
        raise Unfit(f"{name}: a trial's name is <activity>_<person>_R<repeat>, like D02_GA01_R01")
    if name.startswith("F") != (impact_s is not None):
        raise Unfit(f"{name}: a fall (F..) needs --impact, an activity (D..) has none")
    if impact_s is not None and not 3 < impact_s < values[-1, 0]:
        raise Unfit(f"{name}: its impact at {impact_s:.2f} s of the stretch; it must begin 3 s before and end after it")
    place, times = folder / f"{name.split('_')[1]}.npz", folder / "fall_times.csv"
    trials: dict[str, NDArray[np.int16]] = {}
    if place.exists():
        with np.load(place, allow_pickle=False) as archive:
            trials = {key: archive[key] for key in archive.files}
    if name in trials:
        raise Unfit(f"{place}: {name} is in it already; give this one another repeat")
    folder.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(".new")
    with beside.open("wb") as file:
        np.savez_compressed(file, **trials, **{name: counts(values)})  # type: ignore[arg-type]
    beside.replace(place)
    new = not times.exists()
    with times.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        if impact_s is not None:
            peak_g = np.linalg.norm(values[:, 1:4], axis=1).max() / 9.80665
            writer.writerow((name, f"{impact_s if contact_s is None else contact_s:.2f}", f"{impact_s:.2f}", f"{peak_g:.2f}"))


def main() -> int:
    """Cut, convert, add."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("recording", type=Path)
    arguments.add_argument("name")
    arguments.add_argument("--from", type=float, default=0.0, dest="from_s", metavar="S")
    arguments.add_argument("--to", type=float, default=1e9, dest="to_s", metavar="S")
    arguments.add_argument("--impact", type=float, metavar="S", help="when the blow was hardest")
    arguments.add_argument("--contact", type=float, metavar="S", help="when the ground was touched first (default: the impact)")
    args = arguments.parse_args()
    try:
        values = cut(samples(args.recording), args.from_s, args.to_s)
        impact_s, contact_s = (None if s is None else s - args.from_s for s in (args.impact, args.contact))
        add(args.folder, args.name, values, impact_s, contact_s)
    except (RecordingError, Unfit, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{args.folder}: {args.name}, {len(values) / RATE_HZ:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
