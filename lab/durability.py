"""How many alerts are lost when device and broker are killed: the device's own outbox, link and mqtt, a real mosquitto, a real subscriber.

    python -m lab.durability                        # 1,000 alerts, 20 broker and 50 device kills, MQTT 5, receipts
    python -m lab.durability --protocol 311
    python -m lab.durability --no-receipts          # what a subscriber without receipts can expect
    python -m lab.durability --beside-plain         # the same kills done to plain paho too: publish(qos=1) and its own queue

A device process raises alerts at random times and is SIGKILLed at random instants, starting up included; so is the broker. An alert counts
as raised from when the outbox said that it is on disk: only then does the device append its id to a log (O_APPEND, fsync). The
subscriber keeps a persistent session and, with receipts, answers each event after it has stored it. The first receipt comes before
the first kill, as it does in use: before any receipt, a PUBACK is all that a device can go by. Ordinary events run beside the alerts and
are counted too; they leave the outbox on a PUBACK, receipts or not. Needs mosquitto.

Plain paho is what its documentation shows for a program that must not block: connect_async, loop_start, publish(qos=1) at each alert, its
own reconnecting and its own queue without a limit. There an alert counts as raised when publish() has returned.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from guardian.config import load
from guardian.frame import Frame
from guardian.hardware import MonotonicClock
from guardian.outputs.link import PahoLink
from guardian.outputs.mqtt import Mqtt
from guardian.outputs.outbox import Outbox
from guardian.outputs.wall import WallClock
from guardian.outputs.writer import ThreadWriter
from guardian.verdict import Event, Gap, Motion, Obstacle, State, Verdict

TICK_NS = 10_000_000
ALERTS = ("fall", "sos", "long_lie")
EVENT_TOPIC, RECEIPT_TOPIC = "guardian/guardian-01/event", "guardian/guardian-01/receipt"


class Outboxed:
    """The device's own outbox, link and mqtt."""

    def __init__(self, folder: Path, port: int, protocol: int) -> None:
        config = load(local=None, overrides={"mqtt": {"host": "127.0.0.1", "port": port, "protocol": protocol}})
        self._writer = ThreadWriter("outbox")
        self._outbox = Outbox(folder / "outbox.sqlite", config.outbox, self._writer, WallClock())
        self._mqtt = Mqtt(config, self._outbox, PahoLink(config), "lab")
        self._install, self.boot = self._outbox.identity()
        self._seq = 0

    def tick(self, at_ns: int) -> None:
        """One tick of the loop."""
        verdict = Verdict(at_ns, State.GUARDING, Obstacle.CLEAR, None, (), Motion(), Gap(), None, None, "walk")
        self._outbox.apply(Frame(at_ns), verdict)
        self._mqtt.apply(Frame(at_ns), verdict)

    def tell(self, event_type: str, at_ns: int) -> str | None:
        """Its id, once it is on disk; None where that failed."""
        self._seq += 1
        event = Event(f"{self._install}-{self.boot}-{self._seq}", self._seq, event_type, at_ns, "walk")
        return event.id if self._outbox.put((event,), at_ns) else None

    def waiting(self) -> bool:
        """Whether something has not arrived."""
        return len(self._outbox) > 0

    def close(self) -> None:
        """The end."""
        self._mqtt.close()
        self._outbox.close()
        self._writer.close()


class Plain:
    """paho alone."""

    def __init__(self, folder: Path, port: int, protocol: int) -> None:
        kind = MQTTProtocolVersion.MQTTv5 if protocol == 5 else MQTTProtocolVersion.MQTTv311
        with (folder / "boots").open("ab") as boots:  # a byte for each: no kill leaves half a number
            boots.write(b".")
            self.boot = boots.tell()
        self._seq = 0
        self._answered = 0  # counted in paho's thread
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="plain", protocol=kind)
        self._client.on_publish = self._on_publish
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def tick(self, at_ns: int) -> None:
        """paho has a thread of its own."""

    def tell(self, event_type: str, at_ns: int) -> str | None:
        """Its id, once paho has it."""
        self._seq += 1
        id_ = f"plain-{self.boot}-{self._seq}"
        severity = "critical" if event_type in ALERTS else "warning"
        payload = json.dumps({"v": 1, "id": id_, "boot": self.boot, "seq": self._seq, "event_type": event_type, "severity": severity})
        self._client.publish(EVENT_TOPIC, payload, qos=1)  # queued by paho where it is not connected
        return id_

    def waiting(self) -> bool:
        """Whether something has no PUBACK."""
        return self._answered < self._seq

    def close(self) -> None:
        """The end."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_publish(self, *_: Any) -> None:
        self._answered += 1


SENDERS = {"ours": Outboxed, "plain": Plain}


def device(kind: str, folder: Path, port: int, protocol: int, alerts: int, rate_hz: float) -> None:
    """A device's life: raise alerts until the log holds `alerts`, then wait until all have arrived. Ends only so, or by a kill."""
    sender, clock = SENDERS[kind](folder, port, protocol), MonotonicClock()
    log = os.open(folder / "raised", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    raised, rng = count(folder), random.Random(sender.boot)
    next_ns = at_ns = clock.now_ns()
    while raised < alerts or sender.waiting():
        at_ns = max(at_ns + TICK_NS, clock.now_ns())
        clock.wait_until(at_ns)
        sender.tick(at_ns)
        if at_ns < next_ns or raised >= alerts:
            continue
        next_ns = at_ns + int(rng.expovariate(rate_hz) * 1e9)
        for event_type in (rng.choice(ALERTS), "obstacle"):
            id_ = sender.tell(event_type, at_ns)
            if event_type in ALERTS and id_:
                os.write(log, f"{id_}\n".encode())
                os.fsync(log)
                raised += 1
    sender.close()


def count(folder: Path) -> int:
    """Alerts raised so far."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / "raised").read_bytes().count(b"\n")
    return 0


def mosquitto_here() -> str | None:
    """The program's path; None where it is not installed."""
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")


class Broker:
    """A mosquitto on a port of its own; it saves what it holds after each change, at most once a second."""

    def __init__(self, mosquitto: str, folder: Path, lines: str = "allow_anonymous true") -> None:
        self._command = [mosquitto, "-c", str(folder / "mosquitto.conf")]
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log = folder / "mosquitto.log"
        saving = "persistence true\nautosave_on_changes true\nautosave_interval 1"
        place = f"persistence_location {folder}/\nuser root\nlog_dest file {self._log}\nlog_type all"
        (folder / "mosquitto.conf").write_text(f"listener {self.port} 127.0.0.1\n{lines}\n{saving}\n{place}\n")

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError(f"mosquitto does not listen: {self.log()[-2000:]}")

    def log(self) -> str:
        """What it has said."""
        return self._log.read_text() if self._log.exists() else ""

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Subscriber:
    """A caregiver's program: stores each event, and answers with a receipt if it is of that kind."""

    def __init__(self, port: int, protocol: int, receipts: bool, name: str = "station") -> None:
        self.events: list[dict[str, Any]] = []
        self.ready = threading.Event()
        self.arrived = threading.Condition()
        self._receipts = receipts
        v5 = protocol == 5
        kind = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=None if v5 else False, protocol=kind)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda *_: self._client.subscribe(EVENT_TOPIC, qos=1)
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = self._on_message
        options: dict[str, Any] = {}
        if v5:
            options = {"clean_start": False, "properties": Properties(PacketTypes.CONNECT)}  # type: ignore[no-untyped-call]
            options["properties"].SessionExpiryInterval = 3600
        self._client.connect_async("127.0.0.1", port, keepalive=10, **options)
        self._client.loop_start()

    def ids(self) -> Counter[str]:
        """How often each event came."""
        return Counter(str(event["id"]) for event in list(self.events))

    def wait_for(self, ids: set[str], limit_s: float) -> set[str]:
        """Wait until all these have come; what has not within the limit."""
        with self.arrived:
            self.arrived.wait_for(lambda: not ids - set(self.ids()), timeout=limit_s)
        return ids - set(self.ids())

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        event = json.loads(message.payload)
        with self.arrived:
            self.events.append(event)
            self.arrived.notify_all()
        if self._receipts:
            client.publish(RECEIPT_TOPIC, json.dumps({"id": event["id"]}), qos=1)


def start_device(folder: Path, port: int, protocol: int, alerts: int, rate_hz: float, kind: str = "ours") -> subprocess.Popen[bytes]:
    """The device in a process of its own."""
    arguments = [kind, str(folder), str(port), str(protocol), str(alerts), str(rate_hz)]
    with (folder / "device.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lab.durability", "--device", *arguments], stderr=log, cwd=Path(__file__).parent.parent
        )


def trial(
    mosquitto: str,
    folder: Path,
    protocol: int,
    receipts: bool,
    alerts: int,
    broker_kills: int,
    device_kills: int,
    seed: int,
    rate_hz: float,
    kind: str = "ours",
) -> dict[str, float | int]:
    """One whole run; its figures. Kills happen when a random number of alerts has been raised, and a random moment later."""
    rng = random.Random(seed)
    plan = sorted(
        [(rng.uniform(1, alerts), "broker") for _ in range(broker_kills)]
        + [(rng.uniform(1, alerts), "device") for _ in range(device_kills)]
    )
    begun_s = time.monotonic()
    broker = Broker(mosquitto, folder)
    broker.start()
    subscriber = Subscriber(broker.port, protocol, receipts)
    process: subprocess.Popen[bytes] | None = None
    try:
        assert subscriber.ready.wait(10), "the subscriber does not connect"
        process = start_device(folder, broker.port, protocol, alerts, rate_hz, kind)
        with subscriber.arrived:
            assert subscriber.arrived.wait_for(lambda: len(subscriber.events) > 2, timeout=20), "the device does not connect"
        for at, whom in plan:
            while count(folder) < at and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.5))
            if whom == "broker":
                broker.kill()
                time.sleep(rng.uniform(0, 0.5))
                broker.start()
            else:
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start_device(folder, broker.port, protocol, alerts, rate_hz, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=120)
        raised = set((folder / "raised").read_text().split())
        lost = subscriber.wait_for(raised, 20 if receipts else 5)
        came = subscriber.ids()
        ordinary = {str(event["id"]) for event in subscriber.events if event["severity"] != "critical"}
    finally:
        if process is not None:
            process.kill()
            process.wait()
        subscriber.close()
        broker.kill()
    return {
        "raised": len(raised),
        "lost": len(lost),
        "duplicates": sum(came[id_] - 1 for id_ in raised if id_ in came),
        "ordinary_arrived": len(ordinary),
        "device_done": int(process.returncode == 0),
        "seconds": round(time.monotonic() - begun_s, 1),
    }


def main() -> int:
    """The command line."""
    if sys.argv[1:2] == ["--device"]:
        kind, folder, port, protocol, alerts, rate_hz = sys.argv[2:]
        device(kind, Path(folder), int(port), int(protocol), int(alerts), float(rate_hz))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=1000)
    parser.add_argument("--broker-kills", type=int, default=20)
    parser.add_argument("--device-kills", type=int, default=50)
    parser.add_argument("--protocol", type=int, choices=(5, 311), default=5)
    parser.add_argument("--receipts", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--beside-plain", action="store_true")
    parser.add_argument("--rate-hz", type=float, default=20.0, help="alerts a second while the device lives")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    mosquitto = mosquitto_here()
    if mosquitto is None:
        print("mosquitto is not installed (apt install mosquitto)", file=sys.stderr)
        return 2
    results = {}
    for kind in ("ours", "plain") if args.beside_plain else ("ours",):
        receipts = args.receipts and kind == "ours"  # plain paho knows none
        kills = (args.alerts, args.broker_kills, args.device_kills, args.seed, args.rate_hz)
        with tempfile.TemporaryDirectory() as folder:
            results[kind] = trial(mosquitto, Path(folder), args.protocol, receipts, *kills, kind)
        print(
            json.dumps(
                {"protocol": args.protocol, "receipts": receipts, **results[kind]} | ({} if kind == "ours" else {"peer": "plain paho"})
            )
        )
    if args.beside_plain:
        lost = ", ".join(f"{kind} {one['lost']} of {one['raised']}" for kind, one in results.items())
        print(f"alerts lost in {args.device_kills} kills of the device and {args.broker_kills} of the broker: {lost}")
    return 1 if args.receipts and results["ours"]["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
