"""Mutation testing of the mind and the outbox: how many small changes of the code does no test notice?

    python -m lab.mutate                        # 1,000 mutants; a run that was stopped goes on; exit 1 below 90 %
    python -m lab.mutate --sample 200 --jobs 2  # the first 200 of them
    python -m lab.mutate --again                # those that survived are judged anew, by the tests as they are now

A sample of all changes that mutmut's operators make to guardian/monitor/ and guardian/outputs/outbox.py (drawing.py says which are left
out) is drawn by --seed; each is judged by the tests of its room that execute it, then by the stories (judging.py). Results are kept
in lab/out/mutate/results.jsonl; one stands as long as the mutant's file has not changed. A survivor may be argued in
survivors.toml beside this file: equivalent (no input can tell), or within a tolerance that is meant. The score counts an argued
one as a survivor unless it is equivalent, and then leaves it out.
"""

import argparse
import hashlib
import json
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from rich.console import Console
from rich.table import Table

from lab.mutate import ARGUED, OUT, QUIET, ROOT, STORIES, UNITS
from lab.mutate.drawing import Mutant, drawn
from lab.mutate.judging import Court, Judgement
from lab.mutate.knowing import learnt

SAMPLE, SEED = 1000, 6
BAR = 0.90
RESULTS = OUT / "results.jsonl"


class Results:
    """Kept judgements, by mutant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hashes: dict[str, str] = {}
        self.rows: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                if row["source"] == self._hash(row["file"]):
                    self.rows[row["id"]] = row

    def add(self, mutant: Mutant, judged: Judgement) -> None:
        """Keep one."""
        row = {
            "id": mutant.id, "file": mutant.file, "line": mutant.line, "operator": mutant.operator, "change": mutant.change,
            "outcome": judged.outcome, "by": judged.by, "cpu_s": judged.cpu_s, "source": self._hash(mutant.file),
        }  # fmt: skip
        self.rows[mutant.id] = row
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _hash(self, file: str) -> str:
        if file not in self._hashes:
            path = ROOT / file
            self._hashes[file] = hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""
        return self._hashes[file]


class Work:
    """A pytest plugin: once all tests are collected, judges mutants instead of running them."""

    def __init__(self, mutants: list[Mutant], results: Results, jobs: int, minutes: float) -> None:
        self._mutants, self._results, self._jobs, self._end_s = mutants, results, jobs, time.monotonic() + minutes * 60

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Each story by its first wearer: the others tell the same."""
        seen: set[str] = set()
        for item in list(items):
            seed = item.callspec.params.get("seed") if hasattr(item, "callspec") else None
            if item.nodeid.startswith(STORIES) and seed not in (None, 1):
                items.remove(item)
            seen.add(item.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests."""
        if session.testsfailed:
            raise SystemExit("some tests cannot be collected: run pytest")
        known = learnt(session)
        if known.failed:
            print(f"failing on the code as it is, and no judges: {', '.join(known.failed)}", file=sys.stderr)
        court = Court(session, known, OUT)
        waiting = list(reversed(self._mutants))
        while waiting or len(court):
            while waiting and len(court) < self._jobs and time.monotonic() < self._end_s:
                court.call(waiting.pop())
            for mutant, judged in court.heard():
                self._results.add(mutant, judged)
                if judged.outcome in ("survived", "unseen"):
                    print(f"{mutant.id} {judged.outcome}: {mutant.file}:{mutant.line} {mutant.change}", file=sys.stderr, flush=True)
            if time.monotonic() >= self._end_s and not len(court):
                break
        return True


def argued() -> dict[str, dict[str, Any]]:
    """Mutant -> {reason, equivalent}."""
    return tomllib.loads(ARGUED.read_text(encoding="utf-8")) if ARGUED.exists() else {}


def tell(mutants: list[Mutant], results: Results) -> bool:
    """The tables; whether the bar is met by as many as were asked for."""
    console, reasons = Console(width=160), argued()
    rows = [results.rows[mutant.id] for mutant in mutants if mutant.id in results.rows]
    for key in ("file", "operator"):
        table = Table(key, "drawn", "killed", "timed out", "survived", "equivalent", "score", box=None)
        for name in [*sorted({row[key] for row in rows}), "all"]:
            some = [row for row in rows if name in (row[key], "all")]
            counts = Counter("equivalent" if _equivalent(row, reasons) else row["outcome"] for row in some)
            survived = counts["survived"] + counts["unseen"]
            figures = (len(some), counts["killed"], counts["timed out"], survived, counts["equivalent"])
            table.add_row(name, *map(str, figures), f"{100 * _score(some, reasons):.1f} %")
        console.print(table)
    for row in rows:
        if row["outcome"] in ("survived", "unseen"):
            why = reasons.get(row["id"], {}).get("reason", "OPEN")
            print(f"{row['id']}  {row['file']}:{row['line']}  {row['change']}  -- {why}")
    plain = sum(row["outcome"] in ("killed", "timed out") for row in rows) / max(1, len(rows))
    score = _score(rows, reasons)
    print(f"{len(rows)} of {len(mutants)} judged; score {100 * score:.2f} %, {100 * plain:.2f} % with the equivalent ones as survivors")
    return len(rows) == len(mutants) and score >= BAR


def _equivalent(row: dict[str, Any], reasons: dict[str, dict[str, Any]]) -> bool:
    return row["outcome"] in ("survived", "unseen") and bool(reasons.get(row["id"], {}).get("equivalent"))


def _score(rows: list[dict[str, Any]], reasons: dict[str, dict[str, Any]]) -> float:
    real = [row for row in rows if not _equivalent(row, reasons)]
    return sum(row["outcome"] in ("killed", "timed out") for row in real) / max(1, len(real))


def main() -> int:
    """Draw, judge, tell."""
    parser = argparse.ArgumentParser(prog="python -m lab.mutate", description="Mutation testing of the mind and the outbox.")
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=180.0, help="begin no further mutant after so long")
    parser.add_argument("--again", action="store_true", help="judge the survivors anew")
    parser.add_argument("--tell", action="store_true", help="only the tables of what is kept")
    args = parser.parse_args()
    mutants, results = drawn(args.sample, args.seed), Results(RESULTS)
    if not args.tell:
        again = {"survived", "unseen"} if args.again else set()
        left = [one for one in mutants if one.id not in results.rows or results.rows[one.id]["outcome"] in again]
        hypothesis.settings.register_profile("mutate", database=None, derandomize=True, deadline=None)
        hypothesis.settings.load_profile("mutate")
        work = Work(left, results, args.jobs, args.minutes)
        tests = [path for paths in UNITS.values() for path in paths]
        options = [*QUIET, "-p", "no:randomly", "-c", str(ROOT / "pyproject.toml")]
        if pytest.main([*options, *(str(ROOT / path) for path in (*tests, *STORIES))], plugins=[work]) == pytest.ExitCode.INTERNAL_ERROR:
            return 1
    return 0 if tell(mutants, results) else 1


if __name__ == "__main__":
    sys.exit(main())
