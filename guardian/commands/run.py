"""guardian run: the device on this machine's own pins, until it is told to power off (SIGTERM, SIGINT)."""

import logging
import signal
import sys
from argparse import Namespace
from contextlib import ExitStack
from types import FrameType

from guardian import hardware
from guardian.app import Device, locked, places, settle, worn_device
from guardian.commands.options import config_of, is_refusal

log = logging.getLogger(__name__)


def main(args: Namespace) -> int:
    """Guard. Refusals end with their message and exit code 2."""
    config = config_of(args)
    try:
        with ExitStack() as stack:
            stack.enter_context(locked(places(config)))
            real = hardware.real(config)
            stack.callback(real.close)
            device = stack.enter_context(worn_device(config, real))
            device.start()
            obey_signals(device)
            settle(config.loop.realtime_priority)
            log.info("guarding as %s: %s", config.device.id, config.exercises[config.device.exercise].label)
            device.run()
    except Exception as error:
        if not is_refusal(error):
            raise
        print(f"guardian: {error}", file=sys.stderr)
        return 2
    return 0


def obey_signals(device: Device) -> None:
    """SIGTERM and SIGINT ask for an orderly end: session_ended, offline, silence."""

    def power_off(number: int, frame: FrameType | None) -> None:
        device.power_off(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, power_off)
    signal.signal(signal.SIGINT, power_off)
