"""A guard around an output: an exception stays in it, and becomes a fault of the next frame."""

import logging

from guardian.frame import Fault, Frame
from guardian.outputs.output import Output
from guardian.verdict import Verdict

log = logging.getLogger(__name__)


class Guarded:
    """An output that cannot stop the loop. Its failure is logged once per kind of error, and stands until an apply succeeds."""

    def __init__(self, output: Output) -> None:
        self.name = output.name
        self._output = output
        self._failed: Fault | None = None
        self._logged: set[type[Exception]] = set()

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """The output's apply."""
        try:
            self._output.apply(frame, verdict)
        except Exception as error:  # noqa: BLE001  (that is its job: one output's bug must not silence the others)
            self._failed = self._told(error)
        else:
            self._failed = None

    def faults(self) -> tuple[Fault, ...]:
        """The output's own, and its failure."""
        try:
            own = self._output.faults()
        except Exception as error:  # noqa: BLE001
            return (self._told(error),)
        return (*own, self._failed) if self._failed else own

    def close(self) -> None:
        """The output's close; one that raises is logged, and the next output still closes."""
        try:
            self._output.close()
        except Exception as error:  # noqa: BLE001
            self._told(error)

    def _told(self, error: Exception) -> Fault:
        if type(error) not in self._logged:
            self._logged.add(type(error))
            log.error("output %s failed", self.name, exc_info=error)
        return Fault("output_failed", f"{self.name}: {str(error) or type(error).__name__}")
