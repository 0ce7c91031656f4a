"""The plots, as options of Apache ECharts, which NiceGUI brings along. What is unknown is shaded and said, never joined by a line."""

from datetime import datetime, timedelta
from typing import Any

from guardian.station.pages.viewer import Viewer
from guardian.station.tables import Trace
from guardian.verdict import Obstacle

FAR_M = 4.0  # the ranger's range: nothing in it is drawn on this line
NEAR_M = 0.5  # "within arm's reach" on every exercise's plot; the device's own limit is exercises.*.near_m (stairs: 0.25)
GAP = timedelta(seconds=90)  # longer without a point: nobody knows what was between (outside a session there is one a minute)
LINE, OTHER, FAINT, NEAR, UNKNOWN = "#1b8a6b", "#8b7bcb", "rgba(127,136,139,0.28)", "rgba(195,32,45,0.13)", "rgba(107,90,168,0.20)"

Options = dict[str, Any]


def distance(viewer: Viewer, trace: list[Trace], since: datetime, until: datetime) -> Options:
    """The space behind over time."""
    name = viewer.say("plot.distance")
    areas = []
    for begin, end in unknown(trace, since, until):
        wide = end - begin > (until - since) / 6  # enough for the word
        said = viewer.say("plot.unknown") if wide else ""
        areas.append([{"xAxis": _ms(begin), "name": said, "itemStyle": {"color": UNKNOWN}}, {"xAxis": _ms(end)}])
    label = {"position": "insideBottomLeft"}
    near = [{"yAxis": 0, "name": viewer.say("plot.near"), "itemStyle": {"color": NEAR}, "label": label}, {"yAxis": NEAR_M}]
    marks = {"silent": True, "label": {"fontSize": 12, "position": "insideTop", "textBorderWidth": 0}, "data": [near, *areas]}
    series = {
        **_line(name, [[_ms(at), value] for at, value in points(trace)]),
        "areaStyle": {"color": LINE, "opacity": 0.08},
        "markArea": marks,
    }
    return {**_frame(since, until), "yAxis": {**_axis(), "min": 0, "max": FAR_M, "interval": 1}, "series": [series]}


def session(viewer: Viewer, trace: list[Trace], since: datetime, until: datetime) -> Options:
    """Steps a minute and steps of a session over time."""
    cadence, steps = viewer.say("plot.cadence"), viewer.say("plot.steps")
    return {
        **_frame(since, until),
        "legend": {"top": 0, "itemGap": 24, "icon": "roundRect"},
        "yAxis": [{**_axis(), "min": 0}, {**_axis(), "min": 0, "splitLine": {"show": False}}],
        "series": [
            _line(cadence, [[_ms(one.at), round(one.cadence, 1)] for one in trace]),
            {**_line(steps, [[_ms(one.at), one.steps] for one in trace], OTHER, "dashed"), "yAxisIndex": 1},
        ],
    }


def points(trace: list[Trace]) -> list[tuple[datetime, float | None]]:
    """What is drawn: the distance, the range where nothing is in it, None where nobody knows."""
    drawn: list[tuple[datetime, float | None]] = []
    for before, one in zip([None, *trace], trace, strict=False):
        if before is not None and one.at - before.at > GAP:
            drawn.append((before.at + (one.at - before.at) / 2, None))
        value = None if one.obstacle == Obstacle.UNKNOWN else FAR_M if one.distance_m is None else min(one.distance_m, FAR_M)
        drawn.append((one.at, value))
    return drawn


def unknown(trace: list[Trace], since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """The times in which nobody knew what was behind: the device itself, or we, who did not hear it."""
    spans: list[tuple[datetime, datetime]] = []

    def add(begin: datetime, end: datetime) -> None:
        if spans and spans[-1][1] >= begin:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((begin, end))

    before = since
    blind = True  # what came before the first point is not known
    for one in trace:
        if blind or one.at - before > GAP:
            add(before, one.at)
        before, blind = one.at, one.obstacle == Obstacle.UNKNOWN
    if blind or until - before > GAP:
        add(before, until)
    return [span for span in spans if (span[1] - span[0]).total_seconds() >= 1]


def _frame(since: datetime, until: datetime) -> Options:
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 34, "right": 34, "top": 28, "bottom": 26},
        "tooltip": {"trigger": "axis", "confine": True},
        "xAxis": {
            "type": "time",
            "min": _ms(since),
            "max": _ms(until),
            "splitNumber": 4,
            "axisLabel": {"hideOverlap": True, "fontSize": 12},
            "axisLine": {"lineStyle": {"color": FAINT}},
        },
    }


def _axis() -> Options:
    return {
        "type": "value",
        "axisLabel": {"fontSize": 12},
        "splitLine": {"lineStyle": {"color": FAINT}},
    }


def _line(name: str, data: list[list[Any]], color: str = LINE, kind: str = "solid") -> Options:
    return {
        "type": "line",
        "name": name,
        "data": data,
        "showSymbol": False,
        "connectNulls": False,
        "lineStyle": {"color": color, "width": 2.5, "type": kind},
        "itemStyle": {"color": color},
    }


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)
