"""The tally and the summary of sessions made by hand, against sums worked out by hand."""

from msgspec.structs import replace

from guardian.config import load
from guardian.monitor.summary import Summary, summary_of, thousandths
from guardian.verdict import Mean, Motion, Phase, Rep, Session, Tally, Training

CONFIG = load(local=None)
SECOND = 1_000_000_000
AT_WORK = Training(Phase.WORK, "s", 4.0, 300.0)
BEFORE = Motion(steps=900, distance_m=70.0, stairs=11, lunges_left=5, lunges_right=7)  # of sessions before, since power-on
WALKING = replace(
    BEFORE, walking=True, cadence=90.0, speed_m_s=0.5, regularity=0.8, symmetry=0.9, lean_deg=-4.0, sway_deg=2.0, distance_m=71.0
)


def begun() -> tuple[Summary, Session]:
    """A session, begun at 100 s."""
    summary, session = Summary(CONFIG), Session("i-1-3", "walk", 100 * SECOND)
    assert summary.step(100 * SECOND, BEFORE, session, (None, 0.0)) is session
    return summary, session


def test_the_tally_is_the_sum_of_what_was_done_each_measure_weighted_with_its_time() -> None:
    summary, session = begun()
    session = summary.step(102 * SECOND, WALKING, session, (AT_WORK, 2.0))
    faster = replace(WALKING, cadence=120.0, regularity=None, lean_deg=2.0, distance_m=74.5)
    session = summary.step(105 * SECOND, faster, session, (AT_WORK, 5.0))
    stood = replace(BEFORE, distance_m=74.5, stairs=14, lunges_left=6, lunges_right=9)
    session = summary.step(109 * SECOND, stood, session, (AT_WORK, 5.0))
    assert session.tally == Tally(
        duration_ns=9 * SECOND,
        walking_ns=5 * SECOND,
        distance_m=4.5,
        stairs=3,
        lunges_left=1,
        lunges_right=2,
        means={
            "cadence": Mean(540.0, 5.0),
            "speed_m_s": Mean(2.5, 5.0),
            "regularity": Mean(1.6, 2.0),
            "symmetry": Mean(4.5, 5.0),
            "lean_deg": Mean(-2.0, 5.0),
            "sway_deg": Mean(10.0, 5.0),
        },
        training=AT_WORK,
        done=5.0,
    )
    told = summary_of(replace(session, steps=12), "button")
    assert told == {
        "reason": "button", "session": "i-1-3", "duration_s": 9.0, "walking_s": 5.0, "steps": 12, "distance_m": 4.5, "stairs": 3,
        "lunges_left": 1, "lunges_right": 2, "cautions": 0, "stops": 0, "warnings": 0, "near_falls": 0, "alarms": 0,
        "cadence": 108.0, "speed_m_s": 0.5, "regularity": 0.8, "symmetry": 0.9, "lean_deg": -0.4, "sway_deg": 2.0,
        "unit": "s", "dose": 300.0, "done": 5.0, "sets": 1, "sets_done": 0, "phase": "work",
    }  # fmt: skip


def test_who_stands_has_walked_for_no_time_at_all() -> None:
    summary, session = begun()
    assert summary.step(200 * SECOND, BEFORE, session, (None, 0.0)).tally == Tally(duration_ns=100 * SECOND)


def test_a_session_that_ends_as_it_begins_has_no_measures_even_of_one_who_walks() -> None:
    summary, session = Summary(CONFIG), Session("i-1-3", "walk", 100 * SECOND)
    session = summary.step(100 * SECOND, WALKING, session, (None, 0.0), last=True)
    told = summary_of(session, "exercise")
    assert told["walking_s"] == told["distance_m"] == 0.0
    assert not {"cadence", "speed_m_s", "regularity", "symmetry", "lean_deg", "sway_deg"} & told.keys()


def test_the_depth_of_lunges_is_the_mean_over_those_of_this_session() -> None:
    summary, session = begun()
    for number, depth_m in enumerate((0.2, 0.3, 0.25, 0.33), 1):
        for tick in range(150):  # each is seen many times over
            t_ns = (100 + 2 * number) * SECOND + tick * 10_000_000
            lunged = replace(BEFORE, lunges_left=5 + number, rep=Rep(5 + number, t_ns - tick * 10_000_000, "left", depth_m, 1.0, 1.0))
            session = summary.step(t_ns, lunged, session, (None, 0.0))
    told = summary_of(session, "button")
    assert (told["lunges_left"], told["lunges_right"], told["lunge_depth_m"]) == (4, 0, 0.27)
    later = replace(session, id="i-1-9", tally=Tally())
    later = summary.step(200 * SECOND, lunged, later, (None, 0.0))
    later = summary.step(300 * SECOND, lunged, later, (None, 0.0))
    assert "lunge_depth_m" not in summary_of(later, "button")


def test_warnings_near_falls_and_alarms_add_up_over_a_session_and_begin_anew_with_the_next() -> None:
    summary, session = begun()
    t_ns = 100 * SECOND
    for _ in range(3):
        for level in (1, 2, 1, 2, 0, 1, 1, 0):
            summary.warned(level)
        summary.nearly_fell()
        summary.alarmed()
        summary.alarmed()
        t_ns += SECOND
        session = summary.step(t_ns, BEFORE, session, (None, 0.0))
    told = summary_of(session, "button")
    assert (told["cautions"], told["stops"], told["warnings"], told["near_falls"], told["alarms"]) == (6, 6, 12, 3, 6)
    summary.alarmed()
    later = Session("i-1-9", "walk", t_ns)
    later = summary.step(t_ns, BEFORE, later, (None, 0.0))
    later = summary.step(t_ns + 100 * SECOND, BEFORE, later, (None, 0.0))
    assert later.tally.alarms == 0


def test_sets_done_are_those_before_and_this_one_once_it_is_over() -> None:
    for phase, sets_done in ((Phase.WARM_UP, 1), (Phase.WORK, 1), (Phase.REST, 2), (Phase.DONE, 2)):
        session = Session("i-1-3", "run", 0, tally=Tally(training=Training(phase, "m", 7.0, 20.0, 2, 4), done=27.0))
        told = summary_of(session, "button")
        assert (told["sets_done"], told["sets"], told["done"], told["phase"]) == (sets_done, 4, 27.0, phase.value)


def test_thousandths_are_the_nearest_and_halves_go_away_from_zero() -> None:
    for value, shown in ((1.23449, 1.234), (1.2346, 1.235), (0.0625, 0.063), (-0.0625, -0.063), (-1.23449, -1.234), (0.0, 0.0)):
        assert thousandths(value) == shown
