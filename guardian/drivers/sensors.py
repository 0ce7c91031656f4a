"""All that comes in, asked once a tick and put into a Frame: the pacing of the whole program.

Theory of operation. Ticks have absolute deadlines, so that lateness does not add up; each frame says how late its tick began. After a
stall the next deadline is one tick from now: ticks that were missed are not made up for, since the IMU's FIFO has kept its samples
and everything else is asked for its present state. Time is the hardware's clock and nothing else.
"""

from collections.abc import Iterator
from typing import Protocol

from guardian.config import Config
from guardian.drivers.button import Button
from guardian.drivers.hcsr04 import Hcsr04
from guardian.drivers.imu import Imu
from guardian.drivers.supply import PowerSupply
from guardian.frame import Command, Fault, Frame
from guardian.hardware import Hardware


class Inbox(Protocol):
    """What outputs and signals have to say to the monitor."""

    def faults(self) -> tuple[Fault, ...]:
        """That stand now."""

    def commands(self) -> tuple[Command, ...]:
        """That came since the last call."""


class Sensors:
    """The source of frames."""

    def __init__(self, hardware: Hardware, config: Config, inbox: Inbox) -> None:
        self._clock = hardware.clock
        self._inbox = inbox
        self._tick_ns = config.loop.tick_ms * 1_000_000
        self._stopped = False
        self.imu = Imu(hardware.bus, hardware.clock, config)
        self.ranger = Hcsr04(hardware.pins, config.ranger, hardware.clock)
        self.button = Button(hardware.pins, config.button)
        self.supply = PowerSupply(hardware.bus, config.supply)

    def start(self) -> None:
        """Configure the IMU. Raises Refusal or OSError, whose message names the wire or key to touch."""
        self.imu.start()

    def frames(self) -> Iterator[Frame]:
        """A frame per tick until `stop` is called. Never raises."""
        clock, tick_ns = self._clock, self._tick_ns
        deadline_ns = clock.now_ns()
        while not self._stopped:
            clock.wait_until(deadline_ns)
            now_ns = clock.now_ns()
            yield self._frame(now_ns, max(0, now_ns - deadline_ns))
            deadline_ns += tick_ns
            if deadline_ns <= now_ns:
                deadline_ns = now_ns + tick_ns

    def stop(self) -> None:
        """Let `frames` end after the tick under way. May be called from a signal handler."""
        self._stopped = True

    def close(self) -> None:
        """Release the pins."""
        try:
            self.ranger.close()
        finally:
            self.button.close()

    def _frame(self, now_ns: int, late_ns: int) -> Frame:
        imu, imu_faults = self.imu.read(now_ns)  # first: its FIFO fills while others are asked
        echo, echo_faults = self.ranger.read(now_ns)
        button = self.button.read(now_ns)
        supply = self.supply.read(now_ns)
        faults = imu_faults + echo_faults + self.button.faults + self._inbox.faults()
        return Frame(now_ns, late_ns, imu, echo, button, supply, faults, self._inbox.commands())
