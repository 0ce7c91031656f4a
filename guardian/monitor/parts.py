"""The belt's motion in parts of 50 ms: what is integrated for seconds needs no more, and costs a fifth of it.

Each part holds means over its samples, the vertical's acceleration as the attitude has it: gravity taken off, but with whatever zero
error the chip has in it. So integrals of parts drift, and are only believed between moments in which the belt is known to rest
("zero-velocity update"; Foxlin 2005, IEEE Comput Graph Appl 25(6):38, for the foot) or to be as high as before.
"""

from msgspec import Struct

from guardian.monitor.estimate import G as ONE_G
from guardian.monitor.estimate import Pose

PART_NS = 50_000_000
PART_S = 0.05
EARLY_NS = 2_000_000  # a part may be shorter by this: samples at 98-107 Hz do not fall on its end


class Part(Struct, frozen=True, gc=False):
    """Some 50 ms; ends at t_ns. Accelerations without gravity, m/s²."""

    t_ns: int
    dt_s: float
    upward: float  # mean
    least: float  # of upward, over the samples
    most: float
    forward: float  # mean, level: along the trunk's forward, less gravity's share
    turning: float  # mean rate about the vertical, rad/s, + to the left
    lean_cos: float  # least: the furthest lean


class PartMemory(Struct):
    """The part that is being gathered."""

    begin_ns: int | None = None  # None: none yet
    n: int = 0
    upward: float = 0.0  # sums
    forward: float = 0.0
    turning: float = 0.0
    least: float = 0.0
    most: float = 0.0
    lean_cos: float = 1.0


def gathered(m: PartMemory, pose: Pose) -> Part | None:
    """The part that this sample completes, if it does."""
    up = pose.vertical_m_s2
    ux, uy, uz = pose.up
    gx, gy, gz = pose.gyro
    forward = pose.accel[0] - ux * (up + ONE_G)
    turning = gx * ux + gy * uy + gz * uz
    lean_cos = pose.lean_cos
    if m.begin_ns is None:
        m.begin_ns = pose.t_ns
        return None
    if m.n:
        m.n += 1
        m.upward += up
        m.forward += forward
        m.turning += turning
        if up < m.least:
            m.least = up
        elif up > m.most:
            m.most = up
        m.lean_cos = min(m.lean_cos, lean_cos)
    else:
        m.n, m.upward, m.forward, m.turning, m.least, m.most, m.lean_cos = 1, up, forward, turning, up, up, lean_cos
    since = pose.t_ns - m.begin_ns
    if since < PART_NS - EARLY_NS:
        return None
    n = m.n
    part = Part(pose.t_ns, since * 1e-9, m.upward / n, m.least, m.most, m.forward / n, m.turning / n, m.lean_cos)
    m.begin_ns, m.n = pose.t_ns, 0
    return part
