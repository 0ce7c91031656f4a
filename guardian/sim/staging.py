"""How a story is written down: who does what among which things, what goes wrong, and what the device should say of it.

A scenario builds, from a seed, a world and a timeline of actions. An action names a method of the bench (press, unplug_imu, bus_hang ...),
of the link (wifi_down, wifi_up), or "restart": the program is killed and started again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from guardian.sim.person import Person
from guardian.sim.phases import Phase
from guardian.sim.surroundings import Surroundings, Thing
from guardian.sim.world import Story

ALARMS = frozenset({"fall_suspected", "fall", "sos", "long_lie"})


class Action(NamedTuple):
    """Something done to the hardware or the link at a time of the story."""

    t_s: float
    name: str
    args: tuple[float, ...] = ()


Actions = tuple[Action, ...]
Staged = tuple[Story, Actions]


@dataclass(frozen=True)
class Scenario:
    """One story.

    `expect`: these events come, in this order, others between them; `never`: these do not come. `heard` and `unheard` say the same of
    the sounds (rows of [sounds]). `settings` are laid over the configuration, as a wearer's own guardian.toml would be.
    """

    name: str
    summary: str
    duration_s: float
    expect: tuple[str, ...]
    never: frozenset[str]
    stage: Callable[[int], Staged]  # seed -> world, actions
    exercise: str = "walk"
    heard: tuple[str, ...] = ()
    unheard: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)


def told(who: Person, *script: Phase, things: tuple[Thing, ...] = (), actions: Actions = (), floor_m: float = 0.0) -> Staged:
    """That person goes through the script among those things."""
    return Story(who, script, Surroundings(things, seed=who.seed, floor_m=floor_m)), actions


def rows(*scenarios: Scenario) -> dict[str, Scenario]:
    """By their names."""
    return {row.name: row for row in scenarios}
