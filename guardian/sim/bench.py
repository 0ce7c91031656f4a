"""The bench: all simulated hardware wired together, with hands that press, plug and pull.

Theory of operation. `hardware` is what the program gets, and it cannot tell it from the real one. Everything else is the world's side:
`at` puts a hand's action on the timeline, the faults may be called at once. The bench outlives the program: `crash` and `power_cycle`
end it as a kill or a pulled battery would, and another program may be started on the same hardware.
"""

from collections.abc import Callable
from random import Random

from guardian.config import Config, ns
from guardian.hardware import Hardware
from guardian.sim.bus import SimBus
from guardian.sim.clock import SimClock
from guardian.sim.hcsr04 import HcSr04, NoEcho
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.mpu6050 import MpuChip
from guardian.sim.pins import SimPins
from guardian.sim.supply import Ina219, Max17048
from guardian.sim.world import World

__all__ = ["Bench", "SimClock", "SimPins"]

BOUNCE_NS = 5_000_000  # contacts settle within a few ms
LOG_MAX = 200_000  # changes of a line that are kept: a day of alarm must not fill the memory


class Bench:
    """A device's hardware in a world. The IMU's type, the pins and the ranger's habit follow `config`, as if it had been measured."""

    def __init__(self, config: Config, world: World, seed: int = 0, clock: SimClock | None = None, no_echo: NoEcho | None = None) -> None:
        self.clock = clock or SimClock()
        self.world = world
        self.bus = SimBus(self.clock, timeout_ns=config.imu.bus_timeout_ms * 1_000_000)
        self.pins = SimPins(self.clock)
        self.hardware = Hardware(self.bus, self.pins, self.clock)
        self.chip = _chip(config, world, seed)
        self.gauge = _gauge(config)
        trigger, echo = self.pins.line(config.ranger.trigger_pin), self.pins.line(config.ranger.echo_pin)
        self.ranger = HcSr04(self.clock, trigger, echo, world, no_echo or config.ranger.no_echo, seed)
        self.sound_log: list[tuple[int, bool]] = []  # (t_ns, on) of the buzzer's line
        self.vibration_log: list[tuple[int, bool]] = []
        self.clock_set = True  # the computer knows the time of day
        self._random = Random(seed)
        self._imu_address = config.imu.address
        self._imu_plugged = True
        self._button = self.pins.line(config.button.pin)
        self._contact = 0  # counts changes of the button's contact: a later one ends the bouncing of the one before
        self.pins.line(config.buzzer.pin).listener = self._on_sound
        if config.buzzer.vibration_pin:
            self.pins.line(config.buzzer.vibration_pin).listener = self._on_vibration
        self.bus.attach(self._imu_address, self.chip)
        if self.gauge is not None:
            self.bus.attach(config.supply.address, self.gauge)

    def at(self, t_s: float, action: Callable[[], None]) -> None:
        """Let `action` happen `t_s` seconds after the bench's start."""
        self.clock.schedule(ns(t_s), action)

    # The IMU and its bus

    def unplug_imu(self) -> None:
        """Its cable is torn: nothing answers at its address."""
        if self._imu_plugged:
            self.bus.detach(self._imu_address)
            self._imu_plugged = False

    def plug_imu(self) -> None:
        """Its cable is on again, and all registers at their reset values."""
        if not self._imu_plugged:
            self.bus.attach(self._imu_address, self.chip)
            self._imu_plugged = True

    def bus_hang(self, duration_s: float) -> None:
        """SDA or SCL is held low: every transfer times out."""
        self.bus.hang(self.clock.now_ns() + ns(duration_s))

    def bus_error(self, errno: int, duration_s: float) -> None:
        """Every transfer ends in this OSError."""
        self.bus.fail(errno, self.clock.now_ns() + ns(duration_s))

    def fit_imu(self, chip: LsmChip | MpuChip) -> None:
        """Another board is put in the IMU's place, plugged in or not as the one before."""
        plugged = self._imu_plugged
        self.unplug_imu()
        self.chip = chip
        if plugged:
            self.plug_imu()

    def imu_stuck(self, axis: int) -> None:
        """One of its outputs (0-2 accelerometer, 3-5 gyroscope, chip axes) stays where it is."""
        self.chip.stick((axis,), self.clock.now_ns())

    def imu_full_scale(self, *axes: int) -> None:
        """These outputs stay at full scale."""
        self.chip.stick(axes, self.clock.now_ns(), 32767)

    def imu_heals(self) -> None:
        """Its outputs follow what it senses again."""
        self.chip.stick((), self.clock.now_ns())

    # The ranger and the pins

    def unplug_ranger(self) -> None:
        """All four wires are off."""
        self.ranger.unplug()

    def plug_ranger(self) -> None:
        """The wires are on again."""
        self.ranger.plug()

    def ranger_stuck_high(self) -> None:
        """The echo output is high for good."""
        self.ranger.stick(True)

    def ranger_stuck_low(self) -> None:
        """The echo output is low for good."""
        self.ranger.stick(False)

    def ranger_heals(self) -> None:
        """The echo output works again."""
        self.ranger.heal()

    def edges_lost(self) -> None:
        """lgpio's notify thread is dead: no callback comes any more, in this program's life."""
        self.pins.delivering = False

    def pins_broken(self, errno: int, duration_s: float) -> None:
        """Reading or writing any pin raises this OSError."""
        self.pins.broken = OSError(errno, "simulated GPIO failure")
        self.clock.schedule(self.clock.now_ns() + ns(duration_s), self._mend_pins)

    def pin_broken(self, pin: int, errno: int) -> None:
        """Reading or writing this one raises this OSError."""
        self.pins.line(pin).broken = OSError(errno, "simulated GPIO failure")

    def pin_heals(self, pin: int) -> None:
        """It works again."""
        self.pins.line(pin).broken = None

    # The wearer's hand

    def press(self, duration_s: float) -> None:
        """Press the button now and release it after `duration_s`; its contact bounces at both."""
        self.hold()
        self.clock.schedule(self.clock.now_ns() + ns(duration_s), self.release)

    def hold(self) -> None:
        """Press the button and stay on it."""
        self._set_contact(False)

    def release(self) -> None:
        """Let go of the button."""
        self._set_contact(None)

    # The computer

    def lose_clock(self) -> None:
        """A start without a network: nobody has told it the time of day."""
        self.clock_set = False

    def set_clock(self) -> None:
        """Somebody has."""
        self.clock_set = True

    def stall(self, duration_s: float) -> None:
        """The computer does nothing for so long: the loop comes late."""
        self.clock.stall(ns(duration_s))

    def crash(self) -> None:
        """The program is killed without a word. Outputs keep their level, as Raspberry Pi OS leaves them."""
        self.pins.abandon()

    def power_cycle(self) -> None:
        """The battery is off and on again: outputs are off, the chips are at their reset values."""
        self.pins.power_off()
        if self._imu_plugged:
            self.unplug_imu()
            self.plug_imu()
        self.ranger.restart()

    def _on_sound(self, t_ns: int, on: bool) -> None:
        _keep(self.sound_log, t_ns, on)
        self.world.heard(t_ns, on)

    def _on_vibration(self, t_ns: int, on: bool) -> None:
        _keep(self.vibration_log, t_ns, on)

    def _mend_pins(self) -> None:
        self.pins.broken = None

    def _set_contact(self, level: bool | None) -> None:
        """The button's line goes to ground (False) or is let go (None), with one to three bounces."""
        self._contact += 1
        contact, before, now_ns = self._contact, self._button.driven, self.clock.now_ns()
        self._button.drive(level)
        if level == before:
            return

        def bounce(to: bool | None) -> Callable[[], None]:
            return lambda: self._button.drive(to) if contact == self._contact else None

        times = sorted(self._random.randint(1, BOUNCE_NS) for _ in range(2 * self._random.randint(1, 3)))
        for off_ns, on_ns in zip(times[::2], times[1::2], strict=True):
            self.clock.schedule(now_ns + off_ns, bounce(before))
            self.clock.schedule(now_ns + on_ns, bounce(level))


def _chip(config: Config, world: World, seed: int) -> LsmChip | MpuChip:
    mount = (config.imu.forward, config.imu.left, config.imu.up)
    if config.imu.chip == "mpu6050":
        return MpuChip(world, mount=mount, seed=seed)
    return LsmChip(world, config.imu.chip, mount, seed)


def _gauge(config: Config) -> Max17048 | Ina219 | None:
    if config.supply.gauge == "none":
        return None
    return Max17048() if config.supply.gauge == "max17048" else Ina219()


def _keep(log: list[tuple[int, bool]], t_ns: int, on: bool) -> None:
    if len(log) >= LOG_MAX:
        del log[: LOG_MAX // 2]
    log.append((t_ns, on))
