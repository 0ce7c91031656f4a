"""How one station bears many wearers: real MQTT clients, a real mosquitto, the real station program, an open overview page.

    python -m lab.fleet                         # 50, 100, 200, 500 wearers, a minute each
    python -m lab.fleet --wearers 500 --seconds 300
    python -m lab.fleet --saving changes        # the broker saves after each change, not each second

Each wearer has a connection of its own, says its state every 5 s (all spread over the 5 s), and listens for receipts. Falls come at
20 a minute over the whole fleet, each with an ordinary event beside it; the state says FALLEN until it is cleared 20 s later.

    lost        events never stored, after everything has come to rest; wearers whose last state in the database is not the last one said;
                messages that the broker says it dropped
    receipt     from publishing an event until its receipt is back: it is stored then
    page        from publishing a fall until the open overview is sent the wearer's name among those in need
    GET /       the whole overview asked for anew, once a second
    gap         the longest time for which a wearer's word in the database was not renewed
    cores       processor time of the station, of mosquitto and of the simulated wearers themselves, in cores
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import queue
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from multiprocessing import Queue
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import socketio
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from guardian.contract import Topics
from guardian.station.accounts import Accounts
from guardian.station.settings import load
from guardian.station.store import Store
from lab.durability import Broker

HEARTBEAT_S = 5.0
ALERTS_A_MINUTE = 20.0
CLEAR_AFTER_S = 20.0
SETTLE_S = 20.0
SQUAD = 125
HZ = os.sysconf("SC_CLK_TCK")
NAME, PASSWORD = "keeper", "a fleet of five hundred people"


class Wearer:
    """One device: a connection, a state, and what it still waits for."""

    def __init__(self, port: int, number: int, squad: "Squad") -> None:
        self.device = f"wearer-{number:04d}"
        self.topics = Topics("guardian", self.device)
        self.uptime_s = 0.0
        self._squad = squad
        self.alarm: str | None = None
        self._seq = 0
        self._steps = 0
        self._begun_s = time.monotonic()
        self.ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=self.device, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.will_set(self.topics.availability, b"offline", 1, True)
        self.client.on_connect = lambda *_: self.client.subscribe([(self.topics.receipt, 1), (self.topics.command, 1)]) and None
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._heard
        self.client.connect_async("127.0.0.1", port, keepalive=60)
        self.client.loop_start()

    def says(self) -> None:
        """The state of now."""
        self.uptime_s = round(time.monotonic() - self._begun_s, 1)
        self._steps += 8
        state = {
            "v": 1, "state": "FALLEN" if self.alarm else "GUARDING",
            "posture": "down" if self.alarm else "upright",
            "alarm_id": self.alarm,
            "fall": "ON" if self.alarm else "OFF", "obstacle": "CLEAR", "distance_m": 2.5,
            "exercise": "walk", "session": f"{self.device}-1-0", "faults": [], "battery": 80, "steps": self._steps, "cadence": 96.0,
            "power": "on", "uptime_s": self.uptime_s, "boot": 1, "sw": "fleet",
        }  # fmt: skip
        self.client.publish(self.topics.state, json.dumps(state).encode(), 1, True)

    def falls(self) -> None:
        """An alarm: its state and its event, and an ordinary event beside it."""
        self.alarm = f"{self.device}-1-{self._seq + 1}"
        self.says()
        self._tells("fall", "critical")
        self._tells("obstacle", "warning")

    def recovers(self) -> None:
        """Cleared."""
        if self.alarm:
            self.alarm = None
            self.says()
            self._tells("cleared", "info")

    def _tells(self, event_type: str, severity: str) -> None:
        self._seq += 1
        id_ = f"{self.device}-1-{self._seq}"
        event = {
            "v": 1, "id": id_, "boot": 1, "seq": self._seq, "event_type": event_type, "severity": severity,
            "t": datetime.now(UTC).isoformat(timespec="milliseconds"), "uptime_s": time.monotonic() - self._begun_s,
            "exercise": "walk", "evidence": {"rule": "fleet", "impact_g": 3.1},
        }  # fmt: skip
        self._squad.told[id_] = time.monotonic()
        if event_type == "fall":
            self._squad.fallen.put((self.device, time.monotonic()))
        self.client.publish(self.topics.event, json.dumps(event).encode(), 1)

    def _heard(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        if message.topic == self.topics.receipt:
            self._squad.receipted.setdefault(json.loads(message.payload)["id"], time.monotonic())


class Squad:
    """Some of the wearers, in a process of their own (paho takes three file handles each, and select() no handle above 1023)."""

    def __init__(self, port: int, numbers: range, fallen: "Queue[tuple[str, float]]") -> None:
        self.told: dict[str, float] = {}
        self.receipted: dict[str, float] = {}
        self.fallen = fallen
        self.wearers = [Wearer(port, number, self) for number in numbers]
        for wearer in self.wearers:
            if not wearer.ready.wait(30):
                raise RuntimeError(f"{wearer.device} found no broker")
            wearer.client.publish(wearer.topics.availability, b"online", 1, True)

    def walk(self, seconds: float, alerts_a_minute: float) -> None:
        """Heartbeats spread evenly, falls at random."""
        rng, begun_s = random.Random(self.wearers[0].device), time.monotonic()
        beats = [(begun_s + HEARTBEAT_S * number / len(self.wearers), wearer) for number, wearer in enumerate(self.wearers)]
        fall_s = begun_s + (rng.expovariate(alerts_a_minute / 60) if alerts_a_minute else seconds + 1)
        clears: list[tuple[float, Wearer]] = []
        first, end_s = 0, begun_s + seconds
        while (now_s := time.monotonic()) < end_s:
            due_s, wearer = beats[first]
            if due_s <= now_s:
                wearer.says()
                beats[first] = (due_s + HEARTBEAT_S, wearer)
                first = (first + 1) % len(beats)
                continue
            if fall_s <= now_s:
                fallen = rng.choice([wearer for wearer in self.wearers if wearer.alarm is None])
                fallen.falls()
                clears.append((now_s + CLEAR_AFTER_S, fallen))
                fall_s += rng.expovariate(alerts_a_minute / 60)
            while clears and clears[0][0] <= now_s:
                clears.pop(0)[1].recovers()
            time.sleep(max(0.0, min(due_s, fall_s, now_s + 0.05) - now_s))


def squad(port: int, numbers: range, fallen: "Queue[tuple[str, float]]", orders: Connection) -> None:
    """A squad's process: walks when told to, and says what it saw."""
    made = Squad(port, numbers, fallen)
    orders.send(None)
    while (order := orders.recv()) is not None:
        if order == "saw":
            orders.send((made.told, made.receipted, {wearer.device: wearer.uptime_s for wearer in made.wearers}))
        else:
            made.told.clear()
            made.receipted.clear()
            made.walk(*order)
            orders.send(None)
    os._exit(0)  # two hundred threads need not be joined


class Fleet:
    """All squads."""

    def __init__(self, port: int, count: int) -> None:
        self.told: dict[str, float] = {}
        self.receipted: dict[str, float] = {}
        self.uptimes: dict[str, float] = {}
        self.fallen: dict[str, float] = {}  # device -> when, until the page has shown it
        self.shown: list[float] = []  # s
        self.pids: list[int] = []
        self._queue: Queue[tuple[str, float]] = multiprocessing.Queue()
        self._squads: list[Connection] = []
        for start in range(0, count, SQUAD):
            here, there = multiprocessing.Pipe()
            numbers = range(start, min(count, start + SQUAD))
            process = multiprocessing.Process(target=squad, args=(port, numbers, self._queue, there), daemon=True)
            process.start()
            self.pids.append(process.pid or 0)
            self._squads.append(here)
        for orders in self._squads:
            orders.recv()

    def walk(self, seconds: float, alerts_a_minute: float) -> None:
        """All of them at once."""
        for orders in self._squads:
            orders.send((seconds, alerts_a_minute / len(self._squads)))
        for orders in self._squads:
            orders.recv()

    def ask(self) -> None:
        """What they saw."""
        for orders in self._squads:
            orders.send("saw")
            told, receipted, uptimes = orders.recv()
            self.told.update(told)
            self.receipted.update(receipted)
            self.uptimes.update(uptimes)

    def seen(self, text: str) -> None:
        """What the open page was sent."""
        with contextlib.suppress(queue.Empty):
            while True:
                device, at_s = self._queue.get_nowait()
                self.fallen[device] = at_s
        for device in [device for device in self.fallen if device in text]:
            self.shown.append(time.monotonic() - self.fallen.pop(device))

    def close(self) -> None:
        """Everybody goes home."""
        for orders in self._squads:
            orders.send(None)


class Browser:
    """Logged in; asks for the overview once a second, and keeps one open on its websocket."""

    def __init__(self, url: str, fleet: Fleet) -> None:
        self.url, self.fleet = url, fleet
        self.gets: list[float] = []
        self._jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._jar))
        self._ending = threading.Event()
        self.sent_bytes = 0
        form = urllib.parse.urlencode({"name": NAME, "password": PASSWORD, "to": "/"}).encode()
        self._opener.open(urllib.request.Request(f"{url}/login", form, {"Origin": url}), timeout=30).read()
        page = self._get()
        self._threads = [
            threading.Thread(target=self._ask, daemon=True),
            threading.Thread(target=self._keep_open, args=(page,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _get(self) -> str:
        begun_s = time.monotonic()
        page: str = self._opener.open(self.url, timeout=30).read().decode()
        self.gets.append(time.monotonic() - begun_s)
        return page

    def _ask(self) -> None:
        while not self._ending.wait(1.0):
            self._get()

    def _keep_open(self, page: str) -> None:
        asyncio.run(self._open(page))

    async def _open(self, page: str) -> None:
        found = re.search(r"client_id[\"']?\s*:\s*[\"']([0-9a-f-]+)", page)
        if found is None:
            raise RuntimeError("no page id in the overview")
        client = socketio.AsyncClient(reconnection=False)

        async def heard(event: str, *data: Any) -> None:
            text = json.dumps(data, default=str)
            self.sent_bytes += len(text)
            self.fleet.seen(text)

        client.on("*", heard)
        cookie = "; ".join(f"{one.name}={one.value}" for one in self._jar)
        ids = {"client_id": found[1], "tab_id": "fleet", "document_id": "fleet", "next_message_id": 0}
        query = urllib.parse.urlencode({**ids, "implicit_handshake": "false"})
        await client.connect(
            f"{self.url}?{query}", {"Cookie": cookie, "Origin": self.url}, transports=["websocket"], socketio_path="/_nicegui_ws/socket.io"
        )
        if not await client.call("handshake", {**ids, "old_tab_id": None}):
            raise RuntimeError("the station does not know the page that it has just sent")
        while not self._ending.is_set():
            await asyncio.sleep(0.2)
        await client.disconnect()

    def close(self) -> None:
        """Closed."""
        self._ending.set()
        for thread in self._threads:
            thread.join(10)


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def rss_mb(pid: int) -> float:
    """Its memory, MB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def percentiles(values: list[float]) -> str:
    """Of seconds, in ms."""
    ordered = sorted(values) or [float("nan")]
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return ", ".join(f"{name} {1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.0f} ms" for name, share in shares.items())


class Dropped:
    """What the broker says of itself."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda *_: self._client.subscribe("$SYS/broker/publish/messages/dropped") and None
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _heard(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self.count = int(message.payload)

    def close(self) -> None:
        """Enough."""
        self._client.disconnect()
        self._client.loop_stop()


class Gaps:
    """Looks at the database each second for wearers whose word is old."""

    def __init__(self, store: Store) -> None:
        self.longest_s = 0.0
        self._store = store
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ending.wait(1.0):
            now = datetime.now(UTC)
            ages = [(now - one.last.state_at).total_seconds() for one in self._store.overview() if one.last and one.last.state_at]
            self.longest_s = max([self.longest_s, *ages])

    def close(self) -> None:
        """Enough."""
        self._ending.set()
        self._thread.join(10)


def trial(mosquitto: str, folder: Path, count: int, seconds: float, saving: str) -> None:
    """One fleet for some time; prints what came of it."""
    broker = Broker(mosquitto, folder, "allow_anonymous true\nmax_queued_messages 10000\nset_tcp_nodelay true\nsys_interval 1")
    conf = folder / "mosquitto.conf"
    text = conf.read_text().replace("log_type all", "log_type error")
    conf.write_text(text if saving == "changes" else text.replace("autosave_on_changes true", "autosave_on_changes false"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    keys = {"station.state_dir": str(folder), "broker.port": broker.port, "page.port": port}
    settings = load(None, {"station": {"state_dir": str(folder)}})
    store = Store.opened(settings)
    Accounts(store.engine).add(NAME, PASSWORD, "admin")
    command = [sys.executable, "-m", "guardian", "station", *(word for key, value in keys.items() for word in ("--set", f"{key}={value}"))]
    with ExitStack() as closing:
        broker.start()
        closing.callback(broker.kill)
        log = closing.enter_context((folder / "station.log").open("wb"))
        station = subprocess.Popen(command, stdout=log, stderr=log)
        closing.callback(station.kill)
        wait_for(f"http://127.0.0.1:{port}/login", folder / "station.log")
        measure(broker, station, store, folder, f"http://127.0.0.1:{port}", count, seconds)
        station.send_signal(signal.SIGTERM)
        station.wait(20)
    store.close()


def wait_for(url: str, log: Path) -> None:
    """Until the page is there."""
    deadline_s = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=5).read()
            return
        if time.monotonic() > deadline_s:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)


def measure(broker: Broker, station: "subprocess.Popen[bytes]", store: Store, folder: Path, url: str, count: int, seconds: float) -> None:
    """Walk, and print what came of it."""
    fleet, dropped = Fleet(broker.port, count), Dropped(broker.port)
    fleet.walk(HEARTBEAT_S + 1, 0.0)  # everybody has been heard once
    browser, gaps = Browser(url, fleet), Gaps(store)
    pids = {"station": station.pid, "mosquitto": broker._process.pid if broker._process else 0}
    pids |= {f"squad {number}": pid for number, pid in enumerate(fleet.pids)}
    before, begun_s = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
    fleet.walk(seconds, ALERTS_A_MINUTE)
    took_s = time.monotonic() - begun_s
    cores = {name: (cpu_s(pid) - before[name]) / took_s for name, pid in pids.items()}
    gaps.close()
    end_s = time.monotonic() + SETTLE_S
    fleet.ask()
    while time.monotonic() < end_s and len(fleet.receipted) < len(fleet.told):
        time.sleep(1.0)
        fleet.ask()
    time.sleep(1.0)
    stored = {event.id for event in store.events(limit=1_000_000)}
    lasts = {one.device: one.last.uptime_s for one in store.overview() if one.last}
    states = sum(lasts.get(device) != uptime_s for device, uptime_s in fleet.uptimes.items())
    trips = [fleet.receipted[id_] - at_s for id_, at_s in fleet.told.items() if id_ in fleet.receipted]
    browser.close()
    lost = len(set(fleet.told) - stored)
    walkers = sum(share for name, share in cores.items() if name.startswith("squad"))
    size = sum(file.stat().st_size for file in folder.glob("station.db*")) / 1e6
    print(f"{count:4d} wearers, {took_s:.0f} s: {len(fleet.told)} events, {lost} lost, {len(fleet.told) - len(trips)} without receipt,")
    print(f"      {states} states behind, {dropped.count} messages dropped by the broker, longest gap {gaps.longest_s:.1f} s")
    print(f"      receipt {percentiles(trips)}")
    print(f"      page    {percentiles(fleet.shown)} ({len(fleet.shown)} falls)")
    print(f"      GET /   {percentiles(browser.gets)} ({len(browser.gets)} times)")
    print(f"      cores: station {cores['station']:.2f}, mosquitto {cores['mosquitto']:.2f}, walkers {walkers:.2f}", end="")
    print(
        f" · station {rss_mb(station.pid):.0f} MB, page {browser.sent_bytes / took_s / 1000:.1f} kB/s, database {size:.1f} MB", flush=True
    )
    for line in (folder / "station.log").read_text().splitlines():
        if " INFO " not in f" {line} ":
            print(f"      the station says: {line}")
    fleet.close()
    dropped.close()


def main() -> None:
    """The fleets that were asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wearers", type=int, nargs="+", default=[50, 100, 200, 500])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--saving", choices=("seconds", "changes"), default="seconds", help="when the broker saves what it holds")
    args = parser.parse_args()
    mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    for count in args.wearers:
        with tempfile.TemporaryDirectory() as folder:
            trial(mosquitto, Path(folder), count, args.seconds, args.saving)


if __name__ == "__main__":
    main()
