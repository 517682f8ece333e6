"""Charts as Vega-Lite specifications: pure functions from points to what Vega draws.

Names that came from outside are only ever data and domains of scales, never parts of expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from langchain_tamma_openai.usage.report.figures import TimeStep
from langchain_tamma_openai.usage.report.theme import Spec

HEIGHT: Final = 250
_TIME_UNITS: Final = {
    "hour": "utcyearmonthdatehours",
    "day": "utcyearmonthdate",
    "month": "utcyearmonth",
}
_TIME_FORMATS: Final = {"hour": "%-d %b %H:%M", "day": "%-d %b", "month": "%b %Y"}
_FULL_TIMES: Final = {"hour": "%Y-%m-%d %H:%M UTC", "day": "%a %Y-%m-%d", "month": "%B %Y"}
_ROW_PX: Final = 26
_FEW_POINTS: Final = 45
_TICKS: Final = "max(2, width / 90)"
_LABEL_PX: Final = "width < 260 ? 96 : 180"
_COLUMNS: Final = "max(1, floor(width / 150))"
WIDTH_RULES: Final[Mapping[str, Callable[[int], float]]] = {
    _TICKS: lambda width: max(2, width / 90),
    _LABEL_PX: lambda _width: 180,
    _COLUMNS: lambda width: max(1, width // 150),
}
"""The rules by which a chart depends on its width, for drawings whose width is known before."""


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour stands for.

    Attributes:
        label: Its name, different from that of all others.
        color: Its place among the colours of the theme.
    """

    label: str
    color: int


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a series.

    Attributes:
        at: When; None where time plays no part.
        series: The label of its series.
        value: What is drawn.
        shown: What a tooltip says.
        order: Place in a stack, from the bottom.
    """

    at: datetime | None
    series: str
    value: float
    shown: str
    order: int = 0


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of values.

    Attributes:
        title: What it counts, with its unit.
        format: As d3-format writes numbers.
    """

    title: str
    format: str = "~s"


def stacked_bars(
    points: Sequence[Point], series: Sequence[Series], step: TimeStep, axis: Axis
) -> Spec:
    """Draw values over time as stacked bars.

    Args:
        points: The values.
        series: In the order of the legend and of the stacks.
        step: What a bar stands for.
        axis: The values' axis.
    """
    return {
        **_base(points),
        "height": HEIGHT,
        "mark": {"type": "bar", "aria": False, "cornerRadiusEnd": 1},
        "encoding": {
            "x": _time(step),
            "y": _value(axis),
            "color": _color(series),
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [_moment(step), _name(), {"field": "shown", "title": axis.title}],
        },
    }


def lines(points: Sequence[Point], series: Sequence[Series], step: TimeStep, axis: Axis) -> Spec:
    """Draw values over time as lines with points, each kind of point of its own shape.

    Args:
        points: The values.
        series: In the order of the legend.
        step: What a point stands for.
        axis: The values' axis.
    """
    few = len({point.at for point in points}) <= _FEW_POINTS
    return {
        **_base(points),
        "height": HEIGHT,
        "mark": {
            "type": "line",
            "aria": False,
            "interpolate": "monotone",
            "strokeWidth": 2,
            "point": {"size": 28 if few else 8, "filled": True},
        },
        "encoding": {
            "x": _time(step),
            "y": _value(axis),
            "color": {**_color(series), "legend": {"symbolType": "circle"}},
            "tooltip": [_moment(step), _name(), {"field": "shown", "title": axis.title}],
        },
    }


def ranked_bars(points: Sequence[Point], series: Sequence[Series], axis: Axis) -> Spec:
    """Draw one bar for each series, the first at the top.

    Args:
        points: The values.
        series: In order.
        axis: The values' axis.
    """
    return {
        **_base(points),
        "height": _ROW_PX * max(len(series), 1),
        "mark": {"type": "bar", "aria": False, "cornerRadiusEnd": 2, "height": {"band": 0.72}},
        "encoding": {
            "x": _value(axis),
            "y": _rows(),
            "color": {**_color(series), "legend": None},
            "tooltip": [_name(), {"field": "shown", "title": axis.title}],
        },
    }


def ranges(
    points: Sequence[Point], rows: Sequence[str], marks: Sequence[Series], axis: Axis
) -> Spec:
    """Draw a row of marks for each name, joined by a line.

    Args:
        points: The values; `series` is the mark.
        rows: The name of each point's row, in the order of the points.
        marks: In the order of the legend.
        axis: The values' axis.
    """
    spec = _base(points)
    values = [
        {**value, "row": row, "place": place}
        for place, (value, row) in enumerate(zip(_values(points), rows, strict=True))
    ]
    row: Spec = {**_rows(), "field": "row"}
    return {
        **spec,
        "data": {"values": values},
        "height": (_ROW_PX + 6) * len(set(rows)),
        "encoding": {"y": row},
        "layer": [
            {
                "mark": {
                    "type": "rule",
                    "aria": False,
                    "strokeWidth": 3,
                    "color": {"expr": "faint"},
                },
                "encoding": {
                    "x": {"aggregate": "min", "field": "value", "type": "quantitative"},
                    "x2": {"aggregate": "max", "field": "value"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 110, "aria": False, "opacity": 1},
                "encoding": {
                    "x": _value(axis),
                    "color": {**_color(marks), "legend": {"symbolType": "circle"}},
                    "tooltip": [
                        {"field": "row", "title": "model"},
                        _name(),
                        {"field": "shown", "title": axis.title},
                    ],
                },
            },
        ],
    }


def burn_down(
    left: Sequence[Point],
    ahead: Sequence[tuple[datetime, float, float, float, str]],
    ends: tuple[datetime, datetime, datetime],
    step: TimeStep,
) -> Spec:
    """Draw what is left of a budget, and the forecast with its band.

    Args:
        left: What is left, step by step.
        ahead: Moment, expected, low and high remainder, and what a tooltip says.
        ends: Start of the window, now, and its end.
        step: What a point stands for.
    """
    start, now, end = map(_ms, ends)
    axis = Axis("US dollars left", "$~s")
    time: Spec = {
        "field": "t",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc", "nice": False},
        "axis": {"format": _TIME_FORMATS[step], "tickCount": {"expr": _TICKS}},
    }
    tooltip = [_moment(step), {"field": "shown", "title": "left"}]
    color = {"color": {"expr": "series[0]"}, "aria": False}
    future: Spec = {
        "values": [
            {"t": _ms(at), "value": expected, "low": low, "high": high, "shown": shown}
            for at, expected, low, high, shown in ahead
        ]
    }
    value: Spec = {**_value(axis), "axis": {"format": axis.format, "tickCount": 5}}
    layers: list[Spec] = [
        {
            "data": future,
            "mark": {"type": "area", "opacity": 0.25, **color},
            "encoding": {
                "x": time,
                "y": {**value, "field": "low"},
                "y2": {"field": "high"},
            },
        },
        {
            "data": future,
            "mark": {"type": "line", "strokeDash": [6, 4], "strokeWidth": 2, **color},
            "encoding": {"x": time, "y": value, "tooltip": tooltip},
        },
        {
            "data": {"values": _values(left)},
            "mark": {
                "type": "line",
                "strokeWidth": 2.5,
                "point": {"size": 24, "filled": True, **color},
                **color,
            },
            "encoding": {"x": time, "y": value, "tooltip": tooltip},
        },
        {
            # From end to end, so that the axis shows the whole window.
            "data": {"values": [{"t": start, "t2": end, "value": 0}]},
            "mark": {"type": "rule", "aria": False, "color": {"expr": "strong"}},
            "encoding": {"x": time, "x2": {"field": "t2"}, "y": value},
        },
        {
            "data": {"values": [{"t": now}]},
            "mark": {
                "type": "rule",
                "aria": False,
                "color": {"expr": "faint"},
                "strokeDash": [2, 3],
            },
            "encoding": {"x": time},
        },
    ]
    return {"width": "container", "height": HEIGHT, "layer": layers}


def _base(points: Sequence[Point]) -> Spec:
    return {"width": "container", "data": {"values": _values(points)}}


def _values(points: Sequence[Point]) -> list[Spec]:
    return [
        {
            **({} if point.at is None else {"t": _ms(point.at)}),
            "name": point.series,
            "value": point.value,
            "shown": point.shown,
            "order": point.order,
            "place": place,
        }
        for place, point in enumerate(points)
    ]


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _time(step: TimeStep) -> Spec:
    return {
        "field": "t",
        "type": "temporal",
        "timeUnit": _TIME_UNITS[step],
        "title": None,
        "axis": {"format": _TIME_FORMATS[step], "tickCount": {"expr": _TICKS}},
    }


def _value(axis: Axis) -> Spec:
    return {
        "field": "value",
        "type": "quantitative",
        "title": axis.title,
        "axis": {"format": axis.format, "tickCount": 5},
    }


def _rows() -> Spec:
    return {
        "field": "name",
        "type": "nominal",
        "sort": {"field": "place", "op": "min"},
        "title": None,
        "axis": {"labelLimit": {"expr": _LABEL_PX}, "domain": False, "ticks": False},
    }


def _color(series: Sequence[Series]) -> Spec:
    return {
        "field": "name",
        "type": "nominal",
        "title": None,
        "scale": {
            "domain": [one.label for one in series],
            "range": [{"expr": f"series[{one.color}]"} for one in series],
        },
        "legend": {"columns": {"expr": _COLUMNS}},
    }


def _moment(step: TimeStep) -> Spec:
    return {
        "field": "t",
        "type": "temporal",
        "title": "time",
        "format": _FULL_TIMES[step],
        "formatType": "utc",
    }


def _name() -> Spec:
    return {"field": "name", "title": "series"}
