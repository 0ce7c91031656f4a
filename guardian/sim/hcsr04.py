"""An HC-SR04 ranger as sellers' sheets describe it, on two simulated wires.

Theory of operation. A trigger pulse of at least 10 µs starts a burst of eight cycles at 40 kHz when it ends; then the echo line rises
and falls when the first sound comes back, 2 d / c later. Parts differ in what they do when nothing comes back: a pulse of 38 ms, one of
200 ms, or no pulse at all. Triggers are ignored while a measurement is under way. The part knows neither the driver's temperature nor
its range: sound travels at the world's true speed.
"""

from random import Random
from typing import Literal, Protocol

from guardian.sim.clock import SimClock
from guardian.sim.pins import Line

TRIGGER_MIN_NS = 10_000  # "10 µs TTL pulse" (all sheets)
BURST_NS = (200_000, 500_000)  # trigger's end to echo's rise: eight cycles of 40 kHz are 200 µs, boards take up to 500 µs
LISTENS_NS = 38_000_000  # how long it waits for sound to come back
SILENCE_NS = {"pulse_38ms": 38_000_000, "pulse_200ms": 200_000_000}

NoEcho = Literal["pulse_38ms", "pulse_200ms", "none"]


class Space(Protocol):
    """What sound meets behind the wearer."""

    @property
    def temperature_c(self) -> float:
        """Of the air."""

    def echo(self, t_ns: int) -> float | None:
        """Distance in m that comes back for a ping at `t_ns`; None: nothing does."""


class HcSr04:
    """The part. `no_echo` is this specimen's way to say "nothing"."""

    def __init__(self, clock: SimClock, trigger: Line, echo: Line, space: Space, no_echo: NoEcho = "pulse_38ms", seed: int = 0) -> None:
        self.no_echo: NoEcho = no_echo
        self.pings = 0  # bursts sent
        self._clock = clock
        self._trigger = trigger
        self._echo = echo
        self._space = space
        self._random = Random(seed)
        self._plugged = True
        self._stuck: bool | None = None
        self._triggered_ns: int | None = None
        self._busy_until_ns = 0
        self._life = 0  # what was under way before an unplugging does not happen after it
        trigger.listener = self._on_trigger
        echo.drive(False)

    def unplug(self) -> None:
        """All four wires come off: the echo line is left to the pull resistor."""
        self._plugged = False
        self._life += 1
        self._echo.drive(None)

    def plug(self) -> None:
        """The wires are on again; the part starts idle, with whatever ails it."""
        self._plugged = True
        self.restart()

    def restart(self) -> None:
        """Its supply went off and on."""
        if not self._plugged:
            return
        self._life += 1
        self._busy_until_ns = 0
        self._triggered_ns = None
        self._echo.drive(self._stuck or False)

    def stick(self, level: bool) -> None:
        """The echo output stays at this level for good."""
        self._stuck = level
        if self._plugged:
            self._echo.drive(level)

    def heal(self) -> None:
        """The echo output works again."""
        self._stuck = None
        self.restart()

    def _on_trigger(self, t_ns: int, on: bool) -> None:
        if on:
            self._triggered_ns = t_ns
            return
        started_ns, self._triggered_ns = self._triggered_ns, None
        long_enough = started_ns is not None and t_ns - started_ns >= TRIGGER_MIN_NS
        if long_enough and self._plugged and t_ns >= self._busy_until_ns:
            self._ping(t_ns)

    def _ping(self, t_ns: int) -> None:
        self.pings += 1
        distance_m = self._space.echo(t_ns)
        rise_ns = t_ns + self._random.randint(*BURST_NS)
        if distance_m is None:
            width_ns = SILENCE_NS.get(self.no_echo)
        else:
            speed_m_s = 331.3 + 0.606 * self._space.temperature_c  # dry air, linear in °C
            width_ns = min(int(2e9 * distance_m / speed_m_s), LISTENS_NS)
        self._busy_until_ns = rise_ns + (LISTENS_NS if width_ns is None else width_ns)
        if width_ns is not None:
            self._schedule(rise_ns, True)
            self._schedule(rise_ns + width_ns, False)

    def _schedule(self, t_ns: int, level: bool) -> None:
        life = self._life

        def change() -> None:
            if life == self._life and self._stuck is None:
                self._echo.drive(level)

        self._clock.schedule(t_ns, change)
