"""The listing is the diagram: who imports whom, what the mind may not do, and one place for each third-party seam."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardian import contract
from guardian.config import SHIPPED, Coach, Config, Cue, load

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "guardian"
FILES = sorted(PACKAGE.rglob("*.py"))

# room (or top-level file) -> what of ours it may import besides itself
MAY_IMPORT = {
    "__init__": set(),
    "frame": set(),
    "verdict": set(),
    "config": set(),
    "contract": set(),
    "sessions": set(),
    "hardware": {"config"},
    "recording": {"frame", "verdict", "config"},
    "monitor": {"frame", "verdict", "config"},
    "drivers": {"frame", "config", "hardware"},
    "outputs": {"frame", "verdict", "config", "contract", "hardware", "recording", "sessions"},
    "sim": {"hardware", "config"},
    "report": {"contract", "verdict", "recording", "sessions"},
    "station": {"contract", "verdict", "config"},
    "app": {
        "frame",
        "verdict",
        "config",
        "contract",
        "hardware",
        "recording",
        "sessions",
        "monitor",
        "drivers",
        "outputs",
        "sim",
        "__init__",
    },
    "commands": {
        "frame",
        "verdict",
        "config",
        "contract",
        "hardware",
        "recording",
        "sessions",
        "monitor",
        "drivers",
        "outputs",
        "sim",
        "app",
        "report",
        "station",  # by the files station_*.py alone: see below
        "__init__",
    },
    "__main__": {"commands", "config", "__init__"},
}
# the [station] extra and what it brings: the device installs none of them
STATION = ("nicegui", "sqlalchemy", "apprise", "argon2", "segno", "cryptography", "uvicorn", "fastapi")
PLACES = {
    "smbus2": {"hardware"},
    "lgpio": {"hardware"},
    "paho": {"outputs", "station"},
    "mcap": {"recording"},
    "sqlite3": {"sessions", "outputs", "commands"},
    "matplotlib": {"report"},
    **{name: {"station"} for name in STATION},
}
BANNED_IN_MIND = {"time", "random", "os", "threading", "socket", "datetime", "pathlib", "io", "sqlite3", "logging", "subprocess", "secrets"}
MATH_ALLOWED = {"sqrt", "pi", "tau", "e"}


def room(path: Path) -> str:
    """The room of a file: its folder in the package, or its own name at the top."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: absolute imports only"
            yield node.module, node.lineno
            if node.module == "guardian":
                yield from ((f"guardian.{alias.name}", node.lineno) for alias in node.names if alias.name[0].islower())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_open_on_the_hall_never_on_each_other(path: Path) -> None:
    here = room(path)
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] != "guardian" or len(parts) == 1:
            continue
        there = parts[1]
        assert there == here or there in MAY_IMPORT[here], f"{path}:{line}: {here} may not import {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_device_never_loads_the_station(path: Path) -> None:
    """It installs none of its packages: only the actions of `guardian station` import it, and station.py imports those when asked."""
    if room(path) != "station" and not path.name.startswith("station_"):
        assert not any(name.startswith(("guardian.station", "guardian.commands.station")) for name, _ in imports(path)), path


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_third_party_seams_have_one_place(path: Path) -> None:
    for name, line in imports(path):
        top = name.split(".")[0]
        assert top not in PLACES or room(path) in PLACES[top], f"{path}:{line}: {top} belongs to {PLACES[top]}"
        assert top not in {"lab", "tests"}, f"{path}:{line}: the device installs no {top}"


MIND = sorted((PACKAGE / "monitor").glob("*.py"))


@pytest.mark.parametrize("path", MIND, ids=lambda path: path.name)
def test_the_mind_has_no_clock_no_io_and_only_exact_arithmetic(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for name, line in imports(path):
        assert name.split(".")[0] not in BANNED_IN_MIND, f"{path}:{line}: the mind may not import {name}"
        if name.split(".")[0] == "numpy":
            assert path.name in ("fall.py", "network.py"), f"{path}:{line}: numpy is for the integer model alone"
    for node in ast.walk(tree):
        where = f"{path}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.Pow), f"{where}: ** is not the same on every machine"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"sum", "pow", "open", "print", "eval", "input"}, f"{where}: {node.func.id}()"
            assert node.func.id != "round" or len(node.args) == 1, f"{where}: round(x, n)"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "math":
            assert node.attr in MATH_ALLOWED, f"{where}: math.{node.attr} is not correctly rounded everywhere"
        if isinstance(node, ast.ImportFrom) and node.module == "math":
            assert {alias.name for alias in node.names} <= MATH_ALLOWED, f"{where}: from math import …"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            assert node.value == node.value and abs(node.value) < float("inf"), f"{where}: NaN or infinity"


def test_no_code_asks_whether_it_is_simulated() -> None:
    for path in FILES:
        text = path.read_text().lower()
        for word in ("is_simulated", "simulation_mode", "demo_mode", "test_mode", "if demo", "if simulated", "isinstance(clock, sim"):
            assert word not in text, f"{path}: {word}"


def test_nothing_is_named_for_nothing() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                for word in ("Manager", "Helper", "Handler", "Util", "Service", "Base"):
                    assert word not in node.name, f"{path}:{node.lineno}: class {node.name}"
    assert not [path for path in FILES if path.stem in {"utils", "util", "helpers", "common", "misc"}]


def test_every_fault_and_exercise_has_its_words_and_its_sound(config: Config) -> None:
    assert not [name for name in contract.FAULTS if name not in config.sounds]
    assert all(len(text) > 20 for text in contract.FAULTS.values()), "a fault names the wire, key or file to touch"
    patterns = [config.sounds[name].on_off_ms for name in contract.FAULTS]
    assert len(set(patterns)) == len(patterns), "each fault has a sound of its own"
    priorities = [sound.priority for sound in config.sounds.values()]
    assert len(set(priorities)) == len(priorities), "no two sounds tie"


def test_every_number_of_guardian_toml_is_read_somewhere() -> None:
    """A key that nothing reads is a lie to whoever tunes it."""
    source = (
        "\n".join(path.read_text() for path in FILES if path.name != "config.py")
        + (PACKAGE / "config.py").read_text().split("def load", 1)[1]
    )
    table = tomllib.loads(SHIPPED.read_text())
    unread = [
        f"{name}.{key}"
        for name, section in table.items()
        for key in section
        if name not in {"exercises", "sounds"} and f".{key}" not in source
    ]
    unread += [f"exercises.*.{key}" for key in table["exercises"]["walk"] if f".{key}" not in source]
    unread += [f"exercises.*.coach.{key}" for key in Coach.__struct_fields__ if f".{key}" not in source]
    unread += [f"coach.cues.*.{key}" for key in Cue.__struct_fields__ if f".{key}" not in source]
    assert not unread


def test_the_shipped_configuration_is_complete_and_loads() -> None:
    assert load(local=None).exercises.keys() == {"walk", "run", "stairs", "treadmill", "lunges", "everyday"}
