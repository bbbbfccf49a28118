"""Puts text and charts together into one page. Nothing in it is loaded from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path

import plotly.offline

from aebert.report.figure import INK, LINE, PAPER, Chart, ReportTable
from codegen.render import environment


@dataclass(frozen=True)
class MainFigure:
    """A number that matters most, and what it is."""

    value: str
    words: str


@dataclass(frozen=True)
class Link:
    """``address`` is relative to the page, or a section of it (``#name``)."""

    words: str
    address: str


@dataclass(frozen=True)
class Heading:
    """What stands above the figures.

    ``facts``: what the page is about, by name. ``next_step`` is the command that is likely to be next; ``files`` are
    what lies beside the page.
    """

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    next_step: str
    files: Sequence[Link]


def links_to(folder: Path, names: Sequence[str], page: Path) -> list[Link]:
    """Those of ``names`` that are in ``folder``, as links from the file ``page``."""
    found = [folder / name for name in names if (folder / name).exists()]
    start = page.resolve().parent
    return [
        Link(path.relative_to(folder).as_posix(), Path(os.path.relpath(path.resolve(), start)).as_posix())
        for path in found
    ]


def written_now() -> str:
    """The time of writing, to the minute."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def render_page(
    template: str,
    heading: Heading,
    figures: Sequence[MainFigure],
    charts: Sequence[Chart],
    provenance: ReportTable,
    *,
    before: Sequence[Link] = (),
    after: Sequence[Link] = (),
    **more: object,
) -> str:
    """The page of ``templates/report/<template>``; ``more`` is what that template shows besides charts.

    ``before`` and ``after`` are its own sections, for the table of contents.
    """
    groups = [list(own) for _, own in groupby(charts, key=lambda chart: chart.group or chart.name)]
    drawn = [Link(_group_title(own), f"#{own[0].name}-title") for own in groups]
    return (
        environment()
        .get_template(f"report/{template}")
        .render(
            heading=heading,
            contents=[*before, *drawn, *after, Link("Where the figures come from", "#provenance")],
            figures=figures,
            groups=[(_group_title(own), own) for own in groups],
            provenance=provenance,
            colours={"ink": INK, "paper": PAPER, "line": LINE},
            script=plotly.offline.get_plotlyjs(),
            **more,
        )
    )


def _group_title(charts: Sequence[Chart]) -> str:
    title = charts[0].title
    return title.partition(":")[0] if len(charts) > 1 else title
