"""A recording as a world."""

import numpy as np
import pytest

from guardian.sim.recorded import RecordedWorld

T = np.array([0.0, 0.5, 1.0, 2.0])
ROWS = np.array([[0, 0, 9.8, 0, 0, 0], [1, 2, 9.8, 0.1, 0, 0], [2, 4, 9.8, 0.2, 0, 0], [2, 4, 5.8, 0.2, -1, 0]], dtype=float)


def felt(world: RecordedWorld, *t_s: float) -> np.ndarray:
    return world.motion(np.array([round(t * 1e9) for t in t_s], dtype=np.int64))


def test_samples_come_back_where_they_were_taken_and_linear_between() -> None:
    world = RecordedWorld(T, ROWS)
    assert np.allclose(felt(world, *T), ROWS)
    assert np.allclose(felt(world, 0.25, 1.75), [[0.5, 1, 9.8, 0.05, 0, 0], [2, 4, 6.8, 0.2, -0.75, 0]])


def test_before_and_after_the_recording_its_ends_are_held() -> None:
    world = RecordedWorld(T + 3, ROWS)
    assert (felt(world, 0.0, 2.9) == ROWS[0]).all()
    assert (felt(world, 5.1, 900.0) == ROWS[-1]).all()


def test_blocks_of_any_size_give_the_same_motion() -> None:
    rng = np.random.default_rng(1)
    world = RecordedWorld(np.cumsum(rng.uniform(0.002, 0.02, 500)), rng.normal(size=(500, 6)))
    times = np.sort(rng.integers(0, 6_000_000_000, 300))
    assert (world.motion(times) == np.concatenate([world.motion(part) for part in np.array_split(times, 97)])).all()


def test_nothing_is_behind_and_all_is_settled() -> None:
    world = RecordedWorld(T, ROWS)
    world.heard(0, True)
    assert world.echo(1_000_000_000) is None
    assert world.horizon_ns(1_000_000_000) > 10**18


@pytest.mark.parametrize(
    ("t_s", "rows", "says"),
    [
        (T[:3], ROWS, r"4, 6\).*\(3, 6\)"),
        (T, ROWS[:, :5], r"\(4, 5\)"),
        (T[:1], ROWS[:1], "at least 2"),
        (T[::-1], ROWS, r"t_s\[1\] = 1 s follows 2 s"),
        ([0, 1, 1, 2], ROWS, r"t_s\[2\] = 1 s follows 1 s"),
        ([0, 1, np.nan, 2], ROWS, r"t_s\[2\] is not a finite"),
        (T, np.where(ROWS == 5.8, np.inf, ROWS), r"samples\[3\]"),
    ],
)
def test_a_table_that_cannot_be_played_is_refused_by_name(t_s: np.ndarray, rows: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RecordedWorld(t_s, rows)
