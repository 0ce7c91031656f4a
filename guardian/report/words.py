"""Numbers, times and names as a physiotherapist reads them. Dates are this machine's local time, and say so."""

from datetime import UTC, datetime

from msgspec import Struct

from guardian.sessions import Summary

DASH = "–"  # not known
GLUE = "\u00a0"  # a space at which no line breaks

REASONS = {
    "three_presses": "by the button",
    "power_off": "switched off",
    "not_worn": "belt taken off",
    "exercise_changed": "another exercise begun",
}
EVENTS = {
    "caution": "Obstacle behind: caution",
    "stop": "Obstacle behind: stop",
    "obstacle": "Obstacle behind: stop",
    "near_fall": "Near-fall: nearly fell, and recovered",
    "imminent_fall": "A fall began",
    "fall_suspected": "A fall was suspected",
    "fall": "Fell, and did not cancel",
    "long_lie": "Still lay on the floor",
    "sos": "Called for help",
    "not_guarding": "Not guarded for a while",
    "guarding": "Guarded again",
    "not_worn": "The belt was taken off",
    "cancelled": "All right: alarm cancelled",
    "cleared": "Alarm cleared",
    "acknowledged": "Was told that help is coming",
    "fault": "A part of the device failed",
    "fault_cleared": "The device was whole again",
    "battery_low": "Battery low",
    "exercise_changed": "Changed to another exercise",
    "coach": "Was given a cue",
    "session_started": "Session began",
    "session_ended": "Session ended",
    "test": "Test message",
}
PHASES = {"warm_up": "Warm-up", "work": "Exercise", "rest": "Rest", "done": "Dose done"}
UNITS = {"s": "min", "m": "m", "stairs": "stairs", "reps": "a leg"}


class Terms(Struct, frozen=True):
    """What the configuration says that a reader needs: an exercise's name and its limit of lean, how far the distance may be off."""

    labels: dict[str, str] = {}
    lean_limit_deg: dict[str, float] = {}
    distance_error: dict[str, float] = {}  # share of the distance, by exercise; absent: not known

    def label(self, exercise: str) -> str:
        """An exercise in words; one without a label by its own name."""
        return self.labels.get(exercise, exercise.replace("_", " "))


def capital(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def _local(utc: float) -> datetime:
    return datetime.fromtimestamp(utc, UTC).astimezone()


def day(utc: float | None) -> str:
    """Tue 4 Mar 2026."""
    return f"{_local(utc):%a} {_local(utc).day} {_local(utc):%b %Y}" if utc is not None else "no date"


def short_day(utc: float) -> str:
    """4 Mar."""
    return f"{_local(utc).day} {_local(utc):%b}"


def moment(utc: float | None) -> str:
    """Tue 4 Mar 2026, 10:15."""
    return f"{day(utc)}, {_local(utc):%H:%M}" if utc is not None else "no date"


def iso(utc: float | None) -> str:
    """For machines: 2026-03-04T09:15:00+00:00, in UTC; "" where not known."""
    return datetime.fromtimestamp(utc, UTC).isoformat() if utc is not None else ""


def zone(utc: float) -> str:
    """The local zone at that time: CET, UTC+01:00."""
    there = _local(utc)
    offset = there.strftime("%z")
    return "UTC" if offset == "+0000" else f"{there.tzname()}, UTC{offset[:3]}:{offset[3:5]}"


def clock(t_s: float) -> str:
    """Within a session: 3:07, or 1:03:07."""
    seconds = int(t_s)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"


def duration(t_s: float | None) -> str:
    """12 min 30 s."""
    if t_s is None:
        return DASH
    hours, rest = divmod(round(t_s), 3600)
    parts = [(hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
    return " ".join(f"{value}{GLUE}{unit}" for value, unit in parts if value) or f"0{GLUE}s"


def number(value: float | None, digits: int = 0) -> str:
    """1 240, 0.82; a true minus sign; a dash where not known."""
    if value is None:
        return DASH
    text = f"{value:,.{digits}f}".replace(",", "\u202f")
    return ("\u2212" + text[1:] if text.strip("-0.\u202f") else text[1:]) if text.startswith("-") else text


def amount(value: float | None, unit: str | None) -> str:
    """A dose, or what was done of it, in its unit: 8 min 20 s, 30 stairs, 12 a leg."""
    if value is None:
        return DASH
    if unit == "s":
        return duration(value)
    name = UNITS.get(unit or "", unit or "")
    name = "stair" if name == "stairs" and value == 1 else name
    return f"{number(value, 0 if value == int(value) else 1)}{GLUE}{name}".strip()


def dose(one: Summary) -> str:
    """What was asked for: 8 min, 2 × 10 stairs."""
    sets = f"{one.sets}{GLUE}×{GLUE}" if one.dose is not None and one.sets is not None and one.sets > 1 else ""
    return sets + amount(one.dose, one.unit)


def asked(one: Summary) -> float | None:
    """The dose of all sets."""
    return None if one.dose is None else one.dose * (one.sets or 1)


def share(one: Summary) -> str:
    """What was done of the dose, in percent; "" where there is none."""
    whole = asked(one)
    return f"{number(100 * one.done / whole)}{GLUE}%" if one.done is not None and whole else ""


def times(count: int, one: str, many: str | None = None) -> str:
    """1 stop, 2 stops, no stops."""
    many = many or f"{one}s"
    return f"no {many}" if count == 0 else f"{count} {one if count == 1 else many}"


def reason(text: str | None) -> str:
    """How a session ended."""
    return "not properly" if text is None else REASONS.get(text, text.replace("_", " "))


def event(event_type: str) -> str:
    """What happened; an unknown event by its own name."""
    return EVENTS.get(event_type, capital(event_type.replace("_", " ")))


def listed(parts: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
