"""One browser's page: who looks, in which language, and what is to be kept fresh on it."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from msgspec import Struct
from nicegui import Client
from sqlalchemy.exc import SQLAlchemyError

from guardian.station import words
from guardian.station.accounts import Accounts, Forbidden, Person, Visit
from guardian.station.command import Command, Sent
from guardian.station.live import Live, Picture
from guardian.station.pages.tags import told
from guardian.station.settings import Settings
from guardian.station.store import Store
from guardian.station.words import Language

log = logging.getLogger(__name__)

R = TypeVar("R")


class Parts(Struct, frozen=True):
    """What the pages are made of."""

    store: Store
    live: Live
    command: Command
    accounts: Accounts
    settings: Settings
    clock: Callable[[], datetime]


class Viewer:
    """Made with the page, gone with it. What is shown is filtered by `person`; before anything is done, the accounts are asked again."""

    def __init__(self, parts: Parts, client: Client, visit: Visit, accept_language: str) -> None:
        self.parts = parts
        self.client = client
        self.visit = visit
        self.language: Language = words.language_of(visit.person.language, accept_language)
        self.refresh: Callable[[], None] = lambda: None  # of the page within the page; see show()
        self.around: Callable[[], None] = lambda: None  # of what is around it
        self.looking: set[tuple[str, str]] = set()  # (device, status) that this person has seen and nobody can acknowledge
        self.urgent: dict[str, int] = {}  # device -> urgency at the last beat
        self.chimes = 0  # how often somebody has become more urgent

    @property
    def person(self) -> Person:
        """Who looks, as last read."""
        return self.visit.person

    @property
    def now(self) -> datetime:
        """The time by which things are old."""
        return self.parts.clock()

    def say(self, key: str, **values: object) -> str:
        """A text in this viewer's language."""
        return words.say(key, self.language, **values)

    def ago(self, since: datetime | None) -> str:
        """How long ago, in words; that nobody knows is an answer."""
        return self.say("time.unknown") if since is None else words.ago((self.now - since).total_seconds(), self.language)

    def at(self, when: datetime) -> str:
        """A moment, in words."""
        return words.at(when, self.language)

    def pictures(self) -> list[Picture]:
        """Of all that this person may see, the most urgent first."""
        return [picture for picture in self.parts.live.now.pictures if self.person.may_see(picture.device)]

    def picture(self, device: str) -> Picture | None:
        """Of one wearer; None where there is none, or not for these eyes."""
        return self.parts.live.now.by_device.get(device) if self.person.may_see(device) else None

    def names(self) -> dict[str, str]:
        """device -> name, of all that this person may see, by name."""
        return {one.device: one.name for one in sorted(self.pictures(), key=lambda one: one.name.casefold())}

    async def read(self, ask: Callable[[], R]) -> R | None:
        """Ask the database in a thread; None when it cannot be read, which the banner says."""
        try:
            return await asyncio.to_thread(ask)
        except SQLAlchemyError:
            log.exception("a page could not read the database")
            return None

    async def write(self, device: str, keep: Callable[[], R]) -> R | None:
        """Keep something about a wearer, if this person may; None when it was not kept, which the person is told."""
        if not await self.allowed(device):
            return None
        try:
            return await asyncio.to_thread(keep)
        except SQLAlchemyError:
            log.exception("a page could not write the database")
            told(self.say("command.not_kept"), bad=True)
            return None

    async def command(self, device: str, ask: Callable[[], Sent]) -> bool:
        """Say something to a device, if this person may, and tell them what became of it."""
        if not await self.allowed(device):
            return False
        sent = await asyncio.to_thread(ask)
        if sent.trouble:
            log.warning("a command of %s to %s: %s", self.person.name, device, sent.trouble)
        if not sent.stored:
            told(self.say("command.not_kept"), bad=True)
        told(self.say("command.failed") if sent.trouble else self.say("command.sent"), bad=bool(sent.trouble))
        return not sent.trouble

    async def allowed(self, device: str) -> bool:
        """Whether this person may act for this wearer, as of now; else they are told."""
        try:
            person = await asyncio.to_thread(self.parts.accounts.require, self.visit, device)
        except Forbidden:
            told(self.say("command.refused"), bad=True)
            return False
        except SQLAlchemyError:
            log.exception("whether somebody may act could not be read")
            told(self.say("command.failed"), bad=True)
            return False
        self.visit = Visit(self.visit.login, person, self.visit.csrf)
        return True

    async def again(self) -> bool:
        """Read the visit again: rights may have changed. False when it is over."""
        try:
            visit = await asyncio.to_thread(self.parts.accounts.again, self.visit)
        except SQLAlchemyError:
            return True  # the gate and the banner see to that
        if visit is not None:
            self.visit = visit
        return visit is not None
