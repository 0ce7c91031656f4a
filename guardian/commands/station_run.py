"""guardian station: run it; ring every contact once; delete what is kept about one wearer."""

import sys
from argparse import Namespace

from rich.table import Table

from guardian import station
from guardian.commands.options import console
from guardian.commands.station_settings import settings_of
from guardian.station.push import test_push
from guardian.station.store import Store


def main(args: Namespace) -> int:
    """Without an action: run until SIGTERM."""
    settings = settings_of(args)
    if args.action is None:
        station.run(settings)
        return 0
    store = Store.opened(settings)
    try:
        if args.action == "erase":
            return _erase(store, args.wearer, args.yes)
        trials = test_push(settings, store, args.wearer)
    finally:
        store.close()
    table = Table(box=None, pad_edge=False)
    for heading in ("contact", "", "is told of"):
        table.add_column(heading)
    for trial in trials:
        table.add_row(trial.contact, f"[bold red]{trial.why}[/]" if trial.why else "[bold green]sent[/]", ", ".join(trial.severities))
    console().print(table)
    return 1 if any(trial.why for trial in trials) else 0


def _erase(store: Store, device: str, sure: bool) -> int:
    name, last = store.wearer(device)
    count = len(store.events(devices=[device], limit=10_000))
    if name is None and last is None and count == 0:
        print(f"guardian: nothing is kept about {device!r}: a wearer is named by the device's id", file=sys.stderr)
        return 1
    if not sure:
        if not sys.stdin.isatty():
            print("guardian: say --yes to delete without being asked", file=sys.stderr)
            return 1
        whose = f"{name} ({device})" if name else device
        if input(
            f"delete all that is kept about {whose}, {count} events among it? It cannot be brought back. [y/N] "
        ).strip().lower() not in (
            "y",
            "yes",
        ):
            print("nothing was deleted")
            return 1
    print(
        f"deleted {store.erase(device)} rows. What the device itself keeps: guardian erase, on the device; at the broker: guardian retire"
    )
    return 0
