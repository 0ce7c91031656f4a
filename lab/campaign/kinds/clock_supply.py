"""The time of day and the supply: how each kind of failure is drawn, done and undone."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from guardian.config import Config
from guardian.sim.broker import RECONNECT_S
from lab import acts
from lab.campaign.failure import FLAG, Deed, Due, Failure, Kind, parts

if TYPE_CHECKING:
    from lab.campaign.walk import Walk


def _clock_steps(luck: Random, config: Config) -> Failure:
    steps = [luck.choice((-1, 1)) * 10 ** luck.uniform(0, 8) for _ in range(luck.randint(1, 4))]
    lasts_s = luck.uniform(1, 6)

    def step(walk: "Walk", left: tuple[float, ...]) -> None:
        walk.step_s += left[0]
        if left[1:]:
            walk.later(lasts_s / len(steps), partial(step, walk, left[1:]))

    return Failure(f"the time of day jumps by {', '.join(f'{one:.0f}' for one in steps)} s", lasts_s, lambda w: step(w, tuple(steps)))


def _no_clock(luck: Random, config: Config) -> Failure:
    met_s = RECONNECT_S + acts.RESTART_S + config.mqtt.clock_wait_s
    lasts_s = met_s + luck.uniform(1, 3)
    due = (Due(frozenset({"clock_unsynced"}), lasts_s, met_s),)
    return Failure("nobody sets it", lasts_s, acts.no_clock, lambda w: w.bench.set_clock(), due)


def _supply(done: str, begin: Deed, heal: Deed) -> Callable[[Random, Config], Failure]:
    def draw(luck: Random, config: Config) -> Failure:
        lasts_s = luck.uniform(1, 6)
        return Failure(done, lasts_s, begin, heal, (Due(frozenset({"supply_low"}), lasts_s),))

    return draw


# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("clock: steps", parts("clock"), _clock_steps),
    Kind("clock: never set", parts("clock", "link"), _no_clock, at_power_on=True),
    Kind("supply: undervoltage", parts("supply"), _supply("the kernel's flag", acts.undervoltage("1"), acts.undervoltage("0")),
         settings={"supply": {"undervoltage_file": FLAG}}),
    Kind("supply: MAX17048 low", parts("supply", "bus"), _supply("10 %", acts.cell(0.10, 3.5), acts.cell(0.80, 3.9)),
         settings={"supply": {"gauge": "max17048"}}),
    Kind("supply: INA219 low", parts("supply", "bus"), _supply("3.4 V", acts.cell(0.10, 3.4), acts.cell(0.80, 3.9)),
         settings={"supply": {"gauge": "ina219", "address": 0x40}}),
)
# fmt: on
