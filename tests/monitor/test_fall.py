"""The signs of a fall: Ahn's rule at its edges, impacts, and both on real recordings; and that no motion at all upsets the chain."""

import csv
import json
import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from guardian.config import Config
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude, Pose
from guardian.monitor.fall import FallDetector, FallSigns, Learned
from guardian.monitor.gait import Gait, Stride
from guardian.monitor.network import read
from guardian.verdict import Posture

from .test_network import drawn, packed
from .wearer import STEP_NS, G, Wearer, recorded

Seen = tuple[Pose, Stride, FallSigns]


@pytest.fixture(scope="module")
def config(config: Config) -> Config:
    """With Ahn's rule: the shipped weights have seen these recordings' people, and are not judged by them."""
    return replace(config, fall=replace(config.fall, rule="ahn2019"))


class Mind:
    """Attitude, gait and fall signs in a row, as the monitor has them, with its snapshots."""

    def __init__(self, config: Config, exercise: str = "walk") -> None:
        self._config, self._exercise = config, config.exercises[exercise]
        self.parts: tuple[Attitude, Gait, FallDetector] = (Attitude(config), Gait(config), FallDetector(config))

    def see(self, samples: list[ImuSample]) -> list[Seen]:
        attitude, gait, fall = self.parts
        out = []
        for each in samples:
            pose = attitude.step(each, gait.memory.walking)
            out.append((pose, gait.step(pose), fall.step(pose, self._exercise)))
        return out

    def restarted(self) -> "Mind":
        """Another mind that knows what this one has written down, through JSON."""
        other = Mind(self._config)
        for old, new in zip(self.parts, other.parts, strict=True):
            new.memory = msgspec.convert(json.loads(msgspec.json.encode(old.memory)), type(new.memory))
        return other


def pose(norm_g: float = 1.0, rate_deg_s: float = 0.0, lean_deg: float = 0.0, t_s: float = 0.0, trusted: bool = True) -> Pose:
    lean_cos = math.cos(math.radians(lean_deg))
    posture = Posture.UNKNOWN if not trusted else Posture.UPRIGHT if lean_deg < 45 else Posture.DOWN
    up = (-math.sin(math.radians(lean_deg)), 0.0, lean_cos)
    rate = (0.0, math.radians(rate_deg_s), 0.0)
    return Pose(int(t_s * 1e9), posture, lean_cos, up, 0.0, (0.0, 0.0, norm_g * G), rate, norm_g, True, False, trusted)


@pytest.mark.parametrize(
    ("norm_g", "rate_deg_s", "lean_deg", "fires"),
    [
        (0.89, 47.4, 24.8, True),
        (0.91, 300.0, 80.0, False),
        (0.10, 47.2, 80.0, False),
        (0.10, 300.0, 24.6, False),
        (0.10, 300.0, 80.0, True),
        (1.00, 0.0, 0.0, False),
    ],
)
def test_ahns_rule_needs_all_three_at_once(config: Config, norm_g: float, rate_deg_s: float, lean_deg: float, fires: bool) -> None:
    signs = FallDetector(config).step(pose(norm_g, rate_deg_s, lean_deg), config.exercises["walk"])
    assert signs.firing is fires
    assert 0.0 <= signs.score <= 1.0
    assert bool(signs.evidence) is fires


def test_the_evidence_says_what_fired_in_its_units(config: Config) -> None:
    signs = FallDetector(config).step(pose(0.5, 120.0, 60.0), config.exercises["walk"])
    assert signs.evidence == {"rule": "ahn2019", "score": 1.0, "norm_g": 0.5, "rate_deg_s": 120.0, "lean_cos": 0.5}


def test_everyday_wear_asks_for_more_than_exercise(config: Config) -> None:
    mild = pose(0.88, 55.0, 27.0)
    assert FallDetector(config).step(mild, config.exercises["walk"]).firing
    assert not FallDetector(config).step(mild, config.exercises["everyday"]).firing


def test_an_unknown_attitude_fires_nothing(config: Config) -> None:
    signs = FallDetector(config).step(pose(0.3, 200.0, 80.0, trusted=False), config.exercises["walk"])
    assert not signs.firing
    assert signs.score == 0.0


@pytest.mark.parametrize(
    ("norm_g", "upright_before_s", "counts"), [(2.51, 2.9, True), (2.49, 0.1, False), (9.0, 3.1, False), (9.0, 0.0, True)]
)
def test_an_impact_counts_within_three_seconds_of_being_upright(
    config: Config, norm_g: float, upright_before_s: float, counts: bool
) -> None:
    detector, walk = FallDetector(config), config.exercises["walk"]
    detector.step(pose(t_s=10.0), walk)
    lean = 80.0 if upright_before_s else 0.0
    signs = detector.step(pose(norm_g, lean_deg=lean, t_s=10.0 + upright_before_s), walk)
    assert signs.impact is counts
    assert signs.peak_g == norm_g


def test_an_impact_before_anyone_stood_upright_is_none(config: Config) -> None:
    assert not FallDetector(config).step(pose(9.0, lean_deg=80.0), config.exercises["walk"]).impact


def test_the_peak_is_that_of_the_impact_until_it_is_over(config: Config) -> None:
    detector, walk = FallDetector(config), config.exercises["walk"]
    steps = [(0.0, 1.0), (0.1, 3.0), (0.2, 5.0), (0.3, 2.6), (2.0, 1.0), (3.2, 1.0)]
    assert [detector.step(pose(norm_g, t_s=t_s), walk).peak_g for t_s, norm_g in steps] == [1.0, 3.0, 5.0, 5.0, 5.0, 1.0]


@pytest.mark.parametrize(("weights", "word"), [(b"weights", "no fall model"), (None, "needs weights")])
def test_a_learned_rule_without_weights_that_can_be_read_is_refused(config: Config, weights: bytes | None, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        FallDetector(replace(config, fall=replace(config.fall, rule="learned")), weights)


def learned() -> Learned:
    return Learned(read(packed(drawn(3))))


def scores(rule: Learned, poses: list[Pose]) -> list[float]:
    state: tuple[int, ...] = ()
    out = []
    for each in poses:
        score, state = rule.step(each, state)
        out.append(score)
    return out


def standing(seconds: float, t_s: float = 0.0, trusted: bool = True) -> list[Pose]:
    return [pose(t_s=t_s + 0.01 * i, trusted=trusted) for i in range(int(100 * seconds))]


def toppling(t_s: float) -> list[Pose]:
    """Backward over the heels like a stick, ever faster, ever lighter: 0.6 s to the ground."""
    return [
        msgspec.structs.replace(
            pose(1.0 - 0.8 * u, -250.0 * u, 80.0 * u * u, t_s + 0.01 * i), up=(math.sin(1.4 * u * u), 0.0, math.cos(1.4 * u * u)),
            vertical_m_s2=-8.0 * u,
        )
        for i, u in ((i, i / 60) for i in range(60))
    ]  # fmt: skip


def test_the_learned_rule_knows_nothing_without_a_trusted_attitude() -> None:
    poses = standing(1.0) + [msgspec.structs.replace(each, trusted=False) for each in toppling(1.0)]
    assert max(scores(learned(), poses)[100:]) == 0.0


@pytest.mark.parametrize("hole_s", [0.06, 3.0, -0.5])
def test_after_a_hole_the_learned_rule_begins_as_at_power_on(hole_s: float) -> None:
    rule = learned()
    after = standing(1.0, t_s=1.0 + hole_s)
    state: tuple[int, ...] = ()
    for each in standing(1.0):
        _, state = rule.step(each, state)
    resumed = []
    for each in after:
        score, state = rule.step(each, state)
        resumed.append(score)
    assert resumed == scores(learned(), after)


def test_what_the_learned_rule_remembers_survives_json_at_any_sample() -> None:
    rule, poses = learned(), standing(1.0) + toppling(1.0)
    whole = scores(rule, poses)
    for cut in (1, 50, 101, 137, 158):
        state: tuple[int, ...] = ()
        for each in poses[:cut]:
            _, state = rule.step(each, state)
        state = tuple(json.loads(json.dumps(state)))
        rest = []
        for each in poses[cut:]:
            score, state = learned().step(each, state)
            rest.append(score)
        assert rest == whole[cut:], cut


def test_the_learned_rule_goes_on_from_the_state_it_is_given_whatever_it_has_seen_since() -> None:
    rule, falls, stands = learned(), standing(1.0) + toppling(1.0), standing(1.6)
    apart = scores(learned(), falls), scores(learned(), stands)
    one: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    in_turn: tuple[list[float], list[float]] = ([], [])
    for fall, stand in zip(falls, stands, strict=True):
        score, one = rule.step(fall, one)
        in_turn[0].append(score)
        score, other = rule.step(stand, other)
        in_turn[1].append(score)
    assert in_turn == apart
    assert apart[0] != apart[1]


def test_one_sample_is_ten_numbers_of_1_4096_force_in_g_rate_in_4_rad_s_the_vertical_and_its_speed_in_2_m_s() -> None:
    felt = msgspec.structs.replace(pose(), accel=(0.5 * G, -G, 2.25 * G), gyro=(4.0, -2.0, 1.0), up=(0.625, -0.75, 0.25))
    assert Learned.inputs(felt, 3_000_000) == (2048, -4096, 9216, 4096, -2048, 1024, 2560, -3072, 1024, 6144)
    assert Learned.inputs(felt, -500_000)[9] == -1024
    assert Learned.inputs(msgspec.structs.replace(felt, trusted=False), 0)[6:] == (0, 0, 0, 0)


def test_vertical_speed_is_the_integral_that_fades_in_0_7_s() -> None:
    falling = msgspec.structs.replace(pose(), vertical_m_s2=-8.0)
    assert Learned.speed(falling, 0, 10_000_000) == -80_000 + 1143
    assert Learned.speed(falling, -700_000, 10_000_000) == -780_000 + 11_143
    assert Learned.speed(msgspec.structs.replace(falling, trusted=False), -700_000, 10_000_000) == 0
    rising = msgspec.structs.replace(pose(), vertical_m_s2=2.0)
    speed = 0
    for _ in range(500):
        speed = Learned.speed(rising, speed, 10_000_000)
    assert speed == pytest.approx(2.0 * 0.7 * 1e6, rel=0.02)


def test_between_two_steps_of_the_network_the_score_is_that_of_the_last() -> None:
    seen = scores(learned(), standing(0.5) + toppling(0.5))
    assert seen[0] == 0.0
    assert seen[2::2] == seen[1:-1:2]
    assert len(set(seen[1::2])) > 20


def test_what_the_learned_rule_remembers_is_whole_numbers() -> None:
    rule, state = learned(), ()
    for each in standing(0.5) + toppling(0.5):
        _, state = rule.step(each, state)
        assert {type(number) for number in state} == {int}


def test_inputs_beyond_their_range_are_cut_not_wrapped() -> None:
    wild = msgspec.structs.replace(pose(), accel=(1e9, -1e9, 0.0), gyro=(1e9, -1e9, 0.0))
    assert Learned.inputs(wild, 10**15)[:6] == (32767, -32767, 0, 32767, -32767, 0)
    assert Learned.inputs(wild, 10**15)[9] == 32767
    assert 0.0 <= scores(learned(), [wild] * 10)[-1] <= 1.0


def test_signs_of_one_frame_merge_to_what_either_saw() -> None:
    blow = FallSigns(firing=False, score=0.2, impact=True, peak_g=4.0, evidence={})
    fall = FallSigns(firing=True, score=0.8, impact=False, peak_g=1.0, evidence={"score": 0.8})
    for merged in (blow.merged(fall), fall.merged(blow)):
        assert merged == FallSigns(firing=True, score=0.8, impact=True, peak_g=4.0, evidence={"score": 0.8})


def test_a_backward_fall_fires_before_the_ground_and_ends_down(config: Config) -> None:
    mind, wearer = Mind(config), Wearer(noise_g=0.003, noise_deg_s=0.05)
    quiet = mind.see(wearer.stay(2.0) + wearer.walk(6.0, surge=-1.2))
    assert not any(signs.firing or signs.impact for _, _, signs in quiet)
    falling = mind.see(wearer.lean(-80.0, 0.6, lightness=0.6))
    assert any(signs.firing for _, _, signs in falling)
    blow = mind.see(wearer.move(0.04, lambda t: -80.0, down=lambda t: 4 * G))
    assert all(signs.impact for _, _, signs in blow)
    assert mind.see(wearer.stay(1.0))[-1][0].posture is Posture.DOWN


def test_sitting_down_gently_and_bowing_slowly_fire_nothing(config: Config) -> None:
    mind, wearer = Mind(config), Wearer(noise_g=0.003, noise_deg_s=0.05)
    stand = wearer.stay(2.0)
    sit = wearer.move(1.2, lambda t: 30 * math.sin(math.pi * t / 1.2), down=lambda t: -1.0 * math.sin(2 * math.pi * t / 1.2))
    bow = wearer.stay(1.0) + wearer.lean(70.0, 2.0) + wearer.lean(0.0, 2.0)
    assert not any(signs.firing or signs.impact for _, _, signs in mind.see(stand + sit + bow))


def impact_s(sisfall: Path, trial: str) -> float:
    with (sisfall / "fall_times.csv").open() as file:
        return next(float(row["impact_s"]) for row in csv.DictReader(file) if row["trial"] == trial)


@pytest.mark.parametrize("trial", ["F01_SA03_R01", "F02_SA10_R02", "F03_SA19_R01", "F06_SA05_R01", "F11_SA08_R03", "F15_SA23_R05"])
def test_real_falls_end_in_an_impact_and_lying(config: Config, sisfall: Path, trial: str) -> None:
    seen = Mind(config).see(recorded(sisfall, trial))
    hit = round(impact_s(sisfall, trial) * 100)
    assert any(signs.impact for _, _, signs in seen[hit - 3 : hit + 4])
    assert any(pose.posture is Posture.DOWN for pose, _, _ in seen[hit : hit + 300])
    assert not any(pose.posture is Posture.DOWN for pose, _, _ in seen[: hit - 100])


@pytest.mark.parametrize("trial", ["F01_SA03_R01", "F04_SA16_R02", "F08_SA07_R01", "F14_SA12_R01"])
def test_ahns_rule_sees_real_falls_coming(config: Config, sisfall: Path, trial: str) -> None:
    seen = Mind(config).see(recorded(sisfall, trial))
    first = next(i for i, (_, _, signs) in enumerate(seen) if signs.firing) / 100
    assert 0.1 < impact_s(sisfall, trial) - first < 1.0


@pytest.mark.parametrize("trial", ["D01_SE07_R01", "D02_SA02_R01", "D01_SE11_R01"])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "reversed"])
def test_real_walks_fire_nothing_once_aligned_and_have_no_impact(config: Config, sisfall: Path, trial: str, backward: bool) -> None:
    seen = Mind(config).see(recorded(sisfall, trial, backward)[:6000])
    assert not any(signs.impact for _, _, signs in seen)
    assert not any(signs.firing for _, _, signs in seen[900:])


ACCEL = st.floats(-32 * G, 32 * G, allow_nan=False)
RATE = st.floats(-math.radians(2000), math.radians(2000), allow_nan=False)
VECTORS = st.tuples(st.tuples(ACCEL, ACCEL, ACCEL), st.tuples(RATE, RATE, RATE), st.booleans())
GAPS_NS = st.sampled_from([STEP_NS] * 6 + [9_600_000, 0, 1, 49_000_000, 60_000_000, 2_000_000_000, -1, -5_000_000_000])
RUNS = st.lists(st.tuples(VECTORS, GAPS_NS, st.integers(1, 60)), min_size=1, max_size=25)  # the same motion, so many samples


def played(runs: list[tuple[tuple[tuple[float, ...], tuple[float, ...], bool], int, int]]) -> list[ImuSample]:
    t_ns, out = 10_000_000_000, []
    for (accel, gyro, saturated), gap_ns, count in runs:
        for _ in range(count):
            t_ns += gap_ns
            out.append(ImuSample(t_ns, (accel[0], accel[1], accel[2]), (gyro[0], gyro[1], gyro[2]), saturated))
    return out


def numbers(thing: object) -> list[float]:
    if isinstance(thing, dict):
        return [n for value in thing.values() for n in numbers(value)]
    if isinstance(thing, (tuple, list)):
        return [n for value in thing for n in numbers(value)]
    return [thing] if isinstance(thing, float) else []


@settings(max_examples=60, deadline=None)
@given(runs=RUNS)
def test_no_motion_raises_or_yields_what_is_no_number(config: Config, runs: list) -> None:  # type: ignore[type-arg]
    mind = Mind(config)
    for shown in mind.see(played(runs)):
        assert all(math.isfinite(number) for number in numbers(msgspec.to_builtins(shown)))
        posed, stride, signs = shown
        assert abs(posed.up[0] ** 2 + posed.up[1] ** 2 + posed.up[2] ** 2 - 1.0) < 1e-6
        assert (posed.posture is Posture.UNKNOWN) is not posed.trusted
        assert 0.0 <= signs.score <= 1.0
        assert 0.0 <= stride.cadence <= 300.0
    assert all(math.isfinite(n) for part in mind.parts for n in numbers(msgspec.to_builtins(part.memory)))


@settings(max_examples=30, deadline=None)
@given(runs=RUNS, cut=st.integers(0, 400))
def test_after_a_restart_the_mind_goes_on_exactly(config: Config, runs: list, cut: int) -> None:  # type: ignore[type-arg]
    samples = played(runs)
    mind = Mind(config)
    mind.see(samples[:cut])
    other = mind.restarted()
    assert other.see(samples[cut:]) == mind.see(samples[cut:])


def test_after_a_restart_in_mid_walk_the_mind_goes_on_exactly(config: Config) -> None:
    wearer, mind = Wearer(noise_g=0.003, noise_deg_s=0.05), Mind(config)
    mind.see(wearer.stay(2.0) + wearer.walk(9.37))
    other = mind.restarted()
    rest = wearer.walk(5.0) + wearer.lean(80.0, 0.5, lightness=0.7) + wearer.stay(2.0)
    assert other.see(rest) == mind.see(rest)
