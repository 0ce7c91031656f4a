"""The report's pictures. Time runs to the right and is shared by all panels of a picture; what is not known is a gap, never a line across.

Every picture is drawn twice, for a desk (and paper) and for a phone, because letters that are scaled down cannot be read. Nothing is told
by colour alone: bands are named or hatched, events have signs of their own. SVG with real letters, small and sharp; PNG for where a page
cannot go.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from io import BytesIO, StringIO
from itertools import groupby
from typing import Any

import matplotlib
from matplotlib import dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from msgspec import Struct

from guardian.report import findings, words
from guardian.report.history import History, Told
from guardian.report.markup import Markup
from guardian.report.words import Terms
from guardian.sessions import Second, Summary
from guardian.verdict import Obstacle, Phase, State

INK, SOFT, LINE = "#1c2326", "#556064", "#dcd7cb"
MAIN, SECOND = "#0b5d52", "#b0561a"
CAUTION, STOP, UNKNOWN = "#f5c451", "#d8434e", "#b9bec0"
ALARM = "#7d0a14"
PHASES = {Phase.WARM_UP: "#f8ead1", Phase.WORK: "#ddefe7", Phase.REST: "#e1e9f6", Phase.DONE: "#eeebe3"}
EXERCISES = ("#0b5d52", "#b0561a", "#4a62a8", "#8a6d1f", "#8b3a78", "#556064", "#2c7f96", "#a34444")  # in the order in which they come
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++", "----", "oooo")
RANGE_M = 4.0
APART_DAYS = 10.0  # sessions of one exercise further apart are not joined by a line
SIGNS = (  # event types, sign, colour, size, name in the legend
    (("caution",), "v", "#b98a00", 5, "caution"),
    (("stop", "obstacle"), "v", STOP, 7, "stop"),
    (("near_fall",), "o", "#6a1b9a", 7, "near-fall"),
    (("imminent_fall", "fall_suspected", "fall", "long_lie", "sos"), "X", ALARM, 8, "fall or alarm"),
    (("fault", "battery_low", "not_guarding", "not_worn"), "s", SOFT, 5, "device"),
    (("coach",), "|", "#2c7f96", 6, "coach"),
)
RC = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.constrained_layout.use": True,
    "path.simplify_threshold": 0.3,
}
NOTHING = float("nan")  # in a line: a gap


class Width(Struct, frozen=True):
    """For what a picture is drawn: how wide, in inches, and how many panels and legend entries stand side by side."""

    name: str
    inches: float
    columns: int
    legend: int


DESK = Width("desk", 10.0, 3, 7)
PHONE = Width("phone", 4.9, 1, 3)
Draw = Callable[[FigureBase, Width], None]


class Picture(Struct, frozen=True):
    """Something that can be drawn at any width. `tall`: height in inches at a width."""

    name: str
    says: str  # for who cannot see it
    tall: Callable[[Width], float]
    draw: Draw


# --- into files


def svg(picture: Picture, width: Width) -> Markup:
    """The picture as an element of a page: no other file, no address that a browser would fetch."""
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{picture.name}-{width.name}"}):
        figure = Figure(figsize=(width.inches, picture.tall(width)))
        picture.draw(figure, width)
        text = StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = text.getvalue()
    return Markup(_own_ids(drawn[drawn.index("<svg") :], f"{picture.name}-{width.name}-"))


def png(pictures: Sequence[Picture], title: str) -> bytes:
    """All pictures below each other, as on a desk."""
    heights = [picture.tall(DESK) for picture in pictures]
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(DESK.inches, sum(heights) + 0.5), facecolor="white")
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
        parts = figure.subfigures(len(pictures), 1, height_ratios=heights, squeeze=False)
        for picture, part in zip(pictures, parts[:, 0], strict=True):
            picture.draw(part, DESK)
        data = BytesIO()
        figure.savefig(data, format="png", dpi=130, metadata={"Software": None})
    return data.getvalue()


def _own_ids(drawn: str, prefix: str) -> str:
    """Two pictures in one page must not share ids: a reference would find the other's."""
    for before, after in (('id="', f'id="{prefix}'), ('"#', f'"#{prefix}'), ("url(#", f"url(#{prefix}")):
        drawn = drawn.replace(before, after)
    return drawn


# --- one session


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
    for axes in (speed, cadence):
        axes.set_ylim(bottom=0)
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
    for phase, begin_s, end_s in _spans(seconds, lambda one: one.phase):
        if phase in PHASES:
            axes.axvspan(begin_s, end_s, color=PHASES[Phase(phase)], linewidth=0, zorder=0, alpha=0.6)


def _bands(axes: Axes, seconds: Sequence[Second]) -> None:
    looks: dict[str, dict[str, Any]] = {
        Obstacle.CAUTION: {"facecolor": CAUTION},
        Obstacle.STOP: {"facecolor": STOP},
        Obstacle.UNKNOWN: {"facecolor": "none", "edgecolor": UNKNOWN, "hatch": "////"},
    }
    for answer, begin_s, end_s in _spans(seconds, lambda one: one.obstacle):
        if answer in looks:
            axes.axvspan(begin_s, end_s, linewidth=0, zorder=1, alpha=0.75, **looks[answer])


def _band_names(seconds: Sequence[Second]) -> list[Patch]:
    answers = {one.obstacle for one in seconds}
    named: list[tuple[Obstacle, dict[str, Any], str]] = [
        (Obstacle.CAUTION, {"facecolor": CAUTION, "alpha": 0.75}, "behind: caution"),
        (Obstacle.STOP, {"facecolor": STOP, "alpha": 0.75}, "behind: stop"),
        (Obstacle.UNKNOWN, {"facecolor": "white", "edgecolor": UNKNOWN, "hatch": "////"}, "behind: not known"),
    ]
    return [Patch(label=name, **look) for answer, look, name in named if answer in answers]


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


# --- the trend


def of_history(history: History, terms: Terms) -> list[Picture]:
    """The weeks, then each exercise in the order in which it first came. Undated sessions are not in them: a page says so."""
    dated = [told.summary for told in history.sessions if told.summary.started_utc is not None]
    if not dated or history.period is None:
        return []
    names = list(dict.fromkeys(one.exercise for one in dated))
    pictures = [_weeks_picture(history, dated, names, terms)]
    for place, name in enumerate(names):
        mine = [one for one in dated if one.exercise == name]
        pictures.append(_exercise_picture(history, mine, place, terms))
    return pictures


def _weeks_picture(history: History, dated: list[Summary], names: list[str], terms: Terms) -> Picture:
    def draw(figure: FigureBase, width: Width) -> None:
        axes = figure.subplots()
        floor: dict[date, float] = {}
        for place, name in enumerate(names):
            minutes: dict[date, float] = {}
            for one in dated:
                if one.exercise == name:
                    monday = findings.monday_of(one.started_utc or 0.0)
                    minutes[monday] = minutes.get(monday, 0.0) + (one.duration_s or 0.0) / 60
            axes.bar(
                [_noon(monday) for monday in minutes],
                list(minutes.values()),
                6.0,
                [floor.get(monday, 0.0) for monday in minutes],
                color=_colour(place),
                hatch=HATCHES[place % len(HATCHES)],
                edgecolor="white",
                linewidth=0.6,
                label=words.capital(terms.label(name)),
            )
            for monday, value in minutes.items():
                floor[monday] = floor.get(monday, 0.0) + value
        top = max([*floor.values(), 1.0])
        for monday in findings.weeks_without([one.started_utc or 0.0 for one in dated], _end(history)):
            axes.text(_noon(monday), top * 0.04, "no session", rotation=90, ha="center", va="bottom", color=ALARM, fontsize=8.5)
        for near, (_, sign, colour, size, _), lift in ((True, SIGNS[2], 1.08), (False, SIGNS[3], 1.18)):
            count = Counter[date]()
            for one in dated:
                count[findings.monday_of(one.started_utc or 0.0)] += one.near_falls if near else one.falls
            some = {_noon(monday): number for monday, number in count.items() if number}
            if some:
                axes.plot(
                    list(some), [top * lift] * len(some), sign, color=colour, markersize=size, label="near-falls" if near else "falls"
                )
            for middle, number in some.items():
                axes.annotate(
                    str(number), (middle, top * lift), (6, 0), textcoords="offset points", va="center", fontsize=8.5, color=colour
                )
        axes.set_ylim(0, top * 1.25)
        axes.grid(axis="y")
        axes.set_title("Minutes of training a week")
        every = [findings.monday_of(one.started_utc or 0.0) for one in dated]
        axes.set_xlim(_noon(min(every)) - timedelta(4), max(_noon(max(every)) + timedelta(4), _local(_end(history))))
        _date_axis(axes, width)
        axes.set_xlabel("Week (middle)")
        figure.legend(loc="outside lower left", ncols=4 if width is DESK else 2)

    says = "Minutes of training in each week, by exercise, with near-falls and falls."
    return Picture("weeks", says, lambda width: 3.0 if width is DESK else 3.6, draw)


class Panel(Struct, frozen=True):
    """One measure of an exercise over the sessions."""

    title: str
    value: Callable[[Summary], float | None]
    beside: Callable[[Summary], float | None] | None = None  # drawn as a second line
    names: tuple[str, str] = ("", "")
    limit: float | None = None
    floor: float | None = 0.0  # of the axis; None: as the data have it
    ceiling: float | None = None


def panels(mine: Sequence[Summary], limit: float | None) -> list[Panel]:
    """Those for which there is anything to show: an exercise is data, not code."""
    unit = next((one.unit for one in reversed(mine) if one.unit), None)
    scale = 60.0 if unit == "s" else 1.0

    def scaled(of: Callable[[Summary], float | None]) -> Callable[[Summary], float | None]:
        def value(one: Summary) -> float | None:
            there = of(one)
            return None if there is None or one.unit != unit else there / scale

        return value

    every = [
        Panel(
            f"Dose ({words.UNITS.get(unit or '', unit or '')})",
            scaled(lambda one: one.done),
            scaled(lambda one: one.dose),
            ("done", "asked for"),
        ),
        Panel("Distance (m, estimated)", lambda one: one.distance_m or None),
        Panel("Cadence (steps/min)", lambda one: one.cadence or None, floor=None),
        Panel("Regularity of steps (0 to 1)", lambda one: one.regularity, ceiling=1.0),
        Panel("Lunges", lambda one: one.lunges_left or None, lambda one: one.lunges_right or None, ("left leg", "right leg")),
        Panel("Depth of lunges (m)", lambda one: one.lunge_depth_m),
        Panel("Lean of the trunk (°, + forward)", lambda one: one.lean_deg, limit=limit, floor=None),
    ]
    return [panel for panel in every if any(panel.value(one) is not None for one in mine)]


def _exercise_picture(history: History, mine: list[Summary], place: int, terms: Terms) -> Picture:
    exercise = mine[0].exercise
    shown = panels(mine, terms.lean_limit_deg.get(exercise))
    count = len(shown) + 1

    def rows(width: Width) -> int:
        return math.ceil(count / width.columns)

    def draw(figure: FigureBase, width: Width) -> None:
        grid = figure.subplots(rows(width), width.columns, sharex=True, squeeze=False).flat
        for panel, axes in zip(shown, grid, strict=False):
            _panel(axes, panel, mine, _colour(place))
        _warnings(grid[len(shown)], mine)
        for axes in grid[count:]:
            axes.set_visible(False)
        dated = [told.summary.started_utc for told in history.sessions if told.summary.started_utc is not None]
        skipped = findings.weeks_without(dated, _end(history))
        for place_, axes in enumerate(grid[:count]):
            axes.set_xlim(_local(min(dated)) - timedelta(2), max(_local(max(dated)) + timedelta(2), _local(_end(history))))
            for monday in skipped:
                begin = _noon(monday) - timedelta(3.5)
                axes.axvspan(begin, begin + timedelta(7), facecolor="none", edgecolor=UNKNOWN, hatch="////", linewidth=0, zorder=0)
            axes.grid(axis="y")
            _date_axis(axes, width, 4)
            axes.tick_params(axis="x", labelbottom=place_ + width.columns >= count)
        if isinstance(figure, Figure):
            figure.get_layout_engine().set(h_pad=0.08)
        else:
            figure.suptitle(words.capital(terms.label(exercise)), x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)

    says = f"{words.capital(terms.label(exercise))}, session by session: {words.listed([panel.title for panel in shown] + ['warnings'])}."
    return Picture(f"exercise-{place}", says, lambda width: (1.75 if width is DESK else 1.45) * rows(width) + 0.3, draw)


def _panel(axes: Axes, panel: Panel, mine: Sequence[Summary], colour: str) -> None:
    lines = [(panel.value, "o-", colour)]
    if panel.beside is not None:
        lines.append((panel.beside, "s--", SOFT if panel.names[1] == "asked for" else SECOND))
    for (of, look, ink), name in reversed(list(zip(lines, panel.names, strict=False))):
        times: list[datetime] = []
        heights: list[float] = []
        for one in mine:
            here, value = _local(one.started_utc or 0.0), of(one)
            if times and here - times[-1] > timedelta(APART_DAYS):
                times.append(here - timedelta(seconds=1))
                heights.append(NOTHING)
            times.append(here)
            heights.append(NOTHING if value is None else value)
        axes.plot(times, heights, look, color=ink, linewidth=1.1, markersize=4 if look[0] == "o" else 3, label=name or None, zorder=3)
        if of is panel.value:
            open_ = [(_local(one.started_utc or 0.0), of(one)) for one in mine if one.reason is None and of(one) is not None]
            if open_:
                axes.plot(*zip(*open_, strict=True), "o", color="white", markeredgecolor=ink, markersize=5, zorder=4)
    if panel.limit is not None:
        axes.axhline(panel.limit, color=ALARM, linewidth=1, linestyle=(0, (5, 3)))
        axes.annotate(
            f"limit {words.number(panel.limit)}°",
            (0, panel.limit),
            (3, -10),
            ("axes fraction", "data"),
            "offset points",
            color=ALARM,
            fontsize=8,
        )
    axes.set_title(panel.title)
    low, high = axes.get_ylim()
    if panel.floor is not None:
        axes.set_ylim(panel.floor, panel.ceiling or high * 1.05)
    else:
        room = max(0.15 * (high - low), 0.05 * max(abs(high), 1.0))
        axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    if panel.names[0]:
        axes.legend(loc="lower right", handlelength=1.6, ncols=2, fontsize=8, borderpad=0.1)


def _warnings(axes: Axes, mine: Sequence[Summary]) -> None:
    times = [_local(one.started_utc or 0.0) for one in mine]
    cautions, stops = [one.cautions for one in mine], [one.stops for one in mine]
    axes.bar(times, cautions, 1.1, color=CAUTION, label="caution")
    axes.bar(times, stops, 1.1, cautions, color=STOP, hatch="////", edgecolor="white", linewidth=0.3, label="stop")
    top = max([a + b for a, b in zip(cautions, stops, strict=True)] + [3])
    near, falls = [one for one in mine if one.near_falls], [one for one in mine if one.falls]
    for some, (_, sign, colour, size, _), name, lift in ((near, SIGNS[2], "near-fall", 1.14), (falls, SIGNS[3], "fall", 1.3)):
        if some:
            axes.plot(
                [_local(one.started_utc or 0.0) for one in some],
                [top * lift] * len(some),
                sign,
                color=colour,
                markersize=size - 1,
                label=name,
            )
    for one in near:
        if one.near_falls > 1:
            at = (_local(one.started_utc or 0.0), top * 1.14)
            axes.annotate(str(one.near_falls), at, (5, 0), textcoords="offset points", va="center", fontsize=8, color=SIGNS[2][2])
    axes.set_ylim(0, top * 1.75)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_title("Warnings a session")
    axes.legend(loc="upper left", ncols=4, handlelength=1.0, columnspacing=0.9, handletextpad=0.4, fontsize=8, borderpad=0.1)


def _colour(place: int) -> str:
    return EXERCISES[place % len(EXERCISES)]


def _local(utc: float) -> datetime:
    """Local time without a zone, as matplotlib shows it unchanged."""
    return datetime.fromtimestamp(utc, UTC).astimezone().replace(tzinfo=None)


def _noon(monday: date) -> datetime:
    """The middle of a week."""
    return datetime(monday.year, monday.month, monday.day, 12) + timedelta(3)


def _end(history: History) -> float:
    return history.period.end_utc if history.period else 0.0


def _date_axis(axes: Axes, width: Width, most: int = 10) -> None:
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=2, maxticks=most if width is DESK else 5))
    axes.xaxis.set_major_formatter(FuncFormatter(_day_name))


def _day_name(day: float, _: object) -> str:
    there = mdates.num2date(day)
    return f"{there.day} {there:%b}"
