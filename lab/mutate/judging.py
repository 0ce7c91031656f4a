"""One mutant before its judges: the tests that execute its lines, the most specific and cheapest first, until one fails.

Theory of operation. pytest has collected all tests in this process; for each mutant a fork of it plants the change and runs them. A test
has CPU_FACTOR times the processor time that it took on the original, and SPARE_S; one that takes longer kills the mutant by time-out.
Stories come last. Of a monitor's mutant only those are performed in which its verdicts differ (knowing.py); of the outbox's, those that
execute it. A mutant that PERFORMED_MAX of them have not noticed is a survivor: further ones could only raise the score.
"""

import contextlib
import importlib
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest

from lab.mutate import QUIET, ROOT
from lab.mutate.drawing import Mutant
from lab.mutate.knowing import Known, differing, is_story
from lab.mutate.planting import exchanged, import_afresh

CPU_FACTOR, SPARE_S = 10.0, 5.0
PERFORMED_MAX = 6
WALL_S = 1800.0  # for all; whoever waits for ever uses no processor
SPARE_BYTES = 2 << 30
KILLED, SURVIVED, LATE = 0, 1, 2  # exit statuses


@dataclass(frozen=True)
class Judgement:
    """What became of a mutant."""

    outcome: str  # killed, timed out, survived, unseen (no test executes it)
    by: str = ""  # the test
    cpu_s: float = 0.0


class Court:
    """Judges mutants, some at a time."""

    def __init__(self, session: pytest.Session, known: Known, folder: Path) -> None:
        self._session, self._known, self._folder = session, known, folder
        self._items = {item.nodeid: item for item in session.items if item.nodeid not in known.failed}
        self._running: dict[int, tuple[Mutant, float]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def call(self, mutant: Mutant) -> None:
        """Begin to judge this one."""
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.setsid()
            _judge(mutant, self._items, self._known, self._folder / mutant.id, self._session)
        self._running[child] = mutant, time.monotonic()

    def heard(self) -> list[tuple[Mutant, Judgement]]:
        """Those that are judged now; waits a little for one."""
        done = []
        for child, (mutant, began_s) in list(self._running.items()):
            ended, status, used = os.wait4(child, os.WNOHANG)
            if not ended and time.monotonic() - began_s < WALL_S:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            if not ended:
                _, status, used = os.wait4(child, 0)
            del self._running[child]
            file = self._folder / mutant.id
            by = file.read_text(encoding="utf-8") if file.exists() else ""
            file.unlink(missing_ok=True)
            code = os.waitstatus_to_exitcode(status)
            outcome = {KILLED: "killed", SURVIVED: "survived" if by else "unseen"}.get(code, "timed out")
            done.append((mutant, Judgement(outcome, by if outcome != "unseen" else "", round(used.ru_utime + used.ru_stime, 1))))
        if not done:
            time.sleep(0.02)
        return done


def _judge(mutant: Mutant, items: dict[str, pytest.Item], known: Known, word: Path, session: pytest.Session) -> None:
    """In the fork: exits with the verdict, and leaves the test's name in a file."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    bench = _Bench(known, word)
    try:
        limit = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize() + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        name = mutant.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        planted = exchanged(importlib.import_module(name), mutant.code)
        lines = set(range(mutant.lines[0], mutant.lines[1] + 1)) if planted else set[int]()
        if not planted:
            import_afresh(name, mutant.code)
        bench.try_units(mutant, lines, items, session, planted)
        bench.try_stories(mutant, lines, items, session, planted)
    except MemoryError:
        os._exit(LATE)
    except BaseException as error:  # noqa: BLE001  (a mutant that cannot even be imported)
        bench.killed(f"{type(error).__name__}: {error}")
    os._exit(SURVIVED)


class _Bench:
    """The judges, and a pytest plugin that ends the process at the first failure."""

    def __init__(self, known: Known, word: Path) -> None:
        self._known, self._word = known, word
        self.now = ""
        signal.signal(signal.SIGPROF, self._late)

    def try_units(self, mutant: Mutant, lines: set[int], items: dict[str, pytest.Item], session: pytest.Session, planted: bool) -> None:
        """The tests of its room."""
        own = f"test_{Path(mutant.file).stem}.py"
        names = [name for name, item in items.items() if not is_story(item) and self._executes(name, mutant.file, lines)]
        names.sort(key=lambda name: (own not in name, self._known.cpu_s[name]))
        self._run(names, items, session, planted)

    def try_stories(self, mutant: Mutant, lines: set[int], items: dict[str, pytest.Item], session: pytest.Session, planted: bool) -> None:
        """Those in which it says something else."""
        if mutant.file.startswith("guardian/monitor/"):
            self._give(sum(self._known.cpu_s[name] for name in self._known.lives) / CPU_FACTOR)
            stories = differing(self._known, mutant.file, lines)
        else:
            names = [name for name, item in items.items() if is_story(item) and self._executes(name, mutant.file, lines)]
            stories = iter(sorted(names, key=lambda name: self._known.cpu_s[name]))
        for number, name in zip(range(1, PERFORMED_MAX + 1), stories, strict=False):
            self._run([name], items, session, planted)
            self._word.write_text(f"(passed) {number} stories in which it may differ, the last {name}", encoding="utf-8")
            self._give(sum(self._known.cpu_s[name] for name in self._known.lives) / CPU_FACTOR)

    def killed(self, by: str) -> None:
        """End here."""
        self._word.write_text(by, encoding="utf-8")
        os._exit(KILLED)

    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Its time begins."""
        self.now = item.nodeid
        self._word.write_text(f"(passed) {self.now}", encoding="utf-8")
        self._give(self._known.cpu_s.get(item.nodeid, 1.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One failure is enough."""
        if report.failed:
            self.killed(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What cannot be imported fails."""
        if report.failed:
            self.killed(report.nodeid)

    def _executes(self, name: str, file: str, lines: set[int]) -> bool:
        executed = self._known.lines[name].get(file, set())
        return bool(executed & lines if lines else executed)

    def _run(self, names: list[str], items: dict[str, pytest.Item], session: pytest.Session, planted: bool) -> None:
        if not names:
            return
        if not planted:  # the collected tests hold what was imported before
            os.chdir(ROOT)
            pytest.main(["-x", *QUIET, *names], plugins=[self])
            return
        plugins = session.config.pluginmanager
        if not plugins.is_registered(self):
            plugins.register(self)
        for name, after in zip(names, [*names[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=items[name], nextitem=items[after] if after else None)

    def _give(self, cpu_s: float) -> None:
        signal.setitimer(signal.ITIMER_PROF, CPU_FACTOR * cpu_s + SPARE_S)

    def _late(self, number: int, frame: FrameType | None) -> None:
        self._word.write_text(self.now, encoding="utf-8")
        os._exit(LATE)
