"""Who trains: people drawn from one of two populations, whose ranges differ as well as their seeds.

TRAINING is what thresholds and models may learn from; TEST reaches beyond it on both sides (shorter and taller, slower and faster,
limping more, looser belts, falling otherwise), and shares no seed with it. Ranges: heights of adults; backward walking 0.44-0.59 m/s of
old people (Polo-Ferrero 2025), about 1.1 of young ones; cadence hardly changes from forward to backward (Laufer 2005); backward walk and
run meet at 1.63 m/s (Hreljac 2005), and backward running is harder than forward (Cavagna 2012). How they fall: falling.py's sources.
"""

from functools import lru_cache
from math import sqrt

import numpy as np
from msgspec import Struct

from guardian.sim.gait import Waves
from guardian.sim.person import Gait, Person
from guardian.sim.strides import LEG_M, Style, stride_waves

Range = tuple[float, float]


class Trainee(Person, frozen=True, kw_only=True):
    """A wearer with a size and a style."""

    height_m: float = 1.70
    walk_m_s: float = 0.65  # backward, by choice
    run_m_s: float = 1.8  # backward
    stairs_rate: float = 0.9  # steps/s, backward
    run_cadence: float = 168.0  # steps/min
    vitality: float = 1.0  # 0.8 … 1.2: tempo of all that is done by will
    tires: float = 0.5  # fatigue after 10 minutes, 0 … 1
    style: Style = Style(0, 0.0, (1.0,) * 6, 1.0, 0.0, 1.0, 12.0, 0.4)

    @property
    def leg_m(self) -> float:
        """Hip to floor (Winter: 0.530 of the height)."""
        return float(0.53 * self.height_m)

    def step_rate(self, gait: Gait, speed: float) -> float:
        """See Person. Forward walking: 91 steps/min at 0.8 m/s, 117 at 1.4 (SisFall's D01 and D02); backward the person's own cadence."""
        slower = sqrt(LEG_M / self.leg_m)
        if gait == "run":
            return float(self.run_cadence / 60 * slower * (1 + 0.06 * (abs(speed) * slower - 1.8)))
        if gait == "stairs":
            return self.stairs_rate
        if speed > 0:
            return float(117 / 60 * slower * (max(0.3, speed * slower) / 1.4) ** 0.45)
        return float(self.cadence / 60 * slower * (max(0.3, -speed * slower) / 0.65) ** 0.2)

    def waves(self, gait: Gait, speed: float, step_rate: float, fatigue: float = 0.0) -> Waves:
        """See Person."""
        return _waves(self.style, gait, speed, step_rate, self.leg_m, self.vigour * (1 - 0.08 * fatigue))


@lru_cache(maxsize=256)
def _waves(style: Style, gait: Gait, speed: float, step_rate: float, leg_m: float, size: float) -> Waves:
    """Kept, since every block of a walk asks for the same."""
    return stride_waves(gait, abs(speed), step_rate, leg_m, style, size * (1.08 if gait == "run" and speed < 0 else 1.0))


class Population(Struct, frozen=True, kw_only=True):
    """Ranges to draw people from; uniform within."""

    name: str
    first_seed: int  # people of two populations never share a seed
    height_m: Range
    walk_m_s: Range
    run_m_s: Range
    stairs_rate: Range
    cadence: Range
    run_cadence: Range
    vigour: Range
    spread: Range
    axes: Range  # size of each axis against the median person's
    sharp: Range
    asymmetry: Range
    loose: Range
    belt_hz: Range
    belt_tilt_deg: Range
    lean_back_deg: Range
    uneven: Range
    sway_deg: Range
    vitality: Range
    tires: Range
    # how they fall, one by one
    struggle_s: Range
    buckle: Range
    buckle_deg: Range
    brake: Range
    trunk: Range
    bow_deg: Range
    impact_g: Range
    tip_deg: Range  # of near-falls

    def draw(self, seed: int) -> Trainee:
        """The person of `seed` (0 …)."""
        own = self.first_seed + seed
        rng = np.random.default_rng([own, 9])

        def among(span: Range) -> float:
            return float(rng.uniform(*span))

        height = among(self.height_m)
        axes = tuple(float(v) for v in rng.uniform(*self.axes, 6))
        return Trainee(
            seed=own,
            height_m=height,
            belt_height_m=height * float(rng.uniform(0.55, 0.59)),
            walk_m_s=among(self.walk_m_s),
            run_m_s=among(self.run_m_s),
            stairs_rate=among(self.stairs_rate),
            cadence=among(self.cadence),
            run_cadence=among(self.run_cadence),
            vigour=among(self.vigour),
            lean_back_deg=among(self.lean_back_deg),
            belt_pitch_deg=among(self.belt_tilt_deg),
            belt_roll_deg=among(self.belt_tilt_deg) / 2,
            breath_hz=float(rng.uniform(0.2, 0.3)),
            breath_deg=float(rng.uniform(0.4, 0.6)),
            sway_deg=among(self.sway_deg),
            reaction_s=float(0.48 * rng.uniform(0.9, 1.24)),
            slow_s=float(0.58 * rng.uniform(0.9, 1.24)),
            uneven=among(self.uneven),
            vitality=among(self.vitality),
            tires=among(self.tires),
            style=Style(
                seed=own,
                spread=among(self.spread),
                axes=(axes[0], axes[1], axes[2], axes[3], axes[4], axes[5]),
                sharp=among(self.sharp),
                asymmetry=among(self.asymmetry),
                loose=among(self.loose),
                belt_hz=among(self.belt_hz),
                belt_damping=float(rng.uniform(0.3, 0.6)),
            ),
        )


TRAINING = Population(
    name="training",
    first_seed=10_000_000,
    height_m=(1.57, 1.82),
    walk_m_s=(0.38, 0.95),
    run_m_s=(1.4, 2.2),
    stairs_rate=(0.65, 1.15),
    cadence=(92, 114),
    run_cadence=(152, 172),
    vigour=(0.85, 1.2),
    spread=(0.15, 0.4),
    axes=(0.85, 1.2),
    sharp=(0.8, 1.2),
    asymmetry=(0.03, 0.15),
    loose=(0.7, 1.2),
    belt_hz=(9.0, 15.0),
    belt_tilt_deg=(-7.0, 7.0),
    lean_back_deg=(-4.0, 8.0),
    uneven=(0.7, 1.4),
    sway_deg=(0.3, 0.9),
    vitality=(0.85, 1.15),
    tires=(0.2, 0.8),
    struggle_s=(0.0, 0.6),
    buckle=(0.4, 0.95),
    buckle_deg=(8.0, 28.0),
    brake=(0.0, 0.6),
    trunk=(0.4, 1.1),
    bow_deg=(0.0, 9.0),
    impact_g=(3.0, 11.0),
    tip_deg=(7.0, 19.0),
)

TEST = Population(
    name="test",
    first_seed=20_000_000,
    height_m=(1.48, 1.92),
    walk_m_s=(0.3, 1.1),
    run_m_s=(1.25, 2.5),
    stairs_rate=(0.55, 1.3),
    cadence=(86, 118),
    run_cadence=(148, 178),
    vigour=(0.78, 1.28),
    spread=(0.1, 0.5),
    axes=(0.8, 1.3),
    sharp=(0.7, 1.35),
    asymmetry=(0.0, 0.22),
    loose=(0.6, 1.4),
    belt_hz=(8.0, 16.0),
    belt_tilt_deg=(-10.0, 10.0),
    lean_back_deg=(-6.0, 11.0),
    uneven=(0.5, 1.7),
    sway_deg=(0.2, 1.2),
    vitality=(0.78, 1.25),
    tires=(0.1, 1.0),
    struggle_s=(0.0, 0.9),
    buckle=(0.33, 0.97),
    buckle_deg=(5.0, 34.0),
    brake=(0.0, 0.7),
    trunk=(0.32, 1.25),
    bow_deg=(0.0, 12.0),
    impact_g=(2.6, 12.0),
    tip_deg=(5.0, 22.0),
)
