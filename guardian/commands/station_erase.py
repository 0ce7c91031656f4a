"""guardian station erase: delete all that is kept about one wearer."""

import sys
from argparse import Namespace

from guardian.commands.station_settings import settings_of
from guardian.station.store import Store


def main(args: Namespace) -> int:
    """1 when nothing was deleted."""
    store = Store.opened(settings_of(args))
    try:
        return _erase(store, args.wearer, args.yes)
    finally:
        store.close()


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
        asked = f"delete all that is kept about {whose}, {count} events among it? It cannot be brought back. [y/N] "
        if input(asked).strip().lower() not in ("y", "yes"):
            print("nothing was deleted")
            return 1
    rows = store.erase(device)
    print(f"deleted {rows} rows. What the device itself keeps: guardian erase, on the device; at the broker: guardian retire")
    return 0
