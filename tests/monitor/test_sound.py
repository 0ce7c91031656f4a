"""One sound at a time: the most urgent, and nothing lost behind it."""

from itertools import pairwise

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
