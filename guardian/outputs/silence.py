"""The buzzer's line off, and nothing else: what systemd runs after the program is gone, however it went.

A Pi keeps a pin's last level when the process that drove it dies, so a program killed in mid-beep would beep for ever.
"""

import sys

from gpiozero.devices import Device

from guardian.config import ConfigError, load
from guardian.outputs.buzzer import Buzzer


def main() -> int:
    """Silence the configured pins, by the pin factory that GPIOZERO_PIN_FACTORY names."""
    try:
        config = load()
    except ConfigError:
        config = load(local=None)  # a broken file never drove a pin of its own: those of the shipped one are the best guess
    Device.ensure_pin_factory()  # type: ignore[no-untyped-call]
    assert Device.pin_factory is not None
    Buzzer(Device.pin_factory, config).close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
