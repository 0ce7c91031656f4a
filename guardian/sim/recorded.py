"""A recording played as the world: what the inertial chip felt, sample by sample. The ranger hears nothing in it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from guardian.sim.world import FAR_NS, Times


class RecordedWorld:
    """Motion from a recording at any rate, linear between samples; before the first and after the last it holds them.

    `t_s` (N,), s, increasing: a sample of time t is felt at simulated time t. `samples` (N, 6): specific force x y z (m/s²) and angular
    rate x y z (rad/s) in nominal body axes. Raises ValueError naming what is wrong with them.
    """

    def __init__(self, t_s: ArrayLike, samples: ArrayLike, temperature_c: float = 20.0) -> None:
        t, rows = np.asarray(t_s, dtype=np.float64), np.ascontiguousarray(samples, dtype=np.float64)
        if t.ndim != 1 or len(t) < 2:
            raise ValueError(f"t_s has shape {t.shape}: it must be one column of at least 2 times")
        if rows.shape != (len(t), 6):
            raise ValueError(
                f"samples has shape {rows.shape}: {len(t)} times need ({len(t)}, 6), force x y z (m/s²) and rate x y z (rad/s)"
            )
        if not np.isfinite(t).all():
            raise ValueError(f"t_s[{_first(~np.isfinite(t))}] is not a finite number")
        if not np.isfinite(rows).all():
            raise ValueError(f"samples[{_first(~np.isfinite(rows).all(axis=1))}] holds a value that is not a finite number")
        if not (np.diff(t) > 0).all():
            late = _first(np.diff(t) <= 0) + 1
            raise ValueError(f"t_s must increase, but t_s[{late}] = {t[late]:g} s follows {t[late - 1]:g} s")
        self.temperature_c = temperature_c
        self._t_ns, self._rows = t * 1e9, rows

    def motion(self, t_ns: Times) -> NDArray[np.float64]:
        """Specific force and angular rate at `t_ns`: (n, 6)."""
        times, rows = self._t_ns, self._rows
        after = np.clip(np.searchsorted(times, t_ns, side="right"), 1, len(times) - 1)
        before = after - 1
        start = times[before]
        share = np.clip((t_ns - start) / (times[after] - start), 0.0, 1.0)
        low = rows[before]
        between: NDArray[np.float64] = low + share[:, None] * (rows[after] - low)
        return between

    def horizon_ns(self, now_ns: int) -> int:
        """The past of a recording is all there is: known to its end and beyond."""
        return FAR_NS

    def echo(self, t_ns: int) -> float | None:
        """Nothing in range, ever."""
        return None

    def heard(self, t_ns: int, on: bool) -> None:
        """Nobody listens."""


def _first(mask: ArrayLike) -> int:
    return int(np.flatnonzero(mask)[0])
