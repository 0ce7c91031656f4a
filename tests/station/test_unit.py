"""systemd/guardian-station.service: systemd understands it, it is shut in tightly, and it agrees with the program."""

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
import uvicorn

from guardian.station.settings import load
from guardian.station.watchdog import feed
from tests.conftest import absent

UNIT = Path(__file__).parent.parent.parent / "systemd" / "guardian-station.service"


@pytest.fixture(scope="module")
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        absent("systemd", "systemd-analyze is not installed")
    return str(found)


def said(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_reads_every_line_of_the_unit(analyze: str, tmp_path: Path) -> None:
    """It exits 0 even on unknown keys: only silence is consent. The program must exist, so another stands in for it."""
    text, replaced = re.subn(r"/opt/guardian-station/current/bin/guardian", "/bin/true", UNIT.read_text())
    assert replaced == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    done = said(analyze, "verify", "--man=no", str(copy))
    assert (done.returncode, done.stderr) == (0, "")
    copy.write_text(text.replace("WatchdogSec=30", "WatchdogSecs=30"))  # and it would have said so
    assert "WatchdogSecs" in said(analyze, "verify", "--man=no", str(copy)).stderr


def test_it_may_touch_little_more_than_the_network_and_its_folder(analyze: str) -> None:
    done = said(analyze, "security", "--offline=true", "--no-pager", str(UNIT))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= 2.0


def test_the_unit_gives_what_the_program_takes() -> None:
    parser = ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    unit, service = parser["Unit"], parser["Service"]
    assert load(local=None).station.state_dir == f"/var/lib/{service['StateDirectory']}"
    assert (service["Type"], service["Restart"], unit["StartLimitIntervalSec"]) == ("notify", "always", "0")
    assert service["UMask"] == "0077" and service["StateDirectoryMode"] == "0700"
    assert float(service["WatchdogSec"]) <= load(local=None).watch.lost_after_s, "a hung station is known before a lost wearer would be"


def test_systemd_is_told_when_it_is_up_that_it_lives_and_when_it_stops(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        words = ["--set", f"station.state_dir={tmp_path}", "--set", f"page.port={port}", "--set", "broker.port=1"]
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000", "PATH": ""}
        running = subprocess.Popen([sys.executable, "-m", "guardian", "station", *words], env=environ, stderr=subprocess.DEVNULL)
        try:
            told = [systemd.recv(100).decode() for _ in range(4)]
            socket.create_connection(("127.0.0.1", port), timeout=20).close()  # READY was no lie
            running.send_signal(signal.SIGTERM)
            while told[-1] != "STOPPING=1":
                told.append(systemd.recv(100).decode())
            running.wait(20)
        finally:
            running.kill()
    assert told[:4] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]


def test_a_station_that_hears_nothing_any_more_is_not_kept_alive(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its page would still load, and nobody would be called."""
    works, server = {"intake": True}, uvicorn.Server(uvicorn.Config(lambda: None))
    server.started = True

    async def story(systemd: socket.socket) -> list[str]:
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}
        feeding = asyncio.create_task(feed(server, {"intake": lambda: works["intake"]}, environ))
        loop = asyncio.get_running_loop()
        told = [(await loop.sock_recv(systemd, 100)).decode() for _ in range(2)]
        works["intake"] = False
        while "intake does not work" not in caplog.text:
            await asyncio.sleep(0.01)
        while True:  # what was sent before
            try:
                systemd.recv(100)
            except BlockingIOError:
                break
        caplog.clear()
        while "intake does not work" not in caplog.text:
            await asyncio.sleep(0.01)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        told.append((await loop.sock_recv(systemd, 100)).decode())
        return told

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        assert asyncio.run(asyncio.wait_for(story(systemd), 20)) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
