"""What is wrong is said, and only what is wrong: sessions one by one, weeks, and what a clock that jumps makes of them."""

from datetime import datetime, timedelta

import pytest

from guardian.report import findings, words
from guardian.sessions import Damage, Mark, Second, Summary

NOON = datetime(2026, 3, 2, 12).astimezone().timestamp()  # a Monday
WELL = Summary("a", "walk", NOON, NOON + 300, "three_presses", 300.0, near_falls=1)
SECONDS = [Second("a", float(t), 0.5, 100.0, 3.0, 2.0, "CLEAR", "GUARDING", "work") for t in range(300)]
MARKS = [Mark("a", 12.0, "near_fall")]


def kinds(one: Summary, seconds: list[Second] = SECONDS, marks: list[Mark] = MARKS, damage: tuple[Damage, ...] = ()) -> list[str]:
    before, after = Summary("b", "walk", NOON - 86_400), Summary("c", "walk", NOON + 86_400)
    return [found.kind for found in findings.of_session(one, seconds, marks, damage, before, after)]


def changed(**values: object) -> Summary:
    from msgspec.structs import replace

    return replace(WELL, **values)


def test_a_session_that_is_well_has_no_finding() -> None:
    assert kinds(WELL) == []


@pytest.mark.parametrize(
    ("one", "kind"),
    [
        (changed(reason=None, ended_utc=None), "unended"),
        (changed(started_utc=None, ended_utc=None), "undated"),
        (changed(started_utc=NOON - 2 * 86_400, ended_utc=NOON - 2 * 86_400 + 300), "clock"),
        (changed(ended_utc=NOON + 4000), "clock"),
        (changed(ended_utc=NOON - 4000), "clock"),
        (changed(near_falls=3), "disagree"),
        (changed(duration_s=420.0, ended_utc=NOON + 420), "hole"),
    ],
)
def test_each_trouble_of_a_summary_is_named_once(one: Summary, kind: str) -> None:
    assert kinds(one) == [kind]


def test_holes_are_named_wherever_they_are() -> None:
    assert kinds(WELL, SECONDS[:100] + SECONDS[160:]) == ["hole"]
    assert kinds(WELL, SECONDS[60:]) == ["hole"]
    assert kinds(WELL, SECONDS[:200]) == ["hole"]
    assert kinds(WELL, SECONDS[:100] + SECONDS[101:]) == [], "one second lost is a tick of rounding"
    many = [one for one in SECONDS if one.t_s % 10 < 5]
    (found,) = findings.of_session(WELL, many, MARKS, (), None, None)
    assert "29 holes: 0:04 to 0:10, 0:14 to 0:20, 0:24 to 0:30 and 26 more" in found.text


def test_no_timeline_is_not_damage_and_damage_is_not_no_timeline() -> None:
    assert kinds(WELL, [], []) == ["no_timeline"]
    assert kinds(WELL, [], [], (Damage("a", "torn"),)) == ["damaged"]
    assert kinds(WELL, damage=tuple(Damage("a", f"row {n}") for n in range(9))) == ["damaged"] * 4, "three, and how many more"


def test_an_undated_session_says_between_which_it_lies() -> None:
    (found,) = findings.of_session(changed(started_utc=None, ended_utc=None), SECONDS, MARKS, (), Summary("b", "walk", NOON), None)
    assert f"began after {words.moment(NOON)}." in found.text
    (found,) = findings.of_session(changed(started_utc=None, ended_utc=None), SECONDS, MARKS, (), None, None)
    assert found.text.endswith("when it began.")


def weeks(starts: list[float], end: float) -> list[str]:
    return [found.text for found in findings.of_weeks(starts, end)]


def test_weeks_without_a_session_are_named_as_calendar_weeks() -> None:
    day = 86_400.0
    assert weeks([], NOON) == []
    assert weeks([NOON, NOON + 13 * day], NOON + 13 * day) == [], "twelve days of pause, but no whole week"
    assert weeks([NOON + 6 * day, NOON + 14 * day], NOON + 15 * day) == ["No session for a whole week: 9 Mar to 15 Mar 2026."]
    assert weeks([NOON, NOON + 28 * day], NOON + 30 * day) == ["No session for 3 whole weeks: 9 Mar to 29 Mar 2026."]
    assert weeks([NOON], NOON + 22 * day) == ["No session for 2 whole weeks: 9 Mar to 22 Mar 2026."], "up to today, this week not yet"


def test_a_week_begins_on_monday_in_local_time() -> None:
    sunday = datetime(2026, 3, 8, 23, 59).astimezone()
    assert findings.monday_of(sunday.timestamp()) == datetime(2026, 3, 2).date()
    assert findings.monday_of((sunday + timedelta(minutes=2)).timestamp()) == datetime(2026, 3, 9).date()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (words.duration(750.0), "12 min 30 s"),
        (words.duration(3600.0), "1 h"),
        (words.duration(0.0), "0 s"),
        (words.duration(59.7), "1 min"),
        (words.clock(3787.9), "1:03:07"),
        (words.clock(67.0), "1:07"),
        (words.number(-0.001, 2), "0.00"),
        (words.number(-4.0), "\u22124"),
        (words.number(12345.0), "12\u202f345"),
        (words.number(None), "–"),
        (words.amount(1.0, "stairs"), "1 stair"),
        (words.amount(10.5, "reps"), "10.5 a leg"),
        (words.amount(7.0, "laps"), "7 laps"),
        (words.listed(["a"]), "a"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.listed([]), ""),
        (words.share(Summary("a", "x", dose=10.0, done=15.0, sets=2)), "75 %"),
        (words.share(Summary("a", "x", dose=0.0, done=15.0)), ""),
        (words.event("some_new_event"), "Some new event"),
        (words.reason("some_new_reason"), "some new reason"),
    ],
)
def test_numbers_and_names_read_well(said: str, text: str) -> None:
    assert said.replace("\u00a0", " ") == text
