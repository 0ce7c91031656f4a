"""What every output is."""

from typing import Protocol

from guardian.frame import Fault, Frame
from guardian.verdict import Verdict


class Output(Protocol):
    """Acts on verdicts, one a tick, in the loop's thread: an apply that waits is an apply that is wrong."""

    name: str

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Act on one tick."""

    def faults(self) -> tuple[Fault, ...]:
        """What stands in this output now; it is in the next frame."""
        ...

    def close(self) -> None:
        """Leave the world as it should be when the program is gone."""
