"""Is everything there that the station needs? One row a part, with what to do. Reads, and writes nothing that stays."""

import secrets
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.exc import SQLAlchemyError

from guardian.config import ConfigError
from guardian.station import tables
from guardian.station.accounts import Accounts
from guardian.station.delivery import service
from guardian.station.gate import is_secure, server_options
from guardian.station.line import Line
from guardian.station.settings import LOCAL, Settings
from guardian.station.store import Store

ANSWER_S = 8.0

Outcome = Literal["pass", "fail", "skip"]


class Row(Struct, frozen=True):
    """One line of the table."""

    part: str
    outcome: Outcome
    says: str
    remedy: str = ""


def rows(settings: Settings) -> Iterator[Row]:
    """All checks, one after the other."""
    yield Row("configuration", "pass", f"accepted; own keys belong into {LOCAL}")
    yield page_row(settings)
    yield broker_row(settings)
    try:
        store = Store.opened(settings)
        yield database_row(store)
    except (ConfigError, SQLAlchemyError, OSError) as error:
        yield Row("database", "fail", _why(error), "see station.state_dir, database and database_file; run it as the service's user")
        return
    try:
        yield people_row(store, settings)
        yield from contact_rows(store, settings)
    finally:
        store.close()


def page_row(settings: Settings) -> Row:
    """Where the page is, and whether that is safe."""
    page = settings.page
    try:
        server_options(page)
    except ConfigError as error:
        return Row("page", "fail", str(error), "see docs/station.md, Reaching the page")
    for key, file in (("cert_file", page.cert_file), ("key_file", page.key_file)):
        try:
            if file:
                Path(file).open("rb").close()
        except OSError as error:
            return Row(
                "page", "fail", f"page.{key} = {file!r} cannot be read: {error.strerror}", "the service's user must be able to read it"
            )
    where = f"http{'s' if is_secure(page) else ''}://{page.bind}:{page.port}{' behind a proxy' if page.behind_proxy else ''}"
    with socket.socket(socket.AF_INET6 if ":" in page.bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((page.bind, page.port))
        except OSError as error:
            return Row("page", "skip", f"{where} cannot be opened now: {error.strerror}", "fine if the station is running there")
    return Row("page", "pass", where)


def broker_row(settings: Settings) -> Row:
    """Connect as the station does, under a name of its own, so that a running one is not thrown off; nothing is left at the broker."""
    station = replace(settings.station, name=f"check-{secrets.token_hex(4)}")
    lone = replace(settings, station=station, broker=replace(settings.broker, session_expiry_s=0, share_group=""))
    said = threading.Event()
    where = f"{settings.broker.host}:{settings.broker.port}"
    remedy = "check broker.host, port, protocol, username and certificates, the broker's acl, and that it runs"
    try:
        line = Line(lone, lambda message: None, said.set, lambda: datetime.now(UTC))
    except ConfigError as error:
        return Row("broker", "fail", str(error), remedy)
    try:
        line.start()
        said.wait(ANSWER_S)
        if line.listening_since is None:
            return Row("broker", "fail", line.why if said.is_set() else f"{where}: no answer", remedy)
    finally:
        line.close()
    return Row(
        "broker", "pass", f"{where} lets the station in: MQTT {'5' if lone.broker.protocol == 5 else '3.1.1'}{', TLS' * lone.broker.tls}"
    )


def database_row(store: Store) -> Row:
    """Whether it can be written: a row that is taken back."""
    where = tables.shown(store.engine.url)
    with store.engine.execution_options(writes=True).connect() as connection:
        connection.execute(tables.Attempt.__table__.insert(), {"name": "check", "address": "", "at": datetime.now(UTC)})  # type: ignore[attr-defined]
        connection.rollback()
    return Row("database", "pass", f"{where} can be written")


def people_row(store: Store, settings: Settings) -> Row:
    """Whether anybody can log in, and whether what carers may see exists."""
    people = Accounts(store.engine).people()
    if not people:
        return Row("people", "fail", "nobody can log in yet", "guardian station user add NAME --role admin")
    known = {row.device for row in store.wearers()} | set(settings.wearers)
    strange = sorted({device for person in people for device in person.wearers} - known)
    says = ", ".join(f"{person.name} ({person.role})" for person in people)
    if strange:
        return Row("people", "fail", f"{says}; no such wearer: {', '.join(strange)}", "guardian station user change, or enroll them")
    return Row("people", "pass", says)


def contact_rows(store: Store, settings: Settings) -> Iterator[Row]:
    """Whether each wearer's contacts can be told at all. Sends nothing: that is guardian station test-push."""
    devices = sorted({row.device for row in store.wearers()} | set(settings.wearers))
    alone = [device for device in devices if not settings.wearer(device).contacts]
    if not devices:
        yield Row("wearers", "skip", "none is enrolled", "guardian station enroll NAME")
    elif alone:
        remedy = "give push.contacts, or wearers.ID.contacts"
        yield Row("wearers", "fail", f"nobody is called for {', '.join(alone)}: only an open page would tell", remedy)
    else:
        yield Row("wearers", "pass", ", ".join(f"{device} → {', '.join(settings.wearer(device).contacts)}" for device in devices))
    for name in settings.contacts:
        try:
            known = service(settings.address(name), "critical") is not None
        except ConfigError as error:
            yield Row(f"contact {name}", "fail", str(error), "the service's user must be able to read it")
            continue
        if known:
            yield Row(f"contact {name}", "pass", "Apprise understands the address; guardian station test-push rings it")
        else:
            yield Row(f"contact {name}", "fail", "Apprise does not understand the address", "see the examples in station.toml")


def _why(error: Exception) -> str:
    """In one line. SQLAlchemy's hides parameters; the driver's own words name no password."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
