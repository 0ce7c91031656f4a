"""The caregivers' end against a real mosquitto on loopback: MQTT 5 and 3.1.1, kills, refusals, TLS with client certificates."""

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from guardian import contract
from guardian.config import load
from guardian.frame import Command, Frame
from guardian.hardware import MonotonicClock
from guardian.outputs.link import PahoLink
from guardian.outputs.mqtt import Mqtt
from guardian.outputs.outbox import Outbox
from guardian.outputs.wall import WallClock
from guardian.outputs.writer import ThreadWriter
from guardian.verdict import Alarm, Event, Gap, Motion, Obstacle, State, Verdict
from lab.durability import Broker, Subscriber, count, start_device, trial
from tests.conftest import absent

LIMIT_S = 20.0
S = 1_000_000_000


class Device:
    """A device's outputs towards caregivers, on the machine's own clock."""

    def __init__(self, folder: Path, port: int, protocol: int = 5, **mqtt: Any) -> None:
        keys = {"host": "127.0.0.1", "port": port, "protocol": protocol, "state_s": 1.0, **mqtt}
        overrides = {"mqtt": keys, "outbox": {"backoff_first_s": 0.5, "backoff_last_s": 1.0, "repeat_s": 2.0}}
        self.config = load(local=None, overrides=overrides)
        self.clock = MonotonicClock()
        self.writer = ThreadWriter("outbox")
        self.outbox = Outbox(folder / "outbox.sqlite", self.config.outbox, self.writer, WallClock())
        self.link = PahoLink(self.config)
        self.mqtt = Mqtt(self.config, self.outbox, self.link, "test")
        self.fields: dict[str, Any] = {}
        self.asked: list[Command] = []
        self.seq = 0

    def tick(self, *events: Event) -> None:
        now_ns = self.clock.now_ns()
        said: dict[str, Any] = {"state": State.GUARDING, "alarm": None, **self.fields}
        verdict = Verdict(
            now_ns, obstacle=Obstacle.CLEAR, alert=None, events=events, motion=Motion(), gap=Gap(), session=None, exercise="walk", **said
        )
        self.outbox.apply(Frame(now_ns), verdict)
        self.mqtt.apply(Frame(now_ns), verdict)
        self.asked += self.mqtt.commands()

    def raises(self, event_type: str = "fall") -> str:
        install, boot = self.outbox.identity()
        self.seq += 1
        event = Event(f"{install}-{boot}-{self.seq}", self.seq, event_type, self.clock.now_ns(), "walk")
        self.tick(event)
        return event.id

    def until(self, so: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        """Tick until it is so; fail at the limit."""
        end_ns = self.clock.now_ns() + int(limit_s * S)
        while not so():
            assert self.clock.now_ns() < end_ns, f"not within {limit_s} s; faults: {self.faults()}"
            self.tick()
            self.link.wait(0.01)

    def faults(self) -> list[str]:
        return [fault.name for fault in (*self.outbox.faults(), *self.mqtt.faults())]

    def close(self) -> None:
        self.mqtt.close()
        self.outbox.close()
        self.writer.close()


class Caregiver:
    """A plain MQTT client that sees everything under a device's topics."""

    def __init__(self, port: int, protocol: int = 5, topic: str = "guardian/guardian-01/#", tls: dict[str, str] | None = None) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.subscribed = threading.Event()
        v5 = protocol == 5
        kind = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="caregiver", protocol=kind)
        if tls:
            self.client.tls_set(**tls)
        self.client.on_connect = lambda *_: self.client.subscribe(topic, qos=1) and None
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._on_message
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        assert self.subscribed.wait(LIMIT_S)

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        self.seen.append((message.topic.rsplit("/", 1)[1], message.payload))

    def last(self, leaf: str) -> bytes:
        return next((payload for topic, payload in reversed(self.seen) if topic == leaf), b"")

    def ids(self) -> list[str]:
        return [contract.parse_receipt(payload).id for topic, payload in list(self.seen) if topic == "event"]

    def says(self, leaf: str, text: str, retain: bool = False) -> None:
        self.client.publish(f"guardian/guardian-01/{leaf}", text, qos=1, retain=retain)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Whatever is passed through it is closed (or killed) at the end, last first."""
    made: list[Any] = []

    def keep(one: Any) -> Any:
        made.append(one)
        return one

    yield keep
    for one in reversed(made):
        (one.kill if hasattr(one, "kill") else one.close)()


@pytest.fixture
def broker(mosquitto: str, tmp_path: Path, opened: Callable[[Any], Any]) -> Broker:
    made = Broker(mosquitto, tmp_path)
    opened(made)
    made.start()
    return made


@pytest.mark.parametrize("protocol", [5, 311])
def test_an_alarm_goes_round_and_its_receipt_ends_it(broker: Broker, tmp_path: Path, opened: Callable[[Any], Any], protocol: int) -> None:
    caregiver = opened(Caregiver(broker.port, protocol))
    device = opened(Device(tmp_path, broker.port, protocol))
    id_ = device.raises("fall")
    device.until(lambda: id_ in caregiver.ids())
    device.until(lambda: len(device.outbox) == 0)
    caregiver.says("receipt", f'{{"id":"{id_}"}}')
    device.until(lambda: device.outbox.receipts_known(device.clock.now_ns()))
    second = device.raises("sos")
    device.until(lambda: caregiver.ids().count(second) >= 2)
    assert second in device.outbox, "acknowledged, but nobody has said that it is stored"
    caregiver.says("receipt", f'{{"id":"{second}"}}')
    device.until(lambda: len(device.outbox) == 0)
    assert device.faults() == []


@pytest.mark.parametrize("protocol", [5, 311])
def test_a_command_arrives_once_and_a_retained_one_never(
    broker: Broker, tmp_path: Path, opened: Callable[[Any], Any], protocol: int
) -> None:
    caregiver = opened(Caregiver(broker.port, protocol))
    caregiver.says("command", '{"v":1,"cmd":"clear","id":"old","for":"x-1-1"}', retain=True)
    device = opened(Device(tmp_path, broker.port, protocol))
    device.fields = {"state": State.FALLEN, "alarm": Alarm("x-1-1", "fall", 1)}
    device.until(lambda: caregiver.last("availability") == b"online")
    for _ in range(2):
        caregiver.says("command", '{"v":1,"cmd":"ack","id":"new","for":"x-1-1"}')
    device.until(lambda: bool(device.asked))
    ignored = 1 if protocol == 5 else 2  # 3.1.1 cannot ask the broker to keep retained ones back
    device.until(lambda: device.mqtt.ignored >= ignored)
    assert device.mqtt.ignored == ignored
    assert [(asked.cmd, asked.id) for asked in device.asked] == [("ack", "new")]


def test_nobody_subscribed_is_a_fault_until_somebody_is_and_gets_it(broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    device = opened(Device(tmp_path, broker.port))
    id_ = device.raises("fall")
    device.until(lambda: device.faults() == ["nobody_listening"])
    assert id_ in device.outbox
    caregiver = opened(Caregiver(broker.port))
    device.until(lambda: id_ in caregiver.ids() and device.faults() == [])


def test_a_broker_killed_in_the_alarm_costs_a_delay_and_no_alarm(broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    subscriber = opened(Subscriber(broker.port, 5, receipts=True))
    assert subscriber.ready.wait(LIMIT_S)
    device = opened(Device(tmp_path, broker.port))
    first = device.raises("fall")
    device.until(lambda: len(device.outbox) == 0)
    broker.kill()
    second = device.raises("sos")
    device.tick()
    broker.start()
    device.until(lambda: len(device.outbox) == 0)
    assert subscriber.wait_for({first, second}, LIMIT_S) == set()


def test_a_device_killed_between_write_and_publish_tells_it_after_the_restart(
    broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]
) -> None:
    broker.kill()  # nothing can be published now
    device = opened(start_device(tmp_path, broker.port, 5, alerts=3, rate_hz=50.0))
    gone = threading.Event()
    for _ in range(2000):
        if count(tmp_path) == 3:
            break
        assert not gone.wait(0.01)
    device.send_signal(signal.SIGKILL)
    device.wait()
    raised = set((tmp_path / "raised").read_text().split())
    assert len(raised) == 3
    broker.start()
    subscriber = opened(Subscriber(broker.port, 5, receipts=True))
    assert subscriber.ready.wait(LIMIT_S)
    again = opened(start_device(tmp_path, broker.port, 5, alerts=3, rate_hz=50.0))
    assert subscriber.wait_for(raised, LIMIT_S) == set()
    assert again.wait(LIMIT_S) == 0, "and it ends when all has arrived"


def test_a_killed_device_is_lost_and_a_stopped_one_is_switched_off(broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    caregiver = opened(Caregiver(broker.port))
    device = Device(tmp_path, broker.port)
    device.until(lambda: caregiver.last("availability") == b"online")
    device.close()  # not told to power off
    device = opened(Device(tmp_path, broker.port))
    device.until(lambda: [payload for leaf, payload in caregiver.seen if leaf == "availability"] == [b"online", b"offline", b"online"])
    device.until(lambda: b'"power":"on"' in caregiver.last("state"))
    device.fields = {"state": State.FALLEN, "alarm": Alarm("x-1-1", "fall", 1), "powering_off": True}
    id_ = device.raises("fault")
    device.close()
    late = opened(Caregiver(broker.port, topic="guardian/guardian-01/+"))  # what is retained
    assert id_ in caregiver.ids()
    wait = threading.Event()
    for _ in range(500):
        if late.last("state") and late.last("availability"):
            break
        wait.wait(0.01)
    assert late.last("availability") == b"offline"
    assert b'"power":"off"' in late.last("state") and b'"alarm_id":"x-1-1"' in late.last("state")


def test_a_broker_that_is_gone_is_a_fault_and_its_return_ends_it(broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    device = opened(Device(tmp_path, broker.port, keepalive_s=5))
    device.raises("coach")
    device.until(lambda: device.mqtt.faults() == () and device.outbox.faults() != ())  # connected: nobody listens
    broker.kill()
    device.until(lambda: "link_down" in device.faults(), limit_s=9.0)
    broker.start()
    device.until(lambda: "link_down" not in device.faults(), limit_s=40.0)


@pytest.mark.parametrize("protocol", [5, 311])
def test_sixty_alerts_through_two_broker_and_four_device_kills(mosquitto: str, tmp_path: Path, protocol: int) -> None:
    result = trial(mosquitto, tmp_path, protocol, True, alerts=60, broker_kills=2, device_kills=4, seed=protocol, rate_hz=30.0)
    assert result["raised"] >= 60 and result["lost"] == 0 and result["device_done"] == 1


# --- TLS, client certificates, rights

ACL = "pattern readwrite guardian/%u/#\nuser caregiver\ntopic readwrite guardian/#\n"


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.crt, and NAME.crt, NAME.key for the server, the device and the caregiver, all of this test's own authority."""
    if shutil.which("openssl") is None:
        absent("openssl", "openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *new, "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2")
    for name in ("server", "guardian-01", "guardian-02", "caregiver"):
        openssl(folder, "req", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", "csr")
        (folder / "ext").write_text("subjectAltName = IP:127.0.0.1\n" if name == "server" else "extendedKeyUsage = clientAuth\n")
        openssl(
            folder, "x509", "-req", "-in", "csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-days", "2",
            "-out", f"{name}.crt",
        )  # fmt: skip
    return folder


@pytest.fixture
def secured(mosquitto: str, certificates: Path, tmp_path: Path, opened: Callable[[Any], Any]) -> Broker:
    (tmp_path / "acl").write_text(ACL)
    files = f"cafile {certificates}/ca.crt\ncertfile {certificates}/server.crt\nkeyfile {certificates}/server.key"
    rights = f"require_certificate true\nuse_identity_as_username true\nallow_anonymous false\nacl_file {tmp_path}/acl"
    made: Broker = opened(Broker(mosquitto, tmp_path, f"{files}\n{rights}"))
    made.start()
    return made


def papers(certificates: Path, name: str) -> dict[str, Any]:
    return {
        "tls": True,
        "ca_file": str(certificates / "ca.crt"),
        "cert_file": str(certificates / f"{name}.crt"),
        "key_file": str(certificates / f"{name}.key"),
    }


@pytest.mark.parametrize("protocol", [5, 311])
def test_with_its_certificate_the_device_is_let_in_and_its_alarm_arrives(
    secured: Broker, certificates: Path, tmp_path: Path, opened: Callable[[Any], Any], protocol: int
) -> None:
    files = {
        name: str(certificates / f"{file}")
        for name, file in [("ca_certs", "ca.crt"), ("certfile", "caregiver.crt"), ("keyfile", "caregiver.key")]
    }
    caregiver = opened(Caregiver(secured.port, protocol, tls=files))
    device = opened(Device(tmp_path, secured.port, protocol, **papers(certificates, "guardian-01")))
    id_ = device.raises("fall")
    device.until(lambda: id_ in caregiver.ids() and len(device.outbox) == 0)


def test_another_devices_certificate_may_not_speak_for_this_one(
    secured: Broker, certificates: Path, tmp_path: Path, opened: Callable[[Any], Any]
) -> None:
    device = opened(Device(tmp_path, secured.port, **papers(certificates, "guardian-02")))
    id_ = device.raises("fall")
    device.until(lambda: "event_refused" in device.faults())
    assert id_ in device.outbox, "set aside, not lost"


def test_a_server_of_another_authority_is_not_believed(
    secured: Broker, certificates: Path, tmp_path: Path, opened: Callable[[Any], Any]
) -> None:
    openssl(
        tmp_path, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-keyout", "k", "-out", "other.crt", "-days", "2"
    )
    device = opened(Device(tmp_path, secured.port, **{**papers(certificates, "guardian-01"), "ca_file": str(tmp_path / "other.crt")}))
    device.until(lambda: "certificate verify failed" in device.mqtt.why)


def test_no_certificate_no_connection(secured: Broker, tmp_path: Path, certificates: Path, opened: Callable[[Any], Any]) -> None:
    device = opened(Device(tmp_path, secured.port, tls=True, ca_file=str(certificates / "ca.crt"), keepalive_s=5))
    device.raises("fall")
    device.until(lambda: device.mqtt.why != "never connected")
    assert len(device.outbox) == 1 and secured.log().count("guardian-guardian-01") == 0


def test_user_and_password_are_checked(mosquitto: str, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    passwd = shutil.which("mosquitto_passwd")
    if passwd is None:
        absent("mosquitto", "mosquitto_passwd is not installed")
    (tmp_path / "users").touch(0o600)
    subprocess.run([str(passwd), "-b", str(tmp_path / "users"), "guardian-01", "secret"], check=True, capture_output=True)
    broker: Broker = opened(Broker(mosquitto, tmp_path, f"allow_anonymous false\npassword_file {tmp_path}/users"))
    broker.start()
    (tmp_path / "word").write_text("wrong\n")
    keys = {"username": "guardian-01", "password_file": str(tmp_path / "word"), "keepalive_s": 5}
    refused = opened(Device(tmp_path, broker.port, **keys))
    refused.until(lambda: "Not authorized" in refused.mqtt.why)
    (tmp_path / "word").write_text("secret\n")
    device = opened(Device(tmp_path, broker.port, **keys))
    device.raises("coach")
    device.until(lambda: "nobody_listening" in device.faults())
