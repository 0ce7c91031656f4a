"""guardian station user: who may log in. A password is asked for, or read from a pipe; never from a command line."""

import sys
from argparse import Namespace
from getpass import getpass

from rich.table import Table

from guardian.commands.options import console
from guardian.commands.station_settings import settings_of
from guardian.config import ConfigError
from guardian.station.accounts import AccountError, Accounts, check_password
from guardian.station.store import Store


def main(args: Namespace) -> int:
    """add, passwd, change, list, remove; 1 when it cannot be done so."""
    store = Store.opened(settings_of(args))
    try:
        return _do(args, Accounts(store.engine))
    except AccountError as error:
        print(f"guardian: {error}", file=sys.stderr)
        return 1
    finally:
        store.close()


def _do(args: Namespace, accounts: Accounts) -> int:
    match args.user_action:
        case "add":
            wearers = _wearers(args.wearers)
            accounts.check_new(args.name, args.role, wearers)
            person = accounts.add(args.name, _password(args.name), args.role, wearers)
            print(f"{person.name} may log in now")
        case "passwd":
            accounts.person(args.name)
            accounts.set_password(args.name, _password(args.name))
            print(f"{args.name}: new password; every login of theirs has ended")
        case "change":
            accounts.change(args.name, args.role, _wearers(args.wearers))
            print(f"{args.name}: changed")
        case "remove":
            accounts.remove(args.name)
            print(f"{args.name} is gone, and every login of theirs")
        case "list":
            _list(accounts)
    return 0


def _list(accounts: Accounts) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "role", "sees"):
        table.add_column(heading)
    for person in accounts.people():
        table.add_row(person.name, person.role, "all wearers" if person.role == "admin" else ", ".join(sorted(person.wearers)))
    console().print(table if table.rows else "nobody yet: guardian station user add NAME --role admin")


def _wearers(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _password(name: str) -> str:
    """Raises WeakPassword before it is typed a second time, ConfigError for two that differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass(f"password of {name} (at least 10 characters): ")
    check_password(name.strip().lower(), password)
    if getpass("once more: ") != password:
        raise ConfigError("the two passwords differ; nothing was changed")
    return password
