"""What a failure is: how it is drawn, done and undone, and what the device then owes its wearer.

Theory of operation. A kind draws one Failure: what is done, for how long, and its dues. A due says from when to when one of some faults
must be told, and how long (running loop) its definition takes; these times follow from guardian.toml and from what is done. Failures
without a due (single errors, short stalls, ghosts) are none by the device's own tables: it has to bear them, and nothing more. `parts`
is what a failure lays its hands on: two failures of a pair have none in common, or one's end would end the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from guardian.config import Config
from guardian.monitor.health import ECHO_FAULTS, IMU_FAULTS

if TYPE_CHECKING:
    from lab.campaign.walk import Walk

Deed = Callable[["Walk"], object]
Part = Literal["imu", "bus", "ranger", "pins", "button", "loop", "program", "disk", "link", "clock", "supply"]
IMU, ECHO = frozenset(IMU_FAULTS), frozenset(ECHO_FAULTS)
LSM, MPU = "lsm6dsox", "mpu6050"

BACK_S = 5.0  # a chip is tried again at most retry_last_ms apart, then settles and levels
CANCELLED_S = 10.0  # ... and an alarm that it raised is cancelled by the wearer first (walk.py)
FLAG = "in0_lcrit_*"  # the kernel's, of undervoltage, in the walk's own folder


@dataclass(frozen=True)
class Due:
    """One of `names` is told in the verdict, and heard, from its definition on, until `until_s`. Seconds since the failure began."""

    names: frozenset[str]
    until_s: float
    met_s: float = 0.0  # running loop, since from_s
    from_s: float = 0.0
    again: bool = True  # by another life of the program too; False: it takes something that happened once, as the failure began
    line: bool = False  # met once the buzzer's line is to be set to another level than it has: one that nobody writes cannot fail


@dataclass(frozen=True)
class Failure:
    """What happens to one part of one device."""

    done: str  # in words
    lasts_s: float
    begin: Deed
    heal: Deed = lambda walk: None
    dues: tuple[Due, ...] = ()
    back_s: float = BACK_S  # all well again so long after it has ended
    dumb: bool = False  # the buzzer itself has failed: nothing can be heard
    killing: bool = False  # the watchdog has to end the program


@dataclass(frozen=True)
class Kind:
    """A row of the campaign."""

    name: str
    parts: frozenset[Part]
    draw: Callable[[Random, Config], Failure]
    chip: str = ""  # the only IMU that can fail so
    at_power_on: bool = False  # and the wearer stands until it has ended
    after_a_fall: bool = True  # False: what it needs (walking, another exercise, a free button) is not there then
    settings: Mapping[str, Any] = field(default_factory=dict)


def blind(names: frozenset[str], lasts_s: float, met_s: float) -> tuple[Due, ...]:
    """What is owed for a sense that has failed."""
    return (Due(names, lasts_s, met_s),)


def parts(*those: Part) -> frozenset[Part]:
    """What a kind lays its hands on."""
    return frozenset(those)
