"""The backward lunge: a step back, the knee toward the floor, a push up, and the foot beside the other."""

from math import radians, tau
from typing import Literal

import numpy as np

from guardian.sim.falling import thud
from guardian.sim.person import Person
from guardian.sim.phases import Array, Course, Phase, Stance, eased

Leg = Literal["left", "right"]


class Lunge(Phase, frozen=True, kw_only=True):
    """One repetition with the `leg` that steps back.

    A posterior lunge: stepping back 1.16 s, lowering 0.72 s, rising 0.69 s, return 0.89 s (motion capture, University of Michigan, movement
    science 1997, one skilled mover); the trunk leans forward a little, more with tired legs.
    """

    leg: Leg = "right"
    depth_m: float = 0.32  # the belt sinks by that much
    back_m: float = 0.36  # and goes back: about half of the step
    step_s: float = 1.1
    down_s: float = 0.9
    hold_s: float = 0.3
    up_s: float = 0.8
    return_s: float = 0.9
    lean_deg: float = 8.0
    wobble_deg: float = 1.2
    jolt_g: float = 0.35  # of the foot that lands
    seed: int = 0

    @classmethod
    def of(cls, **rest: object) -> "Lunge":
        """The lunge that lasts as long as its parts."""
        one = cls(1.0, **rest)  # type: ignore[arg-type]
        return cls(one.step_s + one.down_s + one.hold_s + one.up_s + one.return_s, **rest)  # type: ignore[arg-type]

    @property
    def bottom_s(self) -> float:
        """When the belt has come down, s after the beginning."""
        return self.step_s + self.down_s

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        side = 1.0 if self.leg == "left" else -1.0
        begins, rises = 0.45 * self.step_s, self.bottom_s + self.hold_s
        ends = rises + self.up_s + self.return_s
        deep = eased(s - begins, self.bottom_s - begins, 0.0, 1.0) - eased(s - rises, self.up_s + 0.35 * self.return_s, 0.0, 1.0)
        apart = eased(s - 0.1 * self.step_s, 0.9 * self.step_s, 0.0, 1.0) - eased(s - rises - self.up_s, 0.8 * self.return_s, 0.0, 1.0)
        lands, returns = s - 0.95 * self.step_s, s - ends + 0.18 * self.return_s
        jolt = thud(lands, self.jolt_g, 9.0) + thud(returns, 0.7 * self.jolt_g, 10.0)
        rng = np.random.default_rng([self.seed, 11])
        hz, phase = rng.uniform((0.5, 1.1, 1.9), (1.0, 1.9, 3.2), (3, 3)), rng.uniform(0, tau, (3, 3))
        size = radians(self.wobble_deg) * np.array([0.7, 0.5, 0.3]) * (apart * (0.35 + 0.65 * np.clip(deep, 0, 1)))[:, None]
        sways = [(size * np.sin(tau * s[:, None] * hz[axis] + phase[axis])).sum(axis=1) for axis in range(3)]
        back, forth = _speed(s - 0.1 * self.step_s, 0.9 * self.step_s), _speed(s - rises - self.up_s, 0.8 * self.return_s)
        return Course(
            speed=eased(s, 0.3, start.speed, 0.0) - self.back_m * (back - forth),
            gait=eased(s, 0.4, start.gait, 0.0),
            yaw=start.yaw + side * radians(5.0) * apart + sways[2],
            pitch=eased(s, 1.0, start.pitch, 0.0) + radians(self.lean_deg) * deep + sways[0],
            roll=eased(s, 1.0, start.roll, 0.0) + side * radians(2.5) * apart + sways[1],
            height=eased(s, 1.0, start.height, start.floor + who.belt_height_m) - self.depth_m * deep + jolt,
            sway=eased(s, 0.5, start.sway, 0.6),
            breath=start.breath,
        )


def _speed(s: Array, seconds: float) -> Array:
    """Speed of `eased` from 0 to 1."""
    u = np.clip(s / seconds, 0.0, 1.0)
    return np.asarray(30 * u * u * (1 - u) ** 2 / seconds)
