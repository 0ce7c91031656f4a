"""guardian station check: a table of pass and fail, like guardian check's."""

import logging
from argparse import Namespace

from rich.table import Table

from guardian.commands.options import console
from guardian.commands.station_settings import settings_of
from guardian.outputs.wall import clock_synced
from guardian.station.check import Row, rows
from guardian.station.gate import server_options

STYLES = {"pass": "bold green", "fail": "bold red", "skip": "yellow"}


def main(args: Namespace) -> int:
    """1 when a row fails. A refused configuration ends in 2 before any row."""
    settings = settings_of(args)
    if args.config_only:
        server_options(settings.page)
        console().print("[bold green]accepted[/]")
        return 0
    logging.disable(logging.CRITICAL)  # the table says it all
    out = console()
    with out.status("checking ..."):
        found = [*rows(settings), clock_row()]
    table = Table(box=None, pad_edge=False)
    table.add_column("part", style="bold", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what it says, and what to do", ratio=1)
    for row in found:
        table.add_row(row.part, f"[{STYLES[row.outcome]}]{row.outcome}[/]", row.says + (f"\n[bold]→ {row.remedy}[/]" if row.remedy else ""))
    out.print(table)
    failed = [row.part for row in found if row.outcome == "fail"]
    out.print(f"[bold red]failed: {', '.join(failed)}[/]" if failed else "[bold green]all well[/]")
    return 1 if failed else 0


def clock_row() -> Row:
    """Whether this machine knows the time: alarms are dated with it."""
    if clock_synced():
        return Row("clock", "pass", "synchronised")
    return Row("clock", "fail", "not synchronised", "is there a network, and a time service? timedatectl says")
