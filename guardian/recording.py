"""Recordings: all that the mind was told and all that it said, tick by tick, in MCAP files that Foxglove opens.

A file holds, in the order in which it happened:

    /opening    one Opening: config, calibration, model, resume state, versions. Always first.
    /snapshot   the Monitor's state *after* the tick before it; first in a rotated file, first after a gap, and once a minute.
    /frame      one tick's Frame ...
    /verdict    ... and the Verdict the monitor gave to it.
    /gap        Missing: ticks that were dropped here, and why. What follows cannot be replayed until the next snapshot.

Messages are JSON with JSON schemas, in zstd chunks. A chunk reaches the file only at `cut()`, whole and fsynced, so that a power cut
costs what came after the last cut, and the file needs no footer to be read. Chunks carry a CRC: reading ends, truncated, at the first
that is not whole. The log time is UTC where it was known when the file was opened, else time since boot; replay uses neither.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, cast

import msgspec
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, McapRecord, Message
from mcap.stream_reader import breakup_chunk
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import MCAP0_MAGIC, Writer
from msgspec import Struct
from zstandard import ZstdError

from guardian.config import Calibration, Config
from guardian.frame import Frame
from guardian.verdict import Resume, Verdict

FORMAT = 1
PROFILE = "guardian"
PREFIX = len(PROFILE).to_bytes(4, "little") + PROFILE.encode()  # an MCAP header record begins with its profile

Snapshot = dict[str, Any]


class RecordingError(ValueError):
    """A file is no recording that this version can read; the message names the file and why."""


class Opening(Struct, frozen=True, kw_only=True):
    """What a replay starts from, once at the head of each file."""

    format: int = FORMAT
    sw: str  # guardian's version
    python: str
    config: Config
    calibration: Calibration | None = None
    model: str | None = None  # hash of the learned model's weights; None: none was loaded
    resume: Resume
    t_ns: int = 0  # when this file was opened, this boot's monotonic clock
    utc_ns: int | None = None  # the same moment in UTC; None: the clock was not synced


class Missing(Struct, frozen=True, gc=False):
    """Ticks that are not in the recording, from the first to the last time stamp, and why."""

    first_ns: int
    last_ns: int
    ticks: int
    reason: Literal["writer_behind", "disk"]


class Tick(NamedTuple):
    """One turn of the loop."""

    frame: Frame
    verdict: Verdict


def foxglove_schema(type_: Any) -> bytes:
    """A type's JSON schema in the subset that every Foxglove reads: `type` in every place, `properties` in every object, no $ref, no union.

    (Its open-source parser, and the forks of it, refuse all else; the newest reads more.) A value or null is described as the value.
    """
    schema = msgspec.json.schema(type_)
    return msgspec.json.encode(_plain(schema, schema.get("$defs", {})))


def _plain(schema: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _plain(types[schema["$ref"].rsplit("/", 1)[1]], types)
    if "anyOf" in schema:
        return _plain(next(one for one in schema["anyOf"] if one.get("type") != "null"), types)
    kind = schema.get("type", "string")  # only an enum comes without a type
    if kind == "object":
        plain: dict[str, Any] = {key: _plain(value, types) for key, value in schema.get("properties", {}).items()}
        return {"type": kind, "properties": plain}
    if kind == "array":
        return {"type": kind, "items": _plain((schema.get("prefixItems") or [schema["items"]])[0], types)}
    return {"type": kind}


class _Tail:
    """The end of a file that is not on disk yet: what mcap's Writer writes to."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # health data: the device's own user alone
        self.safe = 0  # bytes on disk
        self.pending = bytearray()

    def write(self, data: bytes) -> int:
        self.pending += data
        return len(data)

    def tell(self) -> int:
        return self.safe + len(self.pending)

    def flush(self) -> None:
        """All on disk, or (OSError) the file as it was before."""
        try:
            written = 0
            while written < len(self.pending):
                written += os.write(self.fd, memoryview(self.pending)[written:])
            os.fsync(self.fd)
        except OSError:
            with suppress(OSError):  # a card that takes nothing at all: the reader stops at the torn chunk
                os.ftruncate(self.fd, self.safe)
            raise
        self.safe += len(self.pending)
        self.pending.clear()

    def close(self) -> None:
        os.close(self.fd)


class RecordingWriter:
    """Writes one file; refuses a path that exists. Every method may raise OSError; then only `abandon()` is left to call."""

    def __init__(self, path: Path, opening: Opening) -> None:
        self._offset_ns = 0 if opening.utc_ns is None else max(0, opening.utc_ns - opening.t_ns)
        self._encode = msgspec.json.Encoder().encode
        self._sequence = 0  # of all messages in the file
        self._tail = _Tail(path)
        self._writer = Writer(cast(IO[Any], self._tail))
        self._writer.start(profile=PROFILE)
        self._opening = self._channel("/opening", "Opening", Opening)
        self._frame = self._channel("/frame", "Frame", Frame)
        self._verdict = self._channel("/verdict", "Verdict", Verdict)
        self._snapshot = self._channel("/snapshot", "Snapshot", Snapshot)
        self._gap = self._channel("/gap", "Missing", Missing)
        try:
            self._add(self._opening, opening.t_ns, opening)
            self.cut()
            _sync_folder(path.parent)
        except OSError:
            self._tail.close()
            path.unlink()
            raise

    def _channel(self, topic: str, name: str, type_: Any) -> int:
        schema = self._writer.register_schema(f"guardian.{name}", SchemaEncoding.JSONSchema, foxglove_schema(type_))
        return self._writer.register_channel(topic, MessageEncoding.JSON, schema)

    def _add(self, channel: int, t_ns: int, value: object) -> None:
        self._writer.add_message(channel, t_ns + self._offset_ns, self._encode(value), t_ns, self._sequence)
        self._sequence += 1

    def tick(self, frame: Frame, verdict: Verdict) -> None:
        """One turn of the loop."""
        self._add(self._frame, frame.t_ns, frame)
        self._add(self._verdict, frame.t_ns, verdict)

    def snapshot(self, t_ns: int, state: Snapshot) -> None:
        """The Monitor's state after the last tick written (or dropped)."""
        self._add(self._snapshot, t_ns, state)

    def missing(self, missing: Missing) -> None:
        """Ticks dropped here."""
        self._add(self._gap, missing.last_ns, missing)

    def cut(self) -> int:
        """Close the chunk and put it on disk. Returns the file's size in bytes."""
        self._writer.flush()  # type: ignore[no-untyped-call]
        return self._tail.safe

    def close(self) -> None:
        """Write the index that viewers seek by, and close the file."""
        try:
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._tail.flush()
        finally:
            self._tail.close()

    def abandon(self) -> None:
        """Leave the file as it was at the last good cut."""
        with suppress(OSError):
            self._tail.close()


def _sync_folder(folder: Path) -> None:
    """A new file's name is on disk only once its folder is."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Recording:
    """One file, read from its beginning as often as asked.

    `truncated` says that its end is missing or damaged: known on opening for a file cut off, after reading for a damaged one.
    `damaged`, known after reading, says that no power cut explains it: each chunk was on disk before the next was written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.truncated = False
        self.damaged = False
        self._sw = "an unknown version"
        for data in self._records(Opcode.HEADER):  # and in passing all others' lengths, to see whether the end is there
            if not data.startswith(PREFIX):
                raise RecordingError(f"{path}: an MCAP file, but no recording of guardian's")
        self._opening = next((data for topic, data in self._messages() if topic == "/opening"), None)
        if self._opening is not None:
            head = self._decode(msgspec.json.Decoder(_Head), self._opening)
            self._sw = head.sw
            if head.format != FORMAT:
                raise RecordingError(f"{path}: format {head.format}, written by guardian {head.sw}; this version reads format {FORMAT}")

    @property
    def opening(self) -> Opening:
        """What a replay starts from. Raises RecordingError where this version's config differs in its keys, or none reached the disk."""
        if self._opening is None:
            raise RecordingError(f"{self.path}: cut off before its opening reached the disk")
        opening: Opening = self._decode(msgspec.json.Decoder(Opening), self._opening)
        return opening

    def entries(self) -> Iterator[Tick | Snapshot | Missing]:
        """All that the file holds after the opening, in order."""
        frames, verdicts, gaps = msgspec.json.Decoder(Frame), msgspec.json.Decoder(Verdict), msgspec.json.Decoder(Missing)
        states = msgspec.json.Decoder(Snapshot)
        frame: Frame | None = None
        for topic, data in self._messages():
            if topic == "/frame":
                frame = self._decode(frames, data)
            elif topic == "/verdict" and frame is not None:
                yield Tick(frame, self._decode(verdicts, data))
                frame = None
            elif topic == "/snapshot":
                yield self._decode(states, data)
            elif topic == "/gap":
                yield self._decode(gaps, data)

    def _decode(self, decoder: "msgspec.json.Decoder[Any]", data: bytes) -> Any:
        try:
            return decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RecordingError(f"{self.path}: written by guardian {self._sw}, this version cannot read it: {error}") from error

    def _messages(self) -> Iterator[tuple[str, bytes]]:
        """(topic, JSON) up to the first chunk that is damaged or not the next one."""
        topics: dict[int, str] = {}
        sequence = 0
        closed = not self.truncated
        chunks = self._records(Opcode.CHUNK)
        for data in chunks:
            records = _whole_chunk(data)
            topics |= {record.id: record.topic for record in records if isinstance(record, Channel)}
            messages = [record for record in records if isinstance(record, Message)]
            if [message.sequence for message in messages] != list(range(sequence, sequence + len(messages))) or not messages:
                self.truncated = True
                self.damaged = self.damaged or closed or next(chunks, None) is not None
                return
            sequence += len(messages)
            yield from ((topics.get(message.channel_id, ""), message.data) for message in messages)

    def _records(self, wanted: Opcode) -> Iterator[bytes]:
        """The content of each whole record that is wanted."""
        try:
            with self.path.open("rb") as file:
                yield from self._records_of(file, wanted)
        except OSError as error:
            raise RecordingError(f"{self.path}: cannot be read: {error.strerror}") from error

    def _records_of(self, file: IO[bytes], wanted: Opcode) -> Iterator[bytes]:
        magic, size = file.read(len(MCAP0_MAGIC)), os.fstat(file.fileno()).st_size
        if not MCAP0_MAGIC.startswith(magic):
            raise RecordingError(f"{self.path}: no MCAP file")
        while len(head := file.read(9)) == 9:
            opcode, length = struct.unpack("<BQ", head)
            end = file.tell() + length
            if opcode not in _OPCODES or end > size:  # torn, or the zeros that a file system leaves after a power cut
                break
            if opcode == wanted:
                yield file.read(length)
            file.seek(end)
            if opcode == Opcode.FOOTER and file.read() == MCAP0_MAGIC:
                return
        self.truncated = True


class _Head(Struct):
    """What every format's opening says."""

    format: int
    sw: str


_OPCODES = frozenset(int(opcode) for opcode in Opcode)


def _whole_chunk(data: bytes) -> list[McapRecord]:
    """A chunk's records; none if it is damaged."""
    try:
        return breakup_chunk(Chunk.read(ReadDataStream(BytesIO(data))), validate_crc=True)
    except (McapError, ZstdError, ValueError, OverflowError, MemoryError, struct.error):
        return []


def read(path: Path) -> Recording:
    """A recording of ours. Raises RecordingError for any other file; a torn one is read as far as it goes."""
    return Recording(path)
