"""Parts of 50 ms, sample by sample."""

import math

import msgspec
import pytest

from guardian.monitor.estimate import Pose
from guardian.monitor.parts import EARLY_NS, PART_NS, Part, PartMemory, gathered
from guardian.verdict import Posture

from .wearer import G

MS = 1_000_000


def pose(t_ns: int, upward: float = 0.0, ahead: float = 0.0, turning: float = 0.0, lean_deg: float = 0.0) -> Pose:
    """A trunk that leans forward by `lean_deg` and, in the world's level axes, accelerates and turns."""
    s, c = math.sin(math.radians(lean_deg)), math.cos(math.radians(lean_deg))
    up = (-s, 0.0, c)
    accel = (ahead - s * (G + upward), 0.0, c * (G + upward))
    gyro = (-s * turning, 0.0, c * turning)
    return Pose(t_ns, Posture.UPRIGHT, c, up, upward, accel, gyro, 1.0, True, False, True)


def test_a_part_holds_the_means_the_extremes_and_the_furthest_lean_of_its_samples() -> None:
    memory = PartMemory()
    assert gathered(memory, pose(0, upward=99.0, ahead=99.0, turning=99.0, lean_deg=60.0)) is None, "the end of what was before"
    for first_ns in (0, 50 * MS):
        told = [
            gathered(memory, pose(first_ns + 10 * MS, upward=1.0, ahead=0.5, turning=0.1, lean_deg=20.0)),
            gathered(memory, pose(first_ns + 20 * MS, upward=-3.0, ahead=1.5, turning=0.2, lean_deg=5.0)),
            gathered(memory, pose(first_ns + 30 * MS, upward=4.0, ahead=-1.0, turning=0.6)),
            gathered(memory, pose(first_ns + 40 * MS, upward=0.0, ahead=2.0, turning=-0.4)),
            gathered(memory, pose(first_ns + 50 * MS, upward=2.0, ahead=0.0, turning=0.5)),
        ]
        assert told[:4] == [None] * 4
        part = told[4]
        assert part is not None
        assert (part.t_ns, part.least, part.most) == (first_ns + 50 * MS, -3.0, 4.0)
        assert part.dt_s == pytest.approx(0.05, abs=1e-12)
        assert (part.upward, part.forward, part.turning) == pytest.approx((0.8, 0.6, 0.2), abs=1e-12)
        assert part.lean_cos == pytest.approx(math.cos(math.radians(20.0)), abs=1e-12)


@pytest.mark.parametrize("axis", range(3))
def test_turning_is_about_the_vertical_wherever_it_points(axis: int) -> None:
    up, gyro = [0.0, 0.6, 0.8], [0.3, -0.2, 0.7]
    up, gyro = up[axis:] + up[:axis], gyro[axis:] + gyro[:axis]
    memory = PartMemory()
    part: Part | None = None
    for t_ns in (0, PART_NS):
        one = Pose(
            t_ns, Posture.UPRIGHT, up[2], (up[0], up[1], up[2]), 0.0, (0.0, 0.0, G), (gyro[0], gyro[1], gyro[2]), 1.0, True, False, True
        )
        part = gathered(memory, one)
    assert part is not None
    assert part.turning == pytest.approx(0.6 * -0.2 + 0.8 * 0.7)


def test_a_snapshot_in_the_middle_of_a_part_is_everything() -> None:
    told = []
    for forgets in (False, True):
        memory = PartMemory()
        for i in range(20):
            if forgets:
                memory = msgspec.convert(msgspec.to_builtins(memory), PartMemory)
            told.append(gathered(memory, pose(i * 10 * MS, upward=i, ahead=-i, turning=0.1 * i, lean_deg=i)))
    assert told[:20] == told[20:]
    assert len([part for part in told if part]) == 6


def test_a_part_may_be_two_milliseconds_short_and_no_nanosecond_more() -> None:
    assert EARLY_NS == 2 * MS
    for begin_ns in (0, 7):
        memory = PartMemory()
        assert gathered(memory, pose(begin_ns)) is None
        assert gathered(memory, pose(begin_ns + 48 * MS - 1)) is None
        part = gathered(memory, pose(begin_ns + 48 * MS))
        assert part is not None
        assert part.dt_s == pytest.approx(0.048, abs=1e-12)
