"""Stories of the logbook: every session is in the database as it was told, whatever card, clock and power do; the plan follows from it."""

import resource
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from guardian import sessions
from guardian.__main__ import main
from guardian.config import Config
from guardian.frame import Command, Frame
from guardian.outputs.logbook import UNKNOWN_GAP_S, Dose, Logbook, detail_of
from guardian.outputs.writer import InlineWriter, ThreadWriter, Writer
from guardian.sessions import Mark, Planned, Second, Summary
from guardian.verdict import Event, Evidence, Gap, Mean, Motion, Obstacle, Phase, Session, State, Training, Verdict
from tests.stage import Performance

S = 1_000_000_000
TICK_S = 0.1
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday
DOSES = {"walk": Dose("s", 300.0, 600.0), "stairs": Dose("stairs", 5.0, 10.0, sets=2)}
SUMMARY: Evidence = {
    "reason": "three_presses", "duration_s": 312.5, "steps": 540, "distance_m": 280.25, "cadence": 104.0, "speed_m_s": 0.9,
    "regularity": 0.8, "symmetry": 0.95, "lean_deg": 3.5, "sway_deg": 2.0, "stairs": 0, "lunges_left": 0, "lunges_right": 0, "unit": "s",
    "dose": 300.0, "done": 300.0, "sets_done": 1, "cautions": 4, "stops": 1, "near_falls": 0,
}  # fmt: skip


class Wearer:
    """A logbook, the ticks it sees, and the clock on the wall; `boot` counts the program's lives."""

    def __init__(self, path: Path, config: Config, writer: Writer | None = None, boot: int = 1, now_s: float = 100.0) -> None:
        self.t_ns, self.seq, self.boot = int(now_s * S), 0, boot
        self.set_at: tuple[datetime, int] | None = (NOON, self.t_ns)  # the wall clock at a moment of ours; None: not set
        self.asked: list[Command] = []
        self.session: Session | None = None
        self.motion, self.gap, self.obstacle = Motion(walking=True, speed_m_s=0.9, cadence=104.0, lean_deg=3.0), Gap(), Obstacle.CLEAR
        self.path, self.config, self.writer = path, config, writer or InlineWriter("logbook")
        self.logbook: Logbook

    def on(self, dated: bool = True) -> "Wearer":
        """Switch it on."""
        if not dated:
            self.set_at = None
        self.logbook = Logbook(self.path, self.config, DOSES, self.writer, self.wall, self.asked.append)
        return self

    def wall(self) -> datetime | None:
        return self.set_at and self.set_at[0] + timedelta(microseconds=(self.t_ns - self.set_at[1]) // 1000)

    def event(self, event_type: str, exercise: str = "walk", **evidence: Any) -> Event:
        self.seq += 1
        return Event(f"ab-{self.boot}-{self.seq}", self.seq, event_type, self.t_ns, exercise, evidence)

    def tick(self, *events: Event) -> None:
        training = Training(Phase.WORK, "s", 1.0, 300.0) if self.session else None
        self.logbook.apply(
            Frame(self.t_ns),
            Verdict(
                self.t_ns, State.GUARDING, self.obstacle, None, events, self.motion, self.gap, self.session, None, "walk", training=training
            ),
        )
        self.t_ns += int(TICK_S * S)

    def go(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            if self.session is not None:
                tally = self.session.tally
                tally = replace(tally, duration_ns=tally.duration_ns + int(TICK_S * S), distance_m=tally.distance_m + 0.05)
                self.session = replace(self.session, steps=self.session.steps + 1, tally=tally)
            self.tick()

    def begin(self, exercise: str = "walk", *before: Event) -> str:
        started = self.event("session_started", exercise)
        self.session = Session(started.id, exercise, self.t_ns)
        self.tick(*before, started)
        return started.id

    def ending(self, **evidence: Any) -> Event:
        assert self.session is not None
        return self.event("session_ended", self.session.exercise, session=self.session.id, **(SUMMARY | evidence))

    def end(self, **evidence: Any) -> Event:
        told = self.ending(**evidence)
        self.session = None
        self.tick(told)
        return told

    def train(self, exercise: str = "walk", **evidence: Any) -> str:
        """A short session."""
        name = self.begin(exercise)
        self.go(2)
        self.end(**evidence)
        return name

    def wait_until(self, moment: datetime) -> None:
        """Let time pass without a tick, as while the loop's clock ran on in an empty room; then a second of ticks."""
        now = self.wall()
        assert now is not None and moment > now
        self.t_ns += int((moment - now).total_seconds() * S)
        self.go(1)

    def off(self) -> None:
        self.logbook.close()
        self.writer.close()

    def faults(self) -> list[str]:
        return [fault.name for fault in self.logbook.faults()]

    def doses(self, exercise: str = "walk") -> list[str]:
        return [str(command.value) for command in self.asked if command.id == exercise]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / sessions.FILE


@pytest.fixture
def wearer(path: Path, config: Config) -> Wearer:
    return Wearer(path, config).on()


def rows(path: Path) -> list[Summary]:
    with closing(sessions.open_for_reading(path)) as db:
        found, damage = sessions.read_sessions(db)
    assert not damage
    return found


def seconds(path: Path, session: str) -> list[Second]:
    with closing(sessions.open_for_reading(path)) as db:
        found, damage = sessions.read_seconds(db, session)
    assert not damage
    return found


def marks(path: Path, session: str) -> list[Mark]:
    with closing(sessions.open_for_reading(path)) as db:
        return sessions.read_marks(db, session)[0]


def plans(path: Path) -> dict[str, Planned]:
    with closing(sessions.open_for_reading(path)) as db:
        return {plan.exercise: plan for plan in sessions.read_plans(db)[0]}


def utc_s(moment: datetime) -> float:
    return moment.timestamp()


# --- a session


def test_a_session_is_in_the_database_second_by_second_and_ends_as_its_event_tells(wearer: Wearer, path: Path) -> None:
    wearer.go(5)
    name = wearer.begin()
    wearer.go(312.5)
    told = wearer.end()
    (row,) = rows(path)
    for key, value in told.evidence.items():
        assert getattr(row, "id" if key == "session" else key) == value, key
    assert (row.id, row.exercise) == (name, "walk")
    assert row.started_utc == pytest.approx(utc_s(NOON) + 5, abs=0.002)
    assert row.ended_utc == pytest.approx(utc_s(NOON) + 5 + 312.6, abs=0.002)
    assert [second.t_s for second in seconds(path, name)] == [float(t) for t in range(313)], "one a second"
    assert seconds(path, name)[7] == Second(name, 7.0, 0.9, 104.0, 3.0, None, "CLEAR", "GUARDING", "work")


def test_what_the_event_does_not_tell_is_not_known_in_the_row(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(3)
    wearer.session = None
    wearer.tick(wearer.event("session_ended", reason="power_off", session=name, steps=30))
    (row,) = rows(path)
    assert row == Summary(name, "walk", row.started_utc, row.ended_utc, "power_off", steps=30)


def test_a_session_is_there_from_its_first_tick_and_holds_what_is_known_so_far(wearer: Wearer, path: Path) -> None:
    """A flat battery tells nobody that it will be."""
    name = wearer.begin()
    assert [(row.id, row.reason) for row in rows(path)] == [(name, None)]
    wearer.go(60)
    assert wearer.session is not None
    done = replace(
        wearer.session.tally,
        means={"cadence": Mean(6240.0, 60.0)},
        near_falls=1,
        training=Training(Phase.WORK, "s", 55.0, 300.0),
        done=55.0,
    )
    wearer.session = replace(wearer.session, tally=done)
    wearer.tick(wearer.event("fall"))
    wearer.go(20)
    (row,) = rows(path)
    assert row.reason is None and row.ended_utc is None
    assert row.duration_s is not None and row.duration_s >= 70 and row.steps >= 700 and row.distance_m > 35
    assert (row.near_falls, row.falls, row.cadence, row.unit, row.dose, row.done) == (1, 1, 104.0, "s", 300.0, 55.0)


def test_a_second_shows_the_worst_answer_and_the_nearest_echo_in_it(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(2.2)
    wearer.gap, wearer.obstacle = Gap(0.8), Obstacle.STOP
    wearer.go(0.3)
    wearer.gap, wearer.obstacle = Gap(2.5), Obstacle.CAUTION
    wearer.go(0.2)
    wearer.gap, wearer.obstacle = Gap(3.1), Obstacle.CLEAR
    wearer.go(2.3)
    wearer.end()
    shown = [(second.obstacle, second.behind_m) for second in seconds(path, name)]
    assert shown == [("CLEAR", None), ("CLEAR", None), ("CLEAR", None), ("STOP", 0.8), ("CLEAR", 3.1), ("CLEAR", 3.1)]


def test_what_happens_within_a_session_is_marked_and_nothing_outside_it(wearer: Wearer, path: Path) -> None:
    wearer.tick(wearer.event("fault", fault="link_down", detail="no route"))
    name = wearer.begin()
    wearer.go(4.9)
    wearer.tick(wearer.event("obstacle", distance_m=0.42, closing_m_s=0.8), wearer.event("exercise_changed"))
    wearer.go(2)
    wearer.tick(wearer.event("fall", rule="20 s of countdown over", no_body_motion=True, upright=False))
    wearer.go(1)
    wearer.end()
    wearer.tick(wearer.event("guarding"))
    wearer.go(11)
    assert marks(path, name) == [
        Mark(name, 5.0, "obstacle", "distance 0.42 m, closing 0.8 m/s"),
        Mark(name, 7.1, "fall", "20 s of countdown over, no body motion"),
    ]
    assert rows(path)[0].falls == 1, "counted here: session_ended does not tell it"


def test_evidence_reads_as_a_line() -> None:
    evidence: Evidence = {"fault": "imu_silent", "impact_g": 3.456, "lean_deg": 12.0, "not_upright_s": 3.0, "dose": 1234.0, "n": 2}
    told = "fault imu_silent, impact 3.46 g, lean 12°, not upright 3 s, dose 1234, n 2"
    assert detail_of(Event("a-1-1", 1, "fault", 0, "walk", evidence)) == told


def test_a_session_in_which_nobody_moves_has_its_seconds_too(wearer: Wearer, path: Path) -> None:
    """Its sums stand still, and are not written."""
    name = wearer.begin()
    for _ in range(300):
        wearer.tick()
    assert len(seconds(path, name)) >= 20


def test_another_exercise_ends_one_session_and_begins_the_next_in_one_tick(wearer: Wearer, path: Path) -> None:
    first = wearer.begin()
    wearer.go(30)
    second = wearer.begin("stairs", wearer.ending(reason="exercise_changed"), wearer.event("exercise_changed"))
    wearer.go(10)
    wearer.end(stairs=10)
    one, other = rows(path)
    assert (one.id, one.exercise, one.reason, one.duration_s) == (first, "walk", "exercise_changed", 312.5)
    assert (other.id, other.exercise, other.stairs) == (second, "stairs", 10)
    assert one.ended_utc == other.started_utc
    assert [s.t_s for s in seconds(path, first)][-1] == 30.0 and [s.t_s for s in seconds(path, second)] == [float(t) for t in range(11)]


def test_a_loop_that_stood_still_leaves_a_hole_and_makes_nothing_up(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(2)
    wearer.t_ns += 5 * S
    wearer.go(2)
    wearer.end()
    assert [second.t_s for second in seconds(path, name)] == [0.0, 1.0, 2.0, 7.1, 8.1]


def test_everyday_wear_has_a_timeline_and_no_plan(wearer: Wearer, path: Path) -> None:
    name = wearer.train("everyday", unit="s")
    assert rows(path)[0].exercise == "everyday" and seconds(path, name)
    assert set(plans(path)) == {"walk", "stairs"} and wearer.asked == []


# --- clocks and restarts


def test_a_clock_that_is_set_during_the_session_dates_it_backward(path: Path, config: Config) -> None:
    wearer = Wearer(path, config).on(dated=False)
    name = wearer.begin()
    wearer.go(40)
    assert rows(path)[0].started_utc is None
    wearer.set_at = (NOON, wearer.t_ns)
    wearer.go(11)
    assert rows(path)[0].started_utc == pytest.approx(utc_s(NOON) - 40.1, abs=0.01)
    wearer.end()
    assert rows(path)[0].ended_utc == pytest.approx(utc_s(NOON) + 11, abs=0.01)
    assert len(seconds(path, name)) == 52


def test_a_session_that_ended_before_the_clock_was_set_is_dated_when_it_is(path: Path, config: Config) -> None:
    """Trained out of reach of the network, then carried home switched on."""
    wearer = Wearer(path, config).on(dated=False)
    wearer.train()
    wearer.go(600)
    wearer.train()
    assert [(row.started_utc, row.ended_utc) for row in rows(path)] == [(None, None)] * 2
    wearer.set_at = (NOON, wearer.t_ns)
    wearer.go(11)
    first, second = rows(path)
    assert first.started_utc == pytest.approx(utc_s(NOON) - 604.4, abs=0.1) and second.started_utc == pytest.approx(
        utc_s(NOON) - 2.2, abs=0.1
    )
    assert second.ended_utc is not None and second.reason == "three_presses"


def test_a_session_without_a_clock_stays_undated_and_is_whole_otherwise(path: Path, config: Config) -> None:
    wearer = Wearer(path, config).on(dated=False)
    wearer.train()
    wearer.off()
    (row,) = rows(path)
    assert (row.started_utc, row.ended_utc, row.steps) == (None, None, 540)


def resumed(before: Wearer, gap_s: float, dated: bool = True) -> Wearer:
    """The program's next life, with the session that the journal kept."""
    after = Wearer(before.path, before.config, boot=before.boot + 1, now_s=3.0)
    now = before.wall()
    after.set_at = (now + timedelta(seconds=gap_s), after.t_ns) if dated and now else None
    assert before.session is not None
    after.session = replace(before.session, t_ns=0)
    return after.on()


def test_after_a_restart_the_session_goes_on_in_its_row_and_the_gap_is_seen(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(25)
    again = resumed(wearer, 12.0)
    again.go(20)
    told = again.end()
    (row,) = rows(path)
    assert (row.id, row.steps, row.reason) == (name, told.evidence["steps"], "three_presses")
    assert row.started_utc == pytest.approx(utc_s(NOON), abs=0.01)
    times = [second.t_s for second in seconds(path, name)]
    lived = [t for t in times if t <= 25]
    assert len(lived) >= 20, "what came after the last batch went with the power"
    assert min(t for t in times if t > 25) == pytest.approx(25.1 + 12, abs=0.01) and len(times) == len(lived) + 20


def test_after_a_restart_without_a_clock_the_gap_is_about_a_restart(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(25)
    again = resumed(wearer, 0.0, dated=False)
    again.go(3)
    again.end()
    times = [second.t_s for second in seconds(path, name)]
    assert times[-3:] == [times[-4] + UNKNOWN_GAP_S + t for t in (0.0, 1.0, 2.0)]
    assert rows(path)[0].started_utc == pytest.approx(utc_s(NOON), abs=0.01) and rows(path)[0].ended_utc is None


def test_a_session_that_was_cut_off_in_its_first_seconds_goes_on_from_its_start(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(4)
    again = resumed(wearer, 12.0)
    again.go(3)
    again.end()
    assert [second.t_s for second in seconds(path, name)] == pytest.approx([0.0, 16.1, 17.1, 18.1], abs=0.01)


def test_a_session_that_is_resumed_into_a_new_database_is_begun_there(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(5)
    wearer.off()
    for file in path.parent.iterdir():
        file.unlink()
    again = resumed(wearer, 5.0)
    again.go(3)
    assert (rows(path)[0].id, rows(path)[0].started_utc) == (name, None)
    assert [second.t_s for second in seconds(path, name)] == [0.0]


def test_a_session_that_ends_in_the_first_tick_after_a_restart_ends_in_its_row(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.go(15)
    again = resumed(wearer, 5.0)
    again.end()
    (row,) = rows(path)
    assert (row.id, row.reason, row.exercise) == (name, "three_presses", "walk")
    assert row.started_utc == pytest.approx(utc_s(NOON), abs=0.01)


def test_a_session_that_ended_unseen_stays_open_in_its_row_and_the_next_is_its_own(wearer: Wearer, path: Path) -> None:
    wearer.begin()
    wearer.go(15)
    again = Wearer(path, wearer.config, boot=2, now_s=3.0).on()
    again.train()
    assert [row.reason for row in rows(path)] == [None, "three_presses"]


# --- cards


@contextmanager
def no_file_grows() -> Iterator[None]:
    """Every write beyond the first byte of a file fails (EFBIG; Python ignores the signal)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_card_that_takes_nothing_is_a_fault_and_all_is_written_when_it_does(wearer: Wearer, path: Path) -> None:
    with no_file_grows():
        name = wearer.begin()
        wearer.go(40)
        wearer.end()
        assert wearer.faults() == ["output_failed"]
        assert wearer.logbook.faults()[0].detail.startswith("logbook: ")
    wearer.go(11)
    assert wearer.faults() == [] and wearer.logbook.dropped == 0
    assert len(seconds(path, name)) == 41 and rows(path)[0].reason == "three_presses"


def test_a_full_card_is_named_as_such(wearer: Wearer, path: Path) -> None:
    pages = "PRAGMA max_page_count = {}"
    db = wearer.logbook._book._opened()
    db.execute(pages.format(1))  # SQLite itself then says "database or disk is full"
    name = wearer.begin()
    wearer.go(600)
    assert wearer.faults() == ["disk_full"]
    db.execute(pages.format(100_000))
    wearer.go(6)  # not a whole batch later
    assert wearer.faults() == [] and len(seconds(path, name)) >= 600


def test_a_folder_that_cannot_be_made_is_a_fault_and_the_session_is_written_once_it_can(path: Path, config: Config) -> None:
    path.parent.write_text("not a folder")
    wearer = Wearer(path, config).on()
    name = wearer.begin()
    wearer.go(12)
    assert wearer.faults() == ["output_failed"]
    path.parent.unlink()
    wearer.go(6)
    assert wearer.faults() == [] and len(seconds(path, name)) == 16


def test_what_waits_is_bounded_the_oldest_seconds_go_first_and_are_counted(path: Path, config: Config) -> None:
    small = replace(config, logbook=replace(config.logbook, rows_max=100))
    wearer = Wearer(path, small).on()
    with no_file_grows():
        name = wearer.begin()
        wearer.go(10)
        wearer.tick(wearer.event("near_fall"))
        wearer.go(189.9)
        wearer.end()
    wearer.go(11)
    left = seconds(path, name)
    assert wearer.logbook.dropped == 201 + 3 - 100 == 201 - len(left)
    assert left[-1].t_s == 200.0 and left[0].t_s == 104.0
    assert [mark.event_type for mark in marks(path, name)] == ["near_fall"] and rows(path)[0].reason == "three_presses"


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xa5" * 5000])
def test_a_damaged_database_is_set_aside_and_said_and_a_new_one_begun(path: Path, config: Config, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    wearer = Wearer(path, config).on()
    name = wearer.begin()
    wearer.go(12)
    assert wearer.faults() == ["output_failed"] and f"{path.name}.damaged" in wearer.logbook.faults()[0].detail
    assert path.with_name(path.name + ".damaged").read_bytes() == damage
    wearer.go(61)
    wearer.end()
    assert wearer.faults() == [], "said for a minute"
    assert rows(path)[0].id == name


def test_a_database_that_breaks_in_use_costs_the_session_only_what_was_in_it(wearer: Wearer, path: Path) -> None:
    wearer.train()
    name = wearer.begin()
    wearer.go(25)
    db = wearer.logbook._book._opened()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    db.execute("PRAGMA shrink_memory")
    wearer.go(20)
    wearer.end()
    (row,) = rows(path)
    assert (row.id, row.steps, row.reason) == (name, 540, "three_presses"), "the new one has the whole summary"
    assert path.with_name(path.name + ".damaged").exists()
    times = [second.t_s for second in seconds(path, name)]
    assert times[-1] == 45.0 and len(times) >= 20


def test_a_newer_guardians_database_is_left_alone_and_said(path: Path, config: Config) -> None:
    Wearer(path, config).on().off()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    wearer = Wearer(path, config).on()
    wearer.begin()
    wearer.go(11)
    assert wearer.faults() == ["output_failed"] and "newer" in wearer.logbook.faults()[0].detail
    assert not path.with_name(path.name + ".damaged").exists()


def test_a_card_that_hangs_holds_nothing_back_and_is_a_fault(path: Path, config: Config) -> None:
    writer, hang = ThreadWriter("logbook", 4), threading.Event()
    wearer = Wearer(path, config, writer).on()
    assert writer.submit(lambda: None, 5.0)
    writer.submit(hang.wait)
    name = wearer.begin()
    wearer.go(100)
    assert writer.dropped == 0, "one job waits, however long"
    writer._running_since_ns = 1  # since boot
    wearer.go(11)
    assert wearer.faults() == ["output_failed"] and "worn" in wearer.logbook.faults()[0].detail
    hang.set()
    wearer.end()
    wearer.off()
    assert len(seconds(path, name)) == 111 + 1


def test_a_row_that_the_database_refuses_does_not_hold_up_those_after_it(wearer: Wearer, path: Path) -> None:
    name = wearer.begin()
    wearer.motion = replace(
        wearer.motion, speed_m_s=float("nan")
    )  # the mind says no such thing; SQLite keeps it as NULL, and none is allowed
    wearer.go(12)
    assert wearer.faults() == ["output_failed"] and wearer.logbook.dropped >= 10
    wearer.motion = replace(wearer.motion, speed_m_s=0.5)
    wearer.go(20)
    wearer.end()
    assert wearer.faults() == []
    assert {second.speed_m_s for second in seconds(path, name)} == {0.9, 0.5} and rows(path)[0].reason == "three_presses"


# --- the plan


def test_before_the_first_session_the_coach_needs_no_word_and_the_plan_is_written(wearer: Wearer, path: Path) -> None:
    wearer.go(30)
    assert wearer.asked == []
    assert plans(path)["walk"] == Planned("walk", 300.0, "s", utc_s(NOON), "the starting dose: no session yet")


def test_the_first_frames_carry_the_doses_and_say_them_once(wearer: Wearer) -> None:
    wearer.train()
    wearer.off()
    again = Wearer(wearer.path, wearer.config, boot=2).on()
    told = [Command("dose", "walk", value="300 the starting dose: the first week")]
    assert again.asked == told, "before the first tick"
    again.go(30)
    assert again.asked == told


def test_thirty_sessions_in_ten_weeks_grow_the_dose_to_the_most(wearer: Wearer, path: Path) -> None:
    for session in range(30):
        week, day = divmod(session, 3)
        wearer.wait_until(NOON + timedelta(weeks=week, days=2 * day, hours=4))
        dose = float(wearer.doses()[-1].split()[0]) if session else 300.0
        wearer.train(dose=dose, done=dose)
    wearer.wait_until(NOON + timedelta(weeks=10))
    given = [row.dose for row in rows(path)]
    assert given[::3] == [300, 330, 363, 399, 439, 483, 531, 584, 600, 600]
    assert given[::3] == given[1::3] == given[2::3], "one dose a week"
    assert wearer.doses()[-1] == "600 at its most: three sessions done last week"
    assert plans(path)["walk"].dose == 600
    assert plans(path)["walk"].changed_utc == pytest.approx(utc_s(NOON + timedelta(weeks=8, hours=4)), abs=20)
    assert wearer.doses("stairs") == []


def test_a_near_fall_holds_the_dose_and_is_said_after_the_session(wearer: Wearer) -> None:
    for day in range(3):
        wearer.wait_until(NOON + timedelta(days=day, hours=4))
        wearer.train(near_falls=int(day == 2))
    assert wearer.doses()[-1] == "300 held: a near-fall on the last session"
    wearer.wait_until(NOON + timedelta(weeks=1))
    assert wearer.doses()[-1] == "300 held: a near-fall on the last session"


def test_a_fall_that_was_cancelled_holds_it_too_and_so_does_a_session_that_never_ended(wearer: Wearer, path: Path) -> None:
    for day in range(3):
        wearer.wait_until(NOON + timedelta(days=day, hours=4))
        wearer.train()
    wearer.begin()
    wearer.tick(wearer.event("fall_suspected"))
    wearer.go(11)
    again = Wearer(path, wearer.config, boot=2)
    again.set_at = (NOON + timedelta(weeks=1), again.t_ns)
    again.on()
    assert again.doses() == ["300 held: a fall or a suspected one on the last session"]


def test_sets_that_were_not_all_done_are_not_a_done_session(wearer: Wearer) -> None:
    for day in range(3):
        wearer.wait_until(NOON + timedelta(days=day, hours=4))
        wearer.train("stairs", unit="stairs", dose=5.0, done=9.0, sets_done=1)
    wearer.wait_until(NOON + timedelta(weeks=1))
    assert wearer.doses("stairs")[-1] == "5 held: no sessions done last week, of three"


def test_an_exercise_that_was_only_passed_by_on_the_way_to_another_was_not_trained(wearer: Wearer, path: Path) -> None:
    for day in range(3):
        wearer.wait_until(NOON + timedelta(days=day, hours=4))
        wearer.train("stairs", unit="stairs", dose=5.0, done=0.0, sets_done=0)
        wearer.train("walk")
    wearer.wait_until(NOON + timedelta(weeks=1))
    assert wearer.doses("stairs") == []
    assert wearer.doses()[-1] == "330 grown by 10 %: three sessions done last week"
    assert len(rows(path)) == 6, "but it is in the book"


def test_the_dose_of_the_exercise_under_way_waits_for_its_end(path: Path, config: Config) -> None:
    first = Wearer(path, config).on()
    for day in range(3):
        first.wait_until(NOON + timedelta(days=day, hours=4))
        first.train()
    first.off()
    wearer = Wearer(path, config, boot=2).on(dated=False)
    assert wearer.doses() == ["300 held: the date is not known yet"]
    wearer.begin()
    wearer.set_at = (NOON + timedelta(weeks=1), wearer.t_ns)
    wearer.go(30)
    assert len(wearer.doses()) == 1
    wearer.end()
    assert wearer.doses()[-1] == "330 grown by 10 %: three sessions done last week"


def test_on_monday_the_plan_goes_on_without_a_restart(wearer: Wearer) -> None:
    for day in range(3):
        wearer.wait_until(NOON + timedelta(days=day, hours=4))
        wearer.train()
    wearer.wait_until(NOON + timedelta(days=6, hours=11))
    assert wearer.doses()[-1].startswith("300 ")
    wearer.go(3700)
    assert wearer.doses()[-1].startswith("330 grown by 10 %")


def test_old_sessions_are_forgotten_and_the_plan_goes_on_with_the_rest(path: Path, config: Config) -> None:
    wearer = Wearer(path, replace(config, logbook=replace(config.logbook, keep_days=30.0))).on()
    old = wearer.train()
    wearer.wait_until(NOON + timedelta(days=20))
    kept = wearer.train()
    wearer.wait_until(NOON + timedelta(days=31))
    assert [row.id for row in rows(path)] == [kept]
    assert not seconds(path, old) and seconds(path, kept)


def test_a_large_file_loses_its_oldest_timelines_and_no_session(path: Path, config: Config) -> None:
    wearer = Wearer(path, replace(config, logbook=replace(config.logbook, timeline_mb=0.2))).on()
    names = []
    for day in range(4):
        wearer.wait_until(NOON + timedelta(days=day, hours=1))
        names.append(wearer.begin())
        wearer.go(1000)
        wearer.end()
    wearer.wait_until(NOON + timedelta(days=5))
    assert [row.id for row in rows(path)] == names
    assert not seconds(path, names[0]) and len(seconds(path, names[-1])) == 1001


# --- the whole device


def test_a_session_ended_by_three_presses_is_in_the_database_as_caregivers_were_told(tmp_path: Path) -> None:
    story = Performance("three_presses_then_toss", tmp_path)
    (told,) = [payload for payload in story.seen.values() if payload["event_type"] == "session_ended"]
    (row,) = rows(tmp_path / sessions.FILE)
    assert row.id == told["evidence"]["session"] and row.exercise == told["exercise"]
    columns = set(sessions.COLUMNS["session"]) - {"id", "exercise", "started_utc", "ended_utc", "falls"}
    agree = {key: value for key, value in told["evidence"].items() if key in columns}
    assert len(agree) >= 15 and {key: getattr(row, key) for key in agree} == agree
    assert all(getattr(row, key) is None for key in columns - agree.keys()), "what the event does not tell is not known"
    assert row.started_utc is not None and row.ended_utc is not None
    assert row.ended_utc == pytest.approx(datetime.fromisoformat(told["t"]).timestamp(), abs=0.002)
    assert row.ended_utc - row.started_utc == pytest.approx(told["evidence"]["duration_s"], abs=0.002)
    guarded = [verdict for verdict in story.verdicts if verdict.session is not None]
    timeline = seconds(tmp_path / sessions.FILE, row.id)
    assert [second.t_s for second in timeline] == [float(t) for t in range(len(timeline))] and len(timeline) == int(len(guarded) / 100) + 1
    for second, verdict in zip(timeline, guarded[::100], strict=True):
        assert (second.speed_m_s, second.cadence, second.state) == (verdict.motion.speed_m_s, verdict.motion.cadence, str(verdict.state))
    assert not [fault for frame in story.witness.frames for fault in frame.faults if "logbook" in fault.detail]


def test_a_program_killed_within_an_alarm_goes_on_with_the_session_in_its_row(tmp_path: Path) -> None:
    story = Performance("restart_while_fallen", tmp_path)
    (row,) = rows(tmp_path / sessions.FILE)
    assert row.id == story.first("session_started").id
    assert row.reason is None, "nobody has cleared the alarm, nobody has ended the session"
    assert row.falls == 1
    told = [mark.event_type for mark in marks(tmp_path / sessions.FILE, row.id)]
    assert told[-2:] == ["fall_suspected", "fall"]
    times = [second.t_s for second in seconds(tmp_path / sessions.FILE, row.id)]
    (gap_s,) = [after - before for before, after in pairwise(times) if after - before > 1.001]
    assert 1.5 < gap_s < 20, "the restart, and what the last batch did not hold"
    assert not [fault for frame in story.witness.frames for fault in frame.faults if "logbook" in fault.detail]


def test_the_plan_reaches_the_coach_in_the_first_frame_and_the_recording_replays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    monday = now.replace(hour=0, minute=0) - timedelta(days=now.weekday())
    done = replace(Summary("a", "walk", reason="three_presses", unit="s"), dose=300.0, done=300.0, sets_done=1)
    with closing(sessions.open_for_writing(tmp_path / sessions.FILE)) as db:
        earlier = [replace(done, id=f"sim-0-{day}", started_utc=utc_s(monday - timedelta(days=day))) for day in (6, 4, 2)]
        sessions.write(db, summaries=earlier)
    story = Performance("three_presses_then_toss", tmp_path, record=True)
    grown = Command("dose", "walk", value="330 grown by 10 %: three sessions done last week")
    assert grown in story.witness.frames[0].commands
    trained = [verdict.training for verdict in story.verdicts if verdict.training]
    assert trained and {training.dose for training in trained} == {330.0}
    assert story.first("session_ended").evidence["dose"] == 330.0
    last = rows(tmp_path / sessions.FILE)[-1]
    assert (last.reason, last.dose, last.unit) == ("three_presses", 330.0, "s")
    assert main(["replay", *map(str, sorted((tmp_path / "recordings").glob("*.mcap")))]) == 0
    assert "identical" in capsys.readouterr().out
