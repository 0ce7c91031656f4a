"""What is bad or missing, in words: a report that hid it would show a better course than there was.

Each finding has a kind, for machines and tests, and a sentence. Rules over what was read, nothing is guessed or mended.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from msgspec import Struct

from guardian.report import words
from guardian.sessions import Damage, Mark, Second, Summary

HOLE_S = 2.5  # the timeline has a row a second: from here on one is missing
SLACK_S = 10.0  # the timeline's end and the session's duration may differ by so much: settling, the last rows' write
CLOCK_SLACK_S = 120.0  # begin, end and duration of one session may disagree by so much
MOST = 3  # holes and rows that one sentence lists


class Finding(Struct, frozen=True):
    """One thing that a reader must know about the data."""

    kind: str
    text: str


def of_session(
    one: Summary, seconds: Sequence[Second], marks: Sequence[Mark], damage: Sequence[Damage], before: Summary | None, after: Summary | None
) -> tuple[Finding, ...]:
    """What is wrong with a session; `before` and `after` are the nearest dated ones that began before and after it."""
    return (
        *_ends(one, seconds),
        *_dates(one, before, after),
        *_timeline(one, seconds, damage),
        *(Finding("damaged", f"{words.capital(text)}.") for text in _few([piece.what for piece in damage])),
        *_counts(one, marks, damage),
    )


def of_tables(damage: Sequence[Damage]) -> tuple[Finding, ...]:
    """Rows and tables that could not be read."""
    return tuple(Finding("damaged", words.capital(f"{f'session {one.session}: ' if one.session else ''}{one.what}.")) for one in damage)


def of_orphans(ids: Sequence[str]) -> tuple[Finding, ...]:
    """Timelines that belong to no session."""
    return tuple(Finding("orphan", f"Session {one} has a timeline but no summary: its beginning was not kept.") for one in ids)


def of_weeks(starts: Sequence[float], end_utc: float) -> tuple[Finding, ...]:
    """Calendar weeks, Monday to Sunday, without a session: from the first session's week to the last whole one before the period's end."""
    skipped = weeks_without(starts, end_utc)
    runs: list[list[date]] = []
    for monday in skipped:
        if runs and monday - runs[-1][-1] == timedelta(7):
            runs[-1].append(monday)
        else:
            runs.append([monday])
    return tuple(Finding("skipped", f"No session {_span(run)}.") for run in runs)


def weeks_without(starts: Sequence[float], end_utc: float) -> list[date]:
    """Mondays of those weeks."""
    if not starts:
        return []
    trained = {monday_of(one) for one in starts}
    every = []
    monday = min(trained)
    while monday + timedelta(7) <= datetime.fromtimestamp(end_utc, UTC).astimezone().date():
        every.append(monday)
        monday += timedelta(7)
    return [one for one in every if one not in trained]


def monday_of(utc: float) -> date:
    """The Monday, in local time, of the week of that moment."""
    there = datetime.fromtimestamp(utc, UTC).astimezone().date()
    return there - timedelta(there.weekday())


def holes(seconds: Sequence[Second]) -> list[tuple[float, float]]:
    """Where the timeline lacks rows: last second before, first after."""
    return [(a.t_s, b.t_s) for a, b in pairwise(seconds) if b.t_s - a.t_s > HOLE_S]


def _span(run: list[date]) -> str:
    first, last = run[0], run[-1] + timedelta(6)
    how_long = "for a whole week" if len(run) == 1 else f"for {len(run)} whole weeks"
    return f"{how_long}: {first.day} {first:%b} to {last.day} {last:%b %Y}"


def _ends(one: Summary, seconds: Sequence[Second]) -> list[Finding]:
    if one.reason is not None:
        return []
    kept = f"; its timeline ends at {words.clock(seconds[-1].t_s)}" if seconds else ""
    return [
        Finding("unended", f"Never ended properly: the power was lost, or it goes on now{kept}. Its figures are those of the last save.")
    ]


def _dates(one: Summary, before: Summary | None, after: Summary | None) -> list[Finding]:
    found = []
    if one.started_utc is None:
        parts = [f"after {words.moment(before.started_utc)}"] if before else []
        parts += [f"before {words.moment(after.started_utc)}"] if after else []
        place = f" By its place in the database it began {' and '.join(parts)}." if parts else ""
        found.append(Finding("undated", f"No date: the device's clock was not set when it began.{place}"))
    elif before is not None and before.started_utc is not None and one.started_utc < before.started_utc:
        text = f"Its date lies before that of the session before it ({words.moment(before.started_utc)}): the device's clock was wrong."
        found.append(Finding("clock", text))
    if one.started_utc is not None and one.ended_utc is not None and one.duration_s is not None:
        by_clock = one.ended_utc - one.started_utc
        if abs(by_clock - one.duration_s) > CLOCK_SLACK_S:
            text = (
                f"By its dates it took {_signed(by_clock)}, by its own timer {words.duration(one.duration_s)}: the clock was set meanwhile."
            )
            found.append(Finding("clock", text))
    return found


def _timeline(one: Summary, seconds: Sequence[Second], damage: Sequence[Damage]) -> list[Finding]:
    if not seconds:
        return [] if damage else [Finding("no_timeline", "No timeline was kept: only the summary is known.")]
    found = []
    missing = holes(seconds)
    if missing:
        places = [f"{words.clock(a)} to {words.clock(b)}" for a, b in missing]
        more = f" and {len(places) - MOST} more" if len(places) > MOST else ""
        found.append(Finding("hole", f"The timeline has {words.times(len(missing), 'hole')}: {', '.join(places[:MOST])}{more}."))
    if seconds[0].t_s > SLACK_S:
        found.append(Finding("hole", f"The timeline begins only at {words.clock(seconds[0].t_s)}."))
    if one.duration_s is not None and one.reason is not None and one.duration_s - seconds[-1].t_s > SLACK_S and not damage:
        found.append(
            Finding("hole", f"The timeline ends at {words.clock(seconds[-1].t_s)}; the session took {words.clock(one.duration_s)}.")
        )
    return found


def _counts(one: Summary, marks: Sequence[Mark], damage: Sequence[Damage]) -> list[Finding]:
    """Summary and marks are written by different hands: where they disagree on near-falls, the reader must know."""
    marked = len([mark for mark in marks if mark.event_type == "near_fall"])
    if one.reason is None or damage or not marks or marked == one.near_falls:
        return []
    counted = words.times(one.near_falls, "near-fall")
    return [Finding("disagree", f"The summary counts {counted}, the timeline {words.times(marked, 'near-fall')}.")]


def _few(texts: list[str]) -> list[str]:
    more = len(texts) - MOST
    return texts if more <= 0 else [*texts[:MOST], f"and {more} more"]


def _signed(t_s: float) -> str:
    return words.duration(t_s) if t_s >= 0 else f"less than nothing ({words.duration(-t_s)} back in time)"
