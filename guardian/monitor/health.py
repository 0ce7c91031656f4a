"""Which inputs can be trusted: three truths, yes, no and don't know.

Theory of operation. Each expected input is a row of [health] with a period; an input silent for its number of periods is a fault. Age is
counted in *running loop* time (frame to frame, less lateness): a stalled program is not a silent sensor. A single failed transfer
is a datum, not a fault: the chip's FIFO keeps what was not read, so only staleness counts, and the driver's own words say why.
"""

import math

from msgspec import Struct, field

from guardian.config import CHIP_LSB, Config, ns
from guardian.frame import Echo, Fault, Frame, ImuSample, Vector

IMU_FAULTS = ("imu_silent", "imu_stuck", "imu_scale", "imu_saturated", "bus_hung")
ECHO_FAULTS = ("echo_silent", "echo_stuck_high", "echo_stuck_low")
JUDGED_HERE = frozenset({*IMU_FAULTS, *ECHO_FAULTS, "supply_low"})


class Condition(Struct, frozen=True, gc=False):
    """What can be trusted in this tick."""

    imu_ok: bool
    echo_ok: bool
    faults: tuple[Fault, ...]  # all that stand
    charge: float | None  # battery, 0..1


class Run(Struct):
    """One axis that has not changed by a single count, and how far the other axes have moved meanwhile."""

    since_ns: int
    reference: Vector
    moved: float = 0.0


class HealthMemory(Struct):
    """Ages and runs."""

    t_ns: int | None = None
    imu_age_ns: int = 0
    newest_ns: int = 0  # time of the newest sample
    echo_age_ns: int = 0
    no_edges: int = 0  # pings since the last that said something: a loose wire does both in turn
    stuck_high: int = 0
    accel: Vector = (0.0, 0.0, 0.0)
    gyro: Vector = (0.0, 0.0, 0.0)
    accel_runs: list[Run | None] = field(default_factory=lambda: [None, None, None])
    gyro_runs: list[Run | None] = field(default_factory=lambda: [None, None, None])
    saturated_since_ns: int | None = None
    saturated_ns: int = 0
    scale: str = ""
    rested: bool = False  # this gyroscope has been seen quiet
    late_ns: int = 0  # leaky bucket
    loop_late: bool = False
    pressed_since_ns: int | None = None
    undervoltage: bool = False
    charge: float | None = None


class Health:
    """Judges a frame's inputs."""

    def __init__(self, config: Config) -> None:
        h = config.health
        accel_lsb, gyro_lsb = CHIP_LSB[config.imu.chip]
        self._accel_moving = accel_lsb * h.stuck_moving_counts
        self._gyro_moving = gyro_lsb * h.stuck_moving_counts
        self._imu_silent_ns = ns(h.imu.period_ms * h.imu.silent_periods / 1000)
        self._echo_silent_ns = ns(h.echo.period_ms * h.echo.silent_periods / 1000)
        self._stuck_ns = ns(h.stuck_s)
        self._saturated_ns = ns(h.saturated_s)
        self._stuck_pings = h.echo_stuck_pings
        self._button_ns = ns(h.button_stuck_s)
        self._late_ns = config.loop.late_ms * 1_000_000
        self._late_bucket_ns = ns(h.late_bucket_s)
        self._late_leak = h.late_leak
        self._rest = (config.imu.rest_g_min, config.imu.rest_g_max)
        self._rest_rate = config.imu.rest_gyro_deg_s * math.pi / 180
        self._low_charge = config.supply.low_charge
        self.memory = HealthMemory()

    def still_second(self, norm_g: float, rate_rad_s: float) -> None:
        """Check a still second's mean norm (g), and the rate (rad/s) until one passes: later it may be a bus on a roundabout.

        A second of frozen outputs is none: what they stopped at may be any moment of a stride, and would stand as a wrong scale until the
        wearer, walking on, stands still. It ends just before that chip is called stuck.
        """
        if self._all_constant(self._stuck_ns // 2):
            return
        low, high = self._rest
        m = self.memory
        if not low <= norm_g <= high:
            m.scale = "at rest the norm is not 1 g: check imu.chip in guardian.toml against the board"
        elif rate_rad_s > self._rest_rate and not m.rested:
            m.scale = "at rest the gyro turns: replace the IMU, or raise imu.rest_gyro_deg_s"
        else:
            m.scale, m.rested = "", True

    def step(self, frame: Frame) -> Condition:
        """This tick's condition."""
        m = self.memory
        ran_ns = 0 if m.t_ns is None else max(0, frame.t_ns - m.t_ns - frame.late_ns)
        m.t_ns = frame.t_ns
        if m.imu_age_ns > self._imu_silent_ns:
            m.rested = False  # it may come back as another
        m.imu_age_ns = 0 if frame.imu else m.imu_age_ns + ran_ns
        m.echo_age_ns = 0 if frame.echo else m.echo_age_ns + ran_ns
        for sample in frame.imu:
            self._watch(sample)
        if frame.echo:
            self._count(frame.echo)
        self._watch_loop(frame, ran_ns)
        if frame.supply:
            m.undervoltage = frame.supply.undervoltage is True
            m.charge = frame.supply.charge
        if not frame.button:
            m.pressed_since_ns = None
        elif m.pressed_since_ns is None:
            m.pressed_since_ns = frame.t_ns
        faults = self._faults(frame)
        if not faults:
            return Condition(True, True, (), m.charge)
        names = {fault.name for fault in faults}
        return Condition(
            imu_ok=not any(name in names for name in IMU_FAULTS),
            echo_ok=not any(name in names for name in ECHO_FAULTS),
            faults=faults,
            charge=m.charge,
        )

    def _watch(self, sample: ImuSample) -> None:
        m = self.memory
        self._follow(m.accel_runs, m.accel, sample.accel, sample.t_ns)
        self._follow(m.gyro_runs, m.gyro, sample.gyro, sample.t_ns)
        m.accel, m.gyro, m.newest_ns = sample.accel, sample.gyro, sample.t_ns
        if not sample.saturated:
            m.saturated_since_ns, m.saturated_ns = None, 0
        elif m.saturated_since_ns is None:
            m.saturated_since_ns = sample.t_ns
        else:
            m.saturated_ns = sample.t_ns - m.saturated_since_ns

    @staticmethod
    def _follow(runs: list[Run | None], before: Vector, now: Vector, t_ns: int) -> None:
        """Begin, extend or end each axis's run of one unchanged value."""
        for axis in (0, 1, 2):
            run = runs[axis]
            if now[axis] != before[axis]:
                if run is not None:
                    runs[axis] = None
            elif run is None:
                runs[axis] = Run(t_ns, now)
            else:
                for other in (0, 1, 2):
                    run.moved = max(run.moved, abs(now[other] - run.reference[other]))

    def _stuck(self) -> str:
        """What is stuck; empty while nothing is. No real chip is without noise (LSM6DSOX 1-2 counts rms, MPU-6050 5-7)."""
        m = self.memory
        if not any((*m.accel_runs, *m.gyro_runs)):
            return ""
        if self._frozen(m.accel_runs, self._accel_moving) or self._frozen(m.gyro_runs, self._gyro_moving):
            return "one axis does not change while another moves"
        if self._all_constant(self._stuck_ns):
            return "no axis changes by a single count: not even the noise of the chip"
        return ""

    def _all_constant(self, for_ns: int) -> bool:
        """Whether no axis has changed by a single count for so long."""
        m = self.memory
        return all(run is not None and m.newest_ns - run.since_ns >= for_ns for run in (*m.accel_runs, *m.gyro_runs))

    def _frozen(self, runs: list[Run | None], moving: float) -> bool:
        newest_ns = self.memory.newest_ns
        return any(run is not None and newest_ns - run.since_ns >= self._stuck_ns and run.moved > moving for run in runs)

    def _count(self, echo: Echo) -> None:
        m = self.memory
        if echo.reason == "no_edges":
            m.no_edges += 1
        elif echo.reason == "stuck_high":
            m.stuck_high += 1
        else:
            m.no_edges = m.stuck_high = 0

    def _watch_loop(self, frame: Frame, ran_ns: int) -> None:
        """A leaky bucket of lateness: one long stall or many small ones fill it, a rare hiccup does not."""
        m = self.memory
        m.late_ns = max(0, m.late_ns - int((ran_ns + frame.late_ns) * self._late_leak))
        if frame.late_ns > self._late_ns:
            m.late_ns = min(m.late_ns + frame.late_ns, 2 * self._late_bucket_ns)
        if m.late_ns >= self._late_bucket_ns:
            m.loop_late = True
        elif m.late_ns * 2 < self._late_bucket_ns:
            m.loop_late = False

    def _faults(self, frame: Frame) -> tuple[Fault, ...]:
        m = self.memory
        standing: list[Fault] = []
        told = {fault.name: fault for fault in frame.faults} if frame.faults else {}
        if m.imu_age_ns > self._imu_silent_ns:
            standing.append(told.get("bus_hung") or told.get("imu_silent") or Fault("imu_silent", "no sample"))
        else:
            if stuck := self._stuck():
                standing.append(Fault("imu_stuck", stuck))
            if m.scale:
                standing.append(Fault("imu_scale", m.scale))
            if m.saturated_ns >= self._saturated_ns:
                standing.append(Fault("imu_saturated", "at full scale"))
        if m.echo_age_ns > self._echo_silent_ns:
            standing.append(told.get("echo_silent") or Fault("echo_silent", "no ping comes back from the driver"))
        if m.stuck_high >= self._stuck_pings:
            standing.append(Fault("echo_stuck_high", "the echo line stays high"))
        if m.no_edges >= self._stuck_pings:
            standing.append(Fault("echo_stuck_low", "pings stay without any answer"))
        if m.pressed_since_ns is not None and frame.t_ns - m.pressed_since_ns >= self._button_ns:
            standing.append(Fault("button_stuck", "pressed for long"))
        if m.loop_late:
            standing.append(Fault("loop_late", "ticks come late"))
        low = m.charge is not None and m.charge < self._low_charge
        if m.undervoltage or low:
            standing.append(Fault("supply_low", "undervoltage" if m.undervoltage else "charge"))
        if frame.faults:
            known = JUDGED_HERE | {fault.name for fault in standing}
            standing.extend(fault for fault in frame.faults if fault.name not in known)
        return tuple(standing)
