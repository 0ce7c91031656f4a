"""Build the model that ships: `SISFALL=folder make train`.

Learns from all people, with the operating points and figures of the cross-validation (crossvalidated.json, which `make
crossvalidate` writes beside this file): the shipped weights are never scored on the people they have seen.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import torch

from guardian.app import SHIPPED_MODEL
from lab.falls.decisions import RESULTS
from lab.falls.export import exported
from lab.falls.lessons import lessons, made
from lab.falls.recordings import digest, fold_of, people
from lab.falls.training import RECIPE, Net, Recipe, taught

VERSION = "1"


Held = tuple[int, ...]  # the folds whose people a network has not seen


def place_of(into: Path, recipe: Recipe, held: Held, member: int) -> Path:
    """Where a trained network is kept."""
    return into / f"{recipe.name}-{'without-' + '-'.join(map(str, held)) if held else 'everybody'}-member{member}.pt"


def train(into: Path, everybody: list[str], recipe: Recipe, job: tuple[Held, int]) -> None:
    """Teach one network on one core, if it is not there."""
    held, member = job
    place = place_of(into, recipe, held, member)
    if place.exists():
        return
    torch.set_num_threads(1)
    folds = fold_of(everybody)
    began_s = time.monotonic()
    net = taught(lessons(into, [person for person in everybody if folds[person] not in held], recipe, member), recipe, seed=member)
    torch.save(net.state_dict(), place.with_suffix(".tmp"))
    place.with_suffix(".tmp").replace(place)
    print(f"{place.stem}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)


def train_missing(into: Path, everybody: list[str], recipe: Recipe, wanted: Sequence[Held], jobs: int) -> None:
    """Teach all members of these models, as far as they are not there."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(partial(train, into, everybody, recipe), product(wanted, range(1, recipe.members + 1))))


def members(into: Path, recipe: Recipe, held: Held) -> list[Net]:
    """A trained model."""
    found = []
    for member in range(1, recipe.members + 1):
        net = Net(recipe)
        net.load_state_dict(torch.load(place_of(into, recipe, held, member), weights_only=True))
        found.append(net.eval())
    return found


def save(
    nets: Sequence[Net], name: str, place: Path, people_n: int, data: str, figures: dict[str, float], logits: tuple[float, float]
) -> bytes:
    """Write a model file."""
    model = exported([net.weights() for net in nets], name, VERSION, data, people_n, figures, logits)
    place.write_bytes(model)
    return model


def main() -> int:
    """Train on everybody, write the file."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--into", type=Path, default=SHIPPED_MODEL, metavar="FILE")
    args = arguments.parse_args()
    began_s = time.monotonic()
    everybody = people(args.folder)
    into = made(args.folder, args.jobs)
    results = json.loads(RESULTS.read_text())
    train_missing(into, everybody, RECIPE, [()], args.jobs)
    figures = {name: value for name, value in results["figures"].items() if isinstance(value, int | float)}
    logits = tuple(results["logits"])
    model = save(members(into, RECIPE, ()), RECIPE.name, args.into, len(everybody), digest(args.folder, everybody), figures, logits)
    print(f"{args.into}: {len(model)} bytes, {time.monotonic() - began_s:.0f} s on {args.jobs} of {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
