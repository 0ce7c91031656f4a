"""Build the model that ships: `SISFALL=folder make train`.

Learns from all people, with the operating points and figures of the cross-validation (lab/out/falls/crossvalidated.json, which `make
crossvalidate` writes and the repository keeps beside this file): the shipped weights are never scored on the people they have seen.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import torch

from lab.falls.export import exported
from lab.falls.lessons import lessons, made
from lab.falls.recordings import digest, people
from lab.falls.training import Net, Recipe, taught

RESULTS = Path(__file__).parent / "crossvalidated.json"
SHIPPED = Path(__file__).parents[2] / "guardian" / "fall.model"
NAME, VERSION = "gru", "1"


def save(net: Net, place: Path, people_n: int, data: str, figures: dict[str, float], logits: tuple[float, float]) -> bytes:
    """Write a network as a model file."""
    state = {name: value.double().numpy() for name, value in net.state_dict().items()}
    model = exported(state, NAME, VERSION, data, people_n, figures, logits)
    place.write_bytes(model)
    return model


def main() -> int:
    """Train on everybody, write the file."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--into", type=Path, default=SHIPPED, metavar="FILE")
    args = arguments.parse_args()
    began_s = time.monotonic()
    everybody = people(args.folder)
    into = made(args.folder, args.jobs)
    results = json.loads(RESULTS.read_text())
    torch.set_num_threads(args.jobs)
    net = taught(lessons(into, everybody), Recipe(), args.seed, lambda line: print(line, file=sys.stderr, flush=True))
    figures = {name: value for name, value in results["figures"].items() if isinstance(value, int | float)}
    model = save(net, args.into, len(everybody), digest(args.folder, everybody), figures, tuple(results["logits"]))
    print(f"{args.into}: {len(model)} bytes, {time.monotonic() - began_s:.0f} s on {args.jobs} of {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
