"""station.toml as types: the broker, the page, the wearers and whom to call.

The shipped station.toml is complete; a file of one's own (by default /etc/guardian/station.toml) holds only what differs and is laid over
it. Unknown keys and values out of bounds are refused: ConfigError names file and key. What may hold a secret is never in a repr.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from guardian.config import ConfigError, Name, Seconds, layered
from guardian.contract import Severity

SHIPPED = Path(__file__).with_name("station.toml")
LOCAL = Path("/etc/guardian/station.toml")
SECRET = frozenset({"url", "database"})  # fields that may hold a password

Port = Annotated[int, Meta(ge=1, le=65535)]
Language = Literal["en", "de"]
Person = Annotated[str, Meta(min_length=1, max_length=60)]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of station.toml. Its repr leaves out what may be secret."""

    def __repr__(self) -> str:
        shown = (f"{key}={'…' if key in SECRET else repr(getattr(self, key))}" for key in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(shown)})"


class Station(Section, frozen=True, kw_only=True):
    name: Name
    state_dir: Annotated[str, Meta(min_length=1)]
    database: str
    database_file: str
    keep_days: Annotated[float, Meta(ge=1, le=3650)]
    prune_s: Annotated[float, Meta(ge=1, le=86400)]
    busy_s: Annotated[float, Meta(ge=0.1, le=60)]


class Broker(Section, frozen=True, kw_only=True):
    host: Annotated[str, Meta(min_length=1)]
    port: Port
    protocol: Literal[5, 311]
    root: Name
    keepalive_s: Annotated[int, Meta(ge=5, le=120)]
    username: str
    password_file: str
    tls: bool
    ca_file: str
    cert_file: str
    key_file: str
    share_group: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{0,32}\Z")]
    session_expiry_s: Annotated[int, Meta(ge=0, le=2592000)]
    inflight_max: Annotated[int, Meta(ge=1, le=65535)]


class Intake(Section, frozen=True, kw_only=True):
    batch_max: Annotated[int, Meta(ge=1, le=1000)]
    waiting_max: Annotated[int, Meta(ge=100, le=1000000)]
    flush_s: Annotated[float, Meta(ge=0.01, le=5)]
    retry_s: Annotated[float, Meta(ge=0.05, le=60)]
    step_aside_s: Seconds
    trace_s: Annotated[float, Meta(ge=1, le=3600)]
    trace_idle_s: Annotated[float, Meta(ge=1, le=3600)]
    wearers_max: Annotated[int, Meta(ge=1, le=100000)]


class Page(Section, frozen=True, kw_only=True):
    bind: Annotated[str, Meta(min_length=1)]
    port: Annotated[int, Meta(ge=0, le=65535)]
    cert_file: str
    key_file: str
    behind_proxy: bool
    address: Annotated[str, Meta(max_length=200)]
    refresh_s: Annotated[float, Meta(ge=0.05, le=10)]


class Watch(Section, frozen=True, kw_only=True):
    stale_s: Seconds
    lost_after_s: Seconds
    not_worn_s: Seconds
    low_battery: Annotated[int, Meta(ge=0, le=100)]


class Push(Section, frozen=True, kw_only=True):
    lease_s: Seconds
    patience_s: Seconds
    hung_s: Seconds
    poll_s: Seconds
    retry_s: Seconds
    retry_last_s: Seconds
    tries_max: Annotated[int, Meta(ge=1, le=10000)]
    severities: tuple[Severity, ...]
    repeat_s: Seconds
    escalate_s: Seconds
    contacts: tuple[Name, ...]


class Wearer(Section, frozen=True, kw_only=True):
    """A row of [wearers]; what is absent comes from [watch] and [push]. Read it through Settings.wearer."""

    name: Person | None = None
    contacts: tuple[Name, ...] | None = None
    lost_after_s: Seconds | None = None


class Contact(Section, frozen=True, kw_only=True):
    """A row of [contacts]; what is absent comes from [push]. Read it through Settings.contact."""

    url: str = ""
    url_file: str = ""
    severities: tuple[Severity, ...] | None = None
    repeat_s: Seconds | None = None
    escalate_s: Seconds | None = None
    language: Language = "en"


class WearerPlan(Struct, frozen=True):
    """How one wearer is watched, everything filled in. `name` None: the database's, else the device's id."""

    device: str
    name: str | None
    contacts: tuple[str, ...]
    lost_after_s: float


class ContactPlan(Struct, frozen=True):
    """How one contact is told, everything filled in; the address is apart: Settings.address."""

    name: str
    severities: tuple[Severity, ...]
    repeat_s: float
    escalate_s: float
    language: Language


class Settings(Section, frozen=True, kw_only=True):
    """All of station.toml."""

    station: Station
    broker: Broker
    intake: Intake
    page: Page
    watch: Watch
    push: Push
    wearers: dict[Name, Wearer]
    contacts: dict[Name, Contact]

    def wearer(self, device: str) -> WearerPlan:
        """How this device's wearer is watched; one that station.toml does not name is watched too."""
        row = self.wearers.get(device, Wearer())
        return WearerPlan(
            device,
            row.name,
            self.push.contacts if row.contacts is None else row.contacts,
            self.watch.lost_after_s if row.lost_after_s is None else row.lost_after_s,
        )

    def contact(self, name: str) -> ContactPlan:
        """How this contact is told. Raises KeyError where there is none of that name."""
        row = self.contacts[name]
        return ContactPlan(
            name,
            self.push.severities if row.severities is None else row.severities,
            self.push.repeat_s if row.repeat_s is None else row.repeat_s,
            self.push.escalate_s if row.escalate_s is None else row.escalate_s,
            row.language,
        )

    def address(self, name: str) -> str:
        """The Apprise address of a contact: secret, never to be logged. Raises ConfigError when its file cannot be read."""
        row = self.contacts[name]
        return read_word(row.url_file, f"contacts.{name}.url_file") if row.url_file else row.url

    def database_url(self) -> str:
        """Where the history is kept: may hold a password. Raises ConfigError when its file cannot be read."""
        if self.station.database_file:
            return read_word(self.station.database_file, "station.database_file")
        return self.station.database or f"sqlite:///{Path(self.station.state_dir) / 'station.db'}"


def load(local: Path | None = LOCAL, overrides: dict[str, Any] | None = None) -> Settings:
    """The shipped station.toml with `local` and then `overrides` laid over it; see guardian.config.layered. Raises ConfigError."""
    return layered(Settings, SHIPPED, local, overrides, _check)


def read_word(file: str, key: str) -> str:
    """A secret kept in a file of its own. Raises ConfigError naming key and file."""
    try:
        word = Path(file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key} = {file!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not word:
        raise ConfigError(f"{key} = {file!r} is empty")
    return word


def _check(settings: Settings, source: str) -> None:
    """What no single key's bound can say."""
    _check_people(settings, source)
    broker, page, station = settings.broker, settings.page, settings.station
    if broker.share_group and broker.protocol != 5:
        raise ConfigError(f"{source}: broker.share_group needs protocol = 5: MQTT 3.1.1 has no shared subscriptions")
    if bool(broker.password_file) and not broker.username:
        raise ConfigError(f"{source}: broker.password_file is set, but broker.username is empty")
    if not broker.tls and (broker.ca_file or broker.cert_file or broker.key_file):
        raise ConfigError(f"{source}: broker.ca_file, cert_file or key_file is set, but broker.tls is false: nothing would be encrypted")
    for key, cert, secret in (("broker", broker.cert_file, broker.key_file), ("page", page.cert_file, page.key_file)):
        if bool(cert) != bool(secret):
            raise ConfigError(f"{source}: {key}.cert_file and {key}.key_file belong together: set both or neither")
    if station.database and station.database_file:
        raise ConfigError(f"{source}: station.database and station.database_file are both set: keep one")
    if settings.push.patience_s >= settings.push.lease_s:
        raise ConfigError(f"{source}: push.patience_s must be below push.lease_s, or another station sends what is still being sent")
    if settings.watch.stale_s > settings.watch.lost_after_s:
        raise ConfigError(f"{source}: watch.stale_s must not exceed watch.lost_after_s")


def _check_people(settings: Settings, source: str) -> None:
    lists = {f"wearers.{device}.contacts": row.contacts or () for device, row in settings.wearers.items()}
    for key, names in {**lists, "push.contacts": settings.push.contacts}.items():
        for name in names:
            if name not in settings.contacts:
                raise ConfigError(f"{source}: {key} names {name!r}, but there is no [contacts.{name}]")
    for name, contact in settings.contacts.items():
        if bool(contact.url) == bool(contact.url_file):
            raise ConfigError(f"{source}: contacts.{name} needs either url or url_file")
