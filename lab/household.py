"""People who wear guardians, for pictures and tests of the page: each speaks as a device does, from a table of how they are.

The words are the contract's. One of them may be a whole simulated device instead (guardian.app.Play): this is for the others around it.
"""

import contextlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from guardian.contract import EVENTS, Topics
from guardian.station.accounts import Accounts
from guardian.station.settings import load
from guardian.station.store import Store

PASSWORD = "twelve walks backward"


class Somebody(Struct, frozen=True):
    """How a wearer is. `silent`: spoke once and is not heard any more; `power` "off": switched off properly; None state: never spoke."""

    device: str
    name: str
    state: str | None = "GUARDING"
    exercise: str = "walk"
    session: bool = True
    cadence: float = 0.0
    battery: int | None = 80
    obstacle: str = "CLEAR"
    distance_m: float | None = None
    posture: str = "upright"
    faults: tuple[str, ...] = ()
    power: str = "on"
    silent: bool = False
    alarm: str | None = None  # the event type that opened it
    steps: int = 0


class Household:
    """All of them on one connection, speaking every `beat_s`, from `with` to its end."""

    def __init__(self, port: int, people: Sequence[Somebody], beat_s: float = 4.0) -> None:
        self.people = {one.device: one for one in people}
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self._began = time.monotonic() - 900
        self._beat_s = beat_s
        self._seq = 10
        self._alarms: dict[str, str] = {}
        self._sessions: dict[str, str] = {}
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="household", protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = lambda client, userdata, message: self._hear(message.topic, message.payload)
        self._client.on_connect = lambda client, *_: client.subscribe("guardian/+/command", qos=1) and None
        self._client.max_inflight_messages_set(0)  # nobody waits for another's acknowledgement
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Household":
        for one in self.people.values():
            self._arrive(one)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def becomes(self, **how: Any) -> None:
        """Somebody (device=…) is different from now on."""
        one = msgspec.structs.replace(self.people[how.pop("device")], **how)
        self.people[one.device] = one
        if one.alarm and one.device not in self._alarms:
            self._alarms[one.device] = self.tells(one.device, one.alarm)
        if not one.alarm:
            self._alarms.pop(one.device, None)
        self._say(one)

    def tells(self, device: str, event_type: str, **evidence: Any) -> str:
        """An event; its id."""
        with self._lock:
            self._seq += 1
            id_ = f"{device}-lab-1-{self._seq}"
        payload = {
            "v": 1, "id": id_, "boot": 1, "seq": self._seq, "event_type": event_type, "severity": EVENTS[event_type],
            "t": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "uptime_s": round(time.monotonic() - self._began, 1),
            "exercise": self.people[device].exercise, "evidence": evidence,
        }  # fmt: skip
        self._publish(Topics("guardian", device).event, payload, retain=False)
        return id_

    def _arrive(self, one: Somebody) -> None:
        if one.state is None:
            return
        topics = Topics("guardian", one.device)
        self._client.publish(topics.availability, b"online", qos=1, retain=True)
        if one.session:
            self._sessions[one.device] = self.tells(one.device, "session_started")
        if one.alarm:
            self._alarms[one.device] = self.tells(one.device, one.alarm)
        self._say(one)
        if one.power == "off":
            self._client.publish(topics.availability, b"offline", qos=1, retain=True)

    def _say(self, one: Somebody) -> None:
        self._publish(
            Topics("guardian", one.device).state,
            {
                "v": 1, "state": one.state, "posture": one.posture, "alarm_id": self._alarms.get(one.device),
                "fall": "ON" if one.state == "FALLEN" else "OFF", "obstacle": one.obstacle, "distance_m": one.distance_m,
                "exercise": one.exercise, "session": self._sessions.get(one.device) if one.session else None, "faults": one.faults,
                "battery": one.battery, "steps": one.steps, "cadence": one.cadence, "power": one.power,
                "uptime_s": round(time.monotonic() - self._began, 1), "boot": 1, "sw": "0.1.0",
            },
            retain=True,
        )  # fmt: skip

    def _publish(self, topic: str, payload: dict[str, Any], retain: bool) -> None:
        self._client.publish(topic, msgspec.json.encode(payload), qos=1, retain=retain)

    def _run(self) -> None:
        pause_s = self._beat_s / max(1, len(self.people))  # one after the other, as devices that know nothing of each other
        while not self._over.is_set():
            for device in list(self.people):
                if self._over.wait(pause_s):
                    return
                one = self.people[device]
                if one.state is not None and not one.silent and one.power == "on":
                    self._say(one)

    def _hear(self, topic: str, payload: bytes) -> None:
        device = topic.split("/")[1]
        command = msgspec.json.decode(payload)
        self.commands.append((device, command))
        if command["cmd"] == "ack" and device in self._alarms:
            self.tells(device, "acknowledged", command=command["id"])
        elif command["cmd"] == "clear" and device in self._alarms:
            self.tells(device, "cleared", command=command["id"])
            self.becomes(device=device, state="SETTLING", alarm=None, posture="upright")
        elif command["cmd"] == "exercise":
            self.becomes(device=device, exercise=command["value"])


class Program:
    """`guardian station` as a program of its own, to be killed and started again; its database holds the wearers and the users named."""

    def __init__(self, folder: Path, broker_port: int, names: dict[str, str], users: dict[str, tuple[str, ...]]) -> None:
        self.log = folder / "station.log"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._file = folder / "station.toml"
        self._file.write_text(
            f'[station]\nstate_dir = "{folder}"\n[broker]\nport = {broker_port}\n[page]\nport = {self.port}\n', encoding="utf-8"
        )
        self._process: subprocess.Popen[bytes] | None = None
        store = Store.opened(load(self._file))
        accounts = Accounts(store.engine)
        for device, name in names.items():
            store.add_wearer(device, name, datetime.now(UTC))
        for user, wearers in users.items():  # none: sees all
            accounts.add(user, PASSWORD, "carer" if wearers else "admin", wearers)
        store.close()

    def start(self) -> "Program":
        """Start, and wait until the page answers and the broker is heard."""
        said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "guardian", "station", "--config", str(self._file)]
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/login", timeout=5):
                if b"listening at" in self.log.read_bytes()[said:]:
                    return self
            time.sleep(0.05)
        raise RuntimeError(f"the station does not start: {self.log.read_text(encoding='utf-8', errors='replace')[-3000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
