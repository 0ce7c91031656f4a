"""Walks to a wall: when does STOP sound, and is open space silent?

usage: python -m lab.walks [--walks 200] [--open-minutes 60]

Simulated walkers go backward at 0.3-1.2 m/s toward a wall and hear nothing; the whole sensing path (pins, ranger, chip, drivers,
monitor, buzzer) works at the world's standard rates (guardian/sim/rates.py). True time to collision is the wall's distance over the
mean backward speed of the last stride. The bar: STOP first sounds between 1.9 and 1.2 s in 99 of 100 walks, CAUTION never before
4.0 s, and open space stays silent. A bar that a broken ranger passes is none, so four of them are walked too (BROKEN).
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from guardian.app import Device, Inbox, fall_model
from guardian.config import Config, load
from guardian.drivers.sensors import Sensors
from guardian.frame import Fault, Frame
from guardian.monitor import Monitor
from guardian.monitor.obstacle import ObstacleRule, Ping, Track
from guardian.outputs.buzzer import Buzzer
from guardian.sim.bench import Bench
from guardian.sim.person import Person
from guardian.sim.phases import Phase, Stand, Walk
from guardian.sim.surroundings import Surroundings, Thing, wall_behind
from guardian.sim.world import Story
from guardian.verdict import Gap, Resume, Verdict

STAND_S = 3.0
STOP_TTC_S = (1.2, 1.9)
CAUTION_TTC_S = 4.0
CAUTIONS = frozenset({"caution", "caution_fast"})
STOPS = frozenset({"stop", "near"})

Ranger = Callable[[float | None], float | None]


def honest(distance_m: float | None) -> float | None:
    """A ranger that says what it hears."""
    return distance_m


class Told(Story):
    """A world whose ranger passes each true reading through `lie`."""

    lie: Ranger = staticmethod(honest)

    def echo(self, t_ns: int) -> float | None:
        """See World."""
        return self.lie(super().echo(t_ns))


class Ear:
    """An output that notes when each sound is first heard, ns."""

    name = "ear"

    def __init__(self) -> None:
        self.first_ns: dict[str, int] = {}

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        if verdict.alert:
            self.first_ns.setdefault(verdict.alert.sound, verdict.t_ns)

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""

    def first(self, sounds: frozenset[str]) -> int | None:
        """When one of these was first heard."""
        return min((t_ns for sound, t_ns in self.first_ns.items() if sound in sounds), default=None)


@dataclass(frozen=True)
class Walked:
    """One walk: true TTC (s) at the first STOP and the first CAUTION; None: never heard; infinite: nobody went anywhere then."""

    seed: int
    speed_m_s: float
    stop_ttc_s: float | None
    caution_ttc_s: float | None

    @property
    def good(self) -> bool:
        """What the bar asks of one walk."""
        low, high = STOP_TTC_S
        return self.stop_ttc_s is not None and low <= self.stop_ttc_s <= high and (self.caution_ttc_s or 0.0) <= CAUTION_TTC_S


def listen(config: Config, story: Story, seed: int, seconds: float, rule: type[ObstacleRule] = ObstacleRule) -> Ear:
    """The sensing path, monitor and buzzer in a story, for so long."""
    bench, ear, inbox = Bench(config, story, seed), Ear(), Inbox()
    monitor = Monitor(config, None, fall_model(config), Resume("walk", 1))
    monitor.obstacle = rule(config, None)
    sensors = Sensors(bench.hardware, config, inbox)
    bench.at(seconds, sensors.stop)
    with Device(sensors, monitor, [Buzzer(bench.hardware.pins, config), ear], inbox) as device:
        device.start()
        device.run()
    return ear


def _story(seed: int, speed_m_s: float, things: tuple[Thing, ...], lie: Ranger) -> Story:
    script: tuple[Phase, ...] = (Stand(STAND_S), Walk(3600, speed=-speed_m_s))
    story = Told(Person.drawn(seed), script, Surroundings(things, seed=seed))
    story.lie = lie
    return story


def walk(config: Config, seed: int, lie: Ranger = honest, rule: type[ObstacleRule] = ObstacleRule) -> Walked:
    """Walk one seed's walker to within 25 cm of the wall."""
    random = np.random.default_rng([seed, 77])
    speed = float(random.uniform(0.3, 1.2))
    away = speed * float(random.uniform(6.5, 8.0)) + float(random.uniform(0.0, 0.5))
    story = _story(seed, speed, (wall_behind(-away),), lie)
    ear = listen(config, story, seed, STAND_S + (away - 0.25) / speed, rule)

    def ttc_s(sounds: frozenset[str]) -> float | None:
        t_ns = ear.first(sounds)
        return None if t_ns is None else story.truth(t_ns).ttc_s or float("inf")

    return Walked(seed, speed, ttc_s(STOPS), ttc_s(CAUTIONS))


def open_space(config: Config, part: int, seconds: float) -> frozenset[str]:
    """The warnings heard in `seconds` of walking with nothing behind; `part` 0..19 chooses walker and speed."""
    speed = 0.3 + 0.9 * part / 19
    return frozenset(listen(config, _story(1000 + part, speed, (), honest), part, seconds).first_ns) & (CAUTIONS | STOPS)


def share_good(walks: list[Walked]) -> float:
    """Share of walks that meet the bar."""
    return len([one for one in walks if one.good]) / len(walks)


class FartherOff(ObstacleRule):
    """Distance × 1.3 at the right speed. (A ranger that scales its readings scales the speed too, and the time stays right.)"""

    def _gap(self, track: Track, t_ns: int, age_ns: int) -> Gap:
        gap = super()._gap(track, t_ns, age_ns)
        return Gap(1.3 * (gap.distance_m or 0.0), gap.closing_m_s, None if gap.ttc_s is None else 1.3 * gap.ttc_s, gap.age_ns)


class NeverCloser(ObstacleRule):
    """Closing speed 0."""

    def _seen(self, track: Track | None, ping: Ping) -> Track:
        seen = super()._seen(track, ping)
        seen.closing_m_s = seen.closing_m_s and 0.0
        return seen


BROKEN: dict[str, tuple[type[ObstacleRule], Ranger]] = {
    "distance × 1.3": (FartherOff, honest),
    "closing speed 0": (NeverCloser, honest),
    "always STOP": (ObstacleRule, lambda distance_m: 0.4),
    "never STOP": (ObstacleRule, lambda distance_m: None),
}


def _percentiles(values: list[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in np.percentile(values, [0, 1, 50, 99, 100])) if values else "never"


def main() -> int:
    """Print the figures; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description="Walks to a wall: when does STOP sound, and is open space silent?")
    parser.add_argument("--walks", type=int, default=200)
    parser.add_argument("--open-minutes", type=float, default=60.0)
    args = parser.parse_args()
    config, console = load(local=None), Console(stderr=True)
    walks = [walk(config, seed) for seed in track(range(args.walks), "walks to a wall", console=console, transient=True)]
    heard = [open_space(config, part, args.open_minutes * 3) for part in track(range(20), "open space", console=console, transient=True)]
    broken = {
        how: share_good([walk(config, seed, lie, rule) for seed in range(12)])
        for how, (rule, lie) in track(BROKEN.items(), "broken rangers", console=console, transient=True)
    }
    print(f"{args.walks} walks at 0.3-1.2 m/s: {len([one for one in walks if one.good])} within the bar")
    print(
        "true TTC (s) at the first STOP, min / 1 % / median / 99 % / max:   ",
        _percentiles([one.stop_ttc_s for one in walks if one.stop_ttc_s]),
    )
    cautions = [one.caution_ttc_s for one in walks if one.caution_ttc_s]
    print("true TTC (s) at the first CAUTION, min / 1 % / median / 99 % / max:", _percentiles(cautions))
    print(f"walks without a CAUTION before or after STOP: {len(walks) - len(cautions)}")
    print(f"open space, {args.open_minutes:g} min: {len([one for one in heard if one])} of 20 parts with a warning")
    for how, share in broken.items():
        print(f"broken ranger, {how}: {share:.0%} of 12 walks within the bar")
    return int(share_good(walks) < 0.99 or any(heard) or any(share > 0.5 for share in broken.values()))


if __name__ == "__main__":
    raise SystemExit(main())
