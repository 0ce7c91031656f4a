"""Who may see and do what: people, their logins, and the brake on guessing.

Theory of operation. Nothing is kept in memory: each question is one to the database, so that several stations answer alike and a person
who is removed, or logged out from elsewhere, is out at the next question. A password is kept as its argon2id hash, a login as the SHA-256
of a random token that only the browser's cookie holds: who reads the database can log in with neither.

An attempt to log in is written down before the password is looked at, and struck out when it was right: guesses in parallel, or at another
station, count too. A name that there is not costs the same time and gets the same answer as a wrong password, and is written down as a
digest only, because people type passwords into the field above. What is typed is never logged.
"""

import hashlib
import hmac
import ipaddress
import logging
import math
import re
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

import msgspec
from argon2 import Parameters, PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.profiles import RFC_9106_LOW_MEMORY
from msgspec import Struct
from sqlalchemy import ColumnElement, Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from guardian.station import tables
from guardian.station.payloads import is_device
from guardian.station.transactions import reads, writes

log = logging.getLogger(__name__)

Role = Literal["admin", "carer"]

NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,59}")
PASSWORD_MIN = 10
PASSWORD_MAX = 256  # characters; longer ones only cost time

# A login ends this long after its last use (an open page uses it: a carer's screen must not fall asleep over an alarm), and after 30 days
# whatever happens: NIST SP 800-63B, 4.1.3, reauthentication at AAL1.
IDLE = timedelta(days=7)
LONGEST = timedelta(days=30)
TOUCH = timedelta(minutes=1)  # how exactly the last use is known

# Failed attempts within the window, until one has aged: of one name from one address; from one address; of one name from anywhere. The
# last is high, so that a stranger cannot easily lock somebody out, and still far below the 100 of NIST SP 800-63B, 5.2.2.
WINDOW = timedelta(minutes=15)
TRIES_HERE, TRIES_ADDRESS, TRIES_NAME = 5, 20, 30


class AccountError(ValueError):
    """An account cannot be made or changed so; the message says why, for the command line."""


class WeakPassword(AccountError):
    """A password breaks a rule; `why` is the rule, for the page's words."""

    def __init__(self, why: Literal["short", "long", "name", "simple"]) -> None:
        self.why = why
        super().__init__(
            {
                "short": f"the password is too short: at least {PASSWORD_MIN} characters",
                "long": f"the password is too long: at most {PASSWORD_MAX} characters",
                "name": "the password contains the user's name: choose another",
                "simple": "the password repeats fewer than four characters: choose another",
            }[why]
        )


class Refused(Exception):
    """No login: "wrong" name or password; or "wait", too many attempts, `wait_s` until the next."""

    def __init__(self, why: Literal["wrong", "wait"], wait_s: int = 0) -> None:
        self.why = why
        self.wait_s = wait_s
        super().__init__(why)


class Forbidden(Exception):
    """Not logged in any more, or another family's wearer."""


class Person(Struct, frozen=True):
    """A user: an admin sees all wearers, a carer the named ones."""

    name: str
    role: Role
    wearers: frozenset[str]  # device ids
    language: str | None

    def may_see(self, device: str) -> bool:
        """Whether this person may see, and act for, the wearer of a device."""
        return self.role == "admin" or device in self.wearers


class Visit(Struct, frozen=True):
    """One login of one person, as of the moment when it was read."""

    login: str  # the token's hash
    person: Person
    csrf: str  # what a form of this login must bring along

    def __repr__(self) -> str:
        return f"Visit({self.person.name!r})"


class Accounts:
    """The people of a station's database. `clock` tells the time (UTC).

    `cost` of a password's hash: RFC 9106, section 4, second recommended option: 3 passes over 64 MiB, 4 lanes; 0.1 s on a desktop.
    """

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime] = lambda: datetime.now(UTC), cost: Parameters = RFC_9106_LOW_MEMORY
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._hasher = PasswordHasher.from_parameters(cost)
        self._one = threading.Lock()  # hash at a time: a flood of logins must not take 64 MiB each

    # --- people

    def people(self) -> list[Person]:
        """All, by name."""
        with reads(self._engine) as session:
            return [_person(row) for row in session.scalars(select(tables.User).order_by(tables.User.name))]

    def person(self, name: str) -> Person:
        """One of them. Raises AccountError."""
        with reads(self._engine) as session:
            return _person(self._known(session, name))

    def check_new(self, name: str, role: Role, wearers: Iterable[str]) -> None:
        """Whether such a user could be added, before anybody thinks of a password. Raises AccountError."""
        _devices(role, wearers)
        if _name(name) in {person.name for person in self.people()}:
            raise AccountError(_taken(_name(name)))

    def add(self, name: str, password: str, role: Role, wearers: Iterable[str] = (), language: str | None = None) -> Person:
        """A new user. Raises AccountError."""
        name, devices = _name(name), _devices(role, wearers)
        check_password(name, password)
        row = tables.User(
            name=name,
            password_hash=self._hash(password),
            role=role,
            wearers_json=msgspec.json.encode(devices).decode(),
            language=language,
            created=self._clock(),
        )
        try:
            with writes(self._engine) as session:
                session.add(row)
                session.flush()
                person = _person(row)
        except IntegrityError as error:
            raise AccountError(_taken(name)) from error
        log.info("user %s added: %s", name, _rights(person))
        return person

    def change(self, name: str, role: Role, wearers: Iterable[str]) -> Person:
        """Another role, other wearers; takes effect at that person's next click. Raises AccountError."""
        devices = _devices(role, wearers)
        with writes(self._engine) as session:
            row = self._known(session, name)
            row.role, row.wearers_json = role, msgspec.json.encode(devices).decode()
            person = _person(row)
        log.info("user %s changed: %s", person.name, _rights(person))
        return person

    def speak(self, name: str, language: str | None) -> None:
        """The language of a person's page; None is the browser's. Raises AccountError."""
        with writes(self._engine) as session:
            self._known(session, name).language = language

    def set_password(self, name: str, password: str) -> None:
        """A new password, by who runs the station; every login of that person ends. Raises AccountError."""
        name = name.strip().lower()
        check_password(name, password)
        kept = self._hash(password)
        with writes(self._engine) as session:
            self._known(session, name).password_hash = kept
            session.execute(delete(tables.Login).where(tables.Login.user == name))
        log.info("user %s: password set, logged out everywhere", name)

    def remove(self, name: str) -> None:
        """A user and every login of theirs. Raises AccountError."""
        with writes(self._engine) as session:
            row = self._known(session, name)
            session.execute(delete(tables.Login).where(tables.Login.user == row.name))
            session.delete(row)
            name = row.name
        log.info("user %s removed", name)

    # --- logins

    def log_in(self, name: str, password: str, address: str) -> tuple[str, Visit]:
        """The token for the cookie, and the visit. Takes long on purpose: call it in a thread. Raises Refused."""
        name, place = name.strip().lower(), _place(address)
        with reads(self._engine) as session:
            row = session.get(tables.User, name) if NAME.fullmatch(name) else None
            known, kept = row is not None, row.password_hash if row is not None else self._nobodys_hash
        key = name if known else f"?{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"
        attempt = self._attempt(key, place)
        right = self._verify(kept, password)
        if not (right and known):
            log.warning("login of %s from %s: refused", key if known else "an unknown user", place)
            raise Refused("wrong")
        fresh = self._hash(password) if self._hasher.check_needs_rehash(kept) else kept
        token, now = secrets.token_urlsafe(32), self._clock()
        login = tables.Login(token_hash=digest(token), user=name, created=now, last_seen=now, csrf=secrets.token_urlsafe(32))
        with writes(self._engine) as session:
            row = session.get(tables.User, name)
            if row is None or row.password_hash != kept:  # removed or changed within this tenth of a second
                raise Refused("wrong")
            row.password_hash = fresh
            session.execute(delete(tables.Attempt).where(tables.Attempt.name == attempt[0], tables.Attempt.address == attempt[1]))
            session.execute(delete(tables.Login).where(_over(now)))
            session.add(login)
            session.flush()
            visit = _visit(login, row)
        log.info("login of %s from %s", name, place)
        return token, visit

    def visit(self, token: str) -> Visit | None:
        """The visit that a cookie's token belongs to; None if it is over, or never was."""
        return self._visit(digest(token)) if token and len(token) <= PASSWORD_MAX else None

    def again(self, visit: Visit) -> Visit | None:
        """The same visit as it is now: rights may have changed; None if it is over."""
        return self._visit(visit.login)

    def require(self, visit: Visit, device: str) -> Person:
        """Who is about to see or do something for the wearer of a device. Ask before every action. Raises Forbidden."""
        now = self.again(visit)
        if now is None or not now.person.may_see(device):
            log.warning("%s: %s refused", visit.person.name, "a login that is over" if now is None else f"another's wearer {device!r:.40}")
            raise Forbidden
        return now.person

    def log_out(self, visit: Visit) -> None:
        """End this login."""
        with writes(self._engine) as session:
            session.execute(delete(tables.Login).where(tables.Login.token_hash == visit.login))
        log.info("%s logged out", visit.person.name)

    def log_out_everywhere(self, name: str) -> None:
        """End every login of a person."""
        with writes(self._engine) as session:
            session.execute(delete(tables.Login).where(tables.Login.user == name))
        log.info("%s logged out everywhere", name)

    def change_password(self, visit: Visit, old: str, new: str, address: str) -> None:
        """By that person; all their other logins end. The old password is guarded like a login. Raises Refused, WeakPassword, Forbidden."""
        name, place = visit.person.name, _place(address)
        with reads(self._engine) as session:
            row = session.get(tables.User, name)
            if row is None:
                raise Forbidden
            kept = row.password_hash
        attempt = self._attempt(name, place)
        if not self._verify(kept, old):
            log.warning("password change of %s from %s: refused", name, place)
            raise Refused("wrong")
        check_password(name, new)
        fresh = self._hash(new)
        with writes(self._engine) as session:
            session.execute(update(tables.User).where(tables.User.name == name).values(password_hash=fresh))
            session.execute(delete(tables.Attempt).where(tables.Attempt.name == attempt[0], tables.Attempt.address == attempt[1]))
            session.execute(delete(tables.Login).where(tables.Login.user == name, tables.Login.token_hash != visit.login))
        log.info("%s changed their password from %s; other logins ended", name, place)

    # --- inside

    @cached_property
    def _nobodys_hash(self) -> str:
        """What an unknown user's password is compared with, for the time that it takes."""
        return self._hash(secrets.token_urlsafe(32))

    def _hash(self, password: str) -> str:
        with self._one:
            return self._hasher.hash(_normal(password))

    def _verify(self, kept: str, password: str) -> bool:
        with self._one:
            try:
                return self._hasher.verify(kept, _normal(password)[:PASSWORD_MAX])
            except (Argon2Error, InvalidHashError):
                return False

    def _known(self, session: Session, name: str) -> tables.User:
        row = session.get(tables.User, name.strip().lower())
        if row is None:
            raise AccountError(f"there is no user {name!r}: see guardian station user list")
        return row

    def _attempt(self, key: str, place: str) -> tuple[str, str]:
        """Write an attempt down. Raises Refused if there were too many."""
        now, row = self._clock(), tables.Attempt
        limits: tuple[tuple[int, tuple[ColumnElement[bool], ...]], ...] = (
            (TRIES_HERE, (row.name == key, row.address == place)),
            (TRIES_ADDRESS, (row.address == place,)),
            (TRIES_NAME, (row.name == key,)),
        )
        with writes(self._engine) as session:
            session.execute(delete(row).where(row.at < now - WINDOW))
            for most, such in limits:
                count, first = session.execute(select(func.count(), func.min(row.at)).where(*such)).one()
                if count >= most:
                    wait_s = max(1, math.ceil((first + WINDOW - now).total_seconds()))
                    break
            else:
                session.add(row(name=key, address=place, at=now))
                return key, place
        log.warning("login of %s from %s: too many attempts, refused for %d s", key if key[0] != "?" else "an unknown user", place, wait_s)
        raise Refused("wait", wait_s)

    def _visit(self, login: str) -> Visit | None:
        now = self._clock()
        with reads(self._engine) as session:
            row = session.get(tables.Login, login)
            user = None if row is None else session.get(tables.User, row.user)
            if row is None or user is None or now - row.last_seen > IDLE or now - row.created > LONGEST:
                return None
            visit, stale = _visit(row, user), now - row.last_seen > TOUCH
        if stale:
            with writes(self._engine) as session:
                session.execute(update(tables.Login).where(tables.Login.token_hash == login).values(last_seen=now))
        return visit


def check_password(name: str, password: str) -> None:
    """The rules. Raises WeakPassword."""
    password = _normal(password)
    if len(password) < PASSWORD_MIN:
        raise WeakPassword("short")
    if len(password) > PASSWORD_MAX:
        raise WeakPassword("long")
    if len(set(password)) < 4:
        raise WeakPassword("simple")
    if len(name) > 2 and name in password.lower():
        raise WeakPassword("name")


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing of them."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def digest(token: str) -> str:
    """How a login's token is stored. It is random and 256 bits long: no slow hash is needed."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _normal(password: str) -> str:
    """The same characters whatever the keyboard (NIST SP 800-63B, 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode(errors="replace").decode()


def _name(name: str) -> str:
    name = name.strip().lower()
    if not NAME.fullmatch(name):
        raise AccountError(f"user name {name!r:.80}: use letters, digits and . _ @ + -, beginning with a letter or digit, at most 60")
    return name


def _taken(name: str) -> str:
    return f"there is a user {name!r} already: guardian station user passwd, change or remove"


def _devices(role: Role, wearers: Iterable[str]) -> list[str]:
    devices = sorted(set(wearers))
    bad = [device for device in devices if not is_device(device)]
    if bad:
        raise AccountError(f"--wearers {bad[0]!r:.80}: a wearer is named by the device's id, as in [wearers.ID] of station.toml")
    if role == "carer" and not devices:
        raise AccountError("a carer sees the wearers named by --wearers: name at least one")
    if role == "admin" and devices:
        raise AccountError("an admin sees all wearers: leave --wearers away, or use --role carer")
    return devices


def _place(address: str) -> str:
    """An address as the brake counts it: one household of IPv6 is a /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _over(now: datetime) -> ColumnElement[bool]:
    return (tables.Login.last_seen < now - IDLE) | (tables.Login.created < now - LONGEST)


def _person(row: tables.User) -> Person:
    wearers = frozenset(msgspec.json.decode(row.wearers_json, type=list[str]))
    return Person(row.name, "admin" if row.role == "admin" else "carer", wearers, row.language)


def _visit(row: tables.Login, user: tables.User) -> Visit:
    return Visit(row.token_hash, _person(user), row.csrf)


def _rights(person: Person) -> str:
    return "admin, sees all wearers" if person.role == "admin" else f"carer of {', '.join(sorted(person.wearers))}"
