"""A story's world: what the ranger meets, what the wearer hears, what is promised and what is true."""

from math import asin, degrees, radians, sin

import numpy as np
import pytest
from msgspec.structs import replace

from guardian.sim.person import Person
from guardian.sim.phases import Lie, Stand, TripBackward, Turn, Walk
from guardian.sim.rates import PERFECT, STANDARD, Rates
from guardian.sim.surroundings import FLOOR, Plane, Point, Somebody, Surroundings, wall_behind
from guardian.sim.world import FAR_NS, Story

PING_S = 1 / 15
S = 1_000_000_000
STILL = replace(Person.drawn(0), sway_deg=0.0, breath_deg=0.0, lean_back_deg=0.0, reaction_s=0.48, slow_s=0.58)
EYE: Point = (0.0, 0.0, 0.95)


def back(lean_deg: float = 0.0) -> Point:
    """Where the ranger looks when the trunk leans back."""
    return (-((1 - sin(radians(lean_deg)) ** 2) ** 0.5), 0.0, -sin(radians(lean_deg)))


LEVEL = back()


def pings(around: Surroundings, eye: Point = EYE, axis: Point = LEVEL, n: int = 20_000) -> list[float | None]:
    jitter = np.random.default_rng(1).uniform(-0.002, 0.002, n)
    return [around.echo(k * PING_S + jitter[k], eye, axis) for k in range(n)]


# What the beam meets


def test_a_wall_is_heard_at_its_distance_and_not_when_turned_away() -> None:
    wall = wall_behind(-2.0)
    assert wall.distance(0, EYE, back(), STANDARD) == pytest.approx(2.0)
    assert wall.distance(0, EYE, back(10), STANDARD) == pytest.approx(2.0)  # its nearest point lies within the beam
    for turn_deg, heard in ((30, True), (44, True), (50, False), (120, False)):
        axis = (-np.cos(radians(turn_deg)), np.sin(radians(turn_deg)), 0.0)
        distance = wall.distance(0, EYE, axis, STANDARD)
        assert distance == (pytest.approx(2.0 / np.cos(radians(turn_deg - 15))) if heard else None)


@pytest.mark.parametrize("lean_deg", [0.0, 2.5, 5.0, 10.0])
def test_the_floor_is_heard_where_the_beams_lower_edge_meets_it(lean_deg: float) -> None:
    expected = 0.95 / sin(radians(lean_deg + 15))
    assert FLOOR.distance(0, EYE, back(lean_deg), STANDARD) == pytest.approx(expected)
    assert Surroundings(rates=PERFECT).echo(0.0, EYE, back(lean_deg)) == pytest.approx(expected)  # 3.67 to 2.25 m: all in range


def test_leaning_forward_lifts_the_beam_off_the_floor() -> None:
    assert Surroundings(rates=PERFECT).echo(0.0, EYE, back(-5)) is None
    assert FLOOR.distance(0, EYE, back(-20), STANDARD) is None


def test_of_wall_and_floor_the_nearer_is_heard() -> None:
    assert Surroundings([wall_behind(-3.0)], PERFECT).echo(0.0, EYE, back(5)) == pytest.approx(0.95 / sin(radians(20)))
    assert Surroundings([wall_behind(-2.0)], PERFECT).echo(0.0, EYE, back(5)) == pytest.approx(2.0)


def test_somebody_is_heard_from_when_they_step_into_the_beam() -> None:
    somebody = Somebody(5.0, 1.0, (-2.0, 2.0), (-2.0, 0.0))
    assert somebody.distance(4.0, EYE, back(), STANDARD) is None
    seen = [t for t in np.arange(5, 6.001, 0.01) if somebody.distance(t, EYE, back(), STANDARD) is not None]
    edge = 2.0 * (6.0 - seen[0])  # lateral place then
    assert degrees(np.arctan2(edge, 2.0)) - degrees(asin(0.2 / np.hypot(2.0, edge))) == pytest.approx(15, abs=0.7)
    assert somebody.distance(9.0, EYE, back(), STANDARD) == pytest.approx(1.8)
    assert somebody.distance(9.0, (-2.1, 0.0, 0.95), back(), STANDARD) == 0.0


# How well it is heard


def test_the_standard_rates_are_kept() -> None:
    heard = pings(Surroundings([wall_behind(-2.0)], seed=5))
    lost = sum(h is None for h in heard) / len(heard)
    near = [h is not None and h < 0.07 for h in heard]
    other = [h for h in heard if h is not None and h >= 0.07]
    ghosts = [h for h in other if abs(h - 2.0) > 0.06]
    true = [h for h in other if abs(h - 2.0) <= 0.06]
    assert lost == pytest.approx(0.10, abs=0.01)
    assert sum(near) / len(heard) == pytest.approx(0.01, abs=0.003)
    assert len(ghosts) / len(heard) == pytest.approx(0.02, abs=0.004)
    assert np.std(true) == pytest.approx(0.01, rel=0.05)
    assert np.mean(true) == pytest.approx(2.0, abs=0.001)
    runs = "".join("x" if n else " " for n in near).split()
    assert {len(run) for run in runs} == {1, 2}


def test_ghosts_come_in_an_open_hall_too_and_move_with_the_ping_period() -> None:
    heard = [h for h in pings(Surroundings(rates=Rates(lost=0, spurious=0), seed=2), axis=back(-10)) if h is not None]
    assert len(heard) / 20_000 == pytest.approx(0.02, abs=0.004)
    assert np.ptp(heard) > 3


def test_cloth_returns_few_pings() -> None:
    share = sum(h is not None for h in pings(Surroundings([wall_behind(-2.0, soft=True)], seed=3), axis=back(-10), n=5000)) / 5000
    assert 0.2 < share < 0.35


def test_the_same_seed_hears_the_same() -> None:
    first, again, other = (pings(Surroundings([wall_behind(-2.0)], seed=seed), n=500) for seed in (7, 7, 8))
    assert first == again != other


# The wearer


def walk_to_wall(stops: bool = True) -> Story:
    script = (Stand(2), Walk(12, speed=-1.0, stops_on_sound=stops), Stand(4), Turn(2), Walk(5, speed=0.8))
    return Story(STILL, script, Surroundings([wall_behind(-8.0)], PERFECT))


def hear(story: Story, start_s: float, *on_off_ms: int) -> None:
    """The line's changes, with the chip looking ahead each 10 ms as it does."""
    t = start_s
    for k, ms in enumerate(on_off_ms):
        story.heard(round(t * S), k % 2 == 0)
        for look in np.arange(t, t + ms / 1000, 0.01):
            horizon = story.horizon_ns(round(look * S))
            story.motion(np.array([min(horizon, round(look * S) + S // 2)]))
        t += ms / 1000
    story.heard(round(t * S), False)


def stopped_at(story: Story) -> float | None:
    begin = story.body.begins_ns(Stand, 3 * S)
    return None if begin is None else begin / S


@pytest.mark.parametrize("sound", [(90, 90, 90, 90, 90, 90), (1000,), (1000, 30)])
def test_the_wearer_stops_a_reaction_time_after_the_onset_of_stop(sound: tuple[int, ...]) -> None:
    story = walk_to_wall()
    hear(story, 5.0, *sound)
    assert stopped_at(story) == pytest.approx(5.48, abs=0.02)
    assert story.truth(7 * S).backward_m_s < story.truth(5 * S).backward_m_s / 2
    stands = story.body.pose(round(6.4 * S))[0]
    assert abs(story.body.pose(9 * S)[0] - stands) < 0.02
    assert 0.6 < story.body.pose(5 * S)[0] - stands < 0.95  # 0.48 s of walking and 0.58 s of slowing down at 1 m/s


@pytest.mark.parametrize(
    "sound",
    [
        (90, 560, 90, 560),
        (90, 260, 90, 260, 90),
        (60, 60, 120),
        (60, 60, 60, 60, 400),
        (90, 560, 90, 90, 90, 260, 90),
        (50, 50, 50, 50, 50, 50, 50),
        (30,),
    ],
)
def test_other_sounds_do_not_stop_the_wearer(sound: tuple[int, ...]) -> None:
    story = walk_to_wall()
    hear(story, 5.0, *sound)
    assert stopped_at(story) == pytest.approx(14.0)


def test_a_passive_buzzers_square_wave_is_heard_as_one_tone() -> None:
    story = walk_to_wall()
    for k in range(520):
        story.heard(5 * S + k * 961_538, k % 2 == 0)
        story.horizon_ns(5 * S + k * 961_538)
    assert stopped_at(story) == pytest.approx(5.48, abs=0.02)


def test_nobody_stops_who_stands_or_does_not_listen() -> None:
    deaf, standing = walk_to_wall(stops=False), walk_to_wall()
    hear(deaf, 5.0, 1000)
    hear(standing, 0.2, 1000)
    assert stopped_at(deaf) == stopped_at(standing) == pytest.approx(14.0)


def test_nothing_promised_is_taken_back() -> None:
    story, seen = walk_to_wall(), {}
    for k in range(1400):
        now = k * S // 100
        if 500 <= k < 540:
            story.heard(now, k % 18 < 9)
        horizon = min(story.horizon_ns(now), now + S)
        assert horizon > now
        ahead = np.arange(now, horizon + 1, 10_000_000)
        for t, row in zip(ahead.tolist(), story.motion(ahead), strict=True):
            assert np.allclose(seen.setdefault(t, row), row, atol=1e-6, rtol=0)
    assert stopped_at(story) is not None
    assert story.horizon_ns(13 * S) == FAR_NS  # no walk that could end early is left


def test_a_wearer_who_does_not_listen_is_known_to_the_end() -> None:
    assert walk_to_wall(stops=False).horizon_ns(0) == FAR_NS
    assert walk_to_wall().horizon_ns(0) == 2 * S


# The truth


def test_truth_tells_distance_speed_and_time_to_collision() -> None:
    story = walk_to_wall(stops=False)
    then = story.truth(8 * S)
    assert then.wall_m == pytest.approx(8.0 + story.body.pose(8 * S)[0], abs=0.02)
    assert then.backward_m_s == pytest.approx(1.0, abs=0.07)
    assert then.ttc_s == pytest.approx(then.wall_m / then.backward_m_s)
    assert (then.phase, then.posture) == ("Walk", "upright")
    assert story.truth(S).ttc_s is None


def test_truth_counts_steps_and_names_the_posture() -> None:
    story = Story(Person.drawn(4), (Stand(2), Walk(10, speed=-0.7), TripBackward(), Lie(5)))
    assert story.truth(2 * S).steps == 0
    assert story.truth(12 * S).steps == pytest.approx(10 * Person.drawn(4).cadence / 60, abs=2)
    assert (story.truth(12 * S).posture, story.truth(16 * S).posture) == ("upright", "down")
    assert story.truth(16 * S).steps <= story.truth(12 * S).steps + 3


def test_the_echo_is_the_true_distance_of_the_moving_wearer() -> None:
    wall = Plane((-5.0, 0, 0), (-1.0, 0, 0))
    story = Story(STILL, (Stand(2), Walk(5, speed=-0.8)), Surroundings([wall], PERFECT))
    for t in np.arange(4.5, 7, PING_S):
        truth, echo = story.truth(round(t * S)), story.echo(round(t * S))
        assert truth.wall_m is not None
        if truth.wall_m < 3:
            assert echo == pytest.approx(truth.wall_m, abs=1e-6)
