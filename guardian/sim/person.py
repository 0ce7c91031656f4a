"""Who wears the belt: a person's measures, drawn by seed."""

from typing import Literal

import numpy as np
from msgspec import Struct

from guardian.sim.gait import Waves, gait_waves

Gait = Literal["walk", "run", "stairs"]


class Person(Struct, frozen=True, kw_only=True):
    """One wearer. `drawn` varies all of it by seed; the defaults are the middle."""

    cadence: float = 108.0  # steps/min of backward walking: 100-115 (Laufer 2003, 2005: cadence hardly changes from forward to backward)
    vigour: float = 1.0  # of gait against the table above
    lean_back_deg: float = 5.0  # of the trunk while walking backward: 0-10
    belt_height_m: float = 0.95
    belt_pitch_deg: float = 0.0  # how the belt sits: the whole box, IMU and ranger, turned on the trunk
    belt_roll_deg: float = 0.0
    breath_hz: float = 0.25  # 12-18 breaths a minute
    breath_deg: float = 0.5  # tilt of the belt lying; half of it standing
    sway_deg: float = 0.35  # of quiet standing, each of four slow waves
    reaction_s: float = 0.48  # follower's perception and reaction (TRB 2023, motion capture, 16 people)
    slow_s: float = 0.58  # ... and slowing down
    descent_s: float = 0.583  # start of descent to pelvis impact: 583 ± 255 ms (Choi 2015, 25 filmed falls of old people)
    imbalance_s: float = 0.69  # before it, from loss of balance: 1271 - 583 ms (same)
    impact_g: float = 5.0  # norm; SisFall's backward falls F02 peak at 4.4-11.7 g (10th-90th percentile), fainting F06 at 3.5-8.6
    uneven: float = 1.0  # size of that unevenness, against some 4 % of step time and 9 % of step size
    seed: int = 0  # of the phases of sway and of the unevenness of steps

    def step_rate(self, gait: Gait, speed: float) -> float:
        """Steps/s at `speed` m/s, backward when negative. Old walkers raise backward speed by cadence a little (Laufer 2005)."""
        return self.cadence / 60 * (1 + 0.06 * (abs(speed) - 0.75))

    def waves(self, gait: Gait, speed: float, step_rate: float, fatigue: float = 0.0) -> Waves:
        """How the belt moves in that gait. `fatigue` 0 … 1."""
        return gait_waves(abs(speed), step_rate, self.vigour)

    @classmethod
    def drawn(cls, seed: int, belt_tilt_deg: float = 0.0) -> "Person":
        """The person of `seed`; their belt sits up to `belt_tilt_deg` off, pitch and roll."""
        rng = np.random.default_rng([seed, 1])
        tilt = rng.uniform(-1, 1, 2) * belt_tilt_deg
        return cls(
            cadence=float(rng.uniform(100, 115)),
            vigour=float(np.exp(np.clip(rng.normal(0, 0.15), -0.3, 0.3))),
            lean_back_deg=float(rng.uniform(0, 10)),
            belt_height_m=float(np.clip(rng.normal(0.95, 0.03), 0.88, 1.02)),
            belt_pitch_deg=float(tilt[0]),
            belt_roll_deg=float(tilt[1]),
            breath_hz=float(rng.uniform(0.2, 0.3)),
            breath_deg=float(rng.uniform(0.4, 0.6)),
            sway_deg=float(rng.uniform(0.2, 0.5)),
            reaction_s=float(0.48 * rng.uniform(0.9, 1.24)),  # old walkers × 1.24 (Tirosh & Sparrow 2004)
            slow_s=float(0.58 * rng.uniform(0.9, 1.24)),
            # below 0.48 s the belt would have to fall faster than freely; that half of the spread belongs to lower falls
            descent_s=float(np.clip(rng.normal(0.583, 0.255), 0.48, 0.9)),
            impact_g=float(rng.uniform(3.4, 7.4)),
            seed=seed,
        )
