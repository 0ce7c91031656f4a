"""install, upgrade and uninstall in a root of their own, on a machine whose tools only say what they were asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import absent

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "systemd" / "install.sh"

# Builds a "virtual environment": its python installs a `guardian` that refuses a configuration with the word "bad" in it, or, in a
# release whose source is $BROKEN, any. What a real environment does is Python's and pip's own to test.
PYTHON = r"""#!/bin/sh
case "$*" in
"-c import sys"* | "-c import ensurepip"*) exit 0 ;;
"-m venv "*)
    for release; do :; done
    mkdir -p "$release/bin"
    echo "venv $3" >>"$LOG"
    cat >"$release/bin/python" <<'EOF'
#!/bin/sh
case "$*" in
"-m pip install"*)
    [ -z "$PIP_FAILS" ] || exit 1
    for what; do :; done
    echo "pip ${what##*[}" >>"$LOG"
    cat >"${0%/*}/guardian" <<'EOG'
#!/bin/sh
echo "guardian $*" >>"$LOG"
[ "$1" != station ] || shift
[ "$1 $2" = "check --config-only" ] || exit 3
[ -z "$4" ] || ! grep -q bad "$4" || { echo "refused: $4" >&2; exit 2; }
EOG
    chmod +x "${0%/*}/guardian" ;;
"-c import lgpio") [ -z "$NO_LGPIO" ] ;;
*) exit 3 ;;
esac
EOF
    chmod +x "$release/bin/python" ;;
*) exit 3 ;;
esac
"""

SYSTEMCTL = r"""#!/bin/sh
echo "systemctl $*" >>"$LOG"
case "$1" in
is-active) [ -n "$RUNS" ] ;;
restart) [ -z "$FAILS_IN" ] || ! readlink "$DESTDIR"/opt/*/current | grep -q "$FAILS_IN" ;;
esac
"""

TOLD = '#!/bin/sh\necho "${0##*/} $*" >>"$LOG"\n'


class Machine:
    """A root, and a PATH on which the tools that change a machine are told only."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.tools = folder / "tools"
        self.log = folder / "log"
        self.root.mkdir()
        self.tools.mkdir()
        self.log.touch()
        scripts = {"python3": PYTHON, "systemctl": SYSTEMCTL, "getent": TOLD + "exit 2\n"}
        scripts |= dict.fromkeys(("useradd", "usermod", "groupadd", "userdel"), TOLD)
        for name, text in scripts.items():
            (self.tools / name).write_text(text)
            (self.tools / name).chmod(0o755)

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        before = {"PATH": f"{self.tools}:{os.environ['PATH']}", "DESTDIR": str(self.root), "LOG": str(self.log)}
        return subprocess.run(["sh", str(SCRIPT), *words], env=before | environ, capture_output=True, text=True, timeout=60, check=False)

    def told(self) -> list[str]:
        """What the tools were asked since the last call."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines

    @property
    def current(self) -> str:
        return str((self.root / "opt/guardian/current").readlink())

    @property
    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.root / "opt/guardian/releases").iterdir())

    @property
    def settings(self) -> Path:
        return self.root / "etc/guardian/guardian.toml"

    @property
    def unit(self) -> Path:
        return self.root / "etc/systemd/system/guardian.service"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def installed(machine: Machine) -> Machine:
    done = machine.run("install")
    assert done.returncode == 0, done.stderr
    machine.told()
    return machine


def test_install_makes_user_release_and_service(machine: Machine) -> None:
    done = machine.run("install")
    assert done.returncode == 0, done.stderr
    told = machine.told()
    assert any(line.startswith("useradd --system") and line.endswith(" guardian") for line in told)
    assert "usermod --append --groups i2c,gpio guardian" in told
    assert [line for line in told if line.startswith("systemctl")] == ["systemctl daemon-reload", "systemctl enable --quiet guardian"]
    assert machine.current == "releases/1"
    assert (machine.root / "opt/guardian/current/bin/guardian").exists()
    assert machine.unit.read_text() == (ROOT / "systemd/guardian.service").read_text()
    assert (machine.root / "etc/udev/rules.d/99-guardian.rules").exists()
    assert (machine.root / "var/lib/guardian").stat().st_mode & 0o777 == 0o700
    assert "guardian calibrate" in done.stdout
    assert os.access(machine.root / "usr/local/bin/guardian", os.X_OK)


def test_the_configuration_of_the_wearer_is_kept(installed: Machine) -> None:
    installed.settings.write_text('[device]\nid = "mine"\n')
    for command in ("install", "upgrade"):
        assert installed.run(command).returncode == 0
        assert installed.settings.read_text() == '[device]\nid = "mine"\n'
    assert any(line.startswith("guardian check --config-only --config") for line in installed.told())
    assert installed.current == "releases/3"
    assert installed.releases == ["2", "3"]  # the one before is kept


def test_an_upgrade_restarts_a_running_service_only(installed: Machine) -> None:
    assert installed.run("upgrade").returncode == 0
    assert "systemctl restart guardian" not in installed.told()
    assert installed.run("upgrade", RUNS="yes").returncode == 0
    assert "systemctl restart guardian" in installed.told()


def test_an_upgrade_that_refuses_the_configuration_changes_nothing(installed: Machine) -> None:
    installed.settings.write_text("bad = 1\n")
    done = installed.run("upgrade", RUNS="yes")
    assert done.returncode == 1
    assert "refused: " in done.stderr
    assert (installed.current, installed.releases) == ("releases/1", ["1"])
    assert not any("restart" in line for line in installed.told())


@pytest.mark.parametrize(("trouble", "word"), [("PIP_FAILS", "has not changed"), ("NO_LGPIO", "apt install python3-lgpio")])
def test_an_upgrade_that_cannot_be_built_changes_nothing(installed: Machine, trouble: str, word: str) -> None:
    done = installed.run("upgrade", **{trouble: "yes"})
    assert done.returncode == 1
    assert word in done.stderr
    assert (installed.current, installed.releases) == ("releases/1", ["1"])


def test_an_upgrade_that_does_not_come_up_is_rolled_back(installed: Machine) -> None:
    installed.unit.write_text("# the old unit\n")
    done = installed.run("upgrade", RUNS="yes", FAILS_IN="releases/2")
    assert done.returncode == 1
    assert "the old one is back" in done.stderr
    assert (installed.current, installed.releases) == ("releases/1", ["1"])
    assert installed.unit.read_text() == "# the old unit\n"
    assert [line for line in installed.told() if "restart" in line] == ["systemctl restart guardian"] * 2


def test_a_failed_first_install_leaves_no_service(machine: Machine) -> None:
    assert machine.run("install", PIP_FAILS="yes").returncode == 1
    assert machine.releases == []
    assert not machine.unit.exists()
    assert machine.run("install").returncode == 0  # and can be tried again
    assert machine.current == "releases/1"


def test_uninstall_keeps_what_belongs_to_the_wearer(installed: Machine) -> None:
    recording = installed.root / "var/lib/guardian/recordings/g-a-00001-000.mcap"
    recording.parent.mkdir()
    recording.touch()
    done = installed.run("uninstall")
    assert done.returncode == 0, done.stderr
    assert "systemctl disable --now --quiet guardian" in installed.told()
    assert not (installed.root / "opt/guardian").exists()
    assert not installed.unit.exists()
    assert not (installed.root / "usr/local/bin/guardian").exists()
    assert installed.settings.exists()
    assert recording.exists()


def test_uninstall_takes_nothing_of_others_from_a_shared_prefix(installed: Machine) -> None:
    other = installed.root / "opt/guardian/bin/other"
    other.parent.mkdir()
    other.touch()
    assert installed.run("uninstall").returncode == 0
    assert [path.name for path in (installed.root / "opt/guardian").iterdir()] == ["bin"]
    assert other.exists()


def test_purge_removes_all_of_it(installed: Machine) -> None:
    assert installed.run("uninstall", "--purge").returncode == 0
    assert "userdel guardian" in installed.told()
    assert not any(path.is_file() for path in installed.root.rglob("*"))


def test_upgrade_without_an_installation_says_so(machine: Machine) -> None:
    done = machine.run("upgrade")
    assert done.returncode == 1
    assert "not installed" in done.stderr


@pytest.mark.parametrize("words", [(), ("remove",), ("--help",)])
def test_anything_else_is_answered_with_the_usage(machine: Machine, words: tuple[str, ...]) -> None:
    done = machine.run(*words)
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_a_mistyped_purge_removes_nothing(installed: Machine) -> None:
    assert installed.run("uninstall", "--pruge").returncode == 1
    assert installed.current == "releases/1"


def test_the_wearers_folder_is_never_the_whole_machine(machine: Machine) -> None:
    done = machine.run("uninstall", PREFIX="/")
    assert done.returncode == 1
    assert machine.told() == []


def test_the_command_runs_as_the_services_user(installed: Machine) -> None:
    """root's `guardian check` must not leave files that the service cannot read."""
    (installed.tools / "id").write_text("#!/bin/sh\necho 0\n")
    (installed.tools / "runuser").write_text(TOLD)
    for name in ("id", "runuser"):
        (installed.tools / name).chmod(0o755)
    environ = {"PATH": f"{installed.tools}:{os.environ['PATH']}", "LOG": str(installed.log)}
    subprocess.run([str(installed.root / "usr/local/bin/guardian"), "check", "--bench"], env=environ, timeout=60, check=True)
    assert installed.told() == [f"runuser -u guardian -- {installed.root}/usr/local/bin/guardian check --bench"]


def test_the_script_is_plain_posix_shell() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        absent("shellcheck", "shellcheck is not installed (apt install shellcheck)")
    said = subprocess.run([str(shellcheck), str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stdout


# --- the station, on a machine of its own or beside a device


@pytest.fixture
def station(machine: Machine) -> Machine:
    done = machine.run("install-station")
    assert done.returncode == 0, done.stderr
    return machine


def test_the_station_has_a_user_a_release_and_a_service_of_its_own(station: Machine) -> None:
    told = station.told()
    assert any(line.startswith("useradd --system") and line.endswith(" guardian-station") for line in told)
    assert "pip station]" in told and "pip pi]" not in told
    assert not any(line.startswith(("usermod", "groupadd", "venv --system")) for line in told), "it touches no bus and no pin"
    assert [line for line in told if line.startswith("systemctl")] == [
        "systemctl daemon-reload",
        "systemctl enable --quiet guardian-station",
    ]
    assert (station.root / "opt/guardian-station/current/bin/guardian").exists()
    unit = station.root / "etc/systemd/system/guardian-station.service"
    assert unit.read_text() == (ROOT / "systemd/guardian-station.service").read_text()
    assert (station.root / "var/lib/guardian-station").stat().st_mode & 0o777 == 0o700
    assert (station.root / "etc/guardian/station.toml").exists()
    assert not (station.root / "etc/udev").exists() and not (station.root / "opt/guardian").exists()


def test_an_upgrade_of_the_station_asks_whether_its_configuration_is_accepted(station: Machine) -> None:
    settings = station.root / "etc/guardian/station.toml"
    station.told()
    assert station.run("upgrade-station", RUNS="yes").returncode == 0
    told = station.told()
    assert f"guardian station check --config-only --config {settings}" in told
    assert "systemctl restart guardian-station" in told
    settings.write_text("bad = 1\n")
    done = station.run("upgrade-station", RUNS="yes")
    assert done.returncode == 1
    assert "refused: " in done.stderr
    assert not any("restart" in line for line in station.told())


def test_a_station_that_does_not_come_up_is_rolled_back(station: Machine) -> None:
    done = station.run("upgrade-station", RUNS="yes", FAILS_IN="releases/2")
    assert done.returncode == 1
    assert "the old one is back" in done.stderr
    assert str((station.root / "opt/guardian-station/current").readlink()) == "releases/1"


def test_device_and_station_on_one_machine_leave_each_other_alone(installed: Machine) -> None:
    assert installed.run("install-station").returncode == 0
    (installed.root / "etc/guardian/mqtt.password").touch()
    assert installed.run("uninstall-station", "--purge").returncode == 0
    assert (installed.current, installed.unit.exists(), installed.settings.exists()) == ("releases/1", True, True)
    assert not (installed.root / "opt/guardian-station").exists() and not (installed.root / "var/lib/guardian-station").exists()
    assert not (installed.root / "etc/guardian/station.toml").exists()
    assert (installed.root / "etc/guardian/mqtt.password").exists(), "whose it is, only a person can tell"
    assert installed.run("uninstall", "--purge").returncode == 0
    assert not any(path.is_file() for path in installed.root.rglob("*"))


def test_the_stations_command_runs_as_its_user_except_for_the_brokers_files(station: Machine) -> None:
    (station.tools / "id").write_text("#!/bin/sh\necho 0\n")
    (station.tools / "runuser").write_text(TOLD)
    for name in ("id", "runuser"):
        (station.tools / name).chmod(0o755)
    program = station.root / "usr/local/bin/guardian-station"
    text = program.read_text()
    assert text.count("exec /opt/guardian-station/current/bin/guardian station") == 1
    program.write_text(text.replace("exec /opt/", f"exec {station.root}/opt/"))
    environ = {"PATH": f"{station.tools}:{os.environ['PATH']}", "LOG": str(station.log)}
    station.told()
    for words in (["user", "list"], ["enroll", "g-1"]):
        subprocess.run([str(program), *words], env=environ, timeout=60, check=False, capture_output=True)
    assert station.told() == [f"runuser -u guardian-station -- {program} user list", "guardian station enroll g-1"]
