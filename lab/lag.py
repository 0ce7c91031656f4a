"""From a wall's appearing behind to the first sound: ours, and gpiozero's own recipe, on the same pins in real time.

usage: python -m lab.lag [--trials 50] [--jobs 2]

Somebody walks backward at 0.8 m/s with nothing in the ranger's range; at a random moment a wall is 1.2 m behind (a door opens, a bend in a
corridor), 1.5 s from a collision. Ours is the whole device. The recipe is what gpiozero's documentation shows (API, DistanceSensor;
recipes, Distance sensor), its threshold set to the same 1.5 m from which ours, too, sees no reason to wait:

    sensor = DistanceSensor(echo, trigger, max_distance=4, threshold_distance=1.5)
    sensor.when_in_range = buzzer.on

with its defaults: the median of 9 pings, one each 60 ms and the echo's own time. Both have gpiozero's mock pins with the same simulated
HC-SR04, whose edges come in a thread of their own and bear exact time stamps (lab/live.py). Then the same with the first ping after the
wall's appearing lost: that one says "nothing". Each row: 50 walls, random against the pings' phase. Exit 1 if a wall is never told.
"""

import argparse
import logging
import random
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from threading import Thread
from typing import Any

import numpy as np
from gpiozero import Buzzer, DistanceSensor
from numpy.typing import NDArray

from guardian.app import simulated_utc, whole_device
from guardian.config import load
from guardian.frame import Fault, Frame
from guardian.outputs.writer import ThreadWriter
from guardian.sim.bench import Bench
from guardian.sim.broker import SimLink
from guardian.sim.person import Person
from guardian.sim.phases import Stand, Walk
from guardian.sim.walker import Body
from guardian.sim.world import FAR_NS, Times
from guardian.verdict import Direction, Obstacle, Verdict
from lab.live import LiveClock

SPEED_M_S = 0.8
WALL_M = 1.2
THRESHOLD_M = 1.5
RANGE_M = 4.0
WALKING_S = 12.0  # before the first wall
STINT = 25  # walls for one walker
LIMIT_S = 3.0
TICKS_NS = 20_000_000  # the verdict behind a sound is seen by then
AIM = 0.5


class Corridor:
    """A World: somebody walks backward for ever, and now and then a wall is there."""

    temperature_c = 20.0

    def __init__(self, clock: LiveClock) -> None:
        self._body = Body(Person(lean_back_deg=0.0, belt_pitch_deg=6.0), (Stand(4), Walk(3600, speed=-SPEED_M_S)))
        self._body.motion(np.array([300_000_000_000]))  # made now: not while somebody waits
        self._clock = clock
        self._since_ns: int | None = None  # the wall's
        self._lost = 0  # so many pings
        self.sounded_ns: int | None = None  # first after the wall appeared
        self.sound_ns = 0  # the buzzer's line last changed

    def appear(self, lost: int) -> int:
        """A wall, from now on; the first `lost` pings do not hear it. When, ns."""
        self.sounded_ns, self._lost = None, lost
        self._since_ns = since_ns = self._clock.now_ns()
        return since_ns

    def vanish(self) -> None:
        """Open space again."""
        self._since_ns = None

    def motion(self, t_ns: Times) -> NDArray[np.float64]:
        """See World."""
        return self._body.motion(t_ns)

    def horizon_ns(self, now_ns: int) -> int:
        """See World: nobody stops."""
        return FAR_NS

    def echo(self, t_ns: int) -> float | None:
        """See World."""
        since_ns = self._since_ns
        if since_ns is None:
            return None
        if self._lost:
            self._lost -= 1
            return None
        return max(0.1, WALL_M - SPEED_M_S * (t_ns - since_ns) / 1e9)

    def heard(self, t_ns: int, on: bool) -> None:
        """The buzzer's line."""
        self.sound_ns = t_ns
        if on and self._since_ns is not None and self.sounded_ns is None:
            self.sounded_ns = t_ns


class Look:
    """An output that knows the last verdict."""

    name = "look"

    def __init__(self) -> None:
        self.verdict: Verdict | None = None

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        self.verdict = verdict

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


def walls(
    clock: LiveClock, world: Corridor, trials: int, lost: int, seed: int, ready: Callable[[], bool], warns: Callable[[], bool]
) -> list[float | None]:
    """Let walls appear, each once all is `ready`, and at a random moment after that: s until the first sound; None: never in LIMIT_S.

    A wall that appears just when something else is said (`warns` tells) is let appear again.
    """
    rng = random.Random(seed)
    lags: list[float | None] = []
    while len(lags) < trials:
        assert clock.wait_for(ready, 60), "it never comes to rest"
        clock.wait_until(clock.now_ns() + rng.randrange(200_000_000))
        since_ns = world.appear(lost)
        clock.wait_for(lambda: world.sounded_ns is not None, LIMIT_S)
        sounded_ns = world.sounded_ns
        clock.wait_until(clock.now_ns() + TICKS_NS)
        if sounded_ns is None or warns():
            lags.append(None if sounded_ns is None else (sounded_ns - since_ns) / 1e9)
        world.vanish()
    return lags


def ours(trials: int, lost: int, seed: int) -> list[float | None]:
    """The whole device."""
    with tempfile.TemporaryDirectory(prefix="guardian-lag-") as folder, LiveClock() as clock:
        config = load(local=None, overrides={"device": {"state_dir": folder}})
        world, look = Corridor(clock), Look()
        bench = Bench(config, world, seed, clock)
        link = SimLink(clock, config)
        with whole_device(config, bench.hardware, link, simulated_utc(clock), ThreadWriter, watching=(look,)) as device:
            device.start()
            thread = Thread(target=device.run)
            thread.start()

            def ready() -> bool:
                verdict, quiet_ns = look.verdict, clock.now_ns() - world.sound_ns
                return (
                    verdict is not None
                    and clock.now_ns() > WALKING_S * 1e9
                    and verdict.obstacle is Obstacle.CLEAR
                    and verdict.motion.direction is Direction.BACKWARD
                    and verdict.alert is None
                    and quiet_ns > 500_000_000
                )

            def warns() -> bool:
                return look.verdict is not None and look.verdict.obstacle in (Obstacle.CAUTION, Obstacle.STOP)

            try:
                return walls(clock, world, trials, lost, seed, ready, warns)
            finally:
                device.stop()
                thread.join()


def recipe(trials: int, lost: int, seed: int) -> list[float | None]:
    """gpiozero's DistanceSensor."""
    warnings.simplefilter("ignore")  # it recommends pigpio
    with LiveClock() as clock:
        config = load(local=None)
        world = Corridor(clock)
        pins = Bench(config, world, seed, clock).pins
        buzzer: Any = Buzzer(config.buzzer.pin, pin_factory=pins)
        sensor: Any = DistanceSensor(
            config.ranger.echo_pin, config.ranger.trigger_pin, max_distance=RANGE_M, threshold_distance=THRESHOLD_M, pin_factory=pins
        )
        sensor.when_in_range = buzzer.on
        sensor.when_out_of_range = buzzer.off

        def ready() -> bool:
            return not buzzer.is_active and clock.now_ns() - world.sound_ns > 1_500_000_000 and sensor.distance == RANGE_M

        try:
            return walls(clock, world, trials, lost, seed, ready, lambda: True)
        finally:
            sensor.close()
            buzzer.close()


KINDS = {"ours": ours, "gpiozero": recipe}


def stint(kind: str, trials: int, lost: int, seed: int) -> list[float | None]:
    """Some walls of one kind."""
    logging.disable()
    return KINDS[kind](trials, lost, seed)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    sizes = [min(STINT, args.trials - done) for done in range(0, args.trials, STINT)]
    with ProcessPoolExecutor(args.jobs) as pool:
        futures = {
            (kind, lost): [pool.submit(stint, kind, size, lost, number) for number, size in enumerate(sizes)]
            for lost in (0, 1)
            for kind in KINDS
        }
        lags = {row: [lag for future in stints for lag in future.result()] for row, stints in futures.items()}
    print(f"s from a wall at {WALL_M} m, {SPEED_M_S} m/s, to the first sound; {args.trials} walls a row")
    print(f"{'':28}{'median':>8}{'least':>8}{'most':>8}{'never':>7}")
    never, medians = 0, {}
    for lost, words in ((0, "every ping heard"), (1, "first ping lost")):
        for kind in KINDS:
            told = [lag for lag in lags[kind, lost] if lag is not None]
            missed = len(lags[kind, lost]) - len(told)
            never += missed
            print(f"{words:18}{kind:10}{statistics.median(told):8.3f}{min(told):8.3f}{max(told):8.3f}{missed:7d}")
            medians[kind] = statistics.median(told)
        print(f"{words:18}{'ratio':10}{medians['ours'] / medians['gpiozero']:8.2f}   (aim {AIM})")
    return 1 if never else 0


if __name__ == "__main__":
    sys.exit(main())
