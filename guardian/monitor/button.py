"""The button as presses: the gestures of monitor/policy.py are sentences about these words.

Two short presses mean something only if no third follows: they are a double once triple_press_s from the beginning of the first have passed
without one begun. A third that begins in time and is released too late makes neither.

A press counts only if its beginning was seen: a button that is held when the program starts (lain on, stuck) begins no press until it
has been released once.
"""

from msgspec import Struct

from guardian.config import Config, ns


class Press(Struct, frozen=True, gc=False):
    """The button in this tick. Durations in ns; `began_ns` is None while not pressed (or since before the start)."""

    pressed: bool = False
    began: bool = False  # in this tick
    began_ns: int | None = None
    held_ns: int = 0
    released: bool = False  # in this tick, after `held_ns`
    upright: bool = False  # upright in every tick of this press
    triple: bool = False  # the third of three short presses was released in this tick
    short: bool = False  # a short press was released in this tick
    double: bool = False  # two short presses, and in this tick it is certain that they are no three


class ButtonMemory(Struct):
    """The press under way and the short presses before it."""

    seen_released: bool = False
    began_ns: int | None = None
    upright: bool = False
    shorts_ns: list[int] = []
    taps_ns: list[int] = []  # beginnings of the short presses that may become a double


class ButtonPresses:
    """Turns the debounced level into presses."""

    def __init__(self, config: Config) -> None:
        self._short_ns = ns(config.policy.short_press_s)
        self._triple_ns = ns(config.policy.triple_press_s)
        self.memory = ButtonMemory()

    def forget_shorts(self) -> None:
        """A short press that did something does not also count toward three."""
        self.memory.shorts_ns = []

    def forget_double(self) -> None:
        """Nor toward two."""
        self.memory.taps_ns = []

    def step(self, t_ns: int, level: bool, upright: bool) -> Press:
        """The press in this tick; `upright` is the wearer's posture now."""
        m = self.memory
        if not level:
            m.seen_released = True
            if m.began_ns is None:
                return IDLE if not m.taps_ns or t_ns - m.taps_ns[0] <= self._triple_ns else self._settle()
            return self._release(t_ns, m.began_ns)
        if not m.seen_released:
            return Press(pressed=True)
        if m.began_ns is None:
            m.began_ns, m.upright = t_ns, upright
            return Press(pressed=True, began=True, began_ns=t_ns, upright=upright)
        m.upright = m.upright and upright
        return Press(pressed=True, began_ns=m.began_ns, held_ns=t_ns - m.began_ns, upright=m.upright)

    def _release(self, t_ns: int, began_ns: int) -> Press:
        m = self.memory
        m.began_ns = None
        held_ns = t_ns - began_ns
        short = held_ns <= self._short_ns
        m.shorts_ns = [*(begun for begun in m.shorts_ns if t_ns - begun <= self._triple_ns), began_ns] if short else []
        triple = len(m.shorts_ns) >= 3
        if triple:
            m.shorts_ns = []
        m.taps_ns = [*m.taps_ns, began_ns] if short and not triple else []
        return Press(began_ns=began_ns, held_ns=held_ns, released=True, upright=m.upright, triple=triple, short=short)

    def _settle(self) -> Press:
        """The time for a third press is over."""
        m = self.memory
        double, m.taps_ns = len(m.taps_ns) == 2, []
        return Press(double=double)


IDLE = Press()
