"""A trained network as whole numbers: what `guardian.monitor.network` reads."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from guardian.monitor.network import INPUT_ONE, OFFSET_ONE, STATE_ONE, SUM_ONE, TABLE, Member, Weights, read

Floats = NDArray[np.float64]


def sigmoid_rises() -> bytes:
    """σ at the middle of each of TABLE steps over −8 … 8, in 1/STATE_ONE, as the differences."""
    at = (np.arange(TABLE) - TABLE // 2 + 0.5) * 16 / TABLE
    return np.diff(np.floor(STATE_ONE / (1 + np.exp(-at)) + 0.5), prepend=0).astype(np.uint8).tobytes()


def rows(weights: Floats, unit: int) -> tuple[bytes, NDArray[np.uint32]]:
    """Each row as int8 and a whole scale: what one count of weight times one of a value (`unit` of which are 1.0) adds."""
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-9) / 127
    counts = np.clip(np.floor(weights / scale[:, None] + 0.5), -127, 127).astype(np.int8)
    return counts.tobytes(), np.floor(scale * SUM_ONE / unit + 0.5).astype("<u4")


def offsets(biases: Floats) -> NDArray[np.int32]:
    """Biases as stored."""
    return np.floor(biases * OFFSET_ONE + 0.5).astype("<i4")


def member(state: Mapping[str, Floats]) -> Member:
    """One network. `state` has PyTorch's names: g.weight_ih_l0 (rows r, z, n) …, o.weight."""
    into, into_scales = rows(state["g.weight_ih_l0"], INPUT_ONE)
    kept, kept_scales = rows(state["g.weight_hh_l0"], STATE_ONE)
    out, out_scale = rows(state["o.weight"], STATE_ONE)
    hidden = state["g.weight_hh_l0"].shape[1]
    bias, kept_bias = state["g.bias_ih_l0"].copy(), state["g.bias_hh_l0"]
    bias[: 2 * hidden] += kept_bias[: 2 * hidden]
    return Member(
        input_weights=into,
        input_scales=into_scales.tobytes(),
        input_offsets=offsets(bias).tobytes(),
        state_weights=kept,
        state_scales=kept_scales.tobytes(),
        state_offsets=offsets(kept_bias[2 * hidden :]).tobytes(),
        output_weights=out,
        output_scale=int(out_scale[0]),
        output_offset=int(offsets(state["o.bias"])[0]),
    )


def exported(
    states: Sequence[Mapping[str, Floats]],
    name: str,
    version: str,
    data_sha256: str,
    people: int,
    figures: Mapping[str, float],
    logits: tuple[float, float],
) -> bytes:
    """The model file's bytes, proven, of its members' weights. `logits`: exercise, everyday."""
    model = msgspec.msgpack.encode(
        Weights(
            format=1,
            name=name,
            version=version,
            data_sha256=data_sha256,
            people=people,
            figures=dict(figures),
            inputs=states[0]["g.weight_ih_l0"].shape[1],
            hidden=states[0]["g.weight_hh_l0"].shape[1],
            members=[member(state) for state in states],
            sigmoid=sigmoid_rises(),
            exercise_logit=logits[0],
            everyday_logit=logits[1],
        )
    )
    read(model)
    return model
