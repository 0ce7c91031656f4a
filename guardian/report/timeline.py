"""The picture of one session: phases and events above, then speed, cadence, lean and the distance behind, over one time axis."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from guardian.report import findings, words
from guardian.report.history import Told
from guardian.report.picture import ALARM, CAUTION, DESK, MAIN, NOTHING, SIGNS, SOFT, STOP, UNKNOWN, Picture, Width
from guardian.report.words import Terms
from guardian.sessions import Second
from guardian.verdict import Obstacle, Phase, State

PHASES = {Phase.WARM_UP: "#f8ead1", Phase.WORK: "#ddefe7", Phase.REST: "#e1e9f6", Phase.DONE: "#eeebe3"}
BANDS: dict[Obstacle, dict[str, Any]] = {
    Obstacle.CAUTION: {"facecolor": CAUTION, "alpha": 0.75},
    Obstacle.STOP: {"facecolor": STOP, "alpha": 0.75},
    Obstacle.UNKNOWN: {"facecolor": "none", "edgecolor": UNKNOWN, "hatch": "////"},
}
RANGE_M = 4.0


def of_session(told: Told, terms: Terms) -> list[Picture]:
    """Its timeline; none without rows."""
    if not told.seconds:
        return []

    def draw(figure: FigureBase, width: Width) -> None:
        _timeline(figure, told, terms, width)

    says = "Timeline of the session: phases, events, speed, cadence, lean and the distance behind, over one time axis."
    return [Picture("timeline", says, lambda width: 8.0 if width is DESK else 8.8, draw)]


def _timeline(figure: FigureBase, told: Told, terms: Terms, width: Width) -> None:
    seconds = told.seconds
    strip, speed, cadence, lean, behind = figure.subplots(5, 1, sharex=True, height_ratios=(0.62, 1, 1, 1, 1.25))
    end_s = max(seconds[-1].t_s, told.summary.duration_s or 0.0, *(mark.t_s for mark in told.marks), 1.0)
    strip.set_xlim(0, end_s)
    shown = _strip(strip, told)
    for axes in (speed, cadence, lean, behind):
        _phases(axes, seconds)
        axes.grid(axis="y")
    _line(speed, seconds, [one.speed_m_s for one in seconds], "Speed (m/s)")
    _line(cadence, seconds, [one.cadence for one in seconds], "Cadence (steps/min)")
    _line(lean, seconds, [one.lean_deg for one in seconds], "Lean of the trunk (°, + forward)")
    limit = terms.lean_limit_deg.get(told.summary.exercise)
    for axes, least in ((speed, 0.5), (cadence, 60.0)):
        axes.set_ylim(0, max(axes.get_ylim()[1], least))  # who stood still did not waver
    if limit is not None:
        lean.axhline(limit, color=ALARM, linewidth=1.1, linestyle=(0, (5, 3)))
        lean.set_ylim(top=max(lean.get_ylim()[1], limit * 1.25))
        lean.annotate(
            f"limit {words.number(limit)}°",
            (1, limit),
            (-3, 2),
            ("axes fraction", "data"),
            "offset points",
            ha="right",
            color=ALARM,
            fontsize=8,
        )
    _bands(behind, seconds)
    _line(behind, seconds, [one.behind_m for one in seconds], "Distance behind (m)")
    behind.set_ylim(0, max(RANGE_M, *(one.behind_m for one in seconds if one.behind_m is not None), 0.0) * 1.02)
    for axes in (speed, cadence, lean, behind):
        for mark in told.marks:
            sign = _sign(mark.event_type)
            if sign is not None and sign[4] in ("near-fall", "fall or alarm"):
                axes.axvline(mark.t_s, color=sign[2], linewidth=0.9, linestyle=":")
    behind.xaxis.set_major_locator(MaxNLocator(nbins=10 if width is DESK else 5, steps=[1, 2, 3, 6, 10], integer=True))
    behind.xaxis.set_major_formatter(FuncFormatter(lambda t_s, _: words.clock(t_s) if t_s >= 0 else ""))
    behind.set_xlabel("Time since the session began (min:s)")
    figure.legend(handles=[*shown, *_band_names(seconds)], loc="outside lower left", ncols=width.legend)


def _strip(axes: Axes, told: Told) -> list[Any]:
    """Events above, phases in the middle, what the guard did below; returns what the legend must name."""
    named: list[Any] = []
    axes.set_ylim(0, 3)
    axes.set_yticks([0.5, 1.5, 2.5], ["guard", "phase", "events"])
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    phases = list(_spans(told.seconds, lambda one: one.phase))
    for phase, begin_s, end_s in phases:
        if phase in PHASES:
            axes.broken_barh([(begin_s, end_s - begin_s)], (1.08, 0.84), facecolor=PHASES[Phase(phase)], edgecolor=SOFT, linewidth=0.4)
    named += [
        Patch(facecolor=colour, edgecolor=SOFT, linewidth=0.4, label=words.PHASES[phase].lower())
        for phase, colour in PHASES.items()
        if phase in {name for name, _, _ in phases}
    ]
    kinds = ((State.GUARDING,), "#9fd3c0", "guarding"), ((State.DOWN, State.FALLEN, State.IMMINENT), ALARM, "falling or fallen")
    for states, colour, name in kinds:
        spans = [(a, b - a) for state, a, b in _spans(told.seconds, lambda one: one.state) if state in states]
        if spans:
            axes.broken_barh(spans, (0.2, 0.6), facecolor=colour)
            named.append(Patch(facecolor=colour, label=name))
    rest = [(a, b - a) for state, a, b in _spans(told.seconds, lambda one: one.state) if state in (State.OFF, State.SETTLING)]
    if rest:
        axes.broken_barh(rest, (0.2, 0.6), facecolor="white", edgecolor=SOFT, hatch="////", linewidth=0.4)
        named.append(Patch(facecolor="white", edgecolor=SOFT, hatch="////", linewidth=0.4, label="not guarding"))
    for types, sign, colour, size, name in SIGNS:
        at = [mark.t_s for mark in told.marks if mark.event_type in types]
        if at:
            axes.plot(at, [2.5] * len(at), sign, color=colour, markersize=size, markeredgewidth=0.8, clip_on=False)
            named.append(Line2D([], [], linestyle="", marker=sign, color=colour, markersize=size, label=name))
    return named


def _sign(event_type: str) -> Any:
    return next((sign for sign in SIGNS if event_type in sign[0]), None)


def _spans(seconds: Sequence[Second], of: Callable[[Second], str | None]) -> Iterator[tuple[str | None, float, float]]:
    """(value, from, to) of times in which it stays the same; holes in the timeline belong to none."""
    index = 0
    for value, group in groupby(seconds, of):
        run = list(group)
        index += len(run)
        pieces: list[list[Second]] = [[]]
        for one in run:
            if pieces[-1] and one.t_s - pieces[-1][-1].t_s > findings.HOLE_S:
                pieces.append([])
            pieces[-1].append(one)
        for piece in pieces:
            following = seconds[index] if piece is pieces[-1] and index < len(seconds) else None
            end_s = piece[-1].t_s + 1.0
            if following is not None and following.t_s - piece[-1].t_s <= findings.HOLE_S:
                end_s = following.t_s
            yield value, piece[0].t_s, end_s


def _phases(axes: Axes, seconds: Sequence[Second]) -> None:
    for phase, colour in PHASES.items():
        _band(axes, seconds, lambda one: one.phase, phase, zorder=0, alpha=0.6, facecolor=colour)


def _bands(axes: Axes, seconds: Sequence[Second]) -> None:
    for answer, look in BANDS.items():
        _band(axes, seconds, lambda one: one.obstacle, answer, zorder=1, **look)


def _band(axes: Axes, seconds: Sequence[Second], of: Callable[[Second], str | None], wanted: str, **look: Any) -> None:
    """The whole height, as long as `of` is what is wanted."""
    spans = [(begin_s, end_s - begin_s) for value, begin_s, end_s in _spans(seconds, of) if value == wanted]
    if spans:
        axes.broken_barh(spans, (0, 1), transform=axes.get_xaxis_transform(), linewidth=0, **look)


def _band_names(seconds: Sequence[Second]) -> list[Patch]:
    answers = {one.obstacle for one in seconds}
    names = {Obstacle.CAUTION: "caution", Obstacle.STOP: "stop", Obstacle.UNKNOWN: "not known"}
    return [Patch(label=f"behind: {names[answer]}", linewidth=0, **look) for answer, look in BANDS.items() if answer in answers]


def _line(axes: Axes, seconds: Sequence[Second], values: Sequence[float | None], title: str) -> None:
    times, heights = [], []
    last_s = None
    for one, value in zip(seconds, values, strict=True):
        if last_s is not None and one.t_s - last_s > findings.HOLE_S:
            times.append(last_s + 0.5)
            heights.append(NOTHING)
        times.append(one.t_s)
        heights.append(NOTHING if value is None else value)
        last_s = one.t_s
    axes.plot(times, heights, color=MAIN, linewidth=1.2, zorder=3)
    alone = [
        (t, h)
        for i, (t, h) in enumerate(zip(times, heights, strict=True))
        if not math.isnan(h) and all(not 0 <= j < len(heights) or math.isnan(heights[j]) for j in (i - 1, i + 1))
    ]
    if alone:
        axes.plot(*zip(*alone, strict=True), ".", color=MAIN, markersize=2.5, zorder=3)  # a line needs two
    axes.set_title(title)
    if not any(not math.isnan(height) for height in heights):
        axes.text(0.5, 0.5, "not known", transform=axes.transAxes, ha="center", va="center", color=SOFT)
