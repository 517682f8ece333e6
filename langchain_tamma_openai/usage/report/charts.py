"""The charts of a report, made with Altair from a report's data. No I/O.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart. Text and
lines have no colour of their own: the page gives them that of its theme.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.usage.report.data import OTHERS, Ranking, ReportData, label
from langchain_tamma_openai.usage.summary import UsageGroup

if TYPE_CHECKING:
    import altair as alt

Rows = list[dict[str, Any]]

COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8C8C00",
    "#7A6FD6",
    "#999999",
)
_SERIES = 8
_HEIGHT = 240
_BAR_HEIGHT = 24
_TITLES = {
    "model": "Cost by model",
    "user_id": "Cost by user",
    "organization_id": "Cost by organization",
    "tag": "Cost by tag",
}
_KINDS = ("fresh input", "cached input", "cache writes", "output", "reasoning")
_ENDINGS = ("error", "interrupted", "cancelled")


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        name: For the page's anchors.
        title: Above it.
        description: What it shows, for those who cannot see it.
        chart: Altair's.
        is_wide: Whether it wants the whole width.
    """

    name: str
    title: str
    description: str
    chart: alt.TopLevelMixin
    is_wide: bool = False


def charts(data: ReportData) -> Iterator[Chart]:
    """Make the charts for which there is something to show.

    Args:
        data: What the report says.
    """
    if not data.by_time:
        return
    yield _cost_over_time(data)
    if data.forecast is not None or data.budget_usd is not None:
        yield _burn_down(data)
    for ranking in data.rankings:
        yield _ranked(ranking)
    yield _tokens(data)
    if data.latency:
        yield _times(data, "latency", "Latency", "Time from the start of a run to its end")
    if data.first_token:
        yield _times(data, "first-token", "Time to the first token", "Time to the first chunk")
    yield _errors(data)


def _alt() -> Any:
    import altair as alt

    return alt


def _moment(text: str | None) -> str:
    """Give the start of a period as JavaScript reads it."""
    parts = (text or "1970-01-01").removesuffix("Z")
    return datetime.fromisoformat(parts if parts[7:] else f"{parts}-01").isoformat() + "Z"


def _time_axis(data: ReportData) -> Any:
    alt = _alt()
    form = {"hour": "%d %b %H:%M", "day": "%d %b", "month": "%b %Y"}[data.period]
    axis = alt.Axis(title=None, format=form, labelOverlap=True, grid=False, tickCount=8)
    return alt.X("time:T", axis=axis, scale=alt.Scale(type="utc"))


def _bar_width(data: ReportData) -> dict[str, Any]:
    periods = max(1, len(data.by_time))
    return {"size": max(2, min(28, round(560 / periods)))}


def _cost_over_time(data: ReportData) -> Chart:
    alt = _alt()
    totals: dict[str, float] = defaultdict(float)
    for group in data.by_time_and_model:
        totals[label(group.key["model"])] += float(group.known_total_usd)
    names = sorted(totals, key=lambda name: -totals[name])
    shown = names[:_SERIES]
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for group in data.by_time_and_model:
        name = label(group.key["model"])
        place = _moment(group.key[data.period]), name if name in shown else OTHERS
        sums[place] += float(group.known_total_usd)
    rows: Rows = [{"time": time, "model": model, "usd": usd} for (time, model), usd in sums.items()]
    order = [*shown, *([OTHERS] if len(names) > _SERIES else [])]
    chart = (
        alt.Chart(alt.Data(values=rows), height=_HEIGHT)
        .mark_bar(**_bar_width(data))
        .encode(
            x=_time_axis(data),
            y=alt.Y("usd:Q", title="US dollars", axis=_money_axis()),
            color=_colour("model", order),
            order=alt.Order("rank:O") if False else alt.Undefined,
            tooltip=[
                alt.Tooltip("time:T", title=data.period, format="%Y-%m-%d %H:%M"),
                alt.Tooltip("model:N"),
                alt.Tooltip("usd:Q", title="US dollars", format=",.6~f"),
            ],
        )
    )
    text = (
        f"Stacked bars of cost in US dollars for each {data.period}, by model: {', '.join(order)}."
    )
    return Chart("cost", "Cost over time, by model", text, chart, is_wide=True)


def _money_axis() -> Any:
    return _alt().Axis(format="$,.4~f", tickCount=5)


def _colour(field: str, order: Sequence[str]) -> Any:
    alt = _alt()
    scale = alt.Scale(domain=list(order), range=list(COLOURS[: len(order)]))
    legend = alt.Legend(title=None, orient="top", columns=4, labelLimit=140)
    return alt.Color(f"{field}:N", scale=scale, legend=legend)


def _ranked(ranking: Ranking) -> Chart:
    alt = _alt()
    rows: Rows = [
        {
            "name": label(group.key[ranking.name]),
            "usd": float(group.known_total_usd),
            "requests": group.total_requests,
            "tokens": group.total_tokens,
        }
        for group in ranking.groups
    ]
    if ranking.others:
        name = f"{ranking.others:,} {OTHERS}"
        rows.append({"name": name, "usd": float(ranking.others_usd)})
    order = [row["name"] for row in rows]
    axis = alt.Axis(title=None, labelLimit=160, ticks=False, domain=False)
    chart = (
        alt.Chart(alt.Data(values=rows), height=max(3, len(rows)) * _BAR_HEIGHT)
        .mark_bar(color=COLOURS[0], cornerRadiusEnd=2)
        .encode(
            x=alt.X("usd:Q", title="US dollars", axis=_money_axis()),
            y=alt.Y("name:N", sort=order, axis=axis),
            tooltip=[
                alt.Tooltip("name:N"),
                alt.Tooltip("usd:Q", title="US dollars", format=",.6~f"),
                alt.Tooltip("requests:Q", format=","),
                alt.Tooltip("tokens:Q", format=","),
            ],
        )
    )
    first = f"; the dearest is {order[0]}" if order else ""
    title = _TITLES[ranking.name]
    return Chart(
        f"by-{ranking.name.removesuffix('_id')}", title, f"{title}, as bars{first}.", chart
    )


def _tokens(data: ReportData) -> Chart:
    alt = _alt()
    rows: Rows = []
    for group in data.by_time:
        time = _moment(group.key[data.period])
        rows += [
            {"time": time, "kind": kind, "tokens": number}
            for kind, number in zip(_KINDS, token_kinds(group), strict=True)
            if number
        ]
    chart = (
        alt.Chart(alt.Data(values=rows), height=_HEIGHT)
        .mark_bar(**_bar_width(data))
        .encode(
            x=_time_axis(data),
            y=alt.Y("tokens:Q", title="tokens", axis=alt.Axis(format="~s", tickCount=5)),
            color=_colour("kind", _KINDS),
            tooltip=[
                alt.Tooltip("time:T", title=data.period, format="%Y-%m-%d %H:%M"),
                alt.Tooltip("kind:N"),
                alt.Tooltip("tokens:Q", format=","),
            ],
        )
    )
    cached = data.total.cached_tokens / data.total.input_tokens if data.total.input_tokens else 0
    text = f"Stacked bars of tokens for each {data.period}; {cached:.0%} of the input was cached."
    return Chart("tokens", "Tokens by kind", text, chart, is_wide=True)


def token_kinds(group: UsageGroup) -> tuple[int, int, int, int, int]:
    """Split tokens into disjoint kinds: fresh, cached and written input, output, reasoning.

    Args:
        group: The sums.
    """
    fresh = max(0, group.input_tokens - group.cached_tokens - group.cache_write_tokens)
    written = max(0, group.output_tokens - group.reasoning_tokens)
    return fresh, group.cached_tokens, group.cache_write_tokens, written, group.reasoning_tokens


def _times(data: ReportData, name: str, title: str, what: str) -> Chart:
    alt = _alt()
    found = data.latency if name == "latency" else data.first_token
    rows: Rows = [
        {"time": _moment(each.key[data.period]), "share": share, "s": seconds}
        for each in found
        for share, seconds in (("50 %", each.p50_s), ("90 %", each.p90_s), ("99 %", each.p99_s))
    ]
    chart = (
        alt.Chart(alt.Data(values=rows), height=_HEIGHT)
        .mark_line(point={"size": 18}, strokeWidth=2)
        .encode(
            x=_time_axis(data),
            y=alt.Y("s:Q", title="seconds", axis=alt.Axis(tickCount=5)),
            color=_colour("share", ("50 %", "90 %", "99 %")),
            strokeDash=alt.StrokeDash("share:N", legend=None),
            tooltip=[
                alt.Tooltip("time:T", title=data.period, format="%Y-%m-%d %H:%M"),
                alt.Tooltip("share:N", title="of the runs"),
                alt.Tooltip("s:Q", title="seconds", format=".3~f"),
            ],
        )
    )
    text = (
        f"{what}, in seconds, within which 50, 90 and 99 percent of the runs of a "
        f"{data.period} were."
    )
    return Chart(name, title, text, chart)


def _errors(data: ReportData) -> Chart:
    alt = _alt()
    rows: Rows = []
    for group in data.by_time:
        time = _moment(group.key[data.period])
        retries = max(0, group.total_attempts - group.total_requests)
        counts = {name: getattr(group, f"{name}_requests") for name in _ENDINGS}
        rows += [
            {"time": time, "what": what, "number": number}
            for what, number in {**counts, "retries": retries}.items()
            if number
        ]
    chart = (
        alt.Chart(alt.Data(values=rows), height=_HEIGHT)
        .mark_bar(**_bar_width(data))
        .encode(
            x=_time_axis(data),
            y=alt.Y("number:Q", title="number", axis=alt.Axis(format="~s", tickMinStep=1)),
            color=_colour("what", (*_ENDINGS, "retries")),
            tooltip=[
                alt.Tooltip("time:T", title=data.period, format="%Y-%m-%d %H:%M"),
                alt.Tooltip("what:N"),
                alt.Tooltip("number:Q", format=","),
            ],
        )
    )
    text = (
        f"Failed runs and retries for each {data.period}: {data.total.failed_requests:,} runs did "
        f"not end well, {data.retries:,} requests were retries."
    )
    return Chart("errors", "Errors and retries", text, chart)


def _burn_down(data: ReportData) -> Chart:
    alt = _alt()
    spent, total = [], 0.0
    for group in data.by_time:
        total += float(group.known_total_usd)
        spent.append({"time": _moment(group.key[data.period]), "usd": total, "what": "spent"})
    layers = [
        alt.Chart(alt.Data(values=spent))
        .mark_line(strokeWidth=2, color=COLOURS[0])
        .encode(x=_time_axis(data), y=alt.Y("usd:Q", title="US dollars in all", axis=_money_axis()))
    ]
    if data.forecast is not None:
        layers += _forecast_layers(data, spent[-1])
    if data.budget_usd is not None:
        limit = alt.Data(values=[{"usd": float(data.budget_usd)}])
        layers.append(alt.Chart(limit).mark_rule(color=COLOURS[5], strokeWidth=2).encode(y="usd:Q"))
    chart = alt.layer(*layers, height=_HEIGHT)
    return Chart("budget", "Spending and forecast", _burn_down_text(data), chart)


def _forecast_layers(data: ReportData, last: dict[str, Any]) -> list[Any]:
    alt = _alt()
    assert data.forecast is not None  # noqa: S101 - the caller has looked
    points = [{"time": last["time"], "usd": last["usd"], "low": last["usd"], "high": last["usd"]}]
    points += [
        {"time": p.at.isoformat(), "usd": p.usd, "low": p.low_usd, "high": p.high_usd}
        for p in data.forecast.points
    ]
    base = alt.Chart(alt.Data(values=points))
    band = base.mark_area(opacity=0.18, color=COLOURS[1]).encode(
        x=_time_axis(data), y="low:Q", y2="high:Q"
    )
    line = base.mark_line(strokeDash=[5, 4], strokeWidth=2, color=COLOURS[1]).encode(
        x=_time_axis(data),
        y="usd:Q",
        tooltip=[
            alt.Tooltip("time:T", format="%Y-%m-%d"),
            alt.Tooltip("usd:Q", title="forecast, US dollars", format=",.4~f"),
            alt.Tooltip("low:Q", title="probably not less", format=",.4~f"),
            alt.Tooltip("high:Q", title="probably not more", format=",.4~f"),
        ],
    )
    return [band, line]


def _burn_down_text(data: ReportData) -> str:
    text = "Spending added up, with a straight line continuing it"
    if data.budget_usd is not None:
        text += f"; the limit is ${data.budget_usd:f}"
    if data.forecast is not None and data.forecast.exhausted_at is not None:
        text += f", reached about {data.forecast.exhausted_at:%Y-%m-%d}"
    return f"{text}."
