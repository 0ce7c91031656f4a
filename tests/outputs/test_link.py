"""Stories of the real link: what the builder got wrong is said at start, and no broker can break it."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guardian.config import Config, ConfigError, load
from guardian.outputs.link import PahoLink, Word
from tests.conftest import absent

CONNACK = bytes([0x20, 3, 0, 0, 0])
SUBACK = bytes([0x90, 5, 0, 1, 0, 1, 1])


def configured(**mqtt: Any) -> Config:
    return load(local=None, overrides={"mqtt": {"host": "127.0.0.1", **mqtt}})


def until(link: PahoLink, seen: Callable[[list[Word]], bool], limit_s: float = 10.0) -> list[Word]:
    """All words until the condition holds."""
    words: list[Word] = []
    while not seen(words):
        assert limit_s > 0, words
        limit_s -= max(link.wait(min(limit_s, 0.5)), 1e-4)
        words += link.poll()
    return words


class Rogue:
    """A server that says what it likes: one list of answers per connection, each sent after something was received."""

    def __init__(self, *connections: list[bytes]) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.received: list[bytes] = []
        self._connections = connections
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for answers in self._connections:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            self._open.append(peer)
            for answer in answers:
                self.received.append(peer.recv(4096))
                peer.sendall(answer)

    def close(self) -> None:
        self.server.close()
        for peer in self._open:
            peer.close()


@pytest.fixture
def rogue() -> Iterator[Callable[..., Rogue]]:
    made: list[Rogue] = []

    def make(*connections: list[bytes]) -> Rogue:
        made.append(Rogue(*connections))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def link() -> Iterator[Callable[..., PahoLink]]:
    made: list[PahoLink] = []

    def make(**mqtt: Any) -> PahoLink:
        made.append(PahoLink(configured(**mqtt)))
        return made[-1]

    yield make
    for one in made:
        one.close(farewell=False)


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate, its key, and the key under a pass phrase."""
    folder = tmp_path_factory.mktemp("pem")
    try:
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "key", "-out", "crt", "-days", "2"]
        subprocess.run(make, cwd=folder, check=True, capture_output=True)
        lock = ["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", "key", "-out", "locked"]
        subprocess.run(lock, cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        absent("openssl", "openssl is not installed")
    return folder


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"username": "u", "password_file": "/nowhere/pw"}, ["mqtt.password_file", "/nowhere/pw", "No such file"]),
        ({"password_file": "/nowhere/pw"}, ["mqtt.password_file", "mqtt.username"]),
        ({"tls": True, "ca_file": "/nowhere/ca"}, ["mqtt.ca_file", "/nowhere/ca", "No such file"]),
        ({"tls": True, "ca_file": "{pem}/key"}, ["mqtt.ca_file", "{pem}/key", "no PEM certificate"]),
        ({"tls": True, "cert_file": "{pem}/crt"}, ["mqtt.cert_file", "mqtt.key_file", "both"]),
        ({"tls": True, "cert_file": "{pem}/crt", "key_file": "/nowhere/key"}, ["mqtt.key_file", "/nowhere/key"]),
        ({"tls": True, "cert_file": "{pem}/key", "key_file": "{pem}/crt"}, ["mqtt.cert_file", "mqtt.key_file"]),
        ({"tls": True, "cert_file": "{pem}/crt", "key_file": "{pem}/locked"}, ["mqtt.key_file", "{pem}/locked", "pass phrase"]),
        ({"ca_file": "{pem}/crt"}, ["mqtt.tls"]),
        ({"host": "a..b"}, ["mqtt.host", "a..b"]),
        ({"host": ""}, ["mqtt.host"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_work_is_refused_at_start_naming_key_and_file(pem: Path, keys: dict[str, Any], words: list[str]) -> None:
    filled = {key: value.format(pem=pem) if isinstance(value, str) else value for key, value in keys.items()}
    with pytest.raises(ConfigError) as refused:
        PahoLink(configured(**filled))
    for word in words:
        assert word.format(pem=pem) in str(refused.value)


def test_without_a_broker_nothing_is_taken_and_the_reason_is_said(link: Callable[..., PahoLink]) -> None:
    with socket.socket() as probe:  # bound, but not listening: refused
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        one = link(port=port)
        assert one.publish("t", b"x", 1, False) is None
        (word,) = until(one, bool)
    assert word[0] == "down" and f"127.0.0.1:{port}" in word[1] and "refused" in word[1].lower()
    assert one.publish("t", b"x", 1, False) is None


def test_a_refused_login_says_so(link: Callable[..., PahoLink], rogue: Callable[..., Rogue], tmp_path: Path) -> None:
    server = rogue([bytes([0x20, 3, 0, 0x87, 0])])
    (tmp_path / "pw").write_text("secret\n")
    words = until(link(port=server.port, username="guardian-01", password_file=str(tmp_path / "pw")), bool)
    assert "Not authorized" in str(words[0])
    assert b"secret" in server.received[0] and b"secret\n" not in server.received[0], "the line's end is no part of the password"


def test_connected_means_that_commands_will_arrive(link: Callable[..., PahoLink], rogue: Callable[..., Rogue]) -> None:
    server = rogue([CONNACK, SUBACK])
    one = link(port=server.port)
    assert until(one, bool) == [("up",)]
    subscribe = server.received[1]
    assert b"guardian/guardian-01/command" in subscribe and b"guardian/guardian-01/receipt" in subscribe
    token = one.publish("t", b"x", 1, False)
    assert token is not None


@pytest.mark.parametrize("garbage", [b"\xff" * 64, bytes([0x90, 4, 0, 1, 0, 0x33])], ids=["noise", "unknown_reason"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # paho 2.1's thread dies of it: that is the story
def test_a_broker_that_talks_nonsense_does_not_end_the_link(
    link: Callable[..., PahoLink], rogue: Callable[..., Rogue], garbage: bytes
) -> None:
    server = rogue([CONNACK, garbage], [CONNACK, SUBACK], [CONNACK, SUBACK])
    one = link(port=server.port, keepalive_s=5)
    assert ("up",) in until(one, lambda words: ("up",) in words, limit_s=20)
    assert len(server.received) >= 3, "on another connection"


def test_messages_that_come_too_fast_are_dropped_and_counted_and_nothing_else_is(
    link: Callable[..., PahoLink], rogue: Callable[..., Rogue]
) -> None:
    topic = b"guardian/guardian-01/command"
    publish = bytes([0x30, 2 + len(topic) + 1 + 2, 0, len(topic)]) + topic + b"\x00{}"
    server = rogue([CONNACK, SUBACK + publish * 1000], [CONNACK, SUBACK])
    one = link(port=server.port)
    gone = threading.Event()
    while one.dropped < 700:
        assert not gone.wait(0.01)
    server._open[0].close()
    words = until(one, lambda words: words.count(("up",)) >= 2, limit_s=20)
    assert sum(word[0] == "message" for word in words) + one.dropped == 1000
    assert [word[0] for word in words if word[0] != "message"] == ["up", "down", "up"]


def test_closing_a_link_that_never_connected_is_quick() -> None:
    one = PahoLink(configured(host="192.0.2.1"))  # TEST-NET: packets vanish
    closed = threading.Thread(target=one.close, args=(True,))
    closed.start()
    closed.join(2.5)
    assert not closed.is_alive()
    one.close(farewell=True)
