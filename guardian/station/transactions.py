"""How the tables are read and written: one transaction, committed whole or not at all. On SQLite and on PostgreSQL.

Rows come back detached: they are values to read, and changing one changes nothing. Errors of the database come out as
sqlalchemy.exc.SQLAlchemyError; nothing of a failed transaction is kept.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult, Engine
from sqlalchemy.orm import Session

from guardian.station.tables import Table

IN_MAX = 500  # parameters in one IN (...)

T = TypeVar("T", bound=Table)


@contextmanager
def reads(engine: Engine) -> Iterator[Session]:
    """A transaction that reads."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writes(engine: Engine, brief: bool = False) -> Iterator[Session]:
    """A transaction that writes. A power cut may undo a `brief` one: for leases and marks of push jobs. Then a message is sent twice, and
    none is lost."""
    bound = engine.execution_options(writes=True, brief=brief)
    with Session(bound, expire_on_commit=False) as session, session.begin():
        if brief and engine.dialect.name == "postgresql":  # SQLite: tables.py
            session.connection().exec_driver_sql("SET LOCAL synchronous_commit TO off")
        yield session


def insert(session: Session, table: type[Table]) -> Any:
    """An insert that knows on_conflict_do_…"""
    return (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(table)


def added(session: Session, one: Any, key: Any) -> bool:
    """Insert a row unless it is there; whether it was added. (PostgreSQL's driver counts no rows of an insert.)"""
    return session.execute(one.on_conflict_do_nothing().returning(key)).first() is not None


def count(result: Any) -> int:
    """How many rows were changed or deleted."""
    assert isinstance(result, CursorResult)
    return max(0, int(result.rowcount))


def many(session: Session, table: type[T], key: Any, ids: Collection[str]) -> list[T]:
    """The rows whose key is one of these, however many."""
    wanted = list(ids)
    return [
        row
        for start in range(0, len(wanted), IN_MAX)
        for row in session.scalars(select(table).where(key.in_(wanted[start : start + IN_MAX])))
    ]
