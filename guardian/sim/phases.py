"""What a person does: phases of a story, each a smooth course of speed, heading, trunk and belt height.

World axes: x forward at the start, y left, z up. Pitch > 0 leans forward, -90° lies on the back. Metres, seconds, radians inside, degrees
in names that say so.
"""

from math import pi, radians, sqrt, tau
from typing import ClassVar, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from guardian.sim.gait import G, Waves
from guardian.sim.person import Person

Array = NDArray[np.float64]


class Stance(Struct, frozen=True, kw_only=True):
    """Where one phase ends and the next begins."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    height: float = 0.95
    floor: float = 0.0  # under the feet
    rising: float = 0.0  # speed of the height, m/s
    speed: float = 0.0  # along the heading; backward is negative
    gait: float = 0.0  # 0 … 1
    sway: float = 1.0
    breath: float = 0.5  # share of Person.breath_deg
    cadence: float = 0.0  # steps/s
    direction: float = 1.0
    step_phase: float = 0.0
    steps: float = 0.0
    waves: Waves | None = None  # of the gait so far


class Course(NamedTuple):
    """What a phase says of its times: arrays, or single numbers where nothing changes."""

    speed: Array | float
    gait: Array | float
    yaw: Array | float
    pitch: Array | float
    roll: Array | float
    height: Array | float
    sway: Array | float
    breath: Array | float
    aside: Array | float = 0.0  # speed to the left, m/s


def eased(s: Array, seconds: float, start: float, end: float) -> Array:
    """From `start` to `end` in `seconds`, at rest at both ends: the minimum-jerk path of voluntary movement (Flash & Hogan 1985)."""
    u = np.clip(s / seconds, 0.0, 1.0)
    return start + (end - start) * (u * u * u * (10 - u * (15 - 6 * u)))


def through(s: Array, start: float, *stations: tuple[float, float]) -> Array:
    """Eased from `start` through (time, value) stations."""
    path, t0, value = np.full(len(s), start), 0.0, start
    for t1, target in stations:
        path += eased(s - t0, t1 - t0, value, target) - value
        t0, value = t1, target
    return path


def settling(s: Array, seconds: float, start: float, rate: float, end: float) -> Array:
    """From `start`, moving at `rate`, to rest at `end` in `seconds`: the quintic with no acceleration at either end."""
    u = np.clip(s / seconds, 0.0, 1.0)
    u3 = u * u * u
    return np.asarray(start + (end - start) * u3 * (10 - u * (15 - 6 * u)) + rate * seconds * (u - u3 * (6 - u * (8 - 3 * u))))


def carried_up(s: Array, start: Stance) -> Array | float:
    """What is left of a rise or descent that was cut short, m: it runs out in a quarter of a second."""
    return settling(s, 0.25, 0.0, start.rising, 0.0) if abs(start.rising) > 0.005 else 0.0


ONSET = 0.35  # share of a descent in which the support gives way


class Drop(NamedTuple):
    """A descent that ends in an impact: ever faster down for `seconds`, then stopped by a sin² pulse of `pulse_s`."""

    drop_m: float
    seconds: float
    pulse_s: float
    accel: float  # m/s², downward, after its onset

    @classmethod
    def to(cls, drop_m: float, seconds: float, peak_g: float) -> "Drop":
        """The one that falls `drop_m` (pulse included) and whose specific force peaks at `peak_g`."""
        pulse, accel = 0.1, 0.0
        for _ in range(40):  # the pulse's own travel belongs to the drop: converges in a few rounds
            shape = cls(drop_m, seconds, pulse, 1.0)
            end = -float(shape.speed(np.array([seconds]))[0])
            accel = drop_m / (-float(shape.height(np.array([seconds]))[0]) + end * pulse / 2)
            pulse = 2 * accel * end / ((peak_g - 1) * G)
        return cls(drop_m, seconds, pulse, accel)

    def speed(self, s: Array) -> Array:
        """Vertical speed, m/s, before the pulse."""
        on = ONSET * self.seconds
        u = np.clip(s, 0, on)
        return -self.accel * (0.5 * (u - on / pi * np.sin(pi * u / on)) + np.clip(s - on, 0, None))

    def height(self, s: Array) -> Array:
        """Height against the start, m: 0 before, -drop_m after."""
        on, end = ONSET * self.seconds, self.seconds
        u, v = np.clip(s, 0, on), np.clip(np.minimum(s, end) - on, 0, None)
        free = -self.accel * (0.5 * (u * u / 2 + (on / pi) ** 2 * (np.cos(pi * u / on) - 1)) + 0.5 * on * v + v * v / 2)
        p, hit = np.clip(s - end, 0, self.pulse_s), float(self.speed(np.array([end]))[0])
        w = pi / self.pulse_s
        return free + hit * p - hit / self.pulse_s * (p * p / 2 + (np.cos(2 * w * p) - 1) / (4 * w * w))


class Phase(Struct, frozen=True):
    """A piece of the story. `seconds` long; Hold is for ever."""

    seconds: float

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """The body's course at times `s` since the phase began."""
        raise NotImplementedError

    def pace(self, start: Stance, who: Person) -> tuple[float, float, Waves | None]:
        """Cadence (steps/s), direction (±1) and gait of this phase; by default what was."""
        return start.cadence, start.direction, start.waves

    def stepping(self, s: Array, start: Stance, who: Person) -> Array | None:
        """Steps/s at times `s`, where a phase times its own steps; they are whole ones then."""
        return None

    def rise(self, seconds: float, start: Stance, who: Person) -> float:
        """How much higher the floor under the feet is after so many seconds of it, m."""
        return 0.0


class Hold(Phase, frozen=True):
    """As it is, for ever: what follows the last phase."""

    seconds: float = float("inf")

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        return Course(
            eased(s, 0.5, start.speed, 0.0),
            eased(s, 0.7, start.gait, 0.0),
            start.yaw, start.pitch, start.roll, start.height, start.sway, start.breath,
        )  # fmt: skip


class Stand(Phase, frozen=True):
    """Comes to a halt if walking, and stands, swaying and breathing."""

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        return Course(
            speed=eased(s, who.slow_s, start.speed, 0.0),
            gait=eased(s, who.slow_s + 0.2, start.gait, 0.0),
            yaw=start.yaw,
            pitch=eased(s, 1.0, start.pitch, 0.0),
            roll=eased(s, 1.0, start.roll, 0.0),
            height=eased(s, 1.0, start.height, start.floor + who.belt_height_m) + carried_up(s, start),
            sway=eased(s, 1.0, start.sway, 1.0),
            breath=eased(s, 1.0, start.breath, 0.5),
        )


class Walk(Phase, frozen=True):
    """Walks at `speed` m/s, backward when negative; with `stops_on_sound` it ends when the wearer has heard STOP and reacted."""

    speed: float = -0.8
    stops_on_sound: bool = False
    lean_deg: float | None = None  # forward of the trunk; None: the person's own
    veer_deg: float = 0.0  # the way winds about straight on by that much
    bend_deg: float = 0.0  # a corner in the middle of the way, left positive
    fatigue: float = 0.0  # 0 … 1: slower steps, softer knees

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase. Speed wanders by 4 % over some 7 s, as people's does."""
        ramp = eased(s, 1.0, 0.0, 1.0)
        wander = 1 + 0.04 * np.sin(tau * s / 7.3 + who.seed)
        return Course(
            speed=start.speed + (self.speed * wander - start.speed) * ramp,
            gait=eased(s, 0.8, start.gait, 1.0),
            yaw=start.yaw + radians(self.veer_deg) * np.sin(tau * s / 13.7 + who.seed) * eased(s, 3.0, 0.0, 1.0) + self.bending(s),
            pitch=eased(s, 1.5, start.pitch, self.leaning(who)),
            roll=eased(s, 1.0, start.roll, 0.0),
            height=eased(s, 1.0, start.height, start.floor + who.belt_height_m),
            sway=eased(s, 1.0, start.sway, 0.3),
            breath=eased(s, 1.0, start.breath, 0.5),
        )

    def pace(self, start: Stance, who: Person) -> tuple[float, float, Waves | None]:
        """See Phase."""
        rate = who.step_rate("walk", self.speed) * (1 - 0.06 * self.fatigue)
        return rate, 1.0 if self.speed >= 0 else -1.0, who.waves("walk", self.speed, rate, self.fatigue)

    def bending(self, s: Array) -> Array | float:
        """What the corner adds to the heading, rad: walked round in 2.4 s."""
        return eased(s - self.seconds / 2 + 1.2, 2.4, 0.0, radians(self.bend_deg)) if self.bend_deg else 0.0

    def leaning(self, who: Person) -> float:
        """Pitch of the trunk, rad."""
        if self.lean_deg is not None:
            return radians(self.lean_deg)
        return -radians(who.lean_back_deg) if self.speed < 0 else 0.0


class Turn(Phase, frozen=True):
    """Turns on the spot by `angle_deg` (left positive) with small steps."""

    angle_deg: float = 90.0

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        return Course(
            speed=eased(s, 0.5, start.speed, 0.0),
            gait=through(s, start.gait, (0.3 * self.seconds, 0.6), (self.seconds, 0.0)),
            yaw=eased(s, self.seconds, start.yaw, start.yaw + radians(self.angle_deg)),
            pitch=eased(s, 1.0, start.pitch, 0.0),
            roll=eased(s, 1.0, start.roll, 0.0),
            height=start.height,
            sway=eased(s, 1.0, start.sway, 0.5),
            breath=start.breath,
        )

    def pace(self, start: Stance, who: Person) -> tuple[float, float, Waves | None]:
        """See Phase."""
        return who.cadence / 60, 1.0, who.waves("walk", 0.3, who.cadence / 60)


class Stumble(Phase, frozen=True):
    """A heel catches: the trunk tips back, drops, and one long quick step saves it."""

    seconds: float = 2.2
    tip_deg: float = 27.0
    dip_m: float = 0.07

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase. Some 120 deg/s, below the 139.7 deg/s mean peak of real backward slips (Liu & Lockhart 2014)."""
        return Course(
            speed=through(s, start.speed, (0.4, 1.4 * start.speed), (1.1, 0.3 * start.speed)),
            gait=through(s, start.gait, (0.3, 0.35 * start.gait), (1.2, 0.35 * start.gait), (2.0, 0.8)),
            yaw=start.yaw,
            pitch=through(s, start.pitch, (0.38, -radians(self.tip_deg)), (1.1, radians(6.0)), (2.0, start.pitch)),
            roll=through(s, start.roll, (0.4, radians(5.0)), (1.2, 0.0)),
            height=through(s, start.height, (0.34, start.height - self.dip_m), (0.62, start.height - 0.01), (1.2, start.height)),
            sway=start.sway,
            breath=start.breath,
        )


class TripBackward(Phase, frozen=True):
    """Loses balance, fights for it, falls backward onto the pelvis and then the back, and lies."""

    seconds: float = 3.0
    LYING_M: ClassVar[float] = 0.14  # belt above the floor

    def drop(self, start_height: float, who: Person) -> Drop:
        """The descent of the belt."""
        return Drop.to(start_height - self.LYING_M, who.descent_s, who.impact_g)

    def impact_s(self, who: Person) -> float:
        """Greatest force, s after the phase began."""
        return who.imbalance_s + who.descent_s + self.drop(who.belt_height_m, who).pulse_s / 2

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        down = who.imbalance_s
        hit = down + who.descent_s
        ring = np.clip(s - hit - 0.1, 0, None)  # the back follows the pelvis: a second, smaller contact
        bounce = 0.012 * np.sin(tau * 4.5 * ring) * np.exp(-ring / 0.12) * eased(ring, 0.08, 0.0, 1.0)
        back = -radians(88.0)
        return Course(
            speed=through(s, start.speed, (down + 0.5 * who.descent_s, -0.7), (hit + 0.2, 0.0)),
            gait=eased(s, down + 0.15, start.gait, 0.0),
            yaw=through(s, start.yaw, (hit + 0.3, start.yaw + radians(12.0))),
            # min-jerk, begun with the descent and over 0.3 s after the pelvis lands: some 190 deg/s, F02's median peak is 260
            pitch=through(s, start.pitch, (0.6 * down, start.pitch - radians(3.0)), (down, start.pitch - radians(7.0)), (hit + 0.3, back)),
            roll=through(s, start.roll, (down, radians(-4.0)), (hit + 0.2, radians(9.0))),
            height=start.height + self.drop(start.height, who).height(s - down) + bounce,
            sway=eased(s, hit, start.sway, 0.0),
            breath=eased(s - hit, 1.0, start.breath, 1.0),
        )


class Faint(Phase, frozen=True):
    """Knees fold and the body sinks slowly onto a carpet: no impact, no fast turn."""

    seconds: float = 3.6

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        end = self.seconds
        return Course(
            speed=eased(s, 0.8, start.speed, 0.0),
            gait=eased(s, 0.8, start.gait, 0.0),
            yaw=eased(s, end, start.yaw, start.yaw + radians(20.0)),
            pitch=eased(s, end, start.pitch, -radians(84.0)),
            roll=eased(s, end, start.roll, radians(12.0)),
            height=eased(s, end, start.height, start.floor + TripBackward.LYING_M),
            sway=eased(s, end, start.sway, 0.0),
            breath=eased(s, end, start.breath, 1.0),
        )


class Lie(Phase, frozen=True):
    """Lies as it fell, breathing."""

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        return Course(
            eased(s, 0.3, start.speed, 0.0), eased(s, 0.3, start.gait, 0.0),
            start.yaw, start.pitch, start.roll, start.height, eased(s, 1.0, start.sway, 0.0), eased(s, 1.0, start.breath, 1.0),
        )  # fmt: skip


class GetUp(Phase, frozen=True):
    """From lying: sits up, leans forward over the knees, stands."""

    seconds: float = 5.0

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        a, b = 0.35 * self.seconds, 0.65 * self.seconds
        return Course(
            speed=0.0,
            gait=0.0,
            yaw=start.yaw,
            pitch=through(s, start.pitch, (a, 0.0), (b, radians(35.0)), (self.seconds, 0.0)),
            roll=eased(s, a, start.roll, 0.0),
            height=through(s, start.height, *((t, start.floor + h) for t, h in ((a, 0.22), (b, 0.5), (self.seconds, who.belt_height_m)))),
            sway=eased(s, self.seconds, start.sway, 1.0),
            breath=eased(s, self.seconds, start.breath, 0.5),
        )


class SitDownHard(Phase, frozen=True):
    """Drops onto a chair: above the impact threshold, upright throughout."""

    seconds: float = 2.0
    peak_g: float = 2.9

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        seat = Drop.to(start.height - 0.55, 0.6, self.peak_g)
        return Course(
            speed=eased(s, 0.5, start.speed, 0.0),
            gait=eased(s, 0.4, start.gait, 0.0),
            yaw=start.yaw,
            pitch=through(s, start.pitch, (0.5, radians(14.0)), (1.3, -radians(4.0)), (1.9, 0.0)),
            roll=eased(s, 1.0, start.roll, 0.0),
            height=start.height + seat.height(s - 0.15),
            sway=eased(s, 1.5, start.sway, 0.2),
            breath=start.breath,
        )


class Sit(Phase, frozen=True):
    """Stays seated."""

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        return Course(0.0, 0.0, start.yaw, start.pitch, start.roll, start.height, start.sway, start.breath)


class TakeOff(Phase, frozen=True):
    """Unbuckles the belt and holds it in the hand."""

    seconds: float = 1.6

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        end = self.seconds
        shake = eased(s, end, 0.0, 1.0) * radians(2.0)
        return Course(
            speed=eased(s, 0.5, start.speed, 0.0),
            gait=eased(s, 0.5, start.gait, 0.0),
            yaw=eased(s, end, start.yaw, start.yaw + radians(50.0)) + shake * np.sin(tau * 2.1 * s),
            pitch=through(s, start.pitch, (0.6 * end, radians(12.0)), (end, -radians(25.0))) + shake * np.sin(tau * 2.7 * s),
            roll=through(s, start.roll, (0.5 * end, radians(-15.0)), (end, radians(22.0))),
            height=eased(s, end, start.height, 1.0),
            sway=eased(s, 0.5, start.sway, 0.0),
            breath=eased(s, 0.5, start.breath, 0.0),
        )


class Toss(Phase, frozen=True):
    """Throws the belt onto a table: a swing, free flight, an impact; then nothing moves."""

    seconds: float = 2.0
    peak_g: float = 7.5
    TABLE_M: ClassVar[float] = 0.9
    UP_M_S: ClassVar[float] = 0.6
    SWING_S: ClassVar[float] = 0.25

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        swing, up = self.SWING_S, self.UP_M_S
        release = start.height + up * swing / 2  # the hand speeds up from rest along a raised cosine
        flight = (up + sqrt(up * up + 2 * G * (release - self.TABLE_M))) / G
        hit = G * flight - up
        pulse = 2 * hit / ((self.peak_g - 1) * G)
        land, w = swing + flight, pi / pulse
        a = np.clip(s, 0, swing)
        b = np.clip(s - swing, 0, flight)
        p = np.clip(s - land, 0, pulse)
        height = (
            start.height
            + up * (a / 2 - swing / tau * np.sin(pi * a / swing))
            + up * b
            - G / 2 * b * b
            - hit * p
            + hit / pulse * (p * p / 2 + (np.cos(2 * w * p) - 1) / (4 * w * w))
        )
        end = land + pulse
        return Course(
            speed=through(s, 0.0, (swing, 1.2), (land, 1.2), (land + 0.25, 0.0)),  # slides to rest
            gait=0.0,
            yaw=eased(s, end, start.yaw, start.yaw + radians(70.0)),
            pitch=eased(s, end, start.pitch, -radians(90.0)),
            roll=eased(s, end, start.roll, 0.0),
            height=height,
            sway=0.0,
            breath=0.0,
        )
