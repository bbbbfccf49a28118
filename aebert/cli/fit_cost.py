"""``aebert fit-cost``: the cost model, fitted to what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from aebert.cli.names import complete_board
from aebert.cli.output import current_output
from aebert.cli.runs import SOURCES, database_option
from aebert.records.source_kind import SourceKind
from aebert.support.errors import AebertError


@click.command(name="fit-cost")
@click.option(
    "--board", required=True, shell_complete=complete_board, help="Name of a board, or the path of a .toml file."
)
@click.option(
    "--source", "sources", metavar="KIND,...", help=f"Use only runs from these: {', '.join(SOURCES)} [default: all]."
)
@database_option
@click.option("-o", "--output", "path", required=True, type=click.Path(path_type=Path), help="JSON file of the model.")
@click.option("--plot", "plot_path", type=click.Path(path_type=Path), help="HTML page: predicted against measured.")
@click.option("--force", is_flag=True, help="Replace the model in the file even if it is better.")
def command(
    board: str, sources: str | None, database: str | None, path: Path, plot_path: Path | None, force: bool
) -> None:
    """Fit the cost model of BOARD to the runs in a database, and say how far it is off for a design it has not seen.

    Runs of other boards, tools and sources count too, as far as they agree; a few of a new board already help. A model
    in the file that predicts better is kept.

    Example: aebert measure project --store && aebert fit-cost --board u200 -o u200.json --plot u200.html
    """
    from aebert.cost_model.fit_records import compare, fit_records, require_no_worse
    from aebert.cost_model.fitted_model import read_model, write_model
    from aebert.design.board import load_board
    from aebert.records.database import open_database
    from aebert.report.cost_model_fit import report_lines, write_plot

    output = current_output()
    chosen = _sources(sources)
    name = load_board(board).name
    old = read_model(path) if path.exists() and not force else None
    runs = open_database(database, create=False)
    records = runs.query()
    runs.close()
    fitted = fit_records(records, name, chosen, track=lambda names: output.track(names, "fitting"))
    for line in report_lines(fitted):
        output.result(line)
    changes = () if old is None else compare(old, fitted.model, records)
    output.result(
        board=name,
        sources=chosen,
        quantities={each.quantity.name: _summary(each.held_out.errors.tolist()) for each in fitted.runs},
        compared=changes,
    )
    if old is not None:
        require_no_worse(old, fitted.model, records, str(path))
    for change in changes:
        output.note(f"{change.quantity}: mean error {change.old:.2%} -> {change.new:.2%} over {change.runs} runs")
    write_model(path, fitted.model)
    output.wrote(path)
    if plot_path is not None:
        write_plot(plot_path, fitted)
        output.wrote(plot_path)


def _sources(text: str | None) -> tuple[SourceKind, ...]:
    wanted = [part.strip() for part in text.split(",")] if text else []
    for part in wanted:
        if part not in SOURCES:
            raise AebertError(f"--source {part!r}: unknown; use some of {', '.join(SOURCES)}")
    return tuple(kind for kind in get_args(SourceKind) if kind in wanted)


def _summary(errors: list[float]) -> dict[str, float]:
    import numpy as np

    median, high = np.percentile(errors, [50, 90]).tolist()
    return {"runs": len(errors), "median_error": median, "p90_error": high}
