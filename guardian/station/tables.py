"""The station's tables. Times are UTC-aware in Python and stored as UTC; texts from devices are JSON exactly as they were checked.

An alarm has no row: its id is that of the event that opened it, open is what the last state says, `ack` keeps who said "help is coming".
"""

from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from guardian.config import ConfigError

VERSION = 1  # of these tables
# A PostgreSQL that says nothing any more (a cut cable, a machine that hangs) is an error after so long, not a wait without end: s, s, s,
# count, ms. What the URL says itself stays.
PATIENCE = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}


class Moment(TypeDecorator[datetime]):
    """A UTC-aware datetime; SQLite keeps it without its zone. Raises ValueError for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Into the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone: the station's times are UTC")
        value = value.astimezone(UTC)
        return value if dialect.name != "sqlite" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Out of the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(DeclarativeBase):
    """A table of the station."""

    type_annotation_map: ClassVar = {datetime: Moment, str: String}


Device = String(32)
Key = String(64)
BigKey = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself in an INTEGER key only


class Version(Table):
    """Which tables these are."""

    __tablename__ = "schema_version"
    version: Mapped[int] = mapped_column(primary_key=True)


class Wearer(Table):
    """Somebody who was enrolled. A device that nobody enrolled is heard and shown too, under its id."""

    __tablename__ = "wearer"
    device: Mapped[str] = mapped_column(Device, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    created: Mapped[datetime]


class Last(Table):
    """The last word of a device. The times are the receiver's, of words spoken while it listened: a retained word has no time."""

    __tablename__ = "last"
    device: Mapped[str] = mapped_column(Device, primary_key=True)
    availability: Mapped[str | None] = mapped_column(String(16))  # online, offline
    availability_at: Mapped[datetime | None]
    state_json: Mapped[str | None] = mapped_column(Text)  # a payloads.StatePayload
    state_at: Mapped[datetime | None]
    boot: Mapped[int | None] = mapped_column(BigInteger)
    uptime_s: Mapped[float | None]  # of the state: says which of two states is the newer one, whatever the clocks say
    sw: Mapped[str | None] = mapped_column(Key)
    alarm_id: Mapped[str | None] = mapped_column(Key)  # of the state: the open alarm
    critical_id: Mapped[str | None] = mapped_column(Key)  # the newest critical event: open too if it is newer than the state
    critical_alarm_id: Mapped[str | None] = mapped_column(Key)  # the alarm that it belongs to
    session_at: Mapped[datetime | None]  # when the newest session began


class Trace(Table):
    """A point of the distance trace: one in each slot of time, and one for each other obstacle answer in it."""

    __tablename__ = "trace"
    device: Mapped[str] = mapped_column(Device, primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # at, in whole steps of trace_s
    obstacle: Mapped[str] = mapped_column(String(16), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(String(16))
    distance_m: Mapped[float | None]
    steps: Mapped[int]
    cadence: Mapped[float]  # steps/min
    battery: Mapped[int | None]  # percent
    exercise: Mapped[str] = mapped_column(Device)
    session: Mapped[str | None] = mapped_column(Key)  # id of its session_started event


class Event(Table):
    """Something that happened, once for each id. `at` is when: `t`, or worked out from the uptime, or when it came."""

    __tablename__ = "event"
    __table_args__ = (Index("event_order", "device", "boot", "seq"), Index("event_at", "device", "at"))
    id: Mapped[str] = mapped_column(Key, primary_key=True)
    device: Mapped[str] = mapped_column(Device)
    boot: Mapped[int] = mapped_column(BigInteger)
    seq: Mapped[int] = mapped_column(BigInteger)
    event_type: Mapped[str] = mapped_column(Device)
    severity: Mapped[str] = mapped_column(String(16))
    t: Mapped[datetime | None]  # the device's clock
    uptime_s: Mapped[float]
    exercise: Mapped[str] = mapped_column(Device)
    evidence_json: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(index=True)
    at: Mapped[datetime] = mapped_column(index=True)
    feedback: Mapped[str | None] = mapped_column(String(16))  # false_alarm, helped, injured
    feedback_by: Mapped[str | None] = mapped_column(String(60))
    feedback_at: Mapped[datetime | None]


class Ack(Table):
    """Who said first that help is coming. `by` is a user's name, or "" when the device told of an acknowledgement from elsewhere."""

    __tablename__ = "ack"
    alarm_id: Mapped[str] = mapped_column(Key, primary_key=True)
    device: Mapped[str] = mapped_column(Device, index=True)
    by: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime]
    command_id: Mapped[str | None] = mapped_column(Key)
    heard_at: Mapped[datetime | None]  # when the device said that its wearer has been told


OPEN = text("ended_at IS NULL")  # at most one such episode of a kind and device, whoever comes first


class Episode(Table):
    """A time of silence, or of a device taken off a person who lies: told once when it begins and once when it ends, by one station."""

    __tablename__ = "episode"
    __table_args__ = (Index("episode_open", "device", "kind", unique=True, sqlite_where=OPEN, postgresql_where=OPEN),)
    id: Mapped[str] = mapped_column(String(160), primary_key=True)  # "<kind>:<device>:<since>": the same in every station
    device: Mapped[str] = mapped_column(Device, index=True)
    kind: Mapped[str] = mapped_column(String(16))  # lost, not_worn, blind
    begun_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class PushJob(Table):
    """One message to one contact. Any station may lease it; who marks it sent has sent it. `event_id`: an event's or an episode's id."""

    __tablename__ = "push_job"
    __table_args__ = (
        UniqueConstraint("event_id", "kind", "contact", "step"),
        Index("push_job_due", "sent_at", "due_at"),
    )
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    device: Mapped[str] = mapped_column(Device, index=True)
    event_id: Mapped[str | None] = mapped_column(String(160))
    kind: Mapped[str] = mapped_column(String(16))  # event, over, lost, back, not_worn, blind, seeing
    severity: Mapped[str] = mapped_column(String(16))
    contact: Mapped[str] = mapped_column(Device)
    step: Mapped[int] = mapped_column(default=0)  # which repetition
    due_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    leased_by: Mapped[str | None] = mapped_column(Device)
    sent_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(String(200))


class User(Table):
    """Somebody who may look. `wearers_json`: the device ids that a carer may see; an admin sees all."""

    __tablename__ = "user"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(200))  # argon2
    role: Mapped[str] = mapped_column(String(16))  # admin, carer
    wearers_json: Mapped[str] = mapped_column(Text, default="[]")
    language: Mapped[str | None] = mapped_column(String(8))
    created: Mapped[datetime]


class Login(Table):
    """An open login. The token itself is in the user's cookie only."""

    __tablename__ = "login"
    token_hash: Mapped[str] = mapped_column(Key, primary_key=True)
    user: Mapped[str] = mapped_column(String(60), index=True)
    created: Mapped[datetime]
    last_seen: Mapped[datetime]
    csrf: Mapped[str] = mapped_column(Key)


class Attempt(Table):
    """A failed login, for the rate limit."""

    __tablename__ = "attempt"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True)
    name: Mapped[str] = mapped_column(String(60), index=True)
    address: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime] = mapped_column(index=True)


def opened(url: str, busy_s: float) -> Engine:
    """The database at an SQLAlchemy URL, its tables made if they are new. Raises ConfigError for a URL or a database of another version."""
    try:
        where = make_url(url)
    except ArgumentError as error:
        raise ConfigError("station.database is no SQLAlchemy URL such as sqlite:////var/lib/guardian-station/station.db") from error
    try:
        networked = where.get_backend_name() == "postgresql"
        patience = {key: value for key, value in PATIENCE.items() if networked and key not in where.query}
        engine = create_engine(where, pool_pre_ping=networked, hide_parameters=True, connect_args=patience)
    except (ImportError, ArgumentError) as error:
        raise ConfigError(f"station.database: {shown(where)}: {error}") from error
    if engine.dialect.name == "sqlite":
        _tune(engine, busy_s)
    elif engine.dialect.name != "postgresql":
        raise ConfigError(f"station.database: {shown(where)}: only sqlite and postgresql are supported")
    return engine


def create(engine: Engine) -> None:
    """Make what is missing. Raises ConfigError when the tables are a newer station's."""
    with engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(722001)")  # two stations that start at once
        Table.metadata.create_all(connection)
        found = connection.execute(Version.__table__.select()).scalars().all()
        if not found:
            connection.execute(Version.__table__.insert(), {"version": VERSION})  # type: ignore[attr-defined]
        elif max(found) > VERSION:
            raise ConfigError(
                f"station.database: {shown(engine.url)} has tables of version {max(found)}, this station knows {VERSION}: upgrade guardian"
            )


def shown(url: URL) -> str:
    """A database's URL as it may be shown."""
    return url.render_as_string(hide_password=True)


def _tune(engine: Engine, busy_s: float) -> None:
    """SQLite: readers beside one writer; a transaction that writes waits for its turn at its beginning, and is on disk at its end.

    A `brief` one is not waited for: a power cut may undo it (a kill does not), as with PostgreSQL's synchronous_commit = off.
    """

    @event.listens_for(engine, "connect")
    def _connected(connection: "object", record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3 shall begin nothing by itself
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={int(1000 * busy_s)}", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("writes"):
            connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if options.get('brief') else 'FULL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")
