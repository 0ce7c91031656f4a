"""A device's own recording becomes a trial to learn from, the same motion; and what cannot be learnt from is refused by name."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from guardian.app import fall_model
from guardian.config import Config
from guardian.frame import Frame, ImuSample
from guardian.monitor import Monitor
from guardian.recording import Missing, Opening, RecordingError, RecordingWriter
from guardian.verdict import Resume
from lab.falls.own import Unfit, add, cut, samples
from lab.falls.recordings import people, recordings

START_NS = 40_000_000_000


def motion(t_s: float) -> tuple[float, ...]:
    turning = 0.5 * math.sin(4 * t_s), -0.25, 0.75 * math.cos(2 * t_s)
    return 2 * math.sin(5 * t_s), 1 + math.cos(3 * t_s), 9.81 + 4 * math.sin(7 * t_s), *turning


@pytest.fixture
def recorded(tmp_path: Path, config: Config) -> Path:
    """20 s of a known motion at 104 Hz, as the device writes it, with a dropped stretch at 15 s."""
    path = tmp_path / "walk.mcap"
    opening = Opening(sw="0", python="3", config=config, resume=Resume("i", 1))
    monitor = Monitor(config, None, fall_model(config), Resume("i", 1))
    writer = RecordingWriter(path, opening)
    for n in range(20 * 104):
        t_ns = START_NS + n * 9_615_385
        if 15 < n / 104 < 15.5:
            continue
        if n / 104 >= 15.5 > (n - 1) / 104:
            writer.missing(Missing(t_ns - 500_000_000, t_ns - 9_615_385, 50, "disk"))
        x, y, z, roll, pitch, yaw = motion((t_ns - START_NS) * 1e-9)
        frame = Frame(t_ns, imu=(ImuSample(t_ns, (x, y, z), (roll, pitch, yaw), False),))
        writer.tick(frame, monitor.step(frame))
    writer.close()
    return path


def added(folder: Path, recording: Path, name: str, from_s: float, to_s: float, impact_s: float | None = None) -> NDArray[np.float64]:
    values = cut(samples(recording), from_s, to_s)
    add(folder, name, values, impact_s, None)
    return values


def test_a_trial_made_of_ones_own_recording_is_the_same_motion(recorded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    added(folder, recorded, "D02_GA01_R01", 1.0, 9.0)
    added(folder, recorded, "F02_GA01_R02", 4.0, 14.0, impact_s=6.5)
    assert people(folder) == ["GA01"]
    walk, fall, back = recordings(folder, "GA01")
    assert (walk.name, walk.is_fall, fall.is_fall, fall.impact_s, back.variant) == ("D02_GA01_R01", False, True, 6.5, "reversed")
    for trial, from_s in ((walk, 1.0), (fall, 4.0)):
        t_s = trial.values[:, 0] + from_s
        truth = np.array([motion(t) for t in t_s])
        assert np.abs(trial.values[5:-5, 1:4] - truth[5:-5, :3]).max() < 0.1
        assert np.abs(trial.values[5:-5, 4:7] - truth[5:-5, 3:]).max() < 0.01


@pytest.mark.parametrize(
    ("name", "from_s", "to_s", "impact_s", "words"),
    [
        ("D02_GA01_R01", 12.0, 19.0, None, "missing at 15"),
        ("D02_GA01_R01", 17.0, 99.0, None, "ends at 20"),
        ("walk", 1.0, 9.0, None, "a trial's name"),
        ("D02_GA01_R01", 1.0, 9.0, 4.0, "an activity"),
        ("F02_GA01_R01", 1.0, 9.0, None, "needs --impact"),
        ("F02_GA01_R01", 1.0, 9.0, 2.0, "3 s before"),
        ("F02_GA01_R01", 1.0, 9.0, 8.5, "end after"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    recorded: Path, tmp_path: Path, name: str, from_s: float, to_s: float, impact_s: float | None, words: str
) -> None:
    with pytest.raises(Unfit, match=words):
        added(tmp_path / "own", recorded, name, from_s, to_s, impact_s)
    assert not (tmp_path / "own").exists()


def test_no_trial_is_written_over_and_the_first_is_kept(recorded: Path, tmp_path: Path) -> None:
    added(tmp_path, recorded, "D02_GA01_R01", 1.0, 9.0)
    before = (tmp_path / "GA01.npz").read_bytes()
    with pytest.raises(Unfit, match="another repeat"):
        added(tmp_path, recorded, "D02_GA01_R01", 2.0, 9.0)
    assert (tmp_path / "GA01.npz").read_bytes() == before


def test_a_file_that_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"hello")
    with pytest.raises(RecordingError, match=r"x\.mcap"):
        samples(tmp_path / "x.mcap")
