"""Own recordings, replayed: every frame goes through a fresh monitor, and every verdict must be the recorded one, ==."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from guardian.app import SHIPPED_MODEL, model_hash, read_model
from guardian.commands.options import console, progress, stderr
from guardian.frame import Frame
from guardian.monitor import Monitor
from guardian.recording import Missing, Opening, RecordingError, Snapshot, Tick, read
from guardian.verdict import Verdict

BAR_TICKS = 1000  # between two moves of the progress bar


@dataclass(frozen=True)
class Difference:
    """The first field in which two verdicts differ."""

    field: str
    recorded: object
    replayed: object


def first_difference(recorded: object, replayed: object, field: str = "verdict") -> Difference | None:
    """Walk two values side by side; None when they are equal."""
    if recorded == replayed:
        return None
    if isinstance(recorded, msgspec.Struct) and type(recorded) is type(replayed):
        for name in recorded.__struct_fields__:
            found = first_difference(getattr(recorded, name), getattr(replayed, name), f"{field}.{name}")
            if found is not None:
                return found
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in [*recorded, *(key for key in replayed if key not in recorded)]:
            found = first_difference(recorded.get(key), replayed.get(key), f"{field}[{key!r}]")
            if found is not None:
                return found
    if isinstance(recorded, tuple) and isinstance(replayed, tuple) and len(recorded) == len(replayed):
        for index, (one, other) in enumerate(zip(recorded, replayed, strict=True)):
            found = first_difference(one, other, f"{field}[{index}]")
            if found is not None:
                return found
    return Difference(field, recorded, replayed)


def replay_recordings(paths: Sequence[Path], model: Path | None) -> int:
    """Replay files one by one; 0 when all came out identical, 1 at the first difference or damage, 2 for files that cannot be read."""
    out, err = console(), stderr()
    differing = False
    bar = progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[at]}"))
    try:
        with bar:
            task = bar.add_task("replaying", total=sum(path.stat().st_size for path in paths if path.exists()), at="")
            for path in paths:
                bar.update(task, description=path.name)
                differing |= not _replay(path, model, out, lambda t_ns: bar.update(task, at=f"{t_ns / 1e9:.0f} s"))
                bar.advance(task, path.stat().st_size)
    except RecordingError as error:
        err.print(f"guardian: {error}", soft_wrap=True)
        return 2
    return 1 if differing else 0


def _replay(path: Path, model: Path | None, out: Console, reached: Callable[[int], None]) -> bool:
    recording = read(path)
    opening = recording.opening
    monitor: Monitor | None = None
    fresh = _monitor(path, opening, model)
    ticks = skipped = 0
    for entry in recording.entries():
        if isinstance(entry, Tick):
            if ticks == 0 and skipped == 0 and monitor is None:
                monitor = fresh  # the file begins with the program: no snapshot
            if monitor is None:
                skipped += 1
                continue
            ticks += 1
            if ticks % BAR_TICKS == 0:
                reached(entry.frame.t_ns)
            said = _said(path, monitor, entry.frame)
            if said != entry.verdict:
                _tell(path, entry.verdict, said, out)
                return False
        elif isinstance(entry, Missing):
            out.print(
                f"{path.name}: gap at {_seconds(entry.first_ns)}: {entry.ticks} ticks to {_seconds(entry.last_ns)} were not written "
                f"({entry.reason.replace('_', ' ')}); replay goes on at the next snapshot"
            )
            monitor = None
            skipped += 1
        elif monitor is None:
            monitor = _restored(path, _monitor(path, opening, model), entry)
    if recording.damaged:
        out.print(f"{path.name}: DAMAGED after {ticks} identical verdicts: what follows was altered or lost its bits, and was not replayed")
        return False
    torn = "; its end is missing (power cut, or still being written)" if recording.truncated else ""
    unseen = f", {skipped} not replayed" if skipped else ""
    out.print(f"{path.name}: {ticks} verdicts identical{unseen}{torn}")
    return True


def _monitor(path: Path, opening: Opening, model: Path | None) -> Monitor:
    weights = read_model(model or SHIPPED_MODEL) if opening.model else None
    if model_hash(weights) != opening.model:
        raise RecordingError(
            f"{path}: recorded with the fall model {opening.model}, here is {model_hash(weights)}: name its file, --model FILE"
        )
    try:
        return Monitor(opening.config, opening.calibration, weights, opening.resume)
    except (ValueError, LookupError, ArithmeticError) as error:  # of a file that was made or altered by something else
        raise RecordingError(f"{path}: no monitor can be made of its opening: {type(error).__name__}: {error}") from error


def _restored(path: Path, monitor: Monitor, snapshot: Snapshot) -> Monitor:
    try:
        monitor.restore(snapshot)
    except (msgspec.MsgspecError, LookupError) as error:
        raise RecordingError(f"{path}: a snapshot is none of this version's: {type(error).__name__}: {error}") from error
    return monitor


def _said(path: Path, monitor: Monitor, frame: Frame) -> Verdict:
    """The verdict. A monitor never raises, whatever the frame; but an altered file can put it into a state that it cannot be in."""
    try:
        return monitor.step(frame)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise RecordingError(f"{path}: at {_seconds(frame.t_ns)} it leads the monitor into a state that cannot be: {told}") from error


def _tell(path: Path, recorded: Verdict, replayed: Verdict, out: Console) -> None:
    found = first_difference(recorded, replayed)
    assert found is not None
    out.print(f"{path.name}: DIFFERS at {_seconds(recorded.t_ns)} ({recorded.t_ns} ns) in {found.field}", style="bold red")
    out.print(f"  recorded {found.recorded!r}", soft_wrap=True, markup=False)
    out.print(f"  replayed {found.replayed!r}", soft_wrap=True, markup=False)


def _seconds(t_ns: int) -> str:
    return f"{t_ns / 1e9:.3f} s"
