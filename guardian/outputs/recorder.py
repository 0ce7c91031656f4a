"""The recorder: every frame and verdict to disk, without the loop ever waiting for the disk.

Theory of operation. The loop's half (Recorder) only collects ticks and hands them over as a batch every `chunk_s` and at each event; the
disk's half (_Disk) encodes and writes them in the writer's thread, one batch one chunk, on disk before the next. What the loop's half must
add is the Monitor's snapshot, because only between two ticks is it consistent: once a minute, for a new file, and after a gap.

A gap opens when the writer's queue is full (the card stalls) or a write fails (full, torn out, worn). Ticks are then dropped and counted,
never a crash; the first batch that is written again carries no ticks, but the count of what is missing and a snapshot from which replay
goes on. A failed file stays readable up to its last good chunk, and every `retry_s` a new one is tried. A card that ext4 has turned
read-only after an error refuses no write to a file that is open already, nor its fsync: the file system is asked after each chunk.

Old files go after `keep_days`, and before that, oldest first, when the card has less than `keep_free_mb` left: alarms need the space more.
"""

import errno
import logging
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec.structs import replace

from guardian import config
from guardian.config import ns
from guardian.frame import Fault, Frame
from guardian.outputs.writer import Writer
from guardian.recording import Missing, Opening, RecordingWriter, Snapshot, Tick
from guardian.verdict import Verdict

log = logging.getLogger(__name__)

MB = 1_000_000
FULL = (errno.ENOSPC, errno.EDQUOT)
_NAME = re.compile(r"g-(?P<install>.+)-(?P<boot>\d{5,})-(?P<number>\d{3,})\.mcap")


def queue_depth(config_: config.Recorder) -> int:
    """Jobs that the recorder's writer may hold: queue_s of batches."""
    return max(2, round(config_.queue_s / config_.chunk_s))


class _Batch(NamedTuple):
    """What the loop's half hands over: ticks, then (after them) perhaps a new file, a gap that ended, the Monitor's state."""

    t_ns: int
    ticks: list[Tick]
    new_file: bool = False
    utc_ns: int | None = None  # UTC at t_ns, with a new file and a synced clock
    missing: Missing | None = None
    snapshot: Snapshot | None = None


class Recorder:
    """An output. `snapshot` is the Monitor's, called between two ticks; `utc` is UTC now in ns, None while the clock is not synced.

    The writer must be the recorder's own, of `queue_depth`.
    """

    name = "recorder"

    def __init__(
        self,
        folder: Path,
        config_: config.Recorder,
        opening: Opening,
        writer: Writer,
        snapshot: Callable[[], Snapshot],
        utc: Callable[[], int | None],
    ) -> None:
        self._disk = _Disk(folder, config_, opening)
        self._writer = writer
        self._snapshot = snapshot
        self._utc = utc
        self._chunk_ns, self._snapshot_ns, self._retry_ns = ns(config_.chunk_s), ns(config_.snapshot_s), ns(config_.retry_s)
        self._ticks: list[Tick] = []
        self._dropped: Missing | None = None  # here, for want of room in the queue
        self._begun = False
        self._due_ns = self._snapshot_due_ns = self._file_due_ns = self._last_ns = 0

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Collect; hand over when it is time, or something happened."""
        self._last_ns = frame.t_ns
        if not self._begun:
            self._begin(frame.t_ns)
        self._ticks.append(Tick(frame, verdict))
        if frame.t_ns >= self._due_ns or verdict.events:
            self._hand_over(frame.t_ns)

    def _begin(self, t_ns: int) -> None:
        """The first file alone opens before a tick, with no snapshot: its replay starts from the opening."""
        self._begun, self._disk.wants_file = True, False
        self._due_ns, self._snapshot_due_ns, self._file_due_ns = t_ns + self._chunk_ns, t_ns + self._snapshot_ns, t_ns + self._retry_ns
        self._give(_Batch(t_ns, [], new_file=True, utc_ns=self._utc()))

    def _hand_over(self, t_ns: int) -> None:
        self._due_ns = t_ns + self._chunk_ns
        ticks, self._ticks = self._ticks, []
        if self._dropped is not None:  # what follows a gap cannot be replayed until the snapshot that is taken below
            self._dropped, ticks = _joined(self._dropped, _missing(ticks, "writer_behind")), []
        new_file = self._disk.wants_file and t_ns >= self._file_due_ns
        if new_file:
            self._disk.wants_file = False
            self._file_due_ns = t_ns + self._retry_ns
        snapshot = None
        if new_file or self._dropped is not None or t_ns >= self._snapshot_due_ns:
            self._snapshot_due_ns = t_ns + self._snapshot_ns
            snapshot = self._snapshot()
        self._give(_Batch(t_ns, ticks, new_file, self._utc() if new_file else None, self._dropped, snapshot))

    def _give(self, batch: _Batch) -> None:
        refused = self._writer.dropped
        self._writer.submit(partial(self._disk.write, batch))
        if self._writer.dropped == refused:
            self._dropped = None
            return
        if self._dropped is None:
            log.warning("the disk has not kept up for recorder.queue_s: ticks are dropped")
            self._dropped = _missing(batch.ticks, "writer_behind")
        if batch.new_file:
            self._disk.wants_file = True

    def faults(self) -> tuple[Fault, ...]:
        """A full or failing disk."""
        fault = self._disk.fault
        return () if fault is None else (fault,)

    def close(self) -> None:
        """Write what is left, and the file's index. The writer's own close waits for it."""
        if self._ticks:
            self._hand_over(self._last_ns)
        self._writer.submit(self._disk.close)


class _Disk:
    """The disk's half: runs in the writer's thread. `wants_file` and `fault` are read in the loop's."""

    def __init__(self, folder: Path, config_: config.Recorder, opening: Opening) -> None:
        self.wants_file = True  # the current one is full, or failed
        self.fault: Fault | None = None
        self._folder = folder
        self._config = config_
        self._opening = opening
        self._prefix = f"g-{opening.resume.install}-{opening.resume.boot:05d}-"
        self._file: RecordingWriter | None = None
        self._path: Path | None = None  # the newest, never deleted: open, or the last that could be written
        self._lost: Missing | None = None  # not on disk, and not yet told in a file

    def write(self, batch: _Batch) -> None:
        """One batch, one chunk. Raises nothing: what goes wrong is a fault and a gap."""
        self._lost = _joined(self._lost, batch.missing)
        unsaved = batch.ticks
        try:
            if self._file is not None:
                for tick in batch.ticks:
                    self._file.tick(*tick)
                if batch.new_file:
                    self._finish()
                    unsaved = []
            if batch.new_file:
                self._lost, unsaved = _joined(self._lost, _missing(unsaved, "disk")), []
                self._open(batch)
            if self._file is not None:
                self._complete(self._file, batch)
                unsaved = []
        except Exception as error:  # noqa: BLE001  (whatever it is, replay must learn that ticks are missing)
            self._fail(error)
        self._lost = _joined(self._lost, _missing(unsaved, "disk"))

    def _open(self, batch: _Batch) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if batch.utc_ns is not None:
            self._forget_before(batch.utc_ns / 1e9 - self._config.keep_days * 86400)
        if not self._room():
            raise OSError(errno.ENOSPC, f"less than recorder.keep_free_mb = {self._config.keep_free_mb} MB left")
        number = max((n for prefix, n, _ in self._files() if prefix == self._prefix), default=-1) + 1
        path = self._folder / f"{self._prefix}{number:03d}.mcap"
        self._file = RecordingWriter(path, replace(self._opening, t_ns=batch.t_ns, utc_ns=batch.utc_ns))
        self._path = path

    def _complete(self, file: RecordingWriter, batch: _Batch) -> None:
        """What follows a batch's ticks, and all of it to disk."""
        if self._lost is not None:
            file.missing(self._lost)
        if batch.snapshot is not None:
            file.snapshot(batch.t_ns, batch.snapshot)
        size = file.cut()
        if os.statvfs(self._folder).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        self._lost = self.fault = None
        if size >= self._config.file_mb * MB:
            self.wants_file = True
        if not self._room():
            self._finish()
            self._fail(OSError(errno.ENOSPC, f"less than recorder.keep_free_mb = {self._config.keep_free_mb} MB left"))

    def close(self) -> None:
        """The end: the file gets its index."""
        try:
            self._finish()
        except OSError as error:
            self._fail(error)

    def _finish(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _fail(self, error: Exception) -> None:
        """Leave the file as it is on disk, say so, and ask for another."""
        if self._file is not None:
            self._file.abandon()
            self._file = None
        full = isinstance(error, OSError) and error.errno in FULL
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        fault = Fault("disk_full" if full else "output_failed", f"recorder: {self._folder}: {reason}")
        if fault != self.fault:
            log.error("%s", fault.detail, exc_info=None if isinstance(error, OSError) else error)
        self.fault = fault
        self.wants_file = True

    def _room(self) -> bool:
        """Whether the alarms' space is left, oldest recordings deleted if need be; never the newest."""
        while _free_mb(self._folder) < self._config.keep_free_mb:
            oldest = next((path for _, _, path in self._files() if path != self._path), None)
            if oldest is None:
                return False
            log.warning("little space: %s is deleted", oldest.name)
            oldest.unlink(missing_ok=True)
        return True

    def _forget_before(self, utc_s: float) -> None:
        for _, _, path in self._files():
            if path != self._path and path.stat().st_mtime < utc_s:
                path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[str, int, Path]]:
        """All recordings as (prefix, number, path), oldest first: another installation's, then ours by boot and number."""
        found = [(match, path) for path in self._folder.glob("g-*.mcap") if (match := _NAME.fullmatch(path.name))]
        install = self._opening.resume.install
        found.sort(key=lambda one: (one[0]["install"] == install, one[0]["install"], int(one[0]["boot"]), int(one[0]["number"])))
        return [(path.name[: match.start("number")], int(match["number"]), path) for match, path in found]


def _free_mb(folder: Path) -> float:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize / MB


def _missing(ticks: list[Tick], reason: Literal["writer_behind", "disk"]) -> Missing | None:
    if not ticks:
        return None
    return Missing(ticks[0].frame.t_ns, ticks[-1].frame.t_ns, len(ticks), reason)


def _joined(one: Missing | None, other: Missing | None) -> Missing | None:
    """Two gaps as one; the first reason is told."""
    if one is None or other is None:
        return one or other
    return Missing(min(one.first_ns, other.first_ns), max(one.last_ns, other.last_ns), one.ticks + other.ticks, one.reason)
