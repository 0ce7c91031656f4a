"""Sessions and their timelines as CSV, for a spreadsheet or a statistician: every column of the database, and the dates readable beside.

One header row, commas, a dot in numbers, UTF-8, CRLF (RFC 4180); an empty cell is NULL. Floats are written so that they read back equal. A
text that a spreadsheet would take for a formula gets a leading apostrophe (OWASP, CSV injection): ids and details come from devices.
"""

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Any

from msgspec.structs import astuple

from guardian import sessions
from guardian.report import words
from guardian.report.history import Told

FORMULA = ("=", "+", "-", "@", "\t", "\r")
DATES = ("started", "ended")  # added to the columns of the session


def sessions_csv(told: Iterable[Told]) -> str:
    """One row a session, what is wrong with it in the last column."""
    head = [*sessions.COLUMNS["session"], *DATES, "findings"]
    rows = (
        [
            *astuple(one.summary),
            words.iso(one.summary.started_utc),
            words.iso(one.summary.ended_utc),
            " ".join(f.text for f in one.findings),
        ]
        for one in told
    )
    return _written(head, rows)


def timeline_csv(told: Iterable[Told]) -> str:
    """One row a second, and one an event, in order of time: `event_type` and `detail` are filled in an event's row alone."""
    seconds, marks = sessions.COLUMNS["timeline"], sessions.COLUMNS["mark"]
    rows: list[list[Any]] = []
    for one in told:
        here: list[list[Any]] = [[*astuple(second), None, None] for second in one.seconds]
        here += [[mark.session, mark.t_s, *[None] * (len(seconds) - 2), mark.event_type, mark.detail] for mark in one.marks]
        rows += sorted(here, key=lambda row: row[1])
    return _written([*seconds, *marks[2:]], rows)


def _written(head: list[str], rows: Iterable[list[Any]]) -> str:
    text = StringIO()
    out = csv.writer(text)
    out.writerow(head)
    out.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return repr(value) if isinstance(value, float) else value
