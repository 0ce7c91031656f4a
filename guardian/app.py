"""All wiring: which parts make a device, in which order they act, and the loop.

The order of the outputs is the order of promises: an alarm is on disk (journal, with the event that tells of it), then its event (outbox),
then it sounds (buzzer), then caregivers hear of it (mqtt); what only watches comes after (recorder, logbook, watchdog). A program killed
between the first two resumes the alarm and tells its event again, under the same id. Each stands behind a guard, so that one that fails
becomes a fault of the next frame and the others go on.

A device is the same on real, simulated and recorded hardware: `Hardware` and the choice of writers, link and clock are its only
differences, and they are chosen here.
"""

import fcntl
import gc
import hashlib
import logging
import os
import platform
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from guardian import __version__, sessions
from guardian.config import LEARNED, Calibration, Config, ConfigError, changed
from guardian.drivers.imu import Refusal
from guardian.drivers.sensors import Sensors
from guardian.frame import Command, Fault, Frame
from guardian.hardware import Clock, Hardware
from guardian.monitor import Monitor, network
from guardian.monitor.fall import Learned
from guardian.outputs.buzzer import Buzzer
from guardian.outputs.guard import Guarded
from guardian.outputs.journal import Journal
from guardian.outputs.link import Link, PahoLink, Word
from guardian.outputs.logbook import LOGBOOK_JOBS, Dose, Logbook
from guardian.outputs.mqtt import Mqtt
from guardian.outputs.outbox import Outbox
from guardian.outputs.output import Output
from guardian.outputs.recorder import Recorder, queue_depth
from guardian.outputs.wall import WallClock
from guardian.outputs.watchdog import Watchdog
from guardian.outputs.writer import InlineWriter, ThreadWriter, Writer
from guardian.recording import Opening
from guardian.verdict import Resume, Verdict

if TYPE_CHECKING:  # the simulator and numpy are loaded by those who simulate
    import numpy as np
    from numpy.typing import NDArray

    from guardian.sim.bench import Bench
    from guardian.sim.scenarios import Scenario

log = logging.getLogger(__name__)

UtcNow = Callable[[], datetime | None]

SHIPPED_MODEL = Path(__file__).with_name("fall.model")
RESTART_NS = 1_500_000_000  # a killed program is back after this: systemd's RestartSec and Python's start


class AlreadyRunning(RuntimeError):
    """Another guardian uses this state folder; the message names it."""


class Places(msgspec.Struct, frozen=True):
    """Where things are kept: all in `device.state_dir`."""

    state_dir: Path

    @property
    def outbox(self) -> Path:
        """Events that have not arrived (SQLite)."""
        return self.state_dir / "outbox.db"

    @property
    def journal(self) -> Path:
        """The open alarm and session (JSON)."""
        return self.state_dir / "journal.json"

    @property
    def sessions(self) -> Path:
        """What was trained, and the plan (SQLite)."""
        return self.state_dir / sessions.FILE

    @property
    def recordings(self) -> Path:
        """MCAP files."""
        return self.state_dir / "recordings"

    @property
    def calibration(self) -> Path:
        """How the belt sits (JSON)."""
        return self.state_dir / "calibration.json"

    @property
    def lock(self) -> Path:
        """Held by the program that uses the folder."""
        return self.state_dir / "lock"

    def make(self) -> None:
        """Create the folder, for this user alone: it holds health data. Raises OSError."""
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)

    def open_alarm(self) -> str | None:
        """What opened the alarm that stands in the journal, and its id; None when none stands (or none can be read)."""
        try:
            alarm = msgspec.json.decode(self.journal.read_bytes(), type=Resume).alarm
        except (OSError, msgspec.MsgspecError):
            return None
        return f"{alarm.opened_by} {alarm.id}" if alarm else None


def places(config: Config) -> Places:
    """Where this configuration keeps things, absolute: lgpio changes the working directory."""
    return Places(Path(config.device.state_dir).absolute())


@contextmanager
def locked(here: Places) -> Iterator[None]:
    """Hold the state folder for oneself. Raises AlreadyRunning; a folder that cannot be written is somebody else's to report."""
    try:
        here.make()
        descriptor = os.open(here.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log.warning("%s: %s: it is not locked", here.state_dir, error.strerror)
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise AlreadyRunning(f"another guardian is running with {here.state_dir}") from error
    try:
        yield
    finally:
        os.close(descriptor)


def calibration_of(here: Places) -> Calibration | None:
    """The calibration file's content; None without one. Raises ConfigError for a file that is none."""
    try:
        return msgspec.json.decode(here.calibration.read_bytes(), type=Calibration)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{here.calibration}: {error}: run guardian calibrate again, or delete it") from error


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file, whole and on disk. Raises OSError."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def fall_model(config: Config, path: Path | None = None) -> bytes | None:
    """The weights of the rule that fall.rule names: of this file, else the shipped ones; None for a published rule. Raises ConfigError."""
    if config.fall.rule == LEARNED:
        return read_model(path or SHIPPED_MODEL)
    if path is not None:
        raise ConfigError(f"{path}: fall.rule = {config.fall.rule!r} reads no weights; set it to {LEARNED!r}")
    return None


def read_model(path: Path) -> bytes:
    """A fall model's file, proven to be one that this version can ask. Raises ConfigError."""
    try:
        model = path.read_bytes()
        Learned(network.read(model))
    except OSError as error:
        raise ConfigError(f"{path}: the fall model cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    return model


def model_hash(model: bytes | None) -> str | None:
    """What a recording says of the model it was made with."""
    return None if model is None else hashlib.sha256(model).hexdigest()


class Inbox:
    """What outputs, caregivers and the system have to say to the monitor: faults and commands of the next frame."""

    def __init__(self) -> None:
        self._outputs: Sequence[Output] = ()
        self._caregivers: Callable[[], tuple[Command, ...]] = tuple
        self._asked: deque[Command] = deque()

    def connect(self, outputs: Sequence[Output], caregivers: Callable[[], tuple[Command, ...]]) -> None:
        """Listen to these."""
        self._outputs, self._caregivers = outputs, caregivers

    def ask(self, command: Command) -> None:
        """Put a command in; may be called from a signal handler."""
        self._asked.append(command)

    def faults(self) -> tuple[Fault, ...]:
        """That stand now in outputs."""
        found: tuple[Fault, ...] = ()
        for output in self._outputs:
            found += output.faults()
        return found

    def commands(self) -> tuple[Command, ...]:
        """That came since the last call."""
        commands = self._caregivers()
        while self._asked:
            commands += (self._asked.popleft(),)
        return commands


class Switch:
    """The last output: once the verdict says so and all others have heard it, no further frame comes."""

    name = "switch"

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Stop after this tick?"""
        if verdict.powering_off:
            self._stop()

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


class Device:
    """Sensors, monitor and outputs, connected. Use it as a context: leaving it silences the buzzer and closes everything."""

    def __init__(
        self,
        sensors: Sensors,
        monitor: Monitor,
        outputs: Sequence[Output],
        inbox: Inbox,
        worn: bool = False,
        writers: Sequence[Writer] = (),
    ) -> None:
        self.sensors = sensors
        self.monitor = monitor
        self.outputs: tuple[Output, ...] = (*outputs, Switch(sensors.stop))
        self.inbox = inbox
        self._worn = worn
        self._writers = writers

    def start(self) -> None:
        """Configure the chips. Raises Refusal (the wrong chip, or a key that does not fit it), unless a session or alarm is open.

        A chip that does not answer is no reason to end: the buzzer says which wire, caregivers hear of it, and it may come back.
        """
        try:
            self.sensors.start()
        except OSError as error:
            log.error("going on without the IMU, and saying so: %s", error)
        except Refusal as error:
            if not self._worn:
                raise
            log.error("going on without the IMU, since the device is worn: %s", error)

    def run(self) -> None:
        """The whole program."""
        monitor, outputs = self.monitor, self.outputs
        for frame in self.sensors.frames():
            verdict = monitor.step(frame)
            for output in outputs:
                output.apply(frame, verdict)

    def power_off(self, reason: str) -> None:
        """Ask for an orderly end; may be called from a signal handler."""
        self.inbox.ask(Command("power_off", reason))

    def stop(self) -> None:
        """End after the tick under way, without a word."""
        self.sensors.stop()

    def close(self) -> None:
        """Close outputs (systemd hears first that the end is meant; mqtt sends from the outbox), then the pins; wait for the writers."""
        order = {"watchdog": 0, "outbox": 2}
        for output in sorted(self.outputs, key=lambda output: order.get(output.name, 1)):
            output.close()
        self.sensors.close()
        for writer in self._writers:
            writer.close()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def whole_device(
    config: Config,
    hardware: Hardware,
    link: Link | None,
    utc: UtcNow,
    writer: Callable[[str, int], Writer],
    install: str | None = None,
    watching: Sequence[Output] = (),
) -> Device:
    """The device as it is worn, without caregivers where `link` is None.

    `writer(name, depth)` makes what writes to disk; `watching`: outputs that only look on, unguarded.
    """
    here = places(config)
    here.make()
    calibration, model = calibration_of(here), fall_model(config)
    store, tape, pen = writer("store", 64), writer("recorder", queue_depth(config.recorder)), writer("logbook", LOGBOOK_JOBS)
    outbox = Outbox(here.outbox, config.outbox, store, utc, install)
    journal = Journal(here.journal, config.outbox, store, *outbox.identity())
    resume = journal.load() or Resume(*outbox.identity())
    monitor = Monitor(config, calibration, model, resume)
    opening = Opening(
        sw=__version__, python=platform.python_version(), config=config, calibration=calibration, model=model_hash(model), resume=resume
    )
    mqtt = Mqtt(config, outbox, link, __version__) if link else None
    inbox = Inbox()
    outputs: list[Output] = [Guarded(journal), Guarded(outbox), Guarded(Buzzer(hardware.pins, config))]
    if mqtt:
        outputs.append(Guarded(mqtt))
    if config.recorder.enabled:
        outputs.append(Guarded(Recorder(here.recordings, config.recorder, opening, tape, monitor.snapshot, lambda: utc_ns(utc()))))
    outputs.append(Guarded(Logbook(here.sessions, config, doses_of(config), pen, utc, inbox.ask)))
    outputs.append(Guarded(Watchdog(config.watchdog, {one.name: one.stalled_s for one in (store, tape)})))
    inbox.connect(outputs, mqtt.commands if mqtt else tuple)
    sensors = Sensors(hardware, config, inbox)
    worn = resume.alarm is not None or resume.session is not None
    return Device(sensors, monitor, [*outputs, *watching], inbox, worn, (store, tape, pen))


def doses_of(config: Config) -> dict[str, Dose]:
    """What the plan may grow, by exercise."""
    coached = ((name, exercise.coach) for name, exercise in config.exercises.items())
    return {name: Dose(coach.unit, coach.dose, coach.dose_most, coach.sets) for name, coach in coached if coach is not None}


def utc_ns(now: datetime | None) -> int | None:
    """A time as whole nanoseconds since 1970."""
    return None if now is None else int(now.timestamp() * 1e6) * 1000


def worn_device(config: Config, hardware: Hardware) -> Device:
    """The device on a real machine: paho's link, the machine's clock, writers in threads of their own. Raises ConfigError, OSError."""
    link = PahoLink(config) if config.mqtt.enabled else None
    return whole_device(config, hardware, link, WallClock(), ThreadWriter)


def simulated_device(
    config: Config,
    hardware: Hardware,
    link: Link,
    utc: UtcNow,
    install: str | None = None,
    watching: Sequence[Output] = (),
) -> Device:
    """The device in one thread: what writes, writes at once."""
    return whole_device(config, hardware, link, utc, lambda name, depth: InlineWriter(name), install=install, watching=watching)


def recorded_device(
    config: Config, t_s: "NDArray[np.float64]", samples: "NDArray[np.float64]", model: bytes | None, *watching: Output
) -> "tuple[Bench, Device]":
    """A bench that plays motion from t_s[0] = 0 on, and the lean device on it: sensors, monitor, buzzer, and who watches."""
    from guardian.sim.bench import Bench  # noqa: PLC0415
    from guardian.sim.recorded import RecordedWorld  # noqa: PLC0415

    bench = Bench(config, RecordedWorld(t_s, samples))
    inbox = Inbox()
    monitor = Monitor(config, None, model, Resume("replay", 1))
    device = Device(Sensors(bench.hardware, config, inbox), monitor, [Buzzer(bench.hardware.pins, config), *watching], inbox)
    return bench, device


class Play:
    """A story on a bench: the whole device in one thread, the story's actions done to hardware and link, restarts included.

    `link(bench)` makes the connection of each life of the program; what of its methods the story names is done to it (wifi_down ...).
    State is kept in `config.device.state_dir`. `install` names the device in event ids, so that a story repeats exactly.
    """

    def __init__(
        self,
        config: Config,
        scenario: "Scenario",
        seed: int,
        link: "Callable[[Bench], Link]",
        watching: Sequence[Output] = (),
        pace: float | None = None,
        install: str | None = "sim",
    ) -> None:
        from guardian.sim.bench import Bench, SimClock  # noqa: PLC0415

        self.config = changed(config, scenario.settings, {"device": {"exercise": scenario.exercise}})
        self.scenario = scenario
        self.world, actions = scenario.stage(seed)
        self.bench = Bench(self.config, self.world, seed, SimClock(pace))
        self._make_link = link
        self._watching = watching
        self._install = install
        self._utc = WallClock(lambda: self.bench.clock_set, simulated_utc(self.bench.clock))
        self._killed = False
        for action in actions:
            self.bench.at(action.t_s, partial(self._act, action.name, action.args))
        self.bench.at(scenario.duration_s, self._end)
        self.device: Device
        self.link: Link

    def run(self) -> None:
        """From power-on to the story's end, then closed."""
        self._begin()
        try:
            self.device.run()
            while self._killed:
                self._killed = False
                self.bench.crash()
                self.link.close(farewell=False)
                self.bench.clock.wait_until(self.bench.clock.now_ns() + RESTART_NS)
                self._begin()
                self.device.run()
        finally:
            self.device.close()

    def _begin(self) -> None:
        self.link = self._make_link(self.bench)
        self.device = simulated_device(self.config, self.bench.hardware, self.link, self._utc, self._install, self._watching)
        self.device.start()

    def _act(self, name: str, args: tuple[float, ...]) -> None:
        if name == "restart":
            self._killed = True
            self.device.stop()
        else:
            getattr(self.bench if hasattr(self.bench, name) else self.link, name)(*args)

    def _end(self) -> None:
        self.device.stop()


def bench_for_checks(config: Config) -> Hardware:
    """Simulated hardware that lies still on a table, nothing in the ranger's range."""
    import numpy as np  # noqa: PLC0415

    from guardian.sim.bench import Bench  # noqa: PLC0415
    from guardian.sim.recorded import RecordedWorld  # noqa: PLC0415

    still = np.array([[0.0, 0.0, 9.80665, 0.0, 0.0, 0.0]] * 2)
    return Bench(config, RecordedWorld(np.array([0.0, 3600.0]), still)).hardware


def broker_answer(config: Config, limit_s: float = 8.0) -> str:
    """Connect to the broker as the device does, TLS, user and subscriptions included. Raises ConfigError or OSError, saying why."""
    link = PahoLink(config)
    try:
        word_of(link, "up", limit_s)
        return f"MQTT {'5' if config.mqtt.protocol == 5 else '3.1.1'}{', TLS' if config.mqtt.tls else ''}"
    finally:
        link.close(farewell=True)


def word_of(link: Link, kind: str, limit_s: float) -> Word:
    """Wait for the link's next word of that kind; others are passed over. Raises OSError: the link is down, or nothing came."""
    left_s = limit_s
    while left_s > 0:
        left_s -= max(0.01, link.wait(left_s))
        for word in link.poll():
            if word[0] == kind:
                return word
            if word[0] == "down":
                raise OSError(word[1])
    raise OSError("no answer")


def simulated_utc(clock: Clock, start: datetime | None = None) -> Callable[[], datetime]:
    """UTC that passes with a simulated clock, from `start` (default: this machine's time now)."""
    began = start or datetime.now(UTC)
    return lambda: began + timedelta(microseconds=clock.now_ns() // 1000)


def settle(priority: int) -> None:
    """The deciding thread goes first, and garbage that will never be any is not looked at again. Threads made from here on are ordinary."""
    gc.collect()
    gc.freeze()
    if priority:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
        except OSError as error:
            log.warning(
                "no real-time priority (loop.realtime_priority = %d): %s; see LimitRTPRIO in guardian.service", priority, error.strerror
            )
