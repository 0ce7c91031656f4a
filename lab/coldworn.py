"""The process that lab.coldstart starts: imports, builds and wears the device until it guards, and says when each was done.

Everything before the first line of `imports` is Python's own. Times in s; what the simulator takes is told apart.
"""

import sys
import time

HERE_S = time.time()
BEGAN_S = time.perf_counter()

import guardian.commands.run  # noqa: E402, F401  (all that the worn program imports, and nothing before it)

IMPORTED_S = time.perf_counter()

import json  # noqa: E402

from guardian.app import settle, whole_device  # noqa: E402
from guardian.config import load  # noqa: E402
from guardian.hardware import Hardware  # noqa: E402
from guardian.outputs.wall import WallClock  # noqa: E402
from guardian.outputs.writer import ThreadWriter  # noqa: E402
from guardian.sim.bench import Bench  # noqa: E402
from guardian.sim.person import Person  # noqa: E402
from guardian.sim.phases import Stand  # noqa: E402
from guardian.sim.world import Story  # noqa: E402
from guardian.verdict import State  # noqa: E402
from lab.latency import FollowingClock  # noqa: E402

LIMIT_S = 20.0


def main(folder: str, exec_s: float) -> None:
    """One start; a line of JSON."""
    times = {"interpreter": HERE_S - exec_s, "imports": IMPORTED_S - BEGAN_S}
    configured_s = time.perf_counter()
    config = load(local=None, overrides={"device": {"state_dir": folder}})
    times["configuration"] = time.perf_counter() - configured_s
    bench = Bench(config, Story(Person(), (Stand(60),)))
    clock = FollowingClock(bench.clock)
    built_s = time.perf_counter()
    device = whole_device(config, Hardware(bench.bus, bench.pins, clock), None, WallClock(), ThreadWriter)
    started_s = time.perf_counter()
    times["construction"] = started_s - built_s
    with device:
        device.start()
        settle(0)
        ticking_s = time.perf_counter()
        times["chips"] = ticking_s - started_s
        for frame in device.sensors.frames():
            verdict = device.monitor.step(frame)
            for output in device.outputs:
                output.apply(frame, verdict)
            now_s = time.perf_counter() - ticking_s
            if verdict.state is State.GUARDING:
                times["settling"] = now_s
            if verdict.state is State.GUARDING or now_s > LIMIT_S:
                device.stop()
    print(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
