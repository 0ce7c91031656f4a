"""Accept: simulated walks to a wall through the whole sensing path, at the world's standard rates; and four rangers that must fail.

A walker of a seed walks backward at 0.3-1.2 m/s toward a wall and hears nothing. True time to collision: the wall's distance over the mean
backward speed of the last stride. STOP must first sound between 1.9 and 1.2 s, CAUTION not before 4.0 s; open space stays silent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from guardian.app import Device, Inbox
from guardian.config import Config
from guardian.drivers.sensors import Sensors
from guardian.monitor import Monitor
from guardian.monitor.obstacle import ObstacleRule, Ping, Track
from guardian.outputs.buzzer import Buzzer
from guardian.sim.bench import Bench
from guardian.sim.person import Person
from guardian.sim.phases import Phase, Stand, Walk
from guardian.sim.surroundings import Surroundings, wall_behind
from guardian.sim.world import Story
from guardian.verdict import Gap, Resume
from tests.stage import Witness

CAUTIONS = {"caution", "caution_fast"}
STOPS = {"stop", "near"}

Ranger = Callable[[float | None], float | None]


class Broken(Story):
    """A world whose ranger lies: each true reading passes through `lie`."""

    lie: Ranger

    def echo(self, t_ns: int) -> float | None:
        return self.lie(super().echo(t_ns))


@dataclass
class Walked:
    """One walk: true TTC (s) at the first STOP and the first CAUTION heard on the buzzer's row; None: never heard."""

    seed: int
    speed: float
    stop_ttc_s: float | None
    caution_ttc_s: float | None

    @property
    def good(self) -> bool:
        """What the bar asks of one walk."""
        return self.stop_ttc_s is not None and 1.2 <= self.stop_ttc_s <= 1.9 and (self.caution_ttc_s is None or self.caution_ttc_s <= 4.0)


def perform(config: Config, story: Story, seed: int, seconds: float, rule: type[ObstacleRule] = ObstacleRule) -> Witness:
    """The sensing path, monitor and buzzer in a story."""
    bench, witness, inbox = Bench(config, story, seed), Witness(), Inbox()
    monitor = Monitor(config, None, None, Resume("walk", 1))
    monitor.obstacle = rule(config, None)
    sensors = Sensors(bench.hardware, config, inbox)
    bench.at(seconds, sensors.stop)
    with Device(sensors, monitor, [Buzzer(bench.hardware.pins, config), witness], inbox) as device:
        device.start()
        device.run()
    return witness


def walk(config: Config, seed: int, lie: Ranger | None = None, rule: type[ObstacleRule] = ObstacleRule) -> Walked:
    """Walk one seed's walker into its wall."""
    random = np.random.default_rng([seed, 77])
    speed = float(random.uniform(0.3, 1.2))
    away = speed * float(random.uniform(6.5, 8.0)) + float(random.uniform(0.0, 0.5))
    seconds = 3 + (away - 0.25) / speed
    script: tuple[Phase, ...] = (Stand(3), Walk(seconds - 3 + 1, speed=-speed))
    around = Surroundings((wall_behind(-away),), seed=seed)
    story = Story(Person.drawn(seed), script, around)
    if lie is not None:
        story = Broken(Person.drawn(seed), script, around)
        story.lie = lie
    witness = perform(config, story, seed, seconds, rule)

    def first(sounds: set[str]) -> float | None:
        for verdict in witness.verdicts:
            if verdict.alert and verdict.alert.sound in sounds and verdict.t_ns > 3e9:
                ttc_s = story.truth(verdict.t_ns).ttc_s
                return 99.0 if ttc_s is None else ttc_s
        return None

    return Walked(seed, speed, first(STOPS), first(CAUTIONS))


def share_good(walks: list[Walked]) -> float:
    """Share of walks that meet the bar."""
    return len([one for one in walks if one.good]) / len(walks)


def test_stop_comes_in_time_and_caution_not_too_early_in_200_walks(config: Config) -> None:
    walks = [walk(config, seed) for seed in range(200)]
    early = [one for one in walks if one.caution_ttc_s is not None and one.caution_ttc_s > 4.0]
    bad = [one for one in walks if not one.good]
    assert not early, early
    assert share_good(walks) >= 0.99, bad


@pytest.mark.parametrize("part", range(20))
def test_open_space_stays_silent_for_three_minutes(config: Config, part: int) -> None:
    speed = 0.3 + 0.9 * part / 19
    story = Story(Person.drawn(1000 + part), (Stand(3), Walk(3600, speed=-speed)), Surroundings((), seed=1000 + part))
    witness = perform(config, story, part, 180)
    heard = {verdict.alert.sound for verdict in witness.verdicts if verdict.alert}
    assert not heard & (CAUTIONS | STOPS), heard


class FartherOff(ObstacleRule):
    """Distance × 1.3 at the right speed. (A ranger that scales its readings scales the speed too, and the time stays right.)"""

    def _gap(self, track: Track, t_ns: int, age_ns: int) -> Gap:
        gap = super()._gap(track, t_ns, age_ns)
        distance_m = 1.3 * (gap.distance_m or 0.0)
        return Gap(distance_m, gap.closing_m_s, None if gap.ttc_s is None else 1.3 * gap.ttc_s, gap.age_ns)


class NeverCloser(ObstacleRule):
    """Closing speed 0."""

    def _seen(self, track: Track | None, ping: Ping) -> Track:
        seen = super()._seen(track, ping)
        seen.closing_m_s = seen.closing_m_s and 0.0
        return seen


BROKEN: dict[str, tuple[type[ObstacleRule], Ranger]] = {
    "distance × 1.3": (FartherOff, lambda distance_m: distance_m),
    "closing speed 0": (NeverCloser, lambda distance_m: distance_m),
    "always STOP": (ObstacleRule, lambda distance_m: 0.4),
    "never STOP": (ObstacleRule, lambda distance_m: None),
}


@pytest.mark.parametrize("how", BROKEN)
def test_the_bar_fails_a_broken_ranger(config: Config, how: str) -> None:
    rule, lie = BROKEN[how]
    walks = [walk(config, seed, lie, rule) for seed in range(12)]
    assert share_good(walks) < 0.5, walks


def test_a_scaled_ranger_says_the_wrong_distance_but_the_right_time(config: Config) -> None:
    walks = [walk(config, seed, lambda distance_m: None if distance_m is None else 1.3 * distance_m) for seed in range(6)]
    assert share_good(walks) == 1.0
