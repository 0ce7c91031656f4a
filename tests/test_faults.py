"""Each part fails once: the wearer hears it, the caregiver sees it, nothing is lost, and it is over when the part is back."""

from dataclasses import replace
from pathlib import Path

import pytest

from guardian.contract import FAULTS
from guardian.verdict import State
from lab.acts import nothing
from lab.faults import BEGIN, CASES, END, SHIFTS_S, Case, Performance, perform, table
from lab.stage import Stage

README = Path(__file__).parent.parent / "README.md"


def named(fault: str) -> Case:
    return next(case for case in CASES if case.fault == fault)


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_failing_part_is_heard_seen_and_got_over(case: Case) -> None:
    result = perform(case, SHIFTS_S[CASES.index(case) % len(SHIFTS_S)])
    assert not result.missed


def test_every_fault_of_the_contract_is_done_to_the_device() -> None:
    assert {case.fault for case in CASES} == set(FAULTS)


def test_a_device_that_is_deaf_to_a_fault_misses_the_bars() -> None:
    result = perform(replace(named("echo_stuck_low"), begin=nothing))
    assert result.heard_s is None
    assert len(result.missed) == 4, "sound (twice), state, events"


def test_a_fault_heard_late_misses_its_bar() -> None:
    late = replace(named("echo_stuck_low"), begin=lambda s: s.later(0.8, s.bench.unplug_ranger))
    assert len(perform(late).missed) == 2, "sound, state"


def test_a_part_that_does_not_come_back_misses_its_bar() -> None:
    (missed,) = [bar for bar in perform(replace(named("echo_stuck_low"), heal=nothing)).missed if bar.startswith("well again")]
    assert "None" in missed


def test_an_accelerometer_at_full_scale_is_taken_for_a_fall_and_is_a_fault_once_that_is_cancelled(tmp_path: Path) -> None:
    def rail_and_press(stage: Stage) -> None:
        stage.bench.imu_full_scale(0, 1, 2)
        stage.later(4.0, lambda: stage.bench.press(0.2))

    stage = Performance(replace(named("imu_saturated"), begin=rail_and_press, stays_s=9.5), tmp_path, 0.0, 1)
    stage.run()
    since = [verdict for verdict in stage.verdicts if verdict.t_ns >= stage.begin_s * 1e9]
    states = [state for state, before in zip(since, since[:1] + since, strict=False) if state.state is not before.state]
    assert [verdict.state for verdict in states][:3] == [State.DOWN, State.GUARDING, State.SETTLING]
    assert states[0].alert is not None
    assert states[0].alert.sound == "countdown"
    assert [event.event_type for event in states[0].events] == ["fall_suspected", "fault"]
    heard = [verdict.alert.sound for verdict in since if verdict.alert and verdict.t_ns > states[2].t_ns]
    assert "imu_saturated" in heard


def test_the_table_in_the_readme_has_a_row_for_each_case() -> None:
    page = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line.split(" | ")[:3] for line in page.strip().splitlines()[2:]]
    assert rows == [[f"| {case.fault}", case.done, case.definition] for case in CASES]
    assert "**" not in page, "a bar was missed"
    assert page.strip().splitlines()[:2] == table({}).splitlines()
