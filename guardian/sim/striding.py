"""Going by foot as training asks for it: running, on a treadmill's belt, up and down a staircase."""

from math import pi, radians, tau

import numpy as np

from guardian.sim.falling import thud
from guardian.sim.gait import Waves
from guardian.sim.person import Person
from guardian.sim.phases import Array, Course, Stance, Walk, carried_up, eased
from guardian.sim.strides import RUN_STAIRS


class Run(Walk, frozen=True, kw_only=True):
    """Runs at `speed` m/s, backward when negative."""

    speed: float = -1.8
    lean_deg: float | None = 4.0  # backward runners keep the trunk over the feet

    def pace(self, start: Stance, who: Person) -> tuple[float, float, Waves | None]:
        """See Phase."""
        rate = who.step_rate("run", self.speed) * (1 - 0.04 * self.fatigue)
        return rate, 1.0 if self.speed >= 0 else -1.0, who.waves("run", self.speed, rate, self.fatigue)


class OnBelt(Walk, frozen=True, kw_only=True):
    """Walks on a treadmill: the gait of `speed`, in one place but for a drift.

    Who walks backward stands turned round: the console is behind, and the belt carries them forward, toward its open end.
    """

    drift_m: float = 0.0  # along the heading over the whole phase: + to the belt's end, - into the console
    wander_m: float = 0.06  # to and fro

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        course = Walk.course(self, s, start, who)
        slow = tau / (9.0 + 6.0 * ((who.seed * 0.618) % 1.0))
        into = np.clip(s / self.seconds, 0.0, 1.0)
        drifting = self.drift_m / self.seconds * 30 * into**2 * (1 - into) ** 2
        # to and fro about the drift's way, and back on it at the end: what a wander left behind would add up to a drift of its own
        ramp = min(4.0, self.seconds / 2)
        on, off = eased(s, ramp, 0.0, 1.0), eased(s - self.seconds + ramp, ramp, 1.0, 0.0)
        changes = (_rate(s, ramp) * off - on * _rate(s - self.seconds + ramp, ramp)) * self.wander_m
        way = np.sin(slow * s) + 0.4 * np.sin(2.7 * slow * s + 1.0)
        speed = slow * np.cos(slow * s) + 0.4 * 2.7 * slow * np.cos(2.7 * slow * s + 1.0)
        return course._replace(speed=eased(s, 0.5, start.speed, 0.0) + drifting + changes * way + self.wander_m * on * off * speed)


def _rate(s: Array, seconds: float) -> Array:
    """Of `eased` from 0 to 1, 1/s."""
    u = np.clip(s / seconds, 0.0, 1.0)
    return np.asarray(30 * u * u * (1 - u) ** 2 / seconds)


class Climb(Walk, frozen=True, kw_only=True):
    """Takes `steps` stairs, one foot after the other, each foot on a stair of its own.

    The belt rises with the knee's extension, or sinks and lands; risers 0.15-0.20 m, treads 0.25-0.32 m. Landings downward are the harder
    (Foster 2019, Gait Posture 73:305: young and old people on risers of 170 and 255 mm).
    """

    steps: int = 6
    up: bool = True
    backward: bool = True
    riser_m: float = 0.17
    tread_m: float = 0.29
    tempo: float = 0.9  # steps/s
    jolt_g: float = 0.25  # of each landing

    @classmethod
    def of(cls, steps: int, tempo: float, **rest: float | bool) -> "Climb":
        """The climb that lasts as long as its steps."""
        given = {"riser_m": 0.17, "tread_m": 0.29, "backward": True, **rest}
        speed = float(given["tread_m"]) * tempo * (-1 if given["backward"] else 1)
        return cls(steps / tempo + 0.4, speed=speed, steps=steps, tempo=tempo, **given)  # type: ignore[arg-type]

    def climbed(self, s: Array, who: Person) -> Array:
        """Steps taken, not whole in between, at times `s`: some quicker, some slower, by 5 % or so."""
        total, ramp = self.steps / self.tempo, 0.5 / self.tempo  # from rest, and to rest
        at = np.clip(s, 0.0, total)
        half = np.minimum(at, total - at)
        u = np.clip(half / ramp, 0.0, 1.0)
        gone = ramp * u**4 * (2.5 - u * (3 - u)) + np.clip(half - ramp, 0.0, None)
        gone *= self.steps / (total - ramp)
        swing = 0.06 * who.uneven * np.sin(pi * at / total) ** 2
        return np.where(at <= total / 2, gone, self.steps - gone) + swing * np.sin(2.1 * self.tempo * at + who.seed)

    def stepping(self, s: Array, start: Stance, who: Person) -> Array | None:
        """See Phase."""
        return np.asarray((self.climbed(s + 1e-3, who) - self.climbed(s - 1e-3, who)) / 2e-3)

    def rise(self, seconds: float, start: Stance, who: Person) -> float:
        """See Phase: a foot in the air finds the stair it was meant for."""
        return (self.riser_m if self.up else -self.riser_m) * round(float(self.climbed(np.array([seconds]), who)[0]))

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        taken = self.climbed(s, who)
        whole = np.floor(taken + 1e-9)
        part = np.clip(taken - whole, 0.0, 1.0)
        share = 0.78 if self.up else 0.66
        stairwise = 1 / (1 + (self.tempo / 1.4) ** 2)  # the quicker, the straighter the belt's way over the stairs
        lifted = (1 - stairwise) * taken + stairwise * (whole + eased(part - (0.14 if self.up else 0.08), share, 0.0, 1.0))
        size = self.jolt_g * (1 + 0.3 * np.sin(12.9 * whole + who.seed))
        contact = (part - (0.10 if self.up else 0.70)) / self.tempo
        landing = size * thud(contact, 1.0, 9.0, 0.05)
        on = eased(s, 0.3, 0.0, 1.0) * (1 - eased(s - self.steps / self.tempo + 0.35, 0.35, 0.0, 1.0))
        belt = eased(s, 1.0, start.height - start.floor, who.belt_height_m)
        rate = self.stepping(s, start, who)
        return Course(
            speed=eased(s, 0.4, start.speed, 0.0) + (-1 if self.backward else 1) * self.tread_m * (0.0 if rate is None else rate) * on,
            gait=on,
            yaw=start.yaw,
            pitch=eased(s, 1.2, start.pitch, self.leaning(who)),
            roll=eased(s, 1.0, start.roll, 0.0) + radians(1.5) * on * np.sin(pi * taken),
            height=start.floor + carried_up(s, start) + belt + (self.riser_m if self.up else -self.riser_m) * lifted + landing * on,
            sway=eased(s, 1.0, start.sway, 0.4),
            breath=eased(s, 1.0, start.breath, 0.6),
        )

    def pace(self, start: Stance, who: Person) -> tuple[float, float, Waves | None]:
        """See Phase."""
        runs, way = self.tempo > RUN_STAIRS, -1.0 if self.backward else 1.0
        if runs:  # as hard as on the flat at some three times the speed along the treads
            waves = who.waves("run", 3.2 * self.speed, self.tempo, self.fatigue)
            if waves.halves is not None:  # but bouncing less: D06's steps hold more of the upper harmonics
                share = np.where(waves.halves == 2, 0.55, 1.5)
                waves = waves._replace(locked=np.concatenate([waves.locked[:3] * share, waves.locked[3:]]))
        else:
            waves = who.waves("stairs", self.speed, self.tempo, self.fatigue)
        if waves.halves is None:
            return self.tempo, way, waves
        rises = 0.30 if self.up else 0.58  # of the step: where the lift's own upward push is greatest, the gait's belongs
        return self.tempo, way, waves._replace(locked=waves.locked * np.exp(-1j * way * pi * rises * waves.halves))
