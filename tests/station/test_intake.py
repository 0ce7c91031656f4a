"""From a device's mouth into the tables, through a real mosquitto: nothing receipted that is not stored, nothing stored twice."""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guardian.station.tables import Event, PushJob
from lab.durability import Broker
from tests.station.ward import Clock, Device, Ward, event, one_job, settings, soon, state

Opened = Callable[[Any], Any]


def test_an_alarm_is_stored_with_its_push_job_and_then_receipted(ward: Ward, device: Device) -> None:
    id_ = device.tells(7)
    soon(lambda: id_ in device.receipts, "the receipt")
    stored = ward.store.event(id_)
    assert stored is not None and (stored.device, stored.severity, stored.boot, stored.seq) == ("guardian-01", "critical", 1, 7)
    assert [job.event_id for job in ward.jobs.find()] == [id_]


@pytest.mark.parametrize("protocol", [5, 311])
def test_both_protocols_carry_an_alarm(broker: Broker, tmp_path: Path, opened: Opened, protocol: int) -> None:
    ward = opened(Ward(settings(tmp_path, broker.port, broker={"protocol": protocol}))).start()
    device = opened(Device(broker.port, protocol=protocol))
    device.online()
    device.says()
    id_ = device.tells(1)
    soon(lambda: id_ in device.receipts)
    ward.sees("guardian-01", lambda one: one.contact == "live")


def test_a_repeated_alarm_is_receipted_again_and_stored_once(ward: Ward, device: Device) -> None:
    for times in (1, 2, 3):
        device.tells(7)
        soon(lambda times=times: device.receipts.count("a-1-7") == times, f"{times} receipts")  # type: ignore[misc]
    assert ward.ids() == ["a-1-7"]
    assert len(ward.jobs.find()) == 1
    assert (ward.intake.stored, ward.intake.repeated) == (1, 2)


def test_nobody_takes_the_id_of_another_device(ward: Ward, device: Device, broker: Broker, opened: Opened) -> None:
    id_ = device.tells(7)
    soon(lambda: id_ in device.receipts)
    other = opened(Device(broker.port, "guardian-02"))
    other.tells(7)
    own = other.tells(8, install="b")
    soon(lambda: own in other.receipts)
    assert other.receipts == [own]
    assert ward.intake.refused == 1
    stored = ward.store.event(id_)
    assert stored is not None and stored.device == "guardian-01"


def test_events_are_shown_in_the_order_in_which_they_happened(ward: Ward, device: Device) -> None:
    device.says(uptime_s=100.0)
    ward.sees("guardian-01", lambda one: one.state)
    for seq in (3, 1, 2):
        device.tells(seq, "obstacle", uptime_s=90.0 + seq)
    soon(lambda: len(device.receipts) == 3)
    assert ward.ids() == ["a-1-3", "a-1-2", "a-1-1"]
    ages = [(stored.received_at - stored.at).total_seconds() for stored in ward.store.events()]
    assert all(abs(age - told) < 2.0 for age, told in zip(ages, (7, 8, 9), strict=True)), "by the uptime, the clock being unset"


def test_an_event_of_an_unknown_kind_is_kept_too(ward: Ward, device: Device) -> None:
    id_ = device.tells(1, "choking", severity="critical")
    soon(lambda: id_ in device.receipts)
    assert len(ward.jobs.find()) == 1


def test_a_known_kind_keeps_the_contracts_severity_whatever_it_claims(ward: Ward, device: Device) -> None:
    id_ = device.tells(1, "fall", severity="info")
    soon(lambda: id_ in device.receipts)
    stored = ward.store.event(id_)
    assert stored is not None and stored.severity == "critical"


def test_what_is_told_while_the_station_is_away_waits_at_the_broker(
    ward: Ward, device: Device, broker: Broker, tmp_path: Path, opened: Opened
) -> None:
    first = device.tells(1, "near_fall")
    soon(lambda: first in device.receipts)
    ward.intake.close()
    away = [device.tells(seq, "near_fall") for seq in range(2, 30)]
    opened(Ward(ward.settings)).start()
    soon(lambda: set(away) <= set(device.receipts), "what a broker keeps for its session")


def test_a_station_killed_before_it_stored_gets_the_event_again(broker: Broker, device: Device, tmp_path: Path, opened: Opened) -> None:
    where = settings(tmp_path, broker.port)
    ward = opened(Ward(where)).start()
    lock = sqlite3.connect(tmp_path / "station.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    id_ = device.tells(1, "near_fall")
    soon(lambda: len(ward.intake._waiting.events) or ward.intake._failing_s is None)
    ward.intake._closed = True  # the process is gone, with what it had not stored
    ward.intake.line._client.reconnect_delay_set(1000, 1000)
    ward.intake.line.again()
    lock.execute("ROLLBACK")
    lock.close()
    second = opened(Ward(where)).start()
    soon(lambda: id_ in device.receipts)
    assert second.ids() == [id_]


def test_a_locked_database_receipts_nothing_says_so_and_goes_on_by_itself(
    broker: Broker, device: Device, tmp_path: Path, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    ward = opened(Ward(settings(tmp_path, broker.port, station={"busy_s": 0.1}))).start()
    lock = sqlite3.connect(tmp_path / "station.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    ids = {device.tells(seq) for seq in range(1, 6)}
    soon(lambda: "locked" in ward.live.now.blind.database, "the trouble on the page")
    assert device.receipts == []
    assert any("database is locked" in record.getMessage() and record.levelname == "ERROR" for record in caplog.records)
    lock.execute("ROLLBACK")
    lock.close()
    soon(lambda: ids == set(device.receipts), "the receipts")
    soon(lambda: ward.live.now.blind.database == "", "the trouble is over")
    assert len(ward.jobs.find()) == 5


def test_a_full_disk_receipts_nothing_until_there_is_space(ward: Ward, device: Device) -> None:
    first = device.tells(1)
    soon(lambda: first in device.receipts)
    with ward.store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    ward.store.close()  # the limit is each connection's own
    from sqlalchemy import event as sa_event

    @sa_event.listens_for(ward.store.engine, "connect")
    def _small(connection: Any, record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0]}")

    limit = [pages]
    second = [device.tells(seq, evidence={"note": "x" * 400}) for seq in range(2, 60)]
    soon(lambda: "full" in ward.live.now.blind.database, "the trouble on the page")
    assert first in device.receipts
    assert set(device.receipts) <= set(ward.ids()) and len(device.receipts) < 40, "what found room has its receipt, no other"
    limit[0] = 1_000_000
    ward.store.close()
    soon(lambda: set(second) <= set(device.receipts), "the receipts")


def test_one_message_that_cannot_be_stored_holds_no_other(broker: Broker, device: Device, tmp_path: Path, opened: Opened) -> None:
    def jobs_for(device: str, event: Event, now: datetime) -> list[PushJob]:
        if event.seq == 13:
            raise ValueError("an unlucky number")
        return one_job(device, event, now)

    ward = opened(Ward(settings(tmp_path, broker.port), jobs_for)).start()
    lock = sqlite3.connect(tmp_path / "station.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")  # so that they come as one batch
    ids = [device.tells(seq) for seq in range(10, 16)]
    soon(lambda: len(ward.intake._waiting.events) >= 5)
    lock.execute("ROLLBACK")
    lock.close()
    soon(lambda: len(device.receipts) == 5)
    assert set(device.receipts) == {id_ for id_ in ids if id_ != "a-1-13"}
    assert ward.intake.refused == 1


def test_a_broker_that_was_away_is_found_again(ward: Ward, broker: Broker, device: Device) -> None:
    broker.kill()
    blind = soon(lambda: ward.live.now.blind.broker, "the trouble on the page")
    assert str(broker.port) in blind
    broker.start()
    soon(lambda: ward.live.now.blind.broker == "", "listening again")
    soon(device.client.is_connected)
    id_ = device.tells(1)
    soon(lambda: id_ in device.receipts)


@pytest.fixture
def swift(mosquitto: str, tmp_path: Path, opened: Opened) -> Broker:
    """A mosquitto that does not write its memory to disk after each message, which costs it 11 ms each."""
    made = Broker(mosquitto, tmp_path, "allow_anonymous true\nmax_queued_messages 10000")
    conf = tmp_path / "mosquitto.conf"
    conf.write_text(conf.read_text().replace("autosave_on_changes true", "autosave_on_changes false"))
    opened(made)
    made.start()
    return made


def test_a_storm_is_stored_in_few_transactions_and_loses_nothing(swift: Broker, tmp_path: Path, opened: Opened) -> None:
    ward, device = opened(Ward(settings(tmp_path, swift.port))).start(), opened(Device(swift.port))
    ids = {device.tells(seq, "sos") for seq in range(1, 3001)}
    soon(lambda: ids == set(device.receipts), "3000 receipts", 60.0)
    assert set(ward.ids()) == ids
    assert (ward.intake.stored, ward.intake.dropped) == (3000, 0)


def test_what_is_too_much_to_wait_comes_again_when_there_is_room(swift: Broker, tmp_path: Path, opened: Opened) -> None:
    ward = opened(Ward(settings(tmp_path, swift.port, station={"busy_s": 0.1}, intake={"waiting_max": 100}))).start()
    device = opened(Device(swift.port))
    lock = sqlite3.connect(tmp_path / "station.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    ids = {device.tells(seq, "near_fall") for seq in range(1, 301)}
    soon(lambda: ward.intake.dropped >= 100)
    lock.execute("ROLLBACK")
    lock.close()
    soon(lambda: ids == set(ward.ids()), "all, though the device has told each once")


def test_the_trace_keeps_a_point_each_slot_and_each_change_of_the_obstacle(
    broker: Broker, device: Device, tmp_path: Path, opened: Opened
) -> None:
    clock = Clock()
    start = clock()
    clock.ahead = timedelta(seconds=60 - start.timestamp() % 60)  # at the beginning of a slot
    ward = opened(Ward(settings(tmp_path, broker.port), clock=clock)).start()
    said = [("CLEAR", 3.0), ("CLEAR", 2.9), ("CAUTION", 1.5), ("CLEAR", 3.0), ("STOP", 0.4)]
    for uptime, (obstacle, distance_m) in enumerate(said):
        device.says(obstacle=obstacle, distance_m=distance_m, uptime_s=float(uptime))
    ward.sees("guardian-01", lambda one: one.state and one.state.obstacle == "STOP")
    kept = [(point.obstacle, point.distance_m) for point in ward.store.trace("guardian-01", start)]
    assert sorted(kept) == [("CAUTION", 1.5), ("CLEAR", 3.0), ("STOP", 0.4)]


def test_outside_a_session_the_trace_is_thin(broker: Broker, device: Device, tmp_path: Path, opened: Opened) -> None:
    clock = Clock()
    start = clock()
    clock.ahead = timedelta(seconds=60 - start.timestamp() % 60)
    ward = opened(Ward(settings(tmp_path, broker.port), clock=clock)).start()
    for step in range(8):
        device.says(session=None, uptime_s=5.0 * step)
        ward.sees("guardian-01", lambda one, step=step: one.state and one.state.uptime_s == 5.0 * step)  # type: ignore[misc]
        clock.ahead += timedelta(seconds=5)
    assert len(ward.store.trace("guardian-01", start)) == 1


HOSTILE = {
    "ten megabytes": b'{"v":1,"id":"' + b"x" * 10_000_000 + b'"}',
    "no UTF-8": b"\xff\xfe\x00{",
    "half a character": b'{"v":1,"id":"\xc3"}',
    "deep JSON": b"[" * 4000 + b"]" * 4000,
    "deep objects": b'{"evidence":' * 600 + b"1" + b"}" * 600,
    "no JSON": b"online",
    "a list": b"[]",
    "a number": b"1e400",
    "null": b"null",
    "nothing": b"",
    "a wrong type": msgspec.json.encode({**event(1), "seq": "1"}),
    "a negative number": msgspec.json.encode({**event(1), "boot": -1}),
    "too large a number": msgspec.json.encode({**event(1), "seq": 2**63}),
    "a script for an id": msgspec.json.encode({**event(1), "id": "<script>alert(1)</script>"}),
    "a line break in the id": msgspec.json.encode({**event(1), "id": "a-1-1\n"}),
    "a time without a zone": msgspec.json.encode({**event(1), "t": "2026-01-01T00:00:00"}),
    "nested evidence": msgspec.json.encode({**event(1), "evidence": {"a": {"b": 1}}}),
    "much evidence": msgspec.json.encode({**event(1), "evidence": {f"k{n}": n for n in range(65)}}),
    "a half surrogate": b'{"v":1,"id":"a-1-1","boot":1,"seq":1,"event_type":"\\ud800","severity":"info"}',
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("leaf", ["event", "state"])
def test_hostile_payloads_are_refused_with_a_trace_and_no_crash(
    ward: Ward, device: Device, caplog: pytest.LogCaptureFixture, leaf: str, name: str
) -> None:
    device.raw(leaf, HOSTILE[name])
    device.online()
    id_ = device.tells(99)
    soon(lambda: id_ in device.receipts, "the next honest event")
    assert ward.ids() == [id_], "and nothing of the other was kept"
    if name == "ten megabytes" or (leaf, name) == ("state", "nothing"):  # the broker holds it back (v5); a state taken away
        assert ward.intake.refused == 0
    else:
        assert ward.intake.refused == 1
        trace = [record.getMessage() for record in caplog.records if "refused, no. 1 of guardian-01" in record.getMessage()]
        assert len(trace) == 1 and "\n" not in trace[0] and len(trace[0]) < 500


def test_ten_megabytes_under_3_1_1_are_refused_here(broker: Broker, device: Device, tmp_path: Path, opened: Opened) -> None:
    ward = opened(Ward(settings(tmp_path, broker.port, broker={"protocol": 311}))).start()
    device.raw("event", HOSTILE["ten megabytes"])
    soon(lambda: ward.intake.refused == 1)
    id_ = device.tells(99)
    soon(lambda: id_ in device.receipts)


@pytest.mark.parametrize(
    "topic",
    [
        "guardian/UPPER/event",
        "guardian/a b/event",
        "guardian/<script>/event",
        "guardian//event",
        "guardian/" + "x" * 33 + "/event",
    ],
)
def test_a_device_of_an_impossible_name_is_nobody(ward: Ward, device: Device, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    device.client.publish(topic, msgspec.json.encode(event(1)), 1)
    id_ = device.tells(99)
    soon(lambda: id_ in device.receipts)
    assert ward.ids() == [id_]
    assert ward.intake.refused == 1
    assert not [record for record in caplog.records if "\n" in record.getMessage()]


def test_a_flood_of_invented_devices_stops_at_the_limit(broker: Broker, device: Device, tmp_path: Path, opened: Opened) -> None:
    ward = opened(Ward(settings(tmp_path, broker.port, intake={"wearers_max": 10}))).start()
    device.says()
    ward.sees("guardian-01", lambda one: one.state)
    for number in range(100):
        device.client.publish(f"guardian/invented-{number}/state", msgspec.json.encode(state()), 1)
    id_ = device.tells(1)
    soon(lambda: id_ in device.receipts)
    soon(lambda: ward.intake.refused == 91)
    soon(lambda: len(ward.live.now.pictures) == 10)


def test_a_flood_of_rubbish_fills_no_log(ward: Ward, device: Device, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(1000):
        device.raw("event", b"rubbish")
    id_ = device.tells(1)
    soon(lambda: id_ in device.receipts)
    assert ward.intake.refused == 1000
    assert len([record for record in caplog.records if "refused" in record.getMessage()]) == 10


def test_a_retired_device_is_forgotten_but_its_history_stays(ward: Ward, device: Device) -> None:
    id_ = device.tells(1)
    device.online()
    device.says()
    ward.sees("guardian-01", lambda one: one.contact == "live")
    device.raw("state", b"", retain=True)
    device.raw("availability", b"", retain=True)
    soon(lambda: "guardian-01" not in ward.live.now.by_device)
    assert ward.ids() == [id_]


def test_stations_that_share_events_store_each_once_and_both_see_the_state(
    broker: Broker, device: Device, tmp_path: Path, opened: Opened
) -> None:
    wards = [
        opened(Ward(settings(tmp_path, broker.port, station={"name": name}, broker={"share_group": "care"}))).start()
        for name in ("one", "two")
    ]
    device.online()
    device.says()
    ids = {device.tells(seq) for seq in range(1, 41)}
    soon(lambda: ids == set(device.receipts))
    for ward in wards:
        ward.sees("guardian-01", lambda one: one.contact == "live")
    assert sum(ward.intake.stored for ward in wards) == 40
    assert all(ward.intake.stored for ward in wards), "both have had some"
    assert len(wards[0].jobs.find()) == 40


def test_a_station_that_cannot_store_leaves_the_shared_events_to_the_other(
    broker: Broker, device: Device, tmp_path: Path, opened: Opened
) -> None:
    sick_folder, well_folder = tmp_path / "sick", tmp_path / "well"
    sick_folder.mkdir()
    well_folder.mkdir()
    share: dict[str, Any] = {"broker": {"share_group": "care"}, "intake": {"step_aside_s": 0.1}}
    sick = opened(Ward(settings(sick_folder, broker.port, station={"name": "sick", "busy_s": 0.1}, **share))).start()
    lock = sqlite3.connect(sick_folder / "station.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    device.tells(1)
    soon(lambda: "share/care" in broker.log() and "Received UNSUBSCRIBE from guardian-station-sick" in broker.log())
    well = opened(Ward(settings(well_folder, broker.port, station={"name": "well"}, **share))).start()
    ids = {device.tells(seq) for seq in range(2, 12)}
    soon(lambda: ids <= set(device.receipts))
    assert well.intake.stored == 10
    lock.execute("ROLLBACK")
    lock.close()
    soon(lambda: "a-1-1" in device.receipts, "and what the sick one held is stored when it is well")
    assert sick.intake.stored == 1


def test_two_stations_of_one_name_are_told_so(ward: Ward, opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    opened(Ward(ward.settings)).start()
    soon(lambda: any("station.name" in record.getMessage() for record in caplog.records), "the word on names")
