"""The same movement as another belt, another chip and a worse sensor would feel it. All of it in training only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guardian.config import CHIP_LSB
from guardian.sim.inertial import taps

Array = NDArray[np.float64]
FINE = 8  # steps of the chip's grid to a sample


@dataclass(frozen=True)
class Ranges:
    """Uniform, ± unless two numbers."""

    yaw_deg: float = 35.0  # how far round the hip the box sits
    tilt_deg: float = 22.0  # how the belt leans, in any direction
    accel_scale: float = 0.05  # each axis
    gyro_scale: float = 0.03
    accel_bias_m_s2: float = 0.8  # MPU-6050: ±50-80 mg zero-g; SisFall's own sensor reads 0.83-1.17 g at rest
    gyro_bias_rad_s: float = 0.02
    accel_noise_m_s2: float = 0.02
    gyro_noise_rad_s: float = 0.002
    rate_hz: tuple[float, float] = (97.5, 107.5)  # MPU 100, LSM 104, and their oscillators
    accel_band_hz: tuple[float, float] = (33.0, 52.0)
    gyro_band_hz: tuple[float, float] = (33.0, 45.0)
    pace: float = 0.14  # ± natural logarithm: the same movement by somebody quicker or slower
    gyro_wrong: float = 0.06  # share of activities whose gyroscope reads 2-8 times too much, as two trials of SisFall's SE07 do: no fall


RANGES = Ranges()


def turn(axis: tuple[float, float, float], angle_deg: float) -> Array:
    """Rotation matrix about a unit axis (Rodrigues)."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_deg)
    turned: Array = np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k
    return turned


def worn_otherwise(values: Array, yaw_deg: float, tilt_deg: float, toward_deg: float) -> Array:
    """(n, 7) as a box would feel it that is turned about the vertical, then tilted toward a direction."""
    toward = np.radians(toward_deg)
    rotation = turn((float(np.cos(toward)), float(np.sin(toward)), 0.0), tilt_deg) @ turn((0.0, 0.0, 1.0), yaw_deg)
    other = values.copy()
    other[:, 1:4] = values[:, 1:4] @ rotation.T
    other[:, 4:7] = values[:, 4:7] @ rotation.T
    return other


def disturbed(rng: np.random.Generator, values: Array, activity: bool, by: Ranges = RANGES) -> tuple[Array, NDArray[np.bool_], float]:
    """A trial (n, 7) as a random chip on a random belt samples it: (m, 7), which rows were at full scale, how many times quicker it is."""
    pace = float(np.exp(rng.uniform(-by.pace, by.pace)))
    worn = worn_otherwise(values, rng.uniform(-by.yaw_deg, by.yaw_deg), rng.uniform(0, by.tilt_deg), rng.uniform(0, 360))
    worn[:, 0] = (worn[:, 0] - worn[0, 0]) / pace
    worn[:, 4:7] *= pace  # turned as far in less time; the force is left: how it grows depends on what makes it
    worn[:, 1:4] *= 1 + rng.uniform(-by.accel_scale, by.accel_scale, 3)
    worn[:, 4:7] *= 1 + rng.uniform(-by.gyro_scale, by.gyro_scale, 3)
    if activity and rng.random() < by.gyro_wrong:
        worn[:, 4:7] *= rng.uniform(2, 8)
    rows, full = sampled(rng, worn, by)
    return rows, full, pace


def sampled(rng: np.random.Generator, values: Array, by: Ranges = RANGES) -> tuple[Array, NDArray[np.bool_]]:
    """Low-passed, sampled at the chip's rate, biased, noisy, in counts."""
    step_s = 1 / (FINE * rng.uniform(*by.rate_hz))
    t_s = values[:, 0] - values[0, 0]
    grid = np.arange(0, t_s[-1], step_s)
    columns = []
    bands = (rng.uniform(*by.accel_band_hz), rng.uniform(*by.gyro_band_hz))
    for column in range(1, 7):
        fine = np.interp(grid, t_s, values[:, column])
        response = taps(bands[column > 3], None, step_s)
        columns.append(np.convolve(np.concatenate((np.full(len(response) - 1, fine[0]), fine)), response, "valid"))
    first = int(rng.integers(0, FINE))
    rows = np.column_stack((grid, *columns))[first::FINE]
    accel_lsb, gyro_lsb = CHIP_LSB["lsm6dsox"]
    full = np.zeros(len(rows), dtype=np.bool_)
    for axes, bias, noise, lsb in (
        (slice(1, 4), by.accel_bias_m_s2, by.accel_noise_m_s2, accel_lsb),
        (slice(4, 7), by.gyro_bias_rad_s, by.gyro_noise_rad_s, gyro_lsb),
    ):
        felt = rows[:, axes] + rng.uniform(-bias, bias, 3) + rng.normal(0, noise, (len(rows), 3))
        counts = np.clip(np.floor(felt / lsb + 0.5), -32768, 32767)
        full |= (np.abs(counts) >= 32767).any(axis=1)
        rows[:, axes] = counts * lsb
    return rows, full
