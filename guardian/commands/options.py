"""What every command's line says: the configuration, and the consoles to speak on."""

import sys
from argparse import Namespace

from gpiozero.exc import GPIOZeroError
from rich.console import Console
from rich.progress import Progress, ProgressColumn

from guardian.app import AlreadyRunning
from guardian.config import LOCAL, Config, load
from guardian.drivers.imu import Refusal


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


def progress(*columns: str | ProgressColumn) -> Progress:
    """A bar on standard error. What is printed goes around it where both are the same terminal, and never into it: it may be piped."""
    console, around = stderr(), sys.stdout.isatty()
    return Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=around, redirect_stderr=around
    )


def is_refusal(error: Exception) -> bool:
    """Whether the machine or its wiring refuses: then the message alone helps. Anything else is a bug and keeps its traceback."""
    known = (AlreadyRunning, Refusal, OSError, ImportError, GPIOZeroError)
    return isinstance(error, known) or type(error).__module__ == "lgpio"  # lgpio's error is a bare Exception: pin busy, no permission
