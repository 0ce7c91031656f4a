"""One output's failure stays in it."""

import logging

import pytest

from guardian.frame import Fault, Frame
from guardian.outputs.guard import Guarded
from guardian.verdict import Gap, Motion, Obstacle, State, Verdict

VERDICT = Verdict(0, State.GUARDING, Obstacle.CLEAR, None, (), Motion(), Gap(), None, None, "walk")


class Siren:
    """An output that breaks when told to."""

    name = "siren"

    def __init__(self) -> None:
        self.breaks: Exception | None = None
        self.applied = 0

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        if self.breaks:
            raise self.breaks
        self.applied += 1

    def faults(self) -> tuple[Fault, ...]:
        if isinstance(self.breaks, LookupError):
            raise self.breaks
        return (Fault("supply_low"),)

    def close(self) -> None:
        if self.breaks:
            raise self.breaks


def test_a_sound_output_passes_through() -> None:
    siren = Siren()
    guarded = Guarded(siren)
    guarded.apply(Frame(0), VERDICT)
    assert (guarded.name, siren.applied, guarded.faults()) == ("siren", 1, (Fault("supply_low"),))


def test_failure_is_a_fault_until_an_apply_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    siren = Siren()
    guarded = Guarded(siren)
    siren.breaks = OSError(5, "Input/output error")
    for n in range(100):
        guarded.apply(Frame(n), VERDICT)
    assert guarded.faults() == (Fault("supply_low"), Fault("output_failed", "siren: [Errno 5] Input/output error"))
    assert len(caplog.records) == 1
    siren.breaks = ZeroDivisionError()
    guarded.apply(Frame(100), VERDICT)
    assert guarded.faults()[-1] == Fault("output_failed", "siren: ZeroDivisionError")
    assert len(caplog.records) == 2
    siren.breaks = None
    guarded.apply(Frame(101), VERDICT)
    assert guarded.faults() == (Fault("supply_low"),)


def test_faults_that_cannot_be_asked_for_are_a_fault() -> None:
    siren = Siren()
    siren.breaks = KeyError("battery")
    assert Guarded(siren).faults() == (Fault("output_failed", "siren: 'battery'"),)


def test_close_that_raises_is_logged_and_the_next_output_still_closes(caplog: pytest.LogCaptureFixture) -> None:
    siren = Siren()
    siren.breaks = OSError("pin lost")
    Guarded(siren).close()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_ctrl_c_is_no_failure_of_an_output() -> None:
    siren = Siren()
    siren.breaks = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        Guarded(siren).apply(Frame(0), VERDICT)
