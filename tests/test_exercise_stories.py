"""Five stories of each exercise, told by the whole device: what the wearer hears, in order, and what reaches the caregiver."""

from bisect import bisect_right
from pathlib import Path

import pytest

from guardian.outputs.buzzer import pattern_on
from guardian.sim.training_scenarios import TRAINING_SCENARIOS
from tests.stage import Performance, in_order

SEEDS = (1, 2, 3)
PUSHED = ("fall", "long_lie", "sos")
SHOWN = (  # at once, as warnings, and not pushed
    "fall_suspected", "imminent_fall", "obstacle", "not_guarding", "not_worn", "fault", "battery_low", "near_fall",
)  # fmt: skip
SETTLES_S = 15.0  # what was told in the last moments may still be on its way


def severity(event_type: str) -> str:
    return "critical" if event_type in PUSHED else "warning" if event_type in SHOWN else "info"


def received(performance: Performance) -> list[tuple[str, str]]:
    """(event, severity) as the caregiver has them, each once, in the order in which they were told."""
    payloads = sorted(performance.seen.values(), key=lambda payload: (payload["boot"], payload["seq"]))
    return [(payload["event_type"], payload["severity"]) for payload in payloads]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", TRAINING_SCENARIOS)
def test_story_is_heard_and_told(name: str, seed: int, tmp_path: Path) -> None:
    story = TRAINING_SCENARIOS[name]
    performance = Performance(name, tmp_path, seed)
    heard, alerts = performance.heard(), received(performance)

    assert in_order(story.heard, heard), heard
    assert not story.unheard & set(heard), heard
    on_the_line(performance)

    assert in_order(tuple((event, severity(event)) for event in story.expect), alerts), alerts
    assert not story.never & {event for event, _ in alerts}, alerts
    pushed = [event for event, how in alerts if how == "critical"]
    assert pushed == [event for event in story.expect if event in PUSHED], "nothing else wakes anybody"
    late_ns = performance.verdicts[-1].t_ns - int(SETTLES_S * 1e9)
    assert not [event for event in performance.events if event.t_ns < late_ns and event.id not in performance.seen]


def on_the_line(performance: Performance) -> None:
    """The buzzer's line was on and off in every tick as the sounds' rows say."""
    sounds, log = performance.play.config.sounds, performance.play.bench.sound_log
    times = [t_ns for t_ns, _ in log]
    for verdict, after in zip(performance.verdicts, performance.verdicts[1:], strict=False):
        place = bisect_right(times, after.t_ns - 1_000_000)  # the level just before the next tick
        on = place > 0 and log[place - 1][1]
        alert = verdict.alert
        assert on == (alert is not None and pattern_on(sounds[alert.sound], verdict.t_ns - alert.since_ns)), (verdict.t_ns / 1e9, alert)
