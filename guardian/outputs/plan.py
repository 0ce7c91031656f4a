"""The plan: this week's dose of an exercise, from the sessions so far. Pure: no file, no clock.

Theory of operation. The dose is settled once a week, at Monday 0:00 UTC, and stands for that week. It is not carried in a variable but
computed each time from the exercise's whole history, week by week from its first session on, so it can always be explained and a lost
database begins again at the start, which is the safe end:

    the week before ...                                              the dose
    sessions done >= done_a_week, the last clean_sessions clean      grows by `growth`, up to the most
    one of the last clean_sessions held a fall or a near-fall        held
    fewer sessions done                                              held
    no session, for up to skipped_held weeks in a row                held
    no session, for longer                                           a step back each week, not below the start
    no session with a date, but one without that may belong there    held

A session without a date (the clock was never set in it), or dated after now, counts for no week; what fell in it counts. While the date of
today is not known nothing grows and nothing steps back. Growth compounds on the exact number; what is given is whole (steps, seconds ...),
rounded down. The guide asks only for gradual growth (facts of the exercises); the numbers are policy, in [plan].
"""

from collections.abc import Sequence

from msgspec import Struct

from guardian.config import PlanConfig

WEEK_S = 7 * 86400
MONDAY_S = 3 * 86400  # 1970-01-01 was a Thursday
HALF_A_MILLIONTH = 5e-7  # a dose that stepped back from 396 is 360, though 396 / 1.1 is a little less
NO_SESSION = "the starting dose: no session yet"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


class Past(Struct, frozen=True):
    """What the plan asks of a session that has ended. `utc_s`: when it started, seconds since 1970; None: the clock was not set."""

    utc_s: float | None
    done: bool  # its dose was reached
    near_falls: int = 0
    falls: int = 0  # suspected ones too, cancelled or not: a held week costs little


def planned(history: Sequence[Past], now_s: float | None, start: float, most: float, policy: PlanConfig) -> tuple[float, str]:
    """The dose now, and why in a short sentence.

    `history`: this exercise's ended sessions, in the order in which they took place; `now_s`: seconds since 1970, None: not known.
    `start`, `most`: bounds of the dose, in its unit; what is returned lies within them.
    """
    if not history:
        return start, NO_SESSION
    weeks = [None if one.utc_s is None or (now_s is not None and one.utc_s > now_s) else _week(one.utc_s) for one in history]
    dated = [week for week in weeks if week is not None]
    if not dated:
        return start, "the starting dose: no session so far has a date"
    this = max(dated) if now_s is None else _week(now_s)
    level, why, skipped = start, "the starting dose: the first week", 0
    for week in range(min(dated), this):
        skipped = 0 if week in dated else skipped + 1
        if skipped:
            level, why = _after_none(level, start, skipped, _may_hold_one(weeks, week), policy)
        else:
            level, why = _after_training(level, start, most, history, weeks, week, policy)
    if now_s is None:
        why = "held: the date is not known yet"
    elif weeks[-1] in (this, None) and (trouble := _trouble(history[-policy.clean_sessions :])):
        why = f"held: {trouble}"  # of this week
    return _whole(level, start, most), why


def _after_training(
    level: float, start: float, most: float, history: Sequence[Past], weeks: Sequence[int | None], week: int, policy: PlanConfig
) -> tuple[float, str]:
    """The next week's dose after one with sessions."""
    end = next((i for i, other in enumerate(weeks) if other is not None and other > week), len(weeks))
    done = sum(one.done for one, other in zip(history, weeks, strict=True) if other == week)
    if trouble := _trouble(history[max(0, end - policy.clean_sessions) : end]):
        return level, f"held: {trouble}"
    if done < policy.done_a_week:
        return level, f"held: {_sessions(done)} done last week, of {_number(policy.done_a_week)}"
    if level >= most:
        return level, f"at its most: {_sessions(done)} done last week"
    grown = min(most, level * (1 + policy.growth))
    percent = round(100 * (_whole(grown, start, most) / _whole(level, start, most) - 1))
    return grown, f"{f'grown by {percent} %' if percent else 'as before'}: {_sessions(done)} done last week"


def _after_none(level: float, start: float, skipped: int, doubtful: bool, policy: PlanConfig) -> tuple[float, str]:
    """The next week's dose after one without sessions, the `skipped`th in a row."""
    if doubtful:
        return level, "held: sessions without a date, perhaps of last week"
    gap = "a week" if skipped == 1 else f"{_number(skipped)} weeks"
    if skipped <= policy.skipped_held:
        return level, f"held: {gap} without training"
    if level <= start:
        return level, f"the starting dose: {gap} without training"
    return max(start, level / (1 + policy.growth)), f"a step back: {gap} without training"


def _may_hold_one(weeks: Sequence[int | None], week: int) -> bool:
    """Whether a session without a date may have been in this week: it took place between one before and one after, or is among the last."""
    last = None
    for i, one in enumerate(weeks):
        if one is not None:
            last = one
        elif (last is None or last < week) and week < next((later for later in weeks[i:] if later is not None), week + 1):
            return True
    return False


def _trouble(last: Sequence[Past]) -> str:
    """The gravest thing in these sessions, the newest last; "" when all are clean."""
    for what, found in (
        ("a fall or a suspected one", [one.falls > 0 for one in last]),
        ("a near-fall", [one.near_falls > 0 for one in last]),
    ):
        if any(found):
            since = found[::-1].index(True)
            return f"{what} on the last session" if since == 0 else f"{what} in the last {_number(since + 1)} sessions"
    return ""


def _whole(level: float, start: float, most: float) -> float:
    return min(most, max(start, float(int(level + HALF_A_MILLIONTH))))


def _week(utc_s: float) -> int:
    """Number of the week, Monday to Sunday, UTC."""
    return int((utc_s + MONDAY_S) // WEEK_S)


def _number(n: int) -> str:
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def _sessions(n: int) -> str:
    return f"{_number(n)} session{'' if n == 1 else 's'}"
