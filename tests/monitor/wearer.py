"""A wearer whose motion is known: IMU samples of standing, leaning, walking, falling, and SisFall's recordings, for tests of the mind.

Body axes x forward, y left, z up; a lean is a pitch about y, positive forward. `Wearer` strings movements together.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guardian.frame import ImuSample

G = 9.80665
STEP_NS = 10_000_000  # 100 Hz
Floats = NDArray[np.float64]


def turned(axis: str, degrees: float) -> Floats:
    """The matrix that turns vectors about x, y or z by the right-hand rule."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows = {"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]], "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]]}
    return np.array(rows[axis], dtype=float)


class Wearer:
    """Movements in a row, 100 Hz. `mount`: how the belt's box is turned on the body; `noise_g`, `noise_deg_s`: the sensor's, rms."""

    def __init__(self, mount: Floats | None = None, noise_g: float = 0.0, noise_deg_s: float = 0.0, bias_deg_s: float = 0.0) -> None:
        self._mount = np.eye(3) if mount is None else mount
        self._noise = noise_g * G, math.radians(noise_deg_s)
        self._bias = math.radians(bias_deg_s)
        self._random = np.random.default_rng(7)
        self._lean = 0.0
        self._t_ns = 0

    def stay(self, seconds: float) -> list[ImuSample]:
        """Do not move at all."""
        return self.move(seconds, lambda t: self._lean)

    def lean(self, to_deg: float, seconds: float, lightness: float = 0.0) -> list[ImuSample]:
        """Turn the trunk evenly to a lean; `lightness` g is missing from gravity meanwhile (the descent of a fall)."""
        start = self._lean
        return self.move(seconds, lambda t: start + (to_deg - start) * t / seconds, down=lambda t: -lightness * G)

    def walk(
        self, seconds: float, hz: float = 1.7, swing: float = 2.5, surge: float = 1.2, heels: float = 0.0, sway_deg: float = 2.0
    ) -> list[ImuSample]:
        """Walk as an inverted pendulum: `swing` m/s² vertical, `surge` m/s² forward a quarter step ahead (negative: backward, or running).

        `heels` m/s²: heel strikes at three times the step rate.
        """
        lean = self._lean

        def phase(t: float) -> float:
            return 2 * math.pi * hz * t

        return self.move(
            seconds,
            lambda t: lean + sway_deg * math.sin(phase(t)),
            down=lambda t: swing * math.cos(phase(t)) + heels * math.cos(3 * phase(t) + 1.0),
            ahead=lambda t: -surge * math.sin(phase(t)),
        )

    def move(
        self,
        seconds: float,
        lean: Callable[[float], float],
        down: Callable[[float], float] = lambda t: 0.0,
        ahead: Callable[[float], float] = lambda t: 0.0,
    ) -> list[ImuSample]:
        """Samples of a lean (degrees) and accelerations along the vertical (+ up) and ahead (m/s²), each of seconds since it began."""
        times = np.arange(round(seconds * 100)) * 0.01
        out = []
        for t in times:
            angle = lean(t)
            rate = math.radians(lean(t + 0.005) - lean(t - 0.005)) / 0.01
            body = turned("y", angle).T @ np.array([ahead(t), 0.0, G + down(t)])
            accel = self._mount.T @ body + self._random.normal(0, 1, 3) * self._noise[0]
            gyro = self._mount.T @ np.array([0.0, rate, 0.0]) + self._random.normal(0, 1, 3) * self._noise[1] + self._bias
            out.append(sample(self._t_ns, accel, gyro))
            self._t_ns += STEP_NS
        self._lean = lean(float(times[-1]) + 0.01)
        return out


def sample(t_ns: int, accel: Floats, gyro: Floats, saturated: bool = False) -> ImuSample:
    """One ImuSample of numpy vectors."""
    ax, ay, az = accel.tolist()
    gx, gy, gz = gyro.tolist()
    return ImuSample(t_ns, (ax, ay, az), (gx, gy, gz), saturated)


def recorded(sisfall: Path, trial: str, backward: bool = False) -> list[ImuSample]:
    """A SisFall trial at 100 Hz, means of two samples; `backward`: reversed in time, so that a walk becomes a backward walk."""
    counts = np.load(sisfall / f"{trial.split('_')[1]}.npz")[trial].astype(float)
    counts = counts[: len(counts) // 2 * 2].reshape(-1, 2, 6).mean(axis=1)
    chip = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], dtype=float)  # forward = +z, left = -x, up = -y of the sensor
    accel, gyro = counts[:, :3] / 256 * G @ chip.T, np.radians(counts[:, 3:] * 4000 / 65536) @ chip.T
    if backward:
        accel, gyro = accel[::-1], -gyro[::-1]
    return [
        sample(i * STEP_NS, a, g, saturated=bool(np.abs(a).max() >= 15.99 * G or np.abs(g).max() >= math.radians(1999.0)))
        for i, (a, g) in enumerate(zip(accel, gyro, strict=True))
    ]
