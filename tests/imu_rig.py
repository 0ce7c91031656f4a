"""What the IMU tests share: a clock moved by hand, worlds that move in known ways, and a loop of 10 ms ticks around one driver."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardian import config
from guardian.config import Config
from guardian.drivers.imu import Imu
from guardian.frame import Fault, ImuSample
from guardian.sim.bus import Device, SimBus
from guardian.sim.inertial import Specimen
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.mpu6050 import MpuChip

G = 9.80665
MS = 1_000_000
SECOND = 1_000_000_000
FAR = 1 << 60
PERFECT = Specimen(noise=0.0)

Motion = Callable[[NDArray[np.float64]], list[Any]]


class HandClock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.t_ns = 0

    def now_ns(self) -> int:
        return self.t_ns

    def wait_until(self, t_ns: int) -> None:
        self.t_ns = max(self.t_ns, t_ns)


class World:
    """Motion as six columns of functions of the time in s; `sees_ahead_ns` is its horizon. It remembers what it was asked."""

    def __init__(self, motion: Motion, sees_ahead_ns: int = FAR, temperature_c: float = 25.0) -> None:
        self._motion = motion
        self._ahead_ns = sees_ahead_ns
        self.temperature_c = temperature_c
        self.now_ns = 0
        self.asked_to_ns = -1

    def motion(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        assert int(t_ns[0]) > self.asked_to_ns, "time only goes forward"
        assert (np.diff(t_ns) > 0).all()
        assert int(t_ns[-1]) <= self.now_ns + self._ahead_ns, "asked beyond the horizon"
        self.asked_to_ns = int(t_ns[-1])
        columns = self._motion(t_ns / 1e9)
        return np.column_stack([np.broadcast_to(np.asarray(column, dtype=float), t_ns.shape) for column in columns])

    def horizon_ns(self, now_ns: int) -> int:
        self.now_ns = now_ns
        return now_ns + self._ahead_ns


def still(x: float = 0.0, y: float = 0.0, z: float = G, gx: float = 0.0, gy: float = 0.0, gz: float = 0.0) -> World:
    """Constant specific force (m/s²) and rate (rad/s)."""
    return World(lambda t: [x, y, z, gx, gy, gz])


class Rig:
    """A driver and its chip on a simulated bus, and the loop's ticks."""

    def __init__(self, chip: Device, /, **imu: Any) -> None:
        self.clock = HandClock()
        self.bus = SimBus(self.clock)
        self.chip = chip
        self.config: Config = config.load(local=None, overrides={"imu": imu})
        self.bus.attach(self.config.imu.address, chip)
        self.imu = Imu(self.bus, self.clock, self.config)
        self.samples: list[ImuSample] = []
        self.faults: tuple[Fault, ...] = ()

    def start(self) -> "Rig":
        self.imu.start()
        return self

    def tick(self, after_ns: int = 10 * MS) -> list[ImuSample]:
        """One tick: its samples are returned and kept, its faults stand in `faults`."""
        self.clock.t_ns += after_ns
        samples, self.faults = self.imu.read(self.clock.t_ns)
        self.samples += samples
        return list(samples)

    def run(self, seconds: float) -> list[ImuSample]:
        """Ticks for a while; their samples."""
        return [sample for _ in range(round(seconds * 100)) for sample in self.tick()]

    def unplug(self) -> None:
        self.bus.detach(self.config.imu.address)

    def plug(self) -> None:
        self.bus.attach(self.config.imu.address, self.chip)

    def fault_names(self) -> list[str]:
        return [fault.name for fault in self.faults]


def lsm(world: World | None = None, specimen: Specimen = PERFECT, **more: Any) -> Rig:
    """A rig with an LSM6DSOX (or `chip=`"lsm6dso32"), perfect unless a specimen is given."""
    model = more.pop("model", more.get("chip", "lsm6dsox"))
    first_tick = more.pop("first_tick", 0)
    mount = [more.get("forward", "+x"), more.get("left", "+y"), more.get("up", "+z")]
    return Rig(LsmChip(world or still(), model, mount, specimen=specimen, first_tick=first_tick), **more)


def mpu(world: World | None = None, specimen: Specimen = PERFECT, who_am_i: int = 0x68, **more: Any) -> Rig:
    """A rig with an MPU-6050 or relative, perfect unless a specimen is given."""
    mount = [more.get("forward", "+x"), more.get("left", "+y"), more.get("up", "+z")]
    return Rig(MpuChip(world or still(), who_am_i, mount, specimen=specimen), chip="mpu6050", address=0x68, **more)


def spinning() -> World:
    """A force of 100 m/s² that turns once a second in the x-y plane: a sample's angle tells its own time."""
    return World(lambda t: [100 * np.cos(2 * np.pi * t), 100 * np.sin(2 * np.pi * t), 0, 0, 0, 0])


def late_ms(samples: list[ImuSample]) -> NDArray[np.float64]:
    """How much later than the force it shows each sample of a spinning world is dated: filter delay, if the time stamp is right."""
    t_s = np.array([sample.t_ns for sample in samples]) / 1e9
    turns = np.array([np.arctan2(sample.accel[1], sample.accel[0]) for sample in samples]) / (2 * np.pi)
    return np.asarray((t_s - turns + 0.5) % 1 - 0.5) * 1e3
