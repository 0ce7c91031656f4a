"""Coverage-guided fuzzing of every parser of bytes from outside: what may come out of them, and nothing else.

    python -m lab.fuzz                              # each parser for 10 minutes of processor time; exit 1 with a finding
    python -m lab.fuzz config station --minutes 1   # these

Atheris, libFuzzer for Python, changes inputs and keeps those that reach new branches of the modules in lab/fuzz/__init__.py. It
does not see into C (msgspec, zstd, NumPy), so lab/fuzz/bending.py makes inputs that are whole but for one value. Seeds are what
the project's own writers write; inputs that were found to reach more are kept in lab/out/fuzz/<parser>/corpus, and the next run
begins with them. What each parser may do stands in lab/fuzz/targets.py: errors of the documented type that name the file, or a
promise about what was accepted; 2 s of processor time and 1 GiB for any input.

The table: inputs tried, branches reached by the seeds and at the end, inputs kept, the most memory, findings. A finding's input and
traceback are in lab/out/fuzz/<parser>/finding-*.
"""

import argparse
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.fuzz import INSTRUMENTED

OUT = Path(__file__).parent.parent / "out" / "fuzz"
MINUTES = 10.0
HANG_S = 60  # by the clock on the wall, on a machine that may do other things too: the worker itself judges by processor time
RESIDENT_MB = 3072
ENOUGH = 72  # libFuzzer's exit status where the worker ended it: its time is over, or it has grown
STARTS_MAX = 5  # libFuzzer ends where an input hangs or eats all memory; so often it is begun again


@dataclass
class Run:
    """What came of one parser's run."""

    parser: str
    tries: int = 0
    cpu_s: float = 0.0
    seeds_branches: int = 0
    branches: int = 0
    corpus: int = 0
    resident_mb: int = 0
    findings: int = 0
    broke_down: bool = False


def fuzzed(parser: str, minutes: float, seed: int) -> Run:
    """Fuzz one parser for so long."""
    folder = OUT / parser
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for old in folder.glob("finding-*"):
        old.unlink()
    run = Run(parser)
    starts = stops = 0
    while (left_s := minutes * 60 - run.cpu_s) > 1 and stops < STARTS_MAX:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = _worked(folder, parser, left_s, seed + starts)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        run.cpu_s += after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        starts += 1
        _add(run, done.stderr)
        if done.returncode in (0, ENOUGH):
            continue
        run.broke_down = not list(folder.glob("finding-*"))
        (folder / f"stopped-{stops}.txt").write_text(done.stderr[-20000:], encoding="utf-8")
        print(f"{parser}: the fuzzer stopped with status {done.returncode}: {folder}/stopped-{stops}.txt", file=sys.stderr)
        stops += 1
    run.findings = len({path.stem for path in folder.glob("finding-*")})
    run.corpus = sum(1 for _ in (folder / "corpus").iterdir())
    return run


def _worked(folder: Path, parser: str, left_s: float, seed: int) -> "subprocess.CompletedProcess[str]":
    options = [
        f"-timeout={HANG_S}", f"-report_slow_units={HANG_S}", f"-rss_limit_mb={RESIDENT_MB}", "-print_final_stats=1", f"-seed={seed}",
        f"-artifact_prefix={folder}/finding-", "-len_control=0", "-reload=0", str(folder / "corpus"), str(folder / "seeds"),
    ]  # fmt: skip
    command = [sys.executable, "-m", "lab.fuzz.worker", parser, str(folder), str(left_s), *options]
    return subprocess.run(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, errors="replace", check=False)


def _add(run: Run, said: str) -> None:
    """Read libFuzzer's words."""
    reached = [int(found) for found in re.findall(r"\bcov: (\d+)", said)]
    first = re.search(r"INITED cov: (\d+)", said)
    run.seeds_branches = run.seeds_branches or (int(first[1]) if first else 0)
    run.branches = max([run.branches, *reached])
    tries = re.search(r"stat::number_of_executed_units:\s+(\d+)", said)
    run.tries += int(tries[1]) if tries else max([0, *map(int, re.findall(r"^#(\d+)", said, re.MULTILINE))])
    peak = re.search(r"stat::peak_rss_mb:\s+(\d+)", said)
    run.resident_mb = max(run.resident_mb, int(peak[1]) if peak else 0)
    for line in said.splitlines():
        if line.startswith("FINDING"):
            print(f"{run.parser}: {line}", file=sys.stderr)


def told(runs: list[Run]) -> Table:
    """The table."""
    table = Table("parser", "inputs", "minutes", "branches, first", "at the end", "kept", "resident, MB", "findings", box=None)
    for run in runs:
        figures = (run.seeds_branches, run.branches, run.corpus, run.resident_mb)
        found = "broke down" if run.broke_down else str(run.findings)
        table.add_row(run.parser, f"{run.tries:,}", f"{run.cpu_s / 60:.1f}", *map(str, figures), found)
    return table


def main() -> int:
    """Fuzz, tell, judge."""
    parser = argparse.ArgumentParser(prog="python -m lab.fuzz", description="Fuzz the parsers.")
    parser.add_argument("parsers", nargs="*", choices=[[], *INSTRUMENTED], metavar="PARSER", help=f"of {', '.join(INSTRUMENTED)}; all")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for each")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    runs = []
    for name in args.parsers or INSTRUMENTED:
        runs.append(fuzzed(name, args.minutes, args.seed))
        Console(width=140).print(told(runs[-1:]))
    if len(runs) > 1:
        Console(width=140).print(told(runs))
    return int(any(run.findings or run.broke_down for run in runs))


if __name__ == "__main__":
    sys.exit(main())
