"""How long a tick takes, by stage; how much of a core 100 Hz costs; how punctually the loop wakes.

usage: make latency        (or: python -m lab.latency [--seconds N])

The whole device runs on the bench, its world a person who walks backward in the open. First as fast as it goes, with a stop-watch
around each part; the simulated chips' own time is taken out of the drivers' and shown by itself, and what is written is written at
once, so the outputs' maxima are this machine's disk. Then at 100 Hz of real time, with writers in threads of their own as while worn: CPU
share (simulated chips included), and how late each tick began after its deadline.
"""

import argparse
import gc
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from guardian.app import Device, settle, simulated_utc, whole_device
from guardian.config import Config, load
from guardian.frame import Fault, Frame
from guardian.hardware import Hardware, MonotonicClock
from guardian.monitor.fall import Learned
from guardian.outputs.writer import InlineWriter, ThreadWriter
from guardian.sim.bench import Bench, SimClock
from guardian.sim.broker import SimLink
from guardian.sim.scenarios import SCENARIOS
from guardian.verdict import Verdict

MONITOR_PARTS = ("health", "attitude", "gait", "fall", "obstacle", "policy")
DRIVERS = ("imu", "ranger", "button", "supply")
CHIP_CALLS = ("i2c_rdwr", "read_byte_data", "read_i2c_block_data", "write_byte_data")  # of the bus: the simulated chips' own time
NETWORK = "one step of the fall model (in ticks that have one)"


class StopWatch:
    """Time spent in named calls, ns; what a call spends in another watched call is that other's."""

    def __init__(self) -> None:
        self.spent: dict[str, int] = defaultdict(int)  # in this tick
        self.ticks: dict[str, list[int]] = defaultdict(list)  # by tick
        self._inner: list[int] = [0]

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Put a watch around one object's method."""
        call: Callable[..., Any] = getattr(owner, method)

        def watched(*args: Any, **more: Any) -> Any:
            self._inner.append(0)
            began = time.perf_counter_ns()
            try:
                return call(*args, **more)
            finally:
                took = time.perf_counter_ns() - began
                inner = self._inner.pop()
                self._inner[-1] += took
                self.spent[name] += took - inner

        setattr(owner, method, watched)

    def tick(self, names: Sequence[str]) -> None:
        """A tick is over."""
        for name in names:
            self.ticks[name].append(self.spent.get(name, 0))
        self.spent.clear()


class Late:
    """An output that notes how late ticks began."""

    name = "late"

    def __init__(self) -> None:
        self.late_ns: list[int] = []

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        self.late_ns.append(frame.late_ns)

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


class FollowingClock:
    """The machine's clock, with a simulated one led along: the bench lives in real time."""

    def __init__(self, sim: SimClock) -> None:
        self._real = MonotonicClock()
        self._sim = sim
        self._began_ns = self._real.now_ns()

    def now_ns(self) -> int:
        """Since the start."""
        return self._real.now_ns() - self._began_ns

    def wait_until(self, t_ns: int) -> None:
        """Sleep, then let the bench catch up."""
        self._real.wait_until(t_ns + self._began_ns)
        self._sim.wait_until(self.now_ns())


def at_rank(values: Sequence[int], q: float) -> float:
    """The value at rank q, in µs."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(q * len(ranked)))] / 1000


def stages(config: Config, seconds: float) -> StopWatch:
    """Every stage's time by tick, as fast as it goes."""
    watch = StopWatch()
    world, _ = SCENARIOS["open_space"].stage(1)
    bench = Bench(config, world)
    with whole_device(
        config, bench.hardware, SimLink(bench.clock, config), simulated_utc(bench.clock), lambda name, depth: InlineWriter(name)
    ) as device:
        device.start()
        names = _watch(watch, bench, device)
        bench.at(seconds, device.stop)
        began = time.perf_counter_ns()
        for frame in device.sensors.frames():  # the loop of Device.run, with a mark at each tick's end
            verdict = device.monitor.step(frame)
            for output in device.outputs:
                output.apply(frame, verdict)
            ended = time.perf_counter_ns()
            watch.spent["(whole tick)"] = ended - began
            watch.tick([*names, "(whole tick)"])
            began = time.perf_counter_ns()
    return watch


def _watch(watch: StopWatch, bench: Bench, device: Device) -> list[str]:
    names = []

    def on(owner: Any, method: str, name: str) -> None:
        watch.watch(owner, method, name)
        names.append(name)

    for part in DRIVERS:
        on(getattr(device.sensors, part), "read", f"driver {part}")
    on(device.inbox, "faults", "outputs' faults")
    for part in MONITOR_PARTS:
        on(getattr(device.monitor, part), "step", f"monitor {part}")
    if isinstance(device.monitor.fall.rule, Learned):
        on(device.monitor.fall.rule.network, "step", NETWORK)
    on(device.monitor, "step", "monitor, the rest")
    for output in device.outputs:
        on(output, "apply", f"output {output.name}")
    for method in CHIP_CALLS:
        watch.watch(bench.bus, method, "(simulated chips)")
    watch.watch(bench.clock, "wait_until", "(simulated world)")
    return [*names, "(simulated chips)", "(simulated world)"]


def in_real_time(config: Config, seconds: float, priority: int) -> tuple[float, list[int], bool]:
    """CPU share of one core, lateness of each tick, and whether the thread really had the priority."""
    late = Late()
    world, _ = SCENARIOS["open_space"].stage(1)
    bench = Bench(config, world)
    clock = FollowingClock(bench.clock)
    hardware = Hardware(bench.bus, bench.pins, clock)
    with whole_device(config, hardware, SimLink(bench.clock, config), simulated_utc(bench.clock), ThreadWriter, watching=(late,)) as device:
        device.start()
        bench.at(clock.now_ns() / 1e9 + seconds, device.stop)
        settle(priority)
        got = bool(os.sched_getscheduler(0) & os.SCHED_FIFO)
        cpu_s, wall_s = time.process_time(), time.monotonic()
        try:
            device.run()
        finally:
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            gc.unfreeze()
        share = (time.process_time() - cpu_s) / (time.monotonic() - wall_s)
    return share, late.late_ns, got


def machine() -> str:
    """The processor's name; on a Raspberry Pi the board's."""
    lines = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = dict(line.split(":", 1) for line in lines if ":" in line)
    found = {key.strip(): value.strip() for key, value in named.items()}
    return found.get("Model") or found.get("model name") or platform.processor() or platform.machine()


def main() -> int:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=20.0, help="of each part (default 20)")
    seconds = arguments.parse_args().seconds
    out = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=80)
    load_1, _, _ = os.getloadavg()
    kernel = f"{platform.system()} {platform.release()}"
    out.print(f"{machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {kernel}, load {load_1:.1f}")
    with tempfile.TemporaryDirectory(prefix="guardian-latency-") as folder:
        place = iter(range(9))

        def config() -> Config:
            return load(local=None, overrides={"device": {"state_dir": f"{folder}/{next(place)}"}})

        watch = stages(config(), seconds)
        table = Table(
            box=None, pad_edge=False, title=f"microseconds a tick, {len(watch.ticks['(whole tick)'])} ticks", title_justify="left"
        )
        table.add_column("stage", no_wrap=True)
        for column in ("mean", "p50", "p99", "max"):
            table.add_column(column, justify="right")
        for name, spent in watch.ticks.items():
            took = [one for one in spent if one] if name == NETWORK else spent
            table.add_row(
                name,
                *(f"{value:.1f}" for value in (sum(took) / len(took) / 1000, at_rank(took, 0.5), at_rank(took, 0.99), max(took) / 1000)),
            )
        out.print(table)
        for priority in (0, 20):
            share, late_ns, got = in_real_time(config(), seconds, priority)
            if priority and not got:
                out.print("SCHED_FIFO is not permitted here: not measured")
                break
            how = f"SCHED_FIFO {priority}" if priority else "ordinary priority"
            out.print(
                f"100 Hz in real time, {how}: {share * 100:.1f} % of a core; ticks late by "
                f"p50 {at_rank(late_ns, 0.5):.0f}, p99 {at_rank(late_ns, 0.99):.0f}, max {max(late_ns) / 1000:.0f} µs"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
