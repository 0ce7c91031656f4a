"""A small recurrent network in integers: the same bits on every machine.

Theory of operation. A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078, in the form of PyTorch's GRU) reads one step of inputs and
keeps `hidden` values; one linear unit reads those:

    r = σ(Wr x + Ur h + br)   z = σ(Wz x + Uz h + bz)   n = tanh(Wn x + bn + r · (Un h + cn))   h ← n + z · (h − n)   y = w h + c

Weights are int8, one scale a row for x and one for h. Inputs are int16 of 1/4096, the state int16 of 1/32768. A row's scale is an integer
that brings its sum to 1/2^32; it is multiplied into the row at load, so a step is two products of whole numbers held in float64. `proven`
bounds each row's greatest possible sum: below 2^53 every partial sum is exact, and then the order in which a library adds does not matter.
σ is a table of 4096 steps over ±8 that comes with the weights (exp differs between C libraries); tanh(x) = 2 σ(2x) − 1.
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
EXACT = 1 << 53  # float64 holds every whole number up to this
INT16 = 32767
TABLE = 4096  # steps of the σ table over −8 … 8
MODEL_BYTES = 65536  # the most a model may take

Scale = Annotated[int, Meta(ge=0, le=1 << 30)]
Offset = Annotated[int, Meta(ge=-(1 << 44), le=1 << 44)]


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """What a model file (MessagePack) holds: the network, and where it comes from."""

    format: Literal[1]
    name: Annotated[str, Meta(min_length=1, max_length=32)]
    version: Annotated[str, Meta(min_length=1, max_length=32)]
    data_sha256: str  # of the recordings it was trained on, lab/falls
    people: int  # ... of so many people
    figures: dict[str, float]  # out-of-fold, with the same recipe: the shipped weights themselves are not scored
    inputs: Annotated[int, Meta(ge=1, le=256)]  # a step
    hidden: Annotated[int, Meta(ge=1, le=256)]
    input_weights: bytes  # int8 (3 · hidden, inputs), rows r, z, n
    input_scales: list[Scale]  # a row: what one count of weight × input weighs, in 1/2^32
    state_weights: bytes  # int8 (3 · hidden, hidden)
    state_scales: list[Scale]
    input_offsets: list[Offset]  # a row, in 1/2^32: br, bz, bn
    state_offsets: list[Offset]  # ... 0, 0, cn
    output_weights: bytes  # int8 (hidden)
    output_scale: Scale
    output_offset: Offset
    sigmoid: bytes  # uint16 (TABLE), 1/32768
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
    for name, have, want in (
        ("input_weights", len(weights.input_weights), rows * weights.inputs),
        ("state_weights", len(weights.state_weights), rows * weights.hidden),
        ("output_weights", len(weights.output_weights), weights.hidden),
        ("sigmoid", len(weights.sigmoid), 2 * TABLE),
        *((name, len(getattr(weights, name)), rows) for name in ("input_scales", "state_scales", "input_offsets", "state_offsets")),
    ):
        if have != want:
            raise ValueError(f"{name} has {have} values where {weights.inputs} inputs and {weights.hidden} hidden units need {want}")
    if not weights.exercise_logit < weights.everyday_logit < 1e6 or weights.exercise_logit < -1e6:
        raise ValueError("exercise_logit must lie below everyday_logit")
    table = np.frombuffer(weights.sigmoid, "<u2")
    if int(table.max()) > STATE_ONE or bool((np.diff(table.astype(np.int64)) < 0).any()):
        raise ValueError(f"sigmoid must rise within 0 … {STATE_ONE}")
    worst = proven(weights)
    if worst >= EXACT:
        raise ValueError(f"a sum may reach {worst}, beyond what float64 holds exactly ({EXACT})")
    return weights


def proven(weights: Weights) -> int:
    """The greatest absolute value that any intermediate whole number can take, over all rows, inputs and states; in Python's integers."""
    hidden = weights.hidden
    x, u = _reach(weights.input_weights, 3 * hidden), _reach(weights.state_weights, 3 * hidden)
    (w,) = _reach(weights.output_weights, 1)
    worst = w * STATE_ONE * weights.output_scale + abs(weights.output_offset)
    for row in range(3 * hidden):
        into = x[row] * (INT16 + 1) * weights.input_scales[row] + abs(weights.input_offsets[row])
        kept = u[row] * STATE_ONE * weights.state_scales[row] + abs(weights.state_offsets[row])
        # r, z: both are added. n: each is cut to 1/2^16 first, then r · kept, at most STATE_ONE times as large, is formed
        worst = max(worst, into + kept) if row < 2 * hidden else max(worst, into, kept, (kept // 65536 + 1) * STATE_ONE)
    return worst


def _reach(raw: bytes, rows: int) -> list[int]:
    """Each row's sum of absolute weights."""
    sums: list[int] = np.abs(np.frombuffer(raw, np.int8).astype(np.int64)).reshape(rows, -1).sum(axis=1).tolist()
    return sums


class Network:
    """One step at a time. Holds no state of its own."""

    def __init__(self, weights: Weights) -> None:
        rows, hidden = 3 * weights.hidden, weights.hidden
        self.inputs, self.hidden = weights.inputs, hidden
        self._into = _scaled(weights.input_weights, weights.input_scales, rows)
        self._kept = _scaled(weights.state_weights, weights.state_scales, rows)
        self._into_offset = np.array(weights.input_offsets, dtype=np.float64)
        self._kept_offset = np.array(weights.state_offsets, dtype=np.float64)
        self._out = _scaled(weights.output_weights, [weights.output_scale], 1)[0]
        self._out_offset = float(weights.output_offset)
        self._sigmoid = np.frombuffer(weights.sigmoid, "<u2").astype(np.float64)

    def step(self, x: Any, h: Floats) -> tuple[Floats, float]:
        """The next state, whole numbers of 1/STATE_ONE, and the output y (a logit).

        `x`: `inputs` whole numbers within int16, of 1/INPUT_ONE; `h`: the state before, zeros at the start.
        """
        hidden = self.hidden
        into = self._into.dot(x)
        into += self._into_offset
        kept = self._kept.dot(h)
        kept += self._kept_offset
        gates = self._squash(into[: 2 * hidden] + kept[: 2 * hidden], 1 / (1 << 24))
        bent = kept[2 * hidden :]
        bent *= 1 / (1 << 16)
        np.floor(bent, out=bent)
        bent *= gates[:hidden]
        bent *= 1 / (1 << 15)
        np.floor(bent, out=bent)
        fresh = into[2 * hidden :]
        fresh *= 1 / (1 << 16)
        np.floor(fresh, out=fresh)
        fresh += bent
        n = self._squash(fresh, 1 / (1 << 7))
        n *= 2.0
        n -= STATE_ONE
        np.minimum(n, INT16, out=n)
        step = h - n
        step *= gates[hidden:]
        step *= 1 / (1 << 15)
        np.floor(step, out=step)
        step += n
        return step, float(self._out.dot(step) + self._out_offset) / SUM_ONE

    def _squash(self, sums: Floats, to_index: float) -> Floats:
        """σ of sums, `to_index` of whose unit make 1/256."""
        sums *= to_index
        np.floor(sums, out=sums)
        sums += TABLE // 2
        return self._sigmoid.take(sums.astype(np.int64), mode="clip")


def _scaled(raw: bytes, scales: list[int], rows: int) -> Floats:
    weights: Floats = np.frombuffer(raw, np.int8).reshape(rows, -1) * np.array(scales, dtype=np.float64)[:, None]
    return np.ascontiguousarray(weights)
