"""The tables: kept once, found again, and gone when they should be."""

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError, StatementError

from guardian.config import ConfigError
from guardian.station import tables
from guardian.station.heard import Batch, HeardAvailability, HeardEvent, HeardState, Stored
from guardian.station.jobs import Jobs
from guardian.station.payloads import parse_event, parse_state
from guardian.station.store import Store
from guardian.station.transactions import writes
from tests.station.ward import event, one_job, settings, state

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def heard(seq: int, event_type: str = "fall", device: str = "guardian-01", at: datetime = NOW, **changed: Any) -> HeardEvent:
    return HeardEvent(device, parse_event(msgspec.json.encode(event(seq, event_type, **changed))), at)


def tell(store: Store, *events: HeardEvent) -> Stored:
    return store.write(Batch(list(events)), one_job, NOW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.opened(settings(tmp_path))


def test_two_stations_that_store_the_same_event_at_once_store_it_once(tmp_path: Path) -> None:
    stores = [Store.opened(settings(tmp_path)) for _ in range(4)]
    together = threading.Barrier(len(stores))
    new: list[str] = []

    def work(store: Store) -> None:
        for seq in range(1, 26):
            together.wait(10)
            new.extend(event.id for event in tell(store, heard(seq)).new)

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(new) == sorted({f"a-1-{seq}" for seq in range(1, 26)}), "each is new to one of them"
    assert len(Jobs(stores[0].engine).find()) == 25


def test_nothing_of_a_failed_batch_is_kept(store: Store) -> None:
    def jobs_for(*_: Any) -> Any:
        raise RuntimeError("a mistake in the push rules")

    told = msgspec.json.encode(state())
    batch = Batch([heard(1)], {"guardian-01": HeardState("guardian-01", parse_state(told), told.decode(), NOW)})
    with pytest.raises(RuntimeError):
        store.write(batch, jobs_for, NOW)
    assert store.events() == [] and store.overview() == []


def test_every_commit_is_on_disk_and_readers_do_not_wait(store: Store) -> None:
    with store.engine.connect() as connection:
        asked = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "busy_timeout")]
    assert asked == ["wal", 2, 5000]


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError):
        store.add_wearer("guardian-01", "Grandma", NOW.replace(tzinfo=None))


def test_times_come_back_as_they_went_in(store: Store) -> None:
    tell(store, heard(1, t="2026-11-22T13:59:59.123+02:00"))
    stored = store.event("a-1-1")
    assert stored is not None and stored.t == datetime(2026, 11, 22, 11, 59, 59, 123000, tzinfo=UTC) == stored.at


def test_a_device_whose_clock_is_far_ahead_does_not_tell_of_tomorrow(store: Store) -> None:
    tell(store, heard(1, t="2036-01-01T00:00:00Z"))
    stored = store.event("a-1-1")
    assert stored is not None and stored.at <= NOW + timedelta(minutes=1)


def test_tables_of_a_newer_station_are_refused(store: Store, tmp_path: Path) -> None:
    with writes(store.engine) as session:
        session.execute(update(tables.Version).values(version=99))
    with pytest.raises(ConfigError, match="upgrade guardian"):
        Store.opened(settings(tmp_path))


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:hunter2@h/db", "postgresql+nodriver://u:hunter2@h/db"])
def test_a_database_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"station\.database") as refused:
        tables.opened(url, 1.0)
    assert "hunter2" not in str(refused.value)


def test_a_database_that_says_nothing_is_an_error_and_not_a_wait_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg", reason="the postgres extra is not installed (pip install guardian[postgres])")
    monkeypatch.setitem(tables.PATIENCE, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        engine = tables.opened(f"postgresql+psycopg://station@127.0.0.1:{silent.getsockname()[1]}/guardian", 1.0)
        began_s = time.monotonic()
        with pytest.raises(OperationalError):
            engine.connect()
    assert time.monotonic() - began_s < 10


def test_an_alarm_has_the_id_of_what_opened_it_whatever_came_first(store: Store) -> None:
    tell(store, heard(3, "fall"))
    assert store.alarm_of("a-1-3") == "a-1-3"
    tell(store, heard(2, "fall_suspected"), heard(4, "long_lie"), heard(5, "cleared"), heard(6, "sos"))
    assert [store.alarm_of(f"a-1-{seq}") for seq in (2, 3, 4, 6)] == ["a-1-2", "a-1-2", "a-1-2", "a-1-6"]


def test_the_first_who_acknowledges_is_kept(store: Store) -> None:
    tell(store, heard(2, "fall_suspected"), heard(3, "fall"))
    assert store.add_ack("a-1-2", "guardian-01", "keeper", NOW + timedelta(seconds=5))
    assert not store.add_ack("a-1-2", "guardian-01", "daughter", NOW + timedelta(seconds=6))
    kept = store.ack("a-1-2")
    assert kept is not None and (kept.by, kept.at) == ("keeper", NOW + timedelta(seconds=5))


def test_history_is_found_by_what_it_says(store: Store) -> None:
    tell(
        store,
        heard(1, "fall", evidence={"rule": "impact, then 50% down"}),
        heard(2, "coach"),
        heard(3, "sos", device="guardian-02", install="b"),
    )
    assert [one.id for one in store.events(text="IMPACT")] == ["a-1-1"]
    assert [one.id for one in store.events(text="50%")] == ["a-1-1"]
    assert store.events(text="%") == store.events(text="50%") or len(store.events(text="%")) == 1, "% is a letter here"
    assert [one.id for one in store.events(devices=["guardian-02"])] == ["b-1-3"]
    assert store.events(devices=[]) == [], "who may see nobody sees nothing"
    assert [one.id for one in store.events(severities=["info"])] == ["a-1-2"]
    assert store.events(until=NOW - timedelta(days=1)) == []
    assert store.events(text="' OR 1=1 --") == []


def test_a_session_is_its_beginning_and_its_end(store: Store) -> None:
    tell(store, heard(1, "session_started"), heard(2, "session_ended", evidence={"session": "a-1-1", "reason": "three presses"}))
    tell(store, heard(3, "session_started", at=NOW + timedelta(hours=1)))
    rows = store.sessions("guardian-01")
    assert [(row.started.id, row.ended.id if row.ended else None) for row in rows] == [("a-1-3", None), ("a-1-1", "a-1-2")]


def test_what_an_alarm_turned_out_to_be_is_kept_with_it(store: Store) -> None:
    tell(store, heard(1))
    assert store.set_feedback("a-1-1", "false_alarm", "keeper", NOW)
    stored = store.event("a-1-1")
    assert stored is not None and (stored.feedback, stored.feedback_by) == ("false_alarm", "keeper")
    assert not store.set_feedback("a-1-2", "helped", "keeper", NOW)


def test_old_history_goes_and_an_open_alarm_stays(store: Store) -> None:
    told = msgspec.json.encode(state(alarm_id="a-1-2", state="FALLEN"))
    old = NOW - timedelta(days=40)
    point = {
        "device": "guardian-01", "slot": 1, "obstacle": "CLEAR", "at": old, "state": "GUARDING", "distance_m": 1.0, "steps": 1,
        "cadence": 0.0, "battery": None, "exercise": "walk", "session": None,
    }  # fmt: skip
    batch = Batch(
        [heard(1, "coach", at=old), heard(2, "sos", at=old)],
        {"guardian-01": HeardState("guardian-01", parse_state(told), told.decode(), old)},
        traces={("guardian-01", 1, "CLEAR"): point},
    )
    store.write(batch, one_job, old)
    tell(store, heard(3, "coach"))
    store.prune(NOW - timedelta(days=30))
    assert {one.id for one in store.events()} == {"a-1-2", "a-1-3"}
    assert store.trace("guardian-01", old) == [] and Jobs(store.engine).find() == []


def test_erasing_a_wearer_leaves_nothing_of_them_and_all_of_the_others(store: Store, tmp_path: Path) -> None:
    secret = "an unmistakable word"
    for device, install in (("guardian-01", "a"), ("guardian-02", "b")):
        store.add_wearer(device, secret if install == "a" else "Daughter", NOW)
        told = msgspec.json.encode(state())
        word = HeardAvailability(device, "online", NOW)
        batch = Batch(
            [heard(1, device=device, install=install, evidence={"note": secret if install == "a" else ""})], availabilities={device: word}
        )
        batch.states[device] = HeardState(device, parse_state(told), told.decode(), NOW)
        store.write(batch, one_job, NOW)
        store.add_ack(f"{install}-1-1", device, "keeper", NOW)
        Jobs(store.engine).begin_episode(f"lost:{device}", device, "lost", NOW)
    assert store.erase("guardian-01") == 6
    assert [one.device for one in store.overview()] == ["guardian-02"]
    assert [one.id for one in store.events()] == ["b-1-1"]
    assert store.ack("a-1-1") is None and store.ack("b-1-1") is not None
    store.close()  # the last connection empties the write-ahead log
    assert secret.encode() not in b"".join(file.read_bytes() for file in tmp_path.glob("station.db*")), "not even in free pages"
