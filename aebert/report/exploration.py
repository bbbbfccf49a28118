"""An exploration as a table, a plot and a file of sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from aebert.cost_model.spread import Spread, combine
from aebert.cost_model.uncertainty import CLOSED_FORM, clock_spread
from aebert.design.board_fit import RESOURCES, TITLES
from aebert.design.design_file import DesignFile, write_design_file
from aebert.explore.step import Exploration, ExploredDesign
from aebert.support.atomic_files import write_text
from aebert.support.text_table import text_table

SOURCE = "predicted (closed form)"
_PLOTTED_POINTS = 4000
_HEADER = (
    "T x BN x BK",
    "slices",
    "engines",
    "LUT lanes",
    "word",
    "units",
    "SLRs",
    "batch",
    "FIFO",
    "MHz",
    "ms",
    "seq/s",
    "seq/s/kDSP",
    "lanes",
)


def front_table(candidates: Sequence[ExploredDesign]) -> str:
    """The front as text; T tokens x BN output lanes x BK input lanes, in how many slices the units behind the array
    take a row of tokens, how many engines share the tokens, how many input lanes multiply in LUTs, FIFO depths of
    tiles/sums."""
    header = (*_HEADER, *(TITLES[name] for name in RESOURCES))
    return text_table(header, map(_row, candidates), left=())


def _row(candidate: ExploredDesign) -> tuple[str, ...]:
    config = candidate.config
    return (
        f"{config.tokens}x{config.out_lanes}x{config.in_lanes}",
        str(config.row_slices),
        str(config.engines),
        str(config.lut_lanes),
        str(8 * config.word_bytes),
        str(candidate.compute_units),
        str(candidate.slrs),
        str(candidate.batch),
        f"{config.tile_fifo}/{config.sums_fifo}",
        f"{candidate.clock_mhz:.0f}",
        f"{candidate.latency_ms:.3f}",
        f"{candidate.sequences_per_s:.0f}",
        f"{candidate.sequences_per_s_per_kdsp:.1f}",
        f"{candidate.lane_utilisation:.0%}",
        *(f"{share:.0%}" for share in candidate.shares),
    )


def candidate_facts(candidate: ExploredDesign) -> dict[str, object]:
    """What the table shows, by name; shares of the board by resource, the interval of the latency."""
    shares = dict(zip(RESOURCES, candidate.shares, strict=True))
    spread = _latency_spread(candidate.slrs)
    interval = {
        "latency_low_ms": candidate.latency_ms * spread.low,
        "latency_high_ms": candidate.latency_ms * spread.high,
    }
    return {**{field.name: getattr(candidate, field.name) for field in fields(candidate)}, "shares": shares, **interval}


def interval_lines(candidates: Sequence[ExploredDesign]) -> list[str]:
    """How far the latencies of ``candidates`` may be off, and why: on one die, and on several."""
    dies = sorted({min(candidate.slrs, 2) for candidate in candidates})
    return [_interval_line(number) for number in dies]


def _interval_line(dies: int) -> str:
    spread = _latency_spread(dies)
    which = "on one SLR" if dies == 1 else "on several SLRs"
    return (
        f"{which}: nine of ten latencies are expected between {spread.low:.2f} and {spread.high:.2f} of those "
        f"predicted ({spread.basis})"
    )


def _latency_spread(dies: int) -> Spread:
    return combine(CLOSED_FORM, clock_spread(dies).inverse)


def write_best(path: Path, best: ExploredDesign, board: str, what: str) -> None:
    """The sizes of ``best`` for ``aebert generate --config``. ``what``: the workload, in words."""
    design = DesignFile(board, best.clock_mhz, best.compute_units, best.config)
    comment = (
        f"Written by aebert explore: {what}; {best.latency_ms:.3f} ms, {best.sequences_per_s:.0f} sequences/s, {SOURCE}"
    )
    write_design_file(path, design, comment=" ".join(comment.split()))


def write_plot(path: Path, exploration: Exploration, title: str) -> None:
    """One HTML page that opens without a network: every kind of point, thinned out, and the front."""
    import plotly.graph_objects as go

    predictions, front = exploration.predictions, exploration.front
    count = len(predictions.latency_ms)
    shown = np.unique(np.linspace(0, count - 1, min(count, _PLOTTED_POINTS)).astype(np.int64))
    candidates = [exploration.candidate(index) for index in front.tolist()]
    figure = go.Figure(
        [
            go.Scattergl(
                x=predictions.latency_ms[shown].round(4).tolist(),
                y=predictions.sequences_per_s[shown].round(2).tolist(),
                mode="markers",
                name=f"{len(shown)} of {count} points that fit",
                marker={
                    "size": 4,
                    "opacity": 0.35,
                    "color": (100 * predictions.share[shown]).round(1).tolist(),
                    "colorscale": "Viridis",
                    "colorbar": {"title": "% of the scarcest<br>resource"},
                },
                hoverinfo="skip",
            ),
            go.Scatter(
                x=[candidate.latency_ms for candidate in candidates],
                y=[candidate.sequences_per_s for candidate in candidates],
                mode="markers",
                name="Pareto front (latency, throughput, share of the board)",
                marker={"size": 10, "symbol": "diamond", "color": "crimson"},
                text=[_hover(candidate) for candidate in candidates],
                hovertemplate="%{text}<extra></extra>",
            ),
        ]
    )
    figure.update_layout(
        title=f"{title}: {SOURCE}",
        xaxis={"title": "latency of one sequence, ms", "type": "log"},
        yaxis={"title": "throughput, sequences/s", "type": "log"},
        legend={"orientation": "h", "y": -0.15},
        template="plotly_white",
    )
    write_text(path, figure.to_html(include_plotlyjs=True, full_html=True, div_id="exploration"))


def _hover(candidate: ExploredDesign) -> str:
    return "<br>".join(
        f"{name}: {value}"
        for name, value in zip((*_HEADER, *(TITLES[name] for name in RESOURCES)), _row(candidate), strict=True)
    )
