"""The whole mind: whatever the frames hold, it answers; and a snapshot is all that it remembers."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardian import contract
from guardian.app import fall_model
from guardian.config import load
from guardian.frame import Command, Echo, Fault, Frame, ImuSample, Supply
from guardian.monitor import Monitor
from guardian.verdict import Obstacle, Resume, State, Verdict

CONFIG = load(local=None)
MODEL = fall_model(CONFIG)
TICK_NS = 10_000_000
STALE_NS = int(CONFIG.obstacle.track_lost_s * 1e9)

accel = st.floats(-320, 320)
rate = st.floats(-40, 40)
samples = st.builds(
    lambda a, g, saturated: ((0.1 * a[0], 0.1 * a[1], 9.8 + a[2]), g, saturated),
    st.tuples(accel, accel, accel), st.tuples(rate, rate, rate), st.booleans(),
)  # fmt: skip
echoes = st.one_of(
    st.none(),
    st.tuples(st.just("echo"), st.floats(0, 5)),
    st.tuples(st.sampled_from(["nothing", "no_edges", "stuck_high"]), st.none()),
)
commands = st.builds(
    Command, st.sampled_from(["ack", "clear", "exercise", "locate", "test", "power_off"]), st.just("c"), st.sampled_from([None, "i-1-3"]),
    st.sampled_from([None, "run", "everyday", "no such"]),
)  # fmt: skip
moments = st.fixed_dictionaries({
    "ticks": st.integers(1, 400),
    "step_ns": st.sampled_from([TICK_NS, TICK_NS, TICK_NS, 750_000_000, 0, -TICK_NS]),
    "late": st.sampled_from([0, 0, 40_000_000, 740_000_000]), "samples": st.lists(samples, max_size=3), "echo": echoes,
    "button": st.booleans(),
    "faults": st.lists(st.sampled_from(list(contract.FAULTS)), max_size=2), "commands": st.lists(commands, max_size=2),
    "supply": st.one_of(st.none(), st.builds(Supply, st.sampled_from([None, True, False]), st.one_of(st.none(), st.floats(0, 1)))),
})  # fmt: skip


def frames(story: list[dict]) -> list[Frame]:  # type: ignore[type-arg]
    """A story's frames: each moment repeats for its ticks, after one step of its own length."""
    told: list[Frame] = []
    t_ns, pings = 0, 0
    for moment in story:
        t_ns += moment["step_ns"]
        for tick in range(moment["ticks"]):
            t_ns += TICK_NS
            imu = tuple(ImuSample(t_ns - 3_000_000 * i, a, g, s) for i, (a, g, s) in reversed(list(enumerate(moment["samples"]))))
            echo = None
            if moment["echo"] is not None and tick % 7 == 0:
                pings += 1
                echo = Echo(t_ns - 30_000_000, pings, moment["echo"][1], moment["echo"][0])
            first = tick == 0
            told.append(
                Frame(
                    t_ns,
                    moment["late"] if first else 0,
                    imu,
                    echo,
                    moment["button"],
                    moment["supply"] if first else None,
                    tuple(Fault(name) for name in moment["faults"]),
                    tuple(moment["commands"]) if first else (),
                )
            )
    return told


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moments, min_size=1, max_size=8), st.integers(0, 10_000))
def test_no_frames_raise_fallen_is_never_silent_stale_is_never_clear_and_a_snapshot_is_everything(
    story: list[dict],  # type: ignore[type-arg]
    where: int,
) -> None:
    monitor = Monitor(CONFIG, None, MODEL, Resume("i", 1))
    told = frames(story)
    cut = where % len(told)
    snapshot, verdicts = "", list[Verdict]()
    newest_ping_ns: int | None = None
    for index, frame in enumerate(told):
        if index == cut:
            snapshot = json.dumps(monitor.snapshot(), allow_nan=False)
        verdict = monitor.step(frame)
        verdicts.append(verdict)
        if frame.echo is not None and frame.echo.reason in ("echo", "nothing"):
            newest_ping_ns = max(frame.echo.t_ns, newest_ping_ns or frame.echo.t_ns)
        if verdict.state in (State.DOWN, State.FALLEN):
            assert verdict.alert is not None
            assert verdict.alarm is not None
        if verdict.obstacle is Obstacle.CLEAR:
            assert newest_ping_ns is not None
            assert frame.t_ns - newest_ping_ns <= STALE_NS
    again = Monitor(CONFIG, None, MODEL, Resume("i", 1))
    again.restore(json.loads(snapshot))
    assert [again.step(frame) for frame in told[cut:]] == verdicts[cut:]


@pytest.mark.parametrize("seen", [0, 1, 20])
def test_a_mind_that_has_seen_next_to_nothing_has_a_snapshot_and_goes_on_from_it(seen: int) -> None:
    fresh, again = Monitor(CONFIG, None, MODEL, Resume("i", 1)), Monitor(CONFIG, None, MODEL, Resume("i", 1))
    still = [Frame(tick * TICK_NS, imu=(ImuSample(tick * TICK_NS, (0.0, 0.0, 9.8), (0.0, 0.0, 0.0), False),)) for tick in range(300)]
    for frame in still[:seen]:
        fresh.step(frame)
    snapshot = json.dumps(fresh.snapshot(), allow_nan=False)
    again.restore(json.loads(snapshot))
    assert json.dumps(again.snapshot(), allow_nan=False) == snapshot
    assert [again.step(frame) for frame in still[seen:]] == [fresh.step(frame) for frame in still[seen:]]


def test_power_off_keeps_an_open_alarm_and_says_so() -> None:
    monitor = Monitor(CONFIG, None, MODEL, Resume("i", 1))
    for tick in range(260):
        monitor.step(Frame(tick * TICK_NS, button=tick > 20))
    verdict = monitor.step(Frame(260 * TICK_NS, button=True, commands=(Command("power_off", "signal"),)))
    assert verdict.state is State.FALLEN
    assert verdict.powering_off
