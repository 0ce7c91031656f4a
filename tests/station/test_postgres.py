"""The same stories on PostgreSQL, where several stations really are at the tables at the same time."""

import threading
from collections.abc import Iterator

import pytest

from guardian.station.jobs import Jobs
from guardian.station.store import Store
from guardian.station.tables import PushJob, Table, create, opened
from lab.postgres import Postgres, programs
from tests.conftest import absent
from tests.station.house import DEVICE, START, House
from tests.station.test_push import (  # noqa: F401  (run here again, on this module's `house`)
    test_a_dead_service_is_tried_again_and_the_next_contact_is_called_early,
    test_a_second_call_in_the_same_alarm_calls_anew,
    test_an_alarm_that_was_answered_before_it_came_is_told_once_and_says_so,
    test_an_answer_ends_it_wherever_it_was_given,
    test_only_the_newest_message_of_an_alarm_is_repeated,
    test_those_who_were_called_hear_that_it_is_over_and_nobody_else,
    test_two_stations_send_a_message_once,
    test_what_a_killed_station_had_taken_is_anybodys_after_the_lease,
    test_without_an_answer_it_is_repeated_and_then_the_next_contact_is_called_too,
)
from tests.station.test_watch import (  # noqa: F401
    test_a_minute_of_silence_is_told_once_and_its_end_once,
    test_a_retired_device_is_not_missed,
    test_in_an_alarm_the_silence_calls_one_after_the_other_until_somebody_answers,
    test_two_stations_miss_somebody_once_and_find_them_once,
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of this module's own."""
    if programs() is None:
        absent("postgres", "PostgreSQL is not installed (apt install postgresql)")
    with Postgres() as running:
        yield running.url


@pytest.fixture
def house(postgres: str) -> Iterator[House]:
    made = House(postgres)
    yield made
    Table.metadata.drop_all(made.store.engine)
    made.store.close()


def test_two_stations_that_see_a_silence_at_the_same_moment_tell_it_once(house: House) -> None:
    stores = [Store(opened(str(house.store.engine.url), 5.0)) for _ in range(8)]
    begun: list[bool] = []
    together = threading.Barrier(len(stores))

    def see(number: int, store: Store) -> None:
        job = PushJob(device=DEVICE, event_id=f"lost:{number}", kind="lost", severity="warning", contact="keeper", step=0, due_at=START)
        together.wait()
        begun.append(Jobs(store.engine).begin_episode(f"lost:{number}", DEVICE, "lost", START, [job]))

    threads = [threading.Thread(target=see, args=one) for one in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(begun) == 1 and len(begun) == len(stores)
    assert len(house.jobs.find()) == 1
    for store in stores:
        store.close()


def test_tables_are_made_once_by_stations_that_start_together(house: House) -> None:
    url, wrong = str(house.store.engine.url), []
    Table.metadata.drop_all(house.store.engine)
    together = threading.Barrier(4)

    def start() -> None:
        engine = opened(url, 5.0)
        together.wait()
        try:
            create(engine)
        except Exception as error:  # noqa: BLE001
            wrong.append(error)
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    house.tells("fall")
    assert house.sends() != []
