"""The simulated body obeys physics, and moves as people do."""

from itertools import pairwise
from math import cos, radians, sin

import numpy as np
import pytest
from msgspec.structs import replace

from guardian.sim.gait import G
from guardian.sim.person import Person
from guardian.sim.phases import (
    Drop,
    Faint,
    GetUp,
    Hold,
    Lie,
    Phase,
    Sit,
    SitDownHard,
    Stand,
    Stumble,
    TakeOff,
    Toss,
    TripBackward,
    Turn,
    Walk,
)
from guardian.sim.walker import Body

SEEDS = range(6)
EVERYTHING: tuple[Phase, ...] = (
    Stand(2), Walk(4, speed=-0.8), Stand(1.5), Turn(2), Walk(3, speed=1.0), Stumble(), Walk(3, speed=-0.5), TripBackward(), Lie(2), GetUp(),
    Stand(1), SitDownHard(), Sit(1), Stand(1.5), Faint(), Lie(1), GetUp(), TakeOff(), Toss(), Hold(1),
)  # fmt: skip


def times(start_s: float, end_s: float, hz: int = 500) -> np.ndarray:
    return np.arange(round(start_s * hz), round(end_s * hz), dtype=np.int64) * (10**9 // hz)


def norm_g(motion: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(motion[:, :3], axis=1) / G)


def rate_deg_s(motion: np.ndarray) -> np.ndarray:
    return np.asarray(np.degrees(np.linalg.norm(motion[:, 3:], axis=1)))


def duration(script: tuple[Phase, ...]) -> float:
    return sum(phase.seconds for phase in script if phase.seconds < 1e6)


def attitude(body: Body, t_ns: int) -> np.ndarray:
    """Body to world."""
    _, _, _, r, p, y = body.pose(t_ns)
    about_z = np.array([[cos(y), -sin(y), 0], [sin(y), cos(y), 0], [0, 0, 1]])
    about_y = np.array([[cos(p), 0, sin(p)], [0, 1, 0], [-sin(p), 0, cos(p)]])
    about_x = np.array([[1, 0, 0], [0, cos(r), -sin(r)], [0, sin(r), cos(r)]])
    return about_z @ about_y @ about_x


def turned(rotation: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """`rotation` after a turn by the vector `angle` in its own axes (Rodrigues)."""
    size = float(np.linalg.norm(angle))
    if size == 0:
        return rotation
    x, y, z = angle / size
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return rotation @ (np.eye(3) + sin(size) * cross + (1 - cos(size)) * cross @ cross)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gyro_integrated_through_everything_gives_the_attitude(seed: int) -> None:
    body, end_s = Body(Person.drawn(seed), EVERYTHING), duration(EVERYTHING)
    t = times(0, end_s, 1000)
    rates = body.motion(t)[:, 3:]
    rotation = attitude(body, 0)
    for a, b in pairwise(rates):
        rotation = turned(rotation, (a + b) / 2 * 1e-3)
    off_deg = np.degrees(np.arccos((np.trace(rotation.T @ attitude(body, int(t[-1]))) - 1) / 2))
    assert off_deg < 0.3


@pytest.mark.parametrize("seed", SEEDS)
def test_the_accelerometer_integrated_through_everything_gives_the_place(seed: int) -> None:
    body, end_s = Body(Person.drawn(seed), EVERYTHING), duration(EVERYTHING)
    t = times(0, end_s)
    force = body.motion(t)[:, :3]
    world = np.array([attitude(body, int(at)) @ f for at, f in zip(t, force, strict=True)]) - [0, 0, G]
    place = np.array([body.pose(int(at))[:3] for at in t])
    speed = (place[1] - place[0]) / 2e-3 + np.cumsum(world[1:] * 2e-3, axis=0)
    assert np.abs(place[1] + np.cumsum(speed * 2e-3, axis=0)[:-1] - place[2:]).max() < 0.01
    assert place[:, 2].min() > 0.05


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("script", [(Stand(8),), (Stand(1), Faint(), Lie(8)), (Stand(1), SitDownHard(), Sit(8))])
def test_at_rest_a_body_feels_one_g_and_little_turning(script: tuple[Phase, ...], seed: int) -> None:
    end_s = duration(script)
    rest = Body(Person.drawn(seed), script).motion(times(end_s - 5, end_s))
    assert np.abs(norm_g(rest) - 1).max() < 0.01
    assert 0.05 < rate_deg_s(rest).max() < 5.0


@pytest.mark.parametrize("seed", range(20))
def test_a_backward_fall_gives_way_turns_and_hits(seed: int) -> None:
    who = Person.drawn(seed)
    body = Body(who, (Stand(2), Walk(5, speed=-0.7), TripBackward(), Lie(3)))
    impact_s = 7 + TripBackward().impact_s(who)
    fall, after = body.motion(times(7, impact_s + 0.1)), body.motion(times(impact_s + 0.1, 12))
    assert 3.0 <= norm_g(fall).max() <= 8.0
    assert abs(7 + norm_g(fall).argmax() * 0.002 - impact_s) < 0.05
    assert norm_g(after).max() < norm_g(fall).max()
    descent = body.motion(times(7 + who.imbalance_s, 7 + who.imbalance_s + who.descent_s))
    assert 0.0 <= norm_g(descent).min() < 0.85
    assert 90 < np.degrees(descent[:, 4].min()) * -1 < 300
    assert 75 < abs(np.degrees(body.pose(12_000_000_000)[4])) < 95


@pytest.mark.parametrize("seed", range(20))
def test_a_faint_has_no_impact_and_is_no_faster_than_an_ahn_fall_on_all_three_counts(seed: int) -> None:
    sinking = Body(Person.drawn(seed), (Stand(2), Faint(), Lie(3))).motion(times(2, 8))
    assert norm_g(sinking).max() < 1.3
    assert norm_g(sinking).min() > 0.9


@pytest.mark.parametrize("seed", range(20))
def test_sitting_down_hard_is_an_impact_but_stays_upright(seed: int) -> None:
    body = Body(Person.drawn(seed), (Stand(2), SitDownHard(), Sit(3)))
    assert 2.6 < norm_g(body.motion(times(2, 4))).max() < 3.5
    assert max(abs(np.degrees(body.pose(int(t))[4])) for t in times(2, 7, 50)) < 24


@pytest.mark.parametrize("seed", range(20))
def test_a_stumble_tips_and_turns_but_does_not_hit(seed: int) -> None:
    who = Person.drawn(seed)
    body = Body(who, (Stand(2), Walk(4, speed=-0.7), Stumble(), Walk(4, speed=-0.5)))
    motion = body.motion(times(6, 8.2))
    assert norm_g(motion).max() < 2.5
    assert 60 < rate_deg_s(motion).max() < 170
    assert min(np.degrees(body.pose(int(t))[4]) for t in times(6, 8.2, 50)) < -20


def test_a_tossed_belt_falls_freely_hits_and_is_truly_still() -> None:
    body = Body(Person.drawn(3), (Stand(2), TakeOff(), Toss()))
    flight, rest = body.motion(times(3.6, 4.6)), body.motion(times(5.5, 20))
    assert norm_g(flight).min() < 0.35
    assert norm_g(flight).max() > 4
    assert rate_deg_s(rest).max() < 1e-6
    assert np.ptp(rest[:, :3], axis=0).max() < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_breathing_turns_a_lying_belt_well_above_the_chips_noise_and_little(seed: int) -> None:
    who = Person.drawn(seed)
    lying = np.degrees(Body(who, (Stand(1), Faint(), Lie(40))).motion(times(10, 40))[:, 3:])
    assert 4 * 0.05 < np.sqrt((lying**2).sum(axis=1).mean()) < 1.5  # chips: about 0.05 deg/s rms
    about_y = np.abs(np.fft.rfft(lying[:, 1] - lying[:, 1].mean()))
    assert 0.17 < np.fft.rfftfreq(len(lying), 0.002)[about_y.argmax()] < 0.33


@pytest.mark.parametrize("speed", [-0.3, -0.6, -0.9, -1.2])
def test_walking_backward_goes_there_at_that_speed_with_that_cadence(speed: float) -> None:
    who = Person.drawn(11)
    body = Body(who, (Stand(2), Walk(20, speed=speed)))
    gone = body.pose(20_000_000_000)[0] - body.pose(5_000_000_000)[0]
    assert gone / 15 == pytest.approx(speed, rel=0.06)
    assert body.backward_m_s(20_000_000_000) == pytest.approx(-speed, rel=0.08)
    assert 98 < (body.steps(20_000_000_000) - body.steps(5_000_000_000)) * 4 < 122
    up = body.motion(times(5, 20))[:, 2]
    spectrum, hz = np.abs(np.fft.rfft(up - up.mean())), np.fft.rfftfreq(7500, 0.002)
    steps_hz = hz[(hz > 1.2) & (hz < 2.4)][spectrum[(hz > 1.2) & (hz < 2.4)].argmax()]
    assert steps_hz * 60 == pytest.approx(who.cadence, rel=0.06)


def test_the_trunk_speeds_up_and_slows_down_with_each_step() -> None:
    body = Body(Person.drawn(2), (Stand(2), Walk(20, speed=-0.8)))
    x = np.array([body.pose(int(t))[0] for t in times(5, 20)])
    speed = np.diff(x) / 0.002
    half_width = (np.percentile(speed, 95) - np.percentile(speed, 5)) / 2
    assert 0.12 < half_width < 0.3


def test_backward_walking_is_forward_walking_reversed_in_time() -> None:
    """Reversed, acceleration keeps its sign and angular rate changes it, so fore-aft leads the vertical by the other quarter."""

    def lead(speed: float) -> float:
        motion = Body(replace(Person.drawn(5), lean_back_deg=0.0), (Stand(2), Walk(30, speed=speed))).motion(times(6, 30, 100))
        ahead, up = (np.fft.rfft((column - column.mean()) * np.hanning(len(column))) for column in (motion[:, 0], motion[:, 2]))
        step = int(np.abs(up).argmax())
        return float(np.degrees(np.angle(ahead[step] / up[step])))

    assert lead(0.8) == pytest.approx(90, abs=25)
    assert lead(-0.8) == pytest.approx(-90, abs=25)


def test_small_blocks_and_large_ones_are_the_same_motion() -> None:
    one, many = Body(Person.drawn(4), EVERYTHING), Body(Person.drawn(4), EVERYTHING)
    t = times(0, duration(EVERYTHING), 833)
    assert (one.motion(t) == np.concatenate([many.motion(part) for part in np.array_split(t, 3000)])).all()


def test_people_differ_by_seed_and_only_by_seed() -> None:
    assert Person.drawn(1) == Person.drawn(1)
    assert Person.drawn(1) != Person.drawn(2)
    t = times(4, 5)
    felt = [Body(Person.drawn(seed), (Stand(2), Walk(9, speed=-0.7))).motion(t) for seed in (1, 1, 2)]
    assert (felt[0] == felt[1]).all()
    assert not np.allclose(felt[0], felt[2], atol=0.1)


def test_a_belt_that_sits_askew_feels_gravity_askew_and_sees_the_floor() -> None:
    straight = replace(Person.drawn(7), belt_pitch_deg=0.0, belt_roll_deg=0.0, sway_deg=0.0)
    askew = replace(straight, belt_pitch_deg=-15.0, belt_roll_deg=8.0)
    up = Body(askew, (Stand(5),)).motion(times(3, 4)).mean(axis=0)[:3] / G
    assert up == pytest.approx([sin(radians(15)), sin(radians(8)) * cos(radians(15)), cos(radians(15)) * cos(radians(8))], abs=0.02)
    assert Body(askew, (Stand(5),)).rear_axis(0)[2] == pytest.approx(-sin(radians(15)), abs=0.01)
    assert all(abs(Person.drawn(seed, 20.0).belt_pitch_deg) <= 20 for seed in range(50))


def test_a_walk_cut_short_keeps_all_that_was_promised() -> None:
    script = (Stand(2), Walk(20, speed=-1.0, stops_on_sound=True), Stand(3), Turn(2))
    free, cut = Body(Person.drawn(9), script), Body(Person.drawn(9), script)
    cut.motion(times(0, 9))
    assert cut.end_walk(6_123_456_789)
    before = times(0, 6.123, 1000)
    assert np.allclose(cut.motion(before), free.motion(before), atol=1e-6, rtol=0)
    assert cut.phase(6_500_000_000) == Stand(3)
    assert cut.backward_m_s(9_000_000_000) < 0.05
    assert cut.pose(11_000_000_000)[5] > 1.0  # what followed in the script has moved up
    assert not cut.end_walk(8_000_000_000)


@pytest.mark.parametrize(("drop_m", "seconds", "peak_g"), [(0.8, 0.48, 7.4), (0.8, 0.9, 3.4), (0.4, 0.6, 2.9)])
def test_a_drop_ends_where_it_should_at_rest(drop_m: float, seconds: float, peak_g: float) -> None:
    drop = Drop.to(drop_m, seconds, peak_g)
    height = drop.height(np.arange(0, 2, 1e-4))
    assert height[0] == pytest.approx(0)
    assert height[-1] == pytest.approx(-drop_m, abs=1e-6)
    accel = np.diff(height, 2) / 1e-8
    assert accel.max() / G + 1 == pytest.approx(peak_g, rel=0.02)
    assert accel.min() > -G


@pytest.mark.parametrize(
    ("speed", "cadence", "peak_g", "low_g", "spread_g", "rate_50", "rate_95"),
    [(0.8, 91, 1.58, 0.65, 0.169, 25.8, 50.5), (1.4, 117, 1.89, 0.34, 0.343, 41.3, 77.0)],
)
def test_gait_is_of_the_size_that_real_people_have(
    speed: float, cadence: float, peak_g: float, low_g: float, spread_g: float, rate_50: float, rate_95: float
) -> None:
    """Medians over 26 people of SisFall's D01 and D02, means over 40 Hz: 99.9th and 0.1th percentile and spread of the norm, deg/s."""
    found = []
    for seed in range(8):
        who = replace(Person.drawn(seed), cadence=cadence / (1 + 0.06 * (speed - 0.75)))
        motion = Body(who, (Stand(1), Walk(40, speed=speed))).motion(times(5, 40, 200))
        motion = np.stack([np.convolve(column, np.ones(5) / 5, "valid") for column in motion.T], axis=1)
        norm, rate = norm_g(motion), rate_deg_s(motion)
        found.append([*np.percentile(norm, [99.9, 0.1]), norm.std(), *np.percentile(rate, [50, 95])])
    assert np.median(found, axis=0) == pytest.approx([peak_g, low_g, spread_g, rate_50, rate_95], rel=0.2)
