"""What the mind may know in one tick: samples, lateness, button, supply, faults, commands.

Everything that reaches the monitor passes through a Frame, so recording frames is enough to replay a day exactly.
Times are nanoseconds of the hardware's monotonic clock (on Linux CLOCK_MONOTONIC, which starts at boot).
Body axes are x forward, y left, z up, right-handed, as worn upright: backward walking is -x.
"""

from typing import Literal

from msgspec import Struct

Vector = tuple[float, float, float]

EchoReason = Literal["echo", "nothing", "no_edges", "stuck_high"]


class ImuSample(Struct, frozen=True, gc=False):
    """One inertial sample in nominal body axes."""

    t_ns: int
    accel: Vector  # specific force, m/s²: at rest upright (0, 0, +9.81)
    gyro: Vector  # angular rate, rad/s, right-hand rule about x forward, y left, z up
    saturated: bool  # any raw count at full scale: an impact, but no longer a measure


class Echo(Struct, frozen=True, gc=False):
    """The outcome of one ping; each ping gives exactly one, and never an old one again."""

    t_ns: int  # when the ping was sent
    seq: int  # ping number since the driver started
    distance_m: float | None  # only with reason "echo"
    reason: EchoReason  # "nothing": the part said that nothing is in range; "no_edges": it said nothing at all


class Fault(Struct, frozen=True, gc=False):
    """A condition that stands now; `name` is a row of contract.FAULTS, `detail` names the wire, key or file to touch."""

    name: str
    detail: str = ""


class Command(Struct, frozen=True, gc=False):
    """What somebody asked: a caregiver's command (checked by contract.parse_command), or "power_off" from the system."""

    cmd: str
    id: str
    alarm_id: str | None = None  # the contract's "for": ack and clear act on this alarm only
    value: str | None = None


class Supply(Struct, frozen=True, gc=False):
    """The power supply's state, read about once a second."""

    undervoltage: bool | None  # the kernel's flag; None where the kernel has none
    charge: float | None  # 0..1 from a fuel gauge; None where none is fitted


class Frame(Struct, frozen=True, gc=False):
    """One tick's inputs. `late_ns` is how long after its deadline the tick began."""

    t_ns: int
    late_ns: int = 0
    imu: tuple[ImuSample, ...] = ()  # oldest first; all that the chip's FIFO held
    echo: Echo | None = None
    button: bool = False  # debounced level, True while pressed
    supply: Supply | None = None  # None in ticks that did not read it
    faults: tuple[Fault, ...] = ()  # standing now, in drivers and outputs
    commands: tuple[Command, ...] = ()
