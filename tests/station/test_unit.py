"""systemd/guardian-station.service: systemd understands it, it is shut in tightly, and it agrees with the program."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from guardian.station.settings import load
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
