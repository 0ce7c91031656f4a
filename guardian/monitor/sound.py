"""Which one sound plays now.

Theory of operation. Every tick names the reasons that stand (an alarm, an obstacle, a fault) and what just happened (a chirp, an
acknowledgement). A standing reason with repeat_s = 0 loops while it stands; with repeat_s > 0 it is played, then again after that
pause; what just happened is played once. Of all that wants to sound, the highest priority plays. What was cut short, or had to
wait, comes back when it can, so nothing is lost behind a warning; what happened once is dropped when it has waited `patience`,
since a late chirp would say something that is no longer so. Faults take turns, a new one first. Finite sounds are kept apart by a
short silence, or two codes would read as one; but what is more urgent than the one that has just ended would have cut it off, and does not
wait: with that silence on top of the time that finding it takes, a fault would be heard later than half a second. (One that is only said
again waits.)

The coach's sounds (`coach_<cue>`) are chosen apart, after all that: one plays in ticks that are silent otherwise, outside the short silence
after another code, and is cut off in the tick in which anything else sounds. Nothing above knows that they exist, so they delay nothing:
with them and without them every other sound is the same in every tick. One that was cut off or had to wait comes back, from its
beginning, within its wait_s. But a new phase (PHASES) takes the place of what still waits to be said of the one before: all stairs of a set
are counted when it ends, and "it counts from now" after "rest" would be wrong.
"""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from guardian.config import Config, ns
from guardian.verdict import Alert

PHASES = ("coach_work", "coach_rest", "coach_again", "coach_done")
WITHIN = (*PHASES, "coach_half")  # what is said of a phase


class Waiting(Struct):
    """A sound that is to be played once."""

    sound: str
    asked_ns: int


class CoachLane(Struct):
    """The coach's sounds: what waits or plays, and what the choice depends on."""

    waiting: list[Waiting] = []
    playing: str | None = None  # one of those that wait
    since_ns: int = 0
    quiet_until_ns: int = 0


class SoundMemory(Struct):
    """What the choice depends on between ticks."""

    playing: str | None = None
    since_ns: int = 0
    finite: bool = False  # it ends by itself
    quiet_until_ns: int = 0  # the silence after a finite sound ...
    ended: str = ""  # ... which was this one
    due_ns: dict[str, int] = {}  # standing reasons that come again: when next
    heard: list[str] = []  # those of them heard to their end at least once
    once: list[Waiting] = []
    coach: CoachLane = msgspec.field(default_factory=CoachLane)


class SoundChoice:
    """Chooses the one alert of each tick from the table of sounds."""

    def __init__(self, config: Config) -> None:
        self._sounds = config.sounds
        self._priority = {name: sound.priority for name, sound in config.sounds.items()}
        self._length_ns = {name: sound.length_ns for name, sound in config.sounds.items()}
        self._pause_ns = {name: ns(sound.repeat_s) for name, sound in config.sounds.items() if sound.repeat_s is not None}
        self._patience_ns = ns(config.policy.sound_patience_s)
        self._apart_ns = ns(config.policy.sound_apart_s)
        self._wait_ns = {f"coach_{name}": ns(cue.wait_s) for name, cue in config.coach.cues.items()}
        self.memory = SoundMemory()

    def step(self, t_ns: int, standing: Iterable[str], happened: Iterable[str]) -> Alert | None:
        """The alert of this tick. `standing` and `happened` name rows of [sounds]; names without a row have no sound."""
        lane = self.memory.coach
        others: list[str] = []
        for name in happened:
            if name not in self._wait_ns:
                others.append(name)
            elif all(waiting.sound != name for waiting in lane.waiting):
                if name in PHASES:
                    lane.waiting = [one for one in lane.waiting if one.sound not in WITHIN or one.sound == lane.playing]
                lane.waiting.append(Waiting(name, t_ns))
        alert = self._choose(t_ns, standing, others)
        return self._coach(t_ns, alert) if lane.waiting else alert

    def hush_coach(self) -> None:
        """What the coach had to say is no longer of interest."""
        self.memory.coach.waiting, self.memory.coach.playing = [], None

    def _coach(self, t_ns: int, other: Alert | None) -> Alert | None:
        """The coach's sound where there is no other. What waits too long is dropped, but not in the middle."""
        lane = self.memory.coach
        if lane.playing is not None and t_ns - lane.since_ns >= self._length_ns[lane.playing]:
            lane.waiting = [waiting for waiting in lane.waiting if waiting.sound != lane.playing]
            lane.playing, lane.quiet_until_ns = None, t_ns + self._apart_ns
        if other is not None:
            lane.playing = None
        lane.waiting = [one for one in lane.waiting if one.sound == lane.playing or t_ns - one.asked_ns <= self._wait_ns[one.sound]]
        if other is not None or not lane.waiting or t_ns < max(lane.quiet_until_ns, self.memory.quiet_until_ns):
            return other
        if lane.playing is None:
            lane.playing = max(lane.waiting, key=lambda one: self._priority[one.sound]).sound
            lane.since_ns = t_ns
        return Alert(lane.playing, lane.since_ns)

    def _choose(self, t_ns: int, standing: Iterable[str], happened: Iterable[str]) -> Alert | None:
        """Of all but the coach's."""
        m = self.memory
        for name in happened:
            if name in self._priority:
                m.once.append(Waiting(name, t_ns))
        looping: list[str] = []
        reminding: list[str] = []
        for name in standing:
            pause_ns = self._pause_ns.get(name)
            if pause_ns is None:
                continue
            (reminding if pause_ns else looping).append(name)
        if not (looping or reminding or m.once or m.playing):
            m.due_ns.clear()
            return None
        self._finish(t_ns)
        if m.once:
            m.once = [waiting for waiting in m.once if waiting.sound == m.playing or t_ns - waiting.asked_ns <= self._patience_ns]
        m.due_ns = {name: m.due_ns.get(name, t_ns) for name in reminding}
        m.heard = [name for name in m.heard if name in m.due_ns]
        finite = [waiting.sound for waiting in m.once]
        reminder = self._reminder(t_ns)
        if reminder is not None:
            finite.append(reminder)
        if t_ns < m.quiet_until_ns:
            least = self._priority.get(m.ended, 0)
            finite = [name for name in finite if self._priority[name] > least and name not in m.heard]
        chosen: str | None = None
        for name in looping + finite:
            if (
                chosen is None
                or self._priority[name] > self._priority[chosen]
                or (name == m.playing and self._priority[name] == self._priority[chosen])
            ):
                chosen = name
        if chosen != m.playing:
            m.playing, m.since_ns, m.finite = chosen, t_ns, chosen is not None and chosen not in looping
        return None if chosen is None else Alert(chosen, m.since_ns)

    def _reminder(self, t_ns: int) -> str | None:
        """Of the standing reasons that are due: the one under way, then those not yet heard, most urgent first, then the longest due."""
        m = self.memory
        due = [name for name, due_ns in m.due_ns.items() if due_ns <= t_ns]
        new = [name for name in due if name not in m.heard]
        if new:
            first = max(new, key=self._priority.__getitem__)
            if m.playing not in due or self._priority[first] > self._priority[m.playing]:
                return first
        if m.playing in due:
            return m.playing
        return min(due, key=lambda name: (m.due_ns[name], -self._priority[name]), default=None)

    def _finish(self, t_ns: int) -> None:
        """Take note that a finite sound has been heard to its end."""
        m = self.memory
        if m.playing is None or not m.finite or t_ns - m.since_ns < self._length_ns[m.playing]:
            return
        if m.playing in m.due_ns:
            m.due_ns[m.playing] = t_ns + self._pause_ns[m.playing]
            if m.playing not in m.heard:
                m.heard.append(m.playing)
        for index, waiting in enumerate(m.once):
            if waiting.sound == m.playing:
                del m.once[index]
                break
        m.ended, m.playing, m.quiet_until_ns = m.playing, None, t_ns + self._apart_ns
