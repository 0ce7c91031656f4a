"""The space behind, told as simulated walks: what is heard, when, and what must not be."""

import itertools
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from guardian.config import Calibration, load
from guardian.frame import Echo
from guardian.monitor.estimate import Pose
from guardian.monitor.gait import Stride
from guardian.monitor.obstacle import Behind, ObstacleMemory, ObstacleRule
from guardian.verdict import Direction, Gap, Obstacle, Posture

CLEAR, CAUTION, STOP, UNKNOWN = Obstacle.CLEAR, Obstacle.CAUTION, Obstacle.STOP, Obstacle.UNKNOWN
CONFIG = load(local=None)
WALK = CONFIG.exercises["walk"]
BACKWARD = Stride(walking=True, steps=9, cadence=108.0, direction=Direction.BACKWARD, moving=True)
TICK_S = 0.01
HEIGHT_M, HALF_DEG, RANGE_M = 0.95, 15.0, 4.0
LEANS_FORWARD = -20.0  # no floor in the beam


def pose(t_ns: int, lean_deg: float) -> Pose:
    """A pose that leans back by `lean_deg`."""
    lean = math.radians(lean_deg)
    up = (math.sin(lean), 0.0, math.cos(lean))
    return Pose(
        t_ns=t_ns,
        posture=Posture.UPRIGHT,
        lean_cos=up[2],
        up=up,
        vertical_m_s2=0.0,
        accel=(0.0, 0.0, 9.8),
        gyro=(0.0, 0.0, 0.0),
        norm_g=1.0,
        settled=True,
        still=False,
        trusted=True,
        box_up=up,
    )


def floor_m(lean_deg: float) -> float | None:
    """Where the lower edge of the beam meets the floor."""
    down = math.radians(lean_deg + HALF_DEG)
    return HEIGHT_M / math.sin(down) if down > 0.0 else None


class Luck(NamedTuple):
    """The standard rates of the world: shares of pings, and the spread of one reading."""

    lost: float = 0.10
    ghost: float = 0.02
    spurious: float = 0.01
    run: int = 2
    sigma_m: float = 0.01


STANDARD, PERFECT = Luck(), Luck(0.0, 0.0, 0.0, 1, 0.0)


class Tick(Struct):
    """One tick of a walk: what the rule is given, and the truth."""

    t_s: float
    echo: Echo | None
    pose: Pose
    wall_m: float | None
    speed_m_s: float  # mean over the last stride

    @property
    def ttc_s(self) -> float:
        """True time to collision."""
        return self.wall_m / self.speed_m_s if self.wall_m is not None and self.speed_m_s > 0 else math.inf


class Walk:
    """A person who walks backward at a mean speed with gait ripple, sway and lean back, before a wall (or none), over a floor.

    `speed(t)` may replace the mean speed by a course; `wall(t)` the wall's place.
    """

    def __init__(
        self,
        seed: int,
        speed_m_s: float,
        wall_m: float | None = 4.8,
        lean_deg: float | None = None,
        luck: Luck = STANDARD,
        ripple_m_s: float = 0.15,
        gone: Callable[[float], float] | None = None,
        wall: Callable[[float], float | None] | None = None,
    ) -> None:
        draw = random.Random(seed)
        self.draw, self.luck, self.ripple = draw, luck, ripple_m_s
        self.steps_s = draw.uniform(100, 115) / 60
        self.phase, self.sway_phase = draw.uniform(0, math.tau), draw.uniform(0, math.tau)
        self.lean_deg = draw.uniform(0, 10) if lean_deg is None else lean_deg
        self.sway_deg = draw.uniform(0.5, 1.5) if luck is not PERFECT else 0.0
        self.pitch_error_deg = draw.gauss(0, 0.5) if luck is not PERFECT else 0.0
        self.mean_gone = gone or (lambda t: speed_m_s * t)
        self.wall = wall or (lambda t: wall_m)
        self.spurious_left = 0

    def gone(self, t: float) -> float:
        """Way gone backward, m."""
        w = math.tau * self.steps_s
        return self.mean_gone(t) - self.ripple / w * (math.cos(w * t + self.phase) - math.cos(self.phase))

    def lean(self, t: float) -> float:
        """Lean back, degrees: sways with the steps and slowly."""
        step = math.sin(math.tau * self.steps_s * t + self.sway_phase)
        return self.lean_deg + self.sway_deg * (step + 0.7 * math.sin(math.tau * 0.3 * t + self.phase))

    def distance(self, t: float) -> float | None:
        """To the wall."""
        wall = self.wall(t)
        return None if wall is None else wall - self.gone(t)

    def ping(self, t: float) -> float | None:
        """What the part makes of it: nearest of wall and floor, and its luck."""
        draw, luck = self.draw, self.luck
        if self.spurious_left:
            self.spurious_left -= 1
            return draw.uniform(0.04, 0.06)
        nearest = min((d for d in (self.distance(t), floor_m(self.lean(t))) if d is not None and 0 < d <= RANGE_M), default=None)
        chance, start = draw.random(), luck.spurious * 2 / (1 + luck.run)
        if chance < start:
            self.spurious_left = draw.randrange(luck.run)
            return draw.uniform(0.04, 0.06)
        if chance < start + luck.ghost:
            return draw.uniform(0.02, nearest or RANGE_M)
        if nearest is None or chance < start + luck.ghost + luck.lost:
            return None
        return max(0.02, nearest + draw.gauss(0, luck.sigma_m))

    def ticks(self, seconds: float, pitch_known: bool = True) -> Iterator[Tick]:
        """Ticks of 10 ms; the pitch is half a degree off, and 20 ms late."""
        due, seq, pending = self.draw.uniform(0, 0.067), 0, None
        for n in range(int(seconds / TICK_S)):
            t, echo = n * TICK_S, None
            if pending and t >= pending[0]:
                echo, pending = pending[1], None
            if t >= due and not pending:
                d, seq = self.ping(t), seq + 1
                said = Echo(int(t * 1e9), seq, d, "nothing" if d is None else "echo")
                pending = (t + 0.001 + (0.038 if d is None else 2 * d / 343.0), said)
                due = t + 1 / 15 + self.draw.uniform(-0.004, 0.004)
            stride = 2 / self.steps_s
            before = max(0.0, t - stride)
            speed = (self.gone(t) - self.gone(before)) / (t - before) if t > before else 0.0
            yield Tick(t, echo, pose(int(t * 1e9), self.lean(max(0.0, t - 0.02)) + self.pitch_error_deg), self.distance(t), speed)


def told(rule: ObstacleRule, ticks: Iterator[Tick], **given_: Any) -> Iterator[tuple[Tick, Behind]]:
    """What the rule makes of a walk."""
    arguments = {"stride": BACKWARD, "exercise": WALK, "sensor_ok": True} | given_
    for tick in ticks:
        yield (
            tick,
            rule.step(
                int(tick.t_s * 1e9),
                tick.echo,
                arguments.get("pose", tick.pose),
                *list(arguments.values())[:3],
                arguments.get("speed_m_s", 0.0),
            ),
        )


# --- walks to a wall ------------------------------------------------------------------------------------------------------------------


class Score(NamedTuple):
    """200 walks to a wall: share whose first STOP came in time and told the distance, and the earliest CAUTION's true TTC."""

    stop_in_time: float
    distance_right: float
    earliest_caution_s: float

    @property
    def passes(self) -> bool:
        return self.stop_in_time >= 0.99 and self.distance_right >= 0.99 and self.earliest_caution_s <= 4.0


def walks_to_a_wall(rule: Callable[[], ObstacleRule], broken: Callable[[Echo], Echo] = lambda echo: echo) -> Score:
    """200 seeds at 0.3 to 1.2 m/s, standard rates."""
    in_time = right = 0
    earliest = 0.0
    for seed in range(200):
        speed = 0.3 + 0.9 * (seed % 10) / 9
        heard: dict[Obstacle, tuple[Tick, Behind]] = {}
        ticks = Walk(seed, speed).ticks((4.8 - 0.25) / speed)
        ticks = (replace(tick, echo=broken(tick.echo)) if tick.echo else tick for tick in ticks)
        for tick, behind in told(rule(), ticks):
            if behind.sounding and behind.obstacle not in heard:
                heard[behind.obstacle] = tick, behind
                if behind.obstacle is STOP:
                    break
        if CAUTION in heard:
            earliest = max(earliest, heard[CAUTION][0].ttc_s)
        if STOP in heard:
            tick, behind = heard[STOP]
            in_time += 1.2 <= tick.ttc_s <= 1.9
            right += tick.wall_m is not None and abs((behind.gap.distance_m or 0.0) - tick.wall_m) <= 0.1 * tick.wall_m
    return Score(in_time / 200, right / 200, earliest)


def sound_rule() -> ObstacleRule:
    return ObstacleRule(CONFIG, None)


class ClosingSpeedZero(ObstacleRule):
    """Broken: sees no closing."""

    def _surely_closing(self, *arguments: Any) -> float:
        return 0.0


class AlwaysStop(ObstacleRule):
    """Broken."""

    def step(self, *arguments: Any, **named: Any) -> Behind:
        return replace(super().step(*arguments, **named), obstacle=STOP, sounding=True)


class NeverStop(ObstacleRule):
    """Broken."""

    def step(self, *arguments: Any, **named: Any) -> Behind:
        behind = super().step(*arguments, **named)
        return replace(behind, obstacle=CAUTION) if behind.obstacle is STOP else behind


class TimeTooLong(ObstacleRule):
    """Broken: distance × 1.3 where the time is taken, the speed as it is."""

    def _surely_closing(self, *arguments: Any) -> float:
        return super()._surely_closing(*arguments) / 1.3


def test_walking_to_a_wall_is_stopped_in_time() -> None:
    score = walks_to_a_wall(sound_rule)
    assert score.passes, score


def test_that_story_fails_for_a_ranger_that_reads_thirty_per_cent_too_far() -> None:
    score = walks_to_a_wall(sound_rule, lambda echo: replace(echo, distance_m=echo.distance_m and 1.3 * echo.distance_m))
    assert not score.passes, score


@pytest.mark.parametrize("broken", [ClosingSpeedZero, AlwaysStop, NeverStop, TimeTooLong])
def test_that_story_fails_for_a_broken_rule(broken: type[ObstacleRule]) -> None:
    score = walks_to_a_wall(lambda: broken(CONFIG, None))
    assert not score.passes, score


@pytest.mark.parametrize(("lean_deg", "hours"), [(None, 1.0), (LEANS_FORWARD, 1.0)])
@pytest.mark.parametrize("speed_m_s", [0.0, 0.8])  # as the gait tells it; 0: not known
def test_an_hour_of_open_space_is_silent(lean_deg: float | None, hours: float, speed_m_s: float) -> None:
    for seed in range(6):
        walk = Walk(100 + seed, 0.8, wall_m=None, lean_deg=lean_deg)
        for tick, behind in told(sound_rule(), walk.ticks(hours * 600), speed_m_s=speed_m_s):
            assert behind.obstacle in (CLEAR, UNKNOWN), (seed, tick, behind)


def test_ripple_of_the_gait_does_not_flap() -> None:
    for seed in range(20):
        said = [behind.obstacle for _, behind in told(sound_rule(), Walk(seed, 0.7, lean_deg=LEANS_FORWARD).ticks(6.2))]
        assert [b for a, b in itertools.pairwise(said) if b is not a] == [CLEAR, CAUTION, STOP], seed


def test_beyond_the_range_the_first_caution_comes_at_its_edge() -> None:
    for seed in range(10):
        walk = Walk(seed, 1.6, wall_m=6.0, lean_deg=LEANS_FORWARD)
        first = next(tick for tick, behind in told(sound_rule(), walk.ticks(3.7)) if behind.obstacle is CAUTION)
        assert first.wall_m is not None
        assert 2.3 <= first.wall_m <= 4.0  # 8 pings at 1.6 m/s, and the lost ones


def test_who_stops_hears_the_warning_end() -> None:
    def gone(t: float) -> float:  # 1.0 m/s, braked within 0.58 s
        s = min(max(t - 3.0, 0.0), 0.58)
        return min(t, 3.0) + s - s * s / 1.16

    for seed in range(10):
        walk = Walk(seed, 1.0, wall_m=4.5, lean_deg=LEANS_FORWARD, ripple_m_s=0.0, gone=gone)
        heard = [(tick.t_s, behind) for tick, behind in told(sound_rule(), walk.ticks(6.0))]
        assert any(behind.obstacle is STOP for t, behind in heard if t < 3.3)
        assert all(behind.obstacle is CLEAR for t, behind in heard if t > 4.3)


# --- single pings ---------------------------------------------------------------------------------------------------------------------


class Pings:
    """Pings given by hand, 15 a second, and a tick after each."""

    def __init__(self, rule: ObstacleRule | None = None, **given_: Any) -> None:
        self.rule = rule or sound_rule()
        self.arguments: dict[str, Any] = {"pose": None, "stride": BACKWARD, "exercise": WALK, "sensor_ok": True, "speed_m_s": 0.0} | given_
        self.n = 0

    @property
    def t_ns(self) -> int:
        return self.n * 66_667_000 + 30_000_000

    def hear(self, *distances: float | None, reason: str = "") -> list[Behind]:
        """One ping after the other: metres, or None for nothing in range."""
        said = []
        for d in distances:
            self.n += 1
            echo = Echo(self.n * 66_667_000, self.n, d, reason or ("nothing" if d is None else "echo"))  # type: ignore[arg-type]
            said.append(self.step(echo))
        return said

    def step(self, echo: Echo | None = None, later_s: float = 0.0) -> Behind:
        return self.rule.step(self.t_ns + int(later_s * 1e9), echo, *self.arguments.values())


def test_somebody_who_steps_in_within_reach_is_known_after_two_pings_and_heard_after_three() -> None:
    first, second, third = Pings().hear(*[None] * 20, 0.42, 0.41, 0.40)[-3:]
    assert (first.obstacle, first.gap.distance_m) == (CLEAR, None)
    assert second.gap.distance_m == 0.41
    assert (third.obstacle, third.near, third.sounding) == (STOP, True, True)


def test_somebody_who_steps_in_ahead_is_stopped_for_once_their_speed_shows() -> None:
    said = Pings().hear(*[None] * 20, *[1.3 - 0.067 * k for k in range(5)])  # 1 m/s
    assert said[21].gap.distance_m == pytest.approx(1.233)
    assert said[22].obstacle is CLEAR
    assert said[23].obstacle is STOP


def test_what_stands_in_the_wearers_own_way_is_stopped_for_after_two_pings() -> None:
    said = Pings(speed_m_s=0.8).hear(*[None] * 20, *[1.2 - 0.8 / 15 * k for k in range(8)])
    assert [b.obstacle for b in said[20:]] == [CLEAR] + [STOP] * 7
    assert all(b.sounding for b in said[21:])


@pytest.mark.parametrize(
    ("pings", "given_"),
    [
        ((0.9, 0.9, None), {}),  # stands still before the belt
        ((1.0, 0.85, None), {}),  # jumps
        ((1.6, 1.547, None), {}),  # far: 1.9 s away
        ((0.5, 0.447, None), {}),  # within the near limit, where three decide
        ((1.2, 1.147, None), {"stride": replace(BACKWARD, direction=Direction.FORWARD)}),
        ((1.2, 1.147, None), {"stride": replace(BACKWARD, direction=Direction.UNKNOWN)}),
        ((1.2, 1.147, None), {"speed_m_s": 0.0}),  # not known
        ((1.2, 1.147, None), {"pose": pose(0, 28.0)}),  # where the floor is
        ((1.2, 1.147, None), {"exercise": CONFIG.exercises["stairs"]}),
    ],
)
def test_two_pings_that_are_not_in_the_wearers_own_way_are_not_heard(pings: tuple[float | None, ...], given_: dict[str, Any]) -> None:
    said = Pings(**{"speed_m_s": 0.8} | given_).hear(*[None] * 20, *pings, None, None, None)
    assert not any(b.obstacle is STOP for b in said)


def test_somebody_who_steps_in_before_a_wall_hides_it_and_out_again_shows_it() -> None:
    pings = Pings()
    pings.hear(*[2.0] * 12)
    assert [round(b.gap.distance_m or 0, 1) for b in pings.hear(1.2, 1.2, 1.2)] == [2.0, 1.2, 1.2]
    assert [round(b.gap.distance_m or 0, 1) for b in pings.hear(*[2.0] * 10)][-1] == 2.0


def test_two_spurious_near_reads_are_nothing() -> None:
    for around in (None, 3.0, 1.0, 0.3, 0.2):
        for behind in Pings().hear(*([around] * 20 + [0.05, 0.045]) * 20)[3:]:
            assert behind.obstacle is (STOP if around is not None and around < 0.5 else CLEAR)
            assert behind.gap.distance_m == (None if around is None else pytest.approx(around, abs=0.01))


def test_spurious_reads_do_not_wake_a_warning_gone_quiet() -> None:
    pings = Pings()
    pings.hear(*[0.2] * 60)
    assert not any(b.sounding for b in pings.hear(*([0.2] * 15 + [0.05, 0.045]) * 20))


def test_a_coat_over_the_sensor_is_unknown_and_then_a_thing_within_reach() -> None:
    said = Pings().hear(*[None] * 20, *[0.05] * 14)
    changes = [b.obstacle for a, b in itertools.pairwise(said) if a.obstacle is not b.obstacle]
    assert changes == [CLEAR, UNKNOWN, STOP]
    assert said[-2].near


def test_what_is_followed_down_to_five_centimetres_is_believed_there() -> None:
    said = Pings().hear(*[0.60 - 0.03 * k for k in range(19)], *[0.05] * 10)
    assert all(b.near for b in said[6:])


def test_a_ghost_is_not_an_obstacle_and_does_not_move_one() -> None:
    assert {b.obstacle for b in Pings().hear(*([None] * 9 + [0.3]) * 20)[5:]} == {CLEAR}
    for ghost in (0.3, 1.0, 1.88, 2.12, 3.5):
        for behind in Pings().hear(*([2.0] * 9 + [ghost]) * 20)[3:]:
            assert behind.gap.distance_m == pytest.approx(2.0, abs=0.01)
            assert behind.gap.closing_m_s == pytest.approx(0.0, abs=0.01)


def test_two_ghosts_beyond_an_obstacle_do_not_hide_it() -> None:
    said = Pings().hear(*[1.0] * 15, 3.0, 3.0, 3.0, 3.0)
    assert said[-1].gap.distance_m == pytest.approx(1.0)


def test_two_ghosts_that_agree_are_not_heard_and_soon_gone() -> None:
    said = Pings().hear(*[None] * 20, 0.4, 0.4, None, None, None)
    assert said[21].gap.distance_m == 0.4
    assert {b.obstacle for b in said[2:]} == {CLEAR}
    assert said[-1].gap.distance_m is None


def test_an_obstacle_of_soft_cloth_is_carried_on_over_lost_pings() -> None:
    way = [3.0 - 0.05 * k for k in range(50)]  # 0.75 m/s
    heard = [d if k < 10 or k % 3 == 0 else None for k, d in enumerate(way)]
    for behind, d in list(zip(Pings().hear(*heard), way, strict=True))[10:]:
        assert behind.gap.distance_m == pytest.approx(d, abs=0.03)


def test_what_has_gone_is_clear_within_half_a_second() -> None:
    said = Pings().hear(*[1.0] * 20, *[None] * 9)
    assert said[22].gap.distance_m == pytest.approx(1.0)
    assert said[-1].obstacle is CLEAR
    assert said[-1].gap.distance_m is None


def test_near_goes_quiet_when_nothing_closes_and_sounds_again_when_something_does() -> None:
    pings = Pings()
    approach = pings.hear(*[0.8 - 0.03 * k for k in range(12)])
    assert approach[-1].near
    stand = pings.hear(*[0.45] * 75)  # 5 s
    assert stand[30].sounding
    assert not stand[-1].sounding
    assert all(b.obstacle is STOP for b in stand)
    assert pings.hear(*[0.45 - 0.02 * k for k in range(10)])[-1].sounding


# --- three truths ---------------------------------------------------------------------------------------------------------------------


def test_before_the_first_pings_the_space_is_unknown() -> None:
    pings = Pings()
    assert pings.step().obstacle is UNKNOWN
    assert [b.obstacle for b in pings.hear(None, None)] == [UNKNOWN, CLEAR]


@pytest.mark.parametrize("reason", ["no_edges", "stuck_high"])
@pytest.mark.parametrize("before", [None, 2.0])
def test_a_ranger_that_says_nothing_is_never_clear_for_long(reason: str, before: float | None) -> None:
    pings = Pings()
    pings.hear(*[before] * 20)
    said = pings.hear(*[None] * 12, reason=reason)
    assert [b.obstacle for b in said[8:]] == [UNKNOWN] * 4
    assert all(b.gap.distance_m is None for b in said[8:])
    assert said[-1].gap.age_ns is not None
    assert said[-1].gap.age_ns > 700_000_000


def test_a_ranger_that_is_not_ok_is_unknown_at_once_and_starts_anew() -> None:
    pings = Pings()
    pings.hear(*[1.0] * 20)
    pings.arguments["sensor_ok"] = False
    assert pings.step() == Behind(UNKNOWN, Gap(age_ns=30_000_000), False, False, False)
    pings.arguments["sensor_ok"] = True
    assert pings.step().obstacle is UNKNOWN
    assert pings.hear(None)[-1].obstacle is UNKNOWN
    assert pings.hear(None)[-1].obstacle is CLEAR


def test_silence_is_unknown_after_half_a_second() -> None:
    pings = Pings()
    pings.hear(*[None] * 20)
    assert pings.step(later_s=0.46).obstacle is CLEAR
    assert pings.step(later_s=0.48).obstacle is UNKNOWN


# --- the floor ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lean_deg", "metres"), [(0.0, 3.671), (10.0, 2.248), (-10.0, 10.90), (-15.0, 0.0), (-30.0, 0.0), (75.0, 0.95), (85.0, 0.95)]
)
def test_the_floor_is_where_the_lower_edge_of_the_beam_meets_it(lean_deg: float, metres: float) -> None:
    assert sound_rule()._floor_m(pose(0, lean_deg)) == pytest.approx(metres, abs=0.002)


def test_the_measured_height_counts() -> None:
    calibration = Calibration(up=(0.0, 0.0, 1.0), gyro_bias=(0.0, 0.0, 0.0), height_m=1.1)
    assert ObstacleRule(CONFIG, calibration)._floor_m(pose(0, 0.0)) == pytest.approx(1.1 / math.sin(math.radians(15.0)))


def test_leaning_back_shows_the_floor_which_is_unknown_and_then_straighten_up() -> None:
    said = list(told(sound_rule(), Walk(1, 0.0, wall_m=None, lean_deg=10.0).ticks(4.0)))
    assert all(b.obstacle is UNKNOWN and b.gap.distance_m is None for t, b in said if t.t_s > 0.3)
    since = next(t.t_s for t, b in said if b.straighten_up)
    assert 2.0 <= since <= 2.5
    assert all(b.straighten_up for t, b in said if t.t_s > since)


def test_upright_the_floor_at_the_ranges_edge_hides_nothing() -> None:
    said = list(told(sound_rule(), Walk(1, 0.0, wall_m=None, lean_deg=0.0, luck=PERFECT).ticks(4.0)))
    assert all(b.obstacle is CLEAR and not b.straighten_up for t, b in said if t.t_s > 0.3)


def test_straightening_up_clears_it() -> None:
    walk = Walk(1, 0.0, wall_m=None, luck=PERFECT)
    walk.lean = lambda t: 10.0 if t < 4.0 else -5.0  # type: ignore[method-assign]
    said = list(told(sound_rule(), walk.ticks(7.0)))
    assert any(b.straighten_up for _, b in said)
    assert all(b.obstacle is CLEAR and not b.straighten_up for t, b in said if t.t_s > 5.7)


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.5])
def test_leaning_back_quickly_brings_the_floor_near_but_is_no_collision(seconds: float) -> None:
    for seed in range(10):
        walk = Walk(seed, 0.0, wall_m=None, ripple_m_s=0.0)
        walk.lean = lambda t: 12.0 * min(1.0, max(0.0, t - 2.0) / seconds)  # type: ignore[method-assign]
        assert {b.obstacle for t, b in told(sound_rule(), walk.ticks(5.0)) if t.t_s > 0.5} <= {CLEAR, UNKNOWN}


def test_without_a_trusted_pitch_the_floor_is_an_obstacle_that_does_not_close() -> None:
    for seed in range(10):
        said = told(sound_rule(), Walk(seed, 0.8, wall_m=None, lean_deg=8.0).ticks(60), pose=None)
        assert all(b.obstacle is CLEAR for t, b in said if t.t_s > 0.5)


# --- exercises ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stride", "warned"),
    [
        (Stride(walking=True, direction=Direction.BACKWARD), True),
        (Stride(walking=True, direction=Direction.FORWARD), False),
        (Stride(walking=False, direction=Direction.STILL), False),
        (Stride(walking=True, direction=Direction.UNKNOWN), True),
        (Stride(walking=False, direction=Direction.UNKNOWN), False),
        (Stride(walking=True, direction=Direction.TURNING), True),
        (Stride(walking=False, direction=Direction.TURNING), False),
        (None, True),
    ],
)
def test_everyday_warns_only_who_may_be_walking_backward(stride: Stride | None, warned: bool) -> None:
    said = Pings(stride=stride, exercise=CONFIG.exercises["everyday"]).hear(*[1.6 - 0.05 * k for k in range(30)])
    assert any(b.sounding for b in said) is warned
    assert said[-1].gap.distance_m == pytest.approx(0.15 - 0.03 * 0.75, abs=0.01)  # carried on to the tick


# --- properties -----------------------------------------------------------------------------------------------------------------------

metres = st.one_of(st.none(), st.floats(0.0, 5.0), st.sampled_from([0.05, 0.4, 2.0, 3.67]), st.floats())
reasons = st.sampled_from(["echo", "echo", "echo", "nothing", "no_edges", "stuck_high"])
leans = st.one_of(st.none(), st.floats(-180, 180))
strides = st.one_of(st.none(), st.builds(Stride, walking=st.booleans(), direction=st.sampled_from(list(Direction))))


@pytest.mark.parametrize("exercise", ["everyday", "stairs"])
def test_nobody_is_told_to_straighten_up_where_nothing_far_behind_matters(exercise: str) -> None:
    given_ = {"stride": Stride(direction=Direction.STILL), "exercise": CONFIG.exercises[exercise]}
    said = list(told(sound_rule(), Walk(1, 0.0, wall_m=None, lean_deg=10.0).ticks(4.0), **given_))
    assert not any(b.straighten_up for _, b in said), "leaning at the kitchen table is no mistake"
    assert said[-1][1].obstacle is UNKNOWN


exercises = st.sampled_from(list(CONFIG.exercises.values()))


class Event(NamedTuple):
    """One tick of anything."""

    after_ns: int
    echo_age_ns: int | None
    distance_m: float | None
    reason: Any
    lean_deg: float | None
    stride: Stride | None
    sensor_ok: bool


events = st.lists(
    st.builds(
        Event,
        st.one_of(st.just(66_667_000), st.just(10_000_000), st.integers(-(10**9), 2 * 10**9)),
        st.one_of(st.just(30_000_000), st.none(), st.integers(-(10**9), 10**9)),
        metres,
        reasons,
        leans,
        strides,
        st.sampled_from([True, True, True, False]),
    ),
    max_size=60,
)


def play(rule: ObstacleRule, happened: list[Event], exercise: Any, t_ns: int = 0) -> list[tuple[int, Event, Behind]]:
    said = []
    for seq, event in enumerate(happened):
        t_ns += event.after_ns
        echo = None if event.echo_age_ns is None else Echo(t_ns - event.echo_age_ns, seq, event.distance_m, event.reason)
        looks = None if event.lean_deg is None else pose(t_ns, event.lean_deg)
        said.append((t_ns, event, rule.step(t_ns, echo, looks, event.stride, exercise, event.sensor_ok)))
    return said


@settings(max_examples=200, deadline=None)
@given(events, exercises)
def test_no_sequence_of_echoes_raises_and_the_stale_is_never_clear(happened: list[Event], exercise: Any) -> None:
    usable_ns: int | None = None
    for t_ns, event, behind in play(sound_rule(), happened, exercise):
        said_something = event.reason == "nothing" or (event.reason == "echo" and event.distance_m is not None)
        if event.echo_age_ns is not None and said_something:
            usable_ns = max(t_ns - event.echo_age_ns, usable_ns if usable_ns is not None else -(10**18))
        if usable_ns is None or t_ns - usable_ns > 500_000_000 or not event.sensor_ok:
            assert behind.obstacle is UNKNOWN
            assert behind.gap.distance_m is None
        assert behind.gap.ttc_s is None or behind.gap.ttc_s >= 0.0
        assert not behind.sounding or behind.obstacle in (CAUTION, STOP)
        assert not behind.near or behind.obstacle is STOP


@settings(max_examples=100, deadline=None)
@given(events, events, exercises)
def test_a_restored_rule_goes_on_exactly(before: list[Event], after: list[Event], exercise: Any) -> None:
    rule, other = sound_rule(), sound_rule()
    ended = play(rule, before, exercise)
    t_ns = ended[-1][0] if ended else 0
    other.memory = msgspec.convert(msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(rule.memory))), ObstacleMemory)
    assert play(rule, after, exercise, t_ns) == play(other, after, exercise, t_ns)
    assert rule.memory == other.memory


@settings(max_examples=200, deadline=None)
@example([1.625, 1.5, None, 1.25, None, None, None], 0.75, 0.0)
@given(st.lists(st.one_of(st.none(), st.floats(1.0, 4.0)), max_size=40), st.floats(0.1, 0.9), st.floats(-0.01, 0.01))
def test_a_wall_that_appears_is_told_after_two_pings(before: list[float | None], wall: float, noise: float) -> None:
    pings = Pings()
    pings.hear(*before)
    _, second, third = pings.hear(wall, wall + noise, wall)
    assert second.gap.distance_m is not None
    assert wall - 0.3 <= second.gap.distance_m <= wall + 0.15  # in the way of something closing: nearer, never further
    assert third.near or wall > 0.4


# --- numbers told ---------------------------------------------------------------------------------------------------------------------

PERIOD_S = 0.066667


@pytest.mark.parametrize("speed_m_s", [0.12, 0.4, 0.9, 1.7])
def test_distance_speed_and_time_to_collision_are_those_of_the_tick_and_the_rule_keeps_its_limits(speed_m_s: float) -> None:
    pings = Pings()
    start_m = 4.0 if speed_m_s > 0.2 else 0.9
    last = CLEAR
    for k in range(int((start_m - 0.52) / speed_m_s / PERIOD_S)):
        behind = pings.hear(start_m - speed_m_s * PERIOD_S * k)[0]
        if k < CONFIG.obstacle.speed_pings - 1:
            continue
        distance_m = start_m - speed_m_s * (PERIOD_S * k + 0.03)  # 30 ms after the ping
        ttc_s = distance_m / speed_m_s
        assert behind.gap.distance_m == pytest.approx(distance_m, abs=1e-6)
        assert behind.gap.closing_m_s == pytest.approx(speed_m_s, abs=1e-6)
        assert behind.gap.ttc_s == pytest.approx(ttc_s, rel=1e-5)
        assert behind.gap.age_ns == 30_000_000
        if k >= CONFIG.obstacle.sure_pings - 1:
            if abs(ttc_s - WALK.stop_ttc_s) > 1e-4 and abs(ttc_s - WALK.caution_ttc_s) > 1e-4:
                assert behind.obstacle is (STOP if ttc_s < WALK.stop_ttc_s else CAUTION if ttc_s < WALK.caution_ttc_s else CLEAR)
            assert behind.sounding is (behind.obstacle is not CLEAR)
            last = behind.obstacle
    assert last is (CLEAR if speed_m_s == 0.12 else STOP)


def test_who_begins_to_run_is_told_at_the_new_speed_after_two_pings_and_sooner_than_the_window_forgets_the_old_one() -> None:
    pings = Pings()
    step_m = 0.8 * 0.066667
    steady = pings.hear(*(3.0 - step_m * k for k in range(12)))[-1]
    assert steady.gap.closing_m_s == pytest.approx(0.8, abs=0.01)
    nearer = 3.0 - 11 * step_m
    last = pings.hear(nearer - 1.8 * 0.066667, nearer - 2 * 1.8 * 0.066667)[-1]
    assert last.gap.closing_m_s == pytest.approx(1.5, abs=0.02), "the line through two pings before and two since"


def test_slower_than_standing_sway_there_is_no_time_to_collision() -> None:
    least_m_s = CONFIG.obstacle.closing_min_m_s
    for speed_m_s, told_ in ((least_m_s - 0.001, False), (least_m_s + 0.001, True), (-0.5, False)):
        said = Pings().hear(*[1.0 - speed_m_s * PERIOD_S * k for k in range(20)])
        assert (said[-1].gap.ttc_s is not None) is told_


def test_who_steps_in_ahead_is_heard_however_long_nothing_was() -> None:
    said = Pings().hear(*[None] * 200, *[1.3 - 0.067 * k for k in range(5)])
    assert [(b.obstacle, b.sounding) for b in said[-3:]] == [(CLEAR, False), (STOP, True), (STOP, True)]


def test_what_was_off_the_line_before_a_ping_on_it_draws_no_line() -> None:
    pings = Pings()
    pings.hear(*[2.0] * 15)
    behind = pings.hear(2.12, 2.0, 2.08)[-1]  # a ghost, the wall, and the wall that begins to go
    at, metres_ = (-4, -3, -1, 0), (2.0, 2.0, 2.0, 2.08)  # the last of the line, the ghost left out
    mean_at, mean_m = sum(at) / 4, sum(metres_) / 4
    slope = sum((x - mean_at) * (d - mean_m) for x, d in zip(at, metres_, strict=True)) / sum((x - mean_at) ** 2 for x in at)
    assert behind.gap.closing_m_s == pytest.approx(-slope / PERIOD_S, rel=1e-6)
    assert behind.gap.distance_m == pytest.approx(mean_m - slope * mean_at + slope * 0.03 / PERIOD_S, rel=1e-6)


def test_what_closes_where_the_floor_should_be_is_told_once_a_step_is_averaged() -> None:
    lean_deg, speed_m_s = 10.0, 0.8
    floor = floor_m(lean_deg) or 0.0
    said = Pings(pose=pose(0, lean_deg)).hear(*[1.09 * floor - speed_m_s * PERIOD_S * k for k in range(9)])
    assert [b.obstacle for b in said[1:]] == [UNKNOWN] * (CONFIG.obstacle.sure_pings - 2) + [CAUTION] * 2
    assert [b.gap.distance_m for b in said[1:7]] == [None] * 6


def test_the_floor_that_comes_nearer_for_a_moment_is_still_the_floor() -> None:
    lean_deg = 20.0
    jerk = [1.08, 1.02, 0.97, 0.92, 0.96, 1.0]  # of where the pitch has it
    assert jerk[0] - jerk[3] > CONFIG.obstacle.floor_closing_m_s * 3 * PERIOD_S
    said = Pings(pose=pose(0, lean_deg)).hear(*[share * (floor_m(lean_deg) or 0.0) for share in jerk])
    assert {(b.obstacle, b.gap.distance_m) for b in said} == {(UNKNOWN, None)}


def test_who_stands_is_warned_of_what_comes_except_where_it_may_be_the_floor() -> None:
    lean_deg, step_m = 10.0, 0.1  # a ping
    floor, doubt = floor_m(lean_deg) or 0.0, CONFIG.obstacle.floor_doubt
    nearest_m, farthest_m = (1.0 - doubt) * floor, (1.0 + doubt) * floor
    for first_m in (nearest_m - 0.002, nearest_m + 0.002, farthest_m - 0.002, farthest_m + 0.002):
        start_m = first_m + step_m * math.floor((4.0 - first_m) / step_m)
        path = [start_m - step_m * k for k in range(28)]
        said = Pings(pose=pose(0, lean_deg), stride=Stride(direction=Direction.STILL)).hear(*path)
        for d, behind in list(zip(path, said, strict=True))[8:]:
            if nearest_m <= d <= farthest_m:
                assert behind.obstacle is CLEAR, d
            else:
                assert behind.obstacle is (CAUTION if d > farthest_m else STOP), d


def test_two_ghosts_some_time_after_the_floor_have_no_speed() -> None:
    """0.7 m nearer than the floor was 0.4 s ago: not a thing that comes at 1.8 m/s."""
    lean_deg = 10.0
    floor = floor_m(lean_deg) or 0.0
    said = Pings(pose=pose(0, lean_deg)).hear(*[floor] * 12, *[None] * 5, floor - 0.7, floor - 0.69, *[None] * 3, *[floor] * 6)
    assert not [behind.obstacle for behind in said if behind.obstacle not in (CLEAR, UNKNOWN)]


@pytest.mark.parametrize(("late_ns", "known"), [(-100_000_000, True), (0, True), (1, False)])
def test_what_comes_out_of_the_floor_has_its_last_pings_if_it_comes_at_once(late_ns: int, known: bool) -> None:
    """One ping between the two may have been lost: 2.5 periods."""
    lean_deg, speed_m_s, rule = 10.0, 0.9, sound_rule()
    floor = floor_m(lean_deg) or 0.0
    pings = Pings(rule, pose=pose(0, lean_deg))
    pings.hear(*[floor] * 11, 0.9 * floor + speed_m_s * PERIOD_S)
    sent_ns = pings.n * 66_667_000 + rule._skip_ns + late_ns
    for k in range(2):
        t_ns = sent_ns + k * 66_667_000
        rule.step(t_ns + 30_000_000, Echo(t_ns, 100 + k, 0.87 * floor - speed_m_s * PERIOD_S * k, "echo"), *pings.arguments.values())
    track = rule.memory.track
    assert track is not None
    assert (track.closing_m_s is not None) is known, "two pings alone have no speed yet"


def test_the_floor_at_the_ranges_edge_hides_the_way_and_shows_it_again_a_little_farther_out() -> None:
    tolerance = CONFIG.obstacle.floor_tolerance

    def leaning(metres_: float) -> Pose:
        return pose(0, math.degrees(math.asin(HEIGHT_M / metres_)) - HALF_DEG)

    pings = Pings()

    def hear(metres_: float) -> Obstacle:
        pings.arguments["pose"] = leaning(metres_)
        return pings.hear(*[metres_] * 15)[-1].obstacle

    hides_m, shows_m = (1.0 - tolerance) * RANGE_M, (1.0 - tolerance / 2) * RANGE_M
    assert hear(hides_m + 0.01) is CLEAR
    assert hear(hides_m - 0.01) is UNKNOWN
    assert hear(shows_m - 0.01) is UNKNOWN
    assert hear(shows_m + 0.01) is CLEAR
    assert hear(shows_m - 0.01) is CLEAR
