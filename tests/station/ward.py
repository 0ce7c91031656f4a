"""A ward for the station's tests: a real broker, the station's own intake, and devices that say what a device says."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from guardian import contract
from guardian.contract import Topics
from guardian.station import settings as station_settings
from guardian.station.intake import Intake
from guardian.station.jobs import Jobs
from guardian.station.live import Live, Picture
from guardian.station.settings import Settings
from guardian.station.store import Store
from guardian.station.tables import Event, PushJob

LIMIT_S = 20.0


def soon(so: Callable[[], Any], what: str = "", limit_s: float = LIMIT_S) -> Any:
    """Wait until it is so, and give what it gave; fail at the limit."""
    end_s = time.monotonic() + limit_s
    pause = threading.Event()
    while not (found := so()):
        assert time.monotonic() < end_s, f"not within {limit_s:g} s: {what}"
        pause.wait(0.01)
    return found


def settings(folder: Path, port: int = 1883, **sections: dict[str, Any]) -> Settings:
    """The shipped station.toml, in a folder of its own, at a broker on this machine. `station={"name": …}` and so on change more."""
    moved = {"station": {"state_dir": str(folder)}, "broker": {"port": port}, "intake": {"retry_s": 0.1, "flush_s": 0.05}}
    for name, section in sections.items():
        moved[name] = {**moved.get(name, {}), **section}
    return station_settings.load(local=None, overrides=moved)


class Clock:
    """The wall clock, moved by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def one_job(device: str, event: Event, now: datetime) -> list[PushJob]:
    """A push job for each critical event."""
    told = {"device": device, "event_id": event.id, "kind": "event", "severity": event.severity, "contact": "keeper", "due_at": now}
    return [PushJob(**told)] if event.severity == "critical" else []


class Ward:
    """A station without its page."""

    def __init__(self, settings: Settings, jobs_for: Any = one_job, clock: Callable[[], datetime] | None = None) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self.store = Store.opened(settings)
        self.jobs = Jobs(self.store.engine)
        self.live = Live(self.store, settings, self.clock)
        self.intake = Intake(settings, self.store, self.live, jobs_for, self.clock)

    def start(self) -> "Ward":
        self.live.start()
        self.intake.start()
        soon(lambda: self.intake.line.listening_since, f"listening: {self.intake.line.why}")
        return self

    def sees(self, device: str, so: Callable[[Picture], Any], limit_s: float = LIMIT_S) -> Picture:
        """Wait until the picture of a device is so."""

        def look() -> Picture | None:
            one = self.live.now.by_device.get(device)
            return one if one is not None and so(one) else None

        found = soon(look, f"{device}: {self.live.now.by_device.get(device)}", limit_s)
        assert isinstance(found, Picture)
        return found

    def ids(self) -> list[str]:
        return [event.id for event in self.store.events(limit=10_000)]

    def close(self) -> None:
        self.intake.close()
        self.live.close()
        self.store.close()


def state(**changed: Any) -> dict[str, Any]:
    """A state as a guarded walker's device says it."""
    return {
        "v": 1, "state": "GUARDING", "posture": "upright", "alarm_id": None, "fall": "OFF", "obstacle": "CLEAR", "distance_m": 3.2,
        "exercise": "walk", "session": "a-1-1", "faults": [], "battery": 80, "steps": 12, "cadence": 96.0, "power": "on",
        "uptime_s": 10.0, "boot": 1, "sw": "0.1.0", **changed,
    }  # fmt: skip


def event(seq: int, event_type: str = "fall", **changed: Any) -> dict[str, Any]:
    """An event as a device tells it."""
    boot, install = changed.get("boot", 1), changed.pop("install", "a")
    return {
        "v": 1, "id": f"{install}-{boot}-{seq}", "boot": boot, "seq": seq, "event_type": event_type,
        "severity": contract.EVENTS.get(event_type, "info"),
        "t": None, "uptime_s": float(seq), "exercise": "walk", "evidence": {}, **changed,
    }  # fmt: skip


class Device:
    """A device's end: says what it is told to, and keeps the receipts and commands that it hears."""

    def __init__(self, port: int, device: str = "guardian-01", protocol: int = 5) -> None:
        self.topics = Topics("guardian", device)
        self.receipts: list[str] = []
        self.commands: list[dict[str, Any]] = []
        self.refused: list[int] = []
        kind = MQTTProtocolVersion.MQTTv5 if protocol == 5 else MQTTProtocolVersion.MQTTv311
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=kind)
        self.client.max_inflight_messages_set(0)
        self.client.will_set(self.topics.availability, b"offline", 1, True)
        self.ready = threading.Event()
        leaves = [(self.topics.receipt, 1), (self.topics.command, 1)]
        self.client.on_connect = lambda *_: self.client.subscribe(leaves) and None
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_publish = lambda _c, _u, _m, reason, _p: self.refused.append(reason.value) if reason.value >= 0x80 else None
        self.client.on_message = self._heard
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port, keepalive=5)
        self.client.loop_start()
        assert self.ready.wait(LIMIT_S)

    def _heard(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        told = msgspec.json.decode(message.payload)
        if message.topic == self.topics.receipt:
            self.receipts.append(told["id"])
        else:
            self.commands.append(told)

    def online(self) -> None:
        self.client.publish(self.topics.availability, b"online", 1, True)

    def says(self, **changed: Any) -> None:
        self.client.publish(self.topics.state, msgspec.json.encode(state(**changed)), 1, True)

    def tells(self, seq: int, event_type: str = "fall", **changed: Any) -> str:
        told = event(seq, event_type, **changed)
        self.client.publish(self.topics.event, msgspec.json.encode(told), 1)
        return str(told["id"])

    def raw(self, leaf: str, payload: bytes, retain: bool = False) -> None:
        self.client.publish(f"{self.topics.root}/{self.topics.device}/{leaf}", payload, 1, retain)

    def vanish(self) -> None:
        """The Wi-Fi is gone: no good-bye, and the broker says the last will."""
        sock: Any = self.client.socket()
        self.client.on_disconnect = lambda *_: None
        self.client.reconnect_delay_set(1000, 1000)
        sock.shutdown(2)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
