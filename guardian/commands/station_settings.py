"""What every `guardian station` line says: the settings."""

from argparse import Namespace

from guardian.station.settings import LOCAL, Settings, load


def settings_of(args: Namespace) -> Settings:
    """The settings that the command line asks for. Raises ConfigError."""
    return load(args.config or LOCAL, args.overrides)
