"""The device's session database: what was trained, second by second, and the plan. One SQLite file, written while worn, read by the report.

Theory of operation. Write-ahead log: a reader takes a snapshot and neither waits for the writing device nor makes it wait, where with a
rollback journal each would lock the other out. synchronous=FULL: a commit is on disk when it returns (one append, one fsync), and a power
cut leaves whole transactions. A reader opens the file read-only; SQLite may then lay an empty -wal and -shm beside it, with the file's own
owner and rights. Where it cannot (a copy on a read-only medium) and no log lies beside the file, nothing of it is missing and it is read as
it is.

Tables: `session`, one row each, in the order in which they began, whatever the clock said (a device without a set clock has no dates);
`timeline`, one row a second, kept together by session; `mark`, what happened in it; `plan`, each exercise's present dose and why. Columns
are STRICT: SQLite itself refuses a text where a number belongs. user_version is VERSION; application_id tells our file from another's.

What cannot be read is named, never left out in silence: rows that make no sense come back as Damage, a torn page as Damage of that session.
"""

import contextlib
import math
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import astuple, fields

FILE = "sessions.db"  # in device.state_dir
VERSION = 1  # of the tables
APPLICATION = 0x67726473  # "grds": in the file's header
BUSY_S = 1.0  # another writer (none is meant to be) is waited for this long
READ_BUSY_S = 5.0  # only a device that recovers its log after a crash makes a reader wait

SCHEMA = """
CREATE TABLE session (
    id TEXT PRIMARY KEY, exercise TEXT NOT NULL, started_utc REAL, ended_utc REAL, reason TEXT, duration_s REAL,
    steps INTEGER NOT NULL, distance_m REAL NOT NULL, cadence REAL, speed_m_s REAL,
    regularity REAL, symmetry REAL, lean_deg REAL, sway_deg REAL,
    stairs INTEGER NOT NULL, lunges_left INTEGER NOT NULL, lunges_right INTEGER NOT NULL, lunge_depth_m REAL,
    unit TEXT, dose REAL, done REAL, sets INTEGER, sets_done INTEGER NOT NULL,
    cautions INTEGER NOT NULL, stops INTEGER NOT NULL, near_falls INTEGER NOT NULL, falls INTEGER NOT NULL
) STRICT;
CREATE TABLE timeline (
    session TEXT NOT NULL, t_s REAL NOT NULL, speed_m_s REAL NOT NULL, cadence REAL NOT NULL, lean_deg REAL, behind_m REAL,
    obstacle TEXT NOT NULL, state TEXT NOT NULL, phase TEXT, PRIMARY KEY (session, t_s)
) STRICT, WITHOUT ROWID;
CREATE TABLE mark (session TEXT NOT NULL, t_s REAL NOT NULL, event_type TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE INDEX mark_session ON mark (session, t_s);
CREATE TABLE plan (exercise TEXT PRIMARY KEY, dose REAL NOT NULL, unit TEXT NOT NULL, changed_utc REAL, why TEXT NOT NULL) STRICT;
"""


class SessionsError(Exception):
    """The session database cannot be used: the message names the file, what is wrong and what to do."""


class Damaged(SessionsError):
    """Not an SQLite file any more, not ours, or its tables are torn. The writer may set it aside and begin anew (see set_aside)."""


class OtherVersion(SessionsError):
    """Written by an older or a newer guardian."""


class Summary(Struct, frozen=True, gc=False):
    """One session, by the names of session_ended's evidence. None: not known, or (unit, dose, done) an exercise without a dose."""

    id: str  # of its session_started event
    exercise: str
    started_utc: float | None = None  # s since 1970; None: the clock was not set
    ended_utc: float | None = None
    reason: str | None = None  # why it ended; None: it never ended properly (power lost), or goes on
    duration_s: float | None = None
    steps: int = 0
    distance_m: float = 0.0  # walked, whichever way: an estimate
    cadence: float | None = None  # steps/min, mean while walking
    speed_m_s: float | None = None  # mean while walking
    regularity: float | None = None  # of steps, 0..1
    symmetry: float | None = None  # 1: both legs alike
    lean_deg: float | None = None  # mean of the trunk's tilt, + forward
    sway_deg: float | None = None  # rms of the trunk's sideward tilt
    stairs: int = 0
    lunges_left: int = 0
    lunges_right: int = 0
    lunge_depth_m: float | None = None  # mean
    unit: str | None = None  # of dose and done: s, m, stairs, reps (of each leg)
    dose: float | None = None  # of one set
    done: float | None = None  # of all sets
    sets: int | None = None  # asked for
    sets_done: int = 0
    cautions: int = 0  # times that the obstacle warning began
    stops: int = 0
    near_falls: int = 0
    falls: int = 0


class Second(Struct, frozen=True, gc=False):
    """One second of a session's timeline."""

    session: str
    t_s: float  # since the session started
    speed_m_s: float
    cadence: float  # steps/min, 0 when not walking
    lean_deg: float | None  # + forward; None: not known
    behind_m: float | None  # tracked distance behind; None: nothing in range, or not known (see obstacle)
    obstacle: str  # verdict.Obstacle
    state: str  # verdict.State
    phase: str | None = None  # verdict.Phase; None: an exercise without a coach


class Mark(Struct, frozen=True, gc=False):
    """Something that happened within a session: an event of the contract, or an obstacle warning that began."""

    session: str
    t_s: float
    event_type: str
    detail: str = ""


class Planned(Struct, frozen=True, gc=False):
    """The dose of one set that the plan now asks of an exercise, and why it is that."""

    exercise: str
    dose: float
    unit: str
    changed_utc: float | None = None
    why: str = ""


class Damage(Struct, frozen=True, gc=False):
    """What could not be read, and of which session ("" where even that is not known)."""

    session: str
    what: str


Database = sqlite3.Connection  # to the file: what open_for_writing and open_for_reading give
R = TypeVar("R", Summary, Second, Mark, Planned)

TABLES: dict[str, type[Struct]] = {"session": Summary, "timeline": Second, "mark": Mark, "plan": Planned}
COLUMNS = {table: tuple(field.name for field in fields(kind)) for table, kind in TABLES.items()}
UNREADABLE = "damaged: a part"
# where a number lies outside this, the row is damaged: least, most. A day is 86,400 s; nobody walks 40 m/s or 400 steps/min.
BOUNDS: dict[str, tuple[float, float]] = {
    "started_utc": (0, 1e11), "ended_utc": (0, 1e11), "changed_utc": (0, 1e11), "duration_s": (0, 864_000), "t_s": (0, 864_000),
    "steps": (0, 1e6), "distance_m": (0, 1e5), "cadence": (0, 400), "speed_m_s": (0, 40), "regularity": (-1, 1.05), "symmetry": (-10, 10),
    "lean_deg": (-180, 180), "sway_deg": (0, 180), "stairs": (0, 1e5), "lunges_left": (0, 1e5), "lunges_right": (0, 1e5),
    "lunge_depth_m": (0, 3), "dose": (0, 1e6), "done": (0, 1e6), "sets": (0, 1e4), "sets_done": (0, 1e4),
    "cautions": (0, 1e5), "stops": (0, 1e5), "near_falls": (0, 1e5), "falls": (0, 1e5), "behind_m": (0, 20),
}  # fmt: skip


# --- the writer's side: one connection, used by one thread at a time


def open_for_writing(path: Path) -> Database:
    """The database at `path`, made (0600: it is health data) if it is not there. Raises Damaged, OtherVersion, SessionsError or OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    db = None
    try:
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        if _is_new(db):
            db.execute("PRAGMA journal_mode = WAL")
            _create(db)
        _check(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -256")  # KiB; 2 MB by default, which fill in a day. The kernel keeps the pages too
        db.execute("PRAGMA secure_delete = ON")  # what is pruned is gone
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise Damaged(f"{path}: fails its integrity check: set it aside; sqlite3 {path} .recover may bring back most of it")
    except BaseException as error:
        if db is not None:
            db.close()
        if isinstance(error, sqlite3.Error):
            raise _told(error, path) from error
        raise
    return db


def write(
    db: Database,
    *,
    summaries: Iterable[Summary] = (),
    seconds: Iterable[Second] = (),
    marks: Iterable[Mark] = (),
    plans: Iterable[Planned] = (),
) -> None:
    """Put all these in one transaction, on disk when this returns. A session, plan or second that is there already is replaced.

    Raises sqlite3.Error; then nothing of it was written (see is_damage).
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        for table, key, rows in (("session", "id", summaries), ("plan", "exercise", plans)):
            rest = ", ".join(f"{column} = excluded.{column}" for column in COLUMNS[table] if column != key)
            db.executemany(f"{_insert(table)} ON CONFLICT ({key}) DO UPDATE SET {rest}", [astuple(row) for row in rows])
        db.executemany(_insert("timeline", "INSERT OR REPLACE"), [astuple(row) for row in seconds])
        db.executemany(_insert("mark"), [astuple(row) for row in marks])
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def prune(db: Database, now_utc: float, days: float) -> int:
    """Forget sessions that began more than `days` ago, and undated ones that lie before such a one; how many. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        (last,) = db.execute("SELECT max(rowid) FROM session WHERE started_utc < ?", (now_utc - 86_400 * days,)).fetchone()
        old = "started_utc < ? OR (started_utc IS NULL AND rowid < ?)"
        gone = db.execute(f"SELECT id FROM session WHERE {old}", (now_utc - 86_400 * days, last or 0)).fetchall()
        for table, column in (("timeline", "session"), ("mark", "session"), ("session", "id")):
            db.executemany(f"DELETE FROM {table} WHERE {column} = ?", gone)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return len(gone)


def forget_seconds(db: Database, most_bytes: float) -> int:
    """Forget the oldest sessions' timelines until what the file holds is at most this; of how many sessions. Raises sqlite3.Error.

    Their rows and marks stay, and so does the newest session's timeline. The file does not shrink: new rows fill the room.
    """
    oldest = "SELECT id FROM session WHERE rowid < (SELECT max(rowid) FROM session) AND id IN (SELECT session FROM timeline) ORDER BY rowid"
    gone = 0
    while _held_bytes(db) > most_bytes and (found := db.execute(f"{oldest} LIMIT 1").fetchone()) is not None:
        db.execute("DELETE FROM timeline WHERE session = ?", found)
        gone += 1
    return gone


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is at fault, rather than the disk or a lock."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, with what lies beside it; its new name. Raises OSError."""
    number, aside = 1, path.with_name(f"{path.name}.damaged")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    for tail in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + tail).replace(aside.with_name(aside.name + tail))
    return aside


# --- the reader's side


def open_for_reading(path: Path) -> Database:
    """A snapshot of the database at `path`, whether or not a device writes to it. Raises Damaged, OtherVersion or SessionsError.

    All that is read through one connection is of one moment. Close it soon: the device's log grows while a snapshot is held.
    """
    if not path.is_file():
        raise SessionsError(f"{path}: there is no such file: the device makes it at its first session; name another with --db")
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise SessionsError(f"{path}: {error.strerror}: it belongs to the device's user; run this as root (sudo)") from error
    logged = path.with_name(f"{path.name}-wal")
    whole = not logged.exists() or logged.stat().st_size == 0
    for how in ("mode=ro", "immutable=1"):
        db = None
        try:
            db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=READ_BUSY_S, isolation_level=None)
            db.execute("BEGIN")
            if _is_new(db):
                raise SessionsError(f"{path}: is empty: the device has not kept any session in it yet")
            _check(db, path)
            return db
        except BaseException as error:
            if db is not None:
                db.close()
            if not isinstance(error, sqlite3.Error):
                raise
            if not (how == "mode=ro" and whole and not is_damage(error)):
                raise _told(error, path) from error
    raise AssertionError("one of the two returns or raises")


def read_sessions(db: Database) -> tuple[list[Summary], list[Damage]]:
    """All sessions in the order in which they began, and what of the table could not be read. Never raises for damage."""
    return _read(db, "session", Summary, "ORDER BY rowid")


def read_seconds(db: Database, session: str) -> tuple[list[Second], list[Damage]]:
    """A session's timeline in order of time, and what of it could not be read. Never raises for damage: reads up to it from both ends."""
    good, bad = _read(db, "timeline", Second, "WHERE session = ? ORDER BY t_s", (session,))
    if bad:
        last_s = good[-1].t_s if good else -1.0
        behind, worse = _read(db, "timeline", Second, "WHERE session = ? AND t_s > ? ORDER BY t_s DESC", (session, last_s))
        good += reversed(behind)
        bad += [one for one in worse if one not in bad and not one.what.startswith(UNREADABLE)]
    return good, bad


def read_marks(db: Database, session: str) -> tuple[list[Mark], list[Damage]]:
    """What happened in a session, in order, and what of it could not be read. Never raises for damage."""
    return _read(db, "mark", Mark, "WHERE session = ? ORDER BY t_s, rowid", (session,))


def last_second(db: Database, session: str) -> float | None:
    """The time of the last row of a session's timeline; None without one. Raises sqlite3.Error."""
    found: float | None = db.execute("SELECT max(t_s) FROM timeline WHERE session = ?", (session,)).fetchone()[0]
    return found


def count_marks(db: Database, event_types: Sequence[str]) -> dict[str, int]:
    """How many marks of these types each session has; those without any are left out. Raises sqlite3.Error."""
    asked = ", ".join("?" * len(event_types))
    return dict(db.execute(f"SELECT session, count(*) FROM mark WHERE event_type IN ({asked}) GROUP BY session", tuple(event_types)))


def read_plans(db: Database) -> tuple[list[Planned], list[Damage]]:
    """The plan of each exercise, by name, and what of it could not be read. Never raises for damage."""
    return _read(db, "plan", Planned, "ORDER BY exercise")


def read_orphans(db: Database) -> tuple[list[str], list[Damage]]:
    """Ids of sessions that have a timeline or marks but no row of their own, and what could not be read. Never raises for damage."""
    ask = "SELECT DISTINCT session FROM timeline UNION SELECT DISTINCT session FROM mark EXCEPT SELECT id FROM session ORDER BY 1"
    try:
        return [name for (name,) in db.execute(ask)], []
    except sqlite3.Error as error:
        return [], [Damage("", f"it cannot be said whether some timeline has no session: {error}")]


# --- both sides'


def _insert(table: str, verb: str = "INSERT") -> str:
    names = COLUMNS[table]
    return f"{verb} INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"


def _held_bytes(db: Database) -> int:
    """What rows and indexes take, without the pages that are free."""
    pages, free, size = (db.execute(f"PRAGMA {ask}").fetchone()[0] for ask in ("page_count", "freelist_count", "page_size"))
    return int((pages - free) * size)


def _is_new(db: Database) -> bool:
    return not any(
        db.execute(ask).fetchone()[0] for ask in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )


def _create(db: Database) -> None:
    """Header and tables in one transaction: a power cut leaves either a new file or a whole one."""
    db.executescript(f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};{SCHEMA}COMMIT;")


def _check(db: Database, path: Path) -> None:
    """That this is our file, of this version, with its tables. Raises Damaged, OtherVersion or sqlite3.Error."""
    (version,), (application,) = db.execute("PRAGMA user_version").fetchone(), db.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION:
        raise Damaged(f"{path}: an SQLite file, but no session database of guardian's: name the right one with --db, or move it away")
    if version != VERSION:
        age, remedy = ("a newer", "upgrade guardian") if version > VERSION else ("an older", "read it with that version, or move it away")
        raise OtherVersion(f"{path}: its tables have version {version}, written by {age} guardian; this one knows {VERSION}: {remedy}")
    for table, columns in COLUMNS.items():
        found = {name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")}
        if missing := [column for column in columns if column not in found]:
            raise Damaged(f"{path}: table {table} lacks {', '.join(missing)}: not written by guardian as it stands; move it away")


def _told(error: sqlite3.Error, path: Path) -> SessionsError:
    """SQLite's complaint with the file's name and a remedy."""
    if is_damage(error):
        return Damaged(f"{path}: {error}: damaged, or no SQLite file; sqlite3 {path} .recover may bring back most of it")
    beside = path.with_name(f"{path.name}-wal")
    remedy = f"copy {beside.name} along with it, into a folder that can be written" if beside.exists() else "run this as root (sudo)"
    return SessionsError(f"{path}: {error}: it cannot be opened; {remedy}")


def _read(db: Database, table: str, kind: type[R], order: str, of: tuple[str | float, ...] = ()) -> tuple[list[R], list[Damage]]:
    """The rows that make sense, and a Damage for each other one and for where reading had to stop."""
    columns = COLUMNS[table]
    good: list[R] = []
    bad: list[Damage] = []
    try:
        for row in db.execute(f"SELECT {', '.join(columns)} FROM {table} {order}", of):
            whose = str(of[0] if of else row[0])
            wrong = [f"{name} {value!r}" for name, value in zip(columns, row, strict=True) if not _plausible(name, value)]
            if wrong:
                bad.append(Damage(whose, f"damaged: a row of its {table} makes no sense: {', '.join(wrong)}"))
            else:
                good.append(kind(*row))
    except sqlite3.Error as error:
        bad.append(Damage(str(of[0]) if of else "", f"{UNREADABLE} of its {table} cannot be read ({error})"))
    return good, bad


def _plausible(column: str, value: Any) -> bool:
    """Whether a number lies in its bounds; texts and unknowns do."""
    if column not in BOUNDS or value is None:
        return True
    least, most = BOUNDS[column]
    return isinstance(value, int | float) and math.isfinite(value) and least <= value <= most
