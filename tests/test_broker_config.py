"""firmware_config/mosquitto.conf and acl, run by a real mosquitto: who may say and hear what."""

import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import absent

CONFIG = Path(__file__).parent.parent / "firmware_config"
WAIT_S = 10.0
NOT_AUTHORIZED, BAD_USER = 0x87, (0x86, 0x87)


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60)


def certify(folder: Path, name: str, subject: str, extra: str = "") -> None:
    """A key and a certificate signed by the folder's CA."""
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr", "-subj", f"/CN={subject}"
    )
    (folder / "ext").write_text(extra)
    openssl(
        *("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/ca.crt", "-CAkey", f"{folder}/ca.key", "-CAcreateserial"),
        *("-out", f"{folder}/{name}.crt", "-days", "2", "-extfile", f"{folder}/ext"),
    )  # fmt: skip


class Broker:
    """The shipped configuration, with its folders and ports moved."""

    def __init__(self, program: str, folder: Path) -> None:
        self.certs = folder / "certs"
        self.certs.mkdir()
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{self.certs}/ca.key", "-out", f"{self.certs}/ca.crt"),
            *("-days", "2", "-subj", "/CN=test CA"),
        )  # fmt: skip
        certify(self.certs, "server", "broker", "subjectAltName=DNS:localhost")
        certify(self.certs, "guardian-02", "guardian-02")
        passwords = folder / "passwd"
        passwords.write_text("guardian-01:secret\nstation:secret\nhomeassistant:secret\n")
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, timeout=60)
        shutil.copy(CONFIG / "acl", folder / "acl")
        self.ports: dict[int, int] = {}
        text = (CONFIG / "mosquitto.conf").read_text()
        text = text.replace("/etc/mosquitto/", f"{folder}/").replace("/var/lib/mosquitto/", f"{folder}/").replace("syslog", "stderr")
        text = re.sub(r"(?m)^listener (\d+)", lambda found: f"listener {self.free(int(found[1]))}", text)
        (folder / "mosquitto.conf").write_text(text + "\nuser root\nlog_type information\n")
        for file in (*self.certs.iterdir(), passwords, folder / "acl"):
            file.chmod(0o600)
        self.process = subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.said: list[str] = []
        for line in self.process.stderr:
            self.said.append(line)
            if "running" in line:
                break
        threading.Thread(target=self.process.stderr.read, daemon=True).start()  # its pipe must not fill

    def free(self, port: int) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.ports[port] = probe.getsockname()[1]
        return self.ports[port]


class Peer:
    """One connection; `refused` is the broker's reason."""

    def __init__(self, broker: Broker, user: str, password: str | None = "secret", certificate: bool = False, port: int = 8883) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self.heard: list[tuple[str, bytes]] = []
        self.reason: dict[int, int] = {}
        self.connected, self.news = threading.Event(), threading.Condition()
        self.refused = 0
        if certificate:
            self.client.tls_set(str(broker.certs / "ca.crt"), str(broker.certs / f"{user}.crt"), str(broker.certs / f"{user}.key"))
        elif port != 1883:
            self.client.tls_set(str(broker.certs / "ca.crt"))
        if password is not None and not certificate:
            self.client.username_pw_set(user, password)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: (setattr(self, "refused", reason.value), self.connected.set())
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self._note(self.reason, mid, reason.value)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._note(self.reason, mid, max(one.value for one in reasons))
        self.client.connect("localhost", broker.ports[port])
        self.client.loop_start()
        assert self.connected.wait(WAIT_S)

    def _note(self, table: dict[int, int], mid: int, reason: int) -> None:
        with self.news:
            table[mid] = reason
            self.news.notify_all()

    def _on_message(self, _client: Client, _user: object, message: MQTTMessage) -> None:
        with self.news:
            self.heard.append((message.topic, message.payload))
            self.news.notify_all()

    def _answer(self, mid: int) -> int:
        with self.news:
            assert self.news.wait_for(lambda: mid in self.reason, WAIT_S)
            return self.reason[mid]

    def says(self, topic: str, payload: str = "x") -> bool:
        """Publish; whether the broker took it."""
        return self._answer(self.client.publish(topic, payload, qos=1).mid) < 0x80

    def listens(self, topic: str) -> None:
        mid = self.client.subscribe(topic, qos=1)[1]
        assert mid is not None
        self._answer(mid)

    def hears(self, topic: str) -> bool:
        with self.news:
            return self.news.wait_for(lambda: topic in dict(self.heard), WAIT_S)


@pytest.fixture(scope="module")
def broker(mosquitto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    for tool in ("openssl", "mosquitto_passwd"):
        if shutil.which(tool) is None:
            absent(tool, f"{tool} is not installed")
    running = Broker(mosquitto, tmp_path_factory.mktemp("broker"))
    yield running
    running.process.terminate()
    running.process.wait(WAIT_S)


@pytest.fixture
def connect(broker: Broker) -> Iterator[object]:
    peers: list[Peer] = []

    def one(*args: object, **kwargs: object) -> Peer:
        peers.append(Peer(broker, *args, **kwargs))  # type: ignore[arg-type]
        return peers[-1]

    yield one
    for peer in peers:
        peer.client.disconnect()
        peer.client.loop_stop()


def test_the_broker_takes_the_configuration_without_a_word(broker: Broker) -> None:
    worded = [line for line in broker.said if re.search("error|unknown|duplicate|deprecated", line, re.IGNORECASE)]
    assert worded == []
    assert broker.process.poll() is None


def test_a_device_speaks_for_itself_alone(connect: type[Peer]) -> None:
    device = connect("guardian-01")
    for leaf in ("availability", "state", "event"):
        assert device.says(f"guardian/guardian-01/{leaf}")
        assert not device.says(f"guardian/guardian-02/{leaf}")
    assert not device.says("guardian/guardian-01/receipt")
    assert not device.says("guardian/guardian-01/command")
    assert device.says("homeassistant/binary_sensor/guardian-01/fall/config")
    assert not device.says("homeassistant/binary_sensor/guardian-02/fall/config")


def test_a_certificates_name_is_its_device(connect: type[Peer]) -> None:
    device = connect("guardian-02", certificate=True, port=8884)
    assert device.says("guardian/guardian-02/event")
    assert not device.says("guardian/guardian-01/event")


def test_an_alarm_reaches_the_station_and_its_receipt_the_device(connect: type[Peer]) -> None:
    device, station = connect("guardian-01"), connect("station")
    station.listens("guardian/#")
    device.listens("guardian/guardian-01/receipt")
    device.listens("guardian/guardian-01/command")
    assert device.says("guardian/guardian-01/event")
    assert station.hears("guardian/guardian-01/event")
    assert station.says("guardian/guardian-01/receipt")
    assert device.hears("guardian/guardian-01/receipt")
    assert station.says("guardian/guardian-01/command")
    assert device.hears("guardian/guardian-01/command")
    assert not station.says("guardian/guardian-01/event")  # no forged alarm


def test_one_device_never_hears_another(connect: type[Peer]) -> None:
    curious, device, station = connect("guardian-01"), connect("guardian-02", certificate=True, port=8884), connect("station")
    curious.listens("guardian/#")
    station.listens("guardian/#")
    assert device.says("guardian/guardian-02/event", "secret")
    assert station.hears("guardian/guardian-02/event")
    assert station.says("guardian/guardian-01/command", "last")
    assert curious.hears("guardian/guardian-01/command")  # sent after it, and came: so the other did not
    assert [topic for topic, _ in curious.heard] == ["guardian/guardian-01/command"]


def test_home_assistant_on_the_same_machine_commands_and_cannot_forge(connect: type[Peer]) -> None:
    home, device = connect("homeassistant", port=1883), connect("guardian-01")
    device.listens("homeassistant/status")
    assert home.says("guardian/guardian-01/command")
    assert home.says("homeassistant/status")
    assert device.hears("homeassistant/status")  # and tells of itself again
    assert not device.says("homeassistant/status")
    assert not home.says("guardian/guardian-01/state")
    assert not home.says("guardian/guardian-01/receipt")  # it stores nothing: only the station may say that an alarm has arrived


@pytest.mark.parametrize(("user", "password"), [("guardian-01", "wrong"), ("nobody", "secret"), ("anonymous", None)])
def test_strangers_are_refused(connect: type[Peer], user: str, password: str | None) -> None:
    assert connect(user, password).refused in BAD_USER


def test_without_tls_or_a_certificate_there_is_no_way_in(broker: Broker) -> None:
    context = ssl.create_default_context(cafile=str(broker.certs / "ca.crt"))
    with (
        socket.create_connection(("localhost", broker.ports[8884]), timeout=WAIT_S) as plain,
        pytest.raises((ssl.SSLError, OSError)),
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        wrapped.recv(1)  # TLS 1.3 tells of the missing certificate at the first read
