"""A few walks of the fault campaign, so that it stays alive; and a device that is worse is found out."""

from dataclasses import replace
from pathlib import Path

import pytest

from guardian.monitor.health import Health
from guardian.outputs.outbox import Outbox
from lab.campaign.__main__ import BEGIN, END, table
from lab.campaign.judge import Result, judge
from lab.campaign.kinds import KINDS
from lab.campaign.plan import WALKS, Plan, plan
from lab.campaign.walk import Walk

README = Path(__file__).parent.parent / "README.md"
NAMES = [kind.name for kind in KINDS]


def walked(planned: Plan, folder: Path) -> tuple[Walk, Result]:
    walk = Walk(planned, folder)
    walk.run()
    return walk, judge(walk)


def alone(name: str, falls: bool = False) -> Plan:
    """The first walk with this kind of failure, and no other."""
    return plan(2 * NAMES.index(name) + (not falls))


@pytest.mark.parametrize(
    ("name", "falls"),
    [
        ("bus: hung", False),
        ("samples: bits flip", False),
        ("ranger: wires off", True),
        ("card: hangs", False),
        ("file: outbox corrupted", True),
        ("link: acknowledged and lost", True),
    ],
)
def test_a_walk_with_a_failure_keeps_all_that_is_promised(name: str, falls: bool, tmp_path: Path) -> None:
    planned = alone(name, falls)
    assert planned.falls == falls
    _, result = walked(planned, tmp_path)
    assert not result.violations
    assert set(result.checks) >= ({1, 2, 3, 4, 5} if falls else {1, 2, 5})


def test_two_failures_at_once_keep_it_too(tmp_path: Path) -> None:
    planned = plan(2 * 2 * len(KINDS))
    assert len(planned.happenings) == 2
    _, result = walked(planned, tmp_path)
    assert not result.violations


def test_a_hung_program_is_killed_silenced_and_sounds_again(tmp_path: Path) -> None:
    walk, result = walked(alone("computer: stall of 2.1-5 s"), tmp_path)
    assert not result.violations
    (death,) = walk.deaths
    (hung,) = walk.plan.happenings
    assert death.killed_s - hung.begin_s <= 2.0
    assert len(walk.born_ns) == 2
    assert [on for t_ns, on in walk.bench.sound_log if death.killed_s < t_ns / 1e9 <= death.silent_s + 0.01] in ([], [False])


def test_a_broken_configuration_is_refused_by_file_and_key(tmp_path: Path) -> None:
    walk, result = walked(alone("program: broken config"), tmp_path)
    assert not result.violations
    assert walk.refusals
    assert all(str(walk.local) in refusal for refusal in walk.refusals)


def test_the_same_number_is_the_same_walk(tmp_path: Path) -> None:
    told = []
    for place in ("one", "other"):
        (tmp_path / place).mkdir()
        walk, _ = walked(alone("samples: bits flip"), tmp_path / place)
        told.append(walk.verdicts)
    assert told[0] == told[1]


def test_a_device_that_says_nothing_of_its_faults_is_silently_blind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Health, "_faults", lambda self, frame: ())
    _, result = walked(alone("ranger: wires off"), tmp_path)
    assert {invariant for invariant, _ in result.violations} == {2}


def test_a_device_that_tells_nobody_loses_its_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "due", lambda self, now_ns: None)
    _, result = walked(replace(alone("ranger: ghosts", falls=True), most_s=50.0), tmp_path)
    assert {invariant for invariant, _ in result.violations} == {3, 4}


def test_a_failure_that_is_not_over_is_no_recovery(tmp_path: Path) -> None:
    planned = alone("ranger: wires off")
    (one,) = planned.happenings
    kept = replace(planned, happenings=(replace(one, failure=replace(one.failure, heal=lambda walk: None)),))
    _, result = walked(kept, tmp_path)
    assert {invariant for invariant, _ in result.violations} == {5}


def test_an_exception_that_comes_out_of_the_device_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Health, frame: object) -> None:
        raise ZeroDivisionError

    planned = alone("ranger: ghosts")
    monkeypatch.setattr(Health, "_watch_loop", lambda self, frame, ran_ns: fails(self, frame) if frame.t_ns > 8e9 else None)
    _, result = walked(planned, tmp_path)
    assert (1, "ZeroDivisionError") in [(invariant, what.strip().splitlines()[-1]) for invariant, what in result.violations]


def test_a_third_of_at_least_a_thousand_walks_has_two_failures_and_a_half_has_a_fall() -> None:
    assert WALKS >= 1000
    numbers = range(0, WALKS, 2 * len(KINDS))  # the first of each round
    pairs = [len(plan(number).happenings) == 2 for number in numbers]
    assert sum(pairs) * 3 >= len(pairs)
    assert [plan(number).falls for number in range(4)] == [True, False, True, False]


def test_the_readme_has_a_row_for_each_kind_and_no_violation() -> None:
    page = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    head, line, *rows = [line for line in page.splitlines() if line.startswith("|")]
    assert [head, line] == table([]).splitlines()[:2]
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert [row[0] for row in cells] == NAMES
    assert {row[-1] for row in cells} == {"0"}
