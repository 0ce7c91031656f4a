"""guardian station: run it until SIGTERM. This action alone loads the page (NiceGUI)."""

from argparse import Namespace

from guardian.commands.station_settings import settings_of
from guardian.station.run import run


def main(args: Namespace) -> int:
    """0 when it was told to end."""
    run(settings_of(args))
    return 0
