"""Colours of charts, in light and dark. Series can be told apart by people who are colour-blind.

The hues are those of Okabe and Ito, made darker on the light ground and brighter on the dark one so
that each has a contrast of at least 3:1 to its ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

Spec: TypeAlias = dict[str, object]
"""A part of a Vega-Lite specification."""

FONT: Final = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
IMAGE_FONT: Final = "Liberation Sans, DejaVu Sans, Arial, sans-serif"
_SMALL: Final = 11


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of one mode.

    Attributes:
        series: For up to seven series.
        others: For all that are not told apart.
        none: For runs without a value.
        text: Of labels.
        faint: Of axes.
        grid: Of grid lines.
        ground: Behind everything.
        strong: Of rules and lines that must be seen.
    """

    series: tuple[str, ...]
    others: str
    none: str
    text: str
    faint: str
    grid: str
    ground: str
    strong: str

    def params(self) -> list[Spec]:
        """Give the colours as parameters that charts refer to."""
        return [
            {"name": "series", "value": [*self.series, self.others, self.none]},
            {"name": "strong", "value": self.strong},
            {"name": "faint", "value": self.faint},
        ]

    def config(self, font: str = FONT) -> Spec:
        """Give Vega-Lite's `config`.

        Args:
            font: Names of fonts.
        """
        labels: Spec = {"labelColor": self.text, "titleColor": self.text, "labelFontSize": _SMALL}
        axis: Spec = {
            **labels,
            "domainColor": self.faint,
            "gridColor": self.grid,
            "labelOverlap": "greedy",
            "labelSeparation": 6,
            "tickColor": self.faint,
            "titleFontSize": _SMALL,
            "titleFontWeight": "normal",
            "titlePadding": 8,
        }
        legend: Spec = {
            **labels,
            "labelLimit": 180,
            "orient": "bottom",
            "columnPadding": 14,
            "symbolType": "square",
            "symbolStrokeWidth": 0,
            "symbolOpacity": 1,
            "title": None,
            "offset": 12,
        }
        return {
            "background": "transparent",
            "font": font,
            "axis": axis,
            "axisX": {"grid": False},
            "legend": legend,
            "title": {"color": self.text, "anchor": "start", "fontSize": 15, "offset": 12},
            "view": {"stroke": None},
        }


LIGHT: Final = Theme(
    series=("#0067a5", "#c05a00", "#00805c", "#a8487f", "#2f8fc9", "#8a7400", "#6a51a3"),
    others="#7a828c",
    none="#9aa3ad",
    text="#3b434d",
    faint="#8a939d",
    grid="#e4e8ec",
    ground="#ffffff",
    strong="#1b232c",
)
DARK: Final = Theme(
    series=("#4aa8e8", "#f0944d", "#2fbf93", "#e08abb", "#8fd0f5", "#d9c24a", "#b09bea"),
    others="#9aa4af",
    none="#747e89",
    text="#c9d1d9",
    faint="#7d8792",
    grid="#2a313a",
    ground="#14181d",
    strong="#f0f3f6",
)
THEMES: Final = {"light": LIGHT, "dark": DARK}
MAX_SERIES: Final = len(LIGHT.series)
OTHERS_PLACE: Final = MAX_SERIES
NONE_PLACE: Final = MAX_SERIES + 1
