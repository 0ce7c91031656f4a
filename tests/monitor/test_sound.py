"""One sound at a time: the most urgent, and nothing lost behind it."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.config import Config, load
from guardian.monitor.sound import SoundChoice

CONFIG = load(local=None)
MS = 1_000_000


class Ear:
    """Plays ticks of 10 ms and notes what begins."""

    def __init__(self, config: Config) -> None:
        self.choice, self.t_ns = SoundChoice(config), 0
        self.begun: list[tuple[int, str]] = []
        self.last: tuple[str, int] | None = None

    def listen(self, seconds: float, standing: tuple[str, ...] = (), once: tuple[str, ...] = ()) -> None:
        for _ in range(round(seconds * 100)):
            alert = self.choice.step(self.t_ns, standing, once)
            once = ()
            now = (alert.sound, alert.since_ns) if alert else None
            if now is not None and now != self.last:
                self.begun.append((self.t_ns // MS, now[0]))
            self.last = now
            self.t_ns += 10 * MS

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.begun]


def test_warning_begins_in_the_tick_of_its_reason_over_any_coach_or_chirp(config: Config) -> None:
    ear = Ear(config)
    ear.listen(0.1, once=("locate",))
    ear.listen(0.5, standing=("stop",))
    assert ear.begun[-1] == (100, "stop")


def test_of_two_equally_urgent_sounds_the_one_that_has_begun_goes_on() -> None:
    ear = Ear(load(local=None, overrides={"sounds": {"near": {"priority": CONFIG.sounds["stop"].priority}}}))
    ear.listen(0.1, standing=("stop",))
    ear.listen(3, standing=("near", "stop"))
    assert ear.names == ["stop"]
    ear.listen(3, standing=("near",))
    ear.listen(3, standing=("near", "stop"))
    assert ear.names == ["stop", "near"]


def test_what_was_cut_short_comes_back(config: Config) -> None:
    ear = Ear(config)
    ear.listen(0.1, once=("guarding",))
    ear.listen(1, standing=("caution",))
    ear.listen(1)
    assert ear.names == ["guarding", "caution", "guarding"]


def test_chirp_that_waited_too_long_is_dropped(config: Config) -> None:
    ear = Ear(config)
    ear.listen(0.01, standing=("stop",), once=("guarding",))
    ear.listen(config.policy.sound_patience_s + 1, standing=("stop",))
    ear.listen(3)
    assert ear.names == ["stop"]


def test_standing_fault_comes_again_after_its_pause(config: Config) -> None:
    ear = Ear(config)
    ear.listen(35, standing=("imu_silent",))
    times = [t for t, _ in ear.begun]
    assert len(times) == 4
    sound = config.sounds["imu_silent"]
    assert sound.repeat_s is not None
    expected_ms = sound.length_ns // MS + sound.repeat_s * 1000
    assert all(abs(b - a - expected_ms) <= 20 for a, b in pairwise(times))


def test_fault_that_ends_is_silent_at_once(config: Config) -> None:
    ear = Ear(config)
    ear.listen(0.3, standing=("imu_silent",))
    ear.listen(0.01)
    assert ear.last is None


def test_two_codes_are_kept_apart(config: Config) -> None:
    ear = Ear(config)
    ear.listen(10, standing=("imu_silent", "echo_silent"))
    (a, first), (b, _second) = ear.begun[:2]
    assert b - a >= config.sounds[first].length_ns // MS + config.policy.sound_apart_s * 1000 - 10


def test_two_chirps_and_two_cues_are_said_one_after_the_other_to_the_tick(config: Config) -> None:
    apart_ms = round(config.policy.sound_apart_s * 1000)
    for first, second in (("guarding", "press"), ("coach_done", "coach_posture")):
        ear = Ear(config)
        ear.listen(5, once=(second, first))
        assert ear.begun == [(0, first), (config.sounds[first].length_ns // MS + apart_ms, second)]


def test_a_fault_said_again_keeps_its_distance_too_though_it_is_more_urgent(config: Config) -> None:
    ear = Ear(config)
    again_s = config.sounds["echo_stuck_low"].repeat_s or 0.0
    length_s = config.sounds["echo_stuck_low"].length_ns / 1e9
    ear.listen(again_s + length_s - 1, standing=("echo_stuck_low",))
    ear.listen(6, standing=("echo_stuck_low", "output_failed"))
    assert ear.names == ["echo_stuck_low", "output_failed", "echo_stuck_low"]
    other, again = ear.begun[1][0], ear.begun[2][0]
    assert again - other >= config.sounds["output_failed"].length_ns // MS + config.policy.sound_apart_s * 1000 - 10


@pytest.mark.parametrize("chirp", ["press", "guarding", "self_test", "cleared"])
def test_a_fault_does_not_wait_for_the_silence_after_a_chirp(chirp: str, config: Config) -> None:
    ear = Ear(config)
    ear.listen(config.sounds[chirp].length_ns / 1e9 + 0.02, once=(chirp,))
    assert ear.last is None, "the chirp has ended"
    ear.listen(0.5, standing=("supply_low",))
    assert ear.begun[-1] == (ear.t_ns // MS - 500, "supply_low")


COACH = sorted(name for name in CONFIG.sounds if name.startswith("coach_"))
OTHERS = sorted(name for name in CONFIG.sounds if not name.startswith("coach_"))


Story = list[tuple[set[str], list[str], list[str], int]]  # what stands, what happens, what the coach says, for how many ticks


def heard(story: Story, coached: bool) -> list[tuple[int, str, int]]:
    """(tick, sound, since) of each tick with a sound."""
    choice, t_ns, ticks = SoundChoice(CONFIG), 0, list[tuple[int, str, int]]()
    for standing, once, cues, count in story:
        for tick in range(count):
            alert = choice.step(t_ns, sorted(standing), [*once, *(cues if coached else ())] if tick == 0 else ())
            if alert is not None:
                ticks.append((t_ns, alert.sound, alert.since_ns))
            t_ns += 10 * MS
    return ticks


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("coach", COACH)
def test_no_sound_waits_for_a_coach_sound_that_waits_plays_or_has_just_ended(coach: str, other: str) -> None:
    length = CONFIG.sounds[coach].length_ns // (10 * MS)
    standing = CONFIG.sounds[other].repeat_s is not None
    for after in (0, 1, length // 2, length - 1, length, length + 1, length + 20):
        choice, due = SoundChoice(CONFIG), after * 10 * MS
        for tick in range(after):
            alert = choice.step(tick * 10 * MS, (), [coach] if tick == 0 else ())
            assert alert is None or alert.sound == coach
        now = choice.step(due, [other] if standing else (), [] if standing else [other])
        if after == 0:
            choice = SoundChoice(CONFIG)
            now = choice.step(0, [other] if standing else (), [coach] if standing else [coach, other])
        assert now is not None
        assert (now.sound, now.since_ns) == (other, due), f"{after} ticks after {coach}"


what_stands = st.sets(st.sampled_from(OTHERS), max_size=3)
what_happens = st.lists(st.sampled_from(OTHERS), max_size=2)
what_the_coach_says = st.lists(st.sampled_from(COACH), max_size=3)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(what_stands, what_happens, what_the_coach_says, st.integers(1, 150)), max_size=12))
def test_with_the_coach_and_without_it_all_else_sounds_the_same_in_every_tick(
    story: Story,
) -> None:
    coached = heard(story, coached=True)
    assert [now for now in coached if now[1] in OTHERS] == heard(story, coached=False)


def test_a_coach_sound_cut_off_comes_back_from_its_beginning_or_not_at_all(config: Config) -> None:
    ear = Ear(config)
    ear.listen(0.2, once=("coach_done",))
    ear.listen(3, standing=("stop",))
    ear.listen(3)
    assert ear.names == ["coach_done", "stop", "coach_done"]
    ear.listen(0.1, once=("coach_posture",))
    ear.listen(3, standing=("stop",))
    ear.listen(3)
    assert ear.names[3:] == ["coach_posture", "stop"], "by now the back may be straight"


def test_a_coach_sound_keeps_its_distance_from_the_code_before_it(config: Config) -> None:
    ear = Ear(config)
    ear.listen(3, once=("guarding", "coach_work", "coach_half"))
    (first, _), (second, name), (third, other) = ear.begun
    assert (name, other) == ("coach_work", "coach_half")
    assert second - first >= config.sounds["guarding"].length_ns // MS + config.policy.sound_apart_s * 1000 - 10
    assert third - second >= config.sounds["coach_work"].length_ns // MS + config.policy.sound_apart_s * 1000 - 10


def test_a_new_phase_takes_the_place_of_what_waits_to_be_said_of_the_last(config: Config) -> None:
    ear = Ear(config)
    ear.listen(5, once=("coach_work", "coach_half", "coach_enough", "coach_rest"))
    assert ear.names == ["coach_enough", "coach_rest"], "advice outlives the set"
    ear.listen(0.1, once=("coach_work",))
    ear.listen(3, once=("coach_done",))
    assert ear.names[2:] == ["coach_work", "coach_done"], "but no code is broken off in the middle"


PHASES = ("coach_work", "coach_rest", "coach_again", "coach_done")


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("waits", [*PHASES, "coach_half", "coach_enough"])
def test_each_phase_takes_the_place_of_what_waits_of_any_but_not_of_advice(config: Config, waits: str, phase: str) -> None:
    ear = Ear(config)
    ear.listen(0.1, standing=("stop",), once=(waits,))
    ear.listen(0.1, standing=("stop",), once=(phase,))
    ear.listen(5)
    assert ear.names == ["stop", *(["coach_enough"] if waits == "coach_enough" else []), phase]


def test_a_cue_said_again_while_it_waits_is_said_once(config: Config) -> None:
    ear = Ear(config)
    for _ in range(3):
        ear.listen(0.5, standing=("caution",), once=("coach_done",))
    ear.listen(5)
    assert ear.names == ["caution", "coach_done"]


names = st.sampled_from(sorted(CONFIG.sounds))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sets(names, max_size=4), st.lists(names, max_size=2), st.integers(1, 80)), max_size=15))
def test_the_most_urgent_loop_is_always_the_one_heard(story: list[tuple[set[str], list[str], int]]) -> None:
    choice, t_ns = SoundChoice(CONFIG), 0
    for standing, once, ticks in story:
        for tick in range(ticks):
            alert = choice.step(t_ns, sorted(standing), once if tick == 0 else ())
            loops = [CONFIG.sounds[name].priority for name in standing if CONFIG.sounds[name].repeat_s == 0]
            if loops:
                assert alert is not None
                assert CONFIG.sounds[alert.sound].priority >= max(loops)
            t_ns += 10 * MS
