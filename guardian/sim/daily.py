"""What people do between exercises: sit down, rise, lie down, kneel, pick up, hop. None of it is a fall."""

from functools import lru_cache
from math import pi, radians, sqrt
from typing import ClassVar, NamedTuple

import numpy as np

from guardian.sim.falling import REST_DEG, Rest, thud
from guardian.sim.gait import G
from guardian.sim.person import Person
from guardian.sim.phases import Array, Course, Phase, Stance, eased, through

SITTING_M = 0.13  # belt above the seat
LYING_M = 0.12  # ... above the mattress or floor


class Touch(NamedTuple):
    """The end of a descent that is not quite over where the seat stops it."""

    at_s: float
    speed: float  # m/s
    pulse_s: float


@lru_cache(maxsize=512)
def _touch(drop_m: float, seconds: float, beyond: float, peak_g: float) -> Touch:
    grid = np.arange(0.0, seconds, 0.001)
    depth = eased(grid, seconds, 0.0, drop_m * (1 + beyond))
    speed = np.gradient(depth, 0.001)
    pulse = 2 * speed / ((peak_g - 1) * G)
    at = int(np.argmax(depth + speed * pulse / 2 >= drop_m))
    return Touch(float(grid[at]), float(speed[at]), float(pulse[at]))


def landing(s: Array, drop_m: float, seconds: float, beyond: float, peak_g: float) -> Array:
    """Depth (m) of a voluntary descent that meant to go `beyond` (share of it) what stops it, with a blow of `peak_g` there."""
    if beyond <= 0:
        return eased(s, seconds, 0.0, drop_m)
    touch = _touch(drop_m, seconds, beyond, peak_g)
    free = eased(np.minimum(s, touch.at_s), seconds, 0.0, drop_m * (1 + beyond))
    p, w = np.clip(s - touch.at_s, 0.0, touch.pulse_s), pi / touch.pulse_s
    return np.asarray(free + touch.speed * p - touch.speed / touch.pulse_s * (p * p / 2 + (np.cos(2 * w * p) - 1) / (4 * w * w)))


class SitDown(Phase, frozen=True):
    """Sits down on a seat; with `turn_deg` and `roll_deg`, into a car."""

    seconds: float = 3.0
    seat_m: float = 0.45
    down_s: float = 1.6  # quick: 0.8
    beyond: float = 0.0  # let go: 0.1-0.5
    peak_g: float = 1.8  # where let go
    bow_deg: float = 22.0
    recline_deg: float = 5.0
    turn_deg: float = 0.0
    roll_deg: float = 0.0

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        down = self.down_s
        drop = max(0.05, start.height - start.floor - self.seat_m - SITTING_M)
        return Course(
            speed=eased(s, 0.4, start.speed, 0.0) - 0.22 * np.clip(np.sin(pi * np.clip(s / down, 0, 1)), 0, None) ** 2 * 2 / down,
            gait=eased(s, 0.4, start.gait, 0.0),
            yaw=eased(s, 1.2 * down, start.yaw, start.yaw + radians(self.turn_deg)),
            pitch=through(s, start.pitch, (0.6 * down, radians(self.bow_deg)), (down + 0.7, -radians(self.recline_deg))),
            roll=through(s, start.roll, (0.6 * down, radians(self.roll_deg)), (down + 0.8, 0.0)),
            height=start.height - landing(s, drop, down, self.beyond, self.peak_g) + thud(s - 0.93 * down, 0.12, 8.0),
            sway=eased(s, 1.0, start.sway, 0.2),
            breath=eased(s, 1.0, start.breath, 0.6),
        )


class Rise(Phase, frozen=True):
    """Stands up from where it sits or kneels."""

    seconds: float = 2.2
    bow_deg: float = 28.0
    turn_deg: float = 0.0

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        end = self.seconds
        up = eased(s - 0.2 * end, 0.7 * end, 0.0, 1.0)
        return Course(
            speed=0.2 * np.sin(pi * np.clip(s / end, 0, 1)) ** 2 * 2 / end,
            gait=0.0,
            yaw=eased(s, end, start.yaw, start.yaw + radians(self.turn_deg)),
            pitch=through(s, start.pitch, (0.4 * end, radians(self.bow_deg)), (end, 0.0)),
            roll=eased(s, end, start.roll, 0.0),
            height=start.height + up * (start.floor + who.belt_height_m - start.height),
            sway=eased(s, end, start.sway, 1.0),
            breath=eased(s, end, start.breath, 0.5),
        )


class LieDown(Phase, frozen=True):
    """Lies down on a bed or a mat, by way of sitting."""

    seconds: float = 5.0
    on_m: float = 0.5  # of the bed; 0 the floor
    side: Rest = "back"

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        sits, end = 0.45 * self.seconds, self.seconds
        pitch, roll = REST_DEG[self.side]
        seat = start.floor + self.on_m + SITTING_M + 0.04
        return Course(
            speed=eased(s, 0.4, start.speed, 0.0),
            gait=eased(s, 0.4, start.gait, 0.0),
            yaw=eased(s - sits, end - sits, start.yaw, start.yaw + radians(35.0)),
            pitch=through(s, start.pitch, (0.6 * sits, radians(24.0)), (1.2 * sits, radians(-8.0)), (end, radians(pitch))),
            roll=through(s, start.roll, (1.1 * sits, radians(4.0)), (end, radians(roll))),
            height=through(s, start.height, (sits, seat), (end, start.floor + self.on_m + LYING_M)) + thud(s - 0.95 * sits, 0.1, 7.0),
            sway=eased(s, end, start.sway, 0.0),
            breath=eased(s, end, start.breath, 1.0),
        )


class Kneel(Phase, frozen=True):
    """Goes down on the knees."""

    seconds: float = 2.5
    bow_deg: float = 12.0
    jolt_g: float = 0.3

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        down = 0.8 * self.seconds
        return Course(
            speed=eased(s, 0.4, start.speed, 0.0),
            gait=eased(s, 0.4, start.gait, 0.0),
            yaw=start.yaw,
            pitch=through(s, start.pitch, (0.6 * down, radians(self.bow_deg)), (self.seconds, radians(3.0))),
            roll=through(s, start.roll, (0.5 * down, radians(4.0)), (self.seconds, 0.0)),
            height=eased(s, down, start.height, start.floor + 0.56 * who.belt_height_m) + thud(s - 0.9 * down, self.jolt_g, 9.0),
            sway=eased(s, 1.0, start.sway, 0.5),
            breath=start.breath,
        )


class PickUp(Phase, frozen=True):
    """Picks something up: knees bent (`stoop_deg` small, `depth_m` large) or straight (the other way)."""

    seconds: float = 3.0
    stoop_deg: float = 45.0
    depth_m: float = 0.25

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        down, up, end = 0.42 * self.seconds, 0.55 * self.seconds, self.seconds
        deep = eased(s, down, 0.0, 1.0) - eased(s - up, end - up, 0.0, 1.0)
        return Course(
            speed=eased(s, 0.4, start.speed, 0.0),
            gait=eased(s, 0.4, start.gait, 0.0),
            yaw=start.yaw + radians(6.0) * deep,
            pitch=eased(s, 0.6, start.pitch, 0.0) + radians(self.stoop_deg) * deep,
            roll=eased(s, 0.6, start.roll, 0.0) + radians(3.0) * deep,
            height=start.height - self.depth_m * deep,
            sway=start.sway,
            breath=start.breath,
        )


class Hop(Phase, frozen=True):
    """A small jump on the spot: crouch, flight, landing."""

    seconds: float = 2.2
    up_m: float = 0.12
    peak_g: float = 3.0
    PUSH_S: ClassVar[float] = 0.25

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        leaves, push = sqrt(2 * G * self.up_m), self.PUSH_S
        deep = leaves * push / 2
        p, w = np.clip(s - 0.45, 0.0, push), pi / push
        pushing = leaves / push * (p * p / 2 + (np.cos(2 * w * p) - 1) / (4 * w * w))
        flight_s = 2 * leaves / G
        a = np.clip(s - 0.45 - push, 0.0, flight_s)
        flying = leaves * a - G / 2 * a * a
        pulse = 2 * leaves / ((self.peak_g - 1) * G)
        q, v = np.clip(s - 0.45 - push - flight_s, 0.0, pulse), pi / pulse
        landed = -leaves * q + leaves / pulse * (q * q / 2 + (np.cos(2 * v * q) - 1) / (4 * v * v))
        again = eased(s - 0.45 - push - flight_s - pulse, 0.5, 0.0, leaves * pulse / 2)
        crouch = eased(s, 0.45, 0.0, -deep)
        return Course(
            speed=eased(s, 0.4, start.speed, 0.0),
            gait=eased(s, 0.3, start.gait, 0.0),
            yaw=start.yaw,
            pitch=through(s, start.pitch, (0.45, radians(12.0)), (0.8, 0.0), (1.05, radians(8.0)), (1.7, 0.0)),
            roll=eased(s, 0.5, start.roll, 0.0),
            height=start.height + crouch + pushing + flying + landed + again,
            sway=start.sway,
            breath=start.breath,
        )
