"""The pictures of a period: minutes of training week by week, then each exercise's measures session by session, over one axis of dates.

A line is interrupted by a week without training. Sessions without a date are in no picture; the page says so.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from matplotlib import dates as mdates
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FuncFormatter, MaxNLocator
from msgspec import Struct

from guardian.report import findings, words
from guardian.report.history import History
from guardian.report.picture import ALARM, CAUTION, DESK, INK, NOTHING, SIGNS, SOFT, STOP, UNKNOWN, Picture, Width
from guardian.report.words import Terms
from guardian.sessions import Summary

SECOND = "#b0561a"
BAND = "#c9d2d4"
EXERCISES = ("#0b5d52", "#b0561a", "#4a62a8", "#8a6d1f", "#8b3a78", "#556064", "#2c7f96", "#a34444")  # in the order in which they come
HATCHES = ("", "//", "..", "\\\\", "xx", "++", "--", "oo")
APART_DAYS = 28.0  # sessions of one exercise further apart are not joined by a line, nor are those with a skipped week between them


def of_history(history: History, terms: Terms) -> list[Picture]:
    """The weeks, then each exercise in the order in which it first came. Undated sessions are not in them: a page says so."""
    dated = [told.summary for told in history.sessions if told.summary.started_utc is not None]
    if not dated or history.period is None:
        return []
    names = list(dict.fromkeys(one.exercise for one in dated))
    pictures = [_weeks_picture(history, dated, names, terms)]
    for place, name in enumerate(names):
        mine = sorted((one for one in dated if one.exercise == name), key=lambda one: one.started_utc or 0.0)
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
        skipped = findings.weeks_without([one.started_utc or 0.0 for one in dated], _end(history))
        for monday in skipped:
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
        every = sorted({findings.monday_of(one.started_utc or 0.0) for one in dated} | set(skipped))
        step = math.ceil(len(every) / (12 if width is DESK else 5))
        axes.set_xticks([_noon(monday) for monday in every[::step]], [f"{monday.day} {monday:%b}" for monday in every[::step]])
        axes.set_xlabel("Week that begins on")
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
            scaled(words.asked),
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
        dated = [told.summary.started_utc for told in history.sessions if told.summary.started_utc is not None]
        skipped = findings.weeks_without(dated, _end(history))
        for panel, axes in zip(shown, grid, strict=False):
            _panel(axes, panel, mine, skipped, _colour(place))
        _warnings(grid[len(shown)], mine)
        for axes in grid[count:]:
            axes.set_visible(False)
        for place_, axes in enumerate(grid[:count]):
            axes.set_xlim(_local(min(dated)) - timedelta(2), max(_local(max(dated)) + timedelta(2), _local(_end(history))))
            for monday in skipped:
                begin = _noon(monday) - timedelta(3.5)
                axes.axvspan(begin, begin + timedelta(7), facecolor="none", edgecolor=UNKNOWN, hatch="////", linewidth=0, zorder=0)
            axes.grid(axis="y")
            _date_axis(axes, width)
            axes.tick_params(axis="x", labelbottom=place_ + width.columns >= count)
        if not isinstance(figure, Figure):  # one of several in a PNG; in a page the heading says it
            figure.suptitle(words.capital(terms.label(exercise)), x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)

    says = f"{words.capital(terms.label(exercise))}, session by session: {words.listed([panel.title for panel in shown] + ['warnings'])}."
    return Picture(f"exercise-{place}", says, lambda width: (1.75 if width is DESK else 1.45) * rows(width) + 0.3, draw)


def _panel(axes: Axes, panel: Panel, mine: Sequence[Summary], skipped: Sequence[date], colour: str) -> None:
    if panel.beside is not None and panel.names[1] == "asked for":  # a broad band under the line, or it would hide there
        axes.plot(*_points(mine, panel.beside, skipped), "-s", color=BAND, linewidth=5, markersize=5, label=panel.names[1], zorder=2)
    elif panel.beside is not None:
        axes.plot(*_points(mine, panel.beside, skipped), "s--", color=SECOND, linewidth=1.1, markersize=3.5, label=panel.names[1], zorder=3)
    axes.plot(*_points(mine, panel.value, skipped), "o-", color=colour, linewidth=1.1, markersize=4, label=panel.names[0] or None, zorder=3)
    unended = [(_local(one.started_utc or 0.0), panel.value(one)) for one in mine if one.reason is None and panel.value(one) is not None]
    if unended:
        axes.plot(*zip(*unended, strict=True), "o", color="white", markeredgecolor=colour, markersize=5, zorder=4)
    if panel.limit is not None:
        axes.axhline(panel.limit, color=ALARM, linewidth=1, linestyle=(0, (5, 3)))
        at = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(f"limit {words.number(panel.limit)}°", (0, panel.limit), (3, -9), color=ALARM, fontsize=8, **at)
    axes.set_title(panel.title)
    low, high = axes.get_ylim()
    if panel.floor is not None:
        axes.set_ylim(panel.floor, panel.ceiling or high * 1.05)
    else:
        room = max(0.15 * (high - low), 0.05 * max(abs(high), 1.0))
        axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    if panel.names[0]:
        axes.legend(loc="lower right", handlelength=1.6, ncols=2, fontsize=8, borderpad=0.1)


def _points(mine: Sequence[Summary], of: Callable[[Summary], float | None], skipped: Sequence[date]) -> tuple[list[datetime], list[float]]:
    """Times and values with a gap where a value is not known, and where nothing was trained between."""
    times: list[datetime] = []
    values: list[float] = []
    for one in mine:
        here, value = _local(one.started_utc or 0.0), of(one)
        if times and (here - times[-1] > timedelta(APART_DAYS) or any(times[-1] < _noon(monday) < here for monday in skipped)):
            times.append(here - timedelta(seconds=1))
            values.append(NOTHING)
        times.append(here)
        values.append(NOTHING if value is None else value)
    return times, values


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
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    axes.set_title("Warnings a session")
    if not any(cautions) and not any(stops) and not near and not falls:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", color=SOFT)
        return
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


def _date_axis(axes: Axes, width: Width) -> None:
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=5 if width is DESK else 7))
    axes.xaxis.set_major_formatter(FuncFormatter(_day_name))


def _day_name(day: float, _: object) -> str:
    there = mdates.num2date(day)
    return f"{there.day} {there:%b}"
