"""Replay: own recordings come out identical, or say where not; motion data goes through the whole device."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from mcap.opcode import Opcode
from msgspec.structs import replace
from numpy.typing import NDArray

from guardian.__main__ import main
from guardian.recording import Missing, Opening, RecordingWriter, Tick, read
from guardian.sim.exercises import Session
from guardian.sim.phases import Stand, Turn, Walk
from guardian.sim.population import TRAINING
from guardian.sim.scenarios import SCENARIOS
from guardian.verdict import State
from tests.stage import Performance

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recordings of a walk that ends in a fall, in several files."""
    place = tmp_path_factory.mktemp("walked")
    Performance(
        "trip_backward_and_fall", place, record=True, recorder={"enabled": True, "file_mb": 0.2, "snapshot_s": 5.0, "keep_free_mb": 10}
    )
    return place / "recordings"


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """A copy of a recording, each entry passed through `change` (None: left out)."""
    recording = read(source)
    writer = RecordingWriter(target, recording.opening)
    for entry in recording.entries():
        changed = change(entry)
        if isinstance(changed, Tick):
            writer.tick(*changed)
        elif isinstance(changed, Missing):
            writer.missing(changed)
        elif changed is not None:
            writer.snapshot(0, changed)
    writer.close()
    return target


# own recordings


def test_every_verdict_comes_out_as_recorded_after_rotation_too(walked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(walked.glob("*.mcap"))
    assert len(files) > 2, "rotated"
    assert main(["replay", *map(str, files)]) == 0
    told = capsys.readouterr().out
    assert told.count("verdicts identical") == len(files)
    counts = [int(line.split(": ")[1].split()[0]) for line in told.splitlines()]
    assert sum(counts) == pytest.approx(SCENARIOS["trip_backward_and_fall"].duration_s * 100, abs=5)


def test_the_first_difference_is_named_with_time_field_and_both_values(
    walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lie(entry: Any) -> Any:
        if isinstance(entry, Tick) and entry.verdict.t_ns >= 2_000_000_000:
            return Tick(entry.frame, replace(entry.verdict, motion=replace(entry.verdict.motion, steps=77)))
        return entry

    lying = rewritten(min(walked.glob("*.mcap")), tmp_path / "lying.mcap", lie)
    assert main(["replay", str(lying)]) == 1
    told = capsys.readouterr().out
    assert "lying.mcap: DIFFERS at 2.0" in told
    assert "verdict.motion.steps" in told
    assert "recorded 77" in told
    assert "replayed 0" in told


def test_a_different_state_is_found_even_if_only_the_state_differs(
    walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lie(entry: Any) -> Any:
        return Tick(entry.frame, replace(entry.verdict, state=State.OFF)) if isinstance(entry, Tick) else entry

    assert main(["replay", str(rewritten(min(walked.glob("*.mcap")), tmp_path / "off.mcap", lie))]) == 1
    assert "verdict.state" in capsys.readouterr().out


def test_a_gap_is_named_and_replay_goes_on_at_the_next_snapshot(walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Between a hole and the next snapshot nothing can be said; after it everything is exact again."""
    first, *_ = sorted(walked.glob("*.mcap"))
    whole = list(read(first).entries())
    snapshots = [index for index, entry in enumerate(whole) if isinstance(entry, dict)]
    assert snapshots, "a file without a snapshot cannot show this"
    hole = snapshots[0] - 50

    def entries() -> Iterator[Any]:
        for index, entry in enumerate(whole):
            if index == hole:
                assert isinstance(entry, Tick)
                yield Missing(entry.frame.t_ns, entry.frame.t_ns, 1, "writer_behind")
            else:
                yield entry

    holey = tmp_path / "holey.mcap"
    writer = RecordingWriter(holey, read(first).opening)
    for entry in entries():
        if isinstance(entry, Tick):
            writer.tick(*entry)
        elif isinstance(entry, Missing):
            writer.missing(entry)
        else:
            writer.snapshot(0, entry)
    writer.close()
    assert main(["replay", str(holey)]) == 0
    told = capsys.readouterr().out
    assert "holey.mcap: gap at " in told
    assert "writer behind" in told
    assert "identical, 50 not replayed" in told


def test_a_torn_file_is_replayed_as_far_as_it_goes_and_says_so(walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = sorted(walked.glob("*.mcap"))
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(first.read_bytes()[: first.stat().st_size // 2])
    assert main(["replay", str(torn)]) == 0
    told = capsys.readouterr().out
    assert "its end is missing" in told
    assert "verdicts identical" in told


@pytest.mark.parametrize("closed", [True, False])
def test_a_recording_altered_in_its_middle_does_not_pass_for_one_cut_short(
    closed: bool, walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(min(walked.glob("*.mcap")).read_bytes())
    at = 8  # after the magic: records of an opcode, a length and so many bytes
    while content[at] != Opcode.CHUNK or at < len(content) // 2:
        at += 9 + int.from_bytes(content[at + 1 : at + 9], "little")
    content[at + 9 + int.from_bytes(content[at + 1 : at + 9], "little") // 2] ^= 1  # in a chunk's midst, not in what says how long it is
    altered = tmp_path / "altered.mcap"
    altered.write_bytes(content if closed else content[:-20])
    assert main(["replay", str(altered)]) == 1
    assert "altered.mcap: DAMAGED after" in capsys.readouterr().out


def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.mcap"
    other.write_bytes(b"hello, I am a text")
    assert main(["replay", str(other)]) == 2
    assert str(other) in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "absent.mcap")]) == 2


def test_a_recording_of_another_model_is_refused(walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = sorted(walked.glob("*.mcap"))
    opening: Opening = replace(read(first).opening, model="abcdef")
    RecordingWriter(tmp_path / "model.mcap", opening).close()
    assert main(["replay", str(tmp_path / "model.mcap")]) == 2
    assert "--model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("policy", {"exercise": ""}),
        ("policy", {"state": "ASLEEP"}),
        (None, {"pose": 1}),
    ],
)
def test_an_altered_snapshot_is_refused_by_name(
    walked: Path, tmp_path: Path, section: str | None, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, second, *_ = sorted(walked.glob("*.mcap"))

    def alter(entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        return {**entry, section: {**entry[section], **change}} if section else {**entry, **change}

    altered = rewritten(second, tmp_path / "altered.mcap", alter)
    assert main(["replay", str(altered)]) == 2
    assert "altered.mcap: " in capsys.readouterr().err


def test_a_recording_whose_configuration_no_device_takes_is_refused(
    walked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opening = read(min(walked.glob("*.mcap"))).opening
    config = replace(opening.config, fall=replace(opening.config.fall, rule="guesswork"))
    RecordingWriter(tmp_path / "odd.mcap", replace(opening, config=config, model=None)).close()
    assert main(["replay", str(tmp_path / "odd.mcap")]) == 2
    assert "odd.mcap: no monitor can be made of its opening" in capsys.readouterr().err


# motion data


def motion(name: str, seconds: float, rate_hz: float = 200.0, seed: int = 1) -> Array:
    """A story's motion as foreign data: (n, 7)."""
    story, _ = SCENARIOS[name].stage(seed)
    t_s = np.arange(0.0, seconds, 1 / rate_hz)
    return np.column_stack((t_s, story.motion((t_s * 1e9).astype(np.int64))))


@pytest.fixture(scope="module")
def fall() -> Array:
    return motion("trip_backward_and_fall", 15.0)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def replay(tmp_path: Path, capsys: pytest.CaptureFixture[str], trials: dict[str, Array], *options: str) -> list[dict[str, Any]]:
    place = tmp_path / "motion.npz"
    np.savez(place, **trials)  # type: ignore[arg-type]
    assert main(["replay", "--imu", str(place), "--jsonl", *options]) == 0
    return told(capsys)


def test_a_fall_in_motion_data_is_told_with_its_time_and_evidence(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = replay(tmp_path, capsys, {"F02": fall})
    assert [line["event_type"] for line in lines] == ["session_started", "coach", "imminent_fall", "fall_suspected", "replayed"]
    assert lines[1]["evidence"]["cue"] == "work", "who walks backward at once has warmed up enough"
    assert all(line["trial"] == "F02" for line in lines)
    assert "variant" not in lines[0]
    assert lines[3]["evidence"]["impact_g"] > 2.5
    impact_s = fall[np.argmax(np.linalg.norm(fall[:, 1:4], axis=1)), 0]
    assert impact_s - 1.0 < lines[2]["t_s"] < impact_s
    end = lines[-1]
    assert end["t_s"] == end["duration_s"] == pytest.approx(fall[-1, 0])
    assert end["guarded_s"] == pytest.approx(end["duration_s"] - lines[0]["t_s"], abs=0.02)


def test_the_same_data_tells_the_same_twice_and_on_any_clock(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = fall.copy()
    later[:, 0] += 1000.0  # t_s counts from the first row
    once = replay(tmp_path, capsys, {"a": fall})
    assert once == replay(tmp_path, capsys, {"a": fall})
    assert [(line["event_type"], line["t_s"]) for line in once] == [
        (line["event_type"], pytest.approx(line["t_s"], abs=1e-5)) for line in replay(tmp_path, capsys, {"a": later})
    ]


def test_no_alarm_uses_a_later_sample(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cut off right after the alarm, the data gives the same alarm at the same time."""
    whole = replay(tmp_path, capsys, {"a": fall})
    alarm = next(line for line in whole if line["event_type"] == "imminent_fall")
    cut = replay(tmp_path, capsys, {"a": fall[fall[:, 0] <= alarm["t_s"] + 0.001]})
    assert alarm in cut
    assert cut[: cut.index(alarm)] == whole[: whole.index(alarm)]


@pytest.mark.parametrize("rate_hz", [52.0, 104.0, 400.0])
def test_any_rate_will_do(rate_hz: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = replay(tmp_path, capsys, {"a": motion("trip_backward_and_fall", 15.0, rate_hz)})
    assert "fall_suspected" in [line["event_type"] for line in lines]


@pytest.mark.parametrize("chip", ["lsm6dsox", "lsm6dso32", "mpu6050"])
def test_any_chip_will_do(chip: str, fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = replay(tmp_path, capsys, {"a": fall}, "--chip", chip)
    assert "imminent_fall" in [line["event_type"] for line in lines]


def test_variant_labels_every_line_and_trials_chooses(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = replay(tmp_path, capsys, {"D01": fall[:400], "F01": fall[:400], "F02": fall[:400]}, "--variant", "reversed", "--trials", "F*")
    assert {line["variant"] for line in lines} == {"reversed"}
    assert [line["trial"] for line in lines if line["event_type"] == "replayed"] == ["F01", "F02"]


def test_each_trial_gets_a_device_of_its_own(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = replay(tmp_path, capsys, {"a": fall, "b": fall})
    a, b = ([{**line, "trial": ""} for line in lines if line["trial"] == name] for name in "ab")
    assert a == b


def test_the_exercise_decides_what_a_fall_is(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standing data, then lying down without an impact: no alarm in everyday wear, one after ten seconds in an exercise."""
    rest = motion("faint_slowly_and_lie_breathing", 40.0)
    exercise = [line["event_type"] for line in replay(tmp_path, capsys, {"a": rest}, "--exercise", "walk")]
    everyday = [line["event_type"] for line in replay(tmp_path, capsys, {"a": rest}, "--exercise", "everyday")]
    assert "fall_suspected" in exercise
    assert "fall_suspected" not in everyday


def test_events_go_to_the_pipe_while_the_bar_goes_to_the_terminal(fall: Array, tmp_path: Path) -> None:
    place = tmp_path / "motion.npz"
    np.savez(place, a=fall)
    terminal, its_end = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "guardian", "replay", "--imu", str(place), "--jsonl"],
            stdout=subprocess.PIPE,
            stderr=its_end,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "TERM": "xterm"},
        )
        os.set_blocking(terminal, False)
        bar = os.read(terminal, 100_000).decode()
    finally:
        os.close(terminal)
        os.close(its_end)
    assert [json.loads(line)["event_type"] for line in done.stdout.splitlines()][-1] == "replayed"
    assert "━" in bar
    assert "event_type" not in bar


GOOD = np.column_stack((np.arange(10) / 100.0, np.tile([0.0, 0.0, 9.81, 0.0, 0.0, 0.0], (10, 1))))


def with_value(row: int, column: int, value: float) -> Array:
    array = GOOD.copy()
    array[row, column] = value
    return array


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (GOOD[:, :6], r"shape \(10, 6\)"),
        (GOOD[0], r"shape \(7,\)"),
        (GOOD[:1], "1 rows"),
        (GOOD[:0], "0 rows"),
        (with_value(3, 4, float("nan")), "row 3, column 4 is nan"),
        (with_value(3, 1, float("inf")), "row 3, column 1 is inf"),
        (with_value(5, 0, 0.04), "does not increase at row 5"),
        (with_value(5, 0, 0.01), "does not increase at row 5"),
        (np.column_stack([GOOD[:, 0] * 1000.0, GOOD[:, 1:]]), "is t_s in seconds?"),
        (GOOD.astype(np.int16), "not counts"),
        (np.array([[{}] * 7] * 3, dtype=object), "pickled"),
        (np.array([["a"] * 7] * 3), "floats in SI units"),
    ],
)
def test_bad_data_is_refused_by_file_and_trial_before_anything_is_told(
    array: Any, why: str, fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "bad.npz"
    np.savez(place, first=fall[:300], wrong=array)
    assert main(["replay", "--imu", str(place), "--jsonl"]) == 2
    out, err = capsys.readouterr()
    assert out == "", "not half-printed as if all were well"
    assert f"{place}: trial wrong" in err
    assert re.search(why, err), err
    assert "Traceback" not in err


def archive(edit: Callable[[bytearray], None], compress: bool = False) -> bytes:
    """An .npz file of one trial, with some bytes changed."""
    buffer = BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, a=GOOD)
    content = bytearray(buffer.getvalue())
    edit(content)
    return bytes(content)


def claim(shape: str, order: str = "False") -> bytes:
    """An .npz file of an array that says it is larger than it is, or something that numpy cannot parse."""
    header = f"{{'descr': '<f8', 'fortran_order': {order}, 'shape': {shape}}}".encode().ljust(118) + b"\n"
    buffer = BytesIO()
    with ZipFile(buffer, "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return buffer.getvalue()


def encrypted(content: bytearray) -> None:
    content[6] |= 1
    content[content.find(b"PK\1\2") + 8] |= 1


def oddly_packed(content: bytearray) -> None:
    content[8] = content[content.find(b"PK\1\2") + 10] = 99


def flipped(content: bytearray) -> None:
    content[60:90] = bytes(byte ^ 0x5A for byte in content[60:90])


def text_only() -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as file:
        file.writestr("notes.txt", "not an array")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [archive(encrypted), archive(oddly_packed), archive(flipped, compress=True), claim("(1" + "0" * 12 + ", 7)"),
     claim("(1" + "0" * 30 + ", 7)"), text_only(), claim("(3, 7", "\0"), claim("(3, 7), 0: [[]]", "{[]: 1}")],
    ids=["encrypted", "oddly packed", "flipped", "huge", "beyond counting", "text", "no Python", "no key"],
)  # fmt: skip
def test_an_archive_that_cannot_be_unpacked_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "bad.npz"
    place.write_bytes(content)
    assert main(["replay", "--imu", str(place)]) == 2
    assert f"guardian: {place}: trial " in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"not a zip at all", b"PK\x03\x04 torn"])
def test_a_file_that_is_no_npz_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "bad.npz"
    place.write_bytes(content)
    assert main(["replay", "--imu", str(place)]) == 2
    assert str(place) in capsys.readouterr().err


def test_wrong_options_are_told_with_what_there_is(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "motion.npz"
    np.savez(place, F01=fall[:300])
    np.save(tmp_path / "single.npy", fall[:300])
    for options, word in (
        (["--imu", str(place), "--exercise", "swim"], "stairs"),
        (["--imu", str(place), "--trials", "D*"], "F01"),
        (["--imu", str(tmp_path / "single.npy")], "single array"),
        (["--imu", str(tmp_path / "absent.npz")], "does not exist"),
        (["--imu", str(place), "--model", str(tmp_path / "weights.bin")], "weights.bin"),
        (["--imu", str(place), "--model", str(place)], "no fall model"),
        ([], "--imu"),
        (["--imu", str(place), "some.mcap"], "one of the two"),
    ):
        assert main(["replay", *options]) == 2, options
        assert word in capsys.readouterr().err


def test_real_falls_of_one_person_come_through(sisfall: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Accept list of the evaluation, in small: converted, played, alarmed near the impact."""
    from lab.evaluate import body

    with np.load(sisfall / "SA05.npz") as archive:
        trials = {name: body(archive[name]) for name in archive.files if name.startswith("F01")}
    lines = replay(tmp_path, capsys, trials)
    assert sum(line["event_type"] == "replayed" for line in lines) == len(trials)
    alarmed = {line["trial"] for line in lines if line["event_type"] in ("imminent_fall", "fall_suspected")}
    assert alarmed == set(trials)


def test_the_last_line_sums_up_steps_cadence_and_direction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A training person stands, walks forward, turns, walks backward: each as long as the truth says."""
    who = TRAINING.draw(3)
    script = (Stand(4), Walk(20, speed=1.1), Stand(2), Turn(3, angle_deg=180.0), Stand(3), Walk(20, speed=-0.7), Stand(6))
    told_of = Session(who, script, 58.0, "walk")
    t_s = np.arange(0.0, 58.0, 1 / 200.0)
    trial = np.column_stack((t_s, told_of.samples(200.0)))
    end = replay(tmp_path, capsys, {"a": trial})[-1]
    assert end["event_type"] == "replayed"
    walked = [span for span in told_of.truth.spans if span.phase == "Walk"]
    steps = sum(((told_of.truth.steps_s >= span.begin_s) & (told_of.truth.steps_s < span.end_s + 1)).sum() for span in walked)
    assert end["steps"] == pytest.approx(steps, abs=5)  # and some of the turn
    assert 95 < end["cadence"] < 115
    ways = end["direction"]
    assert sum(ways.values()) == pytest.approx(1.0, abs=0.001)
    assert ways["forward"] == pytest.approx(20 / 58, abs=0.04)
    assert ways["backward"] == pytest.approx(20 / 58, abs=0.05)
    assert 0.03 < ways["turning"] < 0.08
    assert main(["replay", "--imu", str(tmp_path / "motion.npz")]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert f"{end['steps']} steps at {end['cadence']:.0f}/min" in line
    assert f"backward {ways['backward']:.0%}" in line


def test_who_never_walks_has_no_cadence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still = np.column_stack((np.arange(0, 5, 0.01), np.tile([0.0, 0.0, 9.81, 0.0, 0.0, 0.0], (500, 1))))
    end = replay(tmp_path, capsys, {"a": still})[-1]
    assert (end["steps"], end["cadence"]) == (0, 0.0)
    assert end["direction"].keys() == {"unknown", "still"}


def test_a_real_walk_and_the_same_reversed_are_summed_up(sisfall: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lab.evaluate import body, reversed_in_time

    with np.load(sisfall / "SA05.npz") as archive:
        walk = body(archive["D01_SA05_R01"])[:6000]
    ends = [line for line in replay(tmp_path, capsys, {"f": walk, "r": reversed_in_time(walk)}) if line["event_type"] == "replayed"]
    assert ends[0]["steps"] == pytest.approx(ends[1]["steps"], abs=3)
    assert ends[0]["direction"]["forward"] > 0.8
    assert ends[1]["direction"]["backward"] > 0.8


def test_the_scorer_takes_the_last_line_with_all_that_is_in_it(fall: Array, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lab.score import score

    lines = replay(tmp_path, capsys, {"F02_XX01_R01": fall})
    impact_s = float(fall[np.argmax(np.linalg.norm(fall[:, 1:4], axis=1)), 0])
    result = score({("F02_XX01_R01", ""): 15.0}, {"F02_XX01_R01": impact_s}, lines)
    assert result.leads_s.keys() == {"F02_XX01_R01"}
