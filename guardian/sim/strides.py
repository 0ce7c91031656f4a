"""How a trainee's waist moves in walking, running and on stairs: measured harmonics, scaled by size and speed, varied by person.

Walking: medians over 26 people of SisFall's D01 (slowly, 91 steps/min) and D02 (quickly, 117); running: D03 (160) and D04 (165); own
measurement, averaged in step with the vertical's first harmonic, as in gait.py but up to the eighth and with how far people's phases
spread. Physics agrees: a spring-mass runner who is on the ground for a share β of the step (Blickhan 1989) has a first harmonic of
2 cos(πβ) / (1 - 4β²) g: 0.85 at β = 0.9, 1.13 at 0.75. Backward running is harder than forward (greatest upward acceleration 15.7 against
13.2 m/s² over 3-17 km/h: Cavagna, Legramandi & La Torre 2012, J Exp Biol 215:75), at shorter, quicker steps.

People of other leg length move alike at the same Froude number v² / (g leg) (Alexander; Vaughan & O'Malley 2005, Gait Posture 21:350):
forces in g stay, speeds go with the root of the length, rates with its inverse.
"""

from functools import cache
from math import radians, sqrt, tau
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from guardian.sim.gait import LOOSE_FORCE_G, LOOSE_RATE_DEG_S, G, Waves

Table = dict[str, dict[float, tuple[float, float, float, float]]]  # axis -> harmonic -> slow, brisk (g or deg/s), phase, its spread (deg)
Array = NDArray[np.float64]

LEG_M = 0.9  # of the people measured: 0.53 of 1.70 m

WALK: Table = {
    "force_x": {
        1: (0.151, 0.223, 96, 15), 2: (0.078, 0.153, 104, 30), 3: (0.056, 0.125, 86, 43), 4: (0.029, 0.085, 114, 63),
        5: (0.015, 0.058, 155, 59), 6: (0.019, 0.057, 180, 52), 7: (0.015, 0.037, -168, 68), 8: (0.006, 0.025, -159, 96),
    },
    "force_y": {
        0.5: (0.076, 0.104, -147, 20), 1.5: (0.030, 0.089, -84, 60), 2.5: (0.070, 0.116, -144, 42),
        3.5: (0.058, 0.074, 119, 59), 4.5: (0.051, 0.061, 58, 56),
    },
    "force_z": {
        1: (0.140, 0.391, 0, 2), 2: (0.049, 0.083, 84, 90), 3: (0.067, 0.095, 23, 75), 4: (0.070, 0.071, -51, 51),
        5: (0.038, 0.063, -74, 69), 6: (0.020, 0.034, -102, 77), 7: (0.011, 0.023, -98, 81), 8: (0.008, 0.013, -95, 90),
    },
    "rate_x": {
        0.5: (8.2, 15.8, -131, 40), 1.5: (15.3, 28.5, 138, 13), 2.5: (2.6, 5.9, 83, 55), 3.5: (3.2, 5.8, 5, 71), 4.5: (1.7, 3.4, -32, 70),
    },
    "rate_y": {
        1: (6.7, 9.2, 141, 52), 2: (3.6, 8.1, -29, 74), 3: (3.6, 8.3, 61, 114), 4: (3.6, 9.3, -42, 81),
        5: (3.0, 8.1, -58, 65), 6: (3.0, 5.4, -65, 61), 7: (1.9, 3.9, -83, 72),
    },
    "rate_z": {
        0.5: (19.7, 28.3, 63, 37), 1.5: (6.0, 11.4, -122, 88), 2.5: (6.2, 6.5, 135, 70), 3.5: (3.3, 4.6, 34, 72), 4.5: (3.6, 4.1, 9, 67),
    },
}  # fmt: skip

RUN: Table = {
    "force_x": {
        1: (0.302, 0.464, -53, 17), 2: (0.102, 0.209, -18, 68), 3: (0.100, 0.190, 74, 66), 4: (0.113, 0.164, 170, 78),
        5: (0.126, 0.179, -100, 67), 6: (0.131, 0.153, -39, 68), 7: (0.097, 0.115, 13, 78), 8: (0.079, 0.104, 59, 80),
        9: (0.057, 0.066, 100, 85), 10: (0.032, 0.044, 134, 95),
    },
    "force_y": {
        0.5: (0.053, 0.092, -134, 48), 1.5: (0.096, 0.161, -3, 105), 2.5: (0.200, 0.261, 162, 115),
        3.5: (0.146, 0.213, 63, 102), 4.5: (0.082, 0.119, -166, 120),
    },
    "force_z": {
        1: (0.946, 1.251, 0, 0), 2: (0.246, 0.310, 57, 60), 3: (0.241, 0.419, 98, 70), 4: (0.119, 0.120, -156, 112),
        5: (0.084, 0.078, -52, 103), 6: (0.058, 0.055, -1, 120), 7: (0.036, 0.041, 115, 112), 8: (0.025, 0.027, -176, 98),
        9: (0.017, 0.022, -120, 110), 10: (0.013, 0.015, -52, 110),
    },
    "rate_x": {
        0.5: (28.1, 37.2, -68, 93), 1.5: (32.0, 57.2, -86, 89), 2.5: (19.3, 26.2, -9, 106), 3.5: (11.9, 16.6, 22, 90),
        4.5: (4.8, 9.4, 44, 112),
    },
    "rate_y": {
        1: (30.7, 30.2, -26, 51), 2: (22.6, 26.8, 135, 73), 3: (19.7, 40.0, 131, 106), 4: (20.6, 23.9, -22, 105),
        5: (13.0, 13.9, 5, 84), 6: (8.7, 11.1, 68, 104), 7: (6.6, 8.1, 85, 112), 8: (4.7, 7.0, 100, 112),
        9: (3.2, 5.0, 155, 112), 10: (2.2, 3.3, 175, 112),
    },
    "rate_z": {
        0.5: (29.8, 49.4, -144, 80), 1.5: (13.0, 13.4, -63, 120), 2.5: (7.7, 11.0, 11, 97), 3.5: (6.3, 7.5, -16, 116),
        4.5: (4.4, 6.4, -70, 120),
    },
}  # fmt: skip

# On stairs the climb itself lifts the belt (striding.py); what is left is walking's, in sizes at which D05 (74 steps/min) agrees
# (lab/walkers.py). Above RUN_STAIRS it is running's: D06, at 139 steps/min, is run.
STAIRS_SIZE = {"force_x": 1.0, "force_y": 1.05, "force_z": 1.1, "rate_x": 1.15, "rate_y": 1.5, "rate_z": 1.05}
STAIRS: Table = {
    axis: {
        k: (STAIRS_SIZE[axis] * a * (0.4 if (axis, k) == ("force_z", 1) else 1.0), 1.25 * STAIRS_SIZE[axis] * a, turned, wide)
        for k, (a, _, turned, wide) in row.items()
    }
    for axis, row in WALK.items()
}
RUN_STAIRS = 1.8  # steps/s

HALVES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20], dtype=np.int64)  # the harmonics, in half steps
WHOLE = HALVES % 2 == 0
IN_STEP = np.array([True, False, True, False, True, False])  # axes on which both steps are alike: x, z and pitch

RUN_LOOSE = ((0.20, 0.22, 0.20, 27.0, 28.0, 28.0), (0.28, 0.32, 0.28, 38.0, 42.0, 42.0))  # as gait.py's LOOSE_*, D03 and D04


class Pace(NamedTuple):
    """One way to go: its table, the speeds it was measured at, and what of it is left at no speed."""

    table: Table
    slow_m_s: float
    brisk_m_s: float
    at_rest: float
    loose: tuple[tuple[float, ...], tuple[float, ...]]  # rms slow and brisk: g, deg/s


WALK_LOOSE = ((*LOOSE_FORCE_G[0], *LOOSE_RATE_DEG_S[0]), (*LOOSE_FORCE_G[1], *LOOSE_RATE_DEG_S[1]))
PACES = {
    "walk": Pace(WALK, 0.8, 1.4, 0.5, WALK_LOOSE),
    "run": Pace(RUN, 2.0, 3.0, 0.6, RUN_LOOSE),
    "stairs": Pace(STAIRS, 0.35, 0.66, 0.6, WALK_LOOSE),  # along the treads
}


class Style(NamedTuple):
    """What is one person's own in all gaits."""

    seed: int
    spread: float  # log spread of single harmonics against the table, and share of its phase spread
    axes: tuple[float, float, float, float, float, float]  # size of each axis against the table
    sharp: float  # of heel strike: growth of the upper harmonics
    asymmetry: float  # of left and right: what the other foot's harmonics get
    loose: float  # of the belt: what is not in step
    belt_hz: float  # at which the belt rings on soft tissue: some 8-16 Hz
    belt_damping: float


def _tables(pace: Pace) -> tuple[Array, Array, Array, Array]:
    """Slow and brisk sizes (m/s², rad/s), phases and their spread (rad): (6, harmonics)."""
    slow, brisk, phase, spread = np.zeros((4, 6, len(HALVES)))
    for row, (name, waves) in enumerate(pace.table.items()):
        unit = G if name.startswith("force") else radians(1.0)
        for harmonic, (a, b, turned, wide) in waves.items():
            at = int(np.flatnonzero(round(2 * harmonic) == HALVES)[0])
            slow[row, at], brisk[row, at], phase[row, at], spread[row, at] = a * unit, b * unit, radians(turned), radians(wide)
    return slow, brisk, phase, spread


BELT_HZ, BELT_DAMPING = 12.0, 0.45  # of the people measured: what their belts add is in the tables already


def _ringing(ratio: Array, damping: float) -> NDArray[np.complex128]:
    """What a belt on soft tissue divides a motion of that frequency by, against its own."""
    return np.asarray(1 - ratio * ratio + 2j * damping * ratio)


@cache
def _own(gait: str, style: Style) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """That person's slow and brisk harmonics."""
    slow, brisk, phase, spread = _tables(PACES[gait])
    rng = np.random.default_rng([style.seed, 8, list(PACES).index(gait)])
    size = np.exp(style.spread * np.clip(rng.standard_normal(slow.shape), -1.8, 1.8))
    size[2, HALVES == 2] **= 0.5  # the bounce of the whole body varies less than its ornaments
    size *= np.array(style.axes)[:, None]
    size *= np.where(HALVES >= 6, style.sharp ** ((HALVES - 4) / 6), 1.0)
    turn = np.exp(1j * (phase + style.spread * spread * np.clip(rng.standard_normal(slow.shape), -1.8, 1.8)))
    uneven = rng.uniform(0.6, 1.4, slow.shape) * np.exp(1j * rng.uniform(0, tau, slow.shape))
    both = []
    for table in (slow, brisk):
        mine = table * size * turn
        for axis in range(6):  # a limp: what belongs to the other foot's harmonics, as a share of their neighbours
            near = np.interp(HALVES, HALVES[IN_STEP[axis] == WHOLE], np.abs(mine[axis, IN_STEP[axis] == WHOLE]))
            mine[axis] += np.where(IN_STEP[axis] == WHOLE, 0.0, style.asymmetry * near) * uneven[axis]
        both.append(mine)
    return both[0], both[1]


def stride_waves(gait: str, speed: float, step_rate: float, leg_m: float, style: Style, size: float) -> Waves:
    """Displacements (m) and angles (rad) per harmonic of that gait at `speed` m/s (its size) with `step_rate` steps/s."""
    pace = PACES[gait]
    slow, brisk = _own(gait, style)
    alike = speed * sqrt(LEG_M / leg_m)  # at the same Froude number
    share = min(1.5, max(0.0, (alike - pace.slow_m_s) / (pace.brisk_m_s - pace.slow_m_s)))
    size *= min(1.0, pace.at_rest + (1 - pace.at_rest) * alike / pace.slow_m_s)
    felt = ((1 - share) * slow + share * brisk) * size
    hz = step_rate * HALVES / 2
    felt = felt * _ringing(hz / BELT_HZ, BELT_DAMPING) / _ringing(hz / style.belt_hz, style.belt_damping)
    omega = tau * hz
    angles = felt[3:] / (1j * omega)
    force = felt[:3].copy()
    force[0] += G * angles[1]  # a tilted sensor feels gravity: what is left is the path's own acceleration
    force[1] -= G * angles[0]
    loose_slow, loose_brisk = (np.array(row) for row in pace.loose)
    loose = ((1 - share) * loose_slow + share * loose_brisk) * np.repeat([G, radians(1.0)], 3) * size * style.loose
    return Waves(np.concatenate([-force / (omega * omega), angles]), loose, HALVES)
