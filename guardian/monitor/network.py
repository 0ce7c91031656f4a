"""Small recurrent networks in integers: the same bits on every machine.

Theory of operation. A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078, in the form of PyTorch's GRU) reads one step of inputs and
keeps `hidden` values; one linear unit reads those. A model has a few such members, trained apart; its output is the mean of their y:

    r = σ(Wr x + Ur h + br)   z = σ(Wz x + Uz h + bz)   n = tanh(Wn x + bn + r · (Un h + cn))   h ← n + z · (h − n)   y = w h + c

Weights are int8, one scale a row for x and one for h. Inputs are int16 of 1/4096, the state int16 of 1/32768. A row's scale is an integer
that brings its sum to 1/2^32; it is multiplied into the row at load, so a step is two products of whole numbers held in float64. `proven`
bounds each row's greatest possible sum: below 2^53 every partial sum is exact, and then the order in which a library adds does not matter.
σ is a table of 4096 steps over ±8 that comes with the weights, as what each step adds (exp differs between C libraries);
tanh(x) = 2 σ(2x) − 1.

A step is some twenty calls of numpy, which cost more than their arithmetic; so what is the same in each is done at load. Rows hold their
sums in the unit they are cut to, and the middle of the table is in their offsets: powers of two and whole numbers, which change no bit.
Gates come from the table as shares of 1, n from a table of its own.
"""

from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INPUT_ONE = 4096  # an input of 1.0
STATE_ONE = 32768  # a state, or a gate, of 1.0
SUM_ONE = 1 << 32  # a sum of 1.0
OFFSET_ONE = 1 << 20  # a bias of 1.0, as stored
INT16 = 32767
TABLE = 4096  # steps of the σ table over −8 … 8
GATE_STEP = 1 << 24  # a step of the table, 1/256, in 1/SUM_ONE
BENT_STEP = 1 << 16  # what both parts of n are cut to, in 1/SUM_ONE
FRESH_STEP = 1 << 7  # a step of tanh's table, 1/512, in that
EXACT = (1 << 53) - TABLE // 2 * GATE_STEP  # float64 holds every whole number up to 2^53; the middle of the table comes on top
MODEL_BYTES = 65536  # the most a model may take


class Member(Struct, frozen=True, forbid_unknown_fields=True):
    """One network. Rows are those of r, then z, then n; numbers are little-endian."""

    input_weights: bytes  # int8 (3 · hidden, inputs)
    input_scales: bytes  # uint32, a row: what one count of weight × input weighs, in 1/SUM_ONE
    input_offsets: bytes  # int32, a row, in 1/OFFSET_ONE: br, bz, bn
    state_weights: bytes  # int8 (3 · hidden, hidden)
    state_scales: bytes  # uint32, a row
    state_offsets: bytes  # int32 (hidden): cn
    output_weights: bytes  # int8 (hidden)
    output_scale: Annotated[int, Meta(ge=0, lt=1 << 32)]
    output_offset: Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31)]


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model file (MessagePack) holds: the networks, and where they come from."""

    format: Literal[1]
    name: Annotated[str, Meta(min_length=1, max_length=32)]
    version: Annotated[str, Meta(min_length=1, max_length=32)]
    data_sha256: str  # of the recordings it was trained on, lab/falls
    people: int  # ... of so many people
    figures: dict[str, float]  # out-of-fold, with the same recipe: the shipped weights themselves are not scored
    inputs: Annotated[int, Meta(ge=1, le=256)]  # a step
    hidden: Annotated[int, Meta(ge=1, le=256)]  # units of each member
    members: Annotated[list[Member], Meta(min_length=1, max_length=8)]
    sigmoid: bytes  # uint8 (TABLE): how much higher each value is than the one before, in 1/STATE_ONE; the first, than 0
    exercise_logit: float  # the operating points: what scores 0.5 ...
    everyday_logit: float  # ... and 0.7


def read(model: bytes) -> Weights:
    """Decode and prove. Raises ValueError saying what is wrong with the bytes."""
    if len(model) > MODEL_BYTES:
        raise ValueError(f"{len(model)} bytes; a fall model has at most {MODEL_BYTES}")
    try:
        weights = msgspec.msgpack.decode(model, type=Weights)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no fall model of this version: {error}") from error
    rows = 3 * weights.hidden
    for member in weights.members:
        for name, want in (
            ("input_weights", rows * weights.inputs),
            ("input_scales", 4 * rows),
            ("input_offsets", 4 * rows),
            ("state_weights", rows * weights.hidden),
            ("state_scales", 4 * rows),
            ("state_offsets", 4 * weights.hidden),
            ("output_weights", weights.hidden),
        ):
            have = len(getattr(member, name))
            if have != want:
                raise ValueError(f"{name} has {have} bytes where {weights.inputs} inputs and {weights.hidden} hidden units need {want}")
    if len(weights.sigmoid) != TABLE or _table(weights)[-1] > STATE_ONE:
        raise ValueError(f"sigmoid must have {TABLE} steps that add up to at most {STATE_ONE}")
    if not weights.exercise_logit < weights.everyday_logit < 1e6 or weights.exercise_logit < -1e6:
        raise ValueError("exercise_logit must lie below everyday_logit")
    worst = proven(weights)
    if worst >= EXACT:
        raise ValueError(f"a sum may reach {worst}, beyond what float64 holds exactly ({EXACT})")
    return weights


def proven(weights: Weights) -> int:
    """The greatest absolute value that any intermediate whole number can take, over all rows, inputs and states; in Python's integers."""
    hidden, worst, outputs = weights.hidden, 0, 0
    for member in weights.members:
        into = _reach(member.input_weights, member.input_scales, member.input_offsets, INT16 + 1)
        kept = _reach(member.state_weights, member.state_scales, bytes(8 * hidden) + member.state_offsets, STATE_ONE)
        # r, z: both are added. n: each is cut to 1/2^16 first, then r · kept, at most STATE_ONE times as large, is formed
        worst = max(worst, *(a + b for a, b in zip(into[: 2 * hidden], kept[: 2 * hidden], strict=True)), *into, *kept)
        worst = max(worst, *((one // 65536 + 1) * STATE_ONE for one in kept[2 * hidden :]))
        (total,) = _totals(member.output_weights, 1)
        outputs += total * STATE_ONE * member.output_scale + abs(member.output_offset) * (SUM_ONE // OFFSET_ONE)
    return max(worst, outputs)


def _reach(weights: bytes, scales: bytes, offsets: bytes, value: int) -> list[int]:
    """How far each row's sum can be from zero, for values up to `value`."""
    by_row = np.frombuffer(scales, "<u4").tolist(), np.frombuffer(offsets, "<i4").tolist()
    return [
        total * value * scale + abs(offset) * (SUM_ONE // OFFSET_ONE)
        for total, scale, offset in zip(_totals(weights, len(by_row[0])), *by_row, strict=True)
    ]


def _totals(weights: bytes, rows: int) -> list[int]:
    """Each row's sum of absolute weights."""
    totals: list[int] = np.abs(np.frombuffer(weights, np.int8).astype(np.int64)).reshape(rows, -1).sum(axis=1).tolist()
    return totals


def _table(weights: Weights) -> Floats:
    """σ, of 1/STATE_ONE."""
    return np.cumsum(np.frombuffer(weights.sigmoid, np.uint8).astype(np.int64)).astype(np.float64)


class Network:
    """One step at a time. Holds no state of its own; `hidden` counts the units of all members."""

    def __init__(self, weights: Weights) -> None:
        members, hidden = len(weights.members), weights.hidden
        self.inputs, self.hidden = weights.inputs, members * hidden

        def gates(name: str, numbers: str) -> Floats:
            """A field of every member: (3, members, hidden, …)."""
            each = [np.frombuffer(getattr(member, name), numbers).reshape(3, hidden, -1) for member in weights.members]
            return np.stack(each, axis=1).astype(np.float64)

        def offsets(name: str) -> Floats:
            each = [np.frombuffer(getattr(member, name), "<i4") for member in weights.members]
            return np.stack(each).astype(np.float64) * (SUM_ONE // OFFSET_ONE)

        unit = np.array([1 / GATE_STEP, 1 / GATE_STEP, 1 / BENT_STEP]).reshape(3, 1, 1, 1)
        into = gates("input_weights", "i1") * gates("input_scales", "<u4") * unit
        self._into = into.reshape(3 * self.hidden, self.inputs)
        self._kept = gates("state_weights", "i1") * gates("state_scales", "<u4") * unit
        by_gate = offsets("input_offsets").reshape(members, 3, hidden).transpose(1, 0, 2) * unit[..., 0]
        by_gate[:2] += TABLE // 2
        by_gate[2] += TABLE // 2 * FRESH_STEP
        self._into_offset = by_gate.ravel()
        self._kept_offset = offsets("state_offsets").ravel() / BENT_STEP
        each = [np.frombuffer(member.output_weights, "i1") * float(member.output_scale) for member in weights.members]
        self._out = np.concatenate(each)
        self._out_offset = float(np.array([member.output_offset for member in weights.members]).sum() * (SUM_ONE // OFFSET_ONE))
        self._mean = float(members * SUM_ONE)
        self._of_members = (members, hidden, 1)
        sigmoid = _table(weights)
        self._gate = sigmoid / STATE_ONE
        self._tanh = np.minimum(2.0 * sigmoid - STATE_ONE, INT16)

    def step(self, x: Any, h: Floats) -> tuple[Floats, float]:
        """The next state, whole numbers of 1/STATE_ONE, and the output y (a logit).

        `x`: `inputs` whole numbers within int16, of 1/INPUT_ONE; `h`: the state before, zeros at the start.
        """
        hidden, both = self.hidden, 2 * self.hidden
        into = self._into.dot(x)
        into += self._into_offset
        kept = np.matmul(self._kept, h.reshape(self._of_members)).ravel()
        gates = _looked_up(self._gate, into[:both] + kept[:both])
        bent = kept[both:]
        bent += self._kept_offset
        np.floor(bent, bent)
        bent *= gates[:hidden]
        np.floor(bent, bent)
        fresh = into[both:]
        np.floor(fresh, fresh)
        fresh += bent
        fresh *= 1 / FRESH_STEP
        n = _looked_up(self._tanh, fresh)
        step = h - n
        step *= gates[hidden:]
        np.floor(step, step)
        step += n
        return step, float(self._out.dot(step) + self._out_offset) / self._mean


def _looked_up(table: Floats, at: Floats) -> Floats:
    """The table's values at these places, its ends beyond. Cut toward zero: for what is below zero the same as down, its first value."""
    return table.take(at.astype(np.int64), mode="clip")
