"""Stories of the outbox: what is raised arrives, whatever the card, the broker and the power do."""

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guardian import contract
from guardian.config import Config
from guardian.frame import Fault, Frame
from guardian.outputs.outbox import Outbox
from guardian.outputs.wall import WallClock, clock_synced
from guardian.outputs.writer import InlineWriter, Job, ThreadWriter, Writer
from guardian.verdict import Event, Gap, Motion, Obstacle, State, Verdict

S = 1_000_000_000
NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, UTC)


class Device:
    """An outbox, its events and its time."""

    def __init__(
        self, path: Path | None, config: Config, writer: Writer | None = None, wall: Callable[[], datetime | None] = lambda: None
    ) -> None:
        self.now_ns = 100 * S
        self.seq = 0
        self.writer = writer or InlineWriter("outbox")
        self.outbox = Outbox(path, config.outbox, self.writer, wall)
        self.tick()

    def tick(self, seconds: float = 0.0, events: tuple[Event, ...] = ()) -> None:
        """Let time pass, then one verdict."""
        self.now_ns += int(seconds * S)
        verdict = Verdict(self.now_ns, State.GUARDING, Obstacle.CLEAR, None, events, Motion(), Gap(), None, None, "walk")
        self.outbox.apply(Frame(self.now_ns), verdict)

    def raises(self, event_type: str = "fall", **evidence: Any) -> str:
        """One event, applied."""
        install, boot = self.outbox.identity()
        self.seq += 1
        event = Event(f"{install}-{boot}-{self.seq}", self.seq, event_type, self.now_ns, "walk", evidence)
        self.tick(events=(event,))
        return event.id

    def sends(self, reason: int | str | None = "none") -> list[str]:
        """Publish all that is due; the broker answers each with `reason` ("none": not at all)."""
        sent = []
        while letter := self.outbox.due(self.now_ns):
            sent.append(letter.kept.id)
            self.outbox.sent(letter.kept.id, self.now_ns)
            if not isinstance(reason, str):
                self.outbox.answered(letter.kept.id, reason, self.now_ns)
        return sent

    def faults(self) -> list[str]:
        return [fault.name for fault in self.outbox.faults()]


class HeldWriter:
    """Notes for how long each job may be waited for, and runs none before it is told to; when `full`, it refuses them."""

    def __init__(self) -> None:
        self.name, self.failure = "held", ""
        self.dropped, self.full = 0, False
        self.jobs: list[Job] = []
        self.waits: list[float] = []

    def submit(self, job: Job, wait_s: float = 0.0) -> bool:
        if self.full:
            self.dropped += 1
            return False
        self.jobs.append(job)
        self.waits.append(wait_s)
        return False

    def run(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()

    def stalled_s(self, now_ns: int) -> float:
        return 0.0

    def close(self, limit_s: float = 5.0) -> bool:
        return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.sqlite"


@pytest.fixture
def device(path: Path, config: Config) -> Device:
    return Device(path, config)


def on_disk(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        return [row[0] for row in db.execute("SELECT id FROM event ORDER BY boot, seq")]


def test_an_event_is_on_disk_before_it_may_be_published(device: Device, path: Path) -> None:
    id_ = device.raises()
    assert on_disk(path) == [id_]
    assert device.sends() == [id_]


def test_the_payload_has_the_keys_of_the_contract(path: Path, config: Config) -> None:
    device = Device(path, config, wall=lambda: NOON)
    device.raises("obstacle", distance_m=0.4)
    letter = device.outbox.due(device.now_ns)
    assert letter is not None
    told = msgspec.json.decode(letter.kept.payload)
    assert tuple(told) == contract.EVENT_KEYS
    assert told["t"] == "2026-11-22T12:00:00.123Z" and told["uptime_s"] == 100.0
    assert told["severity"] == "warning" and told["evidence"] == {"distance_m": 0.4}


def test_an_event_stored_before_the_clock_is_set_stays_without_a_time(path: Path, config: Config) -> None:
    times: list[datetime | None] = [None]
    device = Device(path, config, wall=lambda: times[0])
    device.raises()
    times[0] = NOON
    device.tick(61)
    device.raises()
    stamps = []
    while letter := device.outbox.due(device.now_ns):
        stamps.append(msgspec.json.decode(letter.kept.payload)["t"])
        device.outbox.sent(letter.kept.id, device.now_ns)
    assert stamps == [None, "2026-11-22T12:00:00.123Z"]


def test_evidence_too_long_for_a_broker_is_left_out_and_said(device: Device) -> None:
    device.raises("fall", text="x" * 10_000)
    letter = device.outbox.due(device.now_ns)
    assert letter is not None and len(letter.kept.payload) < 400
    assert msgspec.json.decode(letter.kept.payload)["evidence"]["left_out_bytes"] > 10_000


def test_a_restart_keeps_the_install_counts_the_boot_and_sends_what_was_left(device: Device, path: Path, config: Config) -> None:
    install, boot = device.outbox.identity()
    left = [device.raises("obstacle"), device.raises("fall")]
    assert len(Outbox(path, config.outbox, InlineWriter(), lambda: None)) == 2, "known from the first moment"
    again = Device(path, config)  # the first was killed: never closed
    assert again.outbox.identity() == (install, boot + 2)
    new = again.raises("fall")
    assert again.sends() == [left[1], new, left[0]], "critical first, then boot and seq"


def test_what_was_left_is_due_from_the_first_moment_and_leaves_the_disk_when_it_has_arrived(path: Path, config: Config) -> None:
    left = Device(path, config).raises("fall")
    outbox = Outbox(path, config.outbox, InlineWriter(), lambda: None)
    letter = outbox.due(0)
    assert letter is not None and letter.kept.id == left
    outbox.sent(left, 0)
    outbox.answered(left, 0, 0)
    assert on_disk(path) == []


def test_an_event_that_the_contract_does_not_name_is_a_warning(device: Device) -> None:
    device.raises("of_a_later_version")
    letter = device.outbox.due(device.now_ns)
    assert letter is not None
    assert msgspec.json.decode(letter.kept.payload)["severity"] == "warning"


def test_an_alarm_told_again_after_a_restart_is_sent_as_it_was_stored(path: Path, config: Config) -> None:
    device = Device(path, config, wall=lambda: NOON)
    alarm = device.raises("fall")
    again = Device(path, config, wall=lambda: NOON + timedelta(minutes=5))
    again.now_ns = 9 * S
    boot = device.outbox.identity()[1]
    again.tick(events=(Event(alarm, 1, "fall", 100 * S, "walk"),))
    later = again.raises("fall")
    letter = again.outbox.due(again.now_ns)
    assert letter is not None
    told = msgspec.json.decode(letter.kept.payload)
    assert (told["id"], told["boot"], told["uptime_s"], told["t"]) == (alarm, boot, 100.0, "2026-11-22T12:00:00.123Z")
    assert again.sends(reason=0) == [alarm, later]
    assert len(again.outbox) == 0 and on_disk(path) == []
    assert again.faults() == []


def test_an_alarm_that_the_card_had_lost_is_of_the_boot_in_which_it_was_raised(path: Path, config: Config) -> None:
    device = Device(path, config, wall=lambda: NOON)
    install, boot = device.outbox.identity()
    alarm = f"{install}-{boot - 1}-7"
    device.tick(events=(Event(alarm, 7, "fall", 50 * S, "walk"),))
    letter = device.outbox.due(device.now_ns)
    assert letter is not None
    told = msgspec.json.decode(letter.kept.payload)
    assert (told["id"], told["boot"], told["seq"], told["uptime_s"]) == (alarm, boot - 1, 7, 50.0)
    assert told["t"] is None, "its time of day is not known, and this one is another"
    device.raises("obstacle")
    assert device.sends(reason=0)[0] == alarm and len(device.outbox) == 0


def test_without_known_receipts_an_acknowledged_alarm_has_arrived(device: Device, path: Path) -> None:
    device.raises("fall")
    assert device.sends(reason=0)
    assert len(device.outbox) == 0 and on_disk(path) == []


@pytest.mark.parametrize("reason", [0, None], ids=["v5", "3.1.1"])
def test_with_known_receipts_an_alarm_is_repeated_until_its_own_receipt(device: Device, reason: int | None) -> None:
    device.outbox.received(device.raises("fall"), device.now_ns)
    alarm = device.raises("fall")
    assert device.sends(reason) == [alarm]
    device.tick(9.9)
    assert device.sends(reason) == []
    device.tick(0.2)
    assert device.sends(reason) == [alarm], "the same id again after repeat_s"
    assert device.outbox.received(alarm, device.now_ns)
    device.tick(20)
    assert device.sends(reason) == []


def test_an_ordinary_event_leaves_on_its_acknowledgement_receipts_or_not(device: Device) -> None:
    device.outbox.received(device.raises("fall"), device.now_ns)
    device.raises("coach")
    device.sends(reason=0)
    assert len(device.outbox) == 0


def test_receipts_are_remembered_over_a_restart_and_forgotten_after_their_time(path: Path, config: Config) -> None:
    day = timedelta(days=1)
    device = Device(path, config, wall=lambda: NOON)
    device.outbox.received(device.raises("fall"), device.now_ns)
    device.tick(1)
    assert Device(path, config, wall=lambda: NOON + 6 * day).outbox.receipts_known(100 * S)
    assert not Device(path, config, wall=lambda: NOON + 8 * day).outbox.receipts_known(100 * S)
    assert Device(path, config, wall=lambda: None).outbox.receipts_known(100 * S), "not knowing the date is no reason to lose an alarm"


def test_a_receipt_of_another_device_is_not_ours(device: Device) -> None:
    assert not device.outbox.received("deadbeef-1-1", device.now_ns)
    assert not device.outbox.receipts_known(device.now_ns)


def test_no_answer_means_again_after_repeat_s_or_at_once_on_a_new_connection(device: Device) -> None:
    id_ = device.raises("coach")
    assert device.sends() == [id_]
    device.tick(10.1)
    assert device.sends() == [id_]
    device.outbox.connected(device.now_ns)
    assert device.sends() == [id_]


def test_nobody_listening_backs_off_from_5_to_60_s_and_keeps_everything(device: Device) -> None:
    for _ in range(4):
        device.raises("coach")
    device.outbox.connected(device.now_ns)
    assert len(device.sends(reason=16)) == 1, "the rest is older than the silence: it waits untried"
    assert device.faults() == ["nobody_listening"]
    gaps, last_s = [], device.now_ns / S
    for _ in range(2000):
        device.tick(0.1)
        if sent := device.sends(reason=16):
            assert len(sent) == 1, "one letter asks for all"
            gaps.append(round(device.now_ns / S - last_s))
            last_s = device.now_ns / S
    assert gaps == [5, 10, 20, 40, 60, 60]
    device.tick(60.1)
    assert len(device.sends(reason=0)) == 4, "somebody is there: all at once"
    assert device.faults() == []


def test_a_whole_window_without_a_subscriber_is_one_silence_not_eight(device: Device) -> None:
    ids = [device.raises("coach") for _ in range(8)]
    assert device.sends() == ids
    for id_ in ids:
        device.outbox.answered(id_, 16, device.now_ns)
    device.tick(5.1)
    assert len(device.sends(reason=16)) == 1, "asked again after the first back-off, not after its eighth doubling"


def test_after_a_silence_it_asks_again_five_seconds_later_to_the_tick(device: Device) -> None:
    id_ = device.raises("coach")
    device.sends(reason=16)
    device.now_ns = 105 * S - 1
    assert device.sends() == []
    device.now_ns = 105 * S
    assert device.sends() == [id_]


@pytest.mark.parametrize(("reason", "again_s"), [("none", 10), (0, 10), (0x87, 5)], ids=["no answer", "no receipt", "refused"])
def test_an_alarm_that_has_not_arrived_goes_again_to_the_tick(device: Device, reason: int | str, again_s: int) -> None:
    device.outbox.received(device.raises("fall"), device.now_ns)
    alarm = device.raises("fall")
    assert device.sends(reason) == [alarm]
    device.now_ns += again_s * S - 1
    assert device.sends(reason) == []
    device.now_ns += 1
    assert device.sends(reason) == [alarm]


def test_receipts_are_known_for_seven_days(device: Device) -> None:
    week_ns = 7 * 86400 * S
    device.outbox.received(device.raises("fall"), device.now_ns)
    assert device.outbox.receipts_known(device.now_ns + week_ns - 1)
    assert not device.outbox.receipts_known(device.now_ns + week_ns)


def test_a_new_alarm_is_tried_at_once_even_when_nobody_listened(device: Device) -> None:
    device.raises("coach")
    device.sends(reason=16)
    device.tick(0.5)
    alarm = device.raises("fall")
    assert device.sends(reason=16) == [alarm]
    device.tick(0.5)
    assert device.sends() == []


def test_a_refused_event_is_set_aside_and_never_blocks_the_next(device: Device) -> None:
    bad = device.raises("fall")
    for _ in range(5):
        assert device.sends(reason=0x87) == [bad]
        device.tick(5.1)
    assert device.faults() == ["event_refused"]
    good = device.raises("coach")
    assert device.sends(reason=0) == [good]
    device.tick(100)
    assert device.sends() == []
    device.outbox.connected(device.now_ns)
    assert device.sends(reason=0x87) == [bad], "tried anew on a new connection"
    assert device.faults() == ["event_refused"]
    device.tick(6)
    assert device.sends() == [], "refused again it is set aside at once"
    device.outbox.connected(device.now_ns)
    assert device.sends(reason=0) == [bad], "the rights may have been put right"
    assert device.faults() == []


def test_a_refused_event_set_aside_tries_again_in_a_while(device: Device) -> None:
    device.raises("fall")
    for _ in range(5):
        device.sends(reason=0x97)
        device.tick(5.1)
    device.tick(600)
    assert len(device.sends(reason=0)) == 1 and device.faults() == []


def test_ordinary_events_expire_after_seven_days_and_alarms_do_not(device: Device, path: Path) -> None:
    alarm = device.raises("fall")
    device.raises("coach")
    device.tick(7 * 86400 + 61)
    assert on_disk(path) == [alarm]
    assert device.outbox.expired == 1


def test_age_counts_through_restarts_once_the_clock_is_known(path: Path, config: Config) -> None:
    Device(path, config, wall=lambda: NOON).raises("coach")
    times: list[datetime | None] = [None]
    device = Device(path, config, wall=lambda: times[0])
    device.tick(61)
    assert len(device.outbox) == 1
    times[0] = NOON + timedelta(days=8)
    device.tick(61)
    assert len(device.outbox) == 0 and device.outbox.expired == 1


def test_the_number_of_events_is_bounded_oldest_ordinary_first(path: Path, config: Config) -> None:
    small = msgspec.structs.replace(config, outbox=msgspec.structs.replace(config.outbox, rows_max=100))
    device = Device(path, small)
    alarm, oldest = device.raises("fall"), device.raises("coach")
    ids = [device.raises("coach") for _ in range(100)]
    assert alarm in device.outbox and oldest not in device.outbox and ids[0] not in device.outbox
    assert len(device.outbox) == 100 and device.outbox.expired == 2
    assert sorted(on_disk(path)) == sorted([alarm, *ids[1:]])


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b""], ids=["garbage", "empty"])
def test_a_damaged_database_is_set_aside_and_a_new_one_begun(path: Path, config: Config, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    device = Device(path, config)
    assert device.outbox.identity()[1] == 1
    id_ = device.raises("fall")
    assert on_disk(path) == [id_]
    if damage:
        device.tick(1)
        assert device.faults() == ["output_failed"] and "outbox.sqlite.damaged" in device.outbox.faults()[0].detail
        assert path.with_name("outbox.sqlite.damaged").read_bytes() == damage
        device.tick(61)
        assert device.faults() == [], "said for a minute"


def test_a_page_torn_inside_the_database_is_found_at_start(device: Device, path: Path, config: Config) -> None:
    for i in range(200):
        device.raises("coach", text="x" * 300, n=i)
    device.outbox.close()
    with path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xa5" * 4096 * 3)
    again = Device(path, config)
    assert again.outbox.identity()[0] != device.outbox.identity()[0], "a new install: no id is ever used twice"
    again.tick(1)
    assert again.faults() == ["output_failed"]


def test_a_database_that_breaks_in_use_gets_back_all_that_is_still_known(device: Device, path: Path, config: Config) -> None:
    first = device.raises("fall")
    device.outbox._store.db.execute("DROP TABLE event")  # type: ignore[union-attr]
    second = device.raises("fall")
    assert set(device.sends()) == {first, second}, "an alarm goes out though it could not be stored"
    device.tick(6)
    assert on_disk(path) == [first, second]
    assert Device(path, config).outbox.identity() == (device.outbox.identity()[0], 2)


def test_a_full_card_is_a_fault_and_alarms_go_out_and_are_stored_later(device: Device, path: Path) -> None:
    pages = "PRAGMA max_page_count = {}"
    device.outbox._store.db.execute(pages.format(1))  # type: ignore[union-attr]  (SQLite itself then says "database or disk is full")
    ids = [device.raises("fall", text="x" * 3000) for _ in range(20)]
    assert device.faults() == ["disk_full"]
    assert device.sends() == ids
    device.outbox._store.db.execute(pages.format(100_000))  # type: ignore[union-attr]
    device.tick(6)
    assert on_disk(path) == ids and device.faults() == []


def test_a_full_card_is_forgotten_when_there_is_space_though_what_it_did_not_take_has_arrived_meanwhile(device: Device) -> None:
    pages = "PRAGMA max_page_count = {}"
    device.outbox._store.db.execute(pages.format(1))  # type: ignore[union-attr]
    while not device.faults():
        refused = device.raises("obstacle", text="x" * 3000)
    device.outbox.received(refused, device.now_ns)
    assert refused not in device.outbox and device.faults() == ["disk_full"]
    device.outbox._store.db.execute(pages.format(100_000))  # type: ignore[union-attr]
    device.tick(6)
    assert device.faults() == []


def test_a_folder_that_cannot_be_written_stops_nothing_and_ids_stay_unique(tmp_path: Path, config: Config) -> None:
    (tmp_path / "file").write_text("")
    devices = [Device(tmp_path / "file" / "outbox.sqlite", config) for _ in range(2)]
    assert devices[0].outbox.identity()[0] != devices[1].outbox.identity()[0]
    id_ = devices[0].raises("fall")
    assert devices[0].sends() == [id_]
    assert devices[0].faults() == ["output_failed"]


def test_a_file_that_can_be_opened_only_later_brings_its_events_and_no_new_identity(path: Path, config: Config) -> None:
    left = Device(path, config).raises("fall")
    away = path.with_name("away")
    path.rename(away)
    path.mkdir()  # no file can be opened here
    device = Device(path, config)
    identity = device.outbox.identity()
    new = device.raises("fall")
    path.rmdir()
    away.rename(path)
    device.tick(6)
    device.tick(1)
    assert device.outbox.identity() == identity and device.faults() == []
    assert set(device.sends()) == {left, new} == set(on_disk(path))


def test_every_commit_waits_for_the_card(device: Device) -> None:
    db = device.outbox._store.db
    assert db is not None
    assert db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_hung_card_delays_the_loop_and_the_alarm_only_so_long(path: Path, config: Config) -> None:
    writer = ThreadWriter("outbox")
    device = Device(path, config, writer)
    hang = threading.Event()
    writer.submit(hang.wait)
    alarm = device.raises("fall")
    assert device.sends() == [], "stored before published"
    device.tick(0.5)
    assert device.faults() == ["output_failed"]
    device.tick(1.6)
    assert device.sends() == [alarm], "but an alarm outranks the order of things"
    hang.set()
    assert writer.submit(lambda: None, wait_s=5.0)
    device.tick(0.01)
    assert device.faults() == [] and on_disk(path) == [alarm]
    device.outbox.close()
    assert writer.close()


def test_only_an_alarm_and_the_end_wait_for_the_card(path: Path, config: Config) -> None:
    writer = HeldWriter()
    device = Device(path, config, writer)
    device.raises("coach")
    alarm = device.raises("fall")
    writer.run()
    device.outbox.received(alarm, device.now_ns)
    assert writer.waits == [0.0, 0.2, 0.0]
    device.outbox.settle()
    device.outbox.close()
    assert writer.waits[3:] == [2.0, 2.0, 2.0]
    writer.run()
    assert len(on_disk(path)) == 1


def test_however_much_arrives_while_the_card_hangs_one_job_waits_for_it(path: Path, config: Config) -> None:
    writer = HeldWriter()
    device = Device(path, config, writer)
    ids = [device.raises("coach") for _ in range(5)]
    writer.run()
    for id_ in ids:
        device.outbox.received(id_, device.now_ns)
    assert len(writer.jobs) == 1
    writer.run()
    assert on_disk(path) == []


def test_what_a_full_queue_refused_is_handed_over_again_within_a_second_and_then_every_five(path: Path, config: Config) -> None:
    writer = HeldWriter()
    device = Device(path, config, writer)
    writer.full = True
    id_ = device.raises("coach")
    tries = []
    for _ in range(7):
        device.tick(1)
        tries.append(writer.dropped - 1)
    assert tries == [1, 1, 1, 1, 1, 2, 2]
    writer.full = False
    device.tick(4)
    writer.run()
    assert on_disk(path) == [id_]


def test_a_card_that_takes_longer_than_200_ms_is_said_and_longer_than_2_s_is_not_waited_for(path: Path, config: Config) -> None:
    device = Device(path, config, HeldWriter())
    id_ = device.raises("test")
    device.tick(0.2)
    assert device.faults() == []
    device.now_ns += 1
    device.tick()
    assert device.outbox.faults() == (Fault("output_failed", "outbox: the card does not take events; it may be worn out"),)
    assert device.outbox.due(device.now_ns) is None
    device.now_ns = 102 * S - 1
    assert device.sends() == []
    device.now_ns = 102 * S - 1 + 20_000_000
    assert device.sends() == [id_], "asked again after 20 ms"
    other = Device(None, config, HeldWriter())
    other.raises("test")
    assert other.outbox.due(102 * S) is not None


def test_a_hung_card_stays_a_fault_until_it_writes_though_what_it_was_to_store_has_arrived_meanwhile(path: Path, config: Config) -> None:
    writer = ThreadWriter("outbox")
    device = Device(path, config, writer)
    hang = threading.Event()
    writer.submit(hang.wait)
    told = device.raises("test")
    device.tick(2.1)
    assert device.sends(0) == [told]
    assert told not in device.outbox
    device.tick(0.5)
    assert device.faults() == ["output_failed"], "the card still hangs"
    hang.set()
    assert writer.submit(lambda: None, wait_s=5.0)
    device.tick(0.01)
    assert device.faults() == []
    device.outbox.close()
    assert writer.close()


def test_a_clock_once_set_stays_known() -> None:
    answers = [False, True]
    wall = WallClock(lambda: answers.pop(0))
    assert wall() is None
    first, second = wall(), wall()
    assert first is not None and second is not None and second >= first and first.tzinfo is UTC


def test_asking_the_machine_about_its_clock_gives_an_answer() -> None:
    assert clock_synced() in (True, False)


def test_no_fault_stands_in_peace(device: Device) -> None:
    device.raises("fall")
    device.sends(reason=0)
    device.tick(1)
    assert device.outbox.faults() == ()
