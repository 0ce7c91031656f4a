"""The command line of the fault campaign: walks, the table by kind of failure, the counts by invariant."""

import argparse
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lab.campaign
from lab.campaign.judge import INVARIANTS, Result, judge, middle
from lab.campaign.kinds import KINDS
from lab.campaign.plan import WALKS, plan
from lab.campaign.walk import Walk
from lab.marks import write_between

BEGIN, END = "<!-- campaign -->", "<!-- /campaign -->"


def walked(number: int, speaking: bool = False) -> Result:
    """Walk number `number`, in a folder of its own: in memory where there is such a place, since its many fsyncs wear a disk."""
    if not speaking:
        logging.disable()  # what the device logs of its faults is not looked at
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        walk = Walk(plan(number), Path(folder))
        walk.run()
        if speaking:
            tell(walk)
        return judge(walk)


def tell(walk: Walk) -> None:
    """All that happened."""
    print(walk.plan.title)
    before = None
    for look in walk.looks:
        now = (look.life, look.verdict.state, look.verdict.obstacle, look.verdict.faults, look.verdict.alert and look.verdict.alert.sound)
        if now != before or look.verdict.events:
            print(f"{look.t_ns / 1e9:8.3f} s", *now, [event.event_type for event in look.verdict.events])
        before = now
    print("deaths:", walk.deaths, "refusals:", walk.refusals, "notes:", walk.notes, sep="\n  ")


def table(results: list[Result]) -> str:
    """Markdown: a row for each kind, in seconds. A pair is in the rows of both its kinds."""
    lines = [
        "| what fails | walks | in a pair | told after its definition: median | at most | heard: median | at most "
        "| well again: median | at most | violations |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        mine = [one for one in results if kind.name in one.kinds]
        told = [value for one in mine for value in one.told_s.get(kind.name, [])]
        heard = [value for one in mine for value in one.heard_s.get(kind.name, [])]
        back = [one.back_s for one in mine if one.back_s is not None and len(one.kinds) == 1]
        violations = sum(len(one.violations) for one in mine)
        pairs = sum(len(one.kinds) > 1 for one in mine)
        row = f"| {kind.name} | {len(mine)} | {pairs} | {middle(told)} | {middle(heard)} | {middle(back)} | {violations} |"
        lines.append(row.replace("-0.00", "0.00"))
    return "\n".join(lines)


def summary(results: list[Result]) -> str:
    """The counts, in words."""
    checks = sum((one.checks for one in results), Counter[int]())
    broken = Counter(invariant for one in results for invariant, _ in one.violations)
    pairs, falls = sum(len(one.kinds) > 1 for one in results), sum(one.falls for one in results)
    raised = Counter(name for one in results for name in one.raised)
    caught = ", ".join(f"{name} in {count:,}" for name, count in sorted(raised.items())) or "none"
    kept = "; ".join(f"{name} {broken[number]:,} of {checks[number]:,}" for number, name in enumerate(INVARIANTS, 1))
    return (
        f"{len(results):,} walks, {pairs:,} with two failures, {falls:,} with a fall. Violations, of checks: {kept}.\n"
        f"Programs killed, by their watchdog or otherwise: {sum(one.restarts for one in results):,}. "
        f"A tone was held on by a stall for {max((one.held_s for one in results), default=0.0):.2f} s at most.\n"
        f"Outputs that raised and were told by their guard, walks: {caught}. "
        f"A fall suspected where there was none, and cancelled by the wearer: {sum(one.cancelled for one in results):,} walks."
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=lab.campaign.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=WALKS, help=f"how many (default: {WALKS})")
    parser.add_argument("--walk", type=int, metavar="N", help="this one alone, told in full")
    parser.add_argument("--kind", metavar="KIND", help="only those with a kind of failure whose name holds this")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write the table into a page, between its marks")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if args.walk is not None:
        result = walked(args.walk, speaking=True)
        print(dict(result.checks), result.told_s, result.heard_s, result.back_s, *result.violations, sep="\n")
        return int(bool(result.violations))
    numbers = [n for n in range(args.walks) if not args.kind or any(args.kind in name for name in names(n))]
    began = time.monotonic()
    results: list[Result] = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for result in pool.map(walked, numbers, chunksize=4):
            results.append(result)
            for invariant, what in result.violations:
                print(f"VIOLATED {invariant}: {what}\n    {result.title}\n    python -m lab.campaign --walk {result.number}", flush=True)
    text = f"{summary(results)}\n\n{table(results)}"
    print(text, f"{time.monotonic() - began:.0f} s", sep="\n")
    if args.into:
        write_between(args.into, BEGIN, END, text)
    return int(any(one.violations for one in results))


def names(number: int) -> tuple[str, ...]:
    """What fails in that walk."""
    return tuple(one.kind.name for one in plan(number).happenings)


if __name__ == "__main__":
    sys.exit(main())
