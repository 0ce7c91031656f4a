"""The program itself, as systemd runs it."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guardian.station.settings import load
from guardian.station.store import Store
from lab.durability import Broker
from tests.station.ward import Device, soon

Opened = Callable[[Any], Any]


class Program:
    """guardian station, in a process."""

    def __init__(self, folder: Path, broker_port: int, **keys: object) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        every = {"station.state_dir": folder, "broker.port": broker_port, "page.port": self.port, **keys}
        sets = [word for key, value in every.items() for word in ("--set", f"{key}={value}")]
        self.log = folder / "station.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "guardian", "station", *sets], stdout=log, stderr=log)

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/login", timeout=5) as page:
                return bool(page.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def test_it_hears_shows_and_ends_when_it_is_told_to(broker: Broker, device: Device, tmp_path: Path, opened: Opened) -> None:
    program = opened(Program(tmp_path, broker.port))
    soon(program.is_up, "the page")
    device.online()
    device.says()
    id_ = device.tells(1)
    soon(lambda: id_ in device.receipts, "the receipt")
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(10) == 0
    log = program.log.read_text()
    assert "Traceback" not in log and "ERROR" not in log


def test_killed_at_any_moment_it_loses_nothing(broker: Broker, device: Device, tmp_path: Path, opened: Opened) -> None:
    program = opened(Program(tmp_path, broker.port))
    soon(program.is_up, "the page")
    told = [device.tells(seq, "near_fall") for seq in range(1, 101)]
    soon(lambda: device.receipts)
    program.kill()
    told += [device.tells(seq, "near_fall") for seq in range(101, 201)]
    opened(Program(tmp_path, broker.port))
    store = Store.opened(load(None, {"station": {"state_dir": str(tmp_path)}}))
    soon(lambda: {event.id for event in store.events(limit=1000)} >= set(told), "all 200, each told once by the device", 30)
    store.close()


def test_only_running_it_loads_the_page() -> None:
    """NiceGUI takes longer to load than all that the other actions do."""
    ask = (
        "import importlib, sys; from guardian.commands.station import ACTIONS; "
        "[importlib.import_module(f'guardian.commands.{file}') for action, file in ACTIONS.items() if action]; "
        "sys.exit('nicegui' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", ask], timeout=60, check=False).returncode == 0


def test_its_files_are_nobody_elses(broker: Broker, tmp_path: Path, opened: Opened) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    program = opened(Program(folder, broker.port))
    soon(program.is_up)
    assert {file.stat().st_mode & 0o077 for file in folder.glob("station.db*")} == {0}


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [("page.bind", '"0.0.0.0"', "page.cert_file"), ("broker.prot", "1", "prot"), ("station.database", '"nonsense"', "station.database")],
)
def test_what_cannot_be_is_refused_at_once_by_key(broker: Broker, tmp_path: Path, opened: Opened, key: str, value: str, named: str) -> None:
    program = opened(Program(tmp_path, broker.port, **{key: value}))
    assert program.process.wait(20) == 2
    log = program.log.read_text()
    assert named in log and "Traceback" not in log
