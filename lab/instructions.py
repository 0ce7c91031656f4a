"""Ticks of the whole device, marked for an emulator that counts instructions: lab/arm64.sh runs this on two architectures.

usage: qemu-aarch64 -plugin lab/instructions.so,mark=125 ... python3 -m lab.instructions [--ticks N]

The device on the bench of lab/latency.py, a person who walks backward in the open; WARM ticks first, not counted. A mark is a harmless
system call whose argument names what is counted from here on (sched_get_priority_max(2), which knows no policies but 0, 1, 2, 3, 5, 6); the
plugin knows it by its number. A mark's own 150 instructions are in what it ends. It prints a line for each: 1 drivers, outputs and loop,
2 the monitor, 3 the simulated hardware, 5 what threads of their own write on the device (recorder, logbook, events).
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from guardian.config import load
from guardian.outputs.writer import Writer
from lab.latency import at_once, on_the_bench, watch_simulated

mark: Callable[[int], int] = os.sched_get_priority_max
NOTHING, DEVICE, MONITOR, SIMULATED, WRITERS = 0, 1, 2, 3, 5
WARM = 1000


class Marked:
    """Marks the calls of methods; inside another's call, that other's mark comes back after it."""

    def __init__(self) -> None:
        self._now = NOTHING

    def on(self, now: int) -> None:
        """From here on this is counted."""
        self._now = now
        mark(now)

    def watch(self, owner: Any, method: str, what: int) -> None:
        """What one object's method does is counted as this; nothing while nothing is."""
        call: Callable[..., Any] = getattr(owner, method)

        def marked(*args: Any, **more: Any) -> Any:
            before = self._now
            if before == NOTHING:
                return call(*args, **more)
            self.on(what)
            try:
                return call(*args, **more)
            finally:
                self.on(before)

        setattr(owner, method, marked)


def main() -> int:
    """Run; the plugin prints what it counted."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ticks", type=int, default=500, help="to count (default 500)")
    ticks = arguments.parse_args().ticks
    marked = Marked()

    def writer(name: str, depth: int) -> Writer:
        inline = at_once(name, depth)
        marked.watch(inline, "submit", WRITERS)
        return inline

    with tempfile.TemporaryDirectory(prefix="guardian-instructions-") as folder:
        config = load(local=None, overrides={"device": {"state_dir": folder}})
        with on_the_bench(config, writer) as (bench, device):
            watch_simulated(lambda owner, method, _: marked.watch(owner, method, SIMULATED), bench, config)
            marked.watch(device.monitor, "step", MONITOR)
            frames = device.sensors.frames()
            for tick in range(WARM + ticks):
                if tick == WARM:
                    marked.on(DEVICE)
                frame = next(frames)
                verdict = device.monitor.step(frame)
                for output in device.outputs:
                    output.apply(frame, verdict)
            marked.on(NOTHING)
    return 0


if __name__ == "__main__":
    sys.exit(main())
