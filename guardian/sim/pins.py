"""gpiozero's mock pins on simulated time, and the wires soldered to them.

Theory of operation. A `Line` is the wire at a GPIO: a part drives it high, low or not at all (then the pull resistor decides), or
listens to what the program puts out. It outlives the program, which may be killed and started anew on the same wires. Edges are
stamped with simulated time and handed to the driver's callback as lgpio does, its traps included: an exception in a callback
silently ends the delivery of all edges of all pins. Nothing of the past is kept (gpiozero's own MockPin remembers every change), so
a simulated day takes no memory.
"""

from collections.abc import Callable
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPWMPin

from guardian.sim.clock import SimClock

ZERO_2_W = "902120"  # board revision code


class Line:
    """The wire at one GPIO, seen from outside the computer."""

    def __init__(self, clock: SimClock) -> None:
        self.listener: Callable[[int, bool], None] | None = None  # told (t_ns, on) when the program's output changes
        self.on = False  # what the program puts out; an input puts out nothing, and pull-down resistors keep that silent
        self.driven: bool | None = None
        self.pin: SimPin | None = None  # the living program's
        self.broken: Exception | None = None  # reading and writing this pin raises this
        self._clock = clock

    def drive(self, level: bool | None) -> None:
        """What is connected pulls the line up or down, or (None) leaves it to the pull resistor."""
        self.driven = level
        if self.pin is not None:
            self.pin.settle()

    def put(self, on: bool) -> None:
        """The program's output."""
        if on != self.on:
            self.on = on
            if self.listener is not None:
                self.listener(self._clock.now_ns(), on)


class SimPin(MockPWMPin):
    """One GPIO. Any of them can do PWM, as lgpio's can."""

    def __init__(self, factory: "SimPins", info: Any) -> None:
        self._pins = factory
        self._line = factory.line(int(info.name[4:]))
        super().__init__(factory, info)  # type: ignore[no-untyped-call]
        self._line.pin = self

    def settle(self) -> None:
        """Take the level of the line, if this pin is an input, and tell the driver of an edge it watches."""
        if self._function != "input":
            return
        level = self._pull == "up" if self._line.driven is None else self._line.driven
        if self._change_state(level) and self._when_changed is not None and self._edges in ("both", "rising" if level else "falling"):
            self._deliver()

    def _deliver(self) -> None:
        if not self._pins.delivering:
            return
        try:
            self._call_when_changed()  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001  (whatever it is, lgpio's only thread ends here)
            self._pins.delivering = False
            self._pins.callback_error = error

    def _change_state(self, value: float) -> bool:
        if self._line.pin is self and self._function == "output":
            self._line.put(value > 0)
        if self._state == value:
            return False
        self._state = value
        self._last_change = self._pins.ticks()
        return True

    def _get_state(self) -> float:
        self._check()
        return self._state

    def _set_state(self, value: float) -> None:
        self._check()
        super()._set_state(value)  # type: ignore[no-untyped-call]

    def _check(self) -> None:
        broken = self._pins.broken or self._line.broken
        if broken is not None:
            raise broken

    def _set_function(self, value: str) -> None:
        if self._line.pin is self and value == "input":
            self._line.put(False)
        super()._set_function(value)  # type: ignore[no-untyped-call]

    def _set_pull(self, value: str) -> None:
        self._pull = value
        self.settle()

    def clear_states(self) -> None:
        """Nothing is kept."""
        self._last_change = self._pins.ticks()


class SimPins(MockFactory):
    """A Raspberry Pi Zero 2 W's pins on a simulated clock."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.delivering = True  # False: lgpio's notify thread is dead
        self.callback_error: Exception | None = None  # what killed it
        self.broken: Exception | None = None  # reading and writing any pin raises this
        self._lines: dict[int, Line] = {}
        super().__init__(revision=ZERO_2_W, pin_class=SimPin)  # type: ignore[no-untyped-call]

    def line(self, number: int) -> Line:
        """The wire at GPIO `number`."""
        if number not in self._lines:
            self._lines[number] = Line(self.clock)
        return self._lines[number]

    def ticks(self) -> float:  # type: ignore[override]
        """Simulated seconds."""
        return self.clock.now_ns() / 1e9

    def close(self) -> None:
        """All pins become inputs and are free again. The wires stay, so that the program may be started anew on them."""
        for pin in self.pins.values():
            pin.close()
        self.abandon()

    def abandon(self) -> None:
        """The program is gone without a word: outputs keep their level (Raspberry Pi OS does so), its callbacks and claims are void."""
        for line in self._lines.values():
            line.pin = None
        self.pins.clear()
        self._reservations.clear()
        self.delivering, self.callback_error = True, None

    def power_off(self) -> None:
        """The program is gone, and every output is off."""
        self.abandon()
        for line in self._lines.values():
            line.put(False)
