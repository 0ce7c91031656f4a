"""Stories of the journal: an open alarm and an open session outlive a restart."""

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from guardian.config import Config
from guardian.frame import Frame
from guardian.outputs.journal import Journal
from guardian.outputs.writer import InlineWriter, Job, ThreadWriter, Writer
from guardian.verdict import Alarm, Gap, Motion, Obstacle, Resume, Session, State, Verdict

S = 1_000_000_000
ALARM = Alarm("ab12-3-7", "fall_suspected", 90 * S)
SESSION = Session("ab12-3-1", "walk", 10 * S, steps=40)
QUIET = Verdict(100 * S, State.GUARDING, Obstacle.CLEAR, None, (), Motion(), Gap(), SESSION, None, "walk")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.json"


class Counting(InlineWriter):
    """Counts what it is given."""

    jobs = 0

    def submit(self, job: Job, wait_s: float = 0.0) -> bool:
        self.jobs += 1
        return super().submit(job, wait_s)


def journal(path: Path, config: Config, writer: Writer | None = None, boot: int = 3) -> Journal:
    return Journal(path, config.outbox, writer or InlineWriter("journal"), "ab12", boot)


def tell(journal: Journal, verdict: Verdict) -> None:
    journal.apply(Frame(verdict.t_ns), verdict)


def test_nothing_was_kept_before_the_first_run(path: Path, config: Config) -> None:
    assert journal(path, config).load() is None


@pytest.mark.parametrize("state", [State.DOWN, State.FALLEN])
def test_an_open_alarm_is_on_disk_when_apply_returns_and_comes_back_after_a_kill(path: Path, config: Config, state: State) -> None:
    fallen = replace(QUIET, state=state, alarm=ALARM)
    tell(journal(path, config, ThreadWriter("journal")), fallen)
    found = journal(path, config, boot=4).load()
    assert found == Resume("ab12", 4, state, replace(ALARM, t_ns=0), replace(SESSION, t_ns=0), "walk")


def test_an_acknowledgement_is_kept_too(path: Path, config: Config) -> None:
    first = journal(path, config)
    tell(first, replace(QUIET, state=State.FALLEN, alarm=ALARM))
    tell(first, replace(QUIET, state=State.FALLEN, alarm=replace(ALARM, acknowledged=True)))
    found = journal(path, config).load()
    assert found and found.alarm and found.alarm.acknowledged


def test_a_cleared_alarm_does_not_come_back(path: Path, config: Config) -> None:
    first = journal(path, config)
    tell(first, replace(QUIET, state=State.FALLEN, alarm=ALARM))
    tell(first, replace(QUIET, state=State.SETTLING))
    found = journal(path, config).load()
    assert found and found.alarm is None and found.state is State.SETTLING


def test_a_stumble_costs_no_write(path: Path, config: Config) -> None:
    writer = Counting()
    first = journal(path, config, writer)
    tell(first, QUIET)
    for state in (State.IMMINENT, State.GUARDING):
        tell(first, replace(QUIET, state=state))
    assert writer.jobs == 1


def test_steps_wear_the_card_only_every_few_seconds(path: Path, config: Config) -> None:
    writer = Counting()
    first = journal(path, config, writer)
    for tick in range(3000):  # 30 s, two steps a second
        verdict = replace(QUIET, t_ns=QUIET.t_ns + tick * 10_000_000, session=replace(SESSION, steps=40 + tick // 50))
        tell(first, verdict)
    assert 3 <= writer.jobs <= 4
    first.close()
    found = journal(path, config).load()
    assert found and found.session and found.session.steps == 99


def test_the_exercise_is_kept(path: Path, config: Config) -> None:
    first = journal(path, config)
    tell(first, QUIET)
    tell(first, replace(QUIET, exercise="stairs"))
    found = journal(path, config).load()
    assert found and found.exercise == "stairs"


@pytest.mark.parametrize(
    "damage", [b"", b"\x00" * 300, b'{"install":"ab12","boot":', b'{"install":1,"boot":"x"}', b'{"state":"FLYING"}', b'{"x":' + b"[" * 5000]
)
def test_a_damaged_journal_is_set_aside_and_said(path: Path, config: Config, damage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage)
    again = journal(path, config)
    assert again.load() is None
    assert path.with_name("journal.json.damaged").read_bytes() == damage
    tell(again, QUIET)
    assert [fault.name for fault in again.faults()] == ["output_failed"] and "set aside" in again.faults()[0].detail
    tell(again, replace(QUIET, t_ns=QUIET.t_ns + 61 * S))
    tell(again, replace(QUIET, t_ns=QUIET.t_ns + 75 * S))
    assert again.faults() == ()
    assert journal(path, config).load() is not None


def test_a_hung_card_holds_the_alarm_back_for_200_ms_and_is_a_fault_until_it_is_written(path: Path, config: Config) -> None:
    writer, hang = ThreadWriter("journal"), threading.Event()
    writer.submit(hang.wait)
    first = journal(path, config, writer)
    tell(first, replace(QUIET, state=State.FALLEN, alarm=ALARM))
    assert [fault.name for fault in first.faults()] == ["output_failed"]
    assert not path.exists()
    hang.set()
    assert writer.submit(lambda: None, wait_s=5.0)
    assert first.faults() == ()
    assert writer.close()
    found = journal(path, config).load()
    assert found and found.state is State.FALLEN


def test_a_folder_that_cannot_be_written_is_a_fault_and_is_tried_again(tmp_path: Path, config: Config) -> None:
    wall = tmp_path / "state"
    wall.write_text("")
    first = journal(wall / "journal.json", config)
    tell(first, replace(QUIET, state=State.FALLEN, alarm=ALARM))
    assert [fault.name for fault in first.faults()] == ["output_failed"]
    wall.unlink()
    for second in range(12):
        tell(first, replace(QUIET, state=State.FALLEN, alarm=ALARM, t_ns=QUIET.t_ns + second * S))
    assert first.faults() == ()
    assert journal(wall / "journal.json", config).load() is not None


def test_a_write_that_fails_is_tried_again_after_store_retry_s_not_when_steps_are_due(path: Path, config: Config) -> None:
    first = journal(path, config)
    tell(first, QUIET)
    beside = path.with_name(path.name + ".new")
    beside.mkdir()  # no file can be opened here
    for second in (1, 2):
        tell(first, replace(QUIET, state=State.SETTLING, t_ns=QUIET.t_ns + second * S))
    assert [fault.name for fault in first.faults()] == ["output_failed"]
    beside.rmdir()
    retried_ns = QUIET.t_ns + 2 * S + int(config.outbox.store_retry_s * S)
    tell(first, replace(QUIET, state=State.SETTLING, t_ns=retried_ns))
    assert first.faults() == ()
    assert retried_ns < QUIET.t_ns + int(config.outbox.journal_steps_s * S)
