"""What Home Assistant finds at a real mosquitto, and `guardian retire`, which takes it back. (Home Assistant itself: lab/homeassistant.)"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from guardian import app
from guardian.__main__ import main
from guardian.config import load
from guardian.outputs.discovery import payloads
from guardian.outputs.link import PahoLink
from guardian.verdict import Alarm, Resume, State
from lab.durability import Broker
from tests.integration.test_mosquitto import LIMIT_S, Caregiver, Device

DISCOVERY = "homeassistant/+/guardian-01/+/config"
ENTITIES = 14


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def started(mosquitto: str, folder: Path, stack: ExitStack, lines: str = "allow_anonymous true") -> Broker:
    broker = Broker(mosquitto, folder, lines)
    stack.callback(broker.kill)
    broker.start()
    return broker


@pytest.fixture
def broker(mosquitto: str, tmp_path: Path, stack: ExitStack) -> Broker:
    return started(mosquitto, tmp_path, stack)


def connected(stack: ExitStack, folder: Path, port: int, protocol: int = 5) -> Device:
    device = Device(folder, port, protocol)
    stack.callback(device.close)
    return device


def listening(stack: ExitStack, port: int, topic: str) -> Caregiver:
    caregiver = Caregiver(port, topic=topic)
    stack.callback(caregiver.close)
    return caregiver


def retained(port: int) -> dict[str, bytes]:
    """What the broker gives to a newcomer."""
    found: dict[str, bytes] = {}
    done = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _c, _u, message: done.set() if message.topic == "end" else found.update({message.topic: message.payload})
    client.on_connect = lambda *_: client.subscribe("#", qos=1) and None
    client.on_subscribe = lambda *_: client.publish("end", b"x", qos=1) and None  # it comes after what is retained
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert done.wait(LIMIT_S)
    client.disconnect()
    client.loop_stop()
    return found


def retire(folder: Path, port: int, *words: str) -> int:
    keys = ("mqtt.host=127.0.0.1", f"mqtt.port={port}", f"device.state_dir={folder / 'state'}")
    return main(["retire", *(word for key in keys for word in ("--set", key)), *words])


@pytest.mark.parametrize("protocol", [5, 311])
def test_home_assistant_finds_the_device_whenever_it_starts(broker: Broker, tmp_path: Path, stack: ExitStack, protocol: int) -> None:
    device = connected(stack, tmp_path, broker.port, protocol)
    home = listening(stack, broker.port, DISCOVERY)
    device.until(lambda: len(home.seen) >= ENTITIES)
    assert {topic for topic in retained(broker.port) if topic.startswith("homeassistant/")} == set(payloads(device.config, "test"))
    home.seen.clear()
    home.client.publish("homeassistant/status", b"online", qos=0)
    device.until(lambda: len(home.seen) >= ENTITIES)
    assert [payload for _, payload in home.seen] == list(payloads(device.config, "test").values())
    assert device.mqtt.ignored == 0


def test_a_retained_birth_of_long_ago_changes_nothing(broker: Broker, tmp_path: Path, stack: ExitStack) -> None:
    home = listening(stack, broker.port, DISCOVERY)
    home.client.publish("homeassistant/status", b"online", qos=1, retain=True).wait_for_publish(LIMIT_S)
    device = connected(stack, tmp_path, broker.port, 311)
    device.until(lambda: len(home.seen) >= ENTITIES)
    assert device.mqtt.ignored == 0


def test_a_broker_that_allows_no_discovery_gets_the_alarm_all_the_same(
    mosquitto: str, tmp_path: Path, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acl").write_text("topic readwrite guardian/#\n")
    broker = started(mosquitto, tmp_path, stack, f"allow_anonymous true\nacl_file {tmp_path}/acl")
    home = listening(stack, broker.port, "guardian/#")
    device = connected(stack, tmp_path, broker.port)
    device.until(lambda: "refuses Home Assistant's discovery" in caplog.text)
    id_ = device.raises("fall")
    device.until(lambda: id_ in home.ids() and len(device.outbox) == 0)
    assert device.faults() == []
    assert caplog.text.count("refuses Home Assistant's discovery") == 1


# --- guardian retire


@pytest.mark.parametrize("protocol", [5, 311])
def test_retire_leaves_nothing_at_the_broker_and_says_so(
    broker: Broker, tmp_path: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str], protocol: int
) -> None:
    device = connected(stack, tmp_path, broker.port, protocol)
    device.until(lambda: len(retained(broker.port)) == ENTITIES + 2)
    device.close()
    other = b'{"v":1}'
    keeper = listening(stack, broker.port, "guardian/guardian-02/#")
    keeper.client.publish("guardian/guardian-02/state", other, qos=1, retain=True).wait_for_publish(LIMIT_S)
    assert retire(tmp_path, broker.port, "--set", f"mqtt.protocol={protocol}") == 0
    assert retained(broker.port) == {"guardian/guardian-02/state": other}, "another device's stays"
    said = capsys.readouterr().out
    assert "14 of 14" in said and "guardian/guardian-01/state" in said and "guardian/guardian-01/availability" in said


def test_what_a_simulated_story_left_can_be_taken_back_too(broker: Broker, tmp_path: Path) -> None:
    assert main(["sim", "walk_and_stop_at_a_wall", "--fast", "--broker", f"127.0.0.1:{broker.port}"]) == 0
    assert any("sim-guardian-01" in topic for topic in retained(broker.port))
    assert retire(tmp_path, broker.port, "--set", "device.id=sim-guardian-01") == 0
    assert retained(broker.port) == {}


def test_retire_refuses_while_the_guardian_runs(broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with app.locked(app.Places(tmp_path / "state")):
        assert retire(tmp_path, broker.port) == 2
    assert "systemctl stop" in capsys.readouterr().err


def test_retire_refuses_while_caregivers_see_an_alarm(broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal.json").write_bytes(msgspec.json.encode(Resume("x", 1, State.FALLEN, Alarm("x-1-4", "fall", 0))))
    assert retire(tmp_path, broker.port) == 1
    assert "x-1-4" in capsys.readouterr().err
    assert retire(tmp_path, broker.port, "--yes") == 0


def test_retire_says_that_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert retire(tmp_path, port) == 2
    error = capsys.readouterr().err
    assert "refused" in error and "mqtt.host" in error and str(port) in error and "Traceback" not in error


def test_retire_says_what_the_broker_refuses(mosquitto: str, tmp_path: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acl").write_text("topic readwrite guardian/#\n")
    broker = started(mosquitto, tmp_path, stack, f"allow_anonymous true\nacl_file {tmp_path}/acl")
    assert retire(tmp_path, broker.port) == 1
    out, error = capsys.readouterr()
    assert error.count("acl") == ENTITIES and "homeassistant/button/guardian-01/ack/config" in error
    assert "0 of 14" in out and "taken back: guardian/guardian-01/state" in out


def test_retire_with_a_wrong_password_says_so(mosquitto: str, tmp_path: Path, stack: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
    broker = started(mosquitto, tmp_path, stack, "allow_anonymous false")
    (tmp_path / "word").write_text("secret-word\n")
    keys = ("--set", "mqtt.username=guardian-01", "--set", f"mqtt.password_file={tmp_path / 'word'}")
    assert retire(tmp_path, broker.port, *keys) == 2
    error = capsys.readouterr().err
    assert "Not authorized" in error and "secret-word" not in error


def test_without_a_broker_there_is_nothing_to_retire(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retire(tmp_path, 1883, "--set", "mqtt.enabled=false") == 2
    assert "mqtt.enabled" in capsys.readouterr().err


@pytest.mark.parametrize(("will", "left"), [(False, {}), (True, {"guardian/guardian-01/availability": b"offline"})])
def test_killed_in_its_middle_retire_leaves_no_last_will(broker: Broker, will: bool, left: dict[str, bytes]) -> None:
    link = PahoLink(load(local=None, overrides={"mqtt": {"host": "127.0.0.1", "port": broker.port}}), will=will)
    app.word_of(link, "up", LIMIT_S)
    link.close(farewell=False)
    for _ in range(200):
        if "disconnected" in broker.log() or "closed its connection" in broker.log():
            break
        time.sleep(0.01)
    assert retained(broker.port) == left
