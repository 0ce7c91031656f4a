"""A wearer who trains for ever in constant memory: a round to a wall and back, again and again.

Theory of operation. A Story keeps the whole path that its person has gone, some 200 MB an hour. Here one round is made once and repeated;
it begins and ends standing at rest, so that its seam is less than 2° of standing's sway. What the ranger hears is drawn anew for each ping.
"""

import numpy as np
from numpy.typing import NDArray

from guardian.sim.person import Person
from guardian.sim.phases import Phase, Stand, Walk
from guardian.sim.surroundings import Surroundings, wall_behind
from guardian.sim.walker import Body
from guardian.sim.world import FAR_NS, Times

SPEED_M_S = 0.5  # backward: between old fallers' 0.44 and old non-fallers' 0.59 m/s (Polo-Ferrero 2025)
WALK_S = 40.0
WALL_M = -SPEED_M_S * WALK_S - 0.4  # each round ends near enough for every obstacle sound
ROUND: tuple[Phase, ...] = (Stand(5), Walk(WALK_S, speed=-SPEED_M_S), Stand(5), Walk(WALK_S, speed=SPEED_M_S), Stand(10))


class Rounds:
    """A World without end."""

    temperature_c = 20.0

    def __init__(self, seed: int = 1) -> None:
        # upright, and the belt a little up at the back: the floor is out of the beam's range, so what is behind is known
        self._body = Body(Person(lean_back_deg=0.0, belt_pitch_deg=6.0, seed=seed), ROUND)
        self._around = Surroundings((wall_behind(WALL_M),), seed=seed)
        self.round_ns = int(sum(phase.seconds for phase in ROUND) * 1e9)
        self._body.motion(np.array([self.round_ns]))  # made now, whole

    def motion(self, t_ns: Times) -> NDArray[np.float64]:
        """See World."""
        return self._body.motion(t_ns % self.round_ns)

    def horizon_ns(self, now_ns: int) -> int:
        """See World: nothing that sounds changes it."""
        return FAR_NS

    def echo(self, t_ns: int) -> float | None:
        """See World."""
        here_ns = t_ns % self.round_ns
        return self._around.echo(t_ns / 1e9, self._body.pose(here_ns)[:3], self._body.rear_axis(here_ns))

    def heard(self, t_ns: int, on: bool) -> None:
        """Nobody changes the way."""
