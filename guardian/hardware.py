"""The seam: everything between this program and the world is one object, Hardware(bus, pins, clock).

Real hardware is built here, simulated hardware by guardian.sim.bench; nothing else differs between the two.
smbus2 and lgpio are imported in this file only.
"""

import fcntl
import logging
import os
import time
import traceback
from collections.abc import Callable
from ctypes import memset
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from gpiozero.exc import GPIOZeroError
from gpiozero.pins import Factory
from smbus2 import I2cFunc, SMBus, i2c_msg

from guardian.config import Config

# smbus2's own words come from here
__all__ = ["Bus", "Clock", "Hardware", "I2cFunc", "MonotonicClock", "OutputPin", "burst", "i2c_msg", "real"]

log = logging.getLogger(__name__)

I2C_TIMEOUT = 0x0702  # ioctl of linux/i2c-dev.h, in units of 10 ms; smbus2 has no wrapper for it


class Bus(Protocol):
    """smbus2.SMBus's signatures and errors (OSError 121 NACK, 5 clock stretching, 110 time-out), as far as drivers use them."""

    funcs: I2cFunc

    def read_byte_data(self, i2c_addr: int, register: int) -> int: ...
    def write_byte_data(self, i2c_addr: int, register: int, value: int) -> None: ...
    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]: ...
    def i2c_rdwr(self, *i2c_msgs: i2c_msg) -> None: ...
    def close(self) -> None: ...


class Clock(Protocol):
    """Monotonic time, ns. On real hardware CLOCK_MONOTONIC, the clock of the kernel's edge time stamps too."""

    def now_ns(self) -> int: ...
    def wait_until(self, t_ns: int) -> None: ...


@dataclass(frozen=True)
class Hardware:
    """The world: an I2C bus, a gpiozero pin factory (its `ticks()` are seconds of the same clock), and a clock."""

    bus: Bus
    pins: Factory
    clock: Clock

    def close(self) -> None:
        """Release pins and bus."""
        self.pins.close()  # type: ignore[no-untyped-call]
        self.bus.close()


def burst(bus: Bus, address: int, register: int, length: int) -> bytes:
    """Read `length` bytes from `register` in one transfer of any length.

    Needs raw I2C: `bus.funcs & I2cFunc.I2C` (an open SMBus's funcs is a plain int).
    One read message, and it is last: the Pi's i2c-bcm2835 refuses anything else with OSError 95.
    """
    write, read = _messages(address, register, length)
    memset(read.buf, 0, length)  # a transfer that comes short must not show what the one before has read
    bus.i2c_rdwr(write, read)
    return bytes(read)


@cache
def _messages(address: int, register: int, length: int) -> tuple[i2c_msg, i2c_msg]:
    """A burst's two messages, used again: to make them takes longer than all the rest of it. No more than there are lengths."""
    return i2c_msg.write(address, [register]), i2c_msg.read(address, length)


class OutputPin:
    """A gpiozero output, made by `make`, that begins off. One that the kernel refuses is asked for again at each use, so that a device
    whose buzzer is dead guards and tells nevertheless; a wrong configuration (no such pin, pin in use: GPIOZeroError) is raised at once."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._device: Any = None
        try:
            self._device = self._made()
        except GPIOZeroError:
            raise
        except Exception as error:  # noqa: BLE001  (lgpio raises its own bare Exception, the kernel others)
            log.error("an output pin is refused: %r", error)

    def set(self, value: float) -> None:
        """Raises what the GPIO library raises."""
        if self._device is None:
            self._device = self._made()
        self._device.value = value

    def off(self) -> None:
        """Off, if it was ever made. Raises likewise."""
        if self._device is not None and not self._device.closed:
            self._device.off()

    def close(self) -> None:
        """Release the pin, which becomes an input. Raises likewise."""
        if self._device is not None:
            self._device.close()

    def _made(self) -> Any:
        try:
            return self._make()
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they hold a half-made device, and with it the pin
            raise


class MonotonicClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC in ns."""
        return time.monotonic_ns()

    def wait_until(self, t_ns: int) -> None:
        """Sleep to an absolute time; returns at once if it has passed."""
        left = t_ns - time.monotonic_ns()
        if left > 0:
            time.sleep(left / 1e9)


def real(config: Config) -> Hardware:
    """The Raspberry Pi's own bus and pins. Raises OSError naming the remedy when the bus is absent."""
    os.environ.setdefault("GPIOZERO_PIN_FACTORY", "lgpio")  # never gpiozero's silent fallback
    path = f"/dev/i2c-{config.imu.bus}"
    if not Path(path).exists():
        raise OSError(f"{path} does not exist: set dtparam=i2c_arm=on in /boot/firmware/config.txt, or imu.bus in guardian.toml")
    bus = SMBus(config.imu.bus)
    assert bus.fd is not None
    fcntl.ioctl(bus.fd, I2C_TIMEOUT, max(1, config.imu.bus_timeout_ms // 10))  # a hung bus must not stop the loop
    return Hardware(bus, _lgpio_pins(), MonotonicClock())


def _lgpio_pins() -> Any:
    from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415  (absent on machines without pins)

    return LGPIOFactory()  # type: ignore[no-untyped-call]
