"""Silence is never safety: who is missed, when, by whom, and how often it is said."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from guardian.station.live import Blind, Snapshot
from guardian.station.tables import Last
from guardian.station.transactions import writes
from guardian.station.watch import Watch
from tests.station.house import CONTACTS, DEVICE, START, House, contacts, sqlite

LOST = ("keeper", "Grandma: Kein Kontakt")
BACK = ("keeper", "Grandma: Wieder in Kontakt")
LOST_IN_ALARM = ("keeper", "ALARM Grandma: Kein Kontakt seit einem Alarm")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(sqlite(tmp_path))


def test_wifi_that_is_gone_for_less_than_a_minute_is_nobodys_business(house: House) -> None:
    house.is_online(True)
    house.says()
    house.later(16)
    house.is_online(False)
    for _ in range(4):
        assert house.looks() == []
        house.later(10.9)
    house.is_online(True)
    house.says()
    assert house.looks() == []


def test_a_minute_of_silence_is_told_once_and_its_end_once(house: House) -> None:
    house.is_online(True)
    house.says()
    house.later(60)
    assert house.looks() == []
    house.later(1)
    assert house.looks() == [LOST]
    for _ in range(5):
        house.later(300)
        assert house.looks() == []
    house.says()
    assert house.looks() == [BACK]
    house.later(5)
    house.says()
    assert house.looks() == []


def test_a_state_that_another_version_stored_holds_no_message_back(house: House) -> None:
    house.is_online(True)
    house.says()
    with writes(house.store.engine) as session:
        session.execute(update(Last).values(state_json='{"v": 2}'))
    house.live.touch([DEVICE])
    house.later(61)
    assert house.looks() == [LOST]
    house.says()
    assert house.looks() == [BACK]


def test_the_message_tells_since_when_and_how_it_was(tmp_path: Path) -> None:
    house = House(sqlite(tmp_path), wearers={DEVICE: {"name": "Grandma", "contacts": ["nurse"], "lost_after_s": 20.0}})
    house.says()
    house.later(21)
    house.live.refresh()
    house.watch.look()
    while house.sender.turn():
        pass
    heard = START.astimezone().strftime("%d %b, %H:%M")
    assert house.body().splitlines()[0] == f"Last word: {heard} (21 s ago). Then: Guarded."
    house.later(600)
    house.says(state="SETTLING")
    house.live.refresh()
    house.watch.look()
    while house.sender.turn():
        pass
    assert house.body() == f"No contact for 10 min, since {heard}. Now: Not guarded yet: stand still a moment."


@pytest.mark.parametrize("state", ["IMMINENT", "DOWN", "FALLEN"])
def test_after_imminent_down_or_fallen_it_is_told_at_once(house: House, state: str) -> None:
    house.is_online(True)
    house.says(state=state, alarm_id=None if state == "IMMINENT" else "x-1-9")
    assert house.looks() == []
    house.later(15)
    house.is_online(False)  # the broker's will, 1.5 keepalives after the last word
    assert house.looks() == [LOST_IN_ALARM]


def test_three_missed_heartbeats_in_an_alarm_are_enough_even_if_the_broker_says_nothing(house: House) -> None:
    house.is_online(True)
    house.says(state="FALLEN", alarm_id="x-1-9", fall="ON")
    house.later(14)
    assert house.looks() == []
    house.later(1.1)
    assert house.looks() == [LOST_IN_ALARM]


def test_in_an_alarm_the_silence_calls_one_after_the_other_until_somebody_answers(house: House) -> None:
    house.says(state="FALLEN", alarm_id="x-1-9")
    house.later(20)
    assert contacts(house.looks()) == ["keeper"]
    house.later(60)
    assert contacts(house.looks()) == ["keeper"]
    house.later(60)
    assert contacts(house.looks()) == ["keeper", "nurse"]
    house.store.add_ack("x-1-9", DEVICE, "keeper", house.time)
    house.later(600)
    assert house.looks() == []
    house.says(state="FALLEN", alarm_id="x-1-9")
    assert sorted(contacts(house.looks())) == ["keeper", "nurse"], "all who were told hear that it is over"


def test_switched_off_in_an_open_alarm_is_told_at_once(house: House) -> None:
    house.says(state="FALLEN", alarm_id="x-1-9", power="off")
    house.is_online(False)
    assert house.looks() == [("keeper", "ALARM Grandma: Während eines Alarms ausgeschaltet")]


def test_switched_off_without_an_alarm_is_no_loss(house: House) -> None:
    house.says(state="OFF", session=None, power="off")
    house.is_online(False)
    house.later(3600)
    assert house.looks() == []


def test_back_and_properly_switched_off_is_an_end_too(house: House) -> None:
    house.says()
    house.later(61)
    assert house.looks() == [LOST]
    house.later(10)
    house.says(state="OFF", session=None, power="off")
    house.is_online(False)
    assert house.looks() == [("keeper", "Grandma: War wieder da und wurde ordentlich ausgeschaltet")]


def test_two_stations_miss_somebody_once_and_find_them_once(house: House) -> None:
    two = House(str(house.store.engine.url), "two", house.phones)
    house.says()
    for one in (house, two):
        one.time = START + timedelta(seconds=61 if one is house else 61.3)
    assert house.looks() + two.looks() == [LOST]
    house.uptime_s = 200.0
    house.says()
    assert two.looks() + house.looks() == [BACK]


def test_a_restart_in_the_silence_says_nothing_twice(house: House) -> None:
    house.says()
    house.later(61)
    assert house.looks() == [LOST]
    again = House(str(house.store.engine.url), "one", house.phones)
    again.time, again.uptime_s = house.time, 300.0
    again.live.heard(again.time, "")
    again.later(120)
    assert again.looks() == []
    again.says()
    assert again.looks() == [BACK]


def test_a_station_that_has_just_begun_to_listen_gives_everybody_their_time(house: House) -> None:
    house.says()
    house.later(3600)  # the station was off
    house.live.heard(house.time, "")
    assert house.looks() == []
    house.later(59)
    assert house.looks() == []
    house.later(2)
    assert house.looks() == [LOST]


def test_nobody_hears_of_an_end_who_was_not_told_of_the_silence(house: House) -> None:
    house.phones.dead = {"keeper"}
    house.says()
    house.later(61)
    assert house.looks() == []
    house.phones.dead = set()
    house.says()
    assert house.looks() == []
    house.later(600)
    house.says()
    assert house.looks() == [], "and of the silence nobody is told afterwards"


def test_a_retired_device_is_not_missed(house: House) -> None:
    house.says()
    house.later(61)
    assert house.looks() == [LOST]
    house.store.erase(DEVICE)
    house.later(61)
    assert house.looks() == []
    assert house.jobs.open_episodes() == []


# --- lying still


def test_a_device_that_lies_still_is_told_after_a_minute(house: House) -> None:
    house.says(posture="down")
    house.tells("not_worn")
    house.says(state="OFF", session=None, posture="down")
    assert house.looks() == []
    house.later(60)
    house.says(state="OFF", session=None, posture="down")
    assert house.looks() == [("keeper", "Grandma: Das Gerät liegt still")]
    house.later(600)
    house.says(state="OFF", session=None, posture="down")
    assert house.looks() == []


@pytest.mark.parametrize("why", ["upright", "switched off by hand", "worn again"])
def test_it_is_not_told(house: House, why: str) -> None:
    if why != "switched off by hand":
        house.tells("not_worn")
    if why == "worn again":
        house.tells("session_started")
    said = {"state": "OFF", "session": None, "posture": "upright" if why == "upright" else "down"}
    house.says(**said)
    assert house.looks() == []
    house.later(61)
    house.says(**said)
    assert house.looks() == []


# --- the station itself


def test_a_station_without_its_broker_says_so_once_and_not_for_everybody(tmp_path: Path) -> None:
    people = {DEVICE: {"name": "Grandma", "contacts": ["keeper"]}, "guardian-02": {"name": "Grandpa", "contacts": ["nurse", "keeper"]}}
    house = House(sqlite(tmp_path), wearers=people, contacts=CONTACTS)
    house.says()
    house.says(device="guardian-02")
    house.live.heard(None, "the broker refuses")
    house.later(59)
    assert house.looks() == []
    house.later(1)
    assert house.looks() == [("keeper", "Die Station ist blind"), ("nurse", "The station is blind")]
    house.later(600)
    assert house.looks() == []
    house.live.heard(house.time, "")
    assert house.looks() == [("keeper", "Die Station hört wieder"), ("nurse", "The station hears again")]
    house.later(61)
    assert house.looks() == [LOST, ("nurse", "Grandpa: No contact")], "who is still silent a minute later is missed"


def test_a_station_without_its_broker_is_silent_while_another_hears(house: House) -> None:
    house.says()
    since = house.time
    house.later(100)
    house.says()
    house.live.refresh()
    seen = Snapshot(1, house.time, house.live.now.pictures, house.live.now.by_device, Blind("gone", since, ""))
    Watch(house.settings, house.store, lambda: seen, house.clock, house.sender.wake).look()
    assert house.sends() == []
