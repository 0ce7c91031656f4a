"""The outbox's file: an SQLite database of events that have not yet arrived, and of who this device is.

Theory of operation. Write-ahead log with synchronous=FULL. A commit is then one append and one fsync, where a rollback journal needs
two files and three: less wear and a shorter stall on an SD card. After a power cut a torn tail of the log fails its checksum and is left
out; what was committed before it is whole. FULL, because NORMAL may lose the last commits.

The identity of a run is `install` (random at the database's creation) and `boot` (counts openings); both make event ids unique, so they are
committed before they are used. Where that fails (card full, read-only, gone), this run takes a random install of its own: an id used
twice would make receivers drop a real alarm as a duplicate.

A damaged file is set aside under another name and a new one begun. Nothing here is thread-safe: after opening, one writer uses it.
"""

import contextlib
import logging
import secrets
import sqlite3
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

log = logging.getLogger(__name__)

DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}  # the last: tables are not what they should be

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    id TEXT PRIMARY KEY, boot INTEGER NOT NULL, seq INTEGER NOT NULL, critical INTEGER NOT NULL, since REAL, payload BLOB NOT NULL
);
"""


class Kept(Struct, frozen=True, gc=False):
    """An event on disk. `since`: UTC seconds when it was put there; None where the clock was not set."""

    id: str
    boot: int
    seq: int
    critical: bool
    since: float | None
    payload: bytes


class EventStore:
    """The file at `path` (None: in memory). `install`: a name to use instead of a random one, for runs that must repeat exactly."""

    def __init__(self, path: Path | None, install: str | None = None) -> None:
        self.path = path
        self.install = install or secrets.token_hex(4)
        self.boot = 0  # until an opening has counted it
        self.receipt_utc: float | None = None  # of the last receipt of any event; 0.0: at an unknown time
        self.damage = ""  # what was found, and where it was put
        self.db: sqlite3.Connection | None = None
        self._found: deque[Kept] = deque()  # filled by an opening, which may come late and in the writer's thread
        with contextlib.suppress(sqlite3.Error, OSError):  # write() tries again, and says why
            self.open()
        if self.db is None:
            self.boot = 1

    def open(self) -> None:
        """Open or create the file. Raises sqlite3.Error or OSError where that cannot be; a damaged file is replaced by a new one."""
        try:
            self._open()
        except (sqlite3.Error, TypeError, ValueError) as error:
            self.close()
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            self.begin_anew(str(error))

    def begin_anew(self, why: str) -> None:
        """Set the file aside and begin a new one. Raises like open()."""
        self.close()
        self.damage = f"outbox: {why}"
        if self.path is not None:
            aside = self.path.with_name(self.path.name + ".damaged")
            for tail in ("-wal", "-shm", ""):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + tail).replace(aside.with_name(aside.name + tail))
            self.damage += f"; set aside as {aside}"
        log.error("%s", self.damage)
        self._open()

    def take_found(self) -> list[Kept]:
        """What earlier runs left, told once."""
        return [self._found.popleft() for _ in range(len(self._found))]

    def write(self, add: Iterable[Kept], drop: Iterable[str], receipt_utc: float | None) -> None:
        """Add and remove events in one transaction that is on disk when this returns. Raises sqlite3.Error or OSError.

        Without any it still writes, so that it tells whether the disk takes writes.
        """
        if self.db is None:
            self.open()
        assert self.db is not None
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            rows = [(kept.id, kept.boot, kept.seq, kept.critical, kept.since, kept.payload) for kept in add]
            gone = [(id_,) for id_ in drop]
            db.executemany("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.executemany("DELETE FROM event WHERE id = ?", gone)
            if not (rows or gone):
                db.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (self.boot,))
            if receipt_utc is not None:
                db.execute("INSERT OR REPLACE INTO meta VALUES ('receipt_utc', ?)", (receipt_utc,))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file, its log folded in."""
        if self.db is not None:
            with contextlib.suppress(sqlite3.Error):
                self.db.close()
            self.db = None

    def _open(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path or ":memory:", timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -256")  # KiB, as in sessions.py
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise ValueError("fails its integrity check")
            db.executescript(SCHEMA)
            self._identify(db)
            found = db.execute("SELECT id, boot, seq, critical, since, payload FROM event").fetchall()
            kept = [Kept(str(i), int(b), int(s), bool(c), u if u is None else float(u), bytes(p)) for i, b, s, c, u, p in found]
        except BaseException:
            db.close()
            raise
        self._found.extend(kept)
        self.db = db

    def _identify(self, db: sqlite3.Connection) -> None:
        """Take the file's identity and count this opening; a run that already has an identity keeps it."""
        meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
        if self.boot and "install" in meta:
            return  # opened late: this run's ids are out already
        install, boot = str(meta.get("install", self.install)), int(meta.get("boot", 0)) + 1
        if "receipt_utc" in meta:
            self.receipt_utc = float(meta["receipt_utc"])
        boot = max(boot, self.boot)
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [("install", install), ("boot", boot)])
        db.execute("COMMIT")
        self.install, self.boot = install, boot


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, rather than the card full, locked or read-only."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in DAMAGED
