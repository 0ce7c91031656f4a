"""A simulated device with its wearer and caregiver, and hands that break it: what the labs of faults share.

Theory of operation. A stage is the last of the device's outputs: it looks on, remembers each verdict, and is handed to acts (acts.py),
which do something to hardware, world, files or link.
"""

from collections.abc import Callable
from pathlib import Path

from guardian.config import Config, ns
from guardian.frame import Fault, Frame
from guardian.sim.bench import Bench
from guardian.sim.broker import SimLink
from guardian.sim.world import Story
from guardian.verdict import Verdict


class Stage:
    """A device, its world and its caregiver, and what came of them. Who inherits it makes `bench`, `world` and `link`."""

    name = "stage"
    bench: Bench
    world: Story
    link: SimLink  # of the program now running, or of the last one

    def __init__(self, config: Config, folder: Path, seed: int) -> None:
        self.config, self.folder, self.seed = config, folder, seed
        self.verdicts: list[Verdict] = []
        self._shared = 0  # counts beginnings and ends of another program

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Remember."""
        self.verdicts.append(verdict)

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do this so long from now."""
        self.bench.clock.schedule(self.bench.clock.now_ns() + ns(seconds), action)

    def asks(self, cmd: str, **more: str) -> None:
        """Somebody sends a command."""
        self.link.command({"v": 1, "cmd": cmd, "id": f"{cmd}-{self.bench.clock.now_ns()}", **more})

    def share_computer(self, period_s: float, stalls_s: Callable[[], float]) -> None:
        """Another program takes the computer for that long once a period, until `have_computer`."""
        self._shared += 1
        self._take_turns(self._shared, period_s, stalls_s)

    def have_computer(self) -> None:
        """It has ended."""
        self._shared += 1

    def _take_turns(self, sharing: int, period_s: float, stalls_s: Callable[[], float]) -> None:
        if sharing == self._shared:
            self.bench.stall(stalls_s())
            self.later(period_s, lambda: self._take_turns(sharing, period_s, stalls_s))


Act = Callable[[Stage], object]
