"""``aebert search``: a model, a task and a budget into the best subnets."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aebert.cli.accuracy_budget import RATIOS, meet_loss
from aebert.cli.learned import learned
from aebert.cli.names import MethodChoice, complete_board, complete_pattern
from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.cli.search_progress import search_progress
from aebert.cli.task_options import read_task_data, task_arguments, task_options
from aebert.cli.trust import trust_option
from aebert.search.options import SearchOptions
from aebert.search.run.candidates import CANDIDATES, CANDIDATES_OF_A_RANGE
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.cost_model.protocols import CostModel
    from aebert.design.design import Design
    from aebert.search.step import Found, ScoringRows

_DEFAULTS = SearchOptions()


@click.command(name="search")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("-o", "--output", "directory", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--ratio", metavar="R|LOW..HIGH", help="Overall pruning ratio, met exactly; or a range to search.")
@click.option("--latency-ms", type=click.FloatRange(min=0, min_open=True), help="Latency budget, by the cost model.")
@click.option(
    "--max-loss",
    type=click.FloatRange(min=0),
    metavar="POINTS",
    help="Of the task's metric, against MODEL: fine-tunes the front and keeps the fastest within it.",
)
@click.option("--epochs", type=float, default=3.0, show_default=True, help="With --max-loss: of fine-tuning.")
@task_options(required=False)
@click.option("--text", type=click.Path(path_type=Path), help="Without --task: unlabelled text, one sentence a line.")
@click.option(
    "--pattern",
    default=_DEFAULTS.pattern,
    show_default=True,
    shell_complete=complete_pattern,
    help="Where zeros may fall; several, separated by commas, are searched together.",
)
@click.option("--granularity", type=click.Choice(["layer", "matrix"]), default=_DEFAULTS.granularity, show_default=True)
@click.option(
    "--candidates",
    type=click.IntRange(min=1),
    help=f"How many to evaluate. [default: {CANDIDATES}; over a range of ratios {CANDIDATES_OF_A_RANGE}]",
)
@click.option(
    "--sampler",
    type=MethodChoice("sampler", ["surrogate", "random", "tpe", "nsga2", "cmaes"]),
    default=_DEFAULTS.sampler,
    show_default=True,
    help="random: AE-BERT's.",
)
@click.option("--board", shell_complete=complete_board, help="Predict latencies on a design for this board.")
@click.option("--design", "design_file", type=click.Path(path_type=Path), help="Sizes from 'aebert explore -o FILE'.")
@click.option("--cost-model", metavar="NAME", help="Predict with a model of your own (see docs/own_methods.md).")
@click.option("--tokens", type=click.IntRange(min=1), help="Length to predict for  [default: the design's longest].")
@click.option(
    "--objective",
    type=MethodChoice("objective", ["loss", "metric", "kl", "cosine"]),
    help="What candidates are scored by.",
)
@click.option(
    "--saliency",
    type=MethodChoice("saliency", ["magnitude", "activation", "second-order"]),
    help="What counts as important  [default: activation; second-order for heads and neurons that are corrected].",
)
@click.option(
    "--compensate/--no-compensate", default=_DEFAULTS.compensate, show_default=True, help="Least-squares correction."
)
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), help="Of scoring  [default: whichever the CPU is quicker in]."
)
@click.option("--device", help="Where PyTorch scores, such as cuda:0  [default: the CPU].")
@click.option(
    "--scoring-rows",
    "--calibration-rows",
    "calibration_rows",
    type=int,
    help="Training rows to score on  [default: 512, or a fifth].",
)
@click.option("--split-seed", type=int, default=_DEFAULTS.split_seed, show_default=True, help="Of the scoring rows.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=_DEFAULTS.seed,
    show_default=True,
    help="The same seed, the same search.",
)
@click.option(
    "--batch", type=click.IntRange(min=1), default=_DEFAULTS.batch, show_default=True, help="Candidates of a round."
)
@click.option("--levels", type=int, help="Ratios that a matrix may have  [default: 16, more for high ratios].")
@click.option(
    "--race-error",
    type=click.FloatRange(0, 1, max_open=True),
    default=_DEFAULTS.race_error,
    show_default=True,
    help="Probability of losing a good candidate by early stopping; 0: none is stopped.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Local processes  [default: one per core].")
@click.option(
    "--threads", type=click.IntRange(min=1), help="Threads of each worker  [default: its share of the cores]."
)
@click.option("--scheduler", metavar="URL", help="Dask scheduler (tcp://HOST:PORT) instead of local processes.")
@click.option("--storage", metavar="URL", help="SQLAlchemy URL of the study  [default: SQLite in the run's folder].")
@click.option(
    "--prepared",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for prepared weights and sensitivities, to share among searches  [default: in the run's folder].",
)
@click.option("--hil", metavar="DEVICE,...", help="Measure finalists on these devices, and learn from it.")
@click.option("--project", type=click.Path(path_type=Path), help="With --hil: the project that the devices run.")
@click.option("--database", metavar="URL", help="With --hil: the database of run records.")
@click.option(
    "--front", type=click.IntRange(min=1), default=_DEFAULTS.front, show_default=True, help="Most subnets of the front."
)
@click.option(
    "--refine/--no-refine",
    default=_DEFAULTS.refine,
    show_default=True,
    help="End with the finalists' masks and weights fitted together, as 'aebert prune --refine' does.",
)
@click.option(
    "--refine-rows",
    type=click.IntRange(min=1),
    help="Texts to refine on, of training rows without labels, or of --text  [default: 2048, as far as 1 GiB goes].",
)
@click.option(
    "--finalists",
    type=click.IntRange(min=1),
    default=_DEFAULTS.finalists,
    show_default=True,
    help="Best candidates that are refined, besides the front; the best of them wins.",
)
@click.option(
    "--resume", is_flag=True, default=_DEFAULTS.resume, help="Go on with the search that is in the output folder."
)
@trust_option
def command(
    model: Path, directory: Path, max_loss: float | None, epochs: float, **given: Any
) -> None:  # of the types that SearchOptions says
    """Search the best subnets of MODEL within a pruning ratio, a latency, or both; no human chooses layer ratios.

    Candidates are scored without fine-tuning, on training rows set aside (--task) or by fidelity on text (--text, or
    the text that ships). Ctrl-C keeps the best so far; --resume goes on.

    With --max-loss the front is fine-tuned, and the fastest subnet that loses no more is kept in the run.

    Example: aebert search MODEL --task mrpc --data glue --ratio 0.5 --board u200 -o run
    """
    if max_loss is not None:
        given["ratio"] = given["ratio"] or RATIOS
    options = SearchOptions(**given)
    if max_loss is not None:
        _check_budget(options)
    plan = options.plan()
    rows = _rows(options, model)
    from aebert.search.step import search

    output = current_output()
    with ExitStack() as stack:
        costs: CostModel | None = None
        measurer, lengths = None, None
        if options.hil is not None:
            from aebert.cli.search_devices import device_farm

            farm = device_farm(options, model, directory, output)
            measurer = stack.enter_context(farm.measurer)
            design: Design | None = farm.design
        else:
            design = options.design(model)
        if design is not None:
            from aebert.cost_model.own import own_cost_model
            from aebert.cost_model.predictor import design_latency
            from aebert.models import load_encoder

            shape = load_encoder(model).shape
            length = options.tokens or min(design.config.max_length, shape.max_positions)
            lengths = (length,)
            if options.cost_model is not None:
                costs = own_cost_model(options.cost_model, design, shape, lengths)
            else:
                known = learned(design, options.database, may_be_new=options.hil is not None)
                # Devices add runs while the search goes on, which the search fits by itself: it must begin the same
                # when it is resumed.
                fitted = None if options.hil is not None else known.model
                costs = design_latency(design, shape, lengths, fitted, known.synthesis)
        elif options.cost_model is not None:
            raise AebertError("--cost-model: predicts for a design; name a board with --board, or give --design")
        next_step = _next_step(options, directory, design, max_loss)
        found = search(
            model,
            directory,
            rows,
            plan,
            costs=costs,
            measurer=measurer,
            workers=options.where(),
            storage=options.storage,
            most_front=options.front,
            prepared=options.prepared,
            resume=options.resume,
            context=_context(options, model, design, lengths, next_step),
            progress=stack.enter_context(step_progress(output)),
            report=stack.enter_context(search_progress(output)),
        )
    _print(output, found)
    output.wrote(found.run.front)
    if max_loss is not None:
        if not _meet_loss(output, model, directory, options, max_loss, epochs):
            click.get_current_context().exit(1)
        output.wrote(directory / "within_budget", next_step)
        return
    output.wrote(found.run.best, next_step)


def _next_step(options: SearchOptions, run: Path, design: Design | None, max_loss: float | None) -> str:
    """With an accuracy budget, or without a task, the project; otherwise fine-tuning of the best."""
    best = shlex.quote(str(run / ("best" if max_loss is None else "within_budget")))
    if max_loss is None and options.task is not None and options.data is not None:
        # Fine-tuning must leave out the very rows that candidates were scored on.
        split = "" if options.calibration_rows is None else f" --scoring-rows {options.calibration_rows}"
        split += "" if options.split_seed == 0 else f" --split-seed {options.split_seed}"
        asked = task_arguments(options.task, options.data, options.text_columns, options.label_column, options.kind)
        return f"aebert finetune {best} {asked}{split} -o tuned"
    board = options.board or ("u200" if design is None else design.board.name)
    sizes = "" if options.design_file is None else f" --config {shlex.quote(str(options.design_file))}"
    return f"aebert generate {best} --board {shlex.quote(board)}{sizes} -o project"


def _check_budget(options: SearchOptions) -> None:
    if options.task is None or options.data is None:
        raise AebertError("--max-loss: is of a task's metric; give --task and --data too")
    if options.board is None and options.design_file is None and options.hil is None:
        raise AebertError("--max-loss: asks for the smallest latency; name a board with --board")


def _meet_loss(output: Output, model: Path, run: Path, options: SearchOptions, max_loss: float, epochs: float) -> bool:
    assert options.task is not None, "checked before the search"
    assert options.data is not None, "checked before the search"
    asked = options.task, options.data, options.text_columns, options.label_column, options.kind
    data = read_task_data(*asked, model=model)
    return meet_loss(output, model, run, data, max_loss, epochs, options.calibration_rows, options.split_seed)


def _context(
    options: SearchOptions, model: Path, design: Design | None, lengths: tuple[int, ...] | None, next_step: str
) -> dict[str, str]:
    """What a report needs to say besides the figures."""
    from aebert.models.origin import model_origin
    from aebert.search.run.summary import NEXT

    context = {
        "model": f"{model_origin(model)} ({model})",
        "task": options.task or "none: fidelity to the dense model",
        NEXT: next_step,
    }
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


def _rows(options: SearchOptions, model: Path) -> ScoringRows:
    """Calibration rows of the task, which fine-tuning leaves out, or unlabelled text."""
    from aebert.models.calibration_text import read_texts
    from aebert.search.run.refining_rows import DEFAULT_ROWS, refining_texts
    from aebert.search.step import ScoringRows

    task, data, columns = options.task, options.data, (options.text_columns, options.label_column)
    if task is None:
        if data is not None or columns != (None, None):
            raise AebertError("--data and its columns belong to a task; give --task too, or --text for unlabelled text")
        texts = read_texts(options.text)
        return ScoringRows(texts, refining=texts[: options.refine_rows or DEFAULT_ROWS])
    if options.text is not None or data is None:
        raise AebertError("give either --task with --data, or --text")
    from aebert.tasks import split_train
    from aebert.tasks.load import require_train

    loaded = read_task_data(task, data, *columns, options.kind, model=model)
    require_train(loaded, data)
    split = split_train(loaded.train, options.calibration_rows, options.split_seed)
    rows = [row.text for row in split.calibration]
    refining = refining_texts([row.text for row in split.fine_tuning], rows, options.refine_rows)
    return ScoringRows(rows, [row.label for row in split.calibration], loaded.task, refining)


def _print(output: Output, found: Found) -> None:
    from aebert.search.run.results import describe

    best = found.best
    latency = ""
    if best.latency is not None:
        latency = f", {best.latency.ms:.4f} ms ({best.latency.source})"
    candidate = best.candidate
    grid = found.result.space.patterns[candidate.pattern].grid
    pruned = 1 - best.kept_weights / grid.total_weights
    before = "" if best.refined is None else f" refined ({best.trial.outcome.value:.5f} before)"
    # With a task, what its users know beside what candidates are ranked by.
    metric = f", metric {best.facts['metric']:.4f}" if "metric" in best.facts else ""
    output.result(
        f"best of {len(found.result.history)}: trial {best.number}, score {best.value:.5f}{before}{metric}, "
        f"pattern {candidate.pattern}, ratio {pruned:.4f}{latency}; front of {len(found.front)}{_remarks(found)}",
        run=found.run.directory,
        candidates=len(found.result.history),
        overall_ratio=pruned,
        best=describe(best),
        front=[describe(item) for item in found.front],
        refined=[describe(item) for item in found.refined],
        refining_rows=found.refining_rows,
        refining_seconds=_refining_seconds(found),
        uniform_is_best=best.candidate in found.flat,
    )


def _refining_seconds(found: Found) -> float:
    return sum(item.refined.seconds for item in found.refined if item.refined is not None)


def _remarks(found: Found) -> str:
    """What refining cost, and that the search found nothing where it did not; a line each."""
    lines = []
    if found.refined:
        seconds, rows = _refining_seconds(found), found.refining_rows
        lines.append(f"refined {len(found.refined)} on {rows} texts in {seconds:.0f} s of processor time")
    if found.best.candidate in found.flat:
        lines.append("no candidate is better than one ratio everywhere, which is what was taken")
    return "".join(f"\n{line}" for line in lines)
