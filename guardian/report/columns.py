"""What the report shows of a session, once: label, how a value is written, and how a page's table and a machine find it again."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from guardian.report import words
from guardian.report.words import GLUE, Terms
from guardian.sessions import Summary


class Column(Struct, frozen=True):
    """A field of sessions.Summary as it is shown."""

    field: str
    label: str
    write: Callable[[Summary, Terms], str]
    hint: str = ""  # what a reader needs to understand it
    brief: Callable[[Summary, Terms], str] | None = None  # in the list of sessions, where it differs


class Group(Struct, frozen=True):
    """A column of the list of sessions: one field, or several with a word between."""

    label: str
    fields: tuple[str, ...]
    between: str = ""


def _plain(field: str, digits: int = 0, unit: str = "") -> Callable[[Summary, Terms], str]:
    def write(one: Summary, terms: Terms) -> str:
        value: float | None = getattr(one, field)
        return words.number(value, digits) + (unit if value is not None else "")

    return write


def distance(one: Summary, terms: Terms) -> str:
    """With its error where that is known."""
    error = terms.distance_error.get(one.exercise)
    around = f"{GLUE}±{GLUE}{words.number(error * one.distance_m)}" if error is not None and one.distance_m else ""
    return f"{words.number(one.distance_m)}{around}{GLUE}m"


def _brief_done(one: Summary, terms: Terms) -> str:
    """Without its unit, which stands beside it with the dose; times are not so read."""
    return words.amount(one.done, one.unit if one.unit == "s" else None)


COLUMNS: tuple[Column, ...] = (
    Column("started_utc", "Began", lambda one, terms: words.moment(one.started_utc)),
    Column("ended_utc", "Ended", lambda one, terms: words.moment(one.ended_utc)),
    Column("exercise", "Exercise", lambda one, terms: words.capital(terms.label(one.exercise))),
    Column("duration_s", "Duration", lambda one, terms: words.duration(one.duration_s)),
    Column("dose", "Dose asked for", lambda one, terms: words.dose(one), "by the plan on that day; a leg: so many with each leg"),
    Column("done", "Dose done", lambda one, terms: words.amount(one.done, one.unit), "in all sets", _brief_done),
    Column("sets_done", "Sets done", lambda one, terms: f"{one.sets_done} of {one.sets}" if one.sets else str(one.sets_done)),
    Column("distance_m", "Distance", distance, "estimated from the motion of the waist, not measured"),
    Column("steps", "Steps", _plain("steps")),
    Column("cadence", "Cadence", _plain("cadence", 0, f"{GLUE}/min"), "steps a minute, mean while walking"),
    Column("speed_m_s", "Speed", _plain("speed_m_s", 2, f"{GLUE}m/s"), "mean while walking, estimated"),
    Column("regularity", "Regularity", _plain("regularity", 2), "1: each step like the one before; 0: no rhythm"),
    Column("symmetry", "Symmetry", _plain("symmetry", 2), "1: left and right alike"),
    Column("lean_deg", "Lean", _plain("lean_deg", 0, "°"), "mean tilt of the trunk, + forward"),
    Column("sway_deg", "Sway", _plain("sway_deg", 1, "°"), "to the sides, rms"),
    Column("stairs", "Stairs", _plain("stairs")),
    Column("lunges_left", "Lunges, left leg", _plain("lunges_left")),
    Column("lunges_right", "Lunges, right leg", _plain("lunges_right")),
    Column("lunge_depth_m", "Depth of lunges", _plain("lunge_depth_m", 2, " m"), "how far the belt sank, mean"),
    Column("cautions", "Obstacle cautions", _plain("cautions"), "less than about 3 s away"),
    Column("stops", "Obstacle stops", _plain("stops"), "within about 1.5 s, or within reach"),
    Column("near_falls", "Near-falls", _plain("near_falls"), "balance lost and regained"),
    Column("falls", "Falls", _plain("falls")),
    Column("reason", "How it ended", lambda one, terms: words.capital(words.reason(one.reason))),
)
BY_FIELD = {column.field: column for column in COLUMNS}
# the list of sessions; the rest is on each session's own page
LIST: tuple[Group, ...] = (
    Group("Began", ("started_utc",)),
    Group("Exercise", ("exercise",)),
    Group("Duration", ("duration_s",)),
    Group("Done of dose", ("done", "dose"), " of "),
    Group("Distance", ("distance_m",)),
    Group("Steps", ("steps",)),
    Group("Cadence", ("cadence",)),
    Group("Speed", ("speed_m_s",)),
    Group("Regularity", ("regularity",)),
    Group("Lean", ("lean_deg",)),
    Group("Cautions, stops", ("cautions", "stops"), ", "),
    Group("Near-falls", ("near_falls",)),
    Group("Falls", ("falls",)),
    Group("Ended", ("reason",)),
)
HEADS = 2  # the first so many of it name the session


def raw(one: Summary, field: str) -> str:
    """The database's own value, exactly; "" where it is NULL."""
    value: Any = getattr(one, field)
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
