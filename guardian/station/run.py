"""All of the station's wiring, as app.py's is the device's. Nothing else imports the page: the other actions start without it."""

import signal
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from guardian.station import pages, push
from guardian.station.accounts import Accounts
from guardian.station.command import Command
from guardian.station.intake import Intake
from guardian.station.live import Live
from guardian.station.prune import Prune
from guardian.station.push import Sender, utc_now
from guardian.station.server import server
from guardian.station.settings import Settings
from guardian.station.store import Store
from guardian.station.watch import Watch


def run(settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C. Raises ConfigError for what station.toml gets wrong, SQLAlchemyError without a database."""
    clock = utc_now
    if not settings.station.database and not settings.station.database_file:
        Path(settings.station.state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as closing:  # last started, first closed
        store = Store.opened(settings)
        closing.callback(store.close)
        live = Live(store, settings, clock)
        sender = Sender(settings, store, clock)
        watch = Watch(settings, store, lambda: live.now, clock, sender.wake)
        intake = Intake(settings, store, live, partial(push.jobs_for, settings), clock, sender.wake)
        accounts = Accounts(store.engine, clock)
        command = Command(intake.line, store, live, settings.broker.root, clock)
        pages.build(store, live, command, accounts, settings, clock)
        works = {"live": live.works, "push": sender.works, "watch": watch.works, "intake": intake.works}
        served = server(settings.page, accounts, works)
        for part in (live, sender, watch, Prune(settings.station, store, clock), intake):
            part.start()
            closing.callback(part.close)
        if threading.current_thread() is threading.main_thread():
            for told in (signal.SIGTERM, signal.SIGINT):  # uvicorn stops at them, then raises them again: not before all is closed
                signal.signal(told, lambda *_: None)
        served.run()
