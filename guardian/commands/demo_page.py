"""The caregivers' page in the demo: the station as a program of its own, where the station extra is installed."""

import importlib.util
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from guardian.config import ConfigError

PORT = 8321  # as in station.toml; another where that is taken
START_S = 30.0
USER = "demo"


def is_there() -> bool:
    """Whether the station extra is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("nicegui", "sqlalchemy", "argon2"))


class DemoPage:
    """A station at the demo's broker, from `with` to its end. `password` is that of the user demo, made up for this one time."""

    def __init__(self, folder: Path, broker_port: int, device: str, name: str) -> None:
        self.password = secrets.token_urlsafe(9)
        self._port = _free(PORT)
        self.address = f"http://127.0.0.1:{self._port}"
        self._log = folder / "station.log"
        sets = {
            "station.state_dir": str(folder), "broker.host": "127.0.0.1", "broker.port": broker_port,
            "broker.protocol": 311,  # amqtt's
            "page.port": self._port, f"wearers.{device}.name": name,
        }  # fmt: skip
        (folder / "station.toml").touch()  # this machine's own station.toml has no say here
        self._options = [
            "--config",
            str(folder / "station.toml"),
            *(word for key, value in sets.items() for word in ("--set", f"{key}={value}")),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "DemoPage":
        guardian = [sys.executable, "-m", "guardian", "station"]
        with self._log.open("ab") as log:
            add = [*guardian, "user", "add", USER, "--role", "admin", *self._options]
            subprocess.run(add, input=f"{self.password}\n".encode(), stdout=log, stderr=log, check=False)
            self._process = subprocess.Popen([*guardian, *self._options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{self.address}/login", timeout=5):
                return self
            time.sleep(0.05)
        self.__exit__()
        raise ConfigError(f"the station's page did not start: {self._log.read_text(errors='replace')[-500:].strip()}")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _free(wanted: int) -> int:
    for port in (wanted, 0):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise ConfigError("no free port on 127.0.0.1")
