"""What simulated sensors sense: motion at the belt, echoes behind it, air temperature; and who hears the buzzer.

Theory of operation of Story. A Body walks through Surroundings. What it will do is known ahead, except that a wearer whose walk
`stops_on_sound` ends it a reaction time after STOP is heard. Such a wearer needs RECOGNISE_S to know the sound, and begins to slow
`reaction_s` after its onset; so the next `reaction_s - RECOGNISE_S` are always settled already, and horizon_ns promises just those.
"""

from math import acos, cos, degrees
from typing import Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from guardian.sim.person import Person
from guardian.sim.phases import Phase
from guardian.sim.surroundings import Surroundings
from guardian.sim.walker import Body

Times = NDArray[np.int64]

FAR_NS = 2**62  # a time no story reaches
RECOGNISE_S = 0.4  # of solid tone, or three onsets of fast beeping, before the wearer takes it for STOP
FAST_ONSETS_S = (0.15, 0.22)  # STOP's onsets are 0.18 s apart; the fastest caution's 0.35 s, chirps' 0.12 s
QUIET_S = 0.2  # before a solid tone: one that follows short beeps at once is the end of another pattern
PAUSE_S = 0.02  # shorter gaps are the waves of a passive buzzer's tone


class World(Protocol):
    """All that the simulated chips, ranger and buzzer know of the outside."""

    temperature_c: float

    def motion(self, t_ns: Times) -> NDArray[np.float64]:
        """(n, 6): specific force x y z (m/s²), angular rate x y z (rad/s), nominal body axes, at increasing times up to horizon_ns."""

    def horizon_ns(self, now_ns: int) -> int:
        """Up to when motion is already settled, whatever sounds from now on: chips compute ahead to it, for speed."""

    def echo(self, t_ns: int) -> float | None:
        """Distance (m) that a perfect-timing part would report for a ping sent at `t_ns`, None for nothing. One call a ping, in order."""

    def heard(self, t_ns: int, on: bool) -> None:
        """The buzzer line changed."""


class Truth(Struct, frozen=True):
    """What is really so, for tests."""

    phase: str  # class name of the phase
    posture: Literal["upright", "leaning", "down"]
    lean_deg: float  # of the trunk from vertical
    wall_m: float | None  # to the nearest thing behind in the beam, floor left out
    backward_m_s: float  # mean over the last stride
    steps: int  # completed so far

    @property
    def ttc_s(self) -> float | None:
        """Time to collision, s; None where nothing is behind or nobody goes there."""
        return None if self.wall_m is None or self.backward_m_s <= 0.02 else self.wall_m / self.backward_m_s


class Story:
    """A world in which a person goes through a script of phases among surroundings, and may stop at the sound of STOP."""

    def __init__(self, who: Person, script: tuple[Phase, ...], around: Surroundings | None = None, temperature_c: float = 20.0) -> None:
        self.body = Body(who, script)
        self.around = around or Surroundings(seed=who.seed)
        self.temperature_c = temperature_c
        self._settled_ns = 0
        self._onset_ns = -FAR_NS  # of the tone now or last heard
        self._fast_since_ns: int | None = None  # onset before this one, where they follow as fast as STOP's
        self._after_quiet = True  # it began after QUIET_S of silence
        self._off_ns: int | None = -FAR_NS  # when the line last fell; None while it is high

    def motion(self, t_ns: Times) -> NDArray[np.float64]:
        """See World."""
        return self.body.motion(t_ns)

    def horizon_ns(self, now_ns: int) -> int:
        """See World."""
        sounding = self._off_ns is None or now_ns - self._off_ns < PAUSE_S * 1e9
        if sounding and self._after_quiet and now_ns - self._onset_ns >= RECOGNISE_S * 1e9:
            self._stop(now_ns, self._onset_ns)  # a solid tone
        spans = [begin for begin, end in self.body.reacting_ns if end > now_ns]
        if not spans:
            return FAR_NS
        margin = max(0, int((self.body.who.reaction_s - RECOGNISE_S) * 1e9))
        self._settled_ns = max(self._settled_ns, now_ns + margin, min(spans))
        return self._settled_ns

    def echo(self, t_ns: int) -> float | None:
        """See World."""
        self.horizon_ns(t_ns)
        return self.around.echo(t_ns / 1e9, self.body.pose(t_ns)[:3], self.body.rear_axis(t_ns))

    def heard(self, t_ns: int, on: bool) -> None:
        """See World."""
        if not on:
            self._off_ns = t_ns
            return
        if self._off_ns is not None and t_ns - self._off_ns >= PAUSE_S * 1e9:
            low, high = FAST_ONSETS_S
            if not low * 1e9 <= t_ns - self._onset_ns <= high * 1e9:
                self._fast_since_ns = None  # caution growing faster has one such interval by chance, never two
            elif self._fast_since_ns is None:
                self._fast_since_ns = self._onset_ns
            else:
                self._stop(t_ns, self._fast_since_ns)
            self._onset_ns, self._after_quiet = t_ns, t_ns - self._off_ns >= QUIET_S * 1e9
        self._off_ns = None

    def truth(self, t_ns: int) -> Truth:
        """What is really so at `t_ns`, which may lie in the past."""
        eye = self.body.pose(t_ns)
        lean_deg = degrees(acos(max(-1.0, min(1.0, cos(eye[3]) * cos(eye[4])))))
        return Truth(
            phase=type(self.body.phase(t_ns)).__name__,
            posture="upright" if lean_deg < 45 else "leaning" if lean_deg < 60 else "down",
            lean_deg=lean_deg,
            wall_m=self.around.true_distance(t_ns / 1e9, eye[:3], self.body.rear_axis(t_ns)),
            backward_m_s=self.body.backward_m_s(t_ns),
            steps=self.body.steps(t_ns),
        )

    def _stop(self, now_ns: int, onset_ns: int) -> None:
        """STOP is understood: slow down a reaction time after its onset, never before what is already promised."""
        begin = max(onset_ns + int(self.body.who.reaction_s * 1e9), now_ns)
        if any(first <= begin < end for first, end in self.body.reacting_ns):
            self.body.end_walk(max(begin, self._settled_ns))
