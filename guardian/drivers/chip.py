"""What the IMU drivers share: a chip's sample, what a chip driver offers, and the refusal that names wire or key."""

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct

from guardian.config import Imu
from guardian.frame import Vector
from guardian.hardware import Clock

SATURATED = 32700  # counts: full scale is 32767, and offsets trimmed on the chip take some of it


class Refusal(RuntimeError):
    """The chip or its configuration is wrong; the message names the wire or key to touch and the remedy."""


class ChipSample(Struct, frozen=True, gc=False):
    """One sample in the chip's own axes."""

    t_ns: int  # host clock
    accel: Vector  # m/s²
    gyro: Vector  # rad/s
    saturated: bool


class Chip(Protocol):
    """A driver of one kind of IMU."""

    note: str  # what a builder should know of this very part, "" if nothing
    lost: int  # samples dropped so far: overflow, broken frames

    def bring_up(self, clock: Clock) -> Iterator[int]:
        """Reset, check identity, write registers. Each yield is the host time before which going on is no use; nothing sleeps.

        Raises Refusal, OSError.
        """

    def read(self, now_ns: int) -> list[ChipSample]:
        """All new samples, oldest first. Raises OSError."""

    def intact(self) -> bool:
        """Whether the chip still holds the configuration that bring_up wrote. Raises OSError."""

    def resume(self) -> None:
        """After a failed transfer: throw away what may be half read. Raises OSError."""


def place(config: Imu) -> str:
    """Where the chip is, in a message."""
    return f"{config.chip} at 0x{config.address:02X} on /dev/i2c-{config.bus}"


def no_identity(config: Imu, who: int, expected: str) -> Refusal:
    """The refusal of a chip whose WHO_AM_I is wrong."""
    if who in (0x00, 0xFF):
        wires = "SDA (pin 3) and SCL (pin 5) for a short or missing pull-ups; or imu.chip and imu.address do not name this board"
        return Refusal(f"{place(config)}: WHO_AM_I reads 0x{who:02X}, as an idle line does: check {wires}")
    return Refusal(
        f"{place(config)}: WHO_AM_I reads 0x{who:02X}, not {expected}: another chip answers there; "
        "set imu.chip and imu.address in guardian.toml to the board's"
    )


def not_kept(config: Imu, register: int, wrote: int, reads: int) -> Refusal:
    """The refusal of a chip that does not keep what was written."""
    return Refusal(
        f"{place(config)}: register 0x{register:02X} was set to 0x{wrote:02X} and reads 0x{reads:02X}: "
        "check 3V3 and GND, shorten the wires, or it is not the chip that imu.chip says"
    )


def no_reset(config: Imu) -> Refusal:
    """The refusal of a chip that stays in reset."""
    return Refusal(
        f"{place(config)}: still in reset after {config.reset_timeout_ms} ms (imu.reset_timeout_ms): power-cycle it, check 3V3 and GND"
    )
