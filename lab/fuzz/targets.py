"""What is fuzzed, and what may come of it: each parser of bytes from outside, its contract, and seeds by the project's own writers.

A parser here goes as far as the program does with what it has read: a configuration that loads runs a device, a recording is replayed,
a message is stored and told. `opened(folder)` gives a function of the input; it raises for whatever the contract does not allow, and
Broken for a promise that was not kept. State that one input leaves to the next is only what the device itself keeps between messages.
"""

import contextlib
import io
import math
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from guardian import config as configuration
from guardian import contract
from guardian.app import SHIPPED_MODEL, Places, calibration_of, fall_model, model_hash, recorded_device
from guardian.commands.replay_imu import BadInput, opened, replay_imu, trial, trial_names
from guardian.commands.replay_recordings import replay_recordings
from guardian.config import Config, ConfigError, changed, load
from guardian.drivers.chip import SATURATED
from guardian.drivers.imu import Imu
from guardian.drivers.lsm6dsox import FIFO_STATUS1
from guardian.drivers.mpu6050 import FIFO_COUNT
from guardian.frame import Fault, Frame
from guardian.hardware import i2c_msg
from guardian.monitor import Monitor
from guardian.monitor.network import STATE_ONE, Network, read
from guardian.outputs.discovery import birth_topic
from guardian.outputs.link import Word
from guardian.outputs.mqtt import Mqtt
from guardian.outputs.outbox import Outbox
from guardian.outputs.writer import InlineWriter
from guardian.recording import Missing, Opening, RecordingWriter, Tick
from guardian.sim.bus import SimBus
from guardian.sim.clock import SimClock
from guardian.sim.inertial import Specimen
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.mpu6050 import MpuChip
from guardian.sim.recorded import RecordedWorld
from guardian.station import settings as station_settings
from guardian.station.intake import Intake
from guardian.station.line import Message as Heard
from guardian.station.live import Live
from guardian.station.message import Case, compose
from guardian.station.store import Store
from guardian.station.tables import Event as EventRow
from guardian.station.tables import PushJob
from guardian.verdict import Alarm, Resume, State, Verdict
from lab.fuzz.bending import Bend, bent_archive, bent_json, bent_messages, bent_msgpack, bent_recording, bent_toml

TICK_NS = 10_000_000
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STILL = np.array([[0.0, 0.0, 9.80665, 0.0, 0.0, 0.0]] * 2)
PUBLISHED = {"fall": {"rule": "ahn2019"}}  # a rule without weights, which take their time to load

Parser = Callable[[bytes], None]


class Broken(AssertionError):
    """A promise of the contract that was not kept."""


@dataclass(frozen=True)
class Target:
    """One parser. `words`: what the fuzzer may put in."""

    contract: str
    opened: Callable[[Path], Parser]
    seeds: Callable[[], Iterator[bytes]]
    bend: Bend
    words: tuple[str, ...] = ()
    max_bytes: int = 16384


def keep(promise: bool, words: str) -> None:
    """Raise Broken unless it was kept."""
    if not promise:
        raise Broken(words)


def walk(config: Config, model: bytes | None, ticks: int) -> list[Tick]:
    """The first ticks of a device that lies still."""
    seen: list[Tick] = []

    class Watching:
        name = "watching"

        def apply(self, frame: Frame, verdict: Verdict) -> None:
            seen.append(Tick(frame, verdict))
            if len(seen) == ticks:
                device.stop()

        def faults(self) -> tuple[Fault, ...]:
            return ()

        def close(self) -> None:
            """Nothing to do."""

    _, device = recorded_device(config, np.array([0.0, 3600.0]), STILL, model, Watching())
    with device:
        device.run()
    return seen


# --- configuration: guardian.toml, station.toml, calibration.json


def config_opened(folder: Path) -> Parser:
    """All three read each input; only ConfigError naming the file may come, and what is accepted runs, and can be recorded."""
    shipped = {path: tables(path) for path in (configuration.SHIPPED, station_settings.SHIPPED)}
    read_file = configuration._read
    known = patch.object(configuration, "_read", lambda path: shipped[path] if path in shipped else read_file(path))  # 30 ms each
    file, weights = folder / "guardian.toml", fall_model(load(local=None))

    def parse(data: bytes) -> None:
        file.write_bytes(data)
        (folder / "calibration.json").write_bytes(data)
        with known:
            config = refused(lambda: load(file))
            refused(lambda: station_settings.load(file))
        refused(lambda: calibration_of(Places(folder)))
        if isinstance(config, Config):
            keep(changed(config) == config, "a configuration is another one when laid over nothing")
            back = msgspec.json.decode(msgspec.json.encode(config), type=Config)
            keep(back == config, "a configuration does not come back from a recording's opening")
            walk(config, weights if config.fall.rule == configuration.LEARNED else None, 3)

    def refused(reader: Callable[[], Any]) -> Any:
        try:
            return reader()
        except ConfigError as error:
            keep(str(folder) in str(error), f"the message does not name the file: {error}")

    return parse


def tables(path: Path) -> dict[str, Any]:
    """A shipped TOML file."""
    return configuration._read(path)


def config_seeds() -> Iterator[bytes]:
    """Each table of the shipped files, a new exercise, a calibration."""
    for path in (configuration.SHIPPED, station_settings.SHIPPED):
        parts = path.read_text(encoding="utf-8").split("\n[")
        yield from (f"[{part}\n".encode() for part in parts[1:])
    shipped = configuration.SHIPPED.read_text(encoding="utf-8")
    row = shipped[shipped.index("[exercises.run]") : shipped.index("[exercises.stairs]")]
    yield row.replace("exercises.run", "exercises.hill").replace('label = "', 'label = "Hill ').encode()
    yield b'[wearers.mum]\nname = "Mum"\ncontacts = ["son"]\n[contacts.son]\nurl = "json://127.0.0.1"\n'
    yield msgspec.json.encode(configuration.Calibration(up=(0.1, 0.0, 0.99), gyro_bias=(0.01, 0.0, 0.0), height_m=0.95))


# --- what reaches the device over MQTT


class Ears:
    """A link that says what it is given, and takes everything."""

    def __init__(self) -> None:
        self.dropped = 0
        self.words: list[Word] = [("up",)]
        self._token = 0

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int | None:
        """Always sent."""
        self._token += 1
        return self._token

    def poll(self) -> list[Word]:
        """See Link."""
        words, self.words = self.words, []
        return words

    def wait(self, limit_s: float) -> float:
        """See Link."""
        return limit_s

    def close(self, farewell: bool) -> None:
        """Nothing to do."""


def command_opened(folder: Path) -> Parser:
    """Nothing raises; each message is a command, a receipt, a birth, or ignored and counted; the monitor bears each command."""
    config = changed(load(local=None), PUBLISHED)
    alarm = Alarm("f00d-1-3", "fall", 0)
    topics = contract.Topics(config.mqtt.root, config.device.id)

    def parse(data: bytes) -> None:
        link = Ears()
        outbox = Outbox(None, config.outbox, InlineWriter("outbox"), lambda: NOON, install="f00d")
        mqtt = Mqtt(config, outbox, link, "0.1.0")
        fallen = data[:1] == b"!"
        resume = Resume("f00d", 1, State.FALLEN, alarm) if fallen else Resume("f00d", 1)
        monitor = Monitor(config, None, None, resume)
        t_ns = 0
        for line in data[fallen:].split(b"\n")[:12]:
            topic, _, payload = line.partition(b" ")
            heard = {b"receipt": topics.receipt, b"birth": birth_topic(config.mqtt)}.get(topic.lstrip(b"~"), topics.command)
            t_ns += TICK_NS
            commands = mqtt.commands()
            verdict = monitor.step(Frame(t_ns, commands=commands))
            ignored = mqtt.ignored
            link.words.append(("message", heard, payload, topic.startswith(b"~")))
            outbox.apply(Frame(t_ns), verdict)
            mqtt.apply(Frame(t_ns), verdict)
            waiting = len(mqtt._commands)
            keep(mqtt.ignored - ignored + waiting <= 1, "one message did more than one thing")
            if heard == topics.command:
                keep(mqtt.ignored - ignored + waiting == 1, "a message was neither a command nor counted as ignored")
            msgspec.json.encode(verdict)
        keep(not (fallen and monitor.policy.memory.alarm is None and b'"clear"' not in data), "an alarm closed without a clear")

    return parse


def command_seeds() -> Iterator[bytes]:
    """Each command, and receipts."""
    for n, cmd in enumerate(("ack", "clear", "exercise", "locate", "test")):
        asked = {"v": 1, "cmd": cmd, "id": f"page-{n}", "for": "f00d-1-3", "value": "stairs"}
        command = b"command " + msgspec.json.encode(asked)
        yield command
        yield b"!" + command + b"\nreceipt " + msgspec.json.encode({"id": "f00d-1-1"}) + b"\nbirth online\n~" + command


# --- recordings


def recording_opened(folder: Path) -> Parser:
    """`guardian replay` ends with 0, 1 or 2, and names the file when it cannot be read."""
    path = folder / "walk.mcap"

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = replay_recordings([path], None)
        keep(status in (0, 1, 2), f"status {status}")
        keep("walk.mcap" in out.getvalue(), "the file is not named")

    return parse


def recording_seeds() -> Iterator[bytes]:
    """Recordings of a device that lies still: by a published rule, by the learned one, from a snapshot after a gap."""
    for overrides in (PUBLISHED, {}):
        config = changed(load(local=None), overrides)
        model = fall_model(config)
        ticks = walk(config, model, 12)
        yield _recorded(config, model, ticks, 0)
        yield _recorded(config, model, ticks, 6)


def _recorded(config: Config, model: bytes | None, ticks: list[Tick], lost: int) -> bytes:
    """A recording's bytes; the first `lost` ticks are a gap, with a snapshot after it."""
    monitor = Monitor(config, None, model, Resume("replay", 1))
    opening = Opening(sw="0.1.0", python="3.11.2", config=config, model=model_hash(model), resume=Resume("replay", 1))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "walk.mcap"
        writer = RecordingWriter(path, opening)
        for n, (frame, verdict) in enumerate(ticks, 1):
            monitor.step(frame)
            if n > lost:
                writer.tick(frame, verdict)
            elif n == lost:
                writer.missing(Missing(0, frame.t_ns, lost, "disk"))
                writer.snapshot(frame.t_ns, monitor.snapshot())
        writer.close()
        return path.read_bytes()


# --- the chips' FIFO


class Wire(SimBus):
    """A bus on which the FIFO's reads bring `said` as long as it lasts, then what the chip says."""

    said = b""

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int, force: bool | None = None) -> list[int]:
        """The FIFO's count is hostile, the other registers are the chip's."""
        if self.said and register in (FIFO_STATUS1, FIFO_COUNT):
            return list(self._said(length))
        return super().read_i2c_block_data(i2c_addr, register, length)

    def i2c_rdwr(self, *i2c_msgs: i2c_msg) -> None:
        """The FIFO itself."""
        if not self.said:
            super().i2c_rdwr(*i2c_msgs)
            return
        message = i2c_msgs[-1]
        for place, byte in enumerate(self._said(message.len)):
            message.buf[place] = bytes((byte,))

    def _said(self, length: int) -> bytes:
        now, self.said = self.said[:length], self.said[length:]
        return now.ljust(length, b"\0")


def fifo_opened(folder: Path) -> Parser:
    """Samples are finite, in range, in order, none later than now; nothing raises; faults are the contract's; then it reads again."""
    configs = {
        chip: changed(load(local=None), {"imu": {"chip": chip, "address": address}})
        for chip, address in (("lsm6dsox", 0x6A), ("mpu6050", 0x68))
    }

    def parse(data: bytes) -> None:
        chip = "mpu6050" if data[:1] == b"m" else "lsm6dsox"
        config, clock = configs[chip], SimClock()
        bus, world = Wire(clock), RecordedWorld(np.array([0.0, 3600.0]), STILL)
        specimen = Specimen(noise=0.0)
        bus.attach(config.imu.address, MpuChip(world, specimen=specimen) if chip == "mpu6050" else LsmChip(world, chip, specimen=specimen))
        imu = Imu(bus, clock, config)
        imu.start()
        bus.said = data[1:]
        most_m_s2 = 32768 * configuration.CHIP_LSB[chip][0]
        back_ticks = (config.imu.retry_last_ms + 1000) * 1_000_000 // TICK_NS  # it waits for another try, and is brought up
        last_ns, quiet, calm = -1, 0, 0
        for _ in range(1500):
            clock.wait_until(clock.now_ns() + TICK_NS)
            now_ns = clock.now_ns()
            samples, faults = imu.read(now_ns)
            for sample in samples:
                keep(last_ns < sample.t_ns <= now_ns, f"a sample of {sample.t_ns} ns after one of {last_ns}, at {now_ns}")
                last_ns = sample.t_ns
                values = (*sample.accel, *sample.gyro)
                keep(all(map(math.isfinite, values)) and max(map(abs, sample.accel)) <= most_m_s2, f"no motion: {values}")
                full = max(map(abs, sample.accel)) >= SATURATED * configuration.CHIP_LSB[chip][0]
                keep(sample.saturated or not full, "full scale, and not said")
            keep(all(fault.name in contract.FAULTS and fault.detail for fault in faults), f"{faults}")
            if not bus.said:
                quiet, calm = quiet + 1, calm + (bool(samples) and not faults)
                if calm >= 10:
                    return
                keep(quiet < back_ticks, f"no samples any more: {faults}")

    return parse


def fifo_seeds() -> Iterator[bytes]:
    """What a FIFO holds: nothing, some samples, many, an overflow."""
    for words in (0, 3, 6, 60, 511):
        tags = b"".join(bytes(((kind << 3) | (n % 4) << 1,)) + bytes((n, 0, 0, 0, 0, 8)) for n in range(words // 3) for kind in (1, 2, 4))
        yield b"l" + bytes((words & 0xFF, words >> 8)) + tags
    yield b"l" + bytes((6, 0x48)) + bytes(42)
    for frames in (0, 1, 2, 40, 80):
        count = frames * 12
        yield b"m" + bytes((count >> 8, count & 0xFF)) + b"".join(bytes((0, n, 0, 0, 8, 0, 0, 1, 0, 2, 0, 3)) for n in range(frames))
    yield b"m" + bytes((4, 0))


# --- what reaches the station


def station_opened(folder: Path) -> Parser:
    """Nothing raises; each message is kept or refused and counted; an event that was kept can be told in words, a state shown."""
    overrides = {
        "station": {"state_dir": str(folder)},
        "intake": {"wearers_max": 20, "retry_s": 0.1, "flush_s": 0.05},
    }
    settings = station_settings.load(local=None, overrides=overrides)
    opened_: list[Any] = []
    runs = 0

    def anew() -> None:
        for one in opened_:
            one.close()
        for path in folder.glob("station.db*"):
            path.unlink()
        store = Store.opened(settings)
        live = Live(store, settings, lambda: NOON)
        opened_[:] = [store]
        parse.intake = Intake(settings, store, live, job, lambda: NOON + timedelta(seconds=runs % 4000))  # type: ignore[attr-defined]
        parse.store = store  # type: ignore[attr-defined]

    def job(device: str, event: EventRow, now: datetime) -> list[PushJob]:
        return [PushJob(device=device, event_id=event.id, kind="event", severity=event.severity, contact="son", due_at=now, step=0)]

    def parse(data: bytes) -> None:
        nonlocal runs
        if runs % 1000 == 0:
            anew()
        runs += 1
        intake, store = parse.intake, parse.store  # type: ignore[attr-defined]
        told = 0
        for line in data.split(b"\n")[:12]:
            topic, _, payload = line.partition(b" ")
            retained = topic.startswith(b"~")
            refused = intake.refused
            name = topic.lstrip(b"~").decode("utf-8", "replace")
            intake._hear(Heard(name, payload, retained, 0, 0))
            told += intake.refused == refused and name.endswith("/event")
        keep(len(intake._waiting.events) <= told, "events out of nowhere")
        refused, stored = intake.refused, intake.stored + intake.repeated
        while intake._waiting:
            keep(intake._store_all(intake._waiting.take(100)), "what was heard cannot be stored, now or later")
        keep(intake.refused - refused + intake.stored + intake.repeated - stored >= 0, "lost")
        for event in store.events(limit=5):
            last = store.wearer(event.device)[1]
            for language in ("en", "de"):
                compose(Case(job(event.device, event, NOON)[0], "Mum", event, last=last), language, NOON)
        store.overview()

    return parse


def station_seeds() -> Iterator[bytes]:
    """What a device says in its life: real payloads of a real outbox."""
    state = {
        "v": 1, "state": "GUARDING", "posture": "upright", "alarm_id": None, "fall": "OFF", "obstacle": "CLEAR", "distance_m": 3.2,
        "exercise": "walk", "session": "a-1-1", "faults": [], "battery": 80, "steps": 12, "cadence": 96.0, "power": "on",
        "uptime_s": 10.0, "boot": 1, "sw": "0.1.0",
    }  # fmt: skip
    said = msgspec.json.encode(state)
    yield b"guardian/guardian-01/availability online\n~guardian/guardian-01/state " + said
    yield b"guardian/guardian-01/state " + said + b"\nguardian/guardian-01/availability offline"
    for n, event_type in enumerate(contract.EVENTS):
        told = {
            "v": 1, "id": f"a-1-{n}", "boot": 1, "seq": n, "event_type": event_type, "severity": contract.EVENTS[event_type],
            "t": "2026-11-22T12:00:00.000Z" if n % 2 else None, "uptime_s": 12.5, "exercise": "walk",
            "evidence": {"fault": "imu_silent", "alarm_id": "a-1-0", "command": "x-1", "score": 0.9, "steps": 5, "no_body_motion": True},
        }  # fmt: skip
        yield b"guardian/guardian-01/event " + msgspec.json.encode(told) + b"\n~guardian/guardian-02/availability "


# --- motion data


def archive_opened(folder: Path) -> Parser:
    """BadInput naming the file, or trials that are what --help says; what is short is replayed."""
    path, config = folder / "walk.npz", changed(load(local=None), PUBLISHED)

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        lasts_s = 0.0
        try:
            with opened(path) as archive:
                for name in trial_names(archive, "*"):
                    values = trial(path, archive, name)
                    keep(values.ndim == 2 and values.shape[1] == 7 and bool(np.isfinite(values).all()), f"{values.shape}")
                    lasts_s += float(np.ptp(values[:, 0]))
        except BadInput as error:
            keep(str(path) in str(error), f"the message does not name the file: {error}")
        else:
            if lasts_s <= 2.0:
                args = Namespace(imu=path, trials="*", jsonl=True, model=None, variant=None, exercise="walk", chip=None)
                out = io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                    keep(replay_imu(config, args) in (0, 2), "status")

    return parse


def archive_seeds() -> Iterator[bytes]:
    """One trial, several, packed and not."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 3.0, (30, 7))
    values[:, 0] = np.arange(30) / 200
    for save, trials in ((np.savez, ("F01",)), (np.savez_compressed, ("F01", "D02"))):
        made = io.BytesIO()
        save(made, allow_pickle=False, **dict.fromkeys(trials, values))  # type: ignore[arg-type]
        yield made.getvalue()


# --- the fall model


def model_opened(folder: Path) -> Parser:
    """ConfigError naming the file, or a network that stays within its whole numbers and never raises in the monitor."""
    path, config = folder / "fall.model", load(local=None)

    def parse(data: bytes) -> None:
        path.write_bytes(data)
        try:
            fall_model(config, path)
        except ConfigError as error:
            keep(str(path) in str(error), f"the message does not name the file: {error}")
            return
        weights = read(data)
        network = Network(weights)
        state = np.zeros(network.hidden)
        for sign in (1, -1, 0, 1):
            state, logit = network.step((sign * 32767,) * weights.inputs, state)
            keep(bool((np.abs(state) <= STATE_ONE).all()) and bool((state == np.floor(state)).all()), f"a state of {np.abs(state).max()}")
            keep(math.isfinite(logit), f"a logit of {logit}")
        walk(config, data, 6)

    return parse


def model_seeds() -> Iterator[bytes]:
    """The shipped model, and small ones cut out of it."""
    whole = read(SHIPPED_MODEL.read_bytes())
    yield SHIPPED_MODEL.read_bytes()
    for hidden, inputs in ((2, 20), (1, 1)):
        rows = 3 * hidden
        member = whole.members[0]
        small = msgspec.structs.replace(
            member,
            input_weights=member.input_weights[: rows * inputs],
            input_scales=member.input_scales[: 4 * rows],
            input_offsets=member.input_offsets[: 4 * rows],
            state_weights=member.state_weights[: rows * hidden],
            state_scales=member.state_scales[: 4 * rows],
            state_offsets=member.state_offsets[: 4 * hidden],
            output_weights=member.output_weights[:hidden],
        )
        yield msgspec.msgpack.encode(msgspec.structs.replace(whole, hidden=hidden, inputs=inputs, members=[small]))


def bent_config(data: bytes, rng: Any) -> bytes:
    """TOML, or the calibration's JSON."""
    return bent_json(data, rng) if data.startswith(b"{") else bent_toml(data, rng)


def bent_fifo(data: bytes, rng: Any) -> bytes:
    """Tags, counts and values moved; a whole read doubled or taken out."""
    at, length = rng.randrange(1, len(data) + 1), rng.choice((1, 2, 6, 7, 12, 42))
    how = rng.random()
    if how < 0.3:
        new = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * length
    elif how < 0.6:
        new = bytes((rng.choice((0, 1, 2, 3, 4, 5, 9, 18, 0x1F)) << 3 | rng.randrange(8),)) + rng.randbytes(6)
    elif how < 0.8:
        new = bytes((rng.randrange(256), rng.choice((0, 1, 2, 3, 4, 0x40, 0x48, 0xFF))))
    else:
        new = data[at : at + length] * 2
    return data[:at] + new + data[at + rng.choice((0, length)) :]


TARGETS: dict[str, Target] = {
    "config": Target(
        "ConfigError naming the file; what loads runs and can be recorded",
        config_opened,
        config_seeds,
        bent_config,
        ("[exercises.", "[sounds.", "[[", "]]", "'''", '"""', "inf", "nan", "0x", "1e9", " = "),
        4096,
    ),
    "command": Target(
        "never raises; a command, a receipt, or ignored and counted",
        command_opened,
        command_seeds,
        bent_messages,
        ("command ", "receipt ", "birth ", "~", '"for":', '"value":', '"cmd":"clear"', "f00d-1-3"),
        4096,
    ),
    "recording": Target(
        "guardian replay ends with 0, 1 or 2 and names the file",
        recording_opened,
        recording_seeds,
        bent_recording,
        ("/opening", "/frame", "/verdict", "/snapshot", "/gap", "guardian", "zstd", "lz4"),
        65536,
    ),
    "fifo": Target(
        "never raises; samples finite, in order, not of the future; reads again afterwards",
        fifo_opened,
        fifo_seeds,
        bent_fifo,
        (),
        8192,
    ),
    "station": Target(
        "never raises; stored, or refused and counted; what is stored can be told",
        station_opened,
        station_seeds,
        bent_messages,
        ("guardian/", "/event ", "/state ", "/availability ", "offline", "~", '"t":null', '"evidence":{'),
        16384,
    ),
    "npz": Target(
        "BadInput naming the file, or trials that are replayed",
        archive_opened,
        archive_seeds,
        bent_archive,
        ("PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "\x93NUMPY", "descr", "shape"),
        16384,
    ),
    "model": Target(
        "ConfigError naming the file, or whole numbers within their bounds",
        model_opened,
        model_seeds,
        bent_msgpack,
        ("inputs", "hidden", "members", "sigmoid"),
        65536,
    ),
}
