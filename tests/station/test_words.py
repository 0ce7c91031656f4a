"""Every text a person reads: complete in each language, used, and nowhere else."""

import ast
import re
import string
from pathlib import Path
from typing import get_args

import pytest

from guardian import contract
from guardian.config import load
from guardian.station import words
from guardian.station.live import Contact, Status
from guardian.station.store import Feedback
from guardian.verdict import Obstacle

STATION = Path(words.__file__).parent
FILES = sorted([*STATION.rglob("*.py"), *STATION.parent.joinpath("commands").glob("station*.py")])
PAGES = sorted((STATION / "pages").glob("*.py"))
# family -> what must have a text in it
FAMILIES: dict[str, set[str]] = {
    "event": set(contract.EVENTS),
    "fault": set(contract.FAULTS),
    "severity": set(get_args(contract.Severity)),
    "status": {*get_args(Status), "but"},
    "contact": {"live", "never", "silent", "unknown"},
    "obstacle": {str(one) for one in Obstacle},
    "feedback": {*get_args(Feedback), "ask", "why", "thanks", "was"},
    "exercise": set(load(local=None).exercises),
    "cue": {*load(local=None).coach.cues, "plan"},
    "amount": {exercise.coach.unit for exercise in load(local=None).exercises.values() if exercise.coach},
}
# which argument of these is a text; attributes that are read aloud
TEXTS = {"Tag": 2, "link": 0, "button": 0, "choice": 0, "search": 0, "told": 0}
ALOUD = {"text", "aria_label", "title", "placeholder", "alt"}
UI = {"page", "notify", "dialog", "echart", "add_head_html", "add_body_html"}  # nothing that would parse a text as HTML or Markdown


def values(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", words.WORDS)
def test_each_text_is_there_in_each_language_with_the_same_values(key: str) -> None:
    texts = words.WORDS[key]
    assert set(texts) == set(words.LANGUAGES), key
    assert all(text.strip() == text and text for text in texts.values()), key
    assert len({frozenset(values(text)) for text in texts.values()}) == 1, key


def test_all_that_can_happen_has_a_text() -> None:
    assert set(get_args(Contact)) <= {"live", "never", "stale", "lost", "switched_off"}  # the last three are said by their time
    for family, names in FAMILIES.items():
        assert {key.partition(".")[2] for key in words.WORDS if key.startswith(f"{family}.")} == names, family


def test_no_text_is_asked_for_that_there_is_not_and_none_is_left_over() -> None:
    source = {path: path.read_text(encoding="utf-8") for path in FILES if path.name != "words.py"}
    asked = {(path.name, key) for path, text in source.items() for key in re.findall(r"""\bsay\(\s*"([a-z_]+\.[A-Za-z_.]+)\"""", text)}
    assert not [(name, key) for name, key in asked if key not in words.WORDS]
    everything = "\n".join([*source.values(), (STATION / "words.py").read_text(encoding="utf-8").split("def say", 1)[1]])
    families = set(re.findall(r"""f["']([a-z_.]+)\.\{""", everything)) | set(FAMILIES)
    unused = [
        key
        for key in words.WORDS
        if f'"{key}"' not in everything and f"'{key}'" not in everything and not any(key.startswith(f"{one}.") for one in families)
    ]
    assert not unused


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_holds_a_text_of_its_own_or_parses_one(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ui":
            assert node.attr in UI, f"{path.name}:{node.lineno}: ui.{node.attr}"
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        place = TEXTS.get(name)
        shown = [node.args[place]] if place is not None and len(node.args) > place else []
        shown += [word.value for word in node.keywords if word.arg in ALOUD and name in TEXTS]
        shown += node.args[:1] if name == "say" else []
        plain = [text for one in shown for text in written(one) if re.search(r"[A-Za-z]{2}", text) and not is_key(text)]
        assert not plain, f"{path.name}:{node.lineno}: {plain} belongs into words.py"


def is_key(text: str) -> bool:
    """A key of the table, or the beginning of a family of them."""
    return text in words.WORDS or (text.endswith(".") and any(key.startswith(text) for key in words.WORDS))


def written(node: ast.AST) -> list[str]:
    """The literal texts that an expression shows."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(text for part in parts if isinstance(part, ast.Constant) for text in written(part))]
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
            return [*written(one), *written(other)]
    return []


def test_the_browsers_script_speaks_only_what_it_was_given() -> None:
    script = (STATION / "pages" / "page.js").read_text(encoding="utf-8")
    assert "innerHTML" not in script and "insertAdjacentHTML" not in script
    assert not re.search(r"textContent\s*=\s*[\"'`]", script)


def test_a_value_is_put_in_once_and_never_read_again() -> None:
    assert words.say("status.but", "en", status="{but}", but="{status}") == "{but}. {status}"


@pytest.mark.parametrize(
    ("chosen", "header", "language"),
    [
        ("de", "en", "de"),
        (None, "de-DE,de;q=0.9,en;q=0.8", "de"),
        (None, "fr-FR,fr;q=0.9,en;q=0.8,de;q=0.7", "en"),
        (None, "fr;q=0.9,de;q=0.8,en;q=0.7", "de"),
        (None, "de;q=0,en;q=0.1", "en"),
        (None, "", "en"),
        ("xx", "de;q=x", "en"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_browsers(chosen: str | None, header: str, language: str) -> None:
    assert words.language_of(chosen, header) == language


def test_time_is_said_as_a_person_says_it() -> None:
    said = [words.ago(seconds, "en") for seconds in (0.4, 42, 61, 3 * 3600 + 5 * 60, 86400, 3 * 86400)]
    assert said == ["just now", "42 s ago", "1 min ago", "3 h 5 min ago", "1 day ago", "3 days ago"]
    assert words.ago(2 * 86400, "de") == "vor 2 Tagen"


def test_what_is_newer_than_the_table_is_shown_as_it_is_written() -> None:
    assert words.event("moon_landing", "de") == "moon landing"
    assert words.exercise("tai-chi", "en") == "tai-chi"
    assert words.cue({"cue": "jump_higher"}, "de") == "jump higher"


def test_what_the_coach_said_is_said_with_its_dose() -> None:
    assert words.cue({"cue": "posture", "lean_deg": 14.2, "limit": 12}, "de") == "Rücken gerade"
    assert words.cue({"cue": "plan", "dose": 11.0, "unit": "reps", "why": "+10 %"}, "en") == "the dose of this session: 11 each leg"
    assert words.cue({"cue": "plan", "dose": "x", "unit": "{x}"}, "en") == "the dose of this session: ?"
    assert words.cue({}, "en") is None
