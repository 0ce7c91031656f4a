"""Which one sound plays now.

Theory of operation. Every tick names the reasons that stand (an alarm, an obstacle, a fault) and what just happened (a chirp, an
acknowledgement). A standing reason with repeat_s = 0 loops while it stands; with repeat_s > 0 it is played, then again after that
pause; what just happened is played once. Of all that wants to sound, the highest priority plays. What was cut short, or had to
wait, comes back when it can, so nothing is lost behind a warning; what happened once is dropped when it has waited `patience`,
since a late chirp would say something that is no longer so. Faults take turns, a new one first. Finite sounds are kept apart by a
short silence, or two codes would read as one.
"""

from collections.abc import Iterable

from msgspec import Struct

from guardian.config import Config, ns
from guardian.verdict import Alert


class Waiting(Struct):
    """A sound that is to be played once."""

    sound: str
    asked_ns: int


class SoundMemory(Struct):
    """What the choice depends on between ticks."""

    playing: str | None = None
    since_ns: int = 0
    finite: bool = False  # it ends by itself
    quiet_until_ns: int = 0  # the silence after a finite sound
    due_ns: dict[str, int] = {}  # standing reasons that come again: when next
    heard: list[str] = []  # those of them heard to their end at least once
    once: list[Waiting] = []


class SoundChoice:
    """Chooses the one alert of each tick from the table of sounds."""

    def __init__(self, config: Config) -> None:
        self._sounds = config.sounds
        self._priority = {name: sound.priority for name, sound in config.sounds.items()}
        self._length_ns = {name: sound.length_ns for name, sound in config.sounds.items()}
        self._pause_ns = {name: ns(sound.repeat_s) for name, sound in config.sounds.items() if sound.repeat_s is not None}
        self._patience_ns = ns(config.policy.sound_patience_s)
        self._apart_ns = ns(config.policy.sound_apart_s)
        self.memory = SoundMemory()

    def step(self, t_ns: int, standing: Iterable[str], happened: Iterable[str]) -> Alert | None:
        """The alert of this tick. `standing` and `happened` name rows of [sounds]; names without a row have no sound."""
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
            finite = []
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
        m.playing, m.quiet_until_ns = None, t_ns + self._apart_ns
