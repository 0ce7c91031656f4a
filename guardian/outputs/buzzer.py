"""The buzzer, and a vibration motor that mirrors it: the tick sets the line, no thread plays anything.

Theory of operation. A sound is a row of on and off times; where in it we are follows from how long the alert has been playing, so
nothing is counted or remembered but the line's level. A level that could not be written is written again in the next tick.
An active buzzer needs on and off; a passive one gets a square wave of tone_hz.
"""

import logging

from gpiozero.output_devices import OutputDevice, PWMOutputDevice
from gpiozero.pins import Factory

from guardian.config import Config, Sound
from guardian.frame import Fault, Frame
from guardian.hardware import OutputPin
from guardian.verdict import Verdict

TRIES = 3  # to silence a line at close

log = logging.getLogger(__name__)


def pattern_on(sound: Sound, elapsed_ns: int) -> bool:
    """Whether `sound` is on, `elapsed_ns` after it began.

    With repeat_s = 0 it loops; else it plays once, and whoever wants to hear it again starts it anew.
    """
    if elapsed_ns < 0:
        return False
    if sound.repeat_s == 0.0:
        elapsed_ns %= sound.length_ns
    on = True
    for duration_ms in sound.on_off_ms:
        elapsed_ns -= duration_ms * 1_000_000
        if elapsed_ns < 0:
            return on
        on = not on
    return False


class Line:
    """One GPIO that makes itself felt. Silent from construction on."""

    def __init__(self, pins: Factory, pin: int, tone_hz: int | None) -> None:
        self.pin = pin
        self._on: bool | None = None  # not known: it may not have been written, or a write failed
        self._loud = 1.0 if tone_hz is None else 0.5  # a square wave
        self._output = OutputPin(
            lambda: (
                OutputDevice(pin, initial_value=False, pin_factory=pins)  # type: ignore[no-untyped-call]
                if tone_hz is None
                else PWMOutputDevice(pin, initial_value=0.0, frequency=tone_hz, pin_factory=pins)  # type: ignore[no-untyped-call]
            )
        )

    def set(self, on: bool) -> None:
        """Raises what the GPIO library raises; then the next call tries again, whatever level it wants."""
        if on != self._on:
            self._on = None
            self._output.set(self._loud if on else 0.0)
            self._on = on

    def close(self) -> None:
        """Silence the line, by its level and by making the pin an input (the transistor's pull-down holds it off). Never raises."""
        for quiet in (self._output.off, self._output.close):
            for _ in range(TRIES):
                try:
                    quiet()
                except Exception as error:  # noqa: BLE001  (whatever it is: the other ways to silence it must still be tried)
                    log.error("GPIO %d cannot be silenced: %r", self.pin, error)
                else:
                    break
        self._on = False


class Buzzer:
    """Plays `verdict.alert`. Raises at construction (no such pin, pin in use)."""

    name = "buzzer"

    def __init__(self, pins: Factory, config: Config) -> None:
        self._sounds = config.sounds
        self._lines = [Line(pins, config.buzzer.pin, config.buzzer.tone_hz if config.buzzer.kind == "passive" else None)]
        if config.buzzer.vibration_pin:
            self._lines.append(Line(pins, config.buzzer.vibration_pin, None))

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Set the lines for this tick. All are tried before what one of them raised is raised; KeyError for a sound that is no row."""
        alert = verdict.alert
        on = alert is not None and pattern_on(self._sounds[alert.sound], verdict.t_ns - alert.since_ns)
        failed: Exception | None = None
        for line in self._lines:
            try:
                line.set(on)
            except Exception as error:  # noqa: BLE001  (lgpio raises its own bare Exception, gpiozero and the kernel others)
                failed = error
        if failed is not None:
            raise failed

    def faults(self) -> tuple[Fault, ...]:
        """None of its own: what `apply` raises is the guard's to tell."""
        return ()

    def close(self) -> None:
        """Leave all lines silent, whatever fails."""
        for line in self._lines:
            line.close()
