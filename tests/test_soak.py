"""The long run's own judgement: what grows is seen, and the wearer's round has no seam."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from lab.rounds import Rounds
from lab.soak import judged
from lab.soaked import ranked

OPENING = {"imports_mib": 47.0, "simulation_mib": 7.0, "lab_imports_mib": 6.0}
HOURS = 2.0


def samples(**last: Any) -> list[dict[str, Any]]:
    """A good run, a sample a minute; `last`: what it has come to at the end, on a straight line for numbers."""
    good = {
        "rss_mib": 65.0, "blocks": 200_000, "threads": 5, "descriptors": 14, "ticks": 720_000, "drift_us": 0.0, "excused_ms": 0.0,
        "files": 8, "pruned": 20, "events": 90,
    }  # fmt: skip
    return [
        {"t_s": 60.0 * n} | {key: value + (last.get(key, value) - value) * n // 120 for key, value in good.items()} for n in range(1, 121)
    ]


def test_a_run_in_which_nothing_grows_is_good() -> None:
    assert judged(samples(), OPENING, HOURS, lost=0)


@pytest.mark.parametrize("last", [{"rss_mib": 69.0}, {"threads": 7}, {"descriptors": 16}, {"drift_us": 300.0}])
def test_what_grows_is_seen(last: dict[str, float]) -> None:
    assert not judged(samples(**last), OPENING, HOURS, lost=0)


def test_a_lost_event_is_seen() -> None:
    assert not judged(samples(), OPENING, HOURS, lost=1)


def test_recordings_that_are_never_pruned_are_seen() -> None:
    assert not judged([one | {"pruned": 0} for one in samples()], OPENING, HOURS, lost=0)


def test_a_device_of_more_than_sixty_megabytes_is_seen() -> None:
    assert not judged([one | {"rss_mib": 71.0} for one in samples()], OPENING, HOURS, lost=0)


def test_a_round_has_no_seam() -> None:
    world = Rounds()
    second_ns = 1_000_000_000
    felt = world.motion(world.round_ns + np.arange(-second_ns, second_ns, 10_000_000))
    force = np.linalg.norm(felt[:, :3], axis=1)
    assert np.abs(force - 9.80665).max() < 0.05, "standing, on both sides of it"
    assert np.abs(np.diff(felt[:, :3], axis=0)).max() < 0.35, "tilted by sway alone, less than 2°"
    assert (world.motion(np.array([second_ns])) == world.motion(np.array([second_ns + world.round_ns]))).all()


def test_each_round_ends_before_the_wall() -> None:
    world = Rounds()
    there = [world.echo(t_ns) for t_ns in range(46_000_000_000, 50_000_000_000, 66_000_000)]
    near = [one for one in there if one is not None and one > 0.1]
    assert len(near) > len(there) / 2
    assert 0.2 < sorted(near)[len(near) // 2] < 0.7


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 0.99, 1.0])
def test_what_is_counted_ranks_as_what_is_listed(q: float) -> None:
    values = [7, 0, 3, 3, 0, 12, 1, 0]
    assert ranked(Counter(values), q) == sorted(values)[min(len(values) - 1, int(q * len(values)))]
