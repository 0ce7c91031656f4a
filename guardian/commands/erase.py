"""guardian erase: recordings, sessions, alarms' history and the journal are health data; this deletes them and says what it deleted."""

import sys
from argparse import Namespace
from pathlib import Path

from guardian.app import AlreadyRunning, Places, locked, places
from guardian.commands.options import config_of, console


def main(args: Namespace) -> int:
    """List, ask, delete. Calibration stays: it is about the belt."""
    here = places(config_of(args))
    out = console()
    doomed = health_data(here)
    if not doomed:
        out.print(f"nothing to erase in {here.state_dir}")
        return 0
    try:
        with locked(here):
            return _erase(here, doomed, args.yes)
    except AlreadyRunning as error:
        print(f"guardian: {error}; stop it first: systemctl stop guardian", file=sys.stderr)
        return 2


def health_data(here: Places) -> list[Path]:
    """What would be deleted: recordings, outbox, sessions, journal; with what SQLite keeps beside them, and what was set aside damaged."""
    found = list(here.recordings.glob("*.mcap"))
    for file in (here.outbox, here.sessions, here.journal):
        found += here.state_dir.glob(f"{file.name}*")
    return sorted(path for path in found if path.is_file())


def _erase(here: Places, doomed: list[Path], sure: bool) -> int:
    out = console()
    for path in doomed:
        out.print(f"  {path}  {path.stat().st_size / 1e6:.2f} MB", soft_wrap=True)
    alarm = here.open_alarm()
    if alarm is not None and not sure:
        print(f"guardian: an alarm is open ({alarm}): clear it first, or say --yes", file=sys.stderr)
        return 1
    if not sure:
        if not sys.stdin.isatty():
            print("guardian: say --yes to delete without being asked", file=sys.stderr)
            return 1
        if input(f"delete these {len(doomed)} files? They cannot be brought back. [y/N] ").strip().lower() not in ("y", "yes"):
            out.print("nothing was deleted")
            return 1
    for path in doomed:
        path.unlink()
    out.print(f"deleted {len(doomed)} files")
    return 0
