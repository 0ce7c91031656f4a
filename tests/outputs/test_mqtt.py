"""Stories of the caregivers' end, in simulated minutes: Wi-Fi comes and goes, brokers forget, somebody answers or nobody does."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from guardian import contract
from guardian.config import Config
from guardian.frame import Frame
from guardian.outputs.mqtt import Mqtt
from guardian.outputs.outbox import Outbox
from guardian.outputs.writer import InlineWriter
from guardian.sim.broker import SimLink
from guardian.sim.clock import SimClock
from guardian.verdict import Alarm, Event, Gap, Motion, Obstacle, Posture, Session, State, Verdict

S = 1_000_000_000
TICK = 10_000_000
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Device:
    """A device's outputs towards caregivers, on simulated time."""

    def __init__(self, config: Config, wall: Callable[[], datetime | None] = lambda: NOON, protocol: int = 5) -> None:
        config = replace(config, mqtt=replace(config.mqtt, protocol=protocol))
        self.clock = SimClock()
        self.link = SimLink(self.clock, config)
        self.outbox = Outbox(None, config.outbox, InlineWriter("outbox"), wall, install="ab12")
        self.mqtt = Mqtt(config, self.outbox, self.link, "0.1.0")
        self.verdict = Verdict(0, State.GUARDING, Obstacle.CLEAR, None, (), Motion(posture=Posture.UPRIGHT), Gap(), None, None, "walk")
        self.seq = 0

    def tick(self, *events: Event) -> None:
        self.clock.wait_until(self.clock.now_ns() + TICK)
        verdict = replace(self.verdict, t_ns=self.clock.now_ns(), events=events)
        frame = Frame(verdict.t_ns)
        self.outbox.apply(frame, verdict)
        self.mqtt.apply(frame, verdict)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.tick()

    def so(self, **fields: Any) -> None:
        """From now on the verdict says this."""
        self.verdict = replace(self.verdict, **fields)

    def raises(self, event_type: str = "fall") -> str:
        self.seq += 1
        event = Event(f"ab12-1-{self.seq}", self.seq, event_type, self.clock.now_ns(), "walk")
        self.tick(event)
        return event.id

    def states(self) -> list[tuple[float, dict[str, Any]]]:
        """All that reached the broker: (s, state)."""
        found = [message for message in self.link.broker if message.topic == "guardian/guardian-01/state"]
        return [(message.t_ns / S, json.loads(message.payload)) for message in found]

    def faults(self) -> list[str]:
        return [fault.name for fault in (*self.outbox.faults(), *self.mqtt.faults())]


@pytest.fixture
def device(config: Config) -> Device:
    made = Device(config)
    made.run(0.2)
    return made


def command(cmd: str, id_: str = "c1", **fields: Any) -> dict[str, Any]:
    return {"v": 1, "cmd": cmd, "id": id_, **fields}


# --- what caregivers see


def test_on_connecting_the_device_says_that_it_is_there_and_how_it_is(device: Device) -> None:
    assert device.link.availability == "online"
    assert tuple(device.link.state()) == contract.STATE_KEYS
    assert device.link.state()["state"] == "GUARDING" and device.link.state()["power"] == "on"


def test_the_state_says_what_the_verdict_says(device: Device) -> None:
    alarm, session = Alarm("ab12-1-9", "fall", 5), Session("ab12-1-1", "run", 1, steps=12)
    motion, gap = Motion(posture=Posture.DOWN, cadence=61.26), Gap(distance_m=1.2345)
    fields = {"state": State.FALLEN, "obstacle": Obstacle.STOP, "alarm": alarm, "session": session, "motion": motion, "gap": gap}
    device.so(**fields, charge=0.554, exercise="run", faults=("imu_silent", "supply_low"))
    device.run(0.1)
    assert device.link.state() | {"uptime_s": 0} == {
        "v": 1, "state": "FALLEN", "posture": "down", "alarm_id": "ab12-1-9", "fall": "ON", "obstacle": "STOP", "distance_m": 1.23,
        "exercise": "run", "session": "ab12-1-1", "faults": ["imu_silent", "supply_low"], "battery": 55, "steps": 12, "cadence": 61.3,
        "power": "on", "uptime_s": 0, "boot": 1, "sw": "0.1.0",
    }  # fmt: skip


SESSION = Session("ab12-1-1", "walk", 1, steps=12)
CHANGES: list[dict[str, Any]] = [
    {"state": State.SETTLING}, {"motion": Motion(posture=Posture.DOWN)}, {"alarm": Alarm("ab12-1-9", "fall", 5)}, {"state": State.FALLEN},
    {"obstacle": Obstacle.CAUTION}, {"gap": Gap(distance_m=2.0)}, {"exercise": "run"}, {"session": SESSION}, {"faults": ("link_down",)},
    {"charge": 0.5}, {"session": replace(SESSION, steps=13)}, {"motion": Motion(posture=Posture.UPRIGHT, cadence=90.0)},
    {"powering_off": True},
]  # fmt: skip


def test_only_a_change_of_what_is_not_quiet_is_told_at_once(device: Device) -> None:
    """Each key of the contract's state, but those that never change in one life, changes once."""
    changed: set[str] = set()
    for change in CHANGES:
        plain = {"session": SESSION} if "session" in change and change["session"].steps != SESSION.steps else {}
        device.so(state=State.GUARDING, obstacle=Obstacle.CLEAR, motion=Motion(posture=Posture.UPRIGHT), gap=Gap(), charge=None)
        device.so(session=None, alarm=None, exercise="walk", faults=(), powering_off=False)
        device.so(**plain)
        device.run(5.5)
        before, count = device.link.state(), len(device.states())
        device.so(**change)
        device.run(0.1)
        told_at_once = len(device.states()) > count
        device.run(5.5)
        keys = {key for key, value in device.link.state().items() if value != before[key]} - {"uptime_s"}
        assert keys, change
        assert told_at_once == bool(keys - contract.QUIET_STATE_KEYS), change
        changed |= keys
    assert changed == set(contract.STATE_KEYS) - {"v", "uptime_s", "boot", "sw"}


def test_the_state_is_told_every_five_seconds_and_every_second_while_something_is_behind(device: Device) -> None:
    before = len(device.states())
    device.run(20)
    assert 3 <= len(device.states()) - before <= 5
    device.so(obstacle=Obstacle.UNKNOWN)
    before = len(device.states())
    device.run(10)
    assert 10 <= len(device.states()) - before <= 12


def test_quiet_keys_wait_for_the_next_telling(device: Device) -> None:
    device.run(5)
    before = len(device.states())
    for i in range(100):
        device.so(gap=Gap(distance_m=1 + i / 100), motion=Motion(posture=Posture.UPRIGHT, steps=i, cadence=float(i)), charge=1 - i / 200)
        device.tick()
    assert len(device.states()) - before <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"state": State.DOWN},
        {"obstacle": Obstacle.CAUTION},
        {"motion": Motion(posture=Posture.LEANING)},
        {"exercise": "run"},
        {"faults": ("link_down",)},
        {"alarm": Alarm("ab12-1-1", "fall", 1)},
        {"session": Session("ab12-1-1", "walk", 1)},
        {"powering_off": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_any_other_key_is_told_at_once(device: Device, change: dict[str, Any]) -> None:
    device.run(1)
    device.so(**change)
    before = device.clock.now_ns()
    device.run(0.1)
    t_s, _ = device.states()[-1]
    assert before / S <= t_s <= before / S + 0.05


def test_a_state_that_flickers_faster_than_the_link_ends_as_the_newest(device: Device) -> None:
    device.link.latency_s = 0.5
    for i in range(201):
        device.so(obstacle=Obstacle.STOP if i % 2 else Obstacle.CLEAR)
        device.tick()
    device.so(obstacle=Obstacle.CAUTION)
    device.run(2)
    assert device.link.state()["obstacle"] == "CAUTION"
    assert len(device.states()) < 12


# --- events


def test_an_alarm_arrives_with_its_fields_within_a_tenth_of_a_second(device: Device) -> None:
    id_ = device.raises("fall")
    device.run(0.1)
    (seen,) = device.link.events()
    assert tuple(seen) == contract.EVENT_KEYS
    assert (seen["id"], seen["severity"], seen["t"]) == (id_, "critical", "2026-11-22T12:00:00.000Z")
    assert len(device.outbox) == 0, "and its receipt ended it"


def test_wifi_gone_in_the_alarm_it_arrives_when_it_is_back(device: Device) -> None:
    device.link.wifi_down()
    id_ = device.raises("fall")
    device.run(60)
    assert device.link.events() == [] and device.link.availability == "offline"
    device.link.wifi_up()
    device.run(3)
    assert {event["id"] for event in device.link.events()} == {id_}
    assert device.link.availability == "online" and len(device.outbox) == 0


def test_a_short_gap_in_the_wifi_is_bridged_and_nobody_is_told(device: Device) -> None:
    device.link.wifi_down()
    device.raises("fall")
    device.run(4)
    device.link.wifi_up()
    device.run(1)
    assert len(device.link.events()) == 1 and device.faults() == [] and device.link.availability == "online"


@pytest.mark.parametrize("receipts", [True, False])
def test_a_broker_that_loses_what_it_acknowledged_costs_no_alarm_where_receipts_are_sent(device: Device, receipts: bool) -> None:
    device.link.receipts = receipts
    device.raises("fall")
    device.run(1)
    device.link.caregiver_away()
    id_ = device.raises("fall")
    device.run(0.1)
    device.link.broker_crash()
    device.link.caregiver_back()
    device.run(12)
    assert (id_ in {event["id"] for event in device.link.events()}) is receipts, "without receipts nobody can know"


def test_critical_events_come_first_after_a_long_absence(device: Device) -> None:
    device.link.wifi_down()
    device.run(30)
    for _ in range(30):
        device.raises("coach")
    alarm = device.raises("fall")
    device.link.wifi_up()
    device.run(5)
    seen = [event["id"] for event in device.link.events()]
    assert seen[0] == alarm and seen[1:] == [f"ab12-1-{i}" for i in range(1, 31)]


def test_no_more_than_the_limit_is_ever_in_flight(device: Device, config: Config) -> None:
    device.link.latency_s = 1.0
    for _ in range(100):
        device.raises("coach")
    assert len(device.link.broker) <= config.mqtt.inflight_max + 2
    device.run(60)
    assert len(device.link.events()) == 100 and len(device.outbox) == 0


def test_lost_acknowledgements_mean_the_same_id_again_never_a_loss(device: Device) -> None:
    device.link.receipts = device.link.pubacks = False
    id_ = device.raises("fall")
    device.run(12)
    device.link.pubacks = True
    device.run(12)
    ids = [event["id"] for event in device.link.events()]
    assert set(ids) == {id_} and len(ids) >= 2 and len(device.outbox) == 0


@pytest.mark.parametrize(("crash", "limit_s"), [(True, 3), (False, 30)], ids=["reconnected", "same_connection"])
def test_a_window_full_of_unanswered_events_opens_again(device: Device, crash: bool, limit_s: float) -> None:
    device.link.pubacks = device.link.receipts = False
    for _ in range(20):
        device.raises("coach")
    device.run(0.5)
    if crash:
        device.link.broker_crash()
    device.link.pubacks = True
    device.run(limit_s)
    assert len({event["id"] for event in device.link.events()}) == 20 and len(device.outbox) == 0


def test_under_3_1_1_an_acknowledgement_without_receipts_ends_it(config: Config) -> None:
    device = Device(config, protocol=311)
    device.link.receipts = device.link.caregiver = False
    device.run(0.2)
    device.raises("fall")
    device.run(1)
    assert len(device.outbox) == 0 and device.faults() == [], "3.1.1 hides that nobody listens"


# --- faults


def test_nobody_listening_is_a_fault_until_somebody_does_and_the_alarm_is_kept(device: Device) -> None:
    device.link.caregiver = False
    id_ = device.raises("fall")
    device.run(1)
    assert device.faults() == ["nobody_listening"]
    device.run(120)
    assert device.link.events() == [] and len(device.outbox) == 1
    device.link.caregiver = True
    device.run(61)
    assert [event["id"] for event in device.link.events()] == [id_] and device.faults() == []


def test_a_refused_event_is_a_fault_and_the_next_arrives(device: Device) -> None:
    device.link.refusal = 0x87
    device.raises("fall")
    device.run(30)
    assert device.faults() == ["event_refused"]
    device.link.refusal = None
    id_ = device.raises("sos")
    device.run(1)
    assert [event["id"] for event in device.link.events()] == [id_]


def test_a_lost_link_is_a_fault_one_and_a_half_keepalives_after_the_last_word(device: Device) -> None:
    device.run(4.9)  # just before a heartbeat
    last_s = device.clock.now_ns() / S
    device.link.wifi_down()
    while "link_down" not in device.faults():
        device.tick()
    assert 10.0 <= device.clock.now_ns() / S - last_s <= 15.2
    for _ in range(6000):
        device.tick()
        assert "link_down" in device.faults(), "and it stands, also when the client notices later"
    device.link.wifi_up()
    device.run(2)
    assert device.faults() == []


def test_a_broker_never_reached_is_a_fault_too(config: Config) -> None:
    device = Device(config)
    device.link.wifi_down()
    device.run(14.9)
    assert device.faults() == []
    device.run(0.3)
    assert device.faults() == ["link_down"]


def test_a_rare_heartbeat_is_no_silence(config: Config) -> None:
    device = Device(replace(config, mqtt=replace(config.mqtt, state_s=60.0)))
    device.link.latency_s = 0.3
    for _ in range(130 * 100):
        device.tick()
        assert device.faults() == []


def test_an_unset_clock_is_a_fault_after_a_minute_of_connection(config: Config) -> None:
    times: list[datetime | None] = [None]
    device = Device(config, wall=lambda: times[0])
    device.run(59)
    assert device.faults() == []
    device.run(3)
    assert device.faults() == ["clock_unsynced"]
    times[0] = NOON
    device.run(1.5)
    assert device.faults() == []


# --- what caregivers say


def test_a_command_reaches_the_next_frame_once(device: Device) -> None:
    device.link.command(command("exercise", value="run"))
    device.run(0.1)
    (asked,) = device.mqtt.commands()
    assert (asked.cmd, asked.id, asked.value) == ("exercise", "c1", "run")
    assert device.mqtt.commands() == ()


def test_ack_and_clear_act_only_on_the_open_alarm_they_name(device: Device) -> None:
    device.so(state=State.FALLEN, alarm=Alarm("ab12-1-9", "fall", 5))
    device.tick()
    for i, fields in enumerate([{}, {"for": "ab12-1-8"}, {"for": None}]):
        device.link.command(command("clear", f"c{i}", **fields))
    device.link.command(command("ack", "c9", **{"for": "ab12-1-9"}))
    device.run(0.1)
    assert [(asked.cmd, asked.alarm_id) for asked in device.mqtt.commands()] == [("ack", "ab12-1-9")]
    assert device.mqtt.ignored == 3


def test_a_clear_with_no_alarm_open_is_stale(device: Device) -> None:
    device.link.command(command("clear", **{"for": "ab12-1-9"}))
    device.run(0.1)
    assert device.mqtt.commands() == () and device.mqtt.ignored == 1


def test_an_exercise_that_there_is_not_is_ignored_and_counted(device: Device) -> None:
    device.link.command(command("exercise", value="swim"))
    device.link.command(command("exercise", "c2"))
    device.run(0.1)
    assert device.mqtt.commands() == ()
    assert device.mqtt.ignored == 2


def test_a_retained_command_is_ignored(device: Device) -> None:
    device.link.command(command("test"), retain=True)
    device.run(0.1)
    assert device.mqtt.commands() == () and device.mqtt.ignored == 1


def test_a_repeated_id_is_one_command_for_ten_minutes(device: Device) -> None:
    for _ in range(3):
        device.link.command(command("test", "again"))
        device.run(1)
    assert len(device.mqtt.commands()) == 1 and device.mqtt.ignored == 2
    device.run(600)
    device.link.command(command("test", "again"))
    device.run(0.1)
    assert len(device.mqtt.commands()) == 1


BAD = [
    b"", b"\x00\xff\xfe", b"null", b"[]", b'"ack"', b"{", b'{"v":1}', b'{"v":2,"cmd":"test","id":"x"}', b'{"v":1,"cmd":"reboot","id":"x"}',
    b'{"v":1,"cmd":"test","id":""}', b'{"v":1,"cmd":"test","id":7}', b'{"v":1,"cmd":"test","id":"a b"}', b"[" * 900, b"{" * 5000,
    b'{"v":1,"cmd":"test","id":"' + b"x" * 65 + b'"}', b'{"v":1,"cmd":"exercise","id":"x","value":{"a":1}}',
    b'{"v":1e999,"cmd":"test","id":"x"}',
]  # fmt: skip


@pytest.mark.parametrize("payload", BAD)
@pytest.mark.parametrize("leaf", ["command", "receipt"])
def test_whatever_is_sent_to_the_device_it_goes_on(device: Device, payload: bytes, leaf: str) -> None:
    getattr(device.link, leaf)(payload)
    device.run(0.1)
    assert device.mqtt.commands() == () and device.mqtt.ignored == 1 and device.faults() == []


def test_a_flood_of_commands_is_bounded(device: Device) -> None:
    for i in range(500):
        device.link.command(command("test", f"c{i}"))
    device.run(0.1)
    assert len(device.mqtt.commands()) == 32 and device.mqtt.ignored == 468


def test_a_forged_receipt_of_another_device_ends_nothing(device: Device) -> None:
    device.link.receipts = False
    device.link.receipt({"id": "dead-1-1"})
    device.run(0.1)
    assert device.mqtt.ignored == 1 and not device.outbox.receipts_known(device.clock.now_ns())


# --- the end


def test_switched_off_is_told_apart_from_lost(device: Device) -> None:
    device.so(state=State.OFF, powering_off=True)
    id_ = device.raises("session_ended")
    before = device.clock.now_ns()
    device.mqtt.close()
    assert device.clock.now_ns() - before < 0.3 * S, "no longer than the answers take"
    assert device.link.availability == "offline" and device.link.state()["power"] == "off"
    assert [event["id"] for event in device.link.events()] == [id_]


def test_all_that_waited_is_sent_before_the_good_bye(device: Device) -> None:
    device.link.wifi_down()
    device.run(30)
    ids = {device.raises("coach") for _ in range(30)}
    device.so(powering_off=True)
    device.link.wifi_up()
    device.tick()
    device.mqtt.close()
    assert {event["id"] for event in device.link.events()} == ids
    assert [message.topic.split("/")[2] for message in device.link.broker][-2:] == ["state", "availability"]


def test_switched_off_on_the_floor_the_alarm_stays_open(device: Device) -> None:
    device.so(state=State.FALLEN, alarm=Alarm("ab12-1-9", "fall", 5), powering_off=True)
    device.tick()
    device.mqtt.close()
    told = device.link.state()
    assert (told["alarm_id"], told["fall"], told["power"]) == ("ab12-1-9", "ON", "off")
    assert device.link.availability == "offline"


def test_a_crash_is_no_good_bye_the_broker_speaks_the_will(device: Device) -> None:
    device.run(1)
    device.mqtt.close()
    assert device.link.availability == "offline" and device.link.state()["power"] == "on"


def test_switching_off_without_a_link_does_not_hang(device: Device, config: Config) -> None:
    device.link.wifi_down()
    device.run(30)
    device.so(powering_off=True)
    device.raises("session_ended")
    before = device.clock.now_ns()
    device.mqtt.close()
    device.mqtt.close()
    assert device.clock.now_ns() - before <= (config.mqtt.close_s + 0.1) * S
