"""What the tests do on the code as it is: which lines each executes, how long it takes, and what the stories' monitors were told.

Theory of operation. Everything is run once, in a forked process that is thrown away. Each test is set up alone (no fixture or cache of an
earlier one serves it), so that all the lines it needs are its own. The frames that a story's monitors get, and the verdicts that they
give, are kept: a mutant of the monitor whose verdicts are equal, frame for frame, ends the story as before, because all that happens in
it follows from them; it need not be performed again.
"""

import hashlib
import os
import pickle
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from guardian.frame import Frame
from guardian.verdict import Verdict
from lab.mutate import OUT, ROOT, STORIES
from lab.mutate.drawing import sources

KEPT = OUT / "known.pickle"


@dataclass
class Life:
    """One monitor: what it was made of, and each frame with the verdict on it."""

    made_of: tuple[Any, ...]
    ticks: list[tuple[Frame, Verdict]] = field(default_factory=list)
    mark: bytes = b""  # the same for lives that are the same: several tests tell one story

    def marked(self) -> "Life":
        """Once it is over."""
        digest = hashlib.sha256(repr(self.made_of).encode())
        for tick in (*self.ticks[:: max(1, len(self.ticks) // 100)], *self.ticks[-1:]):
            digest.update(repr(tick).encode())
        self.mark = digest.digest() + len(self.ticks).to_bytes(4, "big")
        return self


@dataclass
class Known:
    """By test: `keys`, of the code and tests that this was learnt from; `lines`, file -> lines executed; `cpu_s`; `lives`, of a story."""

    keys: dict[str, str] = field(default_factory=dict)
    lines: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    lives: dict[str, list[Life]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def forget(self, test: str) -> None:
        """What was learnt of it."""
        for kept in (self.keys, self.lines, self.cpu_s, self.lives):
            kept.pop(test, None)  # type: ignore[attr-defined]
        self.failed.discard(test)


def is_story(item: pytest.Item) -> bool:
    """Whether a test is a story of the whole device."""
    return item.nodeid.startswith(STORIES)


def learnt(session: pytest.Session) -> Known:
    """Run the tests once, less those of which an earlier run of the same code and test has kept what is to be known."""
    known = _kept()
    keys = _keys(session.items)
    for test in list(known.keys):
        if known.keys[test] != keys.get(test):
            known.forget(test)
    missing = [item for item in session.items if item.nodeid not in known.keys]
    if not missing:
        return known
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _learn(session, missing, known, keys)
            status = 0
        except Exception:  # noqa: BLE001  (the fork must end here, and say why)
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit("the tests could not be run on the code as it is")
    return _kept()


def _kept() -> Known:
    try:
        known: Known = pickle.loads(KEPT.read_bytes())  # written below
    except Exception:  # noqa: BLE001  (none, or of classes that have changed since: whatever it is, it is learnt anew)
        return Known()
    return known


def _keys(items: list[pytest.Item]) -> dict[str, str]:
    """A test's results stand as long as its own file, what tests share, and the device and its simulation are the same."""
    shared = hashlib.sha256()
    rooms = [f"guardian/{room}/*.py" for room in ("drivers", "monitor", "outputs", "sim")]
    for pattern in ("guardian/*.py", *rooms, "guardian/fall.model", "firmware_config/guardian.toml", "tests/*.py", "tests/*/*.py"):
        for path in sorted(ROOT.glob(pattern)):
            if not path.name.startswith("test_"):
                shared.update(path.read_bytes())
    own = {item.path: hashlib.sha256(item.path.read_bytes()).hexdigest() for item in items}
    return {item.nodeid: f"{shared.hexdigest()} {own[item.path]}" for item in items}


def _learn(session: pytest.Session, items: list[pytest.Item], known: Known, keys: dict[str, str]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # pytest's dots
    marks = _Marks()
    session.config.pluginmanager.register(marks)
    files = [str(path) for path in sources()]
    for number, item in enumerate(items, 1):
        measured = Coverage(data_file=None, include=files, config_file=False)
        lives: list[Life] = []
        began_s = time.process_time()
        measured.start()
        with _listened(lives if is_story(item) else None):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        measured.stop()
        known.keys[item.nodeid] = keys[item.nodeid]
        known.cpu_s[item.nodeid] = time.process_time() - began_s
        data = measured.get_data()
        known.lines[item.nodeid] = {str(Path(file).relative_to(ROOT)): set(data.lines(file) or ()) for file in data.measured_files()}
        if lives:
            known.lives[item.nodeid] = [life.marked() for life in lives]
        for cached in vars(getattr(item, "module", None) or time).values():
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
        if number % 20 == 0 or number == len(items):
            known.failed |= marks.failed
            _keep(known)
            os.write(2, f"{number} of {len(items)} tests learnt\n".encode())


def _keep(known: Known) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    beside = KEPT.with_suffix(".new")
    beside.write_bytes(pickle.dumps(known))
    beside.replace(KEPT)


class _Marks:
    def __init__(self) -> None:
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember."""
        if report.failed:
            self.failed.add(report.nodeid)


class _listened:
    """While it lasts, all that monitors are told and say is kept."""

    def __init__(self, lives: list[Life] | None) -> None:
        self._lives = lives

    def __enter__(self) -> None:
        from guardian.monitor import Monitor  # noqa: PLC0415

        lives = self._lives
        if lives is None:
            return
        self._was = Monitor.__init__, Monitor.step
        init, step = self._was
        of: dict[int, Life] = {}

        def made(monitor: Any, *parts: Any) -> None:
            init(monitor, *parts)
            of[id(monitor)] = Life(parts)
            lives.append(of[id(monitor)])

        def stepped(monitor: Any, frame: Frame) -> Verdict:
            verdict = step(monitor, frame)
            of[id(monitor)].ticks.append((frame, verdict))
            return verdict

        Monitor.__init__, Monitor.step = made, stepped  # type: ignore[method-assign, assignment]

    def __exit__(self, *_: object) -> None:
        from guardian.monitor import Monitor  # noqa: PLC0415

        if self._lives is not None:
            Monitor.__init__, Monitor.step = self._was  # type: ignore[method-assign]


def differing(known: Known, file: str, lines: set[int]) -> Iterator[str]:
    """The stories in which a mutant of these lines, now in place, says something else; shortest first."""
    from guardian.monitor import Monitor  # noqa: PLC0415  (the one that is in place now)

    same: dict[bytes, bool] = {}
    for story in sorted(known.lives, key=lambda name: known.cpu_s[name]):
        if lines and not lines & known.lines[story].get(file, set()):
            continue
        for life in known.lives[story]:
            if life.mark not in same:
                same[life.mark] = _same(Monitor, life)
            if not same[life.mark]:
                yield story
                break


def _same(monitor: Any, life: Life) -> bool:
    try:
        step = monitor(*life.made_of).step
        return all(step(frame) == verdict for frame, verdict in life.ticks)
    except Exception:  # noqa: BLE001  (then the story is performed: what it does about that is its own)
        return False
