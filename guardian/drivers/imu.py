"""The IMU: one configured chip, asked once a tick; samples in nominal body axes, and faults that name what to touch.

Theory of operation. The chip is running, waiting, or being brought up. A transfer that fails is tried again at once (a single NACK on a
long wire is no fault), except after a time-out, which has cost enough. Failing again, the fault stands and the next try waits, first
`retry_first_ms`, doubled up to `retry_last_ms`; a try that finds the chip as it was configured goes on reading, and what its FIFO kept is
not lost; one that does not brings it up anew. Bringing up is a generator of waits: `start` sits them out, `read` returns between them.
A chip that answers but gives no samples for the silent time, or whose registers (looked at once a second) are not what was written, has
lost its supply for a moment: it is brought up anew, never read at the wrong scale. The fault ends with the first sample.
"""

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from math import degrees, sqrt

from guardian.config import Config, axis_row, ns
from guardian.config import Imu as ImuConfig
from guardian.drivers.chip import Chip, ChipSample, Refusal, place
from guardian.drivers.lsm6dsox import Lsm6dsox
from guardian.drivers.mpu6050 import Mpu6050
from guardian.frame import Fault, ImuSample, Vector
from guardian.hardware import Bus, Clock, I2cFunc

__all__ = ["Chip", "ChipSample", "Imu", "Refusal", "rest_check"]

G = 9.80665
# A hung bus: SDA or SCL held low. i2c-bcm2835 says time-out, or EIO for a stretched clock; the Pi 5's designware says EAGAIN or EBUSY.
HUNG = {errno.ETIMEDOUT, errno.EIO, errno.EAGAIN, errno.EBUSY}
CHIPS: dict[str, Callable[[Bus, ImuConfig], Chip]] = {"lsm6dsox": Lsm6dsox, "lsm6dso32": Lsm6dsox, "mpu6050": Mpu6050}

log = logging.getLogger(__name__)


class Imu:
    """The configured chip on the bus."""

    def __init__(self, bus: Bus, clock: Clock, config: Config) -> None:
        self._bus = bus
        self._clock = clock
        self._config = config.imu
        self._chip: Chip = CHIPS[config.imu.chip](bus, config.imu)
        rows = [axis_row(axis) for axis in (config.imu.forward, config.imu.left, config.imu.up)]
        self._axes = [(index, row[index]) for row in rows for index in range(3) if row[index]]
        self._silent_ns = ns(config.health.imu.period_ms * config.health.imu.silent_periods / 1000)
        self._verify_ns = ns(config.imu.verify_s)
        self._retry_ms = config.imu.retry_first_ms
        self._running = False
        self._bringing_up: Iterator[int] | None = None
        self._due_ns = 0  # nothing is tried before
        self._empty_ns = 0  # running time since a read brought something ...
        self._read_ns = 0  # ... which the time since the last read adds to, but not all of a stall
        self._verify_at_ns = 0
        self._faults: tuple[Fault, ...] = ()
        self._held: list[ImuSample] = []

    @property
    def note(self) -> str:
        """What a builder should know of this very part, "" if nothing."""
        return self._chip.note

    @property
    def lost(self) -> int:
        """Times that samples were dropped since the start: overflows and broken frames."""
        return self._chip.lost

    def start(self) -> None:
        """Configure the chip; may take some 0.3 s. Raises Refusal, or OSError from the bus: `read` may be used then, and keeps trying."""
        if self._config.read == "fifo" and not self._bus.funcs & I2cFunc.I2C:
            raise Refusal(
                f'/dev/i2c-{self._config.bus} has no raw I2C, which reading the FIFO needs: set imu.read = "direct" in guardian.toml'
            )
        try:
            for wait_ns in self._chip.bring_up(self._clock):
                self._clock.wait_until(wait_ns)
        except OSError as error:
            self._fail(self._clock.now_ns(), error)
            fault = self._faults[0]
            raise OSError(error.errno, fault.detail) from error
        self._run(self._clock.now_ns())

    def read(self, now_ns: int) -> tuple[tuple[ImuSample, ...], tuple[Fault, ...]]:
        """This tick's samples, oldest first and none later than `now_ns`, and the faults that stand. Never raises."""
        if now_ns < self._due_ns:
            return (), self._faults
        try:
            samples = self._samples(now_ns)
        except (OSError, Refusal) as error:
            self._fail(now_ns, error)
            return (), self._faults
        since_ns, self._read_ns = now_ns - self._read_ns, now_ns
        if samples:
            self._empty_ns = 0
            self._retry_ms = self._config.retry_first_ms
            self._faults = ()
            return tuple(samples), ()
        self._empty_ns += min(since_ns, self._silent_ns // 4)
        if self._running and self._empty_ns > self._silent_ns:
            self._again(f"{place(self._config)} answers but gives no samples")
        return (), self._faults

    def _samples(self, now_ns: int) -> list[ImuSample]:
        if not self._running and not self._brought_up(now_ns):
            return []
        try:
            raw = self._asked(now_ns, doubtful=False)
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                raise
            raw = self._asked(now_ns, doubtful=True)
        if not raw and not self._held:
            return []
        samples = self._held + [self._turned(sample) for sample in raw]
        self._held = []
        while samples and samples[-1].t_ns > now_ns:  # taken between this tick's beginning and the read: the next tick's
            self._held.insert(0, samples.pop())
        return samples

    def _asked(self, now_ns: int, doubtful: bool) -> list[ChipSample]:
        """What the chip has, after a look at its settings where that is due or a transfer has just failed."""
        if doubtful or now_ns >= self._verify_at_ns:
            if not self._chip.intact():
                self._again(f"{place(self._config)} lost its settings: check 3V3 and GND")
                return []
            self._verify_at_ns = now_ns + self._verify_ns
        if doubtful:
            self._chip.resume()
        return self._chip.read(now_ns)

    def _turned(self, sample: ChipSample) -> ImuSample:
        """Chip axes to nominal body axes."""
        (i, p), (j, q), (k, r) = self._axes
        a, g = sample.accel, sample.gyro
        return ImuSample(sample.t_ns, (p * a[i], q * a[j], r * a[k]), (p * g[i], q * g[j], r * g[k]), sample.saturated)

    def _brought_up(self, now_ns: int) -> bool:
        """Go on with bringing the chip up as far as waits allow; True once it runs."""
        if self._bringing_up is None:
            if self._chip.intact():
                self._chip.resume()
                self._run(now_ns)
                return True
            self._bringing_up = self._chip.bring_up(self._clock)
        for due_ns in self._bringing_up:
            if due_ns > now_ns:
                self._due_ns = due_ns
                return False
        self._run(now_ns)
        return True

    def _run(self, now_ns: int) -> None:
        self._running = True
        self._bringing_up = None
        self._empty_ns = 0
        self._verify_at_ns = now_ns + self._verify_ns

    def _again(self, why: str) -> None:
        """Bring the chip up anew, from the next tick on."""
        self._running = False
        self._bringing_up = self._chip.bring_up(self._clock)
        self._held = []
        self._stands(Fault("imu_silent", why))

    def _fail(self, now_ns: int, error: OSError | Refusal) -> None:
        self._running = False
        self._bringing_up = None
        self._held = []
        self._due_ns = now_ns + self._retry_ms * 1_000_000
        self._retry_ms = min(2 * self._retry_ms, self._config.retry_last_ms)
        self._stands(self._named(error))

    def _stands(self, fault: Fault) -> None:
        if (fault,) != self._faults:
            log.warning("%s: %s", fault.name, fault.detail)
        self._faults = (fault,)

    def _named(self, error: OSError | Refusal) -> Fault:
        if isinstance(error, Refusal):
            return Fault("imu_silent", str(error))
        where = place(self._config)
        said = f"errno {error.errno}, {error.strerror or error}"
        if error.errno in HUNG:
            return Fault("bus_hung", f"{where}: {said}: SDA (pin 3) or SCL (pin 5) is held low: look for a short or a hung chip")
        return Fault("imu_silent", f"{where}: {said}: check SDA (pin 3), SCL (pin 5), 3V3 and GND, and imu.address")


def rest_check(samples: Sequence[ImuSample], config: ImuConfig) -> str | None:
    """Why samples taken at rest show a wrong chip or scale, or None: the mean norm must be 1 g and the mean rate small."""
    if not samples:
        return "no samples: " + place(config)
    norm_g = _norm(_mean([sample.accel for sample in samples])) / G
    rate = degrees(_norm(_mean([sample.gyro for sample in samples])))
    if not config.rest_g_min <= norm_g <= config.rest_g_max:
        other = {"lsm6dsox": "lsm6dso32", "lsm6dso32": "lsm6dsox"}.get(config.chip)
        hint = f"the board is an {other}: set imu.chip" if other and (norm_g < 0.6 or norm_g > 1.6) else "move it less, check imu.chip"
        return f"{place(config)}: {norm_g:.2f} g at rest, not {config.rest_g_min}-{config.rest_g_max}: {hint}"
    if rate > config.rest_gyro_deg_s:
        return f"{place(config)}: turns at {rate:.1f} °/s at rest, more than imu.rest_gyro_deg_s: hold it still, or replace it"
    return None


def _mean(vectors: list[Vector]) -> Vector:
    n = len(vectors)
    return sum(v[0] for v in vectors) / n, sum(v[1] for v in vectors) / n, sum(v[2] for v in vectors) / n


def _norm(v: Vector) -> float:
    return sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
