"""The network in integers: against the same arithmetic in exact integers and in floats, at its bounds, and what it refuses to load."""

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from guardian.app import SHIPPED_MODEL
from guardian.monitor.network import (
    EXACT,
    INPUT_ONE,
    INT16,
    MODEL_BYTES,
    OFFSET_ONE,
    STATE_ONE,
    SUM_ONE,
    TABLE,
    Member,
    Network,
    Weights,
    proven,
    read,
)

Floats = NDArray[np.float64]
Row = tuple[list[int], int, int]  # weights, scale, offset in 1/SUM_ONE


def member(rng: np.random.Generator, inputs: int, hidden: int, **changes: Any) -> Member:
    """One network of random weights, its scales those of a trained one."""
    rows = 3 * hidden

    def int8(*shape: int) -> bytes:
        return rng.integers(-127, 128, shape).astype(np.int8).tobytes()

    def offsets(count: int) -> bytes:
        return rng.integers(-OFFSET_ONE, OFFSET_ONE, count).astype("<i4").tobytes()

    fields: dict[str, Any] = {
        "input_weights": int8(rows, inputs), "input_scales": rng.integers(1000, 5000, rows).astype("<u4").tobytes(),
        "state_weights": int8(rows, hidden), "state_scales": rng.integers(300, 1500, rows).astype("<u4").tobytes(),
        "input_offsets": offsets(rows), "state_offsets": offsets(hidden),
        "output_weights": int8(hidden), "output_scale": 2000, "output_offset": -OFFSET_ONE,
    }  # fmt: skip
    return Member(**fields | changes)


def drawn(seed: int = 0, inputs: int = 20, hidden: int = 12, members: int = 2, of_members: Any = None, **changes: Any) -> Weights:
    """A small model of random weights."""
    rng = np.random.default_rng(seed)
    at = (np.arange(TABLE) - TABLE / 2 + 0.5) * 16 / TABLE
    fields: dict[str, Any] = {
        "format": 1, "name": "drawn", "version": str(seed), "data_sha256": "", "people": 0, "figures": {},
        "inputs": inputs, "hidden": hidden, "members": [member(rng, inputs, hidden, **(of_members or {})) for _ in range(members)],
        "sigmoid": np.diff(np.floor(STATE_ONE / (1 + np.exp(-at)) + 0.5), prepend=0).astype(np.uint8).tobytes(),
        "exercise_logit": 0.0, "everyday_logit": 1.0,
    }  # fmt: skip
    return Weights(**fields | changes)


def packed(weights: Weights) -> bytes:
    return msgspec.msgpack.encode(weights)


def rows_of(one: Member, hidden: int) -> tuple[list[Row], list[Row], Row]:
    """Input, state and output rows, in Python's integers."""

    def rows(weights: bytes, scales: bytes, offsets: bytes) -> list[Row]:
        numbers = np.frombuffer(scales, "<u4").tolist(), np.frombuffer(offsets, "<i4").tolist()
        matrix = np.frombuffer(weights, np.int8).reshape(len(numbers[0]), -1).tolist()
        return [(row, scale, offset * (SUM_ONE // OFFSET_ONE)) for row, scale, offset in zip(matrix, *numbers, strict=True)]

    out = np.frombuffer(one.output_weights, np.int8).tolist(), one.output_scale, one.output_offset * (SUM_ONE // OFFSET_ONE)
    return (
        rows(one.input_weights, one.input_scales, one.input_offsets),
        rows(one.state_weights, one.state_scales, bytes(8 * hidden) + one.state_offsets),
        out,
    )


def total(row: Row, values: list[int]) -> int:
    """The row's sum, in 1/SUM_ONE."""
    weights, scale, offset = row
    return sum(a * b for a, b in zip(weights, values, strict=True)) * scale + offset


def in_whole_numbers(weights: Weights, x: list[int], h: list[int]) -> tuple[list[int], float]:
    """The same step in Python's unbounded integers, a number at a time."""
    n, table = weights.hidden, np.cumsum(list(weights.sigmoid)).tolist()

    def squash(index: int) -> int:
        return int(table[max(0, min(TABLE - 1, index + TABLE // 2))])

    state, y = [], 0
    for at, one in enumerate(weights.members):
        into_rows, kept_rows, out = rows_of(one, n)
        before, after = h[at * n : (at + 1) * n], []
        into, kept = [total(row, x) for row in into_rows], [total(row, before) for row in kept_rows]
        for i in range(n):
            r, z = (squash((into[k] + kept[k]) >> 24) for k in (i, n + i))
            fresh = (into[2 * n + i] >> 16) + ((kept[2 * n + i] >> 16) * r >> 15)
            new = min(INT16, 2 * squash(fresh >> 7) - STATE_ONE)
            after.append(new + ((before[i] - new) * z >> 15))
        state += after
        y += total(out, after)
    return state, y / (len(weights.members) * SUM_ONE)


def in_floats(weights: Weights, x: Floats, h: Floats) -> tuple[Floats, float]:
    """The GRU of the text book, on the same weights: x of 1, h of 1."""
    n, state, y = weights.hidden, [], 0.0

    def sums(rows: list[Row], values: Floats, one: int) -> Floats:
        return np.array([np.dot(row, values) * scale * one + offset for row, scale, offset in rows]) / SUM_ONE

    for at, one in enumerate(weights.members):
        into_rows, kept_rows, out = rows_of(one, n)
        before = h[at * n : (at + 1) * n]
        into, kept = sums(into_rows, x, INPUT_ONE), sums(kept_rows, before, STATE_ONE)
        gates = 1 / (1 + np.exp(-(into + kept)[: 2 * n]))
        new = np.tanh(into[2 * n :] + gates[:n] * kept[2 * n :])
        state.append(new + gates[n:] * (before - new))
        y += float(sums([out], state[-1], STATE_ONE)[0])
    return np.concatenate(state), y / len(weights.members)


SHIPPED = read(SHIPPED_MODEL.read_bytes())
MODELS = [drawn(0), drawn(1), drawn(2, members=3), drawn(3, members=1), SHIPPED]
every_model = pytest.mark.parametrize("weights", MODELS, ids=lambda weights: f"{weights.name} {weights.version}")


@every_model
def test_every_step_is_that_of_unbounded_integers(weights: Weights) -> None:
    network, rng = Network(weights), np.random.default_rng(1)
    h, exact = np.zeros(network.hidden), [0] * network.hidden
    for wild in (False, True) * (1200 // network.hidden):
        x = rng.integers(-INT16, INT16 + 1, 20).tolist() if wild else rng.integers(-3000, 3000, 20).tolist()
        h, y = network.step(x, h)
        exact, expected = in_whole_numbers(weights, x, exact)
        assert h.tolist() == exact
        assert y == expected


@every_model
def test_integers_stay_close_to_floats_over_a_long_walk(weights: Weights) -> None:
    network, rng = Network(weights), np.random.default_rng(101)
    h, in_float = np.zeros(network.hidden), np.zeros(network.hidden)
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


@every_model
def test_no_sum_can_leave_what_float64_holds_exactly_for_any_row_of_a_model_that_loads(weights: Weights) -> None:
    weights = read(packed(weights))
    bound, outputs = proven(weights), 0
    assert bound < EXACT
    for one in weights.members:
        into, kept, out = rows_of(one, weights.hidden)

        def reach(row: Row, value: int) -> int:
            return sum(map(abs, row[0])) * value * row[1] + abs(row[2])

        for at, (x, u) in enumerate(zip(into, kept, strict=True)):
            together = (
                reach(x, INT16 + 1) + reach(u, STATE_ONE) if at < 2 * weights.hidden else max(reach(x, INT16 + 1), reach(u, STATE_ONE))
            )
            assert together <= bound, f"row {at}"
        outputs += reach(out, STATE_ONE)
    assert outputs <= bound


def by_hand(**changes: Any) -> Weights:
    """One input, one unit, and a straight line for σ: 8/32768 higher a step of 1/256. The new value alone reads the input, weight 1."""

    def of(kind: str, *numbers: int) -> bytes:
        return np.array(numbers, kind).tobytes()

    one = Member(
        input_weights=of("i1", 0, 0, 64), input_scales=of("<u4", 1, 1, 16384), input_offsets=of("<i4", 0, 0, 3),
        state_weights=of("i1", 0, 0, 0), state_scales=of("<u4", 1, 1, 1), state_offsets=of("<i4", 0),
        output_weights=of("i1", -100), output_scale=1000, output_offset=1 << 20,
    )  # fmt: skip
    one = msgspec.structs.replace(one, **changes)
    return Weights(1, "by hand", "1", "", 0, {}, 1, 1, [one], b"\x08" * 4096, 0.0, 1.0)


def test_one_unit_by_hand() -> None:
    """x = 1: tanh of (1 + 3/2^20) is 16 · (2048 + 512 + 1) − 32768 = 8208, and half of it is taken: σ(0) = 8 · 2049 / 32768."""
    network = Network(read(packed(by_hand())))
    h, y = network.step([4096], np.zeros(1))
    assert h.tolist() == [8208 + (-8208 * 16392 // 32768)] == [4101]
    assert y == (-100 * 4101 * 1000 + (1 << 32)) / (1 << 32)
    h, _ = network.step([4096], h)
    assert h.tolist() == [8208 + ((4101 - 8208) * 16392 // 32768)] == [6153]
    for x, most in ((32767, 32767), (-32768, 16 - 32768)):
        h, _ = network.step([x], np.array([float(most)]))
        assert h.tolist() == [most], "int16 to the end"


def test_the_bound_of_one_unit_by_hand() -> None:
    assert proven(by_hand()) == (1 << 35) + 3 * 4096
    loud = 100 * 32768 * 2_000_000
    assert proven(by_hand(output_scale=2_000_000)) == loud + (1 << 32)
    assert proven(by_hand(output_scale=2_000_000, output_offset=-7)) == loud + 7 * 4096
    with pytest.raises(ValueError, match=r"^a sum may reach 14073748832256000, beyond what float64 holds exactly \(9007164895002624\)$"):
        read(packed(by_hand(output_scale=(1 << 32) - 1, output_offset=0)))


def test_the_bound_is_reached_by_the_worst_input_and_never_passed() -> None:
    weights = drawn(5, hidden=3)
    reached = 0
    for one in weights.members:
        into, kept, _ = rows_of(one, 3)
        for x, u in zip(into[:6], kept[:6], strict=True):
            sign = 1 if x[2] >= 0 else -1
            worst = [total(row, [sign * value * int(np.sign(w)) for w in row[0]]) for row, value in ((x, INT16 + 1), (u, STATE_ONE))]
            assert abs(sum(worst)) <= proven(weights)
            reached = max(reached, abs(sum(worst)))
    assert reached == proven(weights)


def test_the_state_never_leaves_int16_however_wild_the_input() -> None:
    weights = drawn(7)
    network, rng = Network(weights), np.random.default_rng(7)
    h = np.zeros(network.hidden)
    for _ in range(500):
        h, _ = network.step(rng.choice((-INT16, INT16), 20), h)
        assert abs(h).max() <= STATE_ONE
        assert (h == np.floor(h)).all()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"of_members": {"input_scales": b"\xff" * 4 * 36}}, "exactly"),
        ({"of_members": {"input_scales": bytes(4 * 35)}}, "input_scales"),
        ({"of_members": {"state_weights": b"\x01"}}, "state_weights"),
        ({"of_members": {"state_offsets": bytes(4 * 36)}}, "state_offsets"),
        ({"of_members": {"output_scale": (1 << 32) - 1}, "hidden": 24}, "exactly"),
        ({"members": 0}, "no fall model"),
        ({"members": 9}, "no fall model"),
        ({"sigmoid": bytes(TABLE - 2)}, "sigmoid"),
        ({"sigmoid": b"\x09" * TABLE}, "sigmoid"),
        ({"exercise_logit": 2.0}, "^exercise_logit must lie below everyday_logit$"),
        ({"exercise_logit": 1.0}, "^exercise_logit must lie below everyday_logit$"),
        ({"exercise_logit": float("nan")}, "below"),
    ],
)
def test_weights_that_could_overflow_or_do_not_fit_are_refused_and_named(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        read(packed(drawn(**changes)))


def test_a_model_of_64_kib_is_read_and_a_byte_more_is_not() -> None:
    padding = 65536 - len(packed(by_hand())) - 2  # a text so long says its length in three bytes, an empty one in one
    model = packed(msgspec.structs.replace(by_hand(), data_sha256="0" * padding))
    assert len(model) == 65536
    assert read(model).inputs == 1
    with pytest.raises(ValueError, match="65537 bytes; a fall model has at most 65536"):
        read(packed(msgspec.structs.replace(by_hand(), data_sha256="0" * (padding + 1))))


@pytest.mark.parametrize("junk", [b"", b"hello", b"\xc1" * 50, bytes(MODEL_BYTES + 1), b"\x91" * 5000])
def test_junk_is_no_model(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r"fall model"):
        read(junk)
