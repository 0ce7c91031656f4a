"""guardian station: the caregiver's program, and what its keeper does with it. Needs the [station] extra, which no device installs.

Each action is in a file guardian/commands/station_*.py, imported when it is asked for, because those files import the station.
"""

import importlib
import os
import sys
from argparse import Namespace

ACTIONS = {  # action -> file of guardian/commands
    None: "station_run",
    "check": "station_check",
    "user": "station_user",
    "enroll": "station_enroll",
    "retire": "station_enroll",
    "test-push": "station_test_push",
    "erase": "station_erase",
}
EXTRA = ("nicegui", "sqlalchemy", "apprise", "argon2", "segno", "cryptography", "fastapi", "uvicorn", "psycopg")


def main(args: Namespace) -> int:
    """One action; the names of its words are those of guardian/__main__.py."""
    os.umask(0o077)  # history is health data, whoever runs this
    try:
        action = importlib.import_module(f"guardian.commands.{ACTIONS[args.action]}")
        return int(action.main(args))
    except Exception as error:
        if type(error).__module__ == "sqlalchemy.exc":  # which is not imported here: a device has none
            why = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            print(f"guardian: station.database: {why} (guardian station check tells more)", file=sys.stderr)
            return 2
        if not isinstance(error, ModuleNotFoundError):
            raise
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA:
            raise
        extra = "station,postgres" if package == "psycopg" else "station"
        print(f"guardian: the station needs more than a device ({package} is missing): pip install 'guardian[{extra}]'", file=sys.stderr)
        return 2
