"""What the report shows of a session, once: label, how a value is written, and how a page's table and a machine find it again."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from guardian.report import words
from guardian.report.words import Terms
from guardian.sessions import Summary


class Column(Struct, frozen=True):
    """A field of sessions.Summary as it is shown."""

    field: str
    label: str
    short: str  # in the list of sessions
    write: Callable[[Summary, Terms], str]
    hint: str = ""  # what a reader needs to understand it


def _plain(field: str, digits: int = 0, unit: str = "") -> Callable[[Summary, Terms], str]:
    def write(one: Summary, terms: Terms) -> str:
        value: float | None = getattr(one, field)
        return words.number(value, digits) + (unit if value is not None else "")

    return write


def distance(one: Summary, terms: Terms) -> str:
    """With its error where that is known."""
    error = terms.distance_error
    if error is None or not one.distance_m:
        return f"{words.number(one.distance_m)} m"
    return f"{words.number(one.distance_m)} ± {words.number(error * one.distance_m)} m"


COLUMNS: tuple[Column, ...] = (
    Column("started_utc", "Began", "Began", lambda one, terms: words.moment(one.started_utc)),
    Column("ended_utc", "Ended", "Ended", lambda one, terms: words.moment(one.ended_utc)),
    Column("exercise", "Exercise", "Exercise", lambda one, terms: words.capital(terms.label(one.exercise))),
    Column("duration_s", "Duration", "Duration", lambda one, terms: words.duration(one.duration_s)),
    Column("dose", "Dose asked for", "Dose", lambda one, terms: words.amount(one.dose, one.unit), "by the plan on that day"),
    Column("done", "Dose done", "Done", lambda one, terms: words.amount(one.done, one.unit)),
    Column("sets_done", "Sets done", "Sets", _plain("sets_done")),
    Column("distance_m", "Distance", "Distance", distance, "estimated from the motion of the waist, not measured"),
    Column("steps", "Steps", "Steps", _plain("steps")),
    Column("cadence", "Cadence", "Cadence", _plain("cadence", 0, " /min"), "steps a minute, mean while walking"),
    Column("speed_m_s", "Speed", "Speed", _plain("speed_m_s", 2, " m/s"), "mean while walking, estimated"),
    Column("regularity", "Regularity", "Regularity", _plain("regularity", 2), "1: each step like the one before; 0: no rhythm"),
    Column("symmetry", "Symmetry", "Symmetry", _plain("symmetry", 2), "1: left and right alike"),
    Column("lean_deg", "Lean", "Lean", _plain("lean_deg", 0, "°"), "mean tilt of the trunk, + forward"),
    Column("sway_deg", "Sway", "Sway", _plain("sway_deg", 1, "°"), "to the sides, rms"),
    Column("stairs", "Stairs", "Stairs", _plain("stairs")),
    Column("lunges_left", "Lunges, left leg", "Lunges L", _plain("lunges_left")),
    Column("lunges_right", "Lunges, right leg", "Lunges R", _plain("lunges_right")),
    Column("lunge_depth_m", "Depth of lunges", "Depth", _plain("lunge_depth_m", 2, " m"), "how far the belt sank, mean"),
    Column("cautions", "Obstacle cautions", "Cautions", _plain("cautions"), "less than about 3 s away"),
    Column("stops", "Obstacle stops", "Stops", _plain("stops"), "within about 1.5 s, or within reach"),
    Column("near_falls", "Near-falls", "Near-falls", _plain("near_falls"), "balance lost and regained"),
    Column("falls", "Falls", "Falls", _plain("falls")),
    Column("reason", "How it ended", "Ended by", lambda one, terms: words.capital(words.reason(one.reason))),
)
BY_FIELD = {column.field: column for column in COLUMNS}
# in the list of sessions; the rest is on each session's own page
LIST = (
    "started_utc", "exercise", "duration_s", "dose", "done", "distance_m", "steps", "cadence", "speed_m_s",
    "regularity", "lean_deg", "stairs", "lunges_left", "lunges_right", "cautions", "stops", "near_falls", "falls",
)  # fmt: skip


def raw(one: Summary, field: str) -> str:
    """The database's own value, exactly; "" where it is NULL."""
    value: Any = getattr(one, field)
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
