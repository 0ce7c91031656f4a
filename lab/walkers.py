"""The simulated walkers judged: do they move the belt as real people do?

usage: SISFALL=/path/to/sisfall make walkers        (or: python -m lab.walkers /path/to/sisfall [--people 40] [--falls 20])

For each way to go, the same figures of simulated trainees (both populations) and of SisFall's people at like speed: 26 people's D01-D06,
forward, and reversed in time as stand-in for backward (samples reversed, angular rates negated). Both sides are turned to mean gravity and
averaged over 25 ms, as the chips' low-pass does. A figure is well when the simulated median lies within the real 5-95 % range; `within` is
the share of single simulated walks that do. D06, stairs at 139 steps/min, is what nobody climbs backward: it is held against forward only.
Then the same for falls against F01-F15, as information. Prints tables; 1 if a median of the walkers is outside.
"""

import argparse
import csv
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from guardian.sim.exercises import FALLS, Session, fall
from guardian.sim.gait import G
from guardian.sim.phases import Phase, Stand, Turn, Walk
from guardian.sim.population import TEST, TRAINING, Population, Trainee
from guardian.sim.striding import Climb, Run
from lab.evaluate import RATE_HZ, body, reversed_in_time

Array = NDArray[np.float64]

FIGURES = (
    "cadence, steps/min",
    "peak force, g (99.9 %)",
    "least force, g (0.1 %)",
    "spread of force, g",
    "rate 50 %, deg/s",
    "rate 95 %, deg/s",
    "rate 99.9 %, deg/s",
    "force power below 50 %, Hz",
    "force power below 75 %, Hz",
    "force power below 95 %, Hz",
    "rate power below 50 %, Hz",
    "rate power below 75 %, Hz",
    "rate power below 95 %, Hz",
    "up against fore-aft, sine",
    "skew of force's slope",
)


def figures(motion: Array) -> Array:
    """FIGURES of (n, 6) at 200 Hz, specific force m/s², rate rad/s."""
    up = motion[:, :3].mean(axis=0)
    up /= np.linalg.norm(up)
    ahead = np.array([1.0, 0.0, 0.0]) - up * up[0]
    ahead /= np.linalg.norm(ahead)
    turn = np.stack([ahead, np.cross(up, ahead), up])
    force, rate = (
        np.stack([np.convolve(column, np.ones(5) / 5, "valid") for column in part.T], axis=1) @ turn.T
        for part in (motion[:, :3] / G, np.degrees(motion[:, 3:]))
    )
    rate -= np.median(rate, axis=0)  # SisFall's gyros show some deg/s when nobody moves
    norm, turning = np.linalg.norm(force, axis=1), np.linalg.norm(rate, axis=1)
    step_hz = _step_hz(force[:, 2])
    fore_aft, vertical = (_line(force[:, axis], step_hz) for axis in (0, 2))
    slope = np.diff(norm)
    return np.array(
        [
            60 * step_hz,
            *np.percentile(norm, [99.9, 0.1]),
            norm.std(),
            *np.percentile(turning, [50, 95, 99.9]),
            *_power_below(force),
            *_power_below(rate),
            float(np.sin(np.angle(fore_aft / vertical))),
            float((slope**3).mean() / (slope**2).mean() ** 1.5),
        ]
    )


def _step_hz(up: Array) -> float:
    size = 4 * len(up)
    power = np.abs(np.fft.rfft((up - up.mean()) * np.hanning(len(up)), size)) ** 2
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    tried = np.arange(0.8, 3.6, 0.005)
    return float(tried[np.argmax(np.interp(tried, hz, power) + 0.5 * np.interp(2 * tried, hz, power))])


def _line(values: Array, hz: float) -> complex:
    """Mean cross-phase needs short windows: the rate of steps wanders."""
    turned = np.exp(-2j * np.pi * hz * np.arange(len(values)) / RATE_HZ) * (values - values.mean())
    return complex(turned.mean()) or 1e-9


def _power_below(rows: Array) -> tuple[float, float, float]:
    """Frequencies below which 50, 75 and 95 % of the power over 0.3 Hz lie."""
    power = (np.abs(np.fft.rfft((rows - rows.mean(axis=0)) * np.hanning(len(rows))[:, None], axis=0)) ** 2).sum(axis=1)
    hz = np.fft.rfftfreq(len(rows), 1 / RATE_HZ)
    power[hz < 0.3] = 0.0
    share = np.cumsum(power) / power.sum()
    a, b, c = (float(hz[np.searchsorted(share, q)]) for q in (0.5, 0.75, 0.95))
    return a, b, c


Script = Callable[[Trainee, np.random.Generator], tuple[Phase, ...]]


class Like(NamedTuple):
    """A way to go, and the activity it is held against."""

    name: str
    activity: str
    backward: bool
    script: Script


def _walk(low: float, high: float, sign: int) -> Script:
    """Four corners in a trial of 42 s, as D01 and D02 have them."""

    def script(who: Trainee, rng: np.random.Generator) -> tuple[Phase, ...]:
        speed, bends = sign * float(rng.uniform(low, high)), rng.uniform(40, 110, 4) * rng.choice((-1, 1), 4)
        return Stand(1), *(Walk(10.5, speed=speed, bend_deg=float(bend)) for bend in bends)

    return script


def _run(low: float, high: float, sign: int) -> Script:
    return lambda who, rng: (Stand(1), Run(42, speed=sign * float(rng.uniform(low, high))))


def _stairs(low: float, high: float, backward: bool, climb_s: float = 9.0, hard: float = 1.0) -> Script:
    """Up, a turn on the landing, down, and standing until 25 s are over, as D05 and D06 have it (D06 stands for some half)."""

    def script(who: Trainee, rng: np.random.Generator) -> tuple[Phase, ...]:
        tempo = float(rng.uniform(low, high))
        up, down = (
            Climb.of(int(climb_s * tempo), tempo * pace, up=up, backward=backward, jolt_g=hard * float(rng.uniform(*jolt)))
            for up, pace, jolt in ((True, 1.0, (0.1, 0.3)), (False, 1.05, (0.2, 0.5)))
        )
        turn = Turn(float(rng.uniform(1.6, 2.4)), angle_deg=float(rng.uniform(120, 180)))
        return Stand(1.5), up, Stand(1.0), turn, down, Stand(max(2.0, 20.0 - 2 * climb_s))

    return script


LIKE = (
    Like("walk forward slowly", "D01", False, _walk(0.65, 0.95, 1)),
    Like("walk forward quickly", "D02", False, _walk(1.25, 1.55, 1)),
    Like("walk backward slowly", "D01", True, _walk(0.4, 0.85, -1)),
    Like("walk backward quickly", "D02", True, _walk(0.95, 1.4, -1)),
    Like("run forward slowly", "D03", False, _run(1.7, 2.3, 1)),
    Like("run forward quickly", "D04", False, _run(2.7, 3.3, 1)),
    Like("run backward", "D03", True, _run(1.3, 2.2, -1)),
    Like("run backward quickly", "D04", True, _run(2.2, 3.0, -1)),
    Like("stairs forward", "D05", False, _stairs(1.0, 1.5, False)),
    Like("stairs backward", "D05", True, _stairs(0.8, 1.3, True)),
    Like("stairs forward quickly", "D06", False, _stairs(1.9, 2.4, False, climb_s=5.3, hard=2.5)),
)


@cache
def _trials(folder: Path) -> dict[str, Array]:
    found = {}
    for source in sorted(folder.glob("*.npz")):
        with np.load(source, allow_pickle=False) as archive:
            found.update({name: body(archive[name]) for name in archive.files if name[:3] in {like.activity for like in LIKE}})
    return found


def real(folder: Path, like: Like) -> Array:
    """Figures of all trials of that activity: (trials, FIGURES). Walks and runs without their first and last 5 s."""
    rows = []
    for name, trial in _trials(folder).items():
        if name.startswith(like.activity):
            played = reversed_in_time(trial) if like.backward else trial
            edge = 1000 if like.activity < "D05" else 0
            rows.append(figures(played[edge : len(played) - edge, 1:]))
    return np.array(rows)


def simulated(like: Like, people: int) -> Array:
    """Figures of as many people of each population."""
    rows = []
    for population in (TRAINING, TEST):
        for seed in range(people):
            who, rng = population.draw(50_000 + seed), np.random.default_rng([seed, 21])
            script = like.script(who, rng)
            seconds = sum(phase.seconds for phase in script)
            motion = Session(who, script, seconds, "walk").samples(RATE_HZ)
            rows.append(figures(motion[600:] if like.activity < "D05" else motion))
    return np.array(rows)


FALL_FIGURES = (
    "peak force, g",
    "least force in the 0.5 s before contact, g",
    "time below 0.8 g in the 1 s before contact, s",
    "greatest rate in the 0.5 s before contact, deg/s",
    "mean rate in the 0.1 s before contact, deg/s",
    "greatest rate in the 0.3 s after contact, deg/s",
    "tilt in the 1.3 s before contact, deg",
    "posture 2 s later against before, deg",
)


def fall_figures(motion: Array, contact: int) -> Array:
    """FALL_FIGURES of (n, 6) at 200 Hz."""
    norm = np.convolve(np.linalg.norm(motion[:, :3], axis=1) / G, np.ones(2) / 2, "same")
    rate = np.convolve(np.degrees(np.linalg.norm(motion[:, 3:], axis=1)), np.ones(4) / 4, "same")
    before = motion[max(0, contact - 320) : max(1, contact - 260), :3].mean(axis=0)
    before /= np.linalg.norm(before)
    up = before.copy()
    for turn in motion[max(0, contact - 260) : contact, 3:]:
        up = up - np.cross(turn, up) / RATE_HZ
        up /= np.linalg.norm(up)
    later = motion[contact + 400 : contact + 600, :3].mean(axis=0)
    later /= np.linalg.norm(later)
    return np.array(
        [
            norm[contact : contact + 120].max(),
            norm[max(0, contact - 100) : contact].min(),
            (norm[max(0, contact - 200) : contact] < 0.8).sum() / RATE_HZ,
            rate[max(0, contact - 100) : contact].max(),
            rate[max(0, contact - 20) : contact].mean(),
            rate[contact : contact + 60].max(),
            *(float(np.degrees(np.arccos(np.clip(at @ before, -1, 1)))) for at in (up, later)),
        ]
    )


def real_falls(folder: Path) -> Array:
    """Of every timed fall, contact as fall_times.csv has it: (falls, FALL_FIGURES)."""
    with (folder / "fall_times.csv").open() as lines:
        times = {row["trial"]: float(row["contact_s"]) for row in csv.DictReader(lines)}
    rows = []
    for source in sorted(folder.glob("*.npz")):
        with np.load(source, allow_pickle=False) as archive:
            for name in archive.files:
                if name in times and (times[name] + 3) * RATE_HZ < len(archive[name]):
                    rows.append(fall_figures(body(archive[name])[:, 1:], int(times[name] * RATE_HZ)))
    return np.array(rows)


def simulated_falls(population: Population, exercise: str, kinds: Iterable[str], seeds: int) -> Array:
    """Of that many falls of each kind."""
    rows = []
    for kind in kinds:
        for seed in range(seeds):
            one = fall(exercise, kind, population, 60_000 + seed)  # type: ignore[arg-type]
            contact_s = one.truth.falls[0].contact_s or 0.0
            rows.append(fall_figures(one.samples(RATE_HZ), int(contact_s * RATE_HZ)))
    return np.array(rows)


def show(console: Console, title: str, names: tuple[str, ...], measured: Array, made: Array) -> int:
    """One table; returns how many simulated medians lie outside."""
    table = Table(title=title, title_justify="left")
    for heading in ("figure", "real 5 %", "50 %", "95 %", "simulated 5 %", "50 %", "95 %", "within", ""):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    low, middle, high = np.percentile(measured, [5, 50, 95], axis=0)
    outside = 0
    for i, name in enumerate(names):
        five, half, most = np.percentile(made[:, i], [5, 50, 95])
        share = float(((made[:, i] >= low[i]) & (made[:, i] <= high[i])).mean())
        well = bool(low[i] <= half <= high[i])
        outside += not well
        table.add_row(
            name, *(f"{v:.2f}" for v in (low[i], middle[i], high[i], five, half, most)), f"{share:.0%}", "" if well else "OUTSIDE"
        )
    console.print(table)
    return outside


def main() -> int:
    """Print the tables; 1 if a median of the walkers lies outside."""
    parser = argparse.ArgumentParser(description="Do simulated walkers move the belt as real people do?")
    parser.add_argument("sisfall", type=Path)
    parser.add_argument("--people", type=int, default=40, help="of each population")
    parser.add_argument("--falls", type=int, default=20, help="of each kind and population")
    args = parser.parse_args()
    console = Console(width=140)
    outside = 0
    for like in LIKE:
        title = f"{like.name}, against {like.activity}{' reversed' if like.backward else ''}"
        outside += show(console, title, FIGURES, real(args.sisfall, like), simulated(like, args.people))
    measured = real_falls(args.sisfall)
    for exercise, kinds in FALLS.items():
        if exercise != "everyday":
            made = np.concatenate([simulated_falls(population, exercise, kinds, args.falls) for population in (TRAINING, TEST)])
            show(console, f"falls in {exercise}, against all of F01-F15 (information)", FALL_FIGURES, measured, made)
    console.print(f"walkers: {outside} of {len(LIKE) * len(FIGURES)} simulated medians outside the real 5-95 % range")
    return int(outside > 0)


if __name__ == "__main__":
    raise SystemExit(main())
