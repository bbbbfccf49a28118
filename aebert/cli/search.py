"""``aebert search``: a model, a task and a budget into the best subnets."""

from __future__ import annotations

import re
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.names import complete_board, complete_pattern
from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.cli.search_progress import search_progress
from aebert.cli.task_options import read_task_data, task_arguments, task_options
from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.design.design import Design
    from aebert.search.space import Goal
    from aebert.search_model import CalibrationRows, Found

_RANGE = re.compile(r"([0-9.]+)\.\.([0-9.]+)")


@click.command(name="search")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", "directory", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--ratio", metavar="R|LOW..HIGH", help="Overall pruning ratio, met exactly; or a range to search.")
@click.option("--latency-ms", type=click.FloatRange(min=0, min_open=True), help="Latency budget, by the cost model.")
@task_options(required=False)
@click.option("--text", type=click.Path(path_type=Path), help="Without --task: unlabelled text, one sentence a line.")
@click.option(
    "--pattern",
    default="vector:4x1",
    show_default=True,
    shell_complete=complete_pattern,
    help="Where zeros may fall; several, separated by commas, are searched together.",
)
@click.option("--granularity", type=click.Choice(["layer", "matrix"]), default="matrix", show_default=True)
@click.option("--candidates", type=click.IntRange(min=1), default=256, show_default=True, help="How many to evaluate.")
@click.option(
    "--sampler",
    type=click.Choice(["surrogate", "random", "tpe", "nsga2", "cmaes"]),
    default="surrogate",
    show_default=True,
    help="random: AE-BERT's.",
)
@click.option("--board", shell_complete=complete_board, help="Predict latencies on a design for this board.")
@click.option("--design", "design_file", type=click.Path(path_type=Path), help="Sizes from 'aebert explore -o FILE'.")
@click.option("--tokens", type=click.IntRange(min=1), help="Length to predict for  [default: the design's longest].")
@click.option(
    "--objective", type=click.Choice(["loss", "metric", "kl", "cosine"]), help="What candidates are scored by."
)
@click.option("--saliency", default="activation", show_default=True, help="magnitude, activation or second-order.")
@click.option("--compensate/--no-compensate", default=True, show_default=True, help="Least-squares correction.")
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), help="Of scoring  [default: whichever the CPU is quicker in]."
)
@click.option("--device", help="Where PyTorch scores, such as cuda:0  [default: the CPU].")
@click.option("--calibration-rows", type=int, help="Training rows to score on  [default: 512, or a fifth].")
@click.option("--split-seed", type=int, default=0, show_default=True, help="Of the calibration rows.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed, the same search."
)
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Candidates of a round.")
@click.option("--levels", type=int, help="Ratios that a matrix may have  [default: 16, more for high ratios].")
@click.option(
    "--race-error",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.05,
    show_default=True,
    help="Probability of losing a good candidate by early stopping; 0: none is stopped.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Local processes  [default: one per core].")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of each worker  [default: its share of the cores]."
)
@click.option("--scheduler", metavar="URL", help="Dask scheduler (tcp://HOST:PORT) instead of local processes.")
@click.option("--storage", metavar="URL", help="SQLAlchemy URL of the study  [default: SQLite in the run's folder].")
@click.option("--hil", metavar="DEVICE,...", help="Measure finalists on these devices, and learn from it.")
@click.option("--project", type=click.Path(path_type=Path), help="With --hil: the project that the devices run.")
@click.option("--database", metavar="URL", help="With --hil: the database of run records.")
@click.option("--front", type=click.IntRange(min=1), default=6, show_default=True, help="Most subnets of the front.")
@click.option("--resume", is_flag=True, help="Go on with the search that is in the output folder.")
def command(
    model: Path,
    directory: Path,
    ratio: str | None,
    latency_ms: float | None,
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    text: Path | None,
    pattern: str,
    granularity: str,
    candidates: int,
    sampler: str,
    board: str | None,
    design_file: Path | None,
    tokens: int | None,
    objective: str | None,
    saliency: str,
    compensate: bool,
    precision: str | None,
    device: str | None,
    calibration_rows: int | None,
    split_seed: int,
    seed: int,
    batch: int,
    levels: int | None,
    race_error: float,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    storage: str | None,
    hil: str | None,
    project: Path | None,
    database: str | None,
    front: int,
    resume: bool,
) -> None:
    """Search the best subnets of MODEL within a pruning ratio, a latency, or both; no human chooses layer ratios.

    Candidates are scored without fine-tuning, on training rows set aside (--task) or by fidelity on text (--text, or
    the text that ships). Ctrl-C keeps the best so far; --resume goes on.

    Example: aebert search MODEL --task mrpc --data glue --ratio 0.5 --board u200 -o run
    """
    goal = _goal(ratio, latency_ms)
    patterns = tuple(part.strip() for part in pattern.split(","))
    rows = _rows(task, data, text_columns, label_column, kind, text, calibration_rows, split_seed)
    from aebert.pruning.saliency import check_saliency
    from aebert.search.candidates import GRANULARITIES
    from aebert.search.evaluation import PRECISIONS
    from aebert.search.prepared import Recipe
    from aebert.search.samplers import SAMPLER_NAMES
    from aebert.search.scorer import ScorerSettings
    from aebert.search.scores import OBJECTIVES
    from aebert.search.search import SearchSettings
    from aebert.search_model import SearchPlan, Workers, search

    output = current_output()
    plan = SearchPlan(
        goal,
        patterns,
        next(known for known in GRANULARITIES if known == granularity),
        levels,
        next(known for known in SAMPLER_NAMES if known == sampler),
        ScorerSettings(
            objective=next((known for known in OBJECTIVES if known == objective), None),
            recipe=Recipe(check_saliency(saliency), compensate),
            precision=next((known for known in PRECISIONS if known == precision), None),
            device=device,
        ),
        SearchSettings(candidates=candidates, batch=batch, error=race_error, seed=seed),
    )
    with ExitStack() as stack:
        design = None
        costs = measurer = None
        if hil is not None:
            from aebert.cli.search_devices import device_farm

            farm = device_farm(hil, project, model, directory, board, database, tokens, scheduler, output)
            measurer = stack.enter_context(farm.measurer)
            design = farm.design
        elif board is not None or design_file is not None:
            design = _design(model, patterns, board, design_file, tokens)
        if design is not None:
            from aebert.cost_model.predictor import design_latency
            from aebert.models import load_encoder

            length = tokens or min(design.config.max_length, load_encoder(model).shape.max_positions)
            costs = design_latency(design, load_encoder(model).shape, (length,))
        found = search(
            model,
            directory,
            rows,
            plan,
            costs=costs,
            measurer=measurer,
            workers=Workers(workers, threads, scheduler),
            storage=storage,
            most_front=front,
            resume=resume,
            context=_context(task, design, None if costs is None else costs.lengths),
            progress=stack.enter_context(step_progress(output)),
            report=stack.enter_context(search_progress(output)),
        )
    _print(output, found)
    output.wrote(found.run.front)
    best = shlex.quote(str(directory / "best"))
    next_step = f"aebert generate {best} --board {shlex.quote(board or 'u200')} -o project"
    if task is not None and data is not None:
        # Fine-tuning must leave out the very rows that candidates were scored on.
        split = "" if calibration_rows is None else f" --calibration-rows {calibration_rows}"
        split += "" if split_seed == 0 else f" --split-seed {split_seed}"
        asked = task_arguments(task, data, text_columns, label_column, kind)
        next_step = f"aebert finetune {best} {asked}{split} -o tuned"
    output.wrote(found.run.best, next_step)


def _context(task: str | None, design: Design | None, lengths: tuple[int, ...] | None) -> dict[str, str]:
    """What a report needs to say besides the figures."""
    context = {"task": task or "none: fidelity to the dense model"}
    if design is not None and lengths is not None:
        config = design.config
        context |= {
            "board": design.board.title,
            "lanes": f"{config.tokens} tokens x {config.out_lanes} outputs x {config.in_lanes} inputs",
            "clock": f"{design.clock_mhz:g} MHz",
            "launch": f"one sequence of {', '.join(map(str, lengths))} tokens",
            "design": design.digest,
        }
    return context


def _goal(ratio: str | None, latency_ms: float | None) -> Goal:
    from aebert.search.space import HIGHEST_FREE_RATIO, Goal

    if ratio is None:
        if latency_ms is None:
            raise AebertError("no budget; give --ratio, --latency-ms or both")
        return Goal(0.0, HIGHEST_FREE_RATIO, latency_ms)
    span = _RANGE.fullmatch(ratio)
    try:
        low, high = (float(span[1]), float(span[2])) if span else (float(ratio), float(ratio))
    except ValueError:
        raise AebertError(f"--ratio {ratio!r}: not a number or a range; write 0.5 or 0.3..0.7") from None
    return Goal(low, high, latency_ms)


def _rows(
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    text: Path | None,
    calibration_rows: int | None,
    split_seed: int,
) -> CalibrationRows:
    """Calibration rows of the task, which fine-tuning leaves out, or unlabelled text."""
    from aebert.calibration import read_texts
    from aebert.search_model import CalibrationRows

    if task is None:
        if data is not None or text_columns is not None or label_column is not None:
            raise AebertError("--data and its columns belong to a task; give --task too, or --text for unlabelled text")
        return CalibrationRows(read_texts(text))
    if text is not None or data is None:
        raise AebertError("give either --task with --data, or --text")
    from aebert.tasks import split_train
    from aebert.tasks.load import require_train

    loaded = read_task_data(task, data, text_columns, label_column, kind)
    require_train(loaded, data)
    rows = split_train(loaded.train, calibration_rows, split_seed).calibration
    return CalibrationRows([row.text for row in rows], [row.label for row in rows], loaded.task)


def _design(
    model: Path, patterns: tuple[str, ...], board: str | None, design_file: Path | None, tokens: int | None
) -> Design:
    """The design to predict on: from a file, or the fastest for the board whose lanes suit all patterns."""
    from aebert.boards import load_board
    from aebert.design.design import Design
    from aebert.design.design_file import read_design_file
    from aebert.design.fit import expected_clock_mhz
    from aebert.design.subnet_config import config_for_subnet
    from aebert.models import load_encoder
    from aebert.pruning.patterns import Structured, parse_pattern

    if design_file is not None:
        found = read_design_file(design_file)
        return Design(found.config, load_board(board or found.board), found.clock_mhz, found.compute_units)
    assert board is not None, "the caller has one or the other"
    loaded = load_board(board)
    parsed = [parse_pattern(name) for name in patterns]
    # Output lanes beyond the smallest unit's rows would multiply zeros for that pattern.
    finest = min(parsed, key=lambda each: 64 if isinstance(each, Structured) else each.unit_shape[0])
    config = config_for_subnet(loaded, load_encoder(model).shape, finest, tokens)
    return Design(config, loaded, expected_clock_mhz(config, loaded))


def _print(output: Output, found: Found) -> None:
    from aebert.search.results import describe

    best = found.best
    latency = ""
    if best.latency is not None:
        latency = f", {best.latency.ms:.4f} ms ({best.latency.source})"
    candidate = best.trial.trial.proposal.candidate
    grid = found.result.space.patterns[candidate.pattern].grid
    pruned = 1 - best.kept_weights / grid.total_weights
    output.result(
        f"best of {len(found.result.history)}: trial {best.trial.trial.number}, score {best.value:.5f}, "
        f"pattern {candidate.pattern}, ratio {pruned:.4f}{latency}; front of {len(found.front)}",
        run=found.run.directory,
        candidates=len(found.result.history),
        overall_ratio=pruned,
        best=describe(best),
        front=[describe(item) for item in found.front],
    )
