"""The space behind in each exercise, through the whole device (see lab/rooms.py): clean sessions silent, typical obstacles told in time."""

import pytest

from guardian.monitor.quality import GaitQuality, Quality
from guardian.sim.exercises import EXERCISES, Exercise
from lab.rooms import DANGERS, Danger, clean, fast_runner_in_the_open


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("seed", [6, 11])  # belts that tilt back by 9°, and not at all: the floor in the beam, and not
def test_a_clean_session_is_never_warned_of_falsely(exercise: Exercise, seed: int) -> None:
    assert clean(exercise, seed, 2.0).false == 0


@pytest.mark.parametrize("danger", [one for one in DANGERS if one.aim], ids=lambda danger: danger.name)
def test_the_typical_obstacle_of_each_exercise_is_told_in_time(danger: Danger) -> None:
    in_time = [(one.lead_s or -1.0) >= danger.needed_s for one in map(danger.trial, range(3))]
    assert in_time == [danger.aim == (0.95, 1.0)] * 3


def test_a_runner_who_outruns_the_ranger_hears_so_and_one_who_does_not_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for speed_m_s, told in ((2.4, True), (1.5, False)):
        quality = Quality(speed_m_s=speed_m_s)
        monkeypatch.setattr(GaitQuality, "step", lambda self, pose, stride, quality=quality: quality)
        assert [fast_runner_in_the_open(seed).lead_s is not None for seed in range(2)] == [told] * 2
