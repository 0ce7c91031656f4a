"""A device's key to the broker: made, tried at a real mosquitto with the shipped rights, taken back."""

import base64
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from guardian.__main__ import main
from guardian.config import ConfigError, load
from guardian.station.enroll import PATTERNS, Reach, acl_says, by_certificate, by_password, password_line, qr, retire
from tests.conftest import absent
from tests.station.ward import soon
from tests.test_broker_config import Broker

REACH = Reach("broker.example", 8883, "guardian")
ACL = Path(__file__).parent.parent.parent / "firmware_config" / "acl"
OK, BAD_USER = 0, (0x86, 0x87)


class Office:
    """A machine with the shipped broker, its password file and its authority."""

    def __init__(self, program: str, folder: Path) -> None:
        self.folder = folder
        self.broker = Broker(program, folder)
        self.passwords, self.authority = folder / "passwd", self.broker.certs

    def out(self, name: str) -> Path:
        return self.folder / "out" / name

    def reload(self) -> None:
        """As systemctl reload does."""
        self.broker.process.send_signal(signal.SIGHUP)

    def lets_in(self, device: str, port: int, word: str | None = None, papers: Path | None = None) -> bool:
        """Whether the broker lets a device with this password, or the certificate of this folder, in, and take its own event."""
        answers: list[int] = []
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        client.connect_timeout = 5
        client.on_connect = lambda _c, _u, _f, reason, _p: answers.append(reason.value)
        client.on_publish = lambda _c, _u, _m, reason, _p: answers.append(reason.value)
        ca = str(self.authority / "ca.crt")
        client.tls_set(ca, str(papers / "mqtt.crt"), str(papers / "mqtt.key")) if papers else client.tls_set(ca)
        if word is not None:
            client.username_pw_set(device, word)
        try:
            client.connect("localhost", self.broker.ports[port])
            client.publish(f"guardian/{device}/event", b"x", qos=1)
            while len(answers) < 2:
                if client.loop(5) != 0:
                    return False
            return answers[0] == OK and answers[1] < 0x80
        except OSError:
            return False
        finally:
            client.disconnect()
            client.loop(0.1)


@pytest.fixture
def office(mosquitto: str, tmp_path: Path) -> Iterator[Office]:
    for tool in ("openssl", "mosquitto_passwd"):
        if shutil.which(tool) is None:
            absent(tool, f"{tool} is not installed")
    made = Office(mosquitto, tmp_path)
    yield made
    made.broker.process.terminate()
    made.broker.process.wait(20)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_device_with_its_password_is_let_in_until_it_is_retired(office: Office) -> None:
    made = by_password("guardian-07", office.passwords, office.out("a"), REACH, office.authority / "ca.crt")
    word = (made.folder / "mqtt.password").read_text().strip()
    assert not office.lets_in("guardian-07", 8883, word), "the broker has not read its files again yet"
    office.reload()
    soon(lambda: office.lets_in("guardian-07", 8883, word), "let in")
    assert not office.lets_in("guardian-07", 8883, word + "x")
    assert office.lets_in("guardian-01", 8883, "secret"), "who was there before still is"
    retire("guardian-07", office.passwords, office.authority)
    office.reload()
    soon(lambda: not office.lets_in("guardian-07", 8883, word), "shut out")
    assert office.lets_in("guardian-01", 8883, "secret")


def test_a_device_with_its_certificate_is_let_in_and_a_revoked_one_is_not(mosquitto: str, office: Office, tmp_path: Path) -> None:
    first = by_certificate("guardian-07", office.authority, office.out("a"), REACH)
    second = by_certificate("guardian-08", office.authority, office.out("b"), REACH)
    assert office.lets_in("guardian-07", 8884, papers=first.folder)
    assert not office.lets_in("guardian-08", 8884, papers=first.folder), "and speaks for itself alone"
    retire("guardian-07", office.passwords, office.authority)
    conf = tmp_path / "mosquitto.conf"  # as docs/station.md says, for the listener of certificates
    conf.write_text(conf.read_text().replace("require_certificate true", f"require_certificate true\ncrlfile {office.authority}/ca.crl"))
    office.broker.process.terminate()
    office.broker.process.wait(20)
    office.broker.process = subprocess.Popen([mosquitto, "-c", str(conf)], stderr=subprocess.DEVNULL, text=True)
    soon(lambda: office.lets_in("guardian-08", 8884, papers=second.folder), "the other device comes back")
    assert not office.lets_in("guardian-07", 8884, papers=first.folder)
    retire("guardian-08", office.passwords, office.authority)
    again = by_certificate("guardian-07", office.authority, office.out("c"), REACH)
    office.broker.process.terminate()
    office.broker.process.wait(20)
    office.broker.process = subprocess.Popen([mosquitto, "-c", str(conf)], stderr=subprocess.DEVNULL, text=True)
    soon(lambda: office.lets_in("guardian-07", 8884, papers=again.folder), "enrolled anew")
    assert not office.lets_in("guardian-07", 8884, papers=first.folder), "the old one stays revoked"
    assert not office.lets_in("guardian-08", 8884, papers=second.folder)


def test_our_password_line_is_mosquittos_own(tmp_path: Path) -> None:
    """The same salt and password through mosquitto_passwd."""
    if shutil.which("mosquitto_passwd") is None:
        absent("mosquitto_passwd", "mosquitto_passwd is not installed")
    file = tmp_path / "passwd"
    file.write_text("a:a-word\n")
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True, timeout=60)
    theirs = file.read_text().strip().partition(":")[2]
    _, kind, iterations, salt, _ = theirs.split("$")
    assert (kind, int(iterations)) == ("7", 101)
    assert password_line("a-word", base64.b64decode(salt)) == theirs


@pytest.fixture
def keys(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """A password file and an authority's folder, without a broker."""
    if shutil.which("openssl") is None:
        absent("openssl", "openssl is not installed")

    def made(certificates: bool = False) -> tuple[Path, Path]:
        authority = tmp_path / "certs"
        authority.mkdir(exist_ok=True)
        if certificates:
            words = "req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 -keyout ca.key -out ca.crt"
            subprocess.run(["openssl", *words.split(" ")], cwd=authority, check=True, capture_output=True, timeout=60)
        return tmp_path / "passwd", authority

    return made


@pytest.mark.parametrize("certificate", [False, True])
def test_the_snippet_is_what_the_device_takes(keys: Callable[..., tuple[Path, Path]], tmp_path: Path, certificate: bool) -> None:
    passwords, authority = keys(certificates=True)
    out = tmp_path / "out"
    if certificate:
        made = by_certificate("guardian-07", authority, out, REACH)
    else:
        made = by_password("guardian-07", passwords, out, REACH, authority / "ca.crt")
    config = load(local=out / "guardian.toml")
    assert config.device.id == "guardian-07"
    mqtt = config.mqtt
    assert (mqtt.host, mqtt.port, mqtt.tls, mqtt.root) == ("broker.example", 8883, True, "guardian")
    named = {Path(file).name for file in (mqtt.password_file, mqtt.ca_file, mqtt.cert_file, mqtt.key_file) if file}
    assert named | {"guardian.toml"} == set(made.files) == {path.name for path in out.iterdir()}
    assert made.snippet == (out / "guardian.toml").read_text()


def test_only_their_owner_can_read_the_files(keys: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    passwords, authority = keys(certificates=True)
    by_password("guardian-07", passwords, tmp_path / "a", REACH, authority / "ca.crt")
    by_certificate("guardian-08", authority, tmp_path / "b", REACH)
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert mode(folder) == 0o700
        assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert mode(passwords) & 0o007 == 0
    passwords.chmod(0o600)
    by_password("guardian-09", passwords, tmp_path / "c", REACH, authority / "ca.crt")
    assert mode(passwords) == 0o600, "as somebody has set it"


def test_the_password_is_in_its_file_and_nowhere_else(keys: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    passwords, authority = keys()
    made = by_password("guardian-07", passwords, tmp_path / "a", REACH, authority / "ca.crt")
    word = (tmp_path / "a" / "mqtt.password").read_text().strip()
    assert len(word) >= 32 and word == made.secret
    assert word not in passwords.read_text() and word not in made.snippet and word not in repr(made)


def test_nothing_is_overwritten_and_nothing_half_made_is_left(keys: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    passwords, authority = keys(certificates=True)
    ca = authority / "ca.crt"
    by_password("guardian-07", passwords, tmp_path / "a", REACH, ca)
    by_certificate("guardian-08", authority, tmp_path / "b", REACH)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="already: guardian station retire guardian-07"):
        by_password("guardian-07", passwords, tmp_path / "c", REACH, ca)
    with pytest.raises(ConfigError, match="already: guardian station retire guardian-08"):
        by_certificate("guardian-08", authority, tmp_path / "c", REACH)
    with pytest.raises(ConfigError, match="File exists"):
        by_password("guardian-09", passwords, tmp_path / "a", REACH, ca)
    with pytest.raises(ConfigError, match="on the device that is the device itself"):
        by_password("guardian-09", passwords, tmp_path / "c", Reach("127.0.0.1", 8883, "guardian"), ca)
    (tmp_path / "passwd.new").touch()
    with pytest.raises(ConfigError, match="another enrolment"):
        by_password("guardian-09", passwords, tmp_path / "c", REACH, ca)
    (tmp_path / "passwd.new").unlink()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["", "Guardian-01", "a/b", "a+", "#", "a:b", "a\nb", "../x", "x" * 33, "-a"])
def test_names_that_could_speak_for_others_are_refused(keys: Callable[..., tuple[Path, Path]], tmp_path: Path, name: str) -> None:
    passwords, authority = keys()
    for ask in (
        lambda: by_password(name, passwords, tmp_path / "a", REACH, authority / "ca.crt"),
        lambda: by_certificate(name, authority, tmp_path / "a", REACH),
        lambda: retire(name, passwords, authority),
    ):
        with pytest.raises(ConfigError, match="is no device id"):
            ask()
    assert not (tmp_path / "a").exists()


def test_a_host_that_would_break_out_of_the_snippet_is_refused(keys: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    passwords, authority = keys()
    with pytest.raises(ConfigError, match="no host name"):
        by_password("guardian-07", passwords, tmp_path / "a", Reach('x"\ntls = false #', 8883, "guardian"), authority / "ca.crt")
    assert not passwords.exists()


def test_retiring_a_stranger_says_so(keys: Callable[..., tuple[Path, Path]]) -> None:
    with pytest.raises(ConfigError, match="was not enrolled here"):
        retire("guardian-07", *keys())


def test_without_an_authority_the_way_to_one_is_told(keys: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    _, authority = keys()
    with pytest.raises(ConfigError, match=r"ca\.crt cannot be read"):
        by_certificate("guardian-07", authority, tmp_path / "a", REACH)


def test_a_certificate_outlives_years_of_wear_but_not_its_authority(keys: Callable[..., tuple[Path, Path]], tmp_path: Path) -> None:
    from cryptography import x509

    _, authority = keys(certificates=True)
    now = datetime.now(UTC)
    by_certificate("guardian-07", authority, tmp_path / "a", REACH, now)
    made = x509.load_pem_x509_certificate((tmp_path / "a" / "mqtt.crt").read_bytes())
    ca = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    assert made.not_valid_after_utc == ca.not_valid_after_utc  # 2 days in this test
    assert made.not_valid_before_utc < now - timedelta(hours=23), "a Pi's clock may be late"


def test_the_shipped_rights_need_no_line_and_others_are_told_which(tmp_path: Path) -> None:
    assert acl_says(ACL, "guardian") == (True, f"{ACL}: no line is needed, its patterns give every user the topics that carry its own name")
    poor = tmp_path / "acl"
    lines = [line.format(root="guardian") for line in PATTERNS]
    poor.write_text("\n".join(lines[:-1]) + "\n")
    fine, says = acl_says(poor, "guardian")
    assert not fine and says.endswith(lines[-1])
    fine, says = acl_says(tmp_path / "none", "home")
    assert not fine and all(line.format(root="home") in says for line in PATTERNS)


def test_the_qr_code_is_one_and_fits_a_terminal() -> None:
    """Its rows, read back as a matrix, are segno's."""
    import segno

    text = '[device]\nid = "guardian-07"\n' * 8
    lines = [line.removeprefix("\x1b[30;107m").removesuffix("\x1b[0m") for line in qr(text).splitlines()]
    assert len({len(line) for line in lines}) == 1 and len(lines[0]) <= 80
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows = [[halves[sign][half] for sign in line] for line in lines for half in (0, 1)]
    matrix = [[int(bool(one)) for one in row] for row in segno.make(text, error="l", micro=False).matrix_iter(border=2)]
    assert rows[: len(matrix)] == matrix


# --- the command line


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Done]]:
    """`guardian station WORDS` in this process, with a station's folder of its own."""
    monkeypatch.chdir(tmp_path)
    mask = os.umask(0o022)

    def ran(*words: str, typed: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code = main(["station", *words, "--set", f"station.state_dir={tmp_path}"])
        return Done(code, *capsys.readouterr())

    yield ran
    os.umask(mask)


def apart(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "guardian", "station", *words, "--set", f"station.state_dir={folder}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_enroll_says_what_to_do_and_shows_no_password(
    keys: Callable[..., tuple[Path, Path]], station: Callable[..., Done], tmp_path: Path
) -> None:
    passwords, authority = keys(certificates=True)
    places = ("--passwords", str(passwords), "--authority", str(authority), "--acl", str(ACL))
    done = station("enroll", "guardian-07", "--person", "Grandma", *places)
    assert done.returncode == 0, done.stderr
    word = (tmp_path / "guardian-07" / "mqtt.password").read_text().strip()
    assert word not in done.stdout + done.stderr
    for said in ("systemctl reload mosquitto", "sudo install -o guardian", 'id = "guardian-07"', "no line is needed", "█"):
        assert said in done.stdout
    assert station("enroll", "guardian-07", *places).returncode == 2
    gone = station("retire", "guardian-07", *places[:4])
    assert gone.returncode == 0 and "user guardian-07 is gone" in gone.stdout
    erased = station("erase", "guardian-07")
    assert erased.returncode == 1 and "--yes" in erased.stderr
    assert station("erase", "guardian-07", "--yes").returncode == 0
    again = station("erase", "guardian-07", "--yes")
    assert again.returncode == 1 and "nothing is kept" in again.stderr


def test_people_are_made_listed_and_removed_and_passwords_come_from_a_pipe(station: Callable[..., Done], tmp_path: Path) -> None:
    password = "correct horse battery"
    weak = station("user", "add", "daughter", "--role", "carer", "--wearers", "guardian-01", typed="short\n")
    assert weak.returncode == 1 and "at least 10 characters" in weak.stderr
    made = station("user", "add", "daughter", "--role", "carer", "--wearers", "guardian-01, guardian-02", typed=f"{password}\n")
    assert made.returncode == 0, made.stderr
    assert password not in made.stdout + made.stderr
    assert stat.S_IMODE((tmp_path / "station.db").stat().st_mode) == 0o600, "history is health data"
    assert "guardian-01, guardian-02" in station("user", "list").stdout
    twice = station("user", "add", "Daughter", "--role", "admin", typed=f"{password}\n")
    assert twice.returncode == 1 and "already" in twice.stderr
    assert station("user", "change", "daughter", "--role", "admin").returncode == 0
    assert "all wearers" in station("user", "list").stdout
    assert station("user", "passwd", "daughter", typed="another good one\n").returncode == 0
    assert station("user", "remove", "daughter").returncode == 0
    gone = station("user", "remove", "daughter")
    assert gone.returncode == 1 and "no user 'daughter'" in gone.stderr
    assert "nobody yet" in station("user", "list").stdout


def test_check_tells_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    contact = ("--set", 'contacts.keeper.url="nonsense://"', "--set", 'wearers.guardian-01.name="Grandma"', "--set", "broker.port=1")
    done = apart("check", *contact, folder=tmp_path)
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    for told in ("Connection refused", "nobody can log in yet", "nobody is called for guardian-01", "does not understand the address"):
        assert told in said
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    done = apart("user", "list", "--set", "station.database=postgresql+psycopg://keeper:hidden-word@127.0.0.1:1/x", folder=tmp_path)
    assert done.returncode == 2
    assert "station.database" in done.stderr and "hidden-word" not in done.stderr and "Traceback" not in done.stderr


def test_without_the_extra_the_way_to_it_is_told(tmp_path: Path) -> None:
    """A device has none of the station's packages; here they are hidden from the import system."""
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from guardian.__main__ import main; sys.exit(main(['station', 'user', 'list']))"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'guardian[station]'" in done.stderr and "Traceback" not in done.stderr
