"""From nothing to guarding: how long after the program is started the wearer is guarded, and what that time is made of.

usage: python -m lab.coldstart [--starts 5]

Each time a fresh interpreter (lab/coldworn.py) imports all that `guardian run` imports, then builds the whole device and ticks in real
time, on simulated chips whose wearer stands still, with writers in threads, without a broker (connecting is paho's thread's, no tick waits
for it). The simulator's own imports and making are left out. Medians; the bytecode is compiled, the files are in the page cache.

    interpreter      Python itself, from exec until its first line
    imports          all that guardian run imports (but lgpio, which exists on a Pi only)
    configuration    guardian.toml, read and checked
    construction     fall model, databases, journal, pins
    chips            reset and configured; the memory's sweep before the first tick
    settling         ticks until the verdict GUARDING

Settling is the chip's own start, estimate.level_s until the vertical is trusted and estimate.settled_s in which it must not move.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = ("interpreter", "imports", "configuration", "construction", "chips", "settling")
SLOWEST = 8  # imports shown


def start() -> dict[str, float]:
    """One cold start, s by part."""
    with tempfile.TemporaryDirectory(prefix="guardian-cold-") as folder:
        command = [sys.executable, "-m", "lab.coldworn", folder, repr(time.time())]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    times: dict[str, float] = json.loads(said)
    return times


def slow_imports() -> list[tuple[float, str]]:
    """(ms by itself and what it alone pulled in, package) of the packages behind `guardian run`, slowest first (python -X importtime)."""
    command = [sys.executable, "-X", "importtime", "-c", "import guardian.commands.run"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stderr
    packages: dict[str, float] = {}
    for own_us, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", said):
        package = name.partition(".")[0]
        packages[package] = packages.get(package, 0.0) + int(own_us) / 1000
    return sorted(((ms, name) for name, ms in packages.items()), reverse=True)


def main() -> int:
    """Start, start again, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5)
    starts = parser.parse_args().starts
    made = [start() for _ in range(starts)]
    if any("settling" not in times for times in made):
        print("a start that never guarded", file=sys.stderr)
        return 1
    ms = {part: statistics.median(times[part] for times in made) * 1000 for part in PARTS}
    whole = [sum(times[part] for part in PARTS) * 1000 for times in made]
    print(f"ms from the program's start to GUARDING, the wearer standing still; {starts} starts")
    for part in PARTS:
        print(f"{part:16}{ms[part]:8.0f}{100 * ms[part] / statistics.median(whole):6.0f} %")
    print(f"{'GUARDING':16}{statistics.median(whole):8.0f}        {min(whole):.0f} to {max(whole):.0f}")
    slowest = slow_imports()
    shown = ", ".join(f"{name} {spent:.0f}" for spent, name in slowest[:SLOWEST])
    print(f"imports by package, ms of {sum(spent for spent, _ in slowest):.0f} (-X importtime): {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
