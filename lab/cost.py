"""What recording, MQTT and a station cost each tick: the whole device at 100 Hz of real time, with each of them on and off.

usage: python -m lab.cost [--seconds 8] [--rounds 3]

As worn: writers in threads, paho's for a real mosquitto (needs it), a real `guardian station` on the same machine that stores and answers;
the wearer goes to a wall and back (lab/rounds.py). A tick's time is from its waking to its last output, the simulated chips' own taken
out, threads of others that get in between not: at 100 Hz with cold caches it is more than `make latency` shows, which does not sleep. The
rows take turns, so that a machine that grows slower is slower for all. CPU: the device's process, all threads and simulated chips.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from guardian.app import settle, whole_device
from guardian.config import load
from guardian.hardware import Hardware
from guardian.outputs.link import PahoLink
from guardian.outputs.wall import WallClock
from guardian.outputs.writer import ThreadWriter
from guardian.sim.bench import Bench
from lab.durability import Broker, mosquitto_here
from lab.household import Program
from lab.latency import CHIP_CALLS, FollowingClock, StopWatch, at_rank
from lab.rounds import Rounds

WARM_S = 2.0  # settling, connecting
ROWS: dict[str, tuple[bool, bool, bool]] = {  # recorder, mqtt, station
    "neither": (False, False, False),
    "recording": (True, False, False),
    "MQTT": (False, True, False),
    "recording and MQTT": (True, True, False),
    "and a station": (True, True, True),
}


class Run(NamedTuple):
    """Ticks of one row in one round, ns each, and CPU as a share of a core."""

    ticks_ns: list[int]
    share: float


def wear(folder: Path, seconds: float, recording: bool, port: int) -> Run:
    """The device for some seconds; `port` 0: without MQTT."""
    config = load(
        local=None,
        overrides={
            "device": {"state_dir": str(folder)},
            "recorder": {"enabled": recording},
            "mqtt": {"enabled": bool(port), "host": "127.0.0.1", "port": port or 1883},
        },
    )
    watch = StopWatch()
    bench = Bench(config, Rounds())
    clock = FollowingClock(bench.clock)
    link = PahoLink(config) if port else None
    with whole_device(config, Hardware(bench.bus, bench.pins, clock), link, WallClock(), ThreadWriter) as device:
        for method in CHIP_CALLS:
            watch.watch(bench.bus, method, "not ours")
        watch.watch(clock, "wait_until", "not ours")
        device.start()
        settle(0)
        ticks_ns: list[int] = []
        end_ns = clock.now_ns() + int((WARM_S + seconds) * 1e9)
        warm_ns = clock.now_ns() + int(WARM_S * 1e9)
        cpu_s, wall_s = time.process_time(), time.monotonic()
        began = time.perf_counter_ns()
        for frame in device.sensors.frames():  # the loop of Device.run, with a mark at each tick's end
            verdict = device.monitor.step(frame)
            for output in device.outputs:
                output.apply(frame, verdict)
            ended = time.perf_counter_ns()
            if frame.t_ns >= warm_ns:
                ticks_ns.append(ended - began - watch.spent["not ours"])
            else:
                cpu_s, wall_s = time.process_time(), time.monotonic()
            watch.spent.clear()
            began = ended
            if frame.t_ns >= end_ns:
                device.stop()
        return Run(ticks_ns, (time.process_time() - cpu_s) / (time.monotonic() - wall_s))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    mosquitto = mosquitto_here()
    if mosquitto is None:
        print("mosquitto is not installed (apt install mosquitto)", file=sys.stderr)
        return 2
    runs: dict[str, list[Run]] = {name: [] for name in ROWS}
    with tempfile.TemporaryDirectory(prefix="guardian-cost-") as name, ExitStack() as stack:
        place = Path(name)
        broker = Broker(mosquitto, place)
        broker.start()
        stack.callback(broker.kill)
        (place / "station").mkdir()
        station = Program(place / "station", broker.port, {}, {})
        stack.callback(station.kill)
        for round_ in range(args.rounds):
            for number, (row, (recording, mqtt, stationed)) in enumerate(ROWS.items()):
                if stationed:
                    station.start()
                runs[row].append(wear(place / f"{round_}-{number}", args.seconds, recording, broker.port if mqtt else 0))
                station.kill()
    print(f"µs a tick at 100 Hz, {args.rounds} rounds of {args.seconds:g} s each")
    print(f"{'':20}{'median':>8}{'p99':>8}{'ratio':>8}{'p99':>8}{'CPU %':>8}")
    first: tuple[float, float] | None = None
    for row, made in runs.items():
        ticks = [one for run in made for one in run.ticks_ns]
        middle, high = at_rank(ticks, 0.5), at_rank(ticks, 0.99)
        first = first or (middle, high)
        share = sum(run.share for run in made) / len(made)
        print(f"{row:20}{middle:8.1f}{high:8.1f}{middle / first[0]:8.2f}{high / first[1]:8.2f}{share * 100:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
