"""Pictures of the cross-validation, for the model card: `SISFALL=folder python -m lab.falls.plots`.

Every score is that of the fold model which has not seen the person. Writes docs/falls-*.png:
lead times of the alarms, sensitivity against specificity with the operating points, the worst misses and the worst false alarms.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from guardian.monitor.network import INPUT_ONE
from lab.falls.decisions import RESULTS
from lab.falls.lessons import Worn, folder_of, worn
from lab.falls.recordings import FOLDS, MISLABELLED, fold_of, people
from lab.falls.train import members
from lab.falls.training import RECIPE, logits_of
from lab.score import EXERCISE, WALKING, WINDOW_S, activity

mpl.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[2] / "docs"
INK, CALM, ALARM = "#1f2933", "#2a7f9e", "#c8452d"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """A trial, the logit of each step, and the fold model's operating points."""

    trial: Worn
    logits: Floats
    points: tuple[float, float]

    @property
    def activity(self) -> str:
        """F02."""
        return activity(self.trial.name)

    def alarm_s(self, threshold: float) -> float | None:
        """When it alarms first, the nets under the model included."""
        fired = np.flatnonzero((self.logits >= threshold) & self.trial.guarding)
        times = [float(self.trial.sensed.t_s[fired[0]])] if len(fired) else []
        times += [self.trial.net_s] if self.trial.net_s is not None else []
        return min(times, default=None)

    def detected(self, threshold: float) -> bool:
        """In time?"""
        alarm_s, impact_s = self.alarm_s(threshold), self.trial.impact_s
        return alarm_s is not None and impact_s is not None and 0 <= impact_s - alarm_s <= WINDOW_S


def scored(into: Path, everybody: list[str], points: dict[int, tuple[float, float]]) -> list[Scored]:
    """All trials, each by the model of its person's fold."""
    folds, found = fold_of(everybody), []
    for fold in range(FOLDS):
        nets = members(into, RECIPE, (fold,))
        trials = worn(into, [person for person in everybody if folds[person] == fold])
        scores = logits_of(nets, [trial.sensed.x for trial in trials])
        found += [Scored(trial, logits, points[fold]) for trial, logits in zip(trials, scores, strict=True)]
    return found


def shares(trials: Sequence[Scored], exercise: bool, offsets: Floats) -> tuple[list[float], list[float]]:
    """(sensitivity, specificity) with every fold's operating point moved by each offset."""
    falls = [one for one in trials if one.trial.impact_s is not None and (not exercise or one.activity in WALKING)]
    others = [one for one in trials if one.trial.impact_s is None and not one.trial.variant and (not exercise or one.activity in EXERCISE)]
    point = 0 if exercise else 1
    sensitivity = [float(np.mean([one.detected(one.points[point] + offset) for one in falls])) for offset in offsets]
    specificity = [float(np.mean([one.alarm_s(one.points[point] + offset) is None for one in others])) for offset in offsets]
    return sensitivity, specificity


def operating_curve(trials: Sequence[Scored], place: Path) -> None:
    """Sensitivity against specificity."""
    figure, axes = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    offsets = np.arange(-4, 5, 0.25)
    for exercise, colour, label in ((True, CALM, "exercise: falls while walking"), (False, ALARM, "everyday: all falls, all activities")):
        sensitivity, specificity = shares(trials, exercise, offsets)
        axes.plot(np.multiply(specificity, 100), np.multiply(sensitivity, 100), color=colour, label=label)
        at = int(np.argmin(abs(offsets)))
        axes.plot(specificity[at] * 100, sensitivity[at] * 100, "o", color=colour, markersize=9)
    axes.set(xlabel="specificity, % of activities without an alarm", ylabel="sensitivity, % of falls alarmed before impact")
    axes.set(xlim=(92, 100.3), ylim=(88, 100.3))
    axes.legend(loc="lower left", frameon=False)
    axes.set_title("People not seen in training; dots: the operating points", fontsize=11)
    figure.savefig(place, dpi=130)
    plt.close(figure)


def lead_times(results: dict[str, dict[str, dict[str, float]]], place: Path) -> None:
    """How long before the impact."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, colour, label in (("walk", CALM, "exercise point, falls while walking"), ("everyday", ALARM, "everyday point, all falls")):
        found = results[name]["leads_s"].items()
        leads = np.array([lead_s for trial, lead_s in found if name == "everyday" or activity(trial) in WALKING])
        axes.hist(leads, bins=np.arange(0, 1.5, 0.04).tolist(), histtype="stepfilled", alpha=0.35, color=colour, label=label)
        axes.axvline(float(np.median(leads)), color=colour, linewidth=1.5)
    axes.set(xlabel="lead time, s before the impact (lines: medians)", ylabel="falls")
    axes.legend(frameon=False)
    figure.savefig(place, dpi=130)
    plt.close(figure)


def signals(trials: Sequence[Scored], title: str, place: Path) -> None:
    """Force, rate and score of some trials, six seconds of each."""
    figure, axes = plt.subplots(3, len(trials), figsize=(3.1 * len(trials), 6.4), layout="constrained", sharey="row", squeeze=False)
    for column, one in enumerate(trials):
        t_s, x = one.trial.sensed.t_s, one.trial.sensed.x.reshape(-1, 2, 10)[:, 1].astype(float) / INPUT_ONE
        middle = one.trial.impact_s or float(t_s[int(np.argmax(np.where(one.trial.guarding, one.logits, -99)))])
        near = (t_s > middle - 3) & (t_s < middle + 3)
        force, turn, score = axes[:, column]
        force.plot(t_s[near], np.linalg.norm(x[near, 0:3], axis=1), color=INK, linewidth=0.9)
        turn.plot(t_s[near], np.degrees(np.linalg.norm(x[near, 3:6] * 4, axis=1)), color=INK, linewidth=0.9)
        score.plot(t_s[near], one.logits[near], color=ALARM, linewidth=1.2)
        for threshold, style in zip(one.points, ("--", ":"), strict=True):
            score.axhline(threshold, color=CALM, linestyle=style, linewidth=1)
        if one.trial.impact_s is not None:
            for each in (force, turn, score):
                each.axvline(one.trial.impact_s, color=CALM, linewidth=1)
        force.set_title(one.trial.name + (f" {one.trial.variant}" if one.trial.variant else ""), fontsize=10)
        score.set_xlabel("s")
    axes[0, 0].set_ylabel("force, g")
    axes[1, 0].set_ylabel("rate, °/s")
    axes[2, 0].set_ylabel("logit (-- exercise, ·· everyday)")
    figure.suptitle(title, fontsize=11)
    figure.savefig(place, dpi=110)
    plt.close(figure)


def main() -> int:
    """Draw all four."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    args = arguments.parse_args()
    results = json.loads(RESULTS.read_text())
    into, everybody = folder_of(args.folder), people(args.folder)
    trials = scored(into, everybody, {int(fold): tuple(points) for fold, points in results["fold_logits"].items()})
    lead_times(results, DOCS / "falls-lead.png")
    operating_curve(trials, DOCS / "falls-curve.png")
    missed = [one for one in trials if one.trial.impact_s is not None and not one.detected(one.points[1])]
    missed = [one for one in missed if one.trial.name not in MISLABELLED and one.trial.guarding.any()]
    missed.sort(key=lambda one: float(one.logits[one.trial.sensed.t_s < (one.trial.impact_s or 0)].max()) - one.points[1])
    signals(missed[:5], "The falls it is least aware of (line: the impact)", DOCS / "falls-missed.png")
    wrong = [one for one in trials if one.trial.impact_s is None and one.alarm_s(one.points[1]) is not None]
    wrong.sort(key=lambda one: one.points[1] - float(np.where(one.trial.guarding, one.logits, -99.0).max()))
    signals(wrong[:5], "The surest false alarms", DOCS / "falls-false.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
