"""`guardian report` as a person at a terminal meets it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from guardian import sessions
from guardian.__main__ import main
from guardian.commands import report
from guardian.report.history import NotFound, read_period, read_session
from guardian.sessions import FILE, Mark, Planned, Second, Summary
from lab.history import UNTIL
from tests.report.conftest import PageRead

DAY_S = 86_400.0


def told(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no-such-session", ["no session 'no-such-session'", "the last of 30", "treadmill"]),
        ("5e8c21d7-11-7", ["no session '5e8c21d7-11-7'", "the nearest:", "5e8c21d7-11-16  no date  treadmill"]),
        ("5e8c21d7", ["may mean 30 sessions"]),
        ("latest --last 30d", ["a session, or a period"]),
        ("latest --exercise swim", ["no session of swim"]),
        ("--last 30", ["--last 30: write it in days or weeks, such as 30d"]),
        ("--last 0d", ["--last 0d"]),
        ("--last 99999d", ["--last 99999d"]),
        ("--until yesterday", ["--until yesterday", "YYYY-MM-DD"]),
        ("--last 3d --until 2020-01-05", ["no session in the 3 days up to 2020-01-05", "the newest is 5e8c21d7-32-", "--until"]),
        ("--exercise swim --until 2026-05-31", ["no session of swim in the 30 days up to 2026-05-31", "nor in any other time"]),
        ("--db /no/such/file.db", ["/no/such/file.db: there is no such file", "--db"]),
        ("latest --out /dev/null/folder", ["/dev/null/folder"]),
        ("--set mqtt.prot=8883", ["prot"]),
    ],
)
def test_what_cannot_be_done_ends_with_its_message_alone(
    line: str, words: list[str], history_db: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = line.split()
    given += [] if "--db" in given else ["--db", str(history_db)]
    given += [] if "--out" in given else ["--out", str(tmp_path / "out")]
    assert main(["report", *given]) == 2
    said = told(capsys)
    assert all(word in said for word in words), said
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_none_of_ours_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / FILE
    for content, word in ((b"", "is empty"), (b"\x00" * 5000, "damaged, or no SQLite file"), (b"SQLite", "no SQLite file")):
        path.write_bytes(content)
        assert main(["report", "--db", str(path), "--out", str(tmp_path)]) == 2
        said = told(capsys)
        assert str(path) in said and word in said
    path.unlink()
    with closing(sessions.open_for_writing(path)) as db:
        db.execute("PRAGMA user_version = 9")
    assert main(["report", "--db", str(path), "--out", str(tmp_path)]) == 2
    assert "upgrade guardian" in told(capsys)


def test_without_matplotlib_it_says_what_to_install(
    history_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    assert main(["report", "latest", "--db", str(history_db), "--out", str(tmp_path)]) == 2
    assert "pip install 'guardian[report]'" in told(capsys)


def test_a_session_is_found_by_id_beginning_end_or_as_the_latest(history_db: Path) -> None:
    with closing(sqlite3.connect(f"file:{history_db}?mode=ro", uri=True)) as db:
        ids = [name for (name,) in db.execute("SELECT id FROM session ORDER BY rowid")]
    install, boot, seq = ids[-1].split("-")
    for asked in (ids[-1], f"{install}-{boot}", f"{boot}-{seq}", "latest"):
        assert read_session(history_db, asked).sessions[0].summary.id == ids[-1]
    lunges = read_session(history_db, "latest", "lunges").sessions[0].summary
    assert lunges.exercise == "lunges" and lunges.id != ids[-1]


def test_a_period_is_whole_days_and_an_undated_session_goes_with_its_neighbours(history_db: Path) -> None:
    every = read_period(history_db, report.period("10w", UNTIL.isoformat(), 0.0)).sessions
    undated = next(place for place, one in enumerate(every) if one.summary.started_utc is None)
    before, after = every[undated - 1].summary, every[undated + 1].summary
    assert before.started_utc is not None and after.started_utc is not None
    first = report.Period(before.started_utc, before.started_utc, "that day")
    assert [one.summary.id for one in read_period(history_db, first).sessions] == [before.id, every[undated].summary.id]
    second = report.Period(after.started_utc, after.started_utc, "the next")
    assert [one.summary.id for one in read_period(history_db, second).sessions] == [after.id]
    walks = read_period(history_db, report.period("10w", UNTIL.isoformat(), 0.0), "walk")
    assert {one.summary.exercise for one in walks.sessions} == {"walk"} == {plan.exercise for plan in walks.plans}


def test_the_last_days_end_now_and_begin_at_midnight() -> None:
    now = report._midnight(UNTIL) + 3600.0
    days = report.period("2d", None, now)
    assert days.end_utc == now and days.begin_utc == report._midnight(UNTIL) - DAY_S
    assert report.period("1d", UNTIL.isoformat(), 0.0).end_utc == report._midnight(UNTIL) + DAY_S - 1.0


def odd(path: Path, *summaries: Summary, seconds: list[Second] | None = None, marks: list[Mark] | None = None) -> Path:
    with closing(sessions.open_for_writing(path)) as db:
        sessions.write(db, summaries=summaries, seconds=seconds or [], marks=marks or [])
    return path


def test_a_session_under_way_is_reported_while_the_device_writes(tmp_path: Path) -> None:
    path = tmp_path / FILE
    now = report._midnight(UNTIL)
    with closing(sessions.open_for_writing(path)) as db:
        second = Second("a-1-1", 0.0, 0.5, 100.0, 3.0, None, "CLEAR", "GUARDING", "work")
        sessions.write(db, summaries=[Summary("a-1-1", "walk", now)], seconds=[second])
        db.execute("BEGIN IMMEDIATE")
        assert main(["report", "latest", "--db", str(path), "--out", str(tmp_path)]) == 0
        db.execute("ROLLBACK")
    read = PageRead((tmp_path / "guardian-a-1-1.html").read_text(encoding="utf-8"))
    assert [kind for kind, _, _ in read.findings] == ["unended"]


def test_sessions_of_which_nothing_is_known_still_make_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = odd(tmp_path / FILE, Summary("a-1-1", "walk"), Summary("a-1-2", "swim"))
    assert main(["report", "--db", str(path), "--out", str(tmp_path), "--csv"]) == 0
    (page,) = tmp_path.glob("*.html")
    text = page.read_text(encoding="utf-8")
    assert "No session has a date, so there is no trend to draw." in text
    assert not list(tmp_path.glob("*.png")), "and no empty picture"
    assert {kind for kind, _, _ in PageRead(text).findings} == {"undated", "unended", "no_timeline"}
    assert main(["report", "a-1-2", "--db", str(path), "--out", str(tmp_path)]) == 0
    assert "There is no timeline to draw." in (tmp_path / "guardian-a-1-2.html").read_text(encoding="utf-8")
    assert "a-1-1: No date" in told(capsys), "named at the terminal too"


def test_a_row_that_makes_no_sense_is_named_on_the_page_and_cannot_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = report._midnight(UNTIL)
    path = odd(
        tmp_path / FILE,
        Summary("a-1-1", "walk", now, now, "power_off", 5.0),
        Summary("a-1-2", "walk", now, distance_m=-7.0),
        seconds=[Second("a-1-9", 1.0, 0.0, 0.0, None, None, "CLEAR", "GUARDING")],
    )
    assert main(["report", "--db", str(path), "--out", str(tmp_path), "--until", UNTIL.isoformat()]) == 0
    (page,) = tmp_path.glob("*.html")
    found = {kind: text for kind, session, text in PageRead(page.read_text(encoding="utf-8")).findings if not session}
    assert "Session a-1-2" in found["damaged"] and "distance_m -7.0" in found["damaged"]
    assert "a-1-9" in found["orphan"]
    told(capsys)
    assert main(["report", "a-1-2", "--db", str(path), "--out", str(tmp_path)]) == 2
    assert "cannot be shown" in told(capsys)
    with pytest.raises(NotFound, match="cannot be shown"):
        read_session(path, "1-2")


EVIL = "</td></svg><script>window.hacked=1</script>$\\frac{1}{0}$ & \"'<img src=x onerror=alert(1)>"


def test_whatever_a_device_wrote_is_text_and_nothing_else(tmp_path: Path) -> None:
    now = report._midnight(UNTIL)
    one = Summary(f"a {EVIL}", EVIL, now, now + 3.0, EVIL, 3.0, unit=EVIL, dose=3.0, done=1.0)
    seconds = [Second(one.id, float(t), 0.5, 90.0, None, None, EVIL, EVIL, EVIL) for t in range(3)]
    path = odd(tmp_path / FILE, one, seconds=seconds, marks=[Mark(one.id, 1.0, EVIL, EVIL), Mark(one.id, 2.0, "coach", EVIL)])
    with closing(sessions.open_for_writing(path)) as db:
        sessions.write(db, plans=[Planned(EVIL, 3.0, EVIL, now, EVIL)])
    assert main(["report", "--db", str(path), "--out", str(tmp_path), "--until", UNTIL.isoformat(), "--csv"]) == 0
    assert main(["report", "latest", "--db", str(path), "--out", str(tmp_path)]) == 0
    pages = list(tmp_path.glob("*.html"))
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        read = PageRead(text)
        assert not read.tags & {"script", "img"} and "<script" not in text
        assert any(EVIL in shown for _, _, _, shown in read.values) or any(EVIL.strip() in value for _, _, value, _ in read.values)
    assert all(page.parent == tmp_path for page in pages), "an id is no path"
