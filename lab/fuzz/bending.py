"""Whole inputs bent in one place, so that fuzzing gets behind a checksum, a length or a decoder written in C.

libFuzzer alone changes bytes. A chunk with a wrong CRC, a zip member with a wrong length or a broken brace end at the first check, and
what reads the values is never tried. So most inputs are taken apart, one value in them is made odd, and they are put together whole.
"""

import io
import json
import random
import string
import zipfile
from collections.abc import Callable
from typing import Any

import msgspec
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.writer import Writer

DEPTH = 2000  # deeper than Python's recursion limit
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64 - 1, 10**40,
    float("nan"), float("inf"), "", "x", "\x00", "\ud800", "\U0001f9cd", "a/b+#", "x" * 70, "x" * 5000, [], {}, [[]], {"": None},
)  # fmt: skip

Bend = Callable[[bytes, random.Random], bytes]


def odd(rng: random.Random) -> Any:
    """Something that is seldom meant."""
    if rng.random() < 0.3:
        return rng.choice((rng.uniform(-1e3, 1e3), rng.randrange(-300, 300), rng.randrange(1 << 64), rng.random()))
    if rng.random() < 0.02:
        deep: Any = []
        for _ in range(rng.choice((50, DEPTH))):
            deep = [deep] if rng.random() < 0.5 else {"a": deep}
        return deep
    return rng.choice(ODD)


def bent(tree: Any, rng: random.Random) -> Any:
    """The same lists and dicts with one value, key or item made odd."""
    if isinstance(tree, dict) and tree and rng.random() < 0.95:
        key, how = rng.choice(list(tree)), rng.random()
        if how < 0.05:
            return {other: value for other, value in tree.items() if other != key}
        if how < 0.1:
            return {**tree, rng.choice((f"{key}x", "", "v", "\ud800", "x" * 80)): tree[key]}
        if how < 0.2:
            return {**tree, key: tree[rng.choice(list(tree))]}
        return {**tree, key: bent(tree[key], rng)}
    if isinstance(tree, list) and tree and rng.random() < 0.9:
        place, how = rng.randrange(len(tree)), rng.random()
        if how < 0.1:
            return tree[:place] + tree[place + 1 :]
        if how < 0.2:
            return tree[:place] + [tree[place]] * rng.choice((2, 3, 100)) + tree[place:]
        if how < 0.3:
            return rng.sample(tree, len(tree))
        return [*tree[:place], bent(tree[place], rng), *tree[place + 1 :]]
    if isinstance(tree, bytes) and tree and rng.random() < 0.9:
        changed = bytearray(tree)
        for _ in range(rng.choice((1, 1, 4, 64))):
            changed[rng.randrange(len(changed))] = rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        return bytes(changed) if rng.random() < 0.8 else bytes((changed[0],)) * len(changed)
    if isinstance(tree, int | float) and rng.random() < 0.3:
        return tree + rng.choice((-1, 1, 0.5, 1000)) if abs(tree) < 1e18 else -tree
    return odd(rng)


def bent_json(data: bytes, rng: random.Random) -> bytes:
    """JSON with one odd value. Raises ValueError where it is none; RecursionError, too deep."""
    made = json.dumps(bent(json.loads(data), rng), ensure_ascii=rng.random() < 0.7, separators=(",", ":"))
    return made.encode("utf-8", "surrogatepass")


def bent_msgpack(data: bytes, rng: random.Random) -> bytes:
    """MessagePack with one odd value. Raises ValueError or OverflowError where it cannot be."""
    try:
        return msgspec.msgpack.encode(bent(msgspec.msgpack.decode(data), rng))
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def bent_messages(data: bytes, rng: random.Random) -> bytes:
    """Lines of "topic payload", one of them bent, doubled, or under another's topic. Raises ValueError."""
    lines = data.split(b"\n")
    place, how = rng.randrange(len(lines)), rng.random()
    topic, _, payload = lines[place].partition(b" ")
    if how < 0.1:
        lines.insert(place, lines[rng.randrange(len(lines))])
    elif how < 0.2:
        lines[place] = rng.choice(lines).partition(b" ")[0] + b" " + payload
    elif how < 0.3:
        at = rng.randrange(len(topic) + 1)
        lines[place] = topic[:at] + rng.choice((b"/", b"!", b"x", b"\xff", b"A")) + topic[at + rng.randrange(2) :] + b" " + payload
    else:
        lines[place] = topic + b" " + bent_json(payload, rng)
    return b"\n".join(lines[:12])


def bent_toml(data: bytes, rng: random.Random) -> bytes:
    """A TOML file with one line's value made odd, or the line doubled, taken out, or moved. Raises ValueError where it is no UTF-8."""
    lines = data.decode().split("\n")
    place, how = rng.randrange(len(lines)), rng.random()
    key, equals, value = lines[place].partition("=")
    if how < 0.1:
        lines.insert(rng.randrange(len(lines) + 1), lines[place])
    elif how < 0.2:
        del lines[place]
    elif how < 0.25 and key:
        at = rng.randrange(len(key))
        lines[place] = key[:at] + rng.choice(string.printable) + key[at + rng.randrange(2) :] + equals + value
    elif how < 0.35 and equals:
        lines[place] = key + "=" + rng.choice(lines).partition("=")[2]
    elif how < 0.6 and any(sign.isdigit() for sign in value):
        at = rng.choice([n for n, sign in enumerate(value) if sign.isdigit()])
        lines[place] = key + "=" + value[:at] + rng.choice(("0", "9", "-", "e9", ".", "_1", "inf", "")) + value[at + rng.randrange(2) :]
    else:
        lines[place] = f"{key}= {_toml(odd(rng))}"
    return "\n".join(lines).encode("utf-8", "replace")


def _toml(value: Any, depth: int = 0) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {_toml(one, depth + 1)}' for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one, depth + 1) for one in value) + "]" if depth < DEPTH // 4 else "[" * DEPTH
    if value is None:
        return "1979-05-27T07:32:00Z"
    return str(value).lower() if isinstance(value, bool | float | int) else json.dumps(value)


def bent_recording(data: bytes, rng: random.Random) -> bytes:
    """An MCAP file with one message bent, left out, doubled, or under another's topic, every length and CRC right. Raises ValueError."""
    try:
        reader = make_reader(io.BytesIO(data))
        header, told = reader.get_header(), [(channel.topic, message) for _, channel, message in reader.iter_messages()]
    except (McapError, EOFError, KeyError, IndexError, OverflowError, MemoryError) as error:
        raise ValueError(str(error)) from error
    if not told:
        raise ValueError("no messages")
    messages = [(topic, message.data, message.log_time) for topic, message in told]
    place, how = rng.randrange(len(messages)), rng.random()
    topic, content, log_ns = messages[place]
    if how < 0.1 and len(messages) > 1:
        del messages[place]
    elif how < 0.2:
        messages.insert(place, messages[rng.randrange(len(messages))])
    elif how < 0.25:
        messages[place] = rng.choice(messages)[0], content, log_ns
    elif how < 0.35:
        at = rng.randrange(len(content) + 1)
        messages[place] = topic, content[:at] + rng.randbytes(rng.randrange(3)) + content[at + rng.randrange(3) :], log_ns
    else:
        messages[place] = topic, bent_json(content, rng), log_ns
    return _recorded(header.profile, messages, rng)


def _recorded(profile: str, messages: list[tuple[str, bytes, int]], rng: random.Random) -> bytes:
    file = io.BytesIO()
    writer = Writer(file)
    writer.start(profile=profile)  # type: ignore[no-untyped-call]
    schema = writer.register_schema("any", "jsonschema", b"{}")
    channels = {topic: writer.register_channel(topic, "json", schema) for topic in {topic: 0 for topic, _, _ in messages}}
    cut = rng.randrange(1, len(messages) + 1)
    for sequence, (topic, content, log_ns) in enumerate(messages):
        writer.add_message(channels[topic], log_ns, content, log_ns, sequence)
        if sequence % cut == cut - 1:
            writer.flush()  # type: ignore[no-untyped-call]
    writer.finish()  # type: ignore[no-untyped-call]
    return file.getvalue()


def bent_archive(data: bytes, rng: random.Random) -> bytes:
    """A zip with one member bent, doubled or renamed, its CRCs right. Raises ValueError, BadZipFile ... as zipfile does."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(one.filename, archive.read(one)) for one in archive.infolist()[:4]]
    if not members:
        raise ValueError("no members")
    place, how = rng.randrange(len(members)), rng.random()
    name, content = members[place]
    if how < 0.1:
        members.append((f"{name}x", content))
    elif how < 0.2:
        members[place] = rng.choice(("a/b.npy", "x", " ", "\u2603.npy", "../up.npy")), content
    elif how < 0.6:  # the header, a Python literal of fixed length
        old, new = rng.choice(HEADERS)
        members[place] = name, content.replace(old, new, 1)
    elif content:
        at = rng.randrange(len(content))
        part = bent(content[at : at + 8], rng)
        members[place] = name, content[:at] + (part if isinstance(part, bytes) else b"") + content[at + 8 :]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


HEADERS = tuple(
    (old.encode(), new.encode().ljust(len(old)))
    for old, new in (
        ("'<f8'", "'<f4'"), ("'<f8'", "'|O8'"), ("'<f8'", "'>f8'"), ("'<f8'", "'<i8'"), ("'<f8'", "'<c8'"), ("'<f8'", "'|S0'"),
        ("(30, 7)", "(7, 30)"), ("(30, 7)", "(0, 7)"), ("(30, 7)", "(210,)"), ("(30, 7)", "(99,77)"), ("(30, 7)", "(-1, 7)"),
        ("(30, 7)", "()"), ("(30, 7)", "(9999,)"), ("(30, 7)", "(1e9,7)"), ("False", "True"), ("descr", "dexcr"),
        ("fortran_order", "fortran_ordre"),
        ("NUMPY\x01", "NUMPY\x02"), ("NUMPY\x01", "NUMPY\x03"), ("NUMPY\x01", "NUMPY\x09"),
    )
)  # fmt: skip
