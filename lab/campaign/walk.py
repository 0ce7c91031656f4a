"""One walk: the device, its systemd, its card, its network and its wearer, and all that came of it.

Theory of operation. Lives of the program follow each other on one hardware and in one folder, as systemd would have it: killed, silenced,
started anew. The network, the card and the time of day outlive them. Each tick the walk looks on, after all outputs: what was told, what
the buzzer's line does, how much running time has passed. The wearer who has not fallen and hears the countdown presses the button.
"""

import gc
import resource
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from guardian.app import Device, places, simulated_utc, whole_device
from guardian.config import Config, ConfigError, load, ns
from guardian.drivers.imu import Refusal
from guardian.frame import Command, Frame
from guardian.outputs.buzzer import Buzzer, pattern_on
from guardian.outputs.wall import WallClock
from guardian.recording import RecordingError
from guardian.recording import read as read_recording
from guardian.sim.bench import Bench
from guardian.sim.broker import SimLink
from guardian.verdict import Event, State, Verdict
from lab.acts import WRITES, writes_again
from lab.campaign.card import Card
from lab.campaign.chips import SpoiltLsm, SpoiltMpu
from lab.campaign.failure import FLAG, MPU, Deed
from lab.campaign.plan import Plan
from lab.campaign.systemd import RESTART_S, SILENCE_S, Killed, Supervisor
from lab.stage import Stage

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PRESSES_AFTER_S = 2.6  # of the countdown; a press that begins within policy.cancel_after_s may be the fall itself
PRESSES_AGAIN_S = 4.0


class Look(NamedTuple):
    """One tick, as seen from outside."""

    t_ns: int
    ran_ns: int  # running time of this walk until then: lateness left out
    life: int
    verdict: Verdict
    on: bool  # the buzzer's line
    askew: bool  # ... is not as the table of sounds has it


class Death(NamedTuple):
    """The program was killed."""

    killed_s: float
    silent_s: float  # ... and its pins silenced


class Walk(Stage):
    """Walk it with `run`. What went wrong beside the invariants stands in `crash`, `refusals` and `notes`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.local = folder / "guardian.toml"
        self._overrides = _settings(plan.config, folder)
        super().__init__(load(None, self._overrides), folder, plan.number)
        self.plan = plan
        self.looks: list[Look] = []
        self.links: list[SimLink] = []
        self.deaths: list[Death] = []
        self.born_ns: list[int] = []  # first tick of each life
        self.crash = ""
        self.refusals: list[str] = []  # of a program that would not start, with its message
        self.raised: set[str] = set()  # outputs that raised, and whose guard told it
        self.notes: list[str] = []
        self.askew = 0  # ticks in which the line was not as the table of sounds has it
        self.step_s = 0.0  # the time of day is off by this
        self.world = plan.session.world
        self.rates = self.world.around.rates
        self.bench = Bench(self.config, self.world, plan.number)
        self.card = Card(self.bench.clock)
        self.right_board()
        self._network: dict[str, Any] = {}
        self._wifi = self._heeded = True
        self._alive = False
        self._damage: list[Callable[[Walk], None]] = []
        self._at_power_on: list[Callable[[], None]] = []
        self._ran_ns = self._down_ns = self._pressed_ns = 0
        self._t_ns: int | None = None
        for happening in plan.happenings:
            begin, heal = partial(_done, happening.failure.begin, self), partial(_done, happening.failure.heal, self)
            if happening.kind.at_power_on:
                self._at_power_on.append(begin)
            else:
                self.bench.at(happening.begin_s, begin)
            self.bench.at(happening.end_s, heal)

    def run(self) -> None:
        """From power-on to the end."""
        self.bench.at(self.plan.least_s, self._end)
        with Supervisor(self.bench.clock, self.folder) as self.systemd:
            try:
                self._live()
            except Exception:  # noqa: BLE001  (whatever comes out of the device is what is looked for)
                self.crash = traceback.format_exc()
            finally:
                writes_again(self)
        if self.bench.pins.callback_error is not None:
            self.crash = f"in the GPIO library's thread: {self.bench.pins.callback_error!r}"
        self._read_recordings()

    # what failures do

    def ns_from_now(self, seconds: float) -> int:
        """A simulated time."""
        return self.bench.clock.now_ns() + ns(seconds)

    @property
    def chip(self) -> SpoiltLsm | SpoiltMpu:
        """The IMU on the bus."""
        chip = self.bench.chip
        assert isinstance(chip, SpoiltLsm | SpoiltMpu)
        return chip

    def right_board(self) -> None:
        """The IMU that the configuration names."""
        kind = SpoiltMpu if self.config.imu.chip == MPU else SpoiltLsm
        self.bench.fit_imu(kind(self.world, self.seed))

    def kill(self, then: "Callable[[Walk], None] | None" = None) -> None:
        """The program ends here; `then` happens while it is dead."""
        if then is not None:
            self._damage.append(then)
        if self._alive:
            raise Killed("killed")

    def network(self, **turned: Any) -> None:
        """Turn what SimLink lets a story turn, for this connection and those to come."""
        self._network |= turned
        for name, value in turned.items():
            setattr(self.link, name, value)

    def asks(self, cmd: str, **more: str) -> None:
        """Somebody asks; the device has heard it at once, whatever the link is at: it is what makes another failure show itself."""
        if self._alive:
            self.device.inbox.ask(Command(cmd, f"{cmd}-{self.bench.clock.now_ns()}", more.get("for"), more.get("value")))

    def wifi_down(self) -> None:
        """The network is gone."""
        self._wifi = False
        self.link.wifi_down()

    def wifi_up(self) -> None:
        """It is back."""
        self._wifi = True
        self.link.wifi_up()

    def caregiver_away(self) -> None:
        """Subscribed, but not connected: the broker queues."""
        self._heeded = False
        self.link.caregiver_away()

    def caregiver_back(self) -> None:
        """And gets what is queued."""
        self._heeded = True
        for link in self.links:
            link.caregiver_back()

    def broker_crash(self) -> None:
        """The broker dies, with what it has queued, and is back a second later."""
        for link in self.links:
            link.broker_crash()

    # what came of it

    @property
    def events(self) -> list[Event]:
        """Raised, in order."""
        return [event for verdict in self.verdicts for event in verdict.events]

    def arrived(self) -> set[str]:
        """Ids of events that the caregiver has."""
        return {str(event["id"]) for link in self.links for event in link.events()}

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """See Stage."""
        super().apply(frame, verdict)
        self.systemd.listen()
        if self._t_ns is not None:
            self._ran_ns += max(0, frame.t_ns - self._t_ns - frame.late_ns)
        else:
            self.born_ns.append(frame.t_ns)
        self._t_ns = frame.t_ns
        on = self.bench.pins.line(self.config.buzzer.pin).on
        alert = verdict.alert
        should = alert is not None and pattern_on(self.config.sounds[alert.sound], verdict.t_ns - alert.since_ns)
        broken = self.bench.pins.broken or self.bench.pins.line(self.config.buzzer.pin).broken
        if on != should and not broken:
            self.askew += 1
        self.looks.append(Look(frame.t_ns, self._ran_ns, len(self.born_ns), verdict, on, on != should))
        for fault in frame.faults:
            if fault.name == "output_failed" and not fault.detail.startswith(("journal: ", "outbox: ", "recorder: ", "logbook: ")):
                self.raised.add(fault.detail.partition(":")[0])
        self._wearer_hears(verdict)

    def _wearer_hears(self, verdict: Verdict) -> None:
        """Who has not fallen presses."""
        if verdict.state is not State.DOWN:
            self._down_ns = verdict.t_ns
            return
        long = verdict.t_ns - self._down_ns > ns(PRESSES_AFTER_S) and verdict.t_ns - self._pressed_ns > ns(PRESSES_AGAIN_S)
        free = not any("button" in happening.kind.parts for happening in self.plan.happenings)
        if long and free and verdict.t_ns < ns(self.plan.onset_s):
            self._pressed_ns = verdict.t_ns
            self.bench.press(0.2)

    # lives

    def _live(self) -> None:
        while True:
            device: Device | None = self._begun()
            assert device is not None
            killed = refused = False
            try:
                device.start()
                device.run()
            except Killed:
                killed = True
            except Refusal as error:  # guardian run says it and ends; systemd tries again
                refused = True
                self.refusals.append(str(error))
            finally:
                self._alive = False
                if not (killed or refused):
                    device.close()
            if not (killed or refused):
                return
            device = None
            self._bury(killed)

    def _begun(self) -> Device:
        """A program that has come so far that it may be started: one whose configuration is refused says so and is tried again."""
        while True:
            damage, self._damage = self._damage, []
            for deed in damage:
                deed(self)
            try:
                config = load(self.local, self._overrides)
                break
            except ConfigError as error:
                self.refusals.append(str(error))
                self._pass(RESTART_S)
        self.link = SimLink(self.bench.clock, config)
        self.links.append(self.link)
        self.network(**self._network)
        if not self._wifi:
            self.link.wifi_down()
        if not self._heeded:
            self.link.caregiver_away()
        while self._at_power_on:
            self._at_power_on.pop()()
        clock = self.bench.clock
        utc = simulated_utc(clock, BEGAN)
        wall = WallClock(lambda: self.bench.clock_set, lambda: utc() + timedelta(seconds=self.step_s))
        install = f"walk{self.seed}x{len(self.links)}"  # of this life, if it has to make a new database
        self._t_ns, self._alive = None, True
        self.device = whole_device(config, self.bench.hardware, self.link, wall, self.card.writer, install, (self,))
        return self.device

    def _bury(self, killed: bool) -> None:
        """What systemd does after a program's end: its pins are silenced, and after a while there is another."""
        clock = self.bench.clock
        killed_s = clock.now_ns() / 1e9
        self.systemd.buried()
        self.card.forget()
        with as_it_was(self.folder):
            del self.device
            gc.collect()
        clock.resume()
        self.bench.crash()
        self.link.close(farewell=False)
        self._pass(SILENCE_S)
        try:
            Buzzer(self.bench.pins, self.config).close()
        except OSError as error:
            self.notes.append(f"the pins could not be silenced: {error}")
        self.bench.pins.abandon()
        if killed:
            self.deaths.append(Death(killed_s, clock.now_ns() / 1e9))
        self._pass(RESTART_S)

    def _pass(self, seconds: float) -> None:
        end_ns = self.ns_from_now(seconds)
        while self.bench.clock.now_ns() < end_ns:
            self.bench.clock.wait_until(end_ns)

    def _end(self) -> None:
        """Over, unless something is still under way to the caregiver."""
        raised = {event.id for event in self.events if event.event_type in ("fall", "sos", "long_lie")}
        fallen = not self.plan.falls or any(event.event_type == "fall" for event in self.events)
        if (fallen and raised <= self.arrived() and self._alive) or self.bench.clock.now_ns() >= ns(self.plan.most_s):
            self.device.stop()
        else:
            self.later(0.5, self._end)

    def _read_recordings(self) -> None:
        """What is recorded can be read as far as it goes, or says why not."""
        for file in sorted(places(self.config).recordings.glob("*.mcap")):
            try:
                for _ in read_recording(file).entries():
                    pass
            except RecordingError as error:
                self.notes.append(f"{file.name}: {error}")
            except Exception:  # noqa: BLE001
                self.crash = self.crash or f"reading {file.name}: {traceback.format_exc()}"


@contextmanager
def as_it_was(folder: Path) -> Iterator[None]:
    """What a killed program's objects write while they are collected does not reach the disk: a real one's never would."""
    files = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    yield
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, WRITES)
    for file in [file for file in folder.rglob("*") if file.is_file() and file not in files]:
        file.unlink()
    for file, content in files.items():
        file.write_bytes(content)
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def _done(deed: Deed, walk: Walk) -> None:
    deed(walk)


def _settings(config: Config, folder: Path) -> dict[str, Any]:
    """Of the walk: what differs from the shipped configuration, laid over it as a wearer's own file would be."""
    supply = config.supply
    return {
        "device": {"state_dir": str(folder)},
        "imu": {"chip": config.imu.chip, "address": config.imu.address},
        "buzzer": {"vibration_pin": config.buzzer.vibration_pin},
        "outbox": {"damage_said_s": config.outbox.damage_said_s},
        "supply": {
            "gauge": supply.gauge,
            "address": supply.address,
            "undervoltage_file": str(folder / FLAG) if supply.undervoltage_file == FLAG else supply.undervoltage_file,
        },
    }
