"""Gait's quality: angles, distance, regularity, symmetry, lean and sway, against walks whose truth is known and SisFall's."""

import math
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from guardian.config import Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude
from guardian.monitor.gait import Gait
from guardian.monitor.quality import GaitQuality, Quality, QualityMemory, angle_deg
from guardian.sim.exercises import Exercise, Session, session
from guardian.sim.phases import Phase, Stand, Turn, Walk
from guardian.sim.population import TEST, TRAINING, Population
from guardian.sim.striding import Run

from .wearer import STEP_NS, Wearer, recorded, sample, turned


class Walker:
    """Attitude, gait and quality in a row, as the monitor has them."""

    def __init__(self, config: Config) -> None:
        self.attitude, self.gait, self.quality = Attitude(config), Gait(config), GaitQuality(config)

    def walk(self, samples: list[ImuSample]) -> list[Quality]:
        out = []
        for each in samples:
            pose = self.attitude.step(each, self.gait.memory.walking)
            out.append(self.quality.step(pose, self.gait.step(pose)))
        return out


@pytest.fixture
def walker(config: Config) -> Walker:
    return Walker(config)


def simulated(told: Session, seconds: float) -> list[ImuSample]:
    """The first seconds of a simulated session, 100 Hz."""
    return [sample(i * STEP_NS, row[:3], row[3:]) for i, row in enumerate(told.samples(100.0)[: int(seconds * 100)])]


def person(*script: Phase, seed: int = 1, population: Population = TRAINING) -> Session:
    """Somebody who stands for 5 s, and then does that."""
    who = population.draw(seed)
    return Session(who, (Stand(5), *script), 5 + sum(phase.seconds for phase in script), "walk")


# angles


def test_angles_are_within_a_thousandth_of_a_degree_all_round() -> None:
    worst = 0.0
    for i in range(-180_000, 180_001, 7):
        angle = math.radians(i / 1000)
        y, x = 3.7 * math.sin(angle), 3.7 * math.cos(angle)
        apart = abs(angle_deg(y, x) - math.degrees(math.atan2(y, x)))
        worst = max(worst, min(apart, 360.0 - apart))
    assert worst < 0.0007


def test_angles_on_the_axes_are_those_of_atan2() -> None:
    for y, x in ((0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (-2.0, 0.0), (0.0, -2.0)):
        assert angle_deg(y, x) == pytest.approx(math.degrees(math.atan2(y, x)), abs=1e-12)


# lean and sway


@pytest.mark.parametrize("lean_deg", [-12.0, 0.0, 7.0, 25.0])
@pytest.mark.parametrize("mount", [turned("y", 0.0), turned("y", 20.0)], ids=["straight", "pitched"])
def test_who_leans_is_told_by_how_much_however_the_belt_sits(walker: Walker, lean_deg: float, mount: np.ndarray) -> None:
    wearer = Wearer(mount, noise_g=0.003, noise_deg_s=0.05)
    assert walker.walk(wearer.stay(4.0))[250].lean_deg is None, "not known before some seconds"
    seen = walker.walk(wearer.walk(6.0) + wearer.lean(lean_deg, 1.0) + wearer.walk(120.0))
    assert seen[1500].lean_deg == pytest.approx(lean_deg, abs=1.5)
    assert seen[-1].lean_deg == pytest.approx(lean_deg, abs=1.5), "a lasting lean is not taken for upright"


def test_an_armchair_is_no_stance(walker: Walker) -> None:
    wearer = Wearer()
    wearer.lean(-20.0, 1.0)
    chair = walker.walk(wearer.stay(20.0))
    assert chair[-1].lean_deg is not None
    seen = walker.walk(wearer.lean(0.0, 2.0) + wearer.move(9.0, lambda t: 2.0 * math.sin(5 * t)) + wearer.walk(20.0))
    assert seen[-1].lean_deg is not None
    walker.walk(wearer.stay(4.0))
    again = walker.walk(wearer.walk(20.0) + wearer.lean(10.0, 1.0) + wearer.walk(20.0))
    assert again[-1].lean_deg == pytest.approx(10.0, abs=1.5)


def test_sway_is_the_sideward_rms_about_its_mean(walker: Walker) -> None:
    tilt = Wearer(turned("z", 90.0))  # the box turned round by a quarter: what is pitch for the body is roll for it
    walker.walk(tilt.stay(4.0))
    swaying = walker.walk(tilt.move(30.0, lambda t: 4.0 * math.sin(2 * math.pi * 0.8 * t)))
    assert swaying[-1].sway_deg == pytest.approx(4.0 / math.sqrt(2.0), rel=0.15)
    assert walker.walk(tilt.stay(20.0))[-1].sway_deg == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize("seed", range(4))
def test_the_lean_of_simulated_people_is_theirs(walker: Walker, seed: int) -> None:
    lean = (-8.0, -3.0, 4.0, 12.0)[seed]
    told = person(Walk(90.0, speed=-0.7, lean_deg=lean), seed=seed, population=TEST)
    seen = [q.lean_deg for q in walker.walk(simulated(told, 95.0))[1200:]]
    assert np.mean([value for value in seen if value is not None]) == pytest.approx(lean, abs=2.5)


# speed and distance


@pytest.mark.parametrize(("exercise", "within"), [("walk", 0.4), ("run", 0.3)])
def test_the_distance_of_people_not_learnt_from_is_about_right(config: Config, exercise: Exercise, within: float) -> None:
    """At the median: single people are off by more (lab/steps.py)."""
    errors = []
    for seed in range(60, 65):
        told = session(exercise, TEST, seed, 2.0)
        seen = Walker(config).walk(simulated(told, 120.0))
        errors.append(abs(seen[-1].distance_m / told.truth.distance_m - 1.0))
    assert sorted(errors)[2] < within


def test_thirty_metres_run_backward_are_about_that(walker: Walker) -> None:
    told = person(Walk(3, speed=-0.7), Run(16, speed=-1.9), Stand(4), seed=5)
    seen = walker.walk(simulated(told, 28.0))
    assert seen[-1].distance_m == pytest.approx(told.truth.distance_m, rel=0.25)
    assert seen[1600].speed_m_s == pytest.approx(1.9, rel=0.3)
    assert seen[-1].speed_m_s == 0.0


def test_distance_grows_while_walking_alone(walker: Walker) -> None:
    told = person(Walk(15, speed=1.2), Stand(10), Turn(3, angle_deg=90.0), Stand(10))
    seen = walker.walk(simulated(told, 43.0))
    assert seen[500].distance_m == 0.0
    assert 13.0 < seen[2100].distance_m < 25.0
    assert seen[2900].distance_m == pytest.approx(seen[2200].distance_m), "standing"
    assert seen[-1].distance_m < seen[2100].distance_m + 2.5, "turning on the spot is a few small steps"
    assert all(later.distance_m >= earlier.distance_m for earlier, later in pairwise(seen))


def test_a_longer_leg_goes_farther_with_the_same_bounce(config: Config) -> None:
    long = msgspec.structs.replace(config, gait=msgspec.structs.replace(config.gait, leg_m=1.05))
    samples = simulated(person(Walk(20, speed=1.1)), 25.0)
    near, far = (Walker(one).walk(samples)[-1].distance_m for one in (config, long))
    assert far / near == pytest.approx(math.sqrt(1.05 / config.gait.leg_m), rel=0.02)


# regularity and symmetry


def test_an_even_walk_is_regular_and_symmetric(walker: Walker) -> None:
    wearer = Wearer(noise_g=0.003)
    walker.walk(wearer.stay(3.0))
    seen = walker.walk(wearer.walk(15.0, hz=1.85, heels=1.0))
    assert seen[400].regularity is None, "not known before some seconds of walking"
    assert seen[-1].regularity == pytest.approx(1.0, abs=0.06)
    assert seen[-1].symmetry == pytest.approx(1.0, abs=0.05)
    stand = walker.walk(wearer.stay(4.0))
    assert stand[-1].regularity is None
    assert stand[-1].symmetry is None


@pytest.mark.parametrize("limp", [0.2, 0.4])
def test_a_limp_is_asymmetric_as_the_autocorrelation_says(walker: Walker, limp: float) -> None:
    """Every other step is heavier: a half harmonic `limp` times the step's leaves (1 - limp²) / (1 + limp²) at a step, 1 at a stride."""
    wearer = Wearer()
    walker.walk(wearer.stay(3.0))

    def bounce(t: float) -> float:
        return 2.5 * (math.cos(3.6 * math.pi * t) + limp * math.cos(1.8 * math.pi * t))

    seen = walker.walk(wearer.move(15.0, lambda t: 0.0, down=bounce))
    want = (1 - limp * limp) / (1 + limp * limp)
    assert seen[-1].regularity == pytest.approx(want, abs=0.06)
    assert seen[-1].symmetry == pytest.approx(want, abs=0.06)


def test_unsteady_steps_are_less_regular(walker: Walker, config: Config) -> None:
    def regularity(jitter: float) -> float:
        wearer, at = Walker(config), Wearer()
        wearer.walk(at.stay(3.0))
        walk = at.move(
            20.0, lambda t: 0.0, down=lambda t: 2.5 * math.cos(3.6 * math.pi * t + jitter * math.sin(2.1 * t) + jitter * math.sin(3.3 * t))
        )
        return float(np.mean([q.regularity for q in wearer.walk(walk)[800:] if q.regularity is not None]))

    assert regularity(0.0) > regularity(0.5) > regularity(1.0)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "reversed"])
@pytest.mark.parametrize("trial", ["D01_SA05_R01", "D02_SA12_R01", "D03_SA08_R01"])
def test_real_walkers_are_regular_symmetric_and_at_a_plausible_speed(walker: Walker, sisfall: Path, trial: str, backward: bool) -> None:
    seen = walker.walk(recorded(sisfall, trial, backward)[:4000])
    known = [q for q in seen[1000:] if q.regularity is not None and q.symmetry is not None]
    assert len(known) > 2000
    low, high = (1.2, 3.5) if trial.startswith("D03") else (0.5, 1.9)
    assert low < float(np.median([q.speed_m_s for q in known])) < high
    assert 0.4 < float(np.median([q.regularity or 0.0 for q in known])) <= 1.0
    assert 0.6 < float(np.median([q.symmetry or 0.0 for q in known])) < 1.3
    assert abs(float(np.median([q.lean_deg or 0.0 for q in known]))) < 12.0


# memory


def test_a_hole_forgets_all_but_the_distance(walker: Walker) -> None:
    wearer = Wearer()
    walked = walker.walk(wearer.stay(3.0) + wearer.walk(20.0))[-1]
    assert walked.regularity is not None
    wearer.stay(0.3)  # lost
    after = walker.walk(wearer.walk(0.1))[-1]
    assert after == Quality(distance_m=walked.distance_m)
    assert walker.walk(wearer.walk(20.0))[-1].distance_m > walked.distance_m + 5.0


def test_it_goes_on_from_a_snapshot_as_if_nothing_had_been(config: Config) -> None:
    wearer = Wearer(noise_g=0.003)
    before, after = wearer.stay(3.0) + wearer.walk(7.77), wearer.walk(6.0) + wearer.stay(3.0)
    one, other = Walker(config), Walker(config)
    one.walk(before)
    other.walk(before)
    kept = msgspec.to_builtins(one.quality.memory)
    other.quality = GaitQuality(config)
    other.quality.memory = msgspec.convert(kept, QualityMemory)
    assert one.walk(after) == other.walk(after)
