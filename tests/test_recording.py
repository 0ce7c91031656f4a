"""Recordings: what went in comes out, whatever happened to the file."""

import struct
import types
from collections.abc import Callable
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer

from guardian.config import Calibration, Config
from guardian.frame import Frame
from guardian.recording import (
    Missing,
    Opening,
    RecordingError,
    RecordingWriter,
    Snapshot,
    Tick,
    foxglove_schema,
    read,
)
from guardian.verdict import Alarm, Gap, Motion, Obstacle, Resume, State, Verdict

TICK_NS = 10_000_000

anything = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of ours."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, args))
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(values(args[0]), max_size=3).map(tuple) if args[1:] == (...,) else st.tuples(*map(values, args))
    if origin is dict:
        return st.dictionaries(values(args[0]), values(args[1]), max_size=3)
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if issubclass(kind, msgspec.Struct):
        return st.builds(kind, **{field.name: values(field.type) for field in msgspec.structs.fields(kind)})
    plain: dict[Any, Callable[[], st.SearchStrategy[Any]]] = {
        bool: st.booleans,
        int: lambda: st.integers(0, 2**62),
        float: lambda: st.floats(allow_nan=False, allow_infinity=False),
        str: lambda: st.text(max_size=12),
        type(None): st.none,
    }
    return plain[kind]()


def tick(n: int) -> Tick:
    """The n-th tick of a quiet walk."""
    t_ns = n * TICK_NS
    motion = Motion(lean_cos=0.9 + n / 1e6, walking=True, steps=n // 50)
    return Tick(
        Frame(t_ns, late_ns=n),
        Verdict(t_ns, State.GUARDING, Obstacle.CLEAR, None, (), motion, Gap(distance_m=2.0), None, None, "walk"),
    )


@pytest.fixture
def opening(config: Config) -> Opening:
    return Opening(sw="0.1.0", python="3.11.2", config=config, resume=Resume("f00d", 7))


@pytest.fixture
def walk(tmp_path: Path, opening: Opening) -> tuple[bytes, list[int]]:
    """A file of 100 ticks, cut every 10, closed; and its length after each cut."""
    path = tmp_path / "walk.mcap"
    writer = RecordingWriter(path, opening)
    cuts = [writer.cut()]
    for n in range(100):
        writer.tick(*tick(n))
        if n % 10 == 9:
            cuts.append(writer.cut())
    writer.close()
    return path.read_bytes(), cuts


def ticks_of(path: Path) -> list[Tick]:
    return [entry for entry in read(path).entries() if isinstance(entry, Tick)]


@anything
@given(st.lists(st.tuples(values(Frame), values(Verdict)), max_size=3))
def test_every_frame_and_verdict_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, opening: Opening, pairs: list[tuple[Frame, Verdict]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.mcap"
    writer = RecordingWriter(path, opening)
    for frame, verdict in pairs:
        writer.tick(frame, verdict)
    writer.close()
    recording = read(path)
    back = list(recording.entries())
    assert back == pairs
    assert repr([tuple(one) for one in back]) == repr(pairs)  # also -0.0 and 1 for 1.0
    assert not recording.truncated


@anything
@given(values(Resume), st.none() | values(Calibration), st.none() | st.text())
def test_the_opening_comes_back_config_and_all(
    tmp_path_factory: pytest.TempPathFactory, opening: Opening, resume: Resume, calibration: Calibration | None, model: str | None
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.mcap"
    opening = msgspec.structs.replace(
        opening, resume=resume, calibration=calibration, model=model, t_ns=5, utc_ns=1_790_000_000_000_000_000
    )
    RecordingWriter(path, opening).close()
    assert read(path).opening == opening


def test_power_cut_at_any_byte_costs_only_what_came_after_the_last_cut(tmp_path: Path, walk: tuple[bytes, list[int]]) -> None:
    content, cuts = walk
    path = tmp_path / "torn.mcap"
    edges = {0, 1, 7, 8, 9, 17, len(content) - 1} | {cut + step for cut in cuts for step in (-1, 0, 1, 9)} | set(range(0, len(content), 97))
    for length in sorted(edges):
        path.write_bytes(content[:length])
        recording = read(path)
        got = [entry for entry in recording.entries() if isinstance(entry, Tick)]
        assert recording.truncated, length
        assert not recording.damaged, length
        whole = 10 * sum(cut <= length for cut in cuts[1:])
        assert whole <= len(got) <= whole + 10, length  # a chunk whose index alone is torn still reads
        assert got == [tick(n) for n in range(len(got))]


def test_zeros_that_a_file_system_leaves_after_a_power_cut_end_the_recording(tmp_path: Path, walk: tuple[bytes, list[int]]) -> None:
    content, cuts = walk
    path = tmp_path / "zeros.mcap"
    path.write_bytes(content[: cuts[4] + 100] + bytes(4096))
    assert len(ticks_of(path)) in (40, 50)
    assert read(path).truncated


@anything
@given(data=st.data())
def test_a_damaged_byte_never_passes_for_what_happened(tmp_path: Path, walk: tuple[bytes, list[int]], data: st.DataObject) -> None:
    content, _ = walk
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "damaged.mcap"
    path.write_bytes(damaged)
    try:
        got = ticks_of(path)
    except RecordingError as error:
        assert str(path) in str(error)
    else:
        assert got == [tick(n) for n in range(len(got))]


def test_ticks_snapshots_and_gaps_come_back_in_their_order(tmp_path: Path, opening: Opening) -> None:
    path = tmp_path / "gaps.mcap"
    writer = RecordingWriter(path, opening)
    for n in range(3):
        writer.tick(*tick(n))
    writer.snapshot(2 * TICK_NS, {"a minute": "has passed"})
    writer.tick(*tick(3))
    lost = Missing(first_ns=4 * TICK_NS, last_ns=6 * TICK_NS, ticks=3, reason="disk")
    writer.missing(lost)
    writer.tick(*tick(7))  # cannot be replayed: nobody knows the state before it
    writer.snapshot(7 * TICK_NS, {"steps": 7})
    writer.tick(*tick(8))
    writer.close()
    minute, after = {"a minute": "has passed"}, {"steps": 7}
    assert list(read(path).entries()) == [tick(0), tick(1), tick(2), minute, tick(3), lost, tick(7), after, tick(8)]


def test_a_rotated_file_starts_from_its_snapshot(tmp_path: Path, opening: Opening) -> None:
    path = tmp_path / "second.mcap"
    writer = RecordingWriter(path, opening)
    writer.snapshot(0, {"n": 0})
    writer.tick(*tick(1))
    writer.close()
    assert list(read(path).entries()) == [{"n": 0}, tick(1)]


def test_a_recording_is_never_written_over(tmp_path: Path, opening: Opening) -> None:
    RecordingWriter(tmp_path / "a.mcap", opening).close()
    before = (tmp_path / "a.mcap").read_bytes()
    with pytest.raises(FileExistsError):
        RecordingWriter(tmp_path / "a.mcap", opening)
    assert (tmp_path / "a.mcap").read_bytes() == before


def test_recordings_are_for_the_devices_own_user_alone(tmp_path: Path, opening: Opening) -> None:
    RecordingWriter(tmp_path / "a.mcap", opening).close()
    assert (tmp_path / "a.mcap").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"not a recording", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_another_kind_of_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.mcap"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"other\.mcap: no MCAP file"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"absent\.mcap: cannot be read"):
        read(tmp_path / "absent.mcap")


def robots_file(path: Path, profile: str, opening: dict[str, Any] | bytes) -> None:
    """An MCAP file written by somebody else, with an /opening."""
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start(profile=profile)
        channel = writer.register_channel("/opening", "json", 0)
        writer.add_message(channel, 0, opening if isinstance(opening, bytes) else msgspec.json.encode(opening), 0)
        writer.finish()


def test_another_robots_recording_is_refused(tmp_path: Path) -> None:
    robots_file(tmp_path / "arm.mcap", "ros2", {})
    with pytest.raises(RecordingError, match=r"arm\.mcap: an MCAP file, but no recording"):
        read(tmp_path / "arm.mcap")


def test_a_later_format_is_refused_naming_who_wrote_it(tmp_path: Path) -> None:
    robots_file(tmp_path / "new.mcap", "guardian", {"format": 2, "sw": "9.9"})
    with pytest.raises(RecordingError, match=r"new\.mcap: format 2, written by guardian 9\.9"):
        read(tmp_path / "new.mcap")


def test_after_an_upgrade_old_recordings_still_show_but_do_not_replay(tmp_path: Path) -> None:
    robots_file(tmp_path / "old.mcap", "guardian", {"format": 1, "sw": "0.0.9", "config": {"gone": 1}})
    recording = read(tmp_path / "old.mcap")
    assert list(recording.entries()) == []
    with pytest.raises(RecordingError, match=r"old\.mcap: written by guardian 0\.0\.9, this version cannot read it"):
        _ = recording.opening


@pytest.mark.parametrize("message", [b'{"x":' + b"[" * 5000, b'{"format":1,"sw":"\xff"}'], ids=["nested too deeply", "no text"])
def test_a_message_that_no_writer_of_ours_makes_is_refused_by_name(tmp_path: Path, message: bytes) -> None:
    robots_file(tmp_path / "odd.mcap", "guardian", message)
    with pytest.raises(RecordingError, match=r"odd\.mcap: written by guardian"):
        read(tmp_path / "odd.mcap")


def plain(schema: dict[str, Any]) -> bool:
    """What Foxglove's first, open-source reader of JSON schemas understands (and so do its forks)."""
    kind = schema.get("type")
    if kind == "object":
        return set(schema) == {"type", "properties"} and all(map(plain, schema["properties"].values()))
    if kind == "array":
        items = schema["items"]
        return isinstance(items, dict) and items.get("type") != "array" and plain(items)
    return kind in ("boolean", "string", "number", "integer") and set(schema) == {"type"}


@pytest.mark.parametrize("kind", [Frame, Verdict, Missing, Snapshot])
def test_every_foxglove_reads_the_schemas(kind: Any) -> None:
    schema = msgspec.json.decode(foxglove_schema(kind))
    assert schema["type"] == "object"
    assert plain(schema)
    if kind is Verdict:
        assert schema["properties"]["alarm"]["properties"].keys() == {field.name for field in msgspec.structs.fields(Alarm)}


def test_the_openings_schema_is_read_too(walk: tuple[bytes, list[int]], tmp_path: Path) -> None:
    (tmp_path / "walk.mcap").write_bytes(walk[0])
    with (tmp_path / "walk.mcap").open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary is not None
    assert {channel.topic for channel in summary.channels.values()} == {"/opening", "/frame", "/verdict", "/snapshot", "/gap"}
    assert all(plain(msgspec.json.decode(schema.data)) for schema in summary.schemas.values())


def test_viewers_seek_by_utc_where_the_clock_was_set(tmp_path: Path, opening: Opening) -> None:
    path, noon = tmp_path / "noon.mcap", 1_790_000_000_000_000_000
    writer = RecordingWriter(path, msgspec.structs.replace(opening, t_ns=0, utc_ns=noon))
    for n in range(100):
        writer.tick(*tick(n))
    writer.close()
    with path.open("rb") as file:
        found = [message for _, _, message in make_reader(file).iter_messages("/frame", starting_at=noon + 50 * TICK_NS)]
    assert [msgspec.json.decode(message.data, type=Frame) for message in found] == [tick(n).frame for n in range(50, 100)]
    assert found[0].log_time == noon + 50 * TICK_NS


def test_each_cut_is_one_whole_chunk(walk: tuple[bytes, list[int]]) -> None:
    """By the format's own words: opcode, length, content; a chunk is opcode 6."""
    content, cuts = walk
    at, chunks = 8, []
    while at < len(content) - 8:
        opcode, length = struct.unpack_from("<BQ", content, at)
        if opcode == 6:
            chunks.append(at)
        at += 9 + length
    assert all(any(start <= chunk < end for chunk in chunks) for start, end in pairwise([0, *cuts]))
    assert len(chunks) == len(cuts)
