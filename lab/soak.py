"""Does it last? The whole device worn for hours: memory, threads, descriptors, the tick's punctuality, recordings rotated and pruned.

    python -m lab.soak                      # 24 simulated hours, as fast as it goes (some 25 minutes)
    python -m lab.soak --real               # 2 hours of real time at 100 Hz, a real broker where mosquitto is installed
    python -m lab.soak --real --hours 0.5

A process of its own wears the device (lab/soaked.py) on simulated chips, its wearer going to a wall and back for ever, and says each minute
(each simulated hour) how it is; the lines come as they are said, so that a run that is cut off has told what it saw. Columns:

    rss         resident memory, simulated chips and world included, MiB; blocks: memory blocks that Python has given out, thousands
    fd          open descriptors
    late        how long after its deadline a tick began: mean and 99th percentile µs, maximum ms
    drift       deadlines against the first one's grid, µs, less what ticks a whole period late have moved it: 0, or ticks drift
    files       recordings there + pruned so far; db: databases, KiB; gc: collections of the two older generations
    events      that the caregiver has / that were raised

The bars, after the first WARM share: memory grows by no more than RSS_BAR_MIB_H, threads and descriptors do not grow, drift is 0,
recordings have been rotated and pruned, no event is lost; and what the device alone holds is at most RESIDENT_BAR_MIB.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lab.durability import Broker, Subscriber, mosquitto_here
from lab.latency import machine

WARM = 1 / 12  # of the run: ten minutes of two hours, two hours of a day
RSS_BAR_MIB_H = 1.0  # 16 bytes, the smallest object, left at each tick would be 5.5
RESIDENT_BAR_MIB = 60e6 / 2**20  # 60 MB
WAIT_S = 20.0  # for the last events
HEAD = "   time     rss  blocks threads  fd  late µs   p99  max ms  drift  files       db        gc   events  faults so far"


def line(sample: dict[str, Any], arrived: int | None) -> str:
    """A row of the table."""
    minutes = round(sample["t_s"] / 60)
    files = f"{sample['files']}+{sample['pruned']}"
    gc = "/".join(map(str, sample["collections"][1:]))
    events = f"{'-' if arrived is None else arrived}/{sample['events']}"
    return (
        f"{minutes // 60:4d}:{minutes % 60:02d} {sample['rss_mib']:7.2f} {sample['blocks'] / 1000:7.1f} {sample['threads']:7d}"
        f" {sample['descriptors']:3d} {sample['late_mean_us']:8.0f} {sample['late_p99_us']:5.0f} {sample['late_max_us'] / 1000:7.1f}"
        f" {sample['drift_us']:6.1f} {files:>6} {sample['databases_kib']:8.0f} {gc:>9} {events:>8}  {' '.join(sample['faults'])}"
    )


def slope(samples: list[dict[str, Any]], key: str) -> float:
    """Least squares: how much it grows an hour."""
    hours = [one["t_s"] / 3600 for one in samples]
    values = [one[key] for one in samples]
    middle, mean = sum(hours) / len(hours), sum(values) / len(values)
    spread = sum((hour - middle) ** 2 for hour in hours)
    return sum((hour - middle) * (value - mean) for hour, value in zip(hours, values, strict=True)) / spread


def judged(samples: list[dict[str, Any]], opening: dict[str, float], hours: float, lost: int) -> bool:
    """The bars, printed each with what was seen; whether all are kept."""
    warm = [one for one in samples if one["t_s"] >= hours * 3600 * WARM]
    first, last = warm[: len(warm) // 2], warm[len(warm) // 2 :]
    alone_mib = max(one["rss_mib"] for one in warm) - opening["simulation_mib"] - opening["lab_imports_mib"]
    growth = slope(warm, "rss_mib")
    more = {key: max(one[key] for one in last) - max(one[key] for one in first) for key in ("threads", "descriptors")}
    ticks, drift_us = samples[-1]["ticks"], max(abs(one["drift_us"]) for one in samples)
    excused_ms, rotated = samples[-1]["excused_ms"], samples[-1]["files"] + samples[-1]["pruned"]
    met = {
        f"memory grows by {growth:.3f} MiB/h, {slope(warm, 'blocks'):.0f} blocks/h (bar {RSS_BAR_MIB_H})": growth <= RSS_BAR_MIB_H,
        f"{more['threads']} threads more, {more['descriptors']} descriptors more (bar 0)": max(more.values()) <= 0,
        f"{ticks} ticks drift by {drift_us:.1f} µs (bar 0; ticks 10 ms late or more moved the grid by {excused_ms:.0f} ms)": drift_us == 0,
        f"{rotated} recordings, {samples[-1]['pruned']} of them pruned (bar: some)": samples[-1]["pruned"] > 0,
        f"{lost} of {samples[-1]['events']} events lost (bar 0)": lost == 0,
        f"the device alone is {alone_mib:.1f} MiB at most: imports of guardian run {opening['imports_mib']:.1f}, the rest"
        f" {alone_mib - opening['imports_mib']:.1f} (bar {RESIDENT_BAR_MIB:.1f} MiB = 60 MB; not counted: simulated hardware and world"
        f" {opening['simulation_mib']:.1f}, lab {opening['lab_imports_mib']:.1f})": alone_mib <= RESIDENT_BAR_MIB,
    }
    for words, kept in met.items():
        print("kept  " if kept else "MISSED", words)
    return all(met.values())


def main() -> int:
    """Wear it, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true", help="in real time (default: simulated)")
    parser.add_argument("--hours", type=float, help="default 24 simulated or 2 real")
    args = parser.parse_args()
    hours = args.hours or (2.0 if args.real else 24.0)
    every_s = 60.0 if args.real else max(60.0, hours * 150)  # a simulated hour of a day
    samples: list[dict[str, Any]] = []
    opening: dict[str, float] = {}
    with ExitStack() as stack:
        # simulated time writes a day's recordings in half an hour: in memory where there is such a place, since its fsyncs wear a disk
        memory = None if args.real or not Path("/dev/shm").is_dir() else "/dev/shm"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="guardian-soak-", dir=memory)))
        mosquitto = mosquitto_here() if args.real else None
        port, subscriber = 0, None
        if mosquitto:
            broker = Broker(mosquitto, folder)
            broker.start()
            stack.callback(broker.kill)
            port, subscriber = broker.port, Subscriber(broker.port, 5, receipts=True)
            stack.callback(subscriber.close)
            subscriber.ready.wait(10)
        kind = "real" if args.real else "simulated"
        who = (
            "mosquitto and a caregiver" if mosquitto else "no mosquitto, no caregivers" if args.real else "a simulated broker and caregiver"
        )
        print(f"{hours:g} {kind} hours at 100 Hz, {who}; {machine()}, Python {sys.version.split()[0]}", flush=True)
        arguments = [str(folder / "state"), str(hours), str(every_s), str(port), kind]
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.soaked", *arguments], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
        )
        stack.callback(process.kill)
        began_s = time.monotonic()
        assert process.stdout is not None
        for said in process.stdout:
            heard: dict[str, Any] = json.loads(said)
            if not opening:
                opening = heard
                print(HEAD, flush=True)
                continue
            samples.append(heard)
            print(line(heard, len(subscriber.ids()) if subscriber else None), flush=True)
        code = process.wait()
        print(f"{time.monotonic() - began_s:.0f} s")
        if code or len(samples) < 4:
            print(f"it ended with {code} after {len(samples)} samples", file=sys.stderr)
            return 1
        lost = 0
        if subscriber:
            until_s = time.monotonic() + WAIT_S
            while (lost := max(0, samples[-1]["events"] - len(subscriber.ids()))) and time.monotonic() < until_s:
                time.sleep(0.2)
    return 0 if judged(samples, opening, hours, lost) else 1


if __name__ == "__main__":
    sys.exit(main())
