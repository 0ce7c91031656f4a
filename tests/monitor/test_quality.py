"""Gait's quality: angles, distance, regularity, symmetry, lean and sway, against walks whose truth is known and SisFall's."""

import math
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from guardian.config import Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude, Pose
from guardian.monitor.gait import Gait, Stride
from guardian.monitor.quality import GaitQuality, Quality, QualityMemory, angle_deg
from guardian.sim.exercises import Exercise, Session, session
from guardian.sim.phases import Phase, Stand, Turn, Walk
from guardian.sim.population import TEST, TRAINING, Population
from guardian.sim.striding import Run
from guardian.verdict import Direction, Posture

from .wearer import STEP_NS, G, Wearer, recorded, sample, turned


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


class Told:
    """A GaitQuality that is told poses and strides, 25 a second, each as it is set here."""

    def __init__(self, config: Config) -> None:
        self.quality, self.t_ns = GaitQuality(config), 0
        self.walking, self.steps, self.cadence, self.direction = False, 0, 0.0, Direction.UNKNOWN
        self.lean_deg = self.side_deg = self.box_deg = 0.0  # of the trunk, forward and to the left; of the box, forward

    def part(self, vertical_m_s2: float = 0.0, still: bool = False, after_ns: int = 40_000_000) -> Quality:
        """40 ms of this."""
        self.t_ns += after_ns
        lean, side, box = map(math.radians, (self.lean_deg, self.side_deg, self.box_deg))
        up = (-math.sin(lean) * math.cos(side), math.sin(side), math.cos(lean) * math.cos(side))
        pose = Pose(
            self.t_ns, Posture.UPRIGHT, up[2], up, vertical_m_s2, (0.0, 0.0, G), (0.0, 0.0, 0.0), 1.0, settled=True, still=still,
            trusted=True, box_up=(-math.sin(box), 0.0, math.cos(box)),
        )  # fmt: skip
        return self.quality.step(pose, Stride(self.walking, self.steps, self.cadence, self.direction))

    def stand(self, seconds: float) -> list[Quality]:
        return [self.part() for _ in range(round(seconds * 25))]

    def walk(self, swing: list[float], step_parts: float, share: float = 1.0) -> list[Quality]:
        """Through these vertical accelerations, a step every `step_parts` of them; `share` of the steps are counted."""
        self.walking, self.cadence, before, seen = True, 1500.0 * share / step_parts, self.steps, []
        for i, vertical in enumerate(swing, 1):
            self.steps = before + int(i * share / step_parts)
            seen.append(self.part(vertical))
        return seen


@pytest.fixture
def told(config: Config) -> Told:
    return Told(config)


def waves(parts: int, *harmonics: tuple[float, float]) -> list[float]:
    """So many values of a sum of cosines: (period in values, amplitude) each."""
    return [sum(size * math.cos(2 * math.pi * i / period) for period, size in harmonics) for i in range(parts)]


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
    wearer = Wearer(noise_deg_s=0.01)
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


def test_until_a_stance_is_known_lean_is_against_the_learnt_upright_and_then_anew_against_the_stance(told: Told) -> None:
    told.lean_deg, told.box_deg = 3.0, 20.0
    seen = told.stand(10)
    known = next(i for i, q in enumerate(seen) if q.lean_deg is not None) / 25
    assert 3.0 <= known < 3.1
    assert seen[-1].lean_deg == pytest.approx(3.0, abs=1e-3)
    told.part(still=True)
    told.box_deg = 26.0
    walk = told.walk(waves(200), 15.0)
    assert [q.lean_deg for q in walk[:73]] == pytest.approx([3.0] * 73, abs=1e-3), "of before"
    assert [q.lean_deg for q in walk[76:]] == pytest.approx([6.0] * 124, abs=2e-3), "nothing of the axes before is in it"


@pytest.mark.parametrize("lean_deg", [-31.0, -8.3, 0.0, 2.7, 12.0, 40.1])
def test_the_mean_of_a_lean_that_never_changes_is_that_lean_to_the_last_bit(told: Told, lean_deg: float) -> None:
    told.lean_deg = lean_deg
    angle = math.radians(lean_deg)
    assert {q.lean_deg for q in told.stand(10)} == {None, angle_deg(math.sin(angle), math.cos(angle))}


def test_sway_is_that_of_the_angle_to_the_side_and_a_trunk_held_askew_does_not_sway(told: Told) -> None:
    told.side_deg = 5.0
    assert told.stand(4)[-1].sway_deg == pytest.approx(0.0, abs=1e-6)
    for _ in range(300):
        told.side_deg = 8.0 if told.side_deg == 2.0 else 2.0
        seen = told.part()
    assert seen.sway_deg == pytest.approx(3.0, rel=0.02)


def test_who_stands_still_after_a_walk_keeps_lean_sway_and_distance_and_has_no_speed_and_no_regularity(told: Told) -> None:
    told.lean_deg = 4.0
    for side in (-3.0, 3.0) * 50:
        told.side_deg = side
        told.part()
    walked = told.walk(waves(150, (12.0, 3.0)), 12.0)[-1]
    told.walking = False
    stopped = told.part()
    assert walked.regularity is not None
    assert walked.distance_m > 4.0
    assert stopped.lean_deg == pytest.approx(4.0, abs=1e-3)
    assert walked.sway_deg == pytest.approx(stopped.sway_deg, rel=0.03)
    assert 0.5 < (stopped.sway_deg or 0.0) < 3.0
    assert (stopped.distance_m, stopped.speed_m_s, stopped.regularity, stopped.symmetry) == (walked.distance_m, 0.0, None, None)


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


@pytest.mark.parametrize(
    ("direction", "factor"), [(Direction.FORWARD, 1.03), (Direction.BACKWARD, 0.87), (Direction.UNKNOWN, 0.95), (Direction.TURNING, 0.95)]
)
def test_no_leap_goes_farther_than_two_legs_by_the_factor_of_its_direction(told: Told, direction: Direction, factor: float) -> None:
    told.direction = direction
    told.stand(2)
    seen = told.walk(waves(100, (20.0, 90.0)), 20.0)
    assert [q.distance_m for q in seen[39::20]] == pytest.approx([2 * 1.8 * factor, 3 * 1.8 * factor, 4 * 1.8 * factor, 5 * 1.8 * factor])
    assert [q.speed_m_s for q in seen[19:]] == pytest.approx([1.8 * factor * 1.25] * 81)


@pytest.mark.parametrize("height_s", [0.5, 2.0])
@pytest.mark.parametrize(("hz", "swing_m_s2"), [(0.8, 6.0), (1.0, 12.0)])
def test_a_steps_length_is_the_pendulums_for_the_rise_of_a_leaky_double_integral(
    config: Config, height_s: float, hz: float, swing_m_s2: float
) -> None:
    told = Told(msgspec.structs.replace(config, gait=msgspec.structs.replace(config.gait, height_s=height_s)))
    told.direction = Direction.FORWARD
    parts = 25.0 / hz
    seen = told.walk(waves(1000, (parts, swing_m_s2)), parts)
    w, leak = 2 * math.pi * hz, 1 / height_s
    rise = 2 * swing_m_s2 * w / math.sqrt(w * w + leak * leak) ** 3
    length = 1.03 * 2 * math.sqrt(2 * 0.9 * rise - rise * rise)
    assert 0.1 < rise < 0.8
    assert seen[-1].speed_m_s == pytest.approx(length * hz, rel=0.02)
    assert seen[999].distance_m - seen[499].distance_m == pytest.approx(length * hz * 20, rel=0.02)


def test_steps_that_do_not_lift_the_waist_go_nowhere_and_have_no_regularity(told: Told) -> None:
    seen = told.walk(waves(300), 15.0)
    assert told.steps == 20
    assert {(q.distance_m, q.speed_m_s, q.regularity, q.symmetry) for q in seen} == {(0.0, 0.0, None, None)}


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


def top(level: list[float], near: float, within: int) -> float:
    """The greatest unbiased autocorrelation of what lies about its mean, at lags about `near`: the parabola's through three of them."""
    values = np.array(level) - np.mean(level)
    row = {lag: float(values[lag:] @ values[: len(values) - lag]) / (len(values) - lag) for lag in range(len(values) // 2)}
    at = max((lag for lag in row if abs(lag - near) <= within), key=lambda lag: row[lag])
    a, b, c = np.polyfit([-1.0, 0.0, 1.0], [row[at - 1], row[at], row[at + 1]], 2)
    return float(c - b * b / (4 * a)) / row[0]


@pytest.mark.parametrize("step_parts", [8.5, 11.4, 13.7, 20.0])
def test_regularity_and_symmetry_are_the_autocorrelations_peaks_of_the_last_five_seconds(told: Told, step_parts: float) -> None:
    noise = np.random.default_rng(3).normal(0.0, 0.5, 400)
    swing = (np.array(waves(400, (step_parts, 2.5), (2 * step_parts, 0.7))) + noise).tolist()
    seen, counted = told.walk(swing, step_parts), 0
    for i, q in enumerate(seen[150:], 150):
        steps = [int((i + part) / step_parts) for part in (0, 1)]
        if steps[0] != steps[1] and steps[1] % 2 == 0:
            last = swing[i - 124 : i + 1]
            step, stride = (top(last, lags * step_parts, 2) for lags in (1, 2))
            assert q.regularity == pytest.approx(step, abs=1e-9)
            assert q.symmetry == pytest.approx(step / stride, abs=1e-9)
            counted += 1
    assert counted > 4


@pytest.mark.parametrize("step_parts", [6.5, 8.5, 10.3, 12.5, 17.5])
def test_the_peak_between_two_values_is_found_to_two_hundredths(told: Told, step_parts: float) -> None:
    q = told.walk(waves(400, (step_parts, 2.5)), step_parts)[-1]
    assert q.regularity == pytest.approx(1.0, abs=0.02)
    assert q.symmetry == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("step_parts", "limp"), [(5.0, 0.65), (9.0, 0.4), (14.5, 0.4), (17.5, 0.3)])
def test_a_limp_of_which_every_other_step_is_counted_is_judged_by_the_step_all_the_same(told: Told, step_parts: float, limp: float) -> None:
    swing = waves(400, (step_parts, 2.5), (2 * step_parts, 2.5 * limp))
    seen = told.walk(swing, step_parts, share=0.5)[-1]
    want = (1 - limp * limp) / (1 + limp * limp)
    assert seen.regularity == pytest.approx(want, abs=0.05)
    assert seen.symmetry == pytest.approx(want, abs=0.05)


def test_nobody_takes_eight_steps_a_second(told: Told) -> None:
    """What swings nearly twice in each of 250 steps a minute is not taken for the steps of a limp."""
    swing = waves(400, (3.2, 1.0))
    seen = told.walk(swing, 6.0)[-1]
    assert seen.regularity == pytest.approx(top(swing[-125:], 6.0, 2), abs=0.02)
    assert seen.regularity < 0.85


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


def test_two_samples_of_one_time_are_no_hole(told: Told) -> None:
    told.walk(waves(300, (15.0, 2.5)), 15.0)
    assert told.part(after_ns=0).regularity is not None
    assert told.part(after_ns=-1).regularity is None


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
