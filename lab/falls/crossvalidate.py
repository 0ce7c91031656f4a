"""How good is the learned rule on people it has not seen? `SISFALL=folder make crossvalidate`.

Five folds by person. A fold's model learns from the other four fifths. Its two operating points come from those alone: for each of the
four, a model that has seen neither that fifth nor the fold's own says how its activities score (ten more networks, each serving two
folds). The fold's people are then replayed through the whole device with it. All networks are kept in lab/out/falls, so that a run that was
cut off goes on. Writes crossvalidated.json, from which `make train` takes figures and operating points.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from lab.evaluate import evaluate
from lab.falls.decisions import Outcome, operating_points
from lab.falls.lessons import Worn, lessons, made, worn
from lab.falls.recordings import FOLDS, digest, fold_of, people
from lab.falls.train import RESULTS, save
from lab.falls.training import Net, Recipe, as_input, taught
from lab.score import read, table

Held = tuple[int, ...]  # the folds that a network has not seen


def network_of(into: Path, held: Held, seed: int) -> Path:
    """Where it is kept."""
    return into / f"without-{'-'.join(map(str, held))}-{seed}.pt"


def train(into: Path, everybody: list[str], seed: int, held: Held) -> None:
    """Teach one network on one core, if it is not there."""
    place = network_of(into, held, seed)
    if place.exists():
        return
    torch.set_num_threads(1)
    folds = fold_of(everybody)
    began_s = time.monotonic()
    net = taught(lessons(into, [person for person in everybody if folds[person] not in held]), Recipe(), seed)
    torch.save(net.state_dict(), place.with_suffix(".tmp"))
    place.with_suffix(".tmp").replace(place)
    print(f"without fold {' and '.join(map(str, held))}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)


def network(into: Path, held: Held, seed: int) -> Net:
    """A trained one."""
    net = Net(Recipe().hidden)
    net.load_state_dict(torch.load(network_of(into, held, seed), weights_only=True))
    return net.eval()


def outcomes(net: Net, trials: Iterable[Worn]) -> list[Outcome]:
    """How the activities among these score, while the device is guarding."""
    found = []
    with torch.no_grad():
        for trial in trials:
            if trial.name.startswith("D") and trial.guarding.any():
                logits = net(torch.from_numpy(as_input(trial.sensed.x))[:, None])[:, 0].numpy()
                found.append(Outcome(trial.name, trial.variant, float(logits[trial.guarding].max())))
    return found


def points(into: Path, everybody: list[str], fold: int, seed: int) -> tuple[float, float]:
    """The operating points of a fold's model, by people whom neither it nor their own judge has left out of sight."""
    folds = fold_of(everybody)
    seen: list[Outcome] = []
    for other in range(FOLDS):
        if other != fold:
            judge = network(into, (min(fold, other), max(fold, other)), seed)
            seen += outcomes(judge, worn(into, [person for person in everybody if folds[person] == other]))
    return operating_points(seen)


def main() -> int:
    """Train, choose, replay, score, write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--models-only", action="store_true", help="train and write the fold models, replay nothing")
    args = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    everybody = people(args.folder)
    into = made(args.folder, args.jobs)
    todo: list[Held] = [*((fold,) for fold in range(FOLDS)), *combinations(range(FOLDS), 2)]
    with ProcessPoolExecutor(args.jobs) as pool:
        list(pool.map(partial(train, into, everybody, args.seed), todo))

    models = into / "folds"
    models.mkdir(exist_ok=True)
    folds, data = fold_of(everybody), digest(args.folder, everybody)
    all_seen: list[Outcome] = []
    chosen: dict[int, tuple[float, float]] = {}
    for fold in range(FOLDS):
        net = network(into, (fold,), args.seed)
        logits = chosen[fold] = points(into, everybody, fold, args.seed)
        aside = [person for person in everybody if folds[person] == fold]
        save(net, models / f"fold{fold}.model", len(everybody) - len(aside), data, {}, logits)
        all_seen += outcomes(net, worn(into, aside))
        print(f"fold {fold}: {len(aside)} people aside, operating points {logits[0]:.2f} and {logits[1]:.2f}", file=sys.stderr)
    (models / "folds.json").write_text(json.dumps({person: f"fold{fold}.model" for person, fold in folds.items()}))
    results: dict[str, object] = {"data_sha256": data, "logits": operating_points(all_seen), "fold_logits": chosen, "seed": args.seed}
    if args.models_only:
        print(f"{models}: {results['logits']}")
        return 0
    figures: dict[str, object] = {}
    for exercise in ("walk", "everyday"):
        events = into / exercise
        events.mkdir(exist_ok=True)
        listed, told = evaluate(args.folder, events, frozenset(), args.jobs, ["--exercise", exercise], models)
        result = read(listed, args.folder / "fall_times.csv", told)
        print(f"--- {exercise}\n{table(result)}\n{json.dumps(result.figures())}", flush=True)
        figures |= {f"{exercise}_{name}": value for name, value in result.figures().items()}
        figures[f"{exercise}_F02"] = result.rows["F02"].share
        leads = np.array(result.leads_s)
        results[f"{exercise}_leads_s"] = np.round(np.sort(leads), 3).tolist()
    RESULTS.write_text(json.dumps(results | {"figures": figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
