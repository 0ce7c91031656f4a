"""One Home Assistant: its environment, its process, and what it shows through its own REST and WebSocket interfaces.

2024.3.3 is the newest that installs on Python 3.11. What its components need is read from their own manifests; josepy 2 makes every request
answer 500, and without the frontend it starts in recovery mode.
"""

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

VERSION = "2024.3.3"
COMPONENTS = ("mqtt", "frontend", "recorder")
CLIENT = "http://127.0.0.1/"
START_S = 90.0
ANSWER_S = 20.0

States = dict[str, dict[str, Any]]  # entity_id -> state, attributes


def environment(folder: Path) -> Path:
    """A Python with Home Assistant in it, made once. Raises SystemExit where there is no Python 3.11, CalledProcessError from pip."""
    python = folder / "bin" / "python"
    ready = folder / f"ready-{VERSION}"
    if ready.exists():
        return python
    base = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
    if base is None:
        raise SystemExit(f"Home Assistant {VERSION} needs python3.11, and there is none in PATH")
    print(f"installing Home Assistant {VERSION} into {folder} (once, some minutes) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", folder], check=True)
    _pip(python, f"homeassistant=={VERSION}", "josepy<2")
    components = next(folder.glob("lib/python3.11/site-packages/homeassistant/components"))
    _pip(python, *_requirements(components, COMPONENTS))
    ready.touch()
    return python


def _pip(python: Path, *packages: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)


def _requirements(components: Path, names: tuple[str, ...]) -> list[str]:
    """What these components and those they depend on require."""
    known: set[str] = set()
    wanted: list[str] = []
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in known:
            known.add(name)
            manifest = json.loads((components / name / "manifest.json").read_text())
            wanted += manifest.get("requirements", [])
            todo += manifest.get("dependencies", [])
    return wanted


class HomeAssistant:
    """From `with` to its end: running, onboarded, connected to a broker, every change of a state noted."""

    def __init__(self, python: Path, folder: Path, broker_port: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self.changes: list[tuple[float, str, dict[str, Any] | None]] = []  # (monotonic s, entity_id, new state), in order
        self._python = python
        self._folder = folder
        self._broker_port = broker_port
        self._token = ""
        self._news = threading.Condition()
        self._socket: ClientConnection
        self._ids = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> "HomeAssistant":
        self._folder.mkdir()
        port = self.url.rpartition(":")[2]
        (self._folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {port}\nfrontend:\nlogger:\n  default: warning\n"
        )
        hass = self._python.with_name("hass")
        self._process = subprocess.Popen(
            [hass, "--config", self._folder, "--skip-pip"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TZ": "UTC"},
        )
        try:
            self._onboard()
            self._watch()
            self._add_mqtt()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(AttributeError, ConnectionClosed):
            self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # --- what it shows

    def states(self) -> States:
        """All entities as they are now."""
        return {state["entity_id"]: state for state in self._call("GET", "/api/states")}

    def registry(self, platform: str = "mqtt") -> dict[str, dict[str, Any]]:
        """unique_id -> entity registry entry, of one integration."""
        return {entry["unique_id"]: entry for entry in self.ask("config/entity_registry/list") if entry["platform"] == platform}

    def devices(self) -> list[str]:
        """Names of the devices it knows."""
        return [device["name"] for device in self.ask("config/device_registry/list")]

    def presses(self, entity_id: str) -> None:
        """Somebody presses a button on its page."""
        self._call("POST", "/api/services/button/press", {"entity_id": entity_id})

    def selects(self, entity_id: str, option: str) -> None:
        """Somebody chooses an option."""
        self._call("POST", "/api/services/select/select_option", {"entity_id": entity_id, "option": option})

    def until(self, so: Callable[[], bool], limit_s: float = ANSWER_S) -> float | None:
        """Wait until it is so, looking after each change of a state; how long that took, s, or None."""
        began = time.monotonic()
        while True:
            with self._news:
                seen = len(self.changes)
            if so():
                return time.monotonic() - began
            left_s = began + limit_s - time.monotonic()
            if left_s <= 0:
                return None
            with self._news:
                self._news.wait_for(lambda seen=seen: len(self.changes) > seen, min(left_s, 0.25))  # type: ignore[misc]

    def log(self) -> list[str]:
        """Warnings and errors that it has logged, without the path of its environment: where this repository lies is no complaint."""
        file = self._folder / "home-assistant.log"
        return file.read_text().replace(str(self._python.parents[1]), "").splitlines() if file.exists() else []

    # --- its interfaces

    def ask(self, kind: str, **fields: Any) -> Any:
        """A WebSocket command's result. Raises RuntimeError with its refusal."""
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "type": kind, **fields}))
        with self._news:
            if not self._news.wait_for(lambda: number in self._answers, ANSWER_S):
                raise RuntimeError(f"{kind}: no answer")
            answer = self._answers.pop(number)
        if not answer["success"]:
            raise RuntimeError(f"{kind}: {answer['error']}")
        return answer["result"]

    def _call(self, method: str, path: str, body: Any = None, form: dict[str, str] | None = None) -> Any:
        data = urllib.parse.urlencode(form).encode() if form else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from error

    def _onboard(self) -> None:
        """Wait until it answers, then be its first user."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._call("GET", "/api/onboarding")
                break
            except (OSError, RuntimeError) as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"Home Assistant does not start: {error}; {self.log()[-20:]}") from error
                time.sleep(0.2)
        user = {"client_id": CLIENT, "name": "lab", "username": "lab", "password": "only on the loopback", "language": "en"}
        code = self._call("POST", "/api/onboarding/users", user)["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": CLIENT}
        self._token = self._call("POST", "/auth/token", form=form)["access_token"]

    def _watch(self) -> None:
        self._socket = connect(self.url.replace("http", "ws", 1) + "/api/websocket", max_size=None)
        self._socket.recv()
        self._socket.send(json.dumps({"type": "auth", "access_token": self._token}))
        if json.loads(self._socket.recv())["type"] != "auth_ok":
            raise RuntimeError("its WebSocket refuses the token")
        threading.Thread(target=self._listen, daemon=True).start()
        self.ask("subscribe_events", event_type="state_changed")

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for text in self._socket:
                message = json.loads(text)
                with self._news:
                    if message["type"] == "event":
                        data = message["event"]["data"]
                        self.changes.append((time.monotonic(), data["entity_id"], data["new_state"]))
                    else:
                        self._answers[message["id"]] = message
                    self._news.notify_all()

    def _add_mqtt(self) -> None:
        flow = self._call("POST", "/api/config/config_entries/flow", {"handler": "mqtt"})
        entry = {"broker": "127.0.0.1", "port": self._broker_port}
        made = self._call("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", entry)
        if made["type"] != "create_entry":
            raise RuntimeError(f"its MQTT integration says {made}")
