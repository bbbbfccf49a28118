"""What every chart of a report has, and how all of them look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

# Okabe and Ito's palette, told apart by the colour-blind; every use has a symbol, a pattern or a label besides.
BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW, GREY = OKABE_ITO = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999",
)  # fmt: skip
PATTERNS = ("", "/", "\\", "x", "-", "|", "+", ".")
SYMBOLS = (
    "circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "hexagon", "pentagon",
    "hourglass", "bowtie",
)  # fmt: skip
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
# Stand for the page's own colours, which the page puts in their place as it is light or dark (charts.js.j2).
INK, PAPER, LINE = "#010203", "#fdfeff", "#0a0b0c"
_MARGIN = {"l": 10, "r": 10, "t": 10, "b": 10}


@dataclass(frozen=True)
class ReportTable:
    """The figures of a chart for those who cannot see it. The first ``words`` columns are text, the others numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True)
class Chart:
    """A chart, the sentence that says what it shows, and where its figures come from. ``name`` is unique on the page.

    ``group``: charts of one group, one after another, share a heading, ``caption`` and ``source``, those of the first.
    ``narrowest``: the pixels that it needs in width; on less paper it is scrolled sideways.
    """

    name: str
    title: str
    caption: str
    source: str
    figure: go.Figure
    table: ReportTable
    group: str = ""
    narrowest: int = 0


def lay_out(figure: go.Figure, height: int, x: str = "", y: str = "") -> go.Figure:
    """The looks that all charts share; titles of the axes in ``x`` and ``y``."""
    axis = {"gridcolor": LINE, "zerolinecolor": LINE, "linecolor": LINE, "automargin": True}
    figure.update_layout(
        template="none",
        height=height,
        margin=_MARGIN,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12},
        hoverlabel={"bgcolor": PAPER, "bordercolor": INK, "font": {"color": INK}, "align": "left"},
        hovermode="closest",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0},
        uirevision="kept",
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    if x:
        figure.update_xaxes(title={"text": x, "standoff": 8})
    if y:
        figure.update_yaxes(title={"text": y, "standoff": 8})
    return figure


def heat_map(
    values: Sequence[Sequence[float]],
    columns: Sequence[str],
    rows: Sequence[str],
    title: str,
    hover: str,
    *,
    digits: int = 2,
    highest: float | None = None,
    extra: Sequence[Sequence[float]] | None = None,
) -> go.Figure:
    """Numbers on Cividis, rows downwards. ``hover`` is Plotly's template; ``extra`` its ``customdata``."""
    figure = go.Figure(
        go.Heatmap(
            z=[list(row) for row in values],
            x=list(columns),
            y=list(rows),
            text=[[f"{value:.{digits}f}" for value in row] for row in values],
            texttemplate="%{text}",
            textfont={"size": 11},
            customdata=extra,
            hovertemplate=hover + "<extra></extra>",
            colorscale="Cividis",
            zmin=0,
            zmax=highest,
            xgap=1,
            ygap=1,
            colorbar={"title": {"text": title, "side": "right"}, "thickness": 12, "outlinewidth": 0},
        )
    )
    lay_out(figure, 110 + 30 * len(rows))
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, tickangle=-30)
    return figure


def heat_map_width(columns: int) -> int:
    """Pixels that keep the numbers of a heat map apart."""
    return 80 + 44 * columns


def matrix_table(
    corner: str, columns: Sequence[str], rows: Sequence[str], values: Sequence[Sequence[float]]
) -> ReportTable:
    """The numbers of a heat map."""
    return ReportTable(
        (corner, *columns),
        tuple((row, *(f"{value:.4f}" for value in own)) for row, own in zip(rows, values, strict=True)),
    )
