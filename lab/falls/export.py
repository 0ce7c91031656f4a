"""A trained network as whole numbers: what `guardian.monitor.network` reads."""

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from guardian.monitor.network import INPUT_ONE, STATE_ONE, SUM_ONE, TABLE, Weights, read

Floats = NDArray[np.float64]


def sigmoid_table() -> bytes:
    """σ at the middle of each of TABLE steps over −8 … 8, uint16 of 1/STATE_ONE."""
    at = (np.arange(TABLE) - TABLE // 2 + 0.5) * 16 / TABLE
    return np.floor(STATE_ONE / (1 + np.exp(-at)) + 0.5).astype("<u2").tobytes()


def rows(weights: Floats, unit: int) -> tuple[bytes, list[int]]:
    """Each row as int8 and a whole scale: what one count of weight times one of a value (`unit` of which are 1.0) adds."""
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-9) / 127
    counts = np.clip(np.floor(weights / scale[:, None] + 0.5), -127, 127).astype(np.int8)
    return counts.tobytes(), [round(s * SUM_ONE / unit) for s in scale.tolist()]


def exported(
    state: Mapping[str, Floats],
    name: str,
    version: str,
    data_sha256: str,
    people: int,
    figures: Mapping[str, float],
    logits: tuple[float, float],
) -> bytes:
    """The model file's bytes, proven. `state` has PyTorch's names: g.weight_ih_l0 (rows r, z, n) …, o.weight; `logits`: exercise,
    everyday."""
    into, into_scales = rows(state["g.weight_ih_l0"], INPUT_ONE)
    kept, kept_scales = rows(state["g.weight_hh_l0"], STATE_ONE)
    out, (out_scale,) = rows(state["o.weight"], STATE_ONE)
    hidden = state["g.weight_hh_l0"].shape[1]
    into_bias, kept_bias = state["g.bias_ih_l0"].copy(), state["g.bias_hh_l0"].copy()
    into_bias[: 2 * hidden] += kept_bias[: 2 * hidden]
    kept_bias[: 2 * hidden] = 0
    whole = lambda values: [math.floor(v * SUM_ONE + 0.5) for v in values.tolist()]  # noqa: E731
    model = msgspec.msgpack.encode(
        Weights(
            format=1,
            name=name,
            version=version,
            data_sha256=data_sha256,
            people=people,
            figures=dict(figures),
            inputs=state["g.weight_ih_l0"].shape[1],
            hidden=hidden,
            input_weights=into,
            input_scales=into_scales,
            state_weights=kept,
            state_scales=kept_scales,
            input_offsets=whole(into_bias),
            state_offsets=whole(kept_bias),
            output_weights=out,
            output_scale=out_scale,
            output_offset=whole(state["o.bias"])[0],
            sigmoid=sigmoid_table(),
            exercise_logit=logits[0],
            everyday_logit=logits[1],
        )
    )
    read(model)
    return model
