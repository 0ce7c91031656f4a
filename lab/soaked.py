"""The process that lab.soak watches: the whole device, worn for hours, which says of itself once in a while how it is.

Theory of operation. First come the imports that `guardian run` does, and the memory they take; then the simulated hardware and its world,
which no real device holds; then the device. So what the device itself takes is what is resident at the end less the middle part. `hours`
of real time: the clock is the machine's, writers have threads of their own, caregivers are behind a real broker, the loop has its real-time
priority where that is permitted. Of simulated time: as fast as it goes, in one thread. Each sample is one line of JSON on standard output.
"""

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import guardian.commands.run  # noqa: F401  (all that the worn program imports, and nothing before it)


def resident_mib() -> float:
    """Resident memory of this process (proc(5), VmRSS), MiB."""
    return _status("VmRSS:") / 1024


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1])


WORN_IMPORTS_MIB = resident_mib()

from guardian.app import Device, places, settle, simulated_device, simulated_utc, whole_device  # noqa: E402
from guardian.config import Config, load, ns  # noqa: E402
from guardian.frame import Fault, Frame  # noqa: E402
from guardian.hardware import Hardware  # noqa: E402
from guardian.outputs.link import PahoLink  # noqa: E402
from guardian.outputs.wall import WallClock  # noqa: E402
from guardian.outputs.writer import ThreadWriter  # noqa: E402
from guardian.sim.bench import Bench  # noqa: E402
from guardian.sim.broker import SimLink  # noqa: E402
from guardian.verdict import Verdict  # noqa: E402
from lab.latency import FollowingClock  # noqa: E402
from lab.rounds import Rounds  # noqa: E402


class Sampler:
    """An output that looks on, and every `every_s` says how the process is."""

    name = "sampler"

    def __init__(self, config: Config, every_s: float, say: Callable[[dict[str, Any]], None]) -> None:
        self._here = places(config)
        self._tick_ns = config.loop.tick_ms * 1_000_000
        self._every_ns = ns(every_s)
        self._say = say
        self._first_ns: int | None = None
        self._ticks = 0
        self._excused_ns = 0  # by which ticks a whole period late have moved all deadlines after them
        self._late_us: Counter[int] = Counter()  # counted: an hour's ticks in a list would be 3 MB of the device's
        self._events = 0
        self._faults: set[str] = set()

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        deadline_ns = frame.t_ns - frame.late_ns
        if self._first_ns is None:
            self._first_ns, self._due_ns = deadline_ns, deadline_ns + self._every_ns
        self._late_us[frame.late_ns // 1000] += 1
        self._events += len(verdict.events)
        self._faults.update(verdict.faults)
        if frame.t_ns >= self._due_ns:
            self._due_ns += self._every_ns
            self._sample(frame, deadline_ns - self._first_ns - self._ticks * self._tick_ns - self._excused_ns)
        self._ticks += 1
        if frame.late_ns >= self._tick_ns:
            self._excused_ns += frame.late_ns

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""

    def _sample(self, frame: Frame, drift_ns: int) -> None:
        assert self._first_ns is not None
        late, self._late_us = self._late_us, Counter()
        recordings = sorted(self._here.recordings.glob("*.mcap"))
        numbers = [int(path.stem.rpartition("-")[2]) for path in recordings]
        databases = [path for path in self._here.state_dir.iterdir() if ".db" in path.name]
        self._say({
            "t_s": (frame.t_ns - self._first_ns) / 1e9,
            "ticks": self._ticks + 1,
            "rss_mib": resident_mib(),
            "blocks": sys.getallocatedblocks(),
            "threads": _status("Threads:"),
            "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208  (the kernel's, not a folder's)
            "late_mean_us": sum(us * n for us, n in late.items()) / late.total(),
            "late_p99_us": ranked(late, 0.99),
            "late_max_us": max(late),
            "drift_us": drift_ns / 1000,
            "excused_ms": self._excused_ns / 1e6,
            "files": len(recordings),
            "pruned": max(numbers, default=-1) + 1 - len(recordings),
            "databases_kib": sum(path.stat().st_size for path in databases) / 1024,
            "collections": [generation["collections"] for generation in gc.get_stats()],
            "events": self._events,
            "faults": sorted(self._faults),
        })  # fmt: skip


def ranked(counted: Counter[int], q: float) -> int:
    """The value at rank q."""
    left = q * counted.total()
    for value in sorted(counted):
        left -= counted[value]
        if left < 0:
            return value
    return max(counted)


def say(what: dict[str, Any]) -> None:
    """A line of JSON."""
    print(json.dumps(what), flush=True)


def worn(config: Config, bench: Bench, sampler: Sampler) -> Device:
    """As worn, in real time; without caregivers where the configuration names no broker."""
    hardware = Hardware(bench.bus, bench.pins, FollowingClock(bench.clock))
    link = PahoLink(config) if config.mqtt.enabled else None
    synced = WallClock(lambda: True)  # this machine's time is believed: without it no recording is too old
    return whole_device(config, hardware, link, synced, ThreadWriter, watching=(sampler,))


def simulated(config: Config, bench: Bench, sampler: Sampler) -> Device:
    """In simulated time, as fast as it goes."""
    link = SimLink(bench.clock, config)
    forget(bench, link.broker, link.seen)
    return simulated_device(config, bench.hardware, link, simulated_utc(bench.clock), watching=(sampler,))


def forget(bench: Bench, *kept: list[Any]) -> None:
    """What the world's side keeps for stories is none of the device's memory: forgotten every minute."""
    for one in kept:
        one.clear()
    bench.clock.schedule(bench.clock.now_ns() + ns(60), lambda: forget(bench, *kept))


def main(folder: str, hours: float, every_s: float, port: int, real: bool) -> None:
    """Wear it for so many hours."""
    recorder = (
        {"file_mb": 4.0, "keep_days": 0.02} if real else {"keep_days": 0.25}
    )  # so that files are rotated and pruned in the time given
    mqtt = {"enabled": bool(port), "host": "127.0.0.1", "port": port or 1883} if real else {"enabled": True}
    config = load(local=None, overrides={"device": {"state_dir": folder}, "recorder": recorder, "mqtt": mqtt})
    before_mib = resident_mib()
    bench = Bench(config, Rounds())
    say({"imports_mib": WORN_IMPORTS_MIB, "simulation_mib": resident_mib() - before_mib, "lab_imports_mib": before_mib - WORN_IMPORTS_MIB})
    forget(bench, bench.sound_log)
    sampler = Sampler(config, every_s, say)
    with (worn if real else simulated)(config, bench, sampler) as device:
        device.start()
        bench.at(hours * 3600, device.stop)
        settle(config.loop.realtime_priority if real else 0)
        device.run()


if __name__ == "__main__":
    place, hours, every_s, port, kind = sys.argv[1:]
    main(place, float(hours), float(every_s), int(port), kind == "real")
