"""What is so now: yes, no, or not known, and never an old word shown as if it were so."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from guardian.station.heard import Batch, HeardAvailability, HeardEvent, HeardState
from guardian.station.live import ALARMS, URGENCY, Live, Picture, Status, by_urgency, picture
from guardian.station.payloads import parse_event, parse_state
from guardian.station.store import Known, Store
from guardian.verdict import State
from tests.station.ward import Clock, Device, Ward, event, one_job, settings, soon, state

NOON = datetime.now().astimezone().replace(hour=12, minute=0, second=0, microsecond=0).astimezone(UTC)


class Bed:
    """One wearer, said to the store at chosen times (seconds after noon)."""

    def __init__(self, folder: Path) -> None:
        self.settings = settings(folder)
        self.store = Store.opened(self.settings)

    def at(self, second: float) -> datetime:
        return NOON + timedelta(seconds=second)

    def says(self, second: float, retained: bool = False, **changed: Any) -> None:
        told = msgspec.json.encode(state(**{"uptime_s": second, **changed}))
        heard = HeardState("guardian-01", parse_state(told), told.decode(), None if retained else self.at(second))
        self.store.write(Batch(states={"guardian-01": heard}), one_job, self.at(second))

    def is_(self, word: str, second: float, retained: bool = False) -> None:
        heard = HeardAvailability("guardian-01", word, None if retained else self.at(second))
        self.store.write(Batch(availabilities={"guardian-01": heard}), one_job, self.at(second))

    def tells(self, second: float, seq: int, event_type: str = "fall", **changed: Any) -> None:
        told = parse_event(msgspec.json.encode(event(seq, event_type, **{"uptime_s": second, **changed})))
        self.store.write(Batch([HeardEvent("guardian-01", told, self.at(second))]), one_job, self.at(second))

    def known(self) -> Known:
        return self.store.overview()[0]

    def seen(self, second: float, listening: float | None = -3600) -> Picture:
        return picture(self.known(), self.settings, self.at(second), None if listening is None else self.at(listening))


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def test_a_walker_who_is_heard_is_live_and_guarded(bed: Bed) -> None:
    bed.is_("online", 0)
    bed.says(1)
    one = bed.seen(3)
    assert (one.contact, one.status, one.in_session, one.session_today, one.battery, one.battery_low) == (
        "live",
        "walking",
        True,
        True,
        80,
        False,
    )
    assert one.urgency == 4


def test_a_heartbeat_older_than_15_seconds_is_stale_and_after_a_minute_lost(bed: Bed) -> None:
    bed.is_("online", 0)
    bed.says(1)
    assert bed.seen(16).contact == "live"
    assert (bed.seen(16.1).contact, bed.seen(16.1).status) == ("stale", "stale")
    assert (bed.seen(61.1).contact, bed.seen(61.1).status) == ("lost", "lost")


def test_the_last_will_is_lost_at_once_and_a_farewell_is_switched_off(bed: Bed) -> None:
    bed.says(1)
    bed.is_("offline", 2)
    assert bed.seen(3).contact == "lost"
    bed.says(4, power="off", session=None)
    bed.is_("offline", 5)
    one = bed.seen(6)
    assert (one.contact, one.status, one.in_session, one.urgency) == ("switched_off", "switched_off", False, 5)


def test_who_is_enrolled_and_never_heard_is_never_seen(bed: Bed) -> None:
    bed.store.add_wearer("guardian-01", "Grandma", NOON)
    one = bed.seen(0)
    assert (one.name, one.contact, one.status, one.state, one.session_today, one.battery_low) == (
        "Grandma",
        "never",
        "never",
        None,
        None,
        None,
    )


def test_a_device_that_speaks_after_its_will_is_live_again(bed: Bed) -> None:
    bed.is_("offline", 1)
    bed.says(2)
    assert bed.seen(3).contact == "live"


def test_a_retained_word_has_no_time_and_does_not_make_anybody_live(bed: Bed) -> None:
    bed.says(1)
    bed.is_("online", 500, retained=True)
    bed.says(500, retained=True, state="FALLEN", fall="ON", alarm_id="a-1-9")
    one = bed.seen(501)
    assert one.contact == "lost" and one.heard_at == bed.at(1)
    assert one.alarm is not None and (one.alarm.id, one.alarm.since, one.status) == ("a-1-9", None, "lost_alarm"), "but its alarm counts"


def test_an_older_retained_word_replaces_nothing(bed: Bed) -> None:
    bed.says(10, steps=50)
    bed.says(9, retained=True, steps=40)
    assert bed.seen(11).state is not None and bed.seen(11).state.steps == 50  # type: ignore[union-attr]


def test_a_word_that_another_station_wrote_late_replaces_nothing(bed: Bed) -> None:
    bed.says(10, steps=50)
    told = msgspec.json.encode(state(uptime_s=5.0, steps=30))
    bed.store.write(
        Batch(states={"guardian-01": HeardState("guardian-01", parse_state(told), told.decode(), bed.at(12))}), one_job, bed.at(12)
    )
    assert bed.seen(13).state.steps == 50  # type: ignore[union-attr]


def test_a_restarted_device_replaces_what_it_said_before(bed: Bed) -> None:
    bed.says(1000, boot=4)
    bed.says(1001, boot=5, uptime_s=2.0)
    assert bed.seen(1002).state.boot == 5  # type: ignore[union-attr]


def test_a_station_that_just_began_to_listen_has_witnessed_no_silence(bed: Bed) -> None:
    bed.says(1)
    assert bed.seen(1000, listening=990).silent_since == bed.at(990)
    assert bed.seen(1000, listening=-100).silent_since == bed.at(1)
    assert bed.seen(1000, listening=None).silent_since is None


def test_a_clock_set_back_makes_nobody_live(bed: Bed) -> None:
    bed.says(3600)
    assert bed.seen(0).contact == "stale"
    told = msgspec.json.encode(state(uptime_s=3605.0))
    bed.store.write(
        Batch(states={"guardian-01": HeardState("guardian-01", parse_state(told), told.decode(), bed.at(2))}), one_job, bed.at(2)
    )
    assert bed.seen(3).contact == "live", "and the next heartbeat counts by the new clock"


def test_an_alarm_is_what_the_state_says_with_the_gravest_event_of_it(bed: Bed) -> None:
    bed.tells(5, 2, "fall_suspected")
    bed.says(5, state="DOWN", alarm_id="a-1-2", posture="down")
    one = bed.seen(6)
    assert (one.status, one.urgency, one.alarm.severity if one.alarm else "") == ("down", 1, "warning")
    bed.tells(25, 3, "fall")
    bed.says(25, state="FALLEN", alarm_id="a-1-2", fall="ON", posture="down")
    one = bed.seen(26)
    assert one.alarm is not None
    assert (one.status, one.urgency, one.alarm.id, one.alarm.event_type, one.alarm.since) == ("fall", 0, "a-1-2", "fall", bed.at(5))
    bed.says(60, state="SETTLING")
    assert (bed.seen(61).alarm, bed.seen(61).urgency) == (None, 3)


@pytest.mark.parametrize("event_type", ALARMS)
def test_a_critical_event_counts_before_its_state_has_come(bed: Bed, event_type: str) -> None:
    bed.says(5)
    bed.tells(6, 3, event_type)
    one = bed.seen(7)
    assert one.alarm is not None and (one.status, one.alarm.id) == (event_type, "a-1-3")
    bed.says(10)
    assert bed.seen(11).alarm is None, "a later state knows better"


def test_a_fall_of_yesterday_that_comes_now_is_no_alarm_of_now(bed: Bed) -> None:
    bed.says(100, boot=7)
    bed.tells(101, 3, "fall", boot=6, uptime_s=5000.0)
    bed.tells(101, 4, "fall", boot=7, uptime_s=50.0)
    assert bed.seen(102).alarm is None


def test_a_device_installed_anew_has_no_alarm_of_the_one_before(bed: Bed) -> None:
    bed.tells(1, 3, "fall", boot=60)
    bed.says(10, boot=1, uptime_s=1.0)
    assert bed.seen(11).alarm is None


def test_an_acknowledged_alarm_is_quieter_and_says_who_and_whether_it_was_heard(bed: Bed) -> None:
    bed.says(5, state="FALLEN", fall="ON", alarm_id="a-1-2")
    bed.tells(5, 2, "sos")
    bed.store.add_ack("a-1-2", "guardian-01", "keeper", bed.at(8), "c1")
    one = bed.seen(9)
    assert one.alarm is not None
    assert (one.status, one.urgency, one.alarm.acknowledged_by, one.alarm.heard_at) == ("acknowledged", 2, "keeper", None)
    bed.tells(10, 3, "acknowledged", evidence={"command": "c1"})
    one = bed.seen(11)
    assert one.alarm is not None and (one.alarm.acknowledged_by, one.alarm.heard_at) == ("keeper", bed.at(10))


def test_an_acknowledgement_from_elsewhere_counts_too(bed: Bed) -> None:
    bed.says(5, state="FALLEN", fall="ON", alarm_id="a-1-2")
    bed.tells(5, 2, "fall_suspected")
    bed.tells(6, 3, "fall")
    bed.tells(10, 4, "acknowledged", evidence={"command": "home-assistant-1"})
    one = bed.seen(11)
    assert one.alarm is not None and (one.status, one.alarm.acknowledged_by, one.alarm.heard_at) == ("acknowledged", "", bed.at(10))


def test_a_second_sos_asks_anew(bed: Bed) -> None:
    bed.says(5, state="FALLEN", fall="ON", alarm_id="a-1-2")
    bed.tells(5, 2, "sos")
    assert bed.store.add_ack("a-1-2", "guardian-01", "keeper", bed.at(8))
    bed.tells(30, 3, "sos")
    assert (bed.seen(31).status, bed.seen(31).urgency) == ("sos", 0)
    assert bed.store.add_ack("a-1-2", "guardian-01", "daughter", bed.at(40))
    one = bed.seen(41)
    assert one.alarm is not None and one.alarm.acknowledged_by == "daughter"


def test_silence_in_an_alarm_is_the_most_urgent_of_all(bed: Bed) -> None:
    bed.says(5, state="FALLEN", fall="ON", alarm_id="a-1-2")
    bed.is_("offline", 20)
    assert (bed.seen(21).status, bed.seen(21).urgency) == ("lost_alarm", 0)
    bed.says(30, state="FALLEN", fall="ON", alarm_id="a-1-2", power="off")
    bed.is_("offline", 31)
    assert (bed.seen(32).status, bed.seen(32).urgency) == ("switched_off_alarm", 0)


def test_lost_while_losing_balance_is_an_alarm(bed: Bed) -> None:
    bed.says(5, state="IMMINENT")
    assert bed.seen(6).status == "imminent"
    bed.is_("offline", 20)
    assert bed.seen(21).status == "lost_alarm"


@pytest.mark.parametrize(
    ("battery", "faults", "low", "urgency"),
    [(80, [], False, 4), (15, [], True, 3), (None, [], None, 4), (None, ["supply_low"], True, 3), (90, ["echo_silent"], False, 3)],
)
def test_a_weak_battery_and_a_fault_ask_for_a_look(
    bed: Bed, battery: int | None, faults: list[str], low: bool | None, urgency: int
) -> None:
    bed.says(5, battery=battery, faults=faults)
    one = bed.seen(6)
    assert (one.battery_low, one.urgency) == (low, urgency)


def test_no_session_today_is_said_and_yesterdays_does_not_count(bed: Bed) -> None:
    bed.tells(-86_400, 1, "session_started", uptime_s=1.0)
    bed.says(5, session=None, state="OFF")
    assert bed.seen(6).session_today is False
    bed.tells(10, 2, "session_started")
    bed.says(20, session=None, state="OFF")
    assert (bed.seen(21).session_today, bed.seen(21).in_session) == (True, False)


def test_the_most_urgent_come_first_and_the_unanswered_before_the_answered(bed: Bed) -> None:
    bed.says(5)
    calm = bed.seen(6)
    bed.says(10, state="FALLEN", fall="ON", alarm_id="a-1-2")
    fallen = bed.seen(11)
    bed.store.add_ack("a-1-2", "guardian-01", "keeper", bed.at(12))
    answered = bed.seen(13)
    assert sorted([calm, answered, fallen], key=by_urgency) == [fallen, answered, calm]


def test_every_status_has_an_urgency_and_every_state_a_status(bed: Bed) -> None:
    assert set(URGENCY) == set(get_args(Status))
    for number, name in enumerate(State):
        bed.says(10.0 + number, state=name)
        assert bed.seen(11.0 + number).status in URGENCY


def test_a_restarted_station_shows_the_right_picture_at_once(ward: Ward, device: Device) -> None:
    device.online()
    device.says(state="FALLEN", fall="ON", alarm_id="a-1-2", posture="down")
    device.tells(2, "sos")
    before = ward.sees("guardian-01", lambda one: one.alarm and one.alarm.since)
    ward.close()
    again = Ward(ward.settings)
    again.live.refresh()
    after = again.live.now.by_device["guardian-01"]
    assert (after.status, after.alarm, after.heard_at) == ("sos", before.alarm, before.heard_at), "from the database alone"
    again.start()
    device.vanish()
    again.sees("guardian-01", lambda one: one.status == "lost_alarm")
    again.close()


def test_what_happened_while_the_station_was_away_is_seen_from_what_is_retained(ward: Ward, device: Device, tmp_path: Path) -> None:
    device.online()
    device.says()
    ward.sees("guardian-01", lambda one: one.contact == "live")
    ward.close()
    device.says(state="FALLEN", fall="ON", alarm_id="a-1-7", uptime_s=20.0)
    again = Ward(ward.settings).start()
    one = again.sees("guardian-01", lambda one: one.alarm)
    assert one.alarm is not None and one.alarm.id == "a-1-7"
    again.close()


def test_a_failing_database_is_said_and_what_was_known_stays(tmp_path: Path) -> None:
    clock, where = Clock(), settings(tmp_path)
    store = Store.opened(where)
    store.add_wearer("guardian-01", "Grandma", clock())
    live = Live(store, where, clock)
    live.start()
    assert [one.name for one in live.now.pictures] == ["Grandma"]
    store.close()
    (tmp_path / "station.db").rename(tmp_path / "away.db")
    (tmp_path / "station.db").mkdir()
    soon(lambda: live.now.blind.database)
    assert [one.name for one in live.now.pictures] == ["Grandma"]
    live.close()


def test_nothing_new_is_no_new_version(tmp_path: Path) -> None:
    where = settings(tmp_path)
    live = Live(Store.opened(where), where, Clock())
    live.refresh()
    first = live.now.version
    live.refresh()
    assert live.now.version == first
