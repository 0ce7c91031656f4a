"""The tables' stories again on PostgreSQL, and two stations that take in the same wearers at the same time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from guardian.station.store import Store
from guardian.station.tables import Table, create, opened
from lab.durability import Broker
from lab.postgres import Postgres, programs
from tests.conftest import absent
from tests.station.test_store import (  # noqa: F401  (run here again, on this module's `store`)
    test_a_device_whose_clock_is_far_ahead_does_not_tell_of_tomorrow,
    test_a_session_is_its_beginning_and_its_end,
    test_a_time_without_a_zone_is_refused,
    test_an_alarm_has_the_id_of_what_opened_it_whatever_came_first,
    test_history_is_found_by_what_it_says,
    test_nothing_of_a_failed_batch_is_kept,
    test_old_history_goes_and_an_open_alarm_stays,
    test_the_first_who_acknowledges_is_kept,
    test_times_come_back_as_they_went_in,
    test_what_an_alarm_turned_out_to_be_is_kept_with_it,
)
from tests.station.ward import Device, Ward, settings, soon


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of this module's own."""
    if programs() is None:
        absent("postgres", "PostgreSQL is not installed (apt install postgresql)")
    with Postgres() as running:
        yield running.url


@pytest.fixture
def store(postgres: str) -> Iterator[Store]:
    made = Store(opened(postgres, 5.0))
    create(made.engine)
    yield made
    Table.metadata.drop_all(made.engine)
    made.close()


def test_two_stations_take_in_the_same_fleet_and_keep_each_event_once(
    store: Store, postgres: str, broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]
) -> None:
    def station(name: str) -> Ward:
        where = settings(tmp_path, broker.port, station={"name": name, "database": postgres}, broker={"share_group": "care"})
        made = opened(Ward(where))
        assert isinstance(made, Ward)
        return made.start()

    wards = [station("one"), station("two")]
    devices = [opened(Device(broker.port, f"guardian-{number:02d}")) for number in range(8)]
    told = set()
    for seq in range(1, 16):
        for device in devices:
            install = device.topics.device
            device.says(uptime_s=float(seq), alarm_id=f"{install}-1-1", state="FALLEN", fall="ON")
            told.add(device.tells(seq, "sos", install=install))
    soon(lambda: {id_ for device in devices for id_ in device.receipts} == told, "a receipt for each", 40)
    assert sum(ward.intake.stored for ward in wards) == len(told) == len(wards[0].jobs.find(limit=1000))
    assert all(ward.intake.stored for ward in wards)
    for ward in wards:
        for device in devices:
            ward.sees(device.topics.device, lambda one: one.status == "sos" and one.state and one.state.uptime_s == 15.0)
    assert all(ward.live.now.blind.database == "" for ward in wards)


def test_an_intake_outlives_its_database(postgres: str, broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    with Postgres() as other:
        ward = opened(Ward(settings(tmp_path, broker.port, station={"database": other.url}))).start()
        device = opened(Device(broker.port))
        first = device.tells(1)
        soon(lambda: first in device.receipts)
        other.stop()
        second = device.tells(2)
        soon(lambda: ward.live.now.blind.database, "the trouble on the page")
        assert second not in device.receipts
        other.start()
        soon(lambda: second in device.receipts, "as soon as it is back")
        soon(lambda: ward.live.now.blind.database == "")
