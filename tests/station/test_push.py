"""Who is called, when, with which words, and when it ends."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from guardian.config import ConfigError
from guardian.contract import EVENTS
from guardian.station import push
from guardian.station.delivery import deliver, service
from guardian.station.message import Message
from guardian.station.transactions import writes
from guardian.station.trial import ring
from tests.station.house import CONTACTS, DEVICE, House, Phones, contacts, sqlite


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(sqlite(tmp_path))


# --- the words


def test_a_fall_is_told_at_once_with_who_what_when_and_which_alarm(tmp_path: Path) -> None:
    house = House(sqlite(tmp_path), wearers={DEVICE: {"name": "Grandma", "contacts": ["nurse"]}}, page={"address": "https://station"})
    first, second = house.tells("fall_suspected"), house.tells("fall")
    while house.sender.turn():
        pass
    ((contact, message),) = house.phones.got
    assert (contact, message.severity) == ("nurse", "critical")
    assert message.title == "ALARM Grandma: Has fallen, and did not cancel"
    when = house.time.astimezone().strftime("%d %b, %H:%M")
    assert message.body.splitlines() == [
        f"When: {when} (just now)",
        "During: Backward walking",
        "Nobody has acknowledged yet.",
        "Look after Grandma, or call somebody who can. Then acknowledge: Grandma hears that help is coming, and these messages end.",
        "Page: https://station",
        f"Alarm {first}, message {second}",
    ]


def test_keeper_reads_german(house: House) -> None:
    house.tells("fall")
    assert house.sends() == [("keeper", "ALARM Grandma: Ist gestürzt und hat nicht abgebrochen")]


def test_without_a_set_clock_the_time_is_said_to_be_unknown(tmp_path: Path) -> None:
    house = House(sqlite(tmp_path), wearers={DEVICE: {"name": "Grandma", "contacts": ["nurse"]}})
    house.tells("sos", clock_set=False)
    house.later(300)
    while house.sender.turn():
        pass
    assert "time unknown, the device's clock is not set" in house.body() and "5 min ago" in house.body()


def test_a_name_from_the_database_cannot_forge_lines(tmp_path: Path) -> None:
    house = House(sqlite(tmp_path), wearers={DEVICE: {"contacts": ["nurse"]}})
    house.store.add_wearer(DEVICE, "Grandma\nAlarm over {0} <b>", house.time)
    house.tells("fall")
    assert house.sends() == [("nurse", "ALARM Grandma Alarm over {0} <b>: Has fallen, and did not cancel")]


# --- repetition and escalation


def test_without_an_answer_it_is_repeated_and_then_the_next_contact_is_called_too(house: House) -> None:
    house.tells("fall")
    assert contacts(house.sends()) == ["keeper"]
    house.later(59)
    assert house.sends() == []
    house.later(1)
    assert house.sends() == [("keeper", "ALARM (2) Grandma: Ist gestürzt und hat nicht abgebrochen")]
    house.later(60)
    assert contacts(house.sends()) == ["keeper", "nurse"]
    house.later(60)
    assert contacts(house.sends()) == ["keeper", "nurse"]


@pytest.mark.parametrize("answer", ["page", "device", "cleared"])
def test_an_answer_ends_it_wherever_it_was_given(house: House, answer: str) -> None:
    id_ = house.tells("fall")
    house.sends()
    house.later(10)
    if answer == "page":
        house.store.add_ack(id_, DEVICE, "keeper", house.time)
    else:
        house.tells("acknowledged" if answer == "device" else "cleared")
        told = "Hilfe kommt" if answer == "device" else "Der Alarm ist vorbei"
        assert house.sends() == [("keeper", f"Grandma: {told}")]
    house.later(3600)
    assert house.sends() == []
    assert all(job.sent_at for job in house.jobs.find()), "nothing is left in the table"


def test_those_who_were_called_hear_that_it_is_over_and_nobody_else(house: House) -> None:
    house.tells("fall")
    house.sends()
    house.later(120)
    house.sends()
    house.tells("cleared")
    assert house.sends() == [("keeper", "Grandma: Der Alarm ist vorbei"), ("nurse", "Grandma: The alarm is over")]
    house.tells("fall_suspected")
    house.tells("cancelled")
    assert house.sends() == [], "of that nobody was told"


def test_an_alarm_that_was_answered_before_it_came_is_told_once_and_says_so(house: House) -> None:
    house.tells("acknowledged", seq=9)
    house.tells("fall", seq=8)
    while house.sender.turn():
        pass
    (_, fall), (_, over) = house.phones.got
    assert "Schon bestätigt" in fall.body and over.title == "Grandma: Hilfe kommt"
    house.phones.got.clear()
    house.later(3600)
    assert house.sends() == []


def test_a_second_call_in_the_same_alarm_calls_anew(house: House) -> None:
    house.tells("fall")
    house.sends()
    house.tells("acknowledged")
    house.sends()
    house.later(600)
    house.tells("sos")
    assert contacts(house.sends()) == ["keeper"]
    house.later(60)
    assert contacts(house.sends()) == ["keeper"]


def test_only_the_newest_message_of_an_alarm_is_repeated(house: House) -> None:
    house.tells("fall")
    house.sends()
    house.later(30)
    house.tells("long_lie")
    assert contacts(house.sends()) == ["keeper"]
    house.later(60)
    assert house.sends() == [("keeper", "ALARM (2) Grandma: Liegt noch immer am Boden")]


# --- who is told what


def test_each_contact_is_told_what_it_asked_for(tmp_path: Path) -> None:
    asked = {
        "keeper": {**CONTACTS["keeper"], "severities": ["critical", "warning"]},
        "office": {**CONTACTS["office"], "severities": ["info"]},
    }
    people = {DEVICE: {"name": "Grandma", "contacts": ["nurse", "keeper", "office"]}}
    house = House(sqlite(tmp_path), wearers=people, contacts={**CONTACTS, **asked})
    told = {}
    for event_type in sorted(EVENTS):
        house.tells(event_type)
        told[event_type] = contacts(house.sends())
    assert {name for name, whom in told.items() if whom == ["nurse"]} == {"fall", "sos", "long_lie"}
    assert {name for name, whom in told.items() if whom == ["keeper"]} == {"battery_low", "fault", "near_fall", "not_guarding"}
    assert {name for name, whom in told.items() if whom == ["office"]} == {"session_ended", "session_started", "test"}


def test_a_low_battery_is_told_even_if_nobody_asked_for_warnings(house: House) -> None:
    house.tells("battery_low", fault="supply_low")
    assert house.sends() == [("keeper", "Grandma: Der Akku des Geräts ist schwach")]
    house.later(3600)
    assert house.sends() == [], "and only once"


def test_a_device_that_nobody_enrolled_calls_the_common_contacts(tmp_path: Path) -> None:
    house = House(sqlite(tmp_path), push={"contacts": ["office"]})
    house.tells("sos", device="guardian-99")
    assert house.sends() == [("office", "ALARM guardian-99: Is calling for help (SOS)")]


# --- services that fail


def test_a_dead_service_is_tried_again_and_the_next_contact_is_called_early(house: House) -> None:
    house.phones.dead = {"keeper"}
    id_ = house.tells("fall")
    assert house.sends() == []
    job = next(job for job in house.jobs.find(event_id=id_) if job.contact == "keeper")
    assert (job.error, job.due_at - house.time) == ("no answer", timedelta(seconds=5))
    house.later(5)
    assert contacts(house.sends()) == ["nurse"], "not only after escalate_s"
    house.phones.dead = set()
    house.later(10)
    assert contacts(house.sends()) == ["keeper"], "and keeper in the end"


def test_one_hanging_service_holds_nobody_else_and_keeps_its_job(house: House) -> None:
    house.phones.slow = {"keeper"}
    first = house.tells("fall")
    assert contacts(house.sends(until=1)) == [], "keeper's service hangs"
    wait = threading.Event()
    for _ in range(1000):
        house.sender.turn()
        if house.phones.got:
            break
        wait.wait(0.005)
    assert contacts(house.phones.taken()) == ["nurse"], "called after patience_s"
    house.later(14)
    other = House(str(house.store.engine.url), "two")
    other.later(14)
    assert other.jobs.lease("two", other.time, 15) == [], "renewed: no other station sends it too"
    house.phones.go.set()
    assert contacts(house.sends()) == ["keeper"]
    assert [job.contact for job in house.jobs.find(event_id=first) if job.sent_at] == ["nurse", "keeper"]


def test_what_a_killed_station_had_taken_is_anybodys_after_the_lease(house: House) -> None:
    house.tells("fall")
    assert [job.contact for job in house.jobs.lease("killed", house.time, 15)] == ["keeper"]
    house.later(14.9)
    assert house.sends() == []
    house.later(0.1)
    assert contacts(house.sends()) == ["keeper"]


def test_two_stations_send_a_message_once(house: House) -> None:
    phones = house.phones
    two = House(str(house.store.engine.url), "two", phones)
    for _ in range(20):
        house.tells("fall")
    threads = [threading.Thread(target=one.sends) for one in (house, two)]
    taken: list[tuple[str, str]] = []
    phones.taken = lambda: taken  # type: ignore[method-assign]  # both leave it in `got`
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [message.body.splitlines()[-1] for _, message in phones.got]
    assert len(ids) == len(set(ids)) == 20


def test_only_leases_and_marks_may_be_undone_by_a_power_cut(house: House) -> None:
    for _ in range(2):  # on the same connection
        with writes(house.store.engine, brief=True) as session:
            assert session.connection().exec_driver_sql("PRAGMA synchronous").scalar() == 1
        with writes(house.store.engine) as session:
            assert session.connection().exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_contact_that_was_taken_out_of_the_file_stops_nobody(house: House) -> None:
    id_ = house.tells("fall")
    other = {"nurse": CONTACTS["nurse"]}
    house = House(str(house.store.engine.url), wearers={DEVICE: {"contacts": ["nurse"]}}, contacts=other)
    house.later(120)
    assert contacts(house.sends()) == ["nurse"]
    assert {job.contact for job in house.jobs.find(event_id=id_)} == {"nurse"}


def test_the_sender_in_its_thread_sends_when_woken_and_ends_when_told(house: House) -> None:
    house.sender.start()
    house.tells("fall")
    house.sender.wake()
    wait = threading.Event()
    for _ in range(1000):
        if house.phones.got:
            break
        wait.wait(0.005)
    house.sender.close()
    assert contacts(house.phones.taken()) == ["keeper"]
    assert house.jobs.find()[-1].sent_at is not None, "marked before the end"


# --- the real way out


class Service(ThreadingHTTPServer):
    """A push service: says 200, or 503 below /dead."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, dict(self.headers.items()), body))
        self.send_response(503 if self.path.startswith("/dead") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def phone() -> Any:
    made = Service()
    yield made
    made.shutdown()
    made.server_close()


ALARM = Message("ALARM Änna: {x} <b>", "first\nsecond", "critical")


def test_through_apprise_a_message_arrives_whole(phone: Service) -> None:
    assert deliver(f"json://127.0.0.1:{phone.server_port}/a", ALARM) == ""
    assert [(path, body["title"], body["message"], body["type"]) for path, _, body in phone.got] == [
        ("/a", ALARM.title, ALARM.body, "failure")
    ]


def test_an_alarm_is_as_loud_as_the_service_can(phone: Service) -> None:
    address = f"ntfy://127.0.0.1:{phone.server_port}/topic"
    for severity in ("critical", "warning", "info"):
        assert deliver(address, Message("t", "b", severity)) == ""  # type: ignore[arg-type]
    loudness = [headers.get("X-Priority") or str(body.get("priority")) for _, headers, body in phone.got]
    assert loudness == ["max", "high", "None"]
    chosen = service("ntfys://host/topic?priority=low", "critical")
    assert chosen is not None and chosen.priority == "low", "unless the address says otherwise"
    gotify = service("gotify://host/" + "t" * 15, "critical")
    assert gotify is not None and gotify.priority == 10


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that a log at its most talkative would hold (caplog listens to what goes nowhere, too)."""
    text, root = io.StringIO(), logging.getLogger()
    everything, level = logging.StreamHandler(text), root.level
    root.addHandler(everything)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(everything)
    root.setLevel(level)


def test_a_failure_tells_why_and_no_secret(phone: Service, tmp_path: Path, log: io.StringIO) -> None:
    secret = "a-secret-nobody-may-read"
    addresses = {
        "keeper": f"json://user:{secret}@127.0.0.1:{phone.server_port}/dead/{secret}?x={secret}",
        "nurse": f"json://127.0.0.1:9/{secret}",
        "office": f"nonsense://{secret}",
    }
    people = {DEVICE: {"name": "Grandma", "contacts": ["keeper", "nurse", "office"]}}
    house = House(sqlite(tmp_path), wearers=people, contacts={name: {"url": url} for name, url in addresses.items()})
    sender = push.Sender(house.settings, house.store, house.clock)
    house.tells("fall")
    house.later(240)
    wait = threading.Event()
    while sender.turn():
        wait.wait(0.005)
    whys = {job.contact: job.error for job in house.jobs.find()}
    assert whys["keeper"] == "json: the service answered 503"
    assert whys["nurse"] == "json: the service did not take it, or could not be reached"
    assert whys["office"] == "the address is none that Apprise understands"
    assert secret not in log.getvalue() and secret not in repr(house.settings) and secret not in str(whys)
    assert "failed (try 1)" in log.getvalue()


def test_the_trial_message_tells_of_each_contact_whether_it_arrived(house: House) -> None:
    house.phones.dead = {"nurse"}
    trials = ring(house.settings, house.store, "Grandma", house.phones.deliver)
    assert [(trial.contact, trial.why) for trial in trials] == [("keeper", ""), ("nurse", "no answer")]
    assert house.phones.taken() == [("keeper", "Testnachricht für Grandma")]
    with pytest.raises(ConfigError, match=r"no wearer 'Grandpa'.*guardian-01 \(Grandma\)"):
        ring(house.settings, house.store, "Grandpa", house.phones.deliver)


def test_an_address_file_that_is_gone_is_a_failure_of_that_contact_alone(tmp_path: Path) -> None:
    gone = {"keeper": {"url_file": str(tmp_path / "gone")}, "nurse": CONTACTS["nurse"]}
    house = House(sqlite(tmp_path), contacts=gone, phones=Phones())
    house.tells("fall")
    house.later(120)
    assert contacts(house.sends()) == ["nurse"]
    assert "contacts.keeper.url_file" in str(next(job.error for job in house.jobs.find() if job.contact == "keeper"))
