"""The wearer's one button, to ground with the pin's pull-up.

Theory of operation. The level is asked for once a tick; it is believed when it has been other than the known one at every asking for
debounce_ms. gpiozero's own bounce_time is not used: it reports phantom presses with lgpio (gpiozero issue 1090). What a press means is
the monitor's business.
"""

import logging
from typing import Any

from gpiozero.devices import GPIODevice
from gpiozero.pins import Factory

from guardian import config as settings
from guardian.frame import Fault

log = logging.getLogger(__name__)


class Button:
    """Debounced level. Raises at construction (no such pin, pin in use); never later. `faults` are those that stand."""

    def __init__(self, pins: Factory, config: settings.Button) -> None:
        self.faults: tuple[Fault, ...] = ()
        self._number = config.pin
        self._debounce_ns = config.debounce_ms * 1_000_000
        self._pressed = False
        self._other_since_ns: int | None = None
        self._device: Any = GPIODevice(config.pin, pin_factory=pins)  # type: ignore[no-untyped-call]
        self._pin = self._device.pin
        self._pin.function = "input"
        self._pin.pull = "up"

    def read(self, now_ns: int) -> bool:
        """True while pressed. Where the pin cannot be read the known level stands, so that an error is neither a press nor a release."""
        try:
            pressed = not self._pin.state
        except Exception as error:  # noqa: BLE001  (lgpio raises its own bare Exception, gpiozero and the kernel others)
            if not self.faults:
                log.warning("button on GPIO %d: %r", self._number, error)
            self.faults = (Fault("button_stuck", f"GPIO {self._number} cannot be read: {error}"),)
            return self._pressed
        if self.faults:
            self.faults = ()
        if pressed == self._pressed:
            self._other_since_ns = None
        elif self._other_since_ns is None:
            self._other_since_ns = now_ns
        elif now_ns - self._other_since_ns >= self._debounce_ns:
            self._pressed, self._other_since_ns = pressed, None
        return self._pressed

    def close(self) -> None:
        """Release the pin."""
        self._device.close()
