"""What the report shows is what the database holds: read back out of the page, the pictures and the tables, for all thirty sessions."""

import csv
import math
import re
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from guardian import sessions
from guardian.commands.report import period, terms_of
from guardian.config import Config
from guardian.report import columns, export, page, timeline, trend
from guardian.report.history import History, read_period, read_session
from guardian.report.picture import DESK, PHONE, png, svg
from guardian.report.words import Terms
from guardian.sessions import Summary
from lab.history import BARE, TORN, UNDATED, UNENDED, UNTIL, WEEKS
from tests.report.conftest import PageRead

MADE = page.Made(1.78e9, "test")
WRITTEN = ("started_utc", "ended_utc", "exercise", "reason")  # in words: the number is not in the text


@pytest.fixture(scope="module")
def terms(config: Config) -> Terms:
    return terms_of(config)


@pytest.fixture(scope="module")
def history(history_db: Path) -> History:
    return read_period(history_db, period(f"{len(WEEKS)}w", UNTIL.isoformat(), 0.0))


def rows(path: Path, ask: str, *of: object) -> list[dict[str, Any]]:
    """By SQL alone: the reader under test has no part in it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(ask, of)]


def exactly(value: object) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def shown_number(field: str, text: str) -> float | None:
    """The number that a person reads there, in the database's unit; None for a dash."""
    text = text.replace("\u202f", "").replace("\u2212", "-").replace("\u00a0", " ").strip()
    if text == "–":
        return None
    parts = dict(re.findall(r"(?P<n>\d+) (?P<u>h|min|s)\b", text))
    times = {unit: float(number) for number, unit in re.findall(r"(\d+) (h|min|s)\b", text)}
    if parts and times:
        return 3600 * times.get("h", 0.0) + 60 * times.get("min", 0.0) + times.get("s", 0.0)
    if field == "dose" and "×" in text:
        text = text.split("×")[1]
    found = re.search(r"-?\d+(\.\d+)?", text)
    assert found, (field, text)
    return float(found[0])


def agrees(field: str, value: object, text: str) -> bool:
    """Whether the shown text is the value, rounded as that text is."""
    if field in WRITTEN:
        return bool(text.strip())
    if value is None:
        return shown_number(field, text) is None
    assert isinstance(value, int | float)
    number = shown_number(field, text)
    digits = len(match[1]) if (match := re.search(r"\d\.(\d+)", text)) else 0
    return number is not None and abs(number - value) <= 0.5 * 10.0**-digits + 1e-9


def test_the_list_of_the_page_equals_the_database_for_all_thirty_sessions(trend: str, history_db: Path) -> None:
    kept = {row["id"]: row for row in rows(history_db, "SELECT * FROM session")}
    read = PageRead(trend)
    assert len(kept) == 30 == len({session for session, *_ in read.values})
    fields = [field for group in columns.LIST for field in group.fields]
    assert [(session, field) for session, field, *_ in read.values] == [(session, field) for session in kept for field in fields]
    for session, field, value, text in read.values:
        assert value == exactly(kept[session][field]), (session, field)
        assert agrees(field, kept[session][field], text), (session, field, value, text)


def test_each_sessions_own_page_equals_the_database_in_every_figure(history_db: Path, terms: Terms) -> None:
    seen = set()
    for row in rows(history_db, "SELECT * FROM session"):
        told = read_session(history_db, row["id"])
        read = PageRead(page.session_page(told, terms, [], MADE))
        figures = {field: (value, text) for _, field, value, text in read.values}
        assert figures.keys() == row.keys() - {"id", "unit", "sets"}, "these three are told with the dose, and in the title"
        for session, field, value, text in read.values:  # the tiles too
            assert session == row["id"] and value == exactly(row[field]), field
            assert agrees(field, row[field], text), (field, value, text)
        marks = rows(history_db, "SELECT t_s, event_type, detail FROM mark WHERE session = ? ORDER BY t_s, rowid", row["id"])
        assert read.marks == [[repr(mark["t_s"]), mark["event_type"], mark["detail"]] for mark in marks]
        seen.add(row["id"])
    assert len(seen) == 30


def test_unit_and_sets_are_told_with_the_dose(history_db: Path, terms: Terms) -> None:
    units = {"s": "min", "m": "m", "stairs": "stairs", "reps": "a leg"}
    for row in rows(history_db, "SELECT * FROM session"):
        told = Summary(**row)
        dose = columns.BY_FIELD["dose"].write(told, terms).replace("\u00a0", " ")
        assert units[row["unit"]] in dose
        assert (dose.startswith(f"{row['sets']} × ")) == (row["sets"] > 1)


def test_the_sums_of_the_page_are_those_of_the_database(trend: str, history_db: Path) -> None:
    (total,) = rows(history_db, "SELECT count(*) n, sum(duration_s) s, sum(near_falls) near, sum(falls) falls FROM session")
    lead = re.search(r'class="lead">([^<]*)<', trend)
    assert lead
    said = re.sub("\u00a0", " ", lead[1])
    assert said.startswith(f"{total['n']} sessions, ")
    assert f"{total['near']} near-falls and {total['falls']} fall." in said
    assert abs((shown_number("duration_s", said.split(",")[1]) or 0.0) - total["s"]) <= 30.0


def test_the_plan_stands_there_with_its_reasons(trend: str, history_db: Path) -> None:
    plan = PageRead(trend).plan
    kept = rows(history_db, "SELECT * FROM plan")
    assert len(kept) == 5
    for row in kept:
        value, text = plan[row["exercise"], "dose"]
        assert value == repr(row["dose"]) and agrees("dose", row["dose"], text)
        assert plan[row["exercise"], "why"][1] == row["why"]


def test_the_timeline_is_drawn_as_it_was_kept_and_gaps_are_gaps(history_db: Path, terms: Terms) -> None:
    (torn,) = rows(history_db, "SELECT id FROM session ORDER BY rowid LIMIT 1 OFFSET ?", TORN)
    for row in rows(history_db, "SELECT * FROM session"):
        (told,) = read_session(history_db, row["id"]).sessions
        for picture in timeline.of_session(told, terms):
            figure = Figure(figsize=(10, 8))
            picture.draw(figure, DESK)
            _, speed, cadence, lean, behind = figure.axes
            for axes, field in ((speed, "speed_m_s"), (cadence, "cadence"), (lean, "lean_deg"), (behind, "behind_m")):
                drawn = list(zip(*axes.lines[0].get_data(), strict=True))
                known = [(t_s, value) for t_s, value in drawn if not math.isnan(value)]
                kept = [(second.t_s, getattr(second, field)) for second in told.seconds]
                assert known == [(t_s, value) for t_s, value in kept if value is not None], (row["id"], field)
                if field == "speed_m_s":
                    assert len(known) == len(kept)
                    assert (len(drawn) - len(known)) == (1 if row["id"] == torn["id"] else 0), "one gap, where the page was torn out"
    with closing(sessions.open_for_reading(history_db)) as db:
        assert sessions.read_seconds(db, torn["id"])[1], "or it would prove nothing"


def test_the_weeks_add_up_and_the_trend_holds_every_dated_session(history: History, terms: Terms, history_db: Path) -> None:
    kept = rows(history_db, "SELECT * FROM session WHERE started_utc IS NOT NULL")
    weeks, *each = trend.of_history(history, terms)
    figure = Figure(figsize=(10, 3))
    weeks.draw(figure, DESK)
    minutes = sum(bar.get_height() for bar in figure.axes[0].patches)
    assert minutes == pytest.approx(sum(row["duration_s"] for row in kept) / 60)
    assert [text.get_text() for text in figure.axes[0].texts].count("no session") == 1
    names = list(dict.fromkeys(row["exercise"] for row in kept))
    assert len(each) == len(names) == 5
    for name, picture in zip(names, each, strict=True):
        figure = Figure(figsize=(10, 4))
        picture.draw(figure, DESK)
        done = next(line for line in figure.axes[0].lines if line.get_label() == "done")
        scale = 60.0 if name in ("walk", "treadmill") else 1.0
        drawn = [value * scale for value in done.get_ydata() if not math.isnan(value)]
        assert drawn == pytest.approx([row["done"] for row in kept if row["exercise"] == name])
        (axes,) = (one for one in figure.axes if "Warnings a session" in (one.get_title("left"), one.get_title()))
        bars = sum(bar.get_height() for container in axes.containers for bar in container)
        assert bars == sum(row["cautions"] + row["stops"] for row in kept if row["exercise"] == name)


def test_bad_and_missing_sessions_are_named_not_hidden(trend: str, history_db: Path, reported: Path) -> None:
    ids = [row["id"] for row in rows(history_db, "SELECT id FROM session ORDER BY rowid")]
    found = {(kind, session) for kind, session, _ in PageRead(trend).findings}
    assert found == {
        ("skipped", ""),
        ("damaged", ""),  # with a torn page nobody can say whether a timeline without a session is in it
        ("undated", ids[UNDATED]),
        ("unended", ids[UNENDED]),
        ("no_timeline", ids[BARE]),
        ("damaged", ids[TORN]),
        ("hole", ids[TORN]),
    }
    assert "27 Apr to 3 May 2026" in trend
    assert "1 session without a date is in the list below, and in no picture." in trend


def test_the_tables_read_back_equal(history: History, history_db: Path, reported: Path) -> None:
    (file,) = reported.glob("*-sessions.csv")
    kept = rows(history_db, "SELECT * FROM session ORDER BY rowid")
    read = list(csv.DictReader(StringIO(file.read_text(encoding="utf-8"), newline="")))
    assert [{name: row[name] for name in kept[0]} for row in read] == [
        {name: exactly(value) for name, value in row.items()} for row in kept
    ]
    assert [row["started"] == "" for row in read] == [row["started_utc"] is None for row in kept]
    assert "Never ended properly" in read[UNENDED]["findings"]
    (file,) = reported.glob("*-timeline.csv")
    read = list(csv.DictReader(StringIO(file.read_text(encoding="utf-8"), newline="")))
    seconds = [row for row in read if not row["event_type"]]
    marks = [row for row in read if row["event_type"]]
    names = sessions.COLUMNS["timeline"]
    every = [second for told in history.sessions for second in told.seconds]
    assert [[row[name] for name in names] for row in seconds] == [[exactly(getattr(second, name)) for name in names] for second in every]
    assert len(every) > 8000
    happened = rows(history_db, "SELECT * FROM mark")
    assert sorted((row["session"], row["t_s"], row["event_type"], row["detail"]) for row in marks) == sorted(
        (row["session"], exactly(row["t_s"]), row["event_type"], row["detail"]) for row in happened
    )


def test_a_text_that_a_spreadsheet_would_run_is_a_text() -> None:
    from guardian.report.history import Told

    told = Told(Summary("=HYPERLINK(1)", "@walk", reason="-2+3"), (), (), ())
    _, row = csv.reader(StringIO(export.sessions_csv([told]), newline=""))
    assert row[0] == "'=HYPERLINK(1)" and row[1] == "'@walk" and "'-2+3" in row


def test_a_page_needs_nothing_else(reported: Path) -> None:
    for file in reported.glob("*.html"):
        text = file.read_text(encoding="utf-8")
        read = PageRead(text)
        assert all(address.startswith("#") for address in read.addresses), "within the page"
        assert not read.tags & {"script", "link", "iframe", "object", "embed", "img", "image", "form", "base"}
        assert set(re.findall(r"url\(([^)]*)\)", text)) and all(one.startswith("#") for one in re.findall(r"url\(([^)]*)\)", text))
        assert not re.findall(r'(?<!xmlns=")(?<!xmlns:xlink=")https?://', text) and "@import" not in text
        ids = re.findall(r' id="([^"]*)"', text)
        assert len(ids) == len(set(ids)), "two pictures must not find each other's parts"
        assert 'lang="en"' in text and "viewport" in text
        assert {one[1:] for one in read.addresses} | set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids), "what is pointed to is there"


def test_a_picture_is_the_same_each_time(history: History, terms: Terms) -> None:
    weeks = trend.of_history(history, terms)[0]
    assert svg(weeks, PHONE) == svg(weeks, PHONE)
    assert png([weeks], "title") == png([weeks], "title")
    assert png([weeks], "title").startswith(b"\x89PNG")
