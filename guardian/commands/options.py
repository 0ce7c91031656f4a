"""What every command's line says: the configuration, and the consoles to speak on."""

from argparse import Namespace

from rich.console import Console

from guardian.config import LOCAL, Config, load


def config_of(args: Namespace) -> Config:
    """The configuration that the command line asks for. Raises ConfigError."""
    return load(args.config or LOCAL, args.overrides)


def console() -> Console:
    """Standard output; 80 columns where there is no terminal, so that a log reads like the screen."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=80)


def stderr() -> Console:
    """Standard error: progress and complaints."""
    return Console(stderr=True, highlight=False)
