"""A family for the tests: a wearer, contacts whose phones are lists, a clock moved by hand, and all of a station that calls."""

import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from guardian.station import push
from guardian.station.heard import Batch, HeardAvailability, HeardEvent, HeardState
from guardian.station.jobs import Jobs
from guardian.station.live import Live
from guardian.station.message import Message
from guardian.station.payloads import EventPayload, parse_state
from guardian.station.settings import Settings, load
from guardian.station.store import Store
from guardian.station.watch import Watch

DEVICE = "guardian-01"
START = datetime(2026, 3, 1, 14, 3, tzinfo=UTC)
CONTACTS = {"keeper": {"url": "json://keeper", "language": "de"}, "nurse": {"url": "json://nurse"}, "office": {"url": "json://office"}}
STATE = {
    "v": 1, "state": "GUARDING", "posture": "upright", "alarm_id": None, "fall": "OFF", "obstacle": "CLEAR", "distance_m": 2.5,
    "exercise": "walk", "session": "x-1-1", "faults": [], "battery": 80, "steps": 10, "cadence": 60.0, "power": "on", "uptime_s": 100.0,
    "boot": 1, "sw": "test",
}  # fmt: skip


class Phones:
    """What reached whom. A contact in `dead` does not answer; one in `slow` takes until let_go()."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Message]] = []
        self.dead: set[str] = set()
        self.slow: set[str] = set()
        self.go = threading.Event()

    def deliver(self, address: str, message: Message) -> str:
        contact = address.removeprefix("json://")
        if contact in self.slow:
            self.go.wait(20)
        if contact in self.dead:
            return "no answer"
        self.got.append((contact, message))
        return ""

    def taken(self) -> list[tuple[str, str]]:
        """(contact, title) of what has come since the last call."""
        got, self.got = self.got, []
        return [(contact, message.title) for contact, message in got]


class House:
    """One station, or one of several on the same database."""

    def __init__(self, database: str, name: str = "one", phones: Phones | None = None, **settings: Any) -> None:
        overrides = {
            "station": {"name": name, "database": database},
            "wearers": {DEVICE: {"name": "Grandma", "contacts": ["keeper", "nurse"]}},
            "contacts": CONTACTS,
            "push": {"patience_s": 0.05, "poll_s": 0.02},
        }
        self.settings: Settings = load(None, {**overrides, **settings})
        self.store = Store.opened(self.settings)
        self.jobs = Jobs(self.store.engine)
        self.time = START
        self.seq = 0
        self.uptime_s = 100.0
        self.phones = phones or Phones()
        self.sender = push.Sender(self.settings, self.store, self.clock, self.phones.deliver)
        self.live = Live(self.store, self.settings, self.clock)
        self.live.heard(START, "")
        self.watch = Watch(self.settings, self.store, lambda: self.live.now, self.clock, self.sender.wake)

    def clock(self) -> datetime:
        return self.time

    def later(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    # --- what the device says

    def tells(self, event_type: str, seq: int | None = None, device: str = DEVICE, clock_set: bool = True, **evidence: Any) -> str:
        """An event of the device, stored with its jobs."""
        self.seq += 1
        seq = seq or self.seq
        event = EventPayload(1, f"x-1-{seq}", 1, seq, event_type, "info", self.time if clock_set else None, self.uptime_s, "walk", evidence)
        jobs_for = partial(push.jobs_for, self.settings)
        self.store.write(Batch([HeardEvent(device, event, self.time)]), jobs_for, self.time)
        return event.id

    def says(self, device: str = DEVICE, **state: Any) -> None:
        """A state of the device."""
        self.uptime_s += 1.0
        payload = msgspec.json.encode({**STATE, "uptime_s": self.uptime_s, **state})
        heard = HeardState(device, parse_state(payload), payload.decode(), self.time)
        self.store.write(Batch(states={device: heard}), partial(push.jobs_for, self.settings), self.time)

    def is_online(self, online: bool, device: str = DEVICE) -> None:
        """The broker's word about the device."""
        heard = HeardAvailability(device, "online" if online else "offline", self.time)
        self.store.write(Batch(availabilities={device: heard}), partial(push.jobs_for, self.settings), self.time)

    # --- what the station does

    def sends(self, until: int = 0) -> list[tuple[str, str]]:
        """Send all that is due now, until so many messages are still under way; what reached whom."""
        wait, limit = threading.Event(), 2000
        while self.sender.turn() > until:
            limit -= 1
            assert limit, "messages do not end"
            wait.wait(0.005)
        return sorted(self.phones.taken())

    def looks(self) -> list[tuple[str, str]]:
        """One look at everybody, and what reached whom by it."""
        self.live.refresh()
        self.watch.look()
        return self.sends()

    def body(self) -> str:
        """The text of the newest message."""
        return self.phones.got[-1][1].body


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'station.db'}"


def contacts(told: Iterable[tuple[str, str]]) -> list[str]:
    return [contact for contact, _ in told]
