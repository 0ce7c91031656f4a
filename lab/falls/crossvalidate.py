"""How good is the learned rule on people it has not seen? `SISFALL=folder make crossvalidate`.

Five folds by person. A fold's model learns from the other four fifths. Its two operating points come from those alone: for each of the
four, a model that has seen neither that fifth nor the fold's own says how its activities score (ten more models, each serving two
folds). The fold's people are then replayed through the whole device with it. All networks are kept in lab/out/falls, so that a run that was
cut off goes on. Writes the five fold models into lab/falls/folds, and crossvalidated.json, from which `make train` takes figures and
operating points. To judge the device again with the fold models as they are, after a change to it: `python -m lab.evaluate FOLDER --folds
lab/falls/folds --exercise walk`, and everyday.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from lab.evaluate import evaluate
from lab.falls.decisions import FOLD_MODELS, RESULTS, Outcome, operating_points
from lab.falls.lessons import Worn, made, worn
from lab.falls.recordings import FOLDS, digest, fold_of, people
from lab.falls.train import Held, members, save, train_missing
from lab.falls.training import PLAIN, RECIPE, Net, Recipe, logits_of
from lab.score import WALKING, activity, percentile, read, table


def outcomes(net: Sequence[Net], trials: Iterable[Worn]) -> list[Outcome]:
    """How the activities among these score, while the device is guarding."""
    guarded = [trial for trial in trials if trial.name.startswith("D") and trial.guarding.any()]
    scores = logits_of(net, [trial.sensed.x for trial in guarded])
    return [Outcome(trial.name, trial.variant, float(logits[trial.guarding].max())) for trial, logits in zip(guarded, scores, strict=True)]


def points(into: Path, recipe: Recipe, everybody: list[str], fold: int) -> tuple[float, float]:
    """The operating points of a fold's model, by people whom neither it nor their judge has seen; nor has a judge seen the fold's own."""
    folds = fold_of(everybody)
    seen: list[Outcome] = []
    for other in range(FOLDS):
        if other != fold:
            judge = members(into, recipe, (min(fold, other), max(fold, other)))
            seen += outcomes(judge, worn(into, [person for person in everybody if folds[person] == other]))
    return operating_points(seen)


def fold_models(folder: Path, into: Path, recipe: Recipe, models: Path) -> dict[str, object]:
    """Write the five models; returns operating points: each fold's, and their medians for the model that ships."""
    everybody = people(folder)
    models.mkdir(exist_ok=True)
    folds, data = fold_of(everybody), digest(folder, everybody)
    chosen: dict[int, tuple[float, float]] = {}
    for fold in range(FOLDS):
        nets = members(into, recipe, (fold,))
        chosen[fold] = points(into, recipe, everybody, fold)
        aside = [person for person in everybody if folds[person] == fold]
        save(nets, recipe.name, models / f"fold{fold}.model", len(everybody) - len(aside), data, {}, chosen[fold])
        print(f"fold {fold}: {len(aside)} people aside, operating points {chosen[fold][0]:.2f} and {chosen[fold][1]:.2f}", file=sys.stderr)
    (models / "folds.json").write_text(json.dumps({person: f"fold{fold}.model" for person, fold in folds.items()}))
    exercise, everyday = (statistics.median(points) for points in zip(*chosen.values(), strict=True))
    return {"data_sha256": data, "logits": [exercise, everyday], "fold_logits": chosen}


def judged(folder: Path, events: Path, models: Path, exercise: str, jobs: int) -> tuple[dict[str, object], dict[str, object]]:
    """Replay everybody at one operating point; figures, and rows with what went wrong."""
    events.mkdir(exist_ok=True)
    listed, told = evaluate(folder, events, frozenset(), jobs, ["--exercise", exercise], models)
    result = read(listed, folder / "fall_times.csv", told)
    walking = [lead for trial, lead in result.leads_s.items() if activity(trial) in WALKING]
    more = {
        "F02": result.rows["F02"].share,
        "walking_lead_median_s": round(statistics.median(walking), 3),
        "walking_lead_p5_s": round(percentile(walking, 5), 3),
    }
    print(f"--- {exercise}\n{table(result)}\n{json.dumps(result.figures() | more)}", flush=True)
    rows = {name: [tally.good, tally.of] for name, tally in sorted(result.rows.items())}
    return result.figures() | more, {"rows": rows, "leads_s": result.leads_s, "wrong": sorted(result.wrong)}


def main() -> int:
    """Train, choose, replay, score, write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--plain", action="store_true", help="the baseline: one network of 40 units on force and rate; prints only")
    arguments.add_argument("--models-only", action="store_true", help="train and write the fold models, replay nothing")
    args = arguments.parse_args()
    recipe = PLAIN if args.plain else RECIPE
    into = made(args.folder, args.jobs)
    wanted: list[Held] = [*((fold,) for fold in range(FOLDS)), *combinations(range(FOLDS), 2)]
    train_missing(into, people(args.folder), recipe, wanted, args.jobs)
    models = into / f"{recipe.name}-folds" if args.plain else FOLD_MODELS
    results = fold_models(args.folder, into, recipe, models)
    print(f"{models}: {results['logits']}", file=sys.stderr)
    if args.models_only:
        return 0
    figures: dict[str, object] = {}
    for exercise in ("walk", "everyday"):
        found, results[exercise] = judged(args.folder, into / f"{recipe.name}-{exercise}", models, exercise, args.jobs)
        figures |= {f"{exercise}_{name}": value for name, value in found.items()}
    if not args.plain:
        RESULTS.write_text(json.dumps(results | {"figures": figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
