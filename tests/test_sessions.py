"""The session database: what is written comes back, device and report leave each other alone, a bad file is named."""

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from guardian import sessions
from guardian.sessions import Damage, Damaged, Mark, OtherVersion, Planned, Second, SessionsError, Summary

DAY_S = 86_400.0


def summary(name: str, started_utc: float | None = 1.7e9, reason: str | None = "button") -> Summary:
    return Summary(name, "walk", started_utc, None if started_utc is None else started_utc + 300, reason, 300.0, 520, 260.5, 104.0, 0.87)


def second(name: str, t_s: float, behind_m: float | None = 2.5) -> Second:
    return Second(name, t_s, 0.9, 104.0, 3.2, behind_m, "CLEAR", "GUARDING", "work")


def read(path: Path) -> tuple[list[Summary], list[Damage]]:
    with closing(sessions.open_for_reading(path)) as db:
        return sessions.read_sessions(db)


def test_what_is_written_comes_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "state" / sessions.FILE
    told = [summary("b"), summary("a", None, None)]
    seconds = [second("b", float(t), None if t % 2 else 2.5) for t in range(5)]
    marks = [Mark("b", 2.5, "stop", "0.6 m"), Mark("b", 2.5, "near_fall")]
    plan = Planned("walk", 330.0, "s", 1.7e9, "10 % more after a good week")
    with closing(sessions.open_for_writing(path)) as db:
        sessions.write(db, summaries=told, seconds=seconds, marks=marks, plans=[plan])
        with closing(sessions.open_for_reading(path)) as reader:
            assert sessions.read_sessions(reader) == (told, []), "in the order in which they began"
            assert sessions.read_seconds(reader, "b") == (seconds, [])
            assert sessions.read_marks(reader, "b") == (marks, [])
            assert sessions.read_plans(reader) == ([plan], [])
            assert sessions.read_seconds(reader, "a") == ([], [])


def test_it_is_health_data_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    path.touch(0o644)
    with closing(sessions.open_for_writing(path)) as db:
        sessions.write(db, summaries=[summary("a")])
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_session_that_goes_on_is_replaced_and_keeps_its_place(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    with closing(sessions.open_for_writing(path)) as db:
        sessions.write(db, summaries=[summary("a", reason=None), summary("b")])
        sessions.write(db, summaries=[summary("a", reason="button")], seconds=[second("a", 1.0)])
        sessions.write(db, seconds=[second("a", 1.0, behind_m=1.5)])
    assert read(path) == ([summary("a"), summary("b")], [])
    with closing(sessions.open_for_reading(path)) as db:
        assert sessions.read_seconds(db, "a")[0] == [second("a", 1.0, behind_m=1.5)]


def test_neither_the_device_nor_the_report_waits_for_the_other(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    with closing(sessions.open_for_writing(path)) as device:
        sessions.write(device, summaries=[summary("a")])
        with closing(sessions.open_for_reading(path)) as report:
            assert len(sessions.read_sessions(report)[0]) == 1
            sessions.write(device, summaries=[summary("b")])  # would raise "database is locked" after a second
            assert len(sessions.read_sessions(report)[0]) == 1, "one moment throughout"
            with pytest.raises(sqlite3.Error):
                report.execute("DELETE FROM session")
            device.execute("BEGIN IMMEDIATE")
            assert len(read(path)[0]) == 2, "a new reader, while the device is writing"
            device.execute("ROLLBACK")


@pytest.mark.parametrize("running", [False, True])
def test_a_copy_is_read_where_nothing_can_be_written(tmp_path: Path, running: bool) -> None:
    path, stick = tmp_path / sessions.FILE, tmp_path / "stick"
    stick.mkdir()
    (stick / f"{sessions.FILE}-shm").mkdir()  # nobody can lay SQLite's own file here, root neither
    with closing(sessions.open_for_writing(path)) as db:
        sessions.write(db, summaries=[summary("a")])
        if running:  # the last transactions are in the log beside
            shutil.copy(f"{path}-wal", stick)
            shutil.copy(path, stick)
    if not running:
        shutil.copy(path, stick)
    assert read(stick / sessions.FILE)[0] == [summary("a")]


def test_a_write_that_fails_leaves_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    with closing(sessions.open_for_writing(path)) as db:
        with pytest.raises(sqlite3.Error) as caught:
            sessions.write(db, summaries=[summary("a")], marks=[Mark("a", "soon", "stop")])  # type: ignore[arg-type]
        assert not sessions.is_damage(caught.value)
        sessions.write(db, summaries=[summary("b")])
    assert read(path)[0] == [summary("b")]


def test_old_sessions_are_forgotten_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    path, now = tmp_path / sessions.FILE, 1.7e9
    told = [summary("undated-old", None), summary("old", now - 500 * DAY_S), summary("undated", None), summary("new", now - DAY_S)]
    with closing(sessions.open_for_writing(path)) as db:
        assert sessions.prune(db, now, 400) == 0
        sessions.write(db, summaries=told, seconds=[second(one.id, 0.0) for one in told], marks=[Mark(one.id, 0.0, "stop") for one in told])
        assert sessions.prune(db, now, 400) == 2
        assert [one.id for one in sessions.read_sessions(db)[0]] == ["undated", "new"], "the undated one may be of yesterday"
        assert not sessions.read_seconds(db, "old")[0] and not sessions.read_marks(db, "undated-old")[0]
        assert sessions.read_seconds(db, "undated")[0] and sessions.read_marks(db, "new")[0]


def test_rows_that_make_no_sense_are_named_and_the_others_read(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    with closing(sessions.open_for_writing(path)) as db:
        bad = Summary("b", "walk", 1.7e9, 1.7e9, "button", 300.0, 520, distance_m=-1e9)
        sessions.write(db, summaries=[summary("a"), bad], seconds=[second("a", 1.0), second("a", 2.0, behind_m=float("inf"))])
        good, damage = sessions.read_sessions(db)
        assert good == [summary("a")]
        assert [one.session for one in damage] == ["b"] and "distance_m -1000000000.0" in damage[0].what
        seconds, damage = sessions.read_seconds(db, "a")
        assert seconds == [second("a", 1.0)] and "behind_m inf" in damage[0].what


def torn(path: Path) -> None:
    """Overwrite a page in the middle of b's timeline, as a worn-out card does."""
    with closing(sessions.open_for_writing(path)) as db:
        sessions.write(db, summaries=[summary("a"), summary("b")], seconds=[second(n, float(t)) for n in ("a", "b") for t in range(2000)])
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 5 * 4096)
        file.write(b"\xa5" * 4096)


def test_a_torn_page_is_damage_of_one_session_not_the_end_of_all(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    torn(path)
    with closing(sessions.open_for_reading(path)) as db:
        assert sessions.read_sessions(db) == ([summary("a"), summary("b")], [])
        assert sessions.read_seconds(db, "a") == ([second("a", float(t)) for t in range(2000)], [])
        seconds, damage = sessions.read_seconds(db, "b")
        assert [one.session for one in damage] == ["b"] and "a part of its timeline cannot be read" in damage[0].what
        assert 1800 < len(seconds) < 2000 and seconds[0].t_s == 0.0 and seconds[-1].t_s == 1999.0, "up to the page from both ends"
        assert sorted(seconds, key=lambda one: one.t_s) == seconds


def test_a_writer_refuses_a_torn_file_and_may_set_it_aside(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    for aside in (f"{sessions.FILE}.damaged", f"{sessions.FILE}.damaged-2"):
        torn(path)
        with pytest.raises(Damaged, match="integrity"):
            sessions.open_for_writing(path)
        assert sessions.set_aside(path).name == aside and not path.exists()
    sessions.open_for_writing(path).close()
    assert read(path) == ([], [])


@pytest.mark.parametrize("open_it", [sessions.open_for_reading, sessions.open_for_writing])
def test_a_foreign_file_is_refused_by_name_with_a_remedy(tmp_path: Path, open_it) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / sessions.FILE
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(Damaged, match=rf"{path}: .*no SQLite file; sqlite3"):
        open_it(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE outbox (id)")
    with pytest.raises(Damaged, match="no session database"):
        open_it(path)


@pytest.mark.parametrize("open_it", [sessions.open_for_reading, sessions.open_for_writing])
@pytest.mark.parametrize(("version", "remedy"), [(sessions.VERSION + 1, "a newer guardian.*upgrade"), (0, "an older guardian.*move it")])
def test_another_version_is_refused(tmp_path: Path, version: int, remedy: str, open_it) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / sessions.FILE
    with closing(sessions.open_for_writing(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(OtherVersion, match=remedy):
        open_it(path)


def test_missing_tables_columns_files_and_rights_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / sessions.FILE
    with pytest.raises(SessionsError, match=r"no such file.*--db"):
        sessions.open_for_reading(path)
    path.touch()
    with pytest.raises(SessionsError, match="is empty"):
        sessions.open_for_reading(path)
    with closing(sessions.open_for_writing(path)) as db:
        db.execute("ALTER TABLE session DROP COLUMN falls")
    with pytest.raises(Damaged, match="table session lacks falls"):
        sessions.open_for_reading(path)


def test_the_tables_are_the_words(tmp_path: Path) -> None:
    """A field without a column, or the other way round, would lose what was measured."""
    with closing(sessions.open_for_writing(tmp_path / sessions.FILE)) as db:
        for table, columns in sessions.COLUMNS.items():
            assert tuple(name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")) == columns
