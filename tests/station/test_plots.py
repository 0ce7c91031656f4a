"""The distance trace: what nobody knows is never drawn as if somebody did."""

from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("nicegui", reason="the station extra is not installed (pip install guardian[station])")

from guardian.station.pages.plots import FAR_M, points, unknown
from guardian.station.tables import Trace

BEGAN = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=5)


def point(second: float, distance_m: float | None = 2.0, obstacle: str = "CLEAR") -> Trace:
    return Trace(device="a", slot=0, obstacle=obstacle, at=BEGAN + timedelta(seconds=second), state="GUARDING", distance_m=distance_m,
                 steps=0, cadence=0.0, battery=None, exercise="walk", session=None)  # fmt: skip


def spans(*trace: Trace) -> list[tuple[float, float]]:
    return [((begin - BEGAN).total_seconds(), (end - BEGAN).total_seconds()) for begin, end in unknown(list(trace), BEGAN, NOW)]


def test_nothing_heard_is_unknown_from_end_to_end() -> None:
    assert spans() == [(0, 300)]


def test_an_unbroken_trace_has_nothing_unknown() -> None:
    assert spans(*(point(second) for second in range(0, 301, 5))) == []


def test_before_the_first_point_and_after_a_silence_nobody_knows() -> None:
    assert spans(point(100), point(105), point(110)) == [(0, 100), (110, 300)]


def test_a_ranger_that_does_not_know_is_shaded_until_it_does() -> None:
    trace = [point(second, None if 50 <= second < 80 else 2.0, "UNKNOWN" if 50 <= second < 80 else "CLEAR") for second in range(0, 301, 5)]
    assert spans(*trace) == [(50, 80)]
    drawn = dict(points(trace))
    assert drawn[BEGAN + timedelta(seconds=60)] is None


def test_nothing_in_range_is_drawn_at_the_range_and_a_silence_breaks_the_line() -> None:
    drawn = points([point(0, None), point(5, 1.0, "STOP"), point(250, 2.0)])
    assert [value for _, value in drawn] == [FAR_M, 1.0, None, 2.0]
