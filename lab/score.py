"""How results are judged: pre-impact fall alarms against impact times.

usage: python -m lab.score --trials TRIALS.csv --times fall_times.csv [--people CODE,...] EVENTS.jsonl...

TRIALS.csv has the header "trial,duration_s[,variant]" and lists every trial that was replayed; fall_times.csv has "trial,impact_s";
EVENTS.jsonl is what `guardian replay --imu ... --jsonl` prints. Trials are named <activity>_<person>_<repeat>; D.. are activities,
F.. falls. Prints a table by activity, then the figures as one JSON line.

The alarm of a trial is its first imminent_fall or fall_suspected (or fall). It detects a fall when it lies within the 1.5 s before the
impact; earlier is a false alarm, later or never a miss. A falls trial without an impact time is not scored.
"""

import argparse
import csv
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ALARMS = frozenset({"imminent_fall", "fall_suspected", "fall"})
WINDOW_S = 1.5
WALKING = frozenset({"F01", "F02", "F03", "F04", "F05", "F06", "F07"})  # falls out of walking
BACKWARD = frozenset({"F02", "F11", "F14"})  # the direction in which a backward walker falls
EXERCISE = frozenset({"D01", "D02", "D03", "D04", "D05", "D06", "D15", "D16", "D19"})  # what training looks like
REVERSED = "reversed"

Key = tuple[str, str]  # trial, variant


class ScoreError(ValueError):
    """The files do not belong together; the message says how."""


@dataclass
class Tally:
    """One row: how many trials went well, and how long the device was guarding in them."""

    good: int = 0
    of: int = 0
    guarded_s: float = 0.0
    seconds: float = 0.0

    def add(self, good: bool, guarded_s: float, seconds: float) -> None:
        """Count one trial."""
        self.good += good
        self.of += 1
        self.guarded_s += guarded_s
        self.seconds += seconds

    @property
    def share(self) -> float | None:
        """Good trials of all, 4 decimals; None without trials."""
        return round(self.good / self.of, 4) if self.of else None

    @property
    def guarded(self) -> float | None:
        """Share of the time in which the device was guarding, 3 decimals."""
        return round(self.guarded_s / self.seconds, 3) if self.seconds else None


@dataclass
class Score:
    """All rows, all groups, and every detected fall's lead time."""

    rows: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    groups: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    leads_s: dict[str, float] = field(default_factory=dict)  # by trial
    wrong: list[str] = field(default_factory=list)  # trials that did not go well
    premature: int = 0
    false_alarms: int = 0
    hours: float = 0.0

    def figures(self) -> dict[str, Any]:
        """What is reported."""
        falls, leads = self.groups["falls"].of, list(self.leads_s.values())
        return {
            "falls": falls,
            "sensitivity": self.groups["falls"].share,
            "sensitivity_walking_falls": self.groups["walking"].share,
            "sensitivity_backward_falls": self.groups["backward"].share,
            "premature": self.premature,
            "lead_median_s": round(statistics.median(leads), 3) if leads else None,
            "lead_p5_s": round(percentile(leads, 5), 3) if leads else None,
            "lead_150ms": round(sum(lead >= 0.15 for lead in leads) / falls, 4) if falls else None,
            "activities": self.groups["activities"].of,
            "specificity": self.groups["activities"].share,
            "specificity_exercise": self.groups["exercise"].share,
            "reversed": self.groups[REVERSED].of,
            "reversed_clean": self.groups[REVERSED].share,
            "guarded_exercise": self.groups["exercise"].guarded,
            "guarded_reversed": self.groups[REVERSED].guarded,
            "guarded_falls": self.groups["falls"].guarded,
            "false_alarms_per_h": round(self.false_alarms / self.hours, 2) if self.hours else None,
            "hours": round(self.hours, 2),
        }


def percentile(values: Iterable[float], q: float) -> float:
    """The value at rank q % of (n - 1), no interpolation."""
    ranked = sorted(values)
    return ranked[round(q / 100 * (len(ranked) - 1))]


def activity(trial: str) -> str:
    """D01_SA02_R01 -> D01."""
    return trial.split("_", maxsplit=1)[0]


def person(trial: str) -> str:
    """D01_SA02_R01 -> SA02."""
    return trial.split("_")[1]


def score(durations_s: Mapping[Key, float], impacts_s: Mapping[str, float], events: Iterable[Mapping[str, Any]]) -> Score:
    """Judge events. Raises ScoreError for events of unknown trials, trials that were not replayed, and missing falls of these people."""
    if any(variant not in ("", REVERSED) for _, variant in durations_s):
        raise ScoreError(f"only the variant {REVERSED!r} is scored; score others as runs of their own")
    alarm_s: dict[Key, float] = {}
    guarded_s: dict[Key, float] = {}
    for event in events:
        key = (event["trial"], event.get("variant") or "")
        if key not in durations_s:
            raise ScoreError(f"an event of a trial that is not listed: {key}")
        if event["event_type"] == "replayed":
            guarded_s[key] = float(event["guarded_s"])
        elif event["event_type"] in ALARMS:
            alarm_s[key] = min(float(event["t_s"]), alarm_s.get(key, float("inf")))
    people = {person(trial) for trial, _ in durations_s}
    missing = sorted(durations_s.keys() - guarded_s.keys())
    missing += [(trial, "") for trial in impacts_s if person(trial) in people and (trial, "") not in durations_s]
    if missing:
        raise ScoreError(f"{len(missing)} trials were not replayed or not listed, the first: {missing[0]}")

    result = Score()
    for (trial, variant), seconds in durations_s.items():
        code = activity(trial)
        alarm = alarm_s.get((trial, variant))
        if code.startswith("F"):
            if trial not in impacts_s:
                continue
            good = _fall(result, trial, impacts_s[trial], alarm)
            groups = ["falls"] + ["walking"] * (code in WALKING) + ["backward"] * (code in BACKWARD)
        else:
            good = alarm is None
            result.hours += seconds / 3600
            result.false_alarms += not good
            groups = [REVERSED] if variant else ["activities"] + ["exercise"] * (code in EXERCISE)
        if not good:
            result.wrong.append(f"{trial} {variant}".strip())
        for tally in [result.rows[f"{code} {variant}".strip()], *(result.groups[group] for group in groups)]:
            tally.add(good, guarded_s[trial, variant], seconds)
    return result


def _fall(result: Score, trial: str, impact_s: float, alarm_s: float | None) -> bool:
    """Detected in time? Notes the lead, or that it came too early."""
    if alarm_s is None:
        return False
    lead_s = impact_s - alarm_s
    if 0 <= lead_s <= WINDOW_S:
        result.leads_s[trial] = lead_s
        return True
    result.premature += lead_s > WINDOW_S
    return False


def table(result: Score) -> str:
    """One line an activity."""
    return "\n".join(
        f"{name:14s} {tally.good:4d}/{tally.of:<4d} guarded {tally.guarded_s / tally.seconds:.2f}"
        for name, tally in sorted(result.rows.items())
    )


def read(trials: Path, times: Path, events: Iterable[Path], people: frozenset[str] = frozenset()) -> Score:
    """Judge files; with `people`, only these people's trials."""

    def wanted(trial: str) -> bool:
        return not people or person(trial) in people

    with trials.open(encoding="utf-8") as listed:
        durations = {
            (row["trial"], row.get("variant") or ""): float(row["duration_s"]) for row in csv.DictReader(listed) if wanted(row["trial"])
        }
    with times.open(encoding="utf-8") as listed:
        impacts = {row["trial"]: float(row["impact_s"]) for row in csv.DictReader(listed)}
    lines = (json.loads(line) for path in events for line in path.read_text(encoding="utf-8").splitlines())
    return score(durations, impacts, (event for event in lines if wanted(event["trial"])))


def main() -> int:
    """Score files given on the command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--trials", required=True, type=Path)
    arguments.add_argument("--times", required=True, type=Path)
    arguments.add_argument("--people", default="", metavar="CODE,...")
    arguments.add_argument("events", nargs="+", type=Path, metavar="EVENTS.jsonl")
    args = arguments.parse_args()
    try:
        result = read(args.trials, args.times, args.events, frozenset(code for code in args.people.split(",") if code))
    except ScoreError as error:
        sys.exit(str(error))
    print(table(result))
    print(json.dumps(result.figures()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
