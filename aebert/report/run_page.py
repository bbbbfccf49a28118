"""The report of a search."""

from __future__ import annotations

import shlex
from importlib.metadata import version
from pathlib import Path

from aebert.report.figure import Chart, ReportTable
from aebert.report.page import Heading, MainFigure, links_to, render_page, written_now
from aebert.report.run_accuracy import run_accuracy_chart
from aebert.report.run_charts import pareto_chart, prediction_chart, progress_chart, ratio_chart, sensitivity_charts
from aebert.report.run_data import RunData, final_facts, held_out_words
from aebert.search.run.accuracy_budget import CHOICE_FILE
from aebert.search.run.summary import NEXT


def render_run(data: RunData, page: Path) -> str:
    """The whole page, to be written as the file ``page``."""
    return render_page("page.html.j2", _heading(data, page), _main_figures(data), _charts(data), _provenance(data))


def _heading(data: RunData, page: Path) -> Heading:
    best, summary = data.best, data.summary
    context = summary.context
    board = f" for {context['board']}" if "board" in context else ""
    return Heading(
        f"{data.directory.resolve().name}: search of {len(summary.tried)} candidates{board}",
        f"Best: trial {best.trial}, pattern {best.pattern}, {1 - best.kept_weights / summary.prunable_weights:.2%} of "
        f"the prunable weights zeroed. Chosen without fine-tuning, on scoring rows. {_budget_words(data)}".rstrip(),
        (
            ("Model", context.get("model", f"encoder {data.record.source_digest[:12]}")),
            ("Task", context.get("task", "none: fidelity to the dense model")),
            ("fp32 reference", f"the dense model in PyTorch {version('torch')}, on the same rows"),
            ("Written", written_now()),
        ),
        context.get(NEXT, f"aebert generate {shlex.quote(str(data.directory / 'best'))} --board u200 -o project"),
        links_to(data.directory, ("best", "front", "within_budget", "tuned", "summary.json", CHOICE_FILE), page),
    )


def _budget_words(data: RunData) -> str:
    choice = data.choice
    if choice is None:
        return ""
    if choice.chosen is None:
        return f"No subnet of the front loses at most {choice.max_loss:g} points of {choice.metric} once fine-tuned."
    return (
        f"Asked for: at most {choice.max_loss:g} points of {choice.metric} lost; the fastest that keeps to it once "
        f"fine-tuned is front/{choice.chosen.name} (within_budget/)."
    )


def _charts(data: RunData) -> list[Chart]:
    accuracy, prediction = run_accuracy_chart(data), prediction_chart(data)
    return [
        *([] if accuracy is None else [accuracy]),
        pareto_chart(data),
        progress_chart(data),
        ratio_chart(data),
        *sensitivity_charts(data),
        *([] if prediction is None else [prediction]),
    ]


def _main_figures(data: RunData) -> list[MainFigure]:
    summary, best = data.summary, data.best
    figures = []
    before = ""
    if best.refined is not None:
        apart = held_out_words(best.refined, summary.rows)
        words = f"score of the best, refined on {summary.refining_rows} texts{apart} ({data.score_words})"
        figures.append(MainFigure(f"{best.refined.score:.5f}", words))
        before = " before refining" + (f", on all {summary.rows} scoring rows" if apart else "")
    words = f"best score{before} ({data.score_words}); dense model {summary.dense.score:.5f}"
    figures.append(MainFigure(f"{best.score:.5f}", words))
    facts = final_facts(best)
    if "metric" in facts and "metric" in summary.dense.facts:
        words = f"the task's metric of the best, before fine-tuning; dense model {summary.dense.facts['metric']:.4f}"
        figures.append(MainFigure(f"{facts['metric']:.4f}", words))
    figures += _budget_figures(data)
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


def _budget_figures(data: RunData) -> list[MainFigure]:
    choice = data.choice
    if choice is None or choice.chosen is None:
        return []
    chosen = choice.chosen
    latency = "" if chosen.latency_ms is None else f", {chosen.latency_ms:.4f} ms"
    figures = [
        MainFigure(
            f"{chosen.loss_points:.2f} points",
            f"{choice.metric} that the chosen front/{chosen.name} loses on {choice.scoring_rows} scoring rows once "
            f"fine-tuned; {choice.max_loss:g} allowed{latency}",
        )
    ]
    for name, dev in choice.dev.items():
        holds = "within" if dev.loss_points <= choice.max_loss else "MORE than"
        figures.append(
            MainFigure(
                f"{dev.loss_points:.2f} points",
                f"lost on {name} ({dev.rows} rows, standard error {dev.standard_error:.2f}): {holds} the "
                f"{choice.max_loss:g} allowed",
            )
        )
    return figures


def _provenance(data: RunData) -> ReportTable:
    summary, record = data.summary, data.record
    rows = [
        (
            "Scores",
            f"{summary.rows} scoring rows, objective {summary.objective}; neither dev set nor fine-tuning rows",
        ),
        ("Weights", f"saliency {record.saliency}, compensation {record.compensation}, seed {record.seed}"),
        ("Ratios", "counted from the zeros of best/ and, for other candidates, from the units they keep"),
        ("Dense model", record.source_digest),
        ("Best subnet", record.digest),
        *((name.capitalize(), text) for name, text in summary.context.items() if name != NEXT),
        ("Files", "summary.json (every trial), front/front.json, best/subnet.json, study.db (Optuna)"),
        ("Toolkit", summary.toolkit_version),
    ]
    return ReportTable(("What", "From"), tuple(rows), words=2)
