"""History is health data: what is older than keep_days is deleted, once at the start and then every prune_s."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from guardian.station.settings import Station
from guardian.station.store import Store

log = logging.getLogger(__name__)


class Prune:
    """Deletes between start() and close()."""

    def __init__(self, station: Station, store: Store, clock: Callable[[], datetime]) -> None:
        self._station, self._store, self._clock = station, store, clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="prune", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def turn(self) -> int:
        """Delete what is too old; how many rows. Raises SQLAlchemyError."""
        return self._store.prune(self._clock() - timedelta(days=self._station.keep_days))

    def _work(self) -> None:
        while True:
            try:
                count = self.turn()
                if count:
                    log.info("%d rows older than %g days deleted", count, self._station.keep_days)
            except SQLAlchemyError as error:
                log.error("old history could not be deleted: %s", type(error).__name__)
            if self._ending.wait(self._station.prune_s):
                return
