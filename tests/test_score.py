"""The scoring rule on cases small enough to check by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.evaluate import G_M_S2, body, reversed_in_time
from lab.score import ScoreError, percentile, read, score, table

FALLS = {"F01_SA01_R01": 10.0, "F02_SA01_R01": 10.0, "F08_SA01_R01": 10.0}


def event(trial: str, event_type: str, t_s: float, variant: str = "", **more: float) -> dict[str, Any]:
    return {"trial": trial, "event_type": event_type, "t_s": t_s, **({"variant": variant} if variant else {}), **more}


def played(trial: str, guarded_s: float = 12.0, variant: str = "") -> dict[str, Any]:
    return event(trial, "replayed", 15.0, variant, guarded_s=guarded_s)


def judge(*alarms: dict[str, Any], falls: dict[str, float] | None = None) -> dict[str, Any]:
    """Three falls of one person, each replayed, and these alarms."""
    durations = {(trial, ""): 15.0 for trial in FALLS}
    return score(durations, FALLS if falls is None else falls, [*alarms, *(played(trial) for trial in FALLS)]).figures()


@pytest.mark.parametrize(
    ("alarm_s", "hit", "premature"),
    [(9.7, True, 0), (10.0, True, 0), (8.5, True, 0), (8.49, False, 1), (10.01, False, 0)],
)
def test_a_fall_is_detected_within_the_second_and_a_half_before_its_impact(alarm_s: float, hit: bool, premature: int) -> None:
    figures = judge(event("F01_SA01_R01", "imminent_fall", alarm_s))
    assert figures["sensitivity"] == (0.3333 if hit else 0.0)
    assert figures["premature"] == premature


def test_the_first_alarm_counts_whatever_comes_after() -> None:
    figures = judge(event("F01_SA01_R01", "fall_suspected", 9.9), event("F01_SA01_R01", "imminent_fall", 3.0))
    assert figures["sensitivity"] == 0.0
    assert figures["premature"] == 1


def test_other_events_are_no_alarms() -> None:
    assert judge(event("F01_SA01_R01", "near_fall", 9.9), event("F01_SA01_R01", "obstacle", 9.9))["sensitivity"] == 0.0


def test_groups_and_lead_times() -> None:
    """F01 is a fall from walking, F02 also backward, F08 neither; leads 0.1, 0.4, 0.5 s."""
    figures = judge(
        event("F01_SA01_R01", "imminent_fall", 9.9), event("F02_SA01_R01", "imminent_fall", 9.6), event("F08_SA01_R01", "fall", 9.5)
    )
    assert (figures["sensitivity"], figures["sensitivity_walking_falls"], figures["sensitivity_backward_falls"]) == (1.0, 1.0, 1.0)
    assert figures["lead_median_s"] == 0.4
    assert figures["lead_p5_s"] == 0.1
    assert figures["lead_150ms"] == 0.6667
    assert figures["guarded_falls"] == 0.8


def test_a_fall_without_an_impact_time_is_not_scored() -> None:
    figures = judge(event("F02_SA01_R01", "fall", 9.9), falls={"F02_SA01_R01": 10.0, "F08_SA01_R01": 10.0})
    assert figures["falls"] == 2
    assert figures["sensitivity"] == 0.5


def test_specificity_is_the_share_of_activities_without_an_alarm_and_reversed_ones_stand_apart() -> None:
    durations = {("D01_SA01_R01", ""): 1800.0, ("D17_SA01_R01", ""): 1800.0, ("D01_SA01_R01", "reversed"): 3600.0}
    events = [
        event("D17_SA01_R01", "imminent_fall", 3.0),
        event("D17_SA01_R01", "imminent_fall", 9.0),
        played("D01_SA01_R01", 900.0),
        played("D17_SA01_R01", 0.0),
        played("D01_SA01_R01", 3600.0, "reversed"),
    ]
    result = score(durations, {}, events)
    figures = result.figures()
    assert (figures["activities"], figures["specificity"], figures["specificity_exercise"]) == (2, 0.5, 1.0)
    assert (figures["reversed"], figures["reversed_clean"], figures["guarded_reversed"]) == (1, 1.0, 1.0)
    assert figures["guarded_exercise"] == 0.5
    assert (figures["hours"], figures["false_alarms_per_h"]) == (2.0, 0.5)
    assert figures["sensitivity"] is None
    assert "D01 reversed      1/1    guarded 1.00" in table(result).splitlines()


def test_what_does_not_belong_together_is_refused() -> None:
    durations = {(trial, ""): 15.0 for trial in FALLS}
    everything = [played(trial) for trial in FALLS]
    with pytest.raises(ScoreError, match="not listed"):
        score(durations, FALLS, [*everything, event("F09_SA01_R01", "fall", 1.0)])
    with pytest.raises(ScoreError, match="1 trials were not replayed"):
        score(durations, FALLS, everything[1:])
    with pytest.raises(ScoreError, match="F03_SA01_R01"):
        score(durations, {**FALLS, "F03_SA01_R01": 9.0}, everything)
    with pytest.raises(ScoreError, match="runs of their own"):
        score({**durations, ("D01_SA01_R01", "tilted"): 15.0}, FALLS, everything)
    score(durations, {**FALLS, "F03_SA02_R01": 9.0}, everything)  # another person's falls are not missed


def test_percentile_takes_a_value_that_was_there() -> None:
    assert percentile([5.0, 1.0, 3.0], 50) == 3.0
    assert percentile([1.0, 2.0], 5) == 1.0
    assert percentile([4.0], 95) == 4.0


def test_files_are_read_as_replay_and_evaluate_write_them(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("trial,duration_s,variant\nF01_SA01_R01,15.0,\nF01_SA02_R01,15.0,\n")
    (tmp_path / "times.csv").write_text("trial,contact_s,impact_s,peak_g\nF01_SA01_R01,9.9,10.0,5\nF01_SA02_R01,9.9,10.0,5\n")
    lines = [event("F01_SA01_R01", "imminent_fall", 9.8), played("F01_SA01_R01"), played("F01_SA02_R01")]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = tmp_path / "trials.csv", tmp_path / "times.csv", [tmp_path / "events.jsonl"]
    assert read(*files).figures()["sensitivity"] == 0.5
    assert read(*files, people=frozenset({"SA01"})).figures()["sensitivity"] == 1.0


# what goes in


def test_counts_become_si_units_in_body_axes() -> None:
    """The sensor on the buckle: its -y is up, +z forward, -x left; standing, it feels +1 g upward."""
    counts = np.array([[0, -256, 0, 0, 0, 0], [-256, 0, 0, 0, 0, 0], [0, 0, 256, 0, 0, 16384]], dtype=np.int16)
    rows = body(counts)
    assert rows[:, 0].tolist() == [0.0, 0.005, 0.01]
    assert rows[0, 1:4] == pytest.approx([0.0, 0.0, G_M_S2])
    assert rows[1, 1:4] == pytest.approx([0.0, G_M_S2, 0.0])
    assert rows[2, 1:4] == pytest.approx([G_M_S2, 0.0, 0.0])
    assert rows[2, 4:7] == pytest.approx([np.radians(1000.0), 0.0, 0.0])


def test_reversed_in_time_turns_the_other_way_and_feels_the_same() -> None:
    trial = np.column_stack((np.arange(4) / 200.0, np.arange(24.0).reshape(4, 6)))
    back = reversed_in_time(trial)
    assert back[:, 0].tolist() == trial[:, 0].tolist()
    assert back[0, 1:4].tolist() == trial[3, 1:4].tolist()
    assert back[0, 4:7].tolist() == (-trial[3, 4:7]).tolist()
    assert reversed_in_time(back).tolist() == trial.tolist()
