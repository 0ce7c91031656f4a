"""The network in integers: against the same arithmetic in exact integers and in floats, at its bounds, and what it refuses to load."""

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from guardian.monitor.network import EXACT, INPUT_ONE, INT16, MODEL_BYTES, STATE_ONE, SUM_ONE, TABLE, Network, Weights, proven, read

Floats = NDArray[np.float64]


def drawn(seed: int = 0, inputs: int = 20, hidden: int = 12, **changes: Any) -> Weights:
    """A small network of random weights, its scales those of a trained one."""
    rng = np.random.default_rng(seed)
    rows = 3 * hidden

    def int8(*shape: int) -> bytes:
        return rng.integers(-127, 128, shape).astype(np.int8).tobytes()

    at = (np.arange(TABLE) - TABLE / 2 + 0.5) * 16 / TABLE
    fields: dict[str, Any] = {
        "format": 1, "name": "drawn", "version": str(seed), "data_sha256": "", "people": 0, "figures": {},
        "inputs": inputs, "hidden": hidden,
        "input_weights": int8(rows, inputs), "input_scales": rng.integers(1000, 5000, rows).tolist(),
        "state_weights": int8(rows, hidden), "state_scales": rng.integers(300, 1500, rows).tolist(),
        "input_offsets": rng.integers(-SUM_ONE, SUM_ONE, rows).tolist(),
        "state_offsets": [0] * 2 * hidden + rng.integers(-SUM_ONE, SUM_ONE, hidden).tolist(),
        "output_weights": int8(hidden), "output_scale": 2000, "output_offset": -SUM_ONE,
        "sigmoid": np.floor(STATE_ONE / (1 + np.exp(-at)) + 0.5).astype("<u2").tobytes(), "exercise_logit": 0.0, "everyday_logit": 1.0,
    }  # fmt: skip
    return Weights(**fields | changes)


def packed(weights: Weights) -> bytes:
    return msgspec.msgpack.encode(weights)


def matrices(weights: Weights) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int8]]:
    """Input, state and output weights."""
    rows = 3 * weights.hidden
    x, u, w = (np.frombuffer(raw, np.int8) for raw in (weights.input_weights, weights.state_weights, weights.output_weights))
    return x.reshape(rows, -1), u.reshape(rows, -1), w


def in_whole_numbers(weights: Weights, x: list[int], h: list[int]) -> tuple[list[int], float]:
    """The same step in Python's unbounded integers, a number at a time."""
    n = weights.hidden
    table = np.frombuffer(weights.sigmoid, "<u2").tolist()

    def dot(row: list[int], values: list[int]) -> int:
        return sum(a * b for a, b in zip(row, values, strict=True))

    def squash(index: int) -> int:
        return int(table[max(0, min(TABLE - 1, index + TABLE // 2))])

    wx, wh, wo = (matrix.tolist() for matrix in matrices(weights))
    into = [dot(row, x) * scale + offset for row, scale, offset in zip(wx, weights.input_scales, weights.input_offsets, strict=True)]
    kept = [dot(row, h) * scale + offset for row, scale, offset in zip(wh, weights.state_scales, weights.state_offsets, strict=True)]
    after = []
    for i in range(n):
        r, z = (squash((into[k] + kept[k]) >> 24) for k in (i, n + i))
        fresh = (into[2 * n + i] >> 16) + ((kept[2 * n + i] >> 16) * r >> 15)
        new = 2 * squash(fresh >> 7) - STATE_ONE
        new = min(INT16, new)
        after.append(new + ((h[i] - new) * z >> 15))
    return after, (dot(wo, after) * weights.output_scale + weights.output_offset) / SUM_ONE


def in_floats(weights: Weights, x: Floats, h: Floats) -> tuple[Floats, float]:
    """The GRU of the text book, on the same weights."""
    n = weights.hidden
    wx, wh, wo = matrices(weights)
    into = wx @ x * np.array(weights.input_scales) * INPUT_ONE / SUM_ONE + np.array(weights.input_offsets) / SUM_ONE
    kept = wh @ h * np.array(weights.state_scales) * STATE_ONE / SUM_ONE + np.array(weights.state_offsets) / SUM_ONE
    gates = 1 / (1 + np.exp(-(into + kept)[: 2 * n]))
    r, z = gates[:n], gates[n:]
    new = np.tanh(into[2 * n :] + r * kept[2 * n :])
    after = new + z * (h - new)
    return after, float(wo @ after * weights.output_scale * STATE_ONE / SUM_ONE + weights.output_offset / SUM_ONE)


@pytest.mark.parametrize("seed", range(4))
def test_every_step_is_that_of_unbounded_integers(seed: int) -> None:
    weights = drawn(seed)
    network, rng = Network(weights), np.random.default_rng(seed)
    h, exact = np.zeros(weights.hidden), [0] * weights.hidden
    for wild in (False, True) * 100:
        x = rng.integers(-INT16, INT16 + 1, 20).tolist() if wild else rng.integers(-3000, 3000, 20).tolist()
        h, y = network.step(x, h)
        exact, expected = in_whole_numbers(weights, x, exact)
        assert h.tolist() == exact
        assert y == expected


@pytest.mark.parametrize("seed", range(4))
def test_integers_stay_close_to_floats_over_a_long_walk(seed: int) -> None:
    weights = drawn(seed)
    network, rng = Network(weights), np.random.default_rng(100 + seed)
    h, in_float = np.zeros(weights.hidden), np.zeros(weights.hidden)
    apart = []
    x = np.zeros(20)
    for _ in range(1000):
        x = 0.9 * x + rng.normal(0, 400, 20)
        whole = np.trunc(x)
        h, y = network.step(whole, h)
        in_float, expected = in_floats(weights, whole / INPUT_ONE, in_float)
        apart.append(abs(y - expected))
    assert np.percentile(apart, 99) < 0.05
    assert max(apart) < 0.15


@pytest.mark.parametrize("seed", range(4))
def test_no_sum_can_leave_what_float64_holds_exactly_for_any_row_of_a_model_that_loads(seed: int) -> None:
    weights = read(packed(drawn(seed, hidden=64)))
    x, u, w = (matrix.astype(object) for matrix in matrices(weights))  # Python integers: they cannot overflow themselves
    for row in range(3 * weights.hidden):
        reach = abs(x[row]).sum() * (INT16 + 1) * weights.input_scales[row] + abs(weights.input_offsets[row])
        reach += abs(u[row]).sum() * STATE_ONE * weights.state_scales[row] + abs(weights.state_offsets[row])
        assert reach < EXACT, f"row {row}"
        assert reach <= max(proven(weights), reach if row >= 2 * weights.hidden else 0)
    assert abs(w).sum() * STATE_ONE * weights.output_scale + abs(weights.output_offset) < EXACT


def test_the_bound_is_reached_by_the_worst_input_and_never_passed() -> None:
    weights = drawn(5, hidden=3)
    x, u, _ = matrices(weights)
    for row in range(6):
        worst_x, worst_h = np.sign(x[row]).astype(int) * INT16, np.sign(u[row]).astype(int) * STATE_ONE
        sign = 1 if weights.input_offsets[row] >= 0 else -1
        total = int(x[row].astype(int) @ worst_x) * weights.input_scales[row] + sign * weights.input_offsets[row]
        total += int(u[row].astype(int) @ worst_h) * weights.state_scales[row]
        assert total <= proven(weights)


def test_the_state_never_leaves_int16_however_wild_the_input() -> None:
    weights = drawn(7)
    network, rng = Network(weights), np.random.default_rng(7)
    h = np.zeros(weights.hidden)
    for _ in range(500):
        h, _ = network.step(rng.choice((-INT16, INT16), 20), h)
        assert abs(h).max() <= STATE_ONE
        assert (h == np.floor(h)).all()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"input_scales": [1 << 30] * 36}, "exactly"),
        ({"input_scales": [5000] * 35}, "input_scales"),
        ({"state_weights": b"\x01"}, "state_weights"),
        ({"sigmoid": bytes(2 * TABLE - 2)}, "sigmoid"),
        ({"sigmoid": bytes(range(256)) * (2 * TABLE // 256)}, "sigmoid must rise"),
        ({"exercise_logit": 2.0}, "below"),
        ({"exercise_logit": float("nan")}, "below"),
    ],
)
def test_weights_that_could_overflow_or_do_not_fit_are_refused_and_named(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        read(packed(drawn(**changes)))


@pytest.mark.parametrize("junk", [b"", b"hello", b"\xc1" * 50, bytes(MODEL_BYTES + 1), b"\x91" * 5000])
def test_junk_is_no_model(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"fall model"):
        read(junk)
