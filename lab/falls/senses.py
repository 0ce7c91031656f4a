"""What the network is shown: samples through the device's own attitude and gait, as the device's own ten inputs.

Steps are SAMPLES samples each: `x` (steps, 20) int16 of 1/INPUT_ONE, `t_s` the time of a step's last sample.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardian.config import Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude, Pose
from guardian.monitor.fall import FORCE, HOLE_NS, RATE, SAMPLES, SPEED, Learned, RuleState
from guardian.monitor.gait import Gait, Stride
from guardian.monitor.network import INPUT_ONE, INT16

Steps = NDArray[np.int16]
UNITS = np.array([FORCE] * 3 + [RATE] * 3 + [INPUT_ONE] * 3 + [SPEED])
NOWHERE = (0.0, 0.0, 0.0)  # the vertical without a trusted attitude


@dataclass(frozen=True)
class Sensed:
    """One trial as the network sees it."""

    t_s: NDArray[np.float64]
    x: Steps


class Ear:
    """A fall rule that never fires and keeps what the learned rule would be shown; times from `start_ns` on."""

    name = "ear"

    def __init__(self, start_ns: int = 0) -> None:
        self._start_ns = start_ns
        self._last_ns: int | None = None
        self._speed = 0
        self._rows: list[tuple[float, ...]] = []
        self._times: list[int] = []

    def step(self, pose: Pose, state: RuleState) -> tuple[float, RuleState]:
        """See guardian.monitor.fall.Rule."""
        dt = 0 if self._last_ns is None else pose.t_ns - self._last_ns
        self._last_ns = pose.t_ns
        self._speed = Learned.speed(pose, self._speed, dt if 0 < dt <= HOLE_NS else 0)
        self._rows.append((*pose.accel, *pose.gyro, *(pose.up if pose.trusted else NOWHERE), self._speed * 1e-6))
        self._times.append(pose.t_ns - self._start_ns)
        return 0.0, state

    def heard(self) -> Sensed:
        """All of it so far, in the whole numbers of Learned.inputs (a test holds them equal)."""
        n = len(self._rows) // SAMPLES * SAMPLES
        rows = np.trunc(np.array(self._rows[:n]) * UNITS)
        whole = np.clip(rows, -INT16, INT16).astype(np.int16).reshape(n // SAMPLES, -1)
        return Sensed(np.array(self._times[SAMPLES - 1 : n : SAMPLES]) * 1e-9, whole)


def sensed(config: Config, rows: NDArray[np.float64], full: NDArray[np.bool_]) -> Sensed:
    """Samples (n, 7) in nominal body axes, and which were at full scale."""
    attitude, gait, stride, ear = Attitude(config), Gait(config), Stride(), Ear()
    times = (rows[:, 0] * 1e9).astype(np.int64).tolist()
    for t_ns, (_, ax, ay, az, gx, gy, gz), saturated in zip(times, rows.tolist(), full.tolist(), strict=True):
        pose = attitude.step(ImuSample(t_ns, (ax, ay, az), (gx, gy, gz), saturated), stride.walking)
        stride = gait.step(pose)
        ear.step(pose, ())
    return ear.heard()
