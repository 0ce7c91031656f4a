"""The plan over simulated weeks: it grows with training, holds when something nearly happened, steps back after a pause, and says why."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from msgspec.structs import replace

from guardian.config import Config, PlanConfig
from guardian.outputs.plan import Past, planned

DAY_S = 86_400.0
MONDAY_S = datetime(2026, 3, 2, 0, 0, tzinfo=UTC).timestamp()  # a Monday
START, MOST = 300.0, 600.0  # s


@pytest.fixture
def policy(config: Config) -> PlanConfig:
    return config.plan


def week(number: int, day: float = 0.0) -> float:
    """UTC of a moment in the `number`th simulated week, from 0 on; day 0 is Monday 0:00."""
    return MONDAY_S + (7 * number + day) * DAY_S


def sessions(written: str) -> list[Past]:
    """A history, a word a week: d done, s short of the dose, n done with a near-fall, f with a fall, u done without a date, - nothing."""
    history: list[Past] = []
    for number, word in enumerate(written.split()):
        for place, letter in enumerate(word.replace("-", "")):
            utc_s = None if letter == "u" else week(number, 0.4 + place)
            history.append(Past(utc_s, letter != "s", near_falls=int(letter == "n"), falls=int(letter == "f")))
    return history


def ask(written: str, policy: PlanConfig, day: float = 6.9, start: float = START, most: float = MOST) -> tuple[float, str]:
    """The plan on the last Sunday of the weeks written; "ddd ." asks in the week after three sessions."""
    words = written.split()
    return planned(sessions(written.replace(".", "-")), week(len(words) - 1, day), start, most, policy)


def test_the_simulated_weeks_begin_on_mondays() -> None:
    assert {datetime.fromtimestamp(week(number), UTC).weekday() for number in range(60)} == {0}


@pytest.mark.parametrize(
    ("written", "dose", "why"),
    [
        (".", 300, "the starting dose: no session yet"),
        ("d", 300, "the starting dose: the first week"),
        ("dddddd", 300, "the starting dose: the first week"),
        ("ddd .", 330, "grown by 10 %: three sessions done last week"),
        ("dddd .", 330, "grown by 10 %: four sessions done last week"),
        ("ddd d", 330, "grown by 10 %: three sessions done last week"),
        ("dd .", 300, "held: two sessions done last week, of three"),
        ("d .", 300, "held: one session done last week, of three"),
        ("dds .", 300, "held: two sessions done last week, of three"),
        ("sss .", 300, "held: no sessions done last week, of three"),
        ("ddds .", 330, "grown by 10 %: three sessions done last week"),
        ("ddd ddd .", 363, "grown by 10 %: three sessions done last week"),
        ("ddd dd .", 330, "held: two sessions done last week, of three"),
        # near-falls and falls
        ("ddn .", 300, "held: a near-fall on the last session"),
        ("dnd .", 300, "held: a near-fall in the last two sessions"),
        ("ndd .", 330, "grown by 10 %: three sessions done last week"),
        ("ddf .", 300, "held: a fall or a suspected one on the last session"),
        ("ddd n", 330, "held: a near-fall on the last session"),
        ("ddd ddn ddd .", 363, "grown by 10 %: three sessions done last week"),
        ("ddd ddn .", 330, "held: a near-fall on the last session"),
        ("ddnf .", 300, "held: a fall or a suspected one on the last session"),
        # pauses
        ("ddd - .", 330, "held: a week without training"),
        ("ddd - d", 330, "held: a week without training"),
        ("ddd ddd - - .", 330, "a step back: two weeks without training"),
        ("ddd ddd - - - .", 300, "a step back: three weeks without training"),
        ("ddd ddd - - - - .", 300, "the starting dose: four weeks without training"),
        ("ddd - ddd .", 363, "grown by 10 %: three sessions done last week"),
        ("ddd ddn - - .", 300, "a step back: two weeks without training"),
        # sessions without a date
        ("u .", 300, "the starting dose: no session so far has a date"),
        ("ddd u - .", 330, "held: sessions without a date, perhaps of last week"),
        ("ddd ddd u - - .", 363, "held: sessions without a date, perhaps of last week"),
        ("ddd ddd u - - d .", 363, "held: one session done last week, of three"),
        ("ddd ddd - - d u", 330, "held: one session done last week, of three"),
        ("ddu .", 300, "held: two sessions done last week, of three"),
    ],
)
def test_what_the_weeks_so_far_ask_for(written: str, dose: float, why: str, policy: PlanConfig) -> None:
    assert ask(written, policy) == (dose, why)


def test_faithful_training_reaches_the_most_and_stays_there(policy: PlanConfig) -> None:
    doses = [ask("ddd " * weeks + ".", policy)[0] for weeks in range(20)]
    assert doses[0] == START and doses[-1] == MOST == max(doses)
    assert all(0 <= after - before <= 0.1 * before + 1 for before, after in pairwise(doses)), "never more than about 10 % a week"
    assert ask("ddd " * 20 + ".", policy)[1] == "at its most: three sessions done last week"


def test_a_dose_of_whole_steps_grows_too_and_says_so_in_whole_steps(policy: PlanConfig) -> None:
    told = [ask("ddd " * weeks + ".", policy, start=5, most=10) for weeks in range(9)]
    assert [dose for dose, _ in told] == [5, 5, 6, 6, 7, 8, 8, 9, 10]
    assert told[1][1] == "as before: three sessions done last week"
    assert told[2][1] == "grown by 20 %: three sessions done last week"


def test_a_dose_stands_for_its_week(policy: PlanConfig) -> None:
    for day in (0.0, 0.5, 3.0, 6.99):
        assert ask("ddd ddd", policy, day=day)[0] == 330
    assert ask("ddd ddd .", policy, day=0.0)[0] == 363


def test_a_near_fall_this_week_holds_the_next_and_says_so_at_once(policy: PlanConfig) -> None:
    assert ask("ddd ddn", policy, day=4) == (330, "held: a near-fall on the last session")
    assert ask("ddd ddn .", policy)[0] == 330


def test_while_the_date_is_not_known_the_dose_of_the_last_dated_week_holds(policy: PlanConfig) -> None:
    history = sessions("ddd ddd")
    assert planned(history, None, START, MOST, policy) == (330, "held: the date is not known yet")
    assert planned([], None, START, MOST, policy) == (300, "the starting dose: no session yet")


def test_a_session_dated_after_now_counts_as_one_without_a_date(policy: PlanConfig) -> None:
    """A clock that was set wrong for an hour must not plan for next year."""
    history = [*sessions("ddd"), Past(week(52), done=True), *sessions("- dd")]
    assert planned(history, week(2), START, MOST, policy) == (330, "held: two sessions done last week, of three")


def test_sessions_out_of_order_are_taken_by_their_dates(policy: PlanConfig) -> None:
    history = sessions("ddd ddd")
    assert planned(history[::-1], week(2), START, MOST, policy) == planned(history, week(2), START, MOST, policy)


def test_a_therapist_who_changes_the_bounds_is_obeyed_at_once(policy: PlanConfig) -> None:
    trained = "ddd " * 20 + "."
    assert ask(trained, policy, most=400)[0] == 400
    assert ask(trained, policy, start=500, most=500)[0] == 500
    assert ask("ddd .", replace(policy, growth=0.05))[0] == 315
    assert ask("ddd .", replace(policy, growth=0.0)) == (300, "as before: three sessions done last week")
    assert ask("dd .", replace(policy, done_a_week=2))[0] == 330


def test_a_year_of_ups_and_downs_never_leaves_the_bounds_and_never_jumps(policy: PlanConfig) -> None:
    word = ["ddd", "dd", "-", "ddn", "dddd", "-", "-", "ddf", "ddd", "u", "ddd", "sdd"]
    year = [word[(7 * i + i // 5) % len(word)] for i in range(52)]
    doses = [ask(" ".join([*year[:i], "."]), policy)[0] for i in range(52)]
    assert all(START <= dose <= MOST for dose in doses)
    assert all(before / 1.11 - 1 <= after <= before * 1.1 + 1 for before, after in pairwise(doses))
    assert len(set(doses)) > 3, "and it does move"


def test_every_reason_is_a_short_line(policy: PlanConfig) -> None:
    reasons = {ask(written, policy)[1] for written in ("ddd .", "ddf .", "dnd .", "ddd ddd u - .", "ddd - .", ".", "d" * 15 + " .")}
    assert all(10 < len(why) < 64 and "\n" not in why for why in reasons)
