"""systemd hears from us while all is well, and only then: a real datagram socket plays systemd."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardian import config
from guardian.frame import Frame
from guardian.outputs.watchdog import Watchdog
from guardian.verdict import Gap, Motion, Obstacle, State, Verdict

VERDICT = Verdict(0, State.GUARDING, Obstacle.CLEAR, None, (), Motion(), Gap(), None, None, "walk")
LIMIT = config.Watchdog(worker_stall_s=10.0)
TICK_NS = 10_000_000


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.link.bind("\0" + address[1:] if address.startswith("@") else address)
        self.link.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.link.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    end = Systemd(f"@guardian-test-{tmp_path}"[:100] if request.param == "abstract" else str(tmp_path / "notify"))
    yield end
    end.link.close()


def run(watchdog: Watchdog, seconds: float, start_s: float = 0.0) -> None:
    start = int(start_s * 1e9)
    for t_ns in range(start, start + int(seconds * 1e9), TICK_NS):
        watchdog.apply(Frame(t_ns), VERDICT)


def test_ready_once_then_fed_every_third_of_its_time(systemd: Systemd) -> None:
    watchdog = Watchdog(LIMIT, {}, systemd.environ)
    assert systemd.heard() == []  # not before the loop turns
    run(watchdog, 2.0)
    assert systemd.heard() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    watchdog.close()
    assert systemd.heard() == ["STOPPING=1"]


def test_a_hung_worker_starves_the_watchdog_and_says_which(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    stalled = {"outbox": 0.0, "recorder": 9.9}
    watchdog = Watchdog(LIMIT, {name: lambda t_ns, name=name: stalled[name] for name in stalled}, systemd.environ)
    run(watchdog, 1.0)
    assert systemd.heard().count("WATCHDOG=1") == 2
    stalled["recorder"] = 10.1
    run(watchdog, 5.0, start_s=1.4)
    assert systemd.heard() == ["STATUS=recorder hangs: waiting for the restart"]
    assert [fault.detail for fault in watchdog.faults()] == ["recorder: hangs"]
    assert len(caplog.records) == 1
    stalled["recorder"] = 0.0
    run(watchdog, 0.1, start_s=7.0)
    assert systemd.heard() == ["STATUS=", "WATCHDOG=1"]
    assert watchdog.faults() == ()


def test_workers_are_asked_by_the_loops_own_clock(systemd: Systemd) -> None:
    watchdog = Watchdog(LIMIT, {"outbox": lambda t_ns: t_ns / 1e9}, systemd.environ)  # busy since time zero
    run(watchdog, 4.0, start_s=8.0)
    assert systemd.heard().count("WATCHDOG=1") == 3  # at 8.00, 8.67 and 9.34 s; at 10.01 s no more


def test_without_systemd_nothing_is_sent_and_nothing_fails() -> None:
    watchdog = Watchdog(LIMIT, {}, {})
    run(watchdog, 1.0)
    watchdog.close()
    assert watchdog.faults() == ()


def test_ready_alone_where_no_watchdog_is_set(systemd: Systemd) -> None:
    del systemd.environ["WATCHDOG_USEC"]
    run(Watchdog(LIMIT, {}, systemd.environ), 20.0)
    assert systemd.heard() == ["READY=1"]


def test_an_unreachable_systemd_is_tried_again(systemd: Systemd) -> None:
    """systemd's socket is full when systemd is busy: ready must not be lost by it."""
    watchdog = Watchdog(LIMIT, {}, systemd.environ | {"NOTIFY_SOCKET": systemd.environ["NOTIFY_SOCKET"] + "-absent"})
    with pytest.raises(OSError, match=r"refused|No such file"):
        watchdog.apply(Frame(0), VERDICT)
    late = Systemd(systemd.environ["NOTIFY_SOCKET"] + "-absent")
    run(watchdog, 0.5, start_s=0.01)
    assert late.heard() == []  # not at every tick
    run(watchdog, 0.5, start_s=0.6)
    assert late.heard() == ["READY=1", "WATCHDOG=1"]
    late.link.close()
