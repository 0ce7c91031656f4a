"""What stands around the walker and what a rear-looking ultrasonic beam meets of it: walls, floor, people, cloth.

Theory of operation. Sound returns from where a surface faces the beam. For a plane at perpendicular distance s whose normal lies γ off the
beam's axis, that point is straight ahead of the plane when γ is within the beam's half angle (distance s), else the beam's edge meets the
plane first, at s / cos(γ - half angle). The floor is such a plane too, whatever its angle: leaning back by β gives γ = 90° - β and so
height / sin(β + half angle). Where several things answer, the nearest is heard, since the part ends its pulse at the first echo.

World axes: x the walker's forward at the start, y left, z up, metres, floor at z = 0.
"""

from collections.abc import Iterable
from math import acos, asin, atan2, cos, hypot, pi, radians
from typing import Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from guardian.sim.rates import STANDARD, Rates

Point = tuple[float, float, float]


class Thing(Protocol):
    """Something that may send sound back."""

    @property
    def soft(self) -> bool:
        """Cloth, which returns few pings."""

    def distance(self, t_s: float, eye: Point, axis: Point, rates: Rates) -> float | None:
        """From the ranger at `eye`, looking along unit vector `axis`, at time `t_s`: distance in m, None where the beam misses it."""


class Plane(Struct, frozen=True):
    """An endless flat surface through `point`; unit `normal` points out of the room, into the surface."""

    point: Point
    normal: Point
    soft: bool = False
    oblique: bool = True  # False: the floor, heard at any angle that geometry allows

    def distance(self, t_s: float, eye: Point, axis: Point, rates: Rates) -> float | None:
        """See Thing."""
        near = sum((p - e) * n for p, e, n in zip(self.point, eye, self.normal, strict=True))
        off = acos(max(-1.0, min(1.0, sum(a * n for a, n in zip(axis, self.normal, strict=True)))))
        half = radians(rates.beam_half_angle_deg)
        if near <= 0 or off - half >= pi / 2 or (self.oblique and off > radians(rates.oblique_deg)):
            return None
        return near / cos(max(0.0, off - half))


def wall_behind(x: float, soft: bool = False) -> Plane:
    """A wall across the way at `x`, behind a walker who starts at 0 and walks backward."""
    return Plane((x, 0.0, 0.0), (-1.0, 0.0, 0.0), soft)


FLOOR = Plane((0.0, 0.0, 0.0), (0.0, 0.0, -1.0), oblique=False)


class Somebody(Struct, frozen=True):
    """An upright person (or post) who stands at `start` until `t_s`, then walks to `end` in `seconds`, and stands there."""

    t_s: float
    seconds: float
    start: tuple[float, float]
    end: tuple[float, float]
    radius_m: float = 0.2
    soft: bool = False

    def distance(self, t_s: float, eye: Point, axis: Point, rates: Rates) -> float | None:
        """See Thing. Upright bodies are taller than the beam, so only its horizontal direction counts, while it looks roughly level."""
        done = max(0.0, min(1.0, (t_s - self.t_s) / self.seconds))
        x = self.start[0] + (self.end[0] - self.start[0]) * done - eye[0]
        y = self.start[1] + (self.end[1] - self.start[1]) * done - eye[1]
        away, level = hypot(x, y), hypot(axis[0], axis[1])
        if level < 0.5:
            return None
        if away <= self.radius_m:
            return 0.0
        off = acos(max(-1.0, min(1.0, (x * axis[0] + y * axis[1]) / (away * level))))
        if off - asin(self.radius_m / away) > radians(rates.beam_half_angle_deg):
            return None
        return away - self.radius_m


class Surroundings:
    """The things around, and the ranger's luck with them (rates of rates.py, drawn from `seed`; the same seed gives the same luck)."""

    def __init__(self, things: Iterable[Thing] = (), rates: Rates = STANDARD, seed: int = 0, floor_m: float = 0.0) -> None:
        """`floor_m`: height of the floor behind; negative below a walker who starts on top of a staircase."""
        self.things: tuple[Thing, ...] = tuple(things)
        self._with_floor: tuple[Thing, ...] = (*self.things, replace(FLOOR, point=(0.0, 0.0, floor_m)))
        self.rates = rates
        self._luck = np.random.default_rng([seed, 2])
        self._last_ping_s = -1.0
        self._spurious_left = 0  # readings of the run under way, the last one told included

    def true_distance(self, t_s: float, eye: Point, axis: Point) -> float | None:
        """Nearest thing behind, hard or soft, floor left out: m, at any range."""
        return min((d for thing in self.things if (d := thing.distance(t_s, eye, axis, self.rates)) is not None), default=None)

    def echo(self, t_s: float, eye: Point, axis: Point) -> float | None:
        """What a perfect-timing part reports for a ping sent now: m, None for nothing in range."""
        rates, luck = self.rates, self._luck
        period = t_s - self._last_ping_s
        self._last_ping_s = t_s
        if self._spurious_left > 1:
            self._spurious_left -= 1
            return self._spurious()
        after_run, self._spurious_left = self._spurious_left == 1, 0
        heard = [
            d
            for thing in self._with_floor
            if (d := thing.distance(t_s, eye, axis, rates)) is not None and (not thing.soft or luck.random() < rates.soft_return)
        ]
        true = min((d for d in heard if d <= rates.range_m), default=None)
        draw = luck.random()
        start = rates.spurious * 2 / (1 + rates.spurious_run)  # runs of 1 … n are equally likely, so this many starts give the share
        if draw < start and not after_run:
            self._spurious_left = int(luck.integers(1, rates.spurious_run + 1))
            return self._spurious()
        if start <= draw < start + rates.ghost:
            ghosts = [path - rates.speed_of_sound_m_s * period / 2 for path in rates.reverberation_m]
            ghosts = [g for g in ghosts if rates.blind_m < g < (true or rates.range_m)]
            if ghosts:
                return float(luck.choice(ghosts))
        elif start <= draw < start + rates.ghost + rates.lost:
            return None
        return None if true is None else max(rates.blind_m, true + rates.sigma_m * float(luck.standard_normal()))

    def _spurious(self) -> float:
        return float(self._luck.uniform(self.rates.spurious_near_m, self.rates.spurious_far_m))


class Staircase(Struct, frozen=True):
    """Stairs that go up behind a walker who goes to -x, or down: `steps` risers, the first at `start_x` from a floor at `floor_z`.

    A riser faces the beam squarely where it stands within the cone: from the belt, a few stairs up. Stairs downward send nothing back
    (their treads are seen at a grazing angle only).
    """

    start_x: float
    steps: int
    riser_m: float = 0.17
    tread_m: float = 0.29
    floor_z: float = 0.0
    soft: bool = False

    def distance(self, t_s: float, eye: Point, axis: Point, rates: Rates) -> float | None:
        """See Thing."""
        level = hypot(axis[0], axis[1])
        if level < 0.3 or axis[0] / level > -cos(radians(rates.oblique_deg)):
            return None
        aim, half = asin(max(-1.0, min(1.0, axis[2]))), radians(rates.beam_half_angle_deg)
        for step in range(self.steps):
            away = eye[0] - (self.start_x - step * self.tread_m)
            if away <= 0.05:
                continue
            top = self.floor_z + (step + 1) * self.riser_m - eye[2]
            if atan2(top, away) >= aim - half and atan2(top - self.riser_m, away) <= aim + half:
                return hypot(away, min(0.0, top))
        return None
