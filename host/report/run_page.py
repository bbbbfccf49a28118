"""The report of a search."""

from __future__ import annotations

from host.report.figure import Chart, Table
from host.report.page import MainFigure, render_page
from host.report.run_charts import pareto_chart, prediction_chart, progress_chart, ratio_chart, sensitivity_charts
from host.report.run_data import RunData


def render_run(data: RunData) -> str:
    """The whole page."""
    best, summary = data.best, data.summary
    board = f" for {data.summary.context['board']}" if "board" in data.summary.context else ""
    return render_page(
        "page.html.j2",
        f"{data.directory.resolve().name}: search of {len(data.summary.tried)} candidates{board}",
        f"Best: trial {best.trial}, pattern {best.pattern}, {1 - best.kept_weights / summary.prunable_weights:.2%} of "
        "the prunable weights zeroed. Chosen without fine-tuning, on calibration rows.",
        _main_figures(data),
        _charts(data),
        _provenance(data),
    )


def _charts(data: RunData) -> list[Chart]:
    prediction = prediction_chart(data)
    return [
        pareto_chart(data),
        progress_chart(data),
        ratio_chart(data),
        *sensitivity_charts(data),
        *([] if prediction is None else [prediction]),
    ]


def _main_figures(data: RunData) -> list[MainFigure]:
    summary, best = data.summary, data.best
    figures = [
        MainFigure(f"{best.score:.5f}", f"best score ({data.score_words}); dense model {summary.dense.score:.5f}")
    ]
    figures += [
        MainFigure(f"{tried.score:.5f}", f"uniform ratios, pattern {tried.pattern}, trial {tried.trial}")
        for tried in data.uniform
    ]
    figures.append(MainFigure(f"{best.ratio:.4f}", "overall pruning ratio of the best"))
    if data.has_latency:
        own, dense = data.position(best), data.dense_position
        figures.append(MainFigure(f"{own.value:.4f} ms", f"latency of the best: {own.source}"))
        figures.append(MainFigure(f"{dense.value:.4f} ms", f"latency of the dense model: {dense.source}"))
    figures.append(
        MainFigure(f"{len(summary.tried)}", f"candidates tried; {len(data.lost)} stopped early in their race")
    )
    if data.measured:
        figures.append(MainFigure(f"{len(data.measured)}", "candidates measured in the loop"))
    return figures


def _provenance(data: RunData) -> Table:
    summary, record = data.summary, data.record
    rows = [
        (
            "Scores",
            f"{summary.rows} calibration rows, objective {summary.objective}; neither dev set nor fine-tuning rows",
        ),
        ("Weights", f"saliency {record.saliency}, compensation {record.compensation}, seed {record.seed}"),
        ("Ratios", "counted from the zeros of best/ and, for other candidates, from the units they keep"),
        ("Dense model", record.source_digest),
        ("Best subnet", record.digest),
        *((name.capitalize(), text) for name, text in summary.context.items()),
        ("Files", "summary.json (every trial), front/front.json, best/subnet.json, study.db (Optuna)"),
        ("Toolkit", summary.toolkit_version),
    ]
    return Table(("What", "From"), tuple(rows), words=2)
