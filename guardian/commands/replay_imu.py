"""Motion data through the whole device: simulated chip, driver, monitor, buzzer; what would it have said, and when?

Each trial gets a device and a chip of its own, switched on with the trial's first row. The output is driven in the tick that tells an
event, so its time holds the chip's low-pass, the FIFO's wait and the tick.
"""

import json
import struct
import sys
import zlib
from argparse import Namespace
from collections.abc import Iterator
from fnmatch import fnmatchcase
from lzma import LZMAError
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from guardian.app import fall_model, recorded_device
from guardian.commands.options import progress
from guardian.commands.words import line_of
from guardian.config import Config, ConfigError
from guardian.frame import Fault, Frame
from guardian.verdict import Direction, Event, State, Verdict

Array = NDArray[np.float64]

HOLE_S = 1.0  # rows further apart are no motion data: time in ms, or two recordings in one
COLUMNS = 7  # t_s, specific force x y z, angular rate x y z
GUARDED = frozenset({State.GUARDING, State.IMMINENT, State.DOWN, State.FALLEN})
BAR_S = 5.0  # simulated seconds between two moves of the progress bar


# What numpy and zipfile raise for files that are torn, damaged, encrypted, packed unusually, or claim to be larger than memory;
# a header is Python to numpy, and read by Python's own tokenizer and parser.
UNREADABLE = (
    ValueError, OSError, BadZipFile, EOFError, zlib.error, LZMAError, MemoryError, OverflowError, RuntimeError, TokenError, SyntaxError,
    TypeError, LookupError, struct.error,
)  # fmt: skip


class BadInput(ValueError):
    """Motion data that is not what --help says; the message names file and trial."""


def trial_names(archive: Any, glob: str) -> list[str]:
    """The trials that match, in the file's order."""
    return [name for name in archive.files if fnmatchcase(name, glob)]


def opened(path: Path) -> Any:
    """The archive. Raises BadInput."""
    try:
        archive = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except UNREADABLE as error:
        raise BadInput(f"{path}: not an .npz file ({error})") from error
    if not hasattr(archive, "files"):
        raise BadInput(f"{path}: a single array (.npy); an .npz file holds one array a trial, by name")
    return archive


def trial(path: Path, archive: Any, name: str) -> Array:
    """One trial, checked. Raises BadInput."""
    where = f"{path}: trial {name}"
    try:
        array = archive[name]
    except UNREADABLE as error:
        why = "pickled objects are refused" if "pickle" in str(error).lower() else str(error)
        raise BadInput(f"{where}: cannot be read: {why}") from error
    if not isinstance(array, np.ndarray):
        raise BadInput(f"{where}: no array; an .npz file holds one array a trial")
    if array.dtype.kind != "f":
        raise BadInput(f"{where}: {array.dtype} values; floats in SI units are wanted (m/s², rad/s), not counts")
    if array.ndim != 2 or array.shape[1] != COLUMNS:
        raise BadInput(f"{where}: shape {array.shape}; (n, {COLUMNS}) is wanted: t_s, specific force x y z, angular rate x y z")
    if len(array) < 2:
        raise BadInput(f"{where}: {len(array)} rows; at least 2 are wanted")
    values: Array = np.asarray(array, dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise BadInput(f"{where}: row {bad[0][0]}, column {bad[0][1]} is {values[tuple(bad[0])]}")
    apart_s = np.diff(values[:, 0])
    backward = np.flatnonzero(apart_s <= 0)
    if len(backward):
        row = int(backward[0]) + 1
        raise BadInput(f"{where}: time does not increase at row {row}: {values[row, 0]} s after {values[row - 1, 0]} s")
    row = int(np.argmax(apart_s)) + 1
    if apart_s[row - 1] > HOLE_S:
        raise BadInput(f"{where}: row {row} is {apart_s[row - 1]:g} s after the one before it, more than {HOLE_S:g} s: is t_s in seconds?")
    return values


class Teller:
    """An output that hands events on and adds up the time spent guarding, walking, and in each direction."""

    name = "teller"

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.guarded_ns = 0
        self.steps = 0
        self._last_ns: int | None = None
        self._walked_ns = 0
        self._paces = 0.0  # cadence × ns, while walking
        self._ways_ns = dict.fromkeys(Direction, 0)

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        if verdict.events:
            self.events += verdict.events
        motion, since_ns = verdict.motion, 0 if self._last_ns is None else verdict.t_ns - self._last_ns
        self._last_ns = verdict.t_ns
        self.steps = motion.steps
        self._ways_ns[motion.direction] += since_ns
        if verdict.state in GUARDED:
            self.guarded_ns += since_ns
        if motion.walking:
            self._walked_ns += since_ns
            self._paces += motion.cadence * since_ns

    @property
    def cadence(self) -> float:
        """Mean while walking, steps/min; 0 without any."""
        return self._paces / self._walked_ns if self._walked_ns else 0.0

    @property
    def ways(self) -> dict[str, float]:
        """Share of the time in each direction that there was."""
        whole_ns = sum(self._ways_ns.values())
        return {way.value: spent_ns / whole_ns for way, spent_ns in self._ways_ns.items() if spent_ns}

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


def play(
    config: Config, values: Array, model: bytes | None, bar: Progress, task: TaskID
) -> tuple[list[tuple[float, Event]], float, Teller]:
    """Play one trial: its events with their times from the trial's start, its duration, s, and who tells the rest."""
    times_s = values[:, 0] - values[0, 0]
    duration_s = float(times_s[-1])
    teller = Teller()
    bench, device = recorded_device(config, times_s, values[:, 1:], model, teller)
    start_ns = bench.clock.now_ns()
    shown_s = 0.0
    while shown_s + BAR_S < duration_s:
        shown_s += BAR_S
        bench.at(shown_s, lambda: bar.advance(task, BAR_S))
    bench.at(duration_s, device.stop)
    with device:
        device.run()
    bar.advance(task, duration_s - shown_s)
    return [((event.t_ns - start_ns) / 1e9, event) for event in teller.events], duration_s, teller


def replay_imu(config: Config, args: Namespace) -> int:
    """Play the file's trials and print their events; bad input is told before anything is printed."""
    try:
        config = _config_for(config, args)
        model = fall_model(config, args.model)
        with opened(args.imu) as archive:
            names = trial_names(archive, args.trials)
            if not names:
                raise BadInput(f"{args.imu}: no trial matches {args.trials!r}; it holds {', '.join(archive.files[:8]) or 'none'} ...")
            total_s = sum(float(np.ptp(trial(args.imu, archive, name)[:, 0])) for name in names)
            for line in _lines(config, args, archive, names, model, total_s):
                print(line)
    except (BadInput, ConfigError) as error:
        print(f"guardian: {error}", file=sys.stderr)
        return 2
    return 0


def _config_for(config: Config, args: Namespace) -> Config:
    if args.exercise not in config.exercises:
        raise BadInput(f"--exercise {args.exercise}: there are {', '.join(config.exercises)}")
    chip = args.chip or config.imu.chip
    address = config.imu.address if chip == config.imu.chip else 0x68 if chip == "mpu6050" else 0x6A
    return replace(config, device=replace(config.device, exercise=args.exercise), imu=replace(config.imu, chip=chip, address=address))


def _lines(config: Config, args: Namespace, archive: Any, names: list[str], model: bytes | None, total_s: float) -> Iterator[str]:
    """What is printed, line by line."""
    label = {"variant": args.variant} if args.variant else {}
    bar = progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
    with bar:
        task = bar.add_task("replaying", total=total_s)
        for name in names:
            bar.update(task, description=name)
            events, duration_s, teller = play(config, trial(args.imu, archive, name), model, bar, task)
            for t_s, event in events:
                yield _told(
                    args.jsonl,
                    {"trial": name} | label | {"t_s": round(t_s, 6), "event_type": event.event_type, "evidence": event.evidence},
                    event,
                )
            end = {
                "t_s": round(duration_s, 6),
                "event_type": "replayed",
                "duration_s": round(duration_s, 6),
                "guarded_s": round(teller.guarded_ns / 1e9, 6),
                "steps": teller.steps,
                "cadence": round(teller.cadence, 2),
                "direction": {way: round(share, 4) for way, share in teller.ways.items()},
            }
            yield _told(args.jsonl, {"trial": name} | label | end, None)


def _told(jsonl: bool, row: dict[str, Any], event: Event | None) -> str:
    if jsonl:
        return json.dumps(row)
    what = f"{event.event_type:16s} {line_of(event)}" if event else f"replayed         {_summed_up(row)}"
    return f"{row['trial']:14s} {row['t_s']:8.2f} s  {what}"


def _summed_up(row: dict[str, Any]) -> str:
    """A trial in words: time, time guarded, steps and cadence, share of each direction."""
    ways = ", ".join(f"{way} {share:.0%}" for way, share in row["direction"].items())
    return f"{row['duration_s']:.2f} s, guarded {row['guarded_s']:.2f} s, {row['steps']} steps at {row['cadence']:.0f}/min, {ways}"
