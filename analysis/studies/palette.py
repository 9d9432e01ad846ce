"""The look that all charts share: colours that colour-blind readers can tell apart, quiet axes."""

from __future__ import annotations

from typing import Any

# Okabe and Ito's palette, without its yellow, which is too light on white.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D"]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"]

CONFIG: dict[str, Any] = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"gridColor": "#e6e6e6", "domainColor": "#888", "tickColor": "#888", "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"},
    "legend": {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "symbolSize": 90},
    "header": {"labelFontSize": 12, "titleFontSize": 12, "labelFontWeight": "bold"},
}  # fmt: skip
