"""A chip's count becomes host time: bounded, increasing, without drift."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.drivers.timebase import Timebase
from tests.imu_rig import MS, SECOND


def told(period_ms: float, rate_error: float, seconds: float, phase_ms: float = 3.0, wake_ms: float = 0.0, seed: int = 0) -> np.ndarray:
    """Reads every 10 ms, up to `wake_ms` late, of a chip `rate_error` fast: (time told, true time) in ns of each sample."""
    rng = np.random.default_rng(seed)
    time, period_ns = Timebase(period_ms * MS), period_ms * MS / (1 + rate_error)
    out, count, now_ns = [], 0, 0
    while now_ns < seconds * SECOND:
        now_ns += 10 * MS
        before_ns = now_ns + int(rng.uniform(0, wake_ms) * MS)
        after_ns = before_ns + int(rng.uniform(0, 0.3) * MS)
        have = int((before_ns - phase_ms * MS) // period_ns) + 1
        if have > count:
            time.observe((have - 1) * period_ms * MS, before_ns, after_ns)
            for n in range(count, have):
                told_ns = time.host_ns(n * period_ms * MS, after_ns)
                assert told_ns <= after_ns
                out.append((told_ns, phase_ms * MS + n * period_ns))
            count = have
    return np.array(out)


@settings(max_examples=30, deadline=None)
@given(rate=st.floats(-0.05, 0.05), phase=st.floats(0, 9), wake=st.floats(0, 8))
def test_never_in_the_future_and_always_later(rate: float, phase: float, wake: float) -> None:
    times = told(10.0, rate, 20, phase, wake)
    assert all(b - a > MS for a, b in pairwise(times[:, 0])), "nobody divides by nothing"
    assert np.abs(times[300:, 0] - times[300:, 1]).max() < 10.8 * MS


@pytest.mark.parametrize("rate", [-0.02, -0.001, 0.0, 0.001, 0.02])
def test_against_reads_that_beat_it_is_right_to_a_millisecond(rate: float) -> None:
    times = told(9.6, rate, 200, wake_ms=1.0)
    error_ms = (times[:, 0] - times[:, 1]) / MS
    assert np.abs(error_ms[1000:]).max() < 1.2
    assert abs(error_ms[-3000:].mean() - error_ms[3000:6000].mean()) < 0.6


def test_after_a_restart_the_base_is_found_anew_and_times_still_increase() -> None:
    time = Timebase(10.0 * MS)
    for n in range(200):
        time.observe(n * 10.0 * MS, n * 10 * MS, n * 10 * MS)
        last = time.host_ns(n * 10.0 * MS, n * 10 * MS)
    time.restart()
    time.observe(0.0, 5 * SECOND, 5 * SECOND)
    assert last < time.host_ns(0.0, 5 * SECOND) <= 5 * SECOND


def test_a_count_that_jumps_is_taken_as_a_new_one() -> None:
    time = Timebase(10.0 * MS)
    for n in range(200):
        time.observe(n * 10.0 * MS, n * 10 * MS, n * 10 * MS)
    time.observe(1e15, 3 * SECOND, 3 * SECOND)
    assert 3 * SECOND - 10 * MS <= time.host_ns(1e15, 3 * SECOND) <= 3 * SECOND
