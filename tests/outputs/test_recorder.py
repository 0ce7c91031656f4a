"""The recorder on cards that stall, fill, tear and are switched off."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from guardian import config
from guardian.config import Config
from guardian.frame import Fault, Frame, ImuSample
from guardian.outputs.recorder import Recorder, queue_depth
from guardian.outputs.writer import InlineWriter, ThreadWriter, Writer
from guardian.recording import Missing, Opening, Snapshot, Tick, read
from guardian.verdict import Event, Gap, Motion, Obstacle, Resume, State, Verdict

TICK_NS = 10_000_000
HOUR_NS = 3_600_000_000_000


class Walk:
    """A mind that only counts its ticks, and the loop that feeds it and a recorder."""

    def __init__(self, folder: Path, config_: config.Recorder, opening: Opening, writer: Writer | None = None) -> None:
        self.told: list[Tick] = []
        self.utc_ns: int | None = None
        self.writer = writer or InlineWriter()
        self.recorder = Recorder(folder, config_, opening, self.writer, self.snapshot, lambda: self.utc_ns)

    def snapshot(self) -> Snapshot:
        return {"steps": len(self.told)}

    def go(self, seconds: float, event: str | None = None) -> None:
        """Walk on; the last tick tells an event if one is named."""
        ticks = round(seconds * 100)
        for left in range(ticks, 0, -1):
            n = len(self.told)
            t_ns = n * TICK_NS
            frame = Frame(t_ns, imu=(ImuSample(t_ns, (n / 7, 0.0, 9.81), (0.0, n / 3, 0.0), saturated=False),))
            events = (Event(f"x-1-{n}", n, event, t_ns, "walk"),) if event and left == 1 else ()
            motion = Motion(walking=True, steps=n + 1)
            verdict = Verdict(t_ns, State.GUARDING, Obstacle.CLEAR, None, events, motion, Gap(), None, None, "walk")
            self.told.append(Tick(frame, verdict))
            self.recorder.apply(frame, verdict)

    def end(self) -> None:
        self.recorder.close()
        assert self.writer.close()


def replayed(path: Path) -> list[Tick]:
    """A file's ticks, each checked against the counting mind, which knows where it is from a snapshot, until a gap."""
    ticks: list[Tick] = []
    steps: int | None = 0
    for entry in read(path).entries():
        if isinstance(entry, dict):
            steps = entry["steps"]
        elif isinstance(entry, Missing):
            steps = None
        elif steps is not None:
            steps += 1
            assert entry.verdict.motion.steps == steps
            ticks.append(entry)
    return ticks


def missing(path: Path) -> list[Missing]:
    return [entry for entry in read(path).entries() if isinstance(entry, Missing)]


@pytest.fixture
def opening(config: Config) -> Opening:
    return Opening(sw="0.1.0", python="3.11.2", config=config, resume=Resume("f00d", 7))


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


Settings = Callable[..., config.Recorder]


@pytest.fixture
def settings(config: Config) -> Settings:
    """The shipped settings but for what is named; little is kept free, so that any test machine has room."""
    return lambda **changes: msgspec.structs.replace(config.recorder, **({"keep_free_mb": 10} | changes))


def files(card: Path) -> list[Path]:
    return sorted(card.iterdir())


def test_a_walk_is_recorded_tick_by_tick(card: Path, settings: Settings, opening: Opening) -> None:
    walk = Walk(card, settings(), opening)
    walk.go(3.05)
    walk.end()
    assert [path.name for path in files(card)] == ["g-f00d-00007-000.mcap"]
    assert replayed(files(card)[0]) == walk.told
    assert not read(files(card)[0]).truncated
    assert read(files(card)[0]).opening == opening
    assert walk.recorder.faults() == ()


def test_power_cut_costs_less_than_a_second(card: Path, settings: Settings, opening: Opening) -> None:
    """What the file holds at any moment of the walk, read as another program would after the cut."""
    walk = Walk(card, settings(), opening)
    for _ in range(40):
        walk.go(0.07)
        kept = replayed(files(card)[0])
        assert kept == walk.told[: len(kept)]
        assert len(walk.told) - len(kept) < 100
    assert read(files(card)[0]).truncated


def test_an_event_is_on_disk_at_once(card: Path, settings: Settings, opening: Opening) -> None:
    walk = Walk(card, settings(), opening)
    walk.go(1.23, event="fall_suspected")
    assert replayed(files(card)[0])[-1].verdict.events[0].event_type == "fall_suspected"


def test_sigkill_in_the_middle_leaves_a_readable_recording(card: Path) -> None:
    """A program of its own, that kills itself 5.5 simulated seconds into a walk."""
    program = f"""
import os, signal
from pathlib import Path
from guardian.config import load
from guardian.outputs.recorder import *
from guardian.outputs.writer import ThreadWriter
from guardian.recording import Opening
from guardian.verdict import *
config = load(local=None)
writer = ThreadWriter("recorder", queue_depth(config.recorder))
opening = Opening(sw="0.1.0", python="3", config=config, resume=Resume("f00d", 7))
recorder = Recorder(Path({str(card)!r}), config.recorder, opening, writer, lambda: {{"steps": 0}}, lambda: None)
for n in range(550):
    t_ns = n * 10_000_000
    recorder.apply(Frame(t_ns), Verdict(t_ns, State.GUARDING, Obstacle.CLEAR, None, (), Motion(steps=n + 1), Gap(), None, None, "walk"))
writer.submit(lambda: None, wait_s=60.0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    died = subprocess.run([sys.executable, "-c", program], timeout=120, check=False, cwd=Path(__file__).parents[2])
    assert died.returncode == -9
    recording = read(files(card)[0])
    ticks = [entry for entry in recording.entries() if isinstance(entry, Tick)]
    assert recording.truncated
    assert 450 < len(ticks) < 550


def test_rotated_files_each_replay_alone(card: Path, settings: Settings, opening: Opening) -> None:
    walk = Walk(card, settings(file_mb=0.1), opening)
    walk.go(60)
    walk.end()
    assert len(files(card)) > 2
    assert [path.name for path in files(card)[:2]] == ["g-f00d-00007-000.mcap", "g-f00d-00007-001.mcap"]
    assert [tick for path in files(card) for tick in replayed(path)] == walk.told
    for path in files(card):
        recording = read(path)
        assert not recording.truncated
        assert msgspec.structs.replace(recording.opening, t_ns=0) == opening


def test_replay_may_begin_at_any_minute(card: Path, settings: Settings, opening: Opening) -> None:
    walk = Walk(card, settings(snapshot_s=2.0), opening)
    walk.go(9)
    walk.end()
    ticks, snapshots = 0, []
    for entry in read(files(card)[0]).entries():
        if isinstance(entry, Tick):
            ticks += 1
        elif isinstance(entry, dict):
            snapshots.append((entry["steps"], ticks))
    assert len(snapshots) >= 3
    assert all(steps == ticks for steps, ticks in snapshots)  # the state after the tick before it


def test_the_next_boot_records_beside_the_last(card: Path, settings: Settings, opening: Opening) -> None:
    for boot in (7, 8, 8):  # the last as after a database brought back from a backup: it never writes over a file
        walk = Walk(card, settings(), msgspec.structs.replace(opening, resume=Resume("f00d", boot)))
        walk.go(1)
        walk.end()
    assert [path.name for path in files(card)] == ["g-f00d-00007-000.mcap", "g-f00d-00008-000.mcap", "g-f00d-00008-001.mcap"]


class StallingWriter(InlineWriter):
    """A card that takes nothing for a while: `depth` jobs wait, more are refused."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.stalls = False
        self.queue: list[Callable[[], object]] = []

    def submit(self, job: Callable[[], object], wait_s: float = 0.0) -> bool:
        if not self.stalls:
            for waiting in [*self.queue, job]:
                super().submit(waiting)
            self.queue.clear()
        elif len(self.queue) < self.depth:
            self.queue.append(job)
        else:
            self.dropped += 1
        return False


def test_a_card_that_stalls_longer_than_the_queue_leaves_one_named_gap(card: Path, settings: Settings, opening: Opening) -> None:
    settings_ = settings(queue_s=4.0)
    writer = StallingWriter(queue_depth(settings_))
    walk = Walk(card, settings_, opening, writer)
    walk.go(5)
    writer.stalls = True
    walk.go(10)
    writer.stalls = False
    walk.go(5)
    walk.end()
    [path] = files(card)
    kept = replayed(path)
    [gap] = missing(path)
    assert gap.reason == "writer_behind"
    assert len(kept) + gap.ticks == len(walk.told)
    assert [tick.frame.t_ns for tick in walk.told if tick not in kept] == list(range(gap.first_ns, gap.last_ns + 1, TICK_NS))
    assert 400 < gap.ticks < 800  # 10 s less the queue's 4


def test_a_short_stall_costs_nothing(card: Path, settings: Settings, opening: Opening) -> None:
    writer = StallingWriter(queue_depth(settings()))
    walk = Walk(card, settings(), opening, writer)
    walk.go(2)
    writer.stalls = True
    walk.go(8)
    writer.stalls = False
    walk.go(2)
    walk.end()
    assert replayed(files(card)[0]) == walk.told


class Card:
    """The card under the recorder, at the system calls: it can be full, or broken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: int | None = None
        self.room = 10**12
        self.read_only = False  # as ext4 makes it: what is written into an open file is taken, and lost
        write, sync, statvfs = os.write, os.fsync, os.statvfs

        def torn_write(fd: int, data: bytes) -> int:
            if self.error is None:
                return write(fd, data)
            if len(data) > 100:
                return write(fd, data[:100])  # a full card takes a part first
            raise OSError(self.error, os.strerror(self.error))

        def torn_sync(fd: int) -> None:
            if self.error is not None:
                raise OSError(self.error, os.strerror(self.error))
            sync(fd)

        def of_size(path: Path) -> SimpleNamespace:
            statvfs(path)
            used = sum(one.stat().st_size for one in Path(path).iterdir())
            return SimpleNamespace(f_bavail=max(0, self.room - used), f_frsize=1, f_flag=os.ST_RDONLY if self.read_only else 0)

        monkeypatch.setattr(os, "write", torn_write)
        monkeypatch.setattr(os, "fsync", torn_sync)
        monkeypatch.setattr(os, "statvfs", of_size)


@pytest.mark.parametrize(("number", "fault"), [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EIO, "output_failed")])
def test_a_failing_card_is_a_fault_and_a_gap_and_heals(
    card: Path, settings: Settings, opening: Opening, monkeypatch: pytest.MonkeyPatch, number: int, fault: str
) -> None:
    system = Card(monkeypatch)
    walk = Walk(card, settings(), opening)
    walk.go(5)
    system.error = number
    walk.go(12)
    assert [one.name for one in walk.recorder.faults()] == [fault]
    assert str(card) in walk.recorder.faults()[0].detail
    system.error = None
    walk.go(12)
    assert walk.recorder.faults() == ()
    walk.end()
    first, second = files(card)
    assert read(first).truncated
    [gap] = missing(second)
    assert gap.reason == "disk"
    kept = replayed(first) + replayed(second)
    assert len(kept) + gap.ticks == len(walk.told)
    assert kept[0] == walk.told[0]
    assert kept[-1] == walk.told[-1]
    assert gap.ticks < 1900  # at most the 12 s, a batch before, retry_s and a batch after


def test_a_card_that_turned_read_only_is_told_though_it_takes_every_write(
    card: Path, settings: Settings, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Card(monkeypatch)
    walk = Walk(card, settings(), opening)
    walk.go(5)
    system.read_only = True
    walk.go(1)
    [fault] = walk.recorder.faults()
    assert (fault.name, fault.detail) == ("output_failed", f"recorder: {card}: {os.strerror(errno.EROFS)}")
    walk.go(11)
    system.read_only = False
    walk.go(12)
    assert walk.recorder.faults() == ()
    walk.end()
    gaps = missing(files(card)[-1])
    assert [gap.reason for gap in gaps] == ["disk"]
    assert 1100 <= gaps[0].ticks <= 1800  # 12 s, and until the next try


def test_a_card_full_from_the_start_records_once_there_is_space(
    card: Path, settings: Settings, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Card(monkeypatch)
    system.room = 0
    walk = Walk(card, settings(), opening)
    walk.go(8)
    assert [fault.name for fault in walk.recorder.faults()] == ["disk_full"]
    assert files(card) == []
    system.room = 10**12
    walk.go(8)
    walk.end()
    [path] = files(card)
    [gap] = missing(path)
    assert len(replayed(path)) + gap.ticks == len(walk.told)


def test_something_that_cannot_be_written_is_a_fault_and_a_gap_too(card: Path, settings: Settings, opening: Opening) -> None:
    walk = Walk(card, settings(), opening)
    walk.go(2)
    told = len(walk.told)
    frame = Frame(told * TICK_NS, faults=(Fault("output_failed", "\udcff"),))  # as from a path that is no UTF-8
    walk.told.append(Tick(frame, walk.told[-1].verdict))
    walk.recorder.apply(*walk.told[-1])
    walk.go(1)
    assert [fault.name for fault in walk.recorder.faults()] == ["output_failed"]
    walk.go(8)
    walk.end()
    assert sum(len(replayed(path)) for path in files(card)) + sum(gap.ticks for path in files(card) for gap in missing(path)) == len(
        walk.told
    )


def old(card: Path, name: str, size: int, age_days: float, now_s: float) -> Path:
    card.mkdir(exist_ok=True)
    path = card / name
    path.write_bytes(bytes(size))
    os.utime(path, (now_s - age_days * 86400,) * 2)
    return path


def test_little_space_costs_the_oldest_recordings_first(
    card: Path, settings: Settings, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Card(monkeypatch)
    for name in ("g-f00d-00003-001.mcap", "g-f00d-00003-000.mcap", "g-f00d-00005-000.mcap", "g-beef-00009-000.mcap", "diary.txt"):
        old(card, name, 1_000_000, 1, 0)
    system.room = 13_100_000  # 8 MB are free with all five; 10 are to be
    walk = Walk(card, settings(), opening)
    walk.go(2)
    walk.end()
    assert [path.name for path in files(card)] == ["diary.txt", "g-f00d-00003-001.mcap", "g-f00d-00005-000.mcap", "g-f00d-00007-000.mcap"]
    assert walk.recorder.faults() == ()


def test_never_the_newest_recording(card: Path, settings: Settings, opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    system = Card(monkeypatch)
    walk = Walk(card, settings(), opening)
    old(card, "g-f00d-00003-000.mcap", 1000, 1, 0)
    walk.go(3)
    system.room = 1_000_000
    walk.go(3)
    assert [fault.name for fault in walk.recorder.faults()] == ["disk_full"]
    [path] = files(card)
    assert not read(path).truncated  # closed with its index: what it holds is whole
    assert len(replayed(path)) >= 300
    walk.go(20)
    assert files(card) == [path]
    walk.end()


def test_recordings_older_than_a_month_go_when_the_clock_is_known(card: Path, settings: Settings, opening: Opening) -> None:
    now_s = 1_790_000_000
    stale = old(card, "g-f00d-00001-000.mcap", 10, 31, now_s)
    fresh = old(card, "g-f00d-00002-000.mcap", 10, 29, now_s)
    notes = old(card, "notes.txt", 10, 300, now_s)
    walk = Walk(card, settings(), opening)
    walk.go(1)
    walk.end()
    assert stale.exists()  # without a synced clock nobody knows its age
    walk = Walk(card, settings(), opening)
    walk.utc_ns = now_s * 1_000_000_000
    walk.go(1)
    walk.end()
    assert not stale.exists()
    assert fresh.exists()
    assert notes.exists()
    assert read(card / "g-f00d-00007-001.mcap").opening.utc_ns == walk.utc_ns


def test_the_thread_that_writes_says_the_same(card: Path, settings: Settings, opening: Opening) -> None:
    """The same walk, as fast as it goes, through a real thread: what the queue could not hold is named."""
    walk = Walk(card, settings(file_mb=0.1, queue_s=60.0), opening, ThreadWriter("recorder", 75))
    walk.go(40)
    walk.end()
    kept = sum(len(replayed(path)) for path in files(card))
    assert kept + sum(gap.ticks for path in files(card) for gap in missing(path)) == len(walk.told)
    assert walk.recorder.faults() == ()


def test_the_queue_holds_queue_s(settings: Settings) -> None:
    assert queue_depth(settings(queue_s=10.0, chunk_s=0.5)) == 20
