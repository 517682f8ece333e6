"""The picture: CPU time of each case as a share of `ChatOpenAI`'s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import altair as alt
import vl_convert
from bench_cases import LIBRARIES, OURS
from bench_results import Results, ratio
from bench_tables import LABELS

_GREY: Final = "#7d8590"  # readable on white and on black
_COLOURS: Final = {OURS: "#2f81f7", "chat_openai": _GREY, "litellm": "#a371f7", "sdk": "#d29922"}
_WIDEST: Final = 3.0
_PEER: Final = "chat_openai"


def write_plot(results: Results, path: Path) -> str:
    """Write the picture as SVG; return what it shows, in words, for those who cannot see it."""
    rows = _rows(results)
    names = [name for name in LIBRARIES if name in {row["name"] for row in rows}]
    svg = vl_convert.vegalite_to_svg(_chart(rows, names).to_dict())
    path.write_text(svg + "\n", encoding="utf-8")
    return _in_words(results)


def _rows(results: Results) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for case, series in results.items():
        for name in LIBRARIES:
            share = ratio(results, case.name, name, _PEER, "cpu") if name in series else None
            if share is not None:
                rows.append(_bar(case.title, name, share))
    return rows


def _bar(case: str, name: str, share: float) -> dict[str, object]:
    cut = " (cut)" if share > _WIDEST else ""
    return {
        "case": case,
        "name": name,
        "library": LABELS[name],
        "share": min(share, _WIDEST),
        "label": f"{share:.2f}{cut}",
    }


def _chart(rows: list[dict[str, object]], names: Sequence[str]) -> alt.LayerChart:
    labels = [LABELS[name] for name in names]
    colours = alt.Scale(domain=labels, range=[_COLOURS[name] for name in names])
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("case:N", sort=None, title=None),
        yOffset=alt.YOffset("library:N", sort=labels),
        x=alt.X("share:Q", title="CPU time, ChatOpenAI = 1 (shorter is better)"),
    )
    bars = base.mark_bar().encode(
        color=alt.Color("library:N", scale=colours, title=None, sort=labels)
    )
    texts = base.mark_text(align="left", dx=3, fontSize=9, color=_GREY).encode(text="label:N")
    grey = {"labelColor": _GREY, "titleColor": _GREY, "domainColor": _GREY, "gridColor": _GREY}
    chart = alt.layer(bars, texts).properties(width=520, height=alt.Step(11))
    styled: alt.LayerChart = (
        chart.configure(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(**grey, gridOpacity=0.25, labelLimit=320)
        .configure_legend(labelColor=_GREY, orient="top")
    )
    return styled


def _in_words(results: Results) -> str:
    found = [
        f"{case.title} {share:.2f}"
        for case in results
        if (share := ratio(results, case.name, OURS, _PEER, "cpu")) is not None
    ]
    return f"CPU time of ChatTammaOpenAI as a share of ChatOpenAI's: {'; '.join(found)}"
