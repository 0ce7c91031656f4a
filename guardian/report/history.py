"""What is read of the session database for one report: the sessions that were asked for, whole, with what is wrong with them."""

from collections.abc import Callable
from contextlib import closing
from difflib import get_close_matches
from pathlib import Path

from msgspec import Struct

from guardian import sessions
from guardian.report import findings, words
from guardian.report.findings import Finding
from guardian.sessions import Damage, Mark, Planned, Second, Summary

LATEST = "latest"  # in place of an id
SHOWN = 5  # ids that a complaint lists


class NotFound(Exception):
    """No session is meant by what was asked for; the message says what there is."""


class Period(Struct, frozen=True):
    """From when to when, s since 1970, and how it is called."""

    begin_utc: float
    end_utc: float
    name: str


class Told(Struct, frozen=True):
    """One session with all that is kept of it."""

    summary: Summary
    seconds: tuple[Second, ...]
    marks: tuple[Mark, ...]
    findings: tuple[Finding, ...]


class History(Struct, frozen=True):
    """The sessions of a report in the order in which they began, the plan, and what is wrong with the whole."""

    path: Path
    sessions: tuple[Told, ...]
    plans: tuple[Planned, ...]
    findings: tuple[Finding, ...]
    period: Period | None = None
    exercise: str | None = None  # all of this one; None: of all


def read_session(path: Path, asked: str, exercise: str | None = None) -> History:
    """The one session that an id, its beginning or its end names, or the latest. Raises NotFound or sessions.SessionsError."""
    with closing(sessions.open_for_reading(path)) as db:
        every, damage = sessions.read_sessions(db)
        known = [one for one in every if exercise in (None, one.exercise)]
        if not known and not damage:
            raise NotFound(f"{path}: there is no session{f' of {exercise}' if exercise else ''} in it")
        meant = _meant(asked, known, damage, path)
        told = _told(db, meant, every)
        plans, bad = sessions.read_plans(db)
        return History(path, (told,), tuple(plans), findings.of_tables(bad), None, exercise)


def read_period(path: Path, period: Period, exercise: str | None = None) -> History:
    """The sessions of a period, undated ones too where their place lies in it. Raises NotFound or sessions.SessionsError."""
    with closing(sessions.open_for_reading(path)) as db:
        every, damage = sessions.read_sessions(db)
        chosen = [one for one in _within(every, period) if exercise in (None, one.exercise)]
        if not chosen and not damage:
            newest = next((one for one in reversed(every) if exercise in (None, one.exercise)), None)
            what = f"no session{f' of {exercise}' if exercise else ''} in {period.name}"
            raise NotFound(f"{path}: {what}; {_newest(newest)}")
        plans, bad = sessions.read_plans(db)
        orphans, torn = sessions.read_orphans(db)
        told = tuple(_told(db, one, every) for one in chosen)
        wrong = findings.of_tables([*damage, *bad, *torn]) + findings.of_orphans(orphans)
        wrong += findings.of_weeks([one.started_utc for one in chosen if one.started_utc is not None], period.end_utc)
        kept = tuple(plan for plan in plans if exercise in (None, plan.exercise))
        return History(path, told, kept, wrong, period, exercise)


def _told(db: sessions.Database, one: Summary, every: list[Summary]) -> Told:
    seconds, torn = sessions.read_seconds(db, one.id)
    marks, lost = sessions.read_marks(db, one.id)
    place = every.index(one)
    before = next((other for other in reversed(every[:place]) if other.started_utc is not None), None)
    after = next((other for other in every[place + 1 :] if other.started_utc is not None), None)
    return Told(one, tuple(seconds), tuple(marks), findings.of_session(one, seconds, marks, [*torn, *lost], before, after))


def _within(every: list[Summary], period: Period) -> list[Summary]:
    """An undated session goes with the dated one before it, or the first dated one after it where none is before."""
    dates: list[float | None] = []
    last: float | None = None
    for one in every:
        last = one.started_utc if one.started_utc is not None else last
        dates.append(last)
    first = next((date for date in dates if date is not None), None)
    when = [first if date is None else date for date in dates]
    return [one for one, date in zip(every, when, strict=True) if date is None or period.begin_utc <= date <= period.end_utc]


def _meant(asked: str, known: list[Summary], damage: list[Damage], path: Path) -> Summary:
    if asked == LATEST and known:
        return known[-1]
    ways: tuple[Callable[[str], bool], ...] = (
        lambda name: name == asked,
        lambda name: name.startswith(asked),
        lambda name: name.endswith(f"-{asked}"),
    )
    for fits in ways:
        found = [one for one in known if fits(one.id)]
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFound(f"{path}: {asked!r} may mean {len(found)} sessions; say more of one:\n{_listed(found[-SHOWN:])}")
        broken = [one for one in damage if one.session and fits(one.session)]
        if broken:
            raise NotFound(f"{path}: session {broken[0].session} cannot be shown: {broken[0].what}")
    near = get_close_matches(asked, [one.id for one in known], SHOWN, 0.6)
    nearest = [one for one in known if one.id in near]
    listed = f"the nearest:\n{_listed(nearest)}\n" if nearest else ""
    raise NotFound(f"{path}: no session {asked!r}; {listed}the last of {len(known)}:\n{_listed(known[-SHOWN:])}")


def _listed(some: list[Summary]) -> str:
    return "\n".join(f"  {one.id}  {words.day(one.started_utc)}  {one.exercise}" for one in some)


def _newest(newest: Summary | None) -> str:
    if newest is None:
        return "nor in any other time"
    return f"the newest is {newest.id} of {words.day(newest.started_utc)}: see --last, --until, --exercise"
