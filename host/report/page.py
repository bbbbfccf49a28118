"""Puts text and charts together into one page. Nothing in it is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import plotly.offline

from codegen.render import environment
from host.report.figure import INK, LINE, PAPER, Chart, Table


@dataclass(frozen=True)
class MainFigure:
    """A number that matters most, and what it is."""

    value: str
    words: str


def render_page(
    template: str,
    title: str,
    subtitle: str,
    figures: Sequence[MainFigure],
    charts: Sequence[Chart],
    provenance: Table,
    **more: object,
) -> str:
    """The page of ``templates/report/<template>``; ``more`` is what that template shows besides charts."""
    groups = [list(own) for _, own in groupby(charts, key=lambda chart: chart.group or chart.name)]
    return (
        environment()
        .get_template(f"report/{template}")
        .render(
            title=title,
            subtitle=subtitle,
            figures=figures,
            groups=groups,
            provenance=provenance,
            colours={"ink": INK, "paper": PAPER, "line": LINE},
            script=plotly.offline.get_plotlyjs(),
            **more,
        )
    )
