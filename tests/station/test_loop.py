"""What the watchdog asks: a part that hangs, or has ended, is known; a database that is down is not a hang."""

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from guardian.station import loop, run, watch
from guardian.station.live import Live
from guardian.station.push import Sender
from guardian.station.tables import Table
from guardian.station.watch import Watch
from tests.station.house import House, sqlite
from tests.station.ward import settings, soon

PARTS = ("push", "watch", "live")


class Hangs:
    """A clock that can stop, and whoever asks it with it."""

    def __init__(self, house: House) -> None:
        self.house, self.go, self.asked = house, threading.Event(), 0
        self.go.set()

    def __call__(self) -> datetime:
        assert self.go.wait(20)
        self.asked += 1
        return self.house.time


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(loop, "ROUND_S", 0.5)
    monkeypatch.setattr(watch, "LOOK_S", 0.02)
    return House(sqlite(tmp_path), page={"refresh_s": 0.05})


@pytest.fixture
def clock(house: House) -> Iterator[Hangs]:
    made = Hangs(house)
    yield made
    made.go.set()


def part(name: str, house: House, clock: Hangs) -> Any:
    if name == "push":
        return Sender(house.settings, house.store, clock, house.phones.deliver)
    if name == "watch":
        return Watch(house.settings, house.store, lambda: house.live.now, clock, lambda: None)
    return Live(house.store, house.settings, clock)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_hangs_is_known_and_so_is_one_that_goes_on_or_has_ended(name: str, house: House, clock: Hangs) -> None:
    one = part(name, house, clock)
    assert not one.works(), "not begun"
    one.start()
    seen = clock.asked
    soon(lambda: clock.asked > seen + 40, "rounds, for longer than one may take")
    soon(one.works)
    clock.go.clear()
    soon(lambda: not one.works(), "that it hangs")
    clock.go.set()
    soon(one.works, "that it goes on")
    one.close()
    assert not one.works()


@pytest.mark.parametrize("name", PARTS)
def test_a_database_that_is_down_is_not_a_hang(name: str, house: House, clock: Hangs) -> None:
    one = part(name, house, clock)
    one.start()
    with house.store.engine.execution_options(writes=True).begin() as connection:
        Table.metadata.drop_all(connection)
    failed = clock.asked
    soon(lambda: clock.asked > failed + 40, "it goes on trying")
    soon(one.works)
    one.close()


def test_a_part_that_a_mistake_has_ended_is_known(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    one = Watch(house.settings, house.store, lambda: 1 // 0, house.clock, lambda: None)  # type: ignore[arg-type,return-value]
    one.start()
    soon(lambda: not one.works(), "that it has ended")


def test_the_watchdog_asks_every_part_that_calls_for_help_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, bool] = {}

    class Served:
        def __init__(self, page: object, accounts: object, works: dict[str, Any]) -> None:
            self.works = works

        def run(self) -> None:
            said.update({name: does() for name, does in self.works.items()})

    monkeypatch.setattr(run, "server", Served)
    monkeypatch.setattr(run.pages, "build", lambda *_: None)
    monkeypatch.setattr(run.signal, "signal", lambda *_: None)
    run.run(settings(tmp_path, 1))
    assert said == {"live": True, "push": True, "watch": True, "intake": True}
