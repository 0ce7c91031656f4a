"""How a waist moves in walking: harmonics of the step, measured on real people."""

from functools import cache
from math import radians, tau
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardian.sim.rates import GAIT_RIPPLE_M_S

G = 9.80665  # m/s², standard gravity


class Waves(NamedTuple):
    """One person's gait at one speed."""

    locked: NDArray[np.complex128]  # (6, HARMONICS): x y z (m), roll pitch yaw (rad) per harmonic of the step phase
    loose: NDArray[np.float64]  # (6,): rms of what is not in step: force x y z (m/s²), rate x y z (rad/s)
    halves: NDArray[np.int64] | None = None  # of `locked`, in half steps, where it is not HARMONICS; its `loose` is then of the long noise


# Gait at the waist, harmonics of the step rate (whole: both steps alike; halves: left and right differ): amplitude slow, amplitude brisk,
# phase in degrees, as A cos(kΦ + phase) with Φ = 0 at the greatest upward acceleration. Medians over 26 people of SisFall's D01 (walk
# slowly, 91 steps/min) and D02 (walk quickly, 117), averaged in step with the vertical's first harmonic; own measurement. Forces in g,
# rates in deg/s. An inverted pendulum predicts the 90° between fore-aft and vertical.
SLOW_M_S, BRISK_M_S = 0.8, 1.4  # the speeds these cadences usually go with (not recorded in SisFall)
HARMONICS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
GAIT: dict[str, dict[float, tuple[float, float, float]]] = {
    "force_x": {1: (0.151, 0.223, 95), 2: (0.078, 0.152, 98), 3: (0.056, 0.122, 77), 4: (0.027, 0.079, 95)},
    "force_y": {0.5: (0.080, 0.105, -148), 1.5: (0.029, 0.087, -95), 2.5: (0.069, 0.113, -145)},
    "force_z": {1: (0.145, 0.387, 0), 2: (0.052, 0.083, 60), 3: (0.067, 0.091, 20), 4: (0.067, 0.067, -52), 5: (0.036, 0.058, -68)},
    "rate_x": {0.5: (8.3, 15.8, -122), 1.5: (15.3, 28.5, 136), 2.5: (2.7, 5.6, 84)},
    "rate_y": {1: (7.0, 9.2, 141), 2: (3.4, 7.9, -33), 3: (3.9, 8.0, 65), 4: (3.6, 8.5, -40)},
    "rate_z": {0.5: (19.6, 28.2, 58), 1.5: (5.8, 11.2, -110), 2.5: (5.9, 6.3, 135)},
}

# What D01 and D02 hold beside these harmonics (belt wobble, uneven steps), rms slow and brisk: root of the difference of squares between
# the recordings' median and this gait without it. Spread over LOOSE_HZ.
LOOSE_FORCE_G = ((0.08, 0.09, 0.09), (0.13, 0.13, 0.12))
LOOSE_RATE_DEG_S = ((8.0, 11.0, 13.0), (11.0, 18.0, 18.0))
LOOSE_HZ = (2.2, 9.0)


@cache
def _gait_table() -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Slow and brisk gait: rows force x y z (m/s²), rate x y z (rad/s), columns HARMONICS."""
    tables = np.zeros((2, 6, len(HARMONICS)), dtype=np.complex128)
    for row, (name, waves) in enumerate(GAIT.items()):
        unit = G if name.startswith("force") else radians(1.0)
        for harmonic, (slow, brisk, phase_deg) in waves.items():
            turn = np.exp(1j * radians(phase_deg)) * unit
            tables[:, row, HARMONICS.index(harmonic)] = slow * turn, brisk * turn
    return tables[0], tables[1]


def gait_waves(speed: float, step_rate: float, vigour: float) -> Waves:
    """Displacements (m) and angles (rad) per harmonic for walking at `speed` m/s with `step_rate` steps/s.

    Between slow and brisk linear in speed; below slow falling to 40 % at no speed, as short shuffling steps still jolt. The first fore-aft
    harmonic is set by the standard ripple of the trunk's speed.
    """
    slow, brisk = _gait_table()
    share = max(0.0, (speed - SLOW_M_S) / (BRISK_M_S - SLOW_M_S))
    size = min(1.0, 0.4 + 0.6 * speed / SLOW_M_S) * vigour
    felt = ((1 - share) * slow + share * brisk) * size
    units = np.repeat([G, radians(1.0)], 3)
    loose_slow, loose_brisk = (np.array([*force, *turn]) for force, turn in zip(LOOSE_FORCE_G, LOOSE_RATE_DEG_S, strict=True))
    loose = ((1 - share) * loose_slow + share * loose_brisk) * size * units
    first = HARMONICS.index(1.0)
    rate = tau * step_rate * np.array(HARMONICS)
    felt[0, first] *= GAIT_RIPPLE_M_S * rate[first] / abs(felt[0, first])
    angles = felt[3:] / (1j * rate)
    force = felt[:3].copy()
    force[0] += G * angles[1]  # a tilted sensor feels gravity: what is left is the path's own acceleration
    force[1] -= G * angles[0]
    return Waves(np.concatenate([-force / (rate * rate), angles]), loose)
