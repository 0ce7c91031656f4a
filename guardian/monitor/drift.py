"""The place on a treadmill's belt: drifting toward the console, or off the open end.

Theory of operation. Who walks backward on a treadmill stands turned round: the console is behind, and the belt carries them forward, off
its open end. Speed over the belt says nothing of either, so no time to collision is asked for; the distance to the console is the place.
It is measured as the mean over the first `drift_learn_s` of walking, and held against the believed track from then on:

    open end | <-- off: farther from the console      o))  ----- distance ----- | console behind
    of belt  |                                  into: nearer -->                |

Every ping since counts through its track's line, and only a track that has averaged a step, so neither ghosts nor gait move the answer.
A warning ends drift_release_m inside its limit. CAUTION goes quiet once the drift has not grown for quiet_after_s (another place may be
kept on purpose); STOP sounds as long as the wearer walks there. A wearer who has not walked for drift_relearn_s is measured anew.
Farther than drift_reference_m there is no console: then nothing is known, and after drift_missing_s of walking that is said.
"""

from msgspec import Struct

from guardian.config import Config, Exercise, ns
from guardian.monitor.gait import Stride
from guardian.verdict import Obstacle


class Drifted(Struct, frozen=True, gc=False):
    """The place in one tick."""

    obstacle: Obstacle
    off_end: bool = False  # away from the console; False: into it
    sounding: bool = False
    missing: bool = False  # nothing to measure against, and it is to be said


class DriftMemory(Struct):
    """All that changes."""

    console_m: float | None = None  # measured at start
    since_ns: int | None = None  # measuring began
    total_m: float = 0.0  # of the pings measured so far
    pings: int = 0
    ping_ns: int = 0
    walked_ns: int | None = None  # last tick of walking; None: not since the last measurement was dropped
    seen_ns: int | None = None  # last tick with a reference, or without walking
    obstacle: Obstacle = Obstacle.CLEAR
    off_end: bool = False
    worst_m: float = 0.0  # of this warning
    grew_ns: int = 0


class Drift:
    """Judges the place; see the module's docstring."""

    def __init__(self, config: Config) -> None:
        c = config.obstacle
        self._learn_ns = ns(c.drift_learn_s)
        self._relearn_ns = ns(c.drift_relearn_s)
        self._missing_ns = ns(c.drift_missing_s)
        self._quiet_ns = ns(c.quiet_after_s)
        self._reference_m = c.drift_reference_m
        self._release_m = c.drift_release_m
        self._grew_m = c.near_release_m  # less is the line's own wobble

    def step(
        self, m: DriftMemory, t_ns: int, ping_ns: int, distance_m: float | None, sure: bool, stride: Stride | None, exercise: Exercise
    ) -> Drifted:
        """One tick. `distance_m`: of the believed track at its last ping, at `ping_ns`; None without one; `sure`: it averages a step."""
        walking = stride is None or stride.walking
        if walking:
            m.walked_ns = t_ns
        elif m.walked_ns is not None and t_ns - m.walked_ns > self._relearn_ns:
            m.console_m = m.since_ns = m.walked_ns = None
            m.obstacle, m.worst_m = Obstacle.CLEAR, 0.0
        if distance_m is None or distance_m > self._reference_m:
            if not walking or m.seen_ns is None:
                m.seen_ns = t_ns
            return Drifted(Obstacle.UNKNOWN, missing=t_ns - m.seen_ns >= self._missing_ns)
        m.seen_ns = t_ns
        if sure and ping_ns != m.ping_ns:
            m.ping_ns = ping_ns
            if m.console_m is None:
                self._measure(m, t_ns, distance_m, walking)
            else:
                self._judge(m, t_ns, distance_m - m.console_m, exercise)
        grows = t_ns - m.grew_ns < self._quiet_ns
        sounds = (m.obstacle is Obstacle.CAUTION and grows) or (m.obstacle is Obstacle.STOP and (grows or walking))
        return Drifted(m.obstacle, m.off_end, sounds)

    def _measure(self, m: DriftMemory, t_ns: int, distance_m: float, walking: bool) -> None:
        if m.since_ns is None:
            if not walking:
                return
            m.since_ns, m.total_m, m.pings = t_ns, 0.0, 0
        m.total_m += distance_m
        m.pings += 1
        if t_ns - m.since_ns >= self._learn_ns:
            m.console_m, m.since_ns = m.total_m / m.pings, None

    def _judge(self, m: DriftMemory, t_ns: int, off_m: float, exercise: Exercise) -> None:
        size_m, was = abs(off_m), m.obstacle
        stop_m, caution_m = exercise.drift_stop_m or 0.0, exercise.drift_caution_m or 0.0
        m.off_end = off_m > 0.0
        if size_m >= stop_m - (self._release_m if was is Obstacle.STOP else 0.0):
            m.obstacle = Obstacle.STOP
        elif size_m >= caution_m - (self._release_m if was is not Obstacle.CLEAR else 0.0):
            m.obstacle = Obstacle.CAUTION
        else:
            m.obstacle, m.worst_m = Obstacle.CLEAR, 0.0
            return
        if size_m > m.worst_m + self._grew_m or (m.obstacle is Obstacle.STOP and was is not Obstacle.STOP):
            m.worst_m, m.grew_ns = max(size_m, m.worst_m), t_ns
