"""guardian station test-push: ring every contact of a wearer once."""

from argparse import Namespace

from rich.table import Table

from guardian.commands.options import console
from guardian.commands.station_settings import settings_of
from guardian.station.store import Store
from guardian.station.trial import ring


def main(args: Namespace) -> int:
    """1 when one was not reached."""
    settings = settings_of(args)
    store = Store.opened(settings)
    try:
        trials = ring(settings, store, args.wearer)
    finally:
        store.close()
    table = Table(box=None, pad_edge=False)
    for heading in ("contact", "", "is told of"):
        table.add_column(heading)
    for trial in trials:
        table.add_row(trial.contact, f"[bold red]{trial.why}[/]" if trial.why else "[bold green]sent[/]", ", ".join(trial.severities))
    console().print(table)
    return 1 if any(trial.why for trial in trials) else 0
