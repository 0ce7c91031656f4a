"""Who speaks in another's name, at a broker with firmware_config/acl: refused by the broker, unseen by the station."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import absent
from tests.station.ward import Ward, event, settings, soon, state
from tests.test_broker_config import Broker, Peer

Opened = Callable[[Any], Any]


@pytest.fixture(scope="module")
def guarded(mosquitto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The shipped mosquitto.conf and acl."""
    for tool in ("openssl", "mosquitto_passwd"):
        if shutil.which(tool) is None:
            absent(tool, f"{tool} is not installed")
    running = Broker(mosquitto, tmp_path_factory.mktemp("guarded"))
    yield running
    running.process.terminate()
    running.process.wait(10)


@pytest.fixture
def ward(guarded: Broker, tmp_path: Path, opened: Opened) -> Ward:
    """A station with its own user, by TLS."""
    (tmp_path / "word").write_text("secret\n")
    (tmp_path / "word").chmod(0o600)
    broker = {
        "host": "localhost",
        "username": "station",
        "password_file": str(tmp_path / "word"),
        "tls": True,
        "ca_file": str(guarded.certs / "ca.crt"),
    }
    made = opened(Ward(settings(tmp_path, guarded.ports[8883], broker=broker)))
    assert isinstance(made, Ward)
    return made.start()


@pytest.fixture
def thief(guarded: Broker) -> Iterator[Peer]:
    """guardian-01, with a key of its own and bad intentions."""
    peer = Peer(guarded, "guardian-01")
    yield peer
    peer.client.disconnect()
    peer.client.loop_stop()


def test_the_station_hears_and_answers_with_the_rights_of_the_shipped_acl(ward: Ward, thief: Peer) -> None:
    thief.listens("guardian/guardian-01/receipt")
    assert thief.says("guardian/guardian-01/event", msgspec.json.encode(event(1)).decode())
    assert thief.hears("guardian/guardian-01/receipt")
    assert ward.ids() == ["a-1-1"]


def test_a_device_cannot_tell_or_silence_an_alarm_of_another(ward: Ward, thief: Peer) -> None:
    told = msgspec.json.encode(event(2, install="b")).decode()
    calm = msgspec.json.encode(state()).decode()
    for topic, payload in (
        ("guardian/guardian-02/event", told),
        ("guardian/guardian-02/state", calm),
        ("guardian/guardian-02/availability", "online"),
        ("guardian/guardian-02/receipt", '{"id":"b-1-2"}'),
        ("guardian/guardian-02/command", '{"v":1,"cmd":"clear","id":"x","for":"b-1-2"}'),
        ("guardian/guardian-01/receipt", '{"id":"a-1-2"}'),
        ("guardian/station/event", told),
        ("$share/care/guardian/guardian-02/event", told),
        ("guardian/guardian-01/event/guardian-02", told),
    ):
        assert not thief.says(topic, payload), topic
    assert thief.says("guardian/guardian-01/event", msgspec.json.encode(event(3)).decode())
    soon(lambda: "a-1-3" in ward.ids(), "the honest one after them")
    assert "b-1-2" not in ward.ids() and "guardian-02" not in ward.live.now.by_device


def test_a_device_hears_no_other_wearer(ward: Ward, thief: Peer, guarded: Broker) -> None:
    for topic in ("guardian/#", "guardian/+/event", "$share/guardian-station/guardian/+/event", "guardian/guardian-02/state"):
        thief.listens(topic)
    other = Peer(guarded, "guardian-02", certificate=True, port=8884)
    assert other.says("guardian/guardian-02/event", msgspec.json.encode(event(4, install="c")).decode())
    soon(lambda: "c-1-4" in ward.ids())
    other.client.disconnect()
    other.client.loop_stop()
    assert thief.says("guardian/guardian-01/state", "a word of its own")
    assert not [topic for topic, _ in thief.heard if "guardian-02" in topic]


def test_too_long_a_message_does_not_pass_the_broker(ward: Ward, thief: Peer, guarded: Broker) -> None:
    thrown_out = threading.Event()
    thief.client.on_disconnect = lambda *_: thrown_out.set()
    thief.client.publish("guardian/guardian-01/event", b"x" * 10_000_000, qos=1)
    assert thrown_out.wait(10)
    other = Peer(guarded, "guardian-02", certificate=True, port=8884)
    assert other.says("guardian/guardian-02/event", msgspec.json.encode(event(5, install="d")).decode())
    soon(lambda: "d-1-5" in ward.ids())
    other.client.disconnect()
    other.client.loop_stop()
    assert ward.intake.refused == 0


def test_a_station_with_the_wrong_password_says_so(guarded: Broker, tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "word").write_text("wrong\n")
    broker = {
        "host": "localhost",
        "username": "station",
        "password_file": str(tmp_path / "word"),
        "tls": True,
        "ca_file": str(guarded.certs / "ca.crt"),
    }
    ward = opened(Ward(settings(tmp_path, guarded.ports[8883], broker=broker)))
    ward.live.start()
    ward.intake.start()
    why = soon(lambda: "refuses" in ward.live.now.blind.broker and ward.live.now.blind.broker)
    assert "Not authorized" in why and "wrong" not in why
