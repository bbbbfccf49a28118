"""``aebert explore``: which sizes run a subnet best on a board."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

import click
from click.core import ParameterSource

from aebert.cli.names import complete_board, complete_pattern
from aebert.cli.output import current_output

DEFAULT_LENGTH = 128


EXPLORED_BY = {
    "objective": "--objective",
    "length": "--length",
    "max_seq": "--max-seq",
    "ratio": "--ratio",
    "pattern": "--pattern",
}


@click.command(name="explore")
@click.argument("what", metavar="SUBNET|SHAPE")
@click.option(
    "--board",
    required=True,
    shell_complete=complete_board,
    help="Name of a board, or the path of a .toml file of your own.",
)
@click.option(
    "--objective",
    type=click.Choice(["latency", "throughput", "efficiency"]),
    default="latency",
    show_default=True,
    help="What -o chooses by; efficiency is throughput per DSP slice.",
)
@click.option("--length", type=int, default=DEFAULT_LENGTH, show_default=True, help="Tokens of the sequences to run.")
@click.option("--max-seq", type=int, help="Longest sequence the design must hold [default: --length].")
@click.option("--ratio", type=float, help="For a SHAPE: pruning ratio [default: 0].")
@click.option(
    "--pattern",
    shell_complete=complete_pattern,
    help="For a SHAPE: pattern, as in 'aebert prune' [default: unstructured].",
)
@click.option("-o", "--output", "design_path", type=click.Path(path_type=Path), help="TOML for generate --config.")
@click.option("--plot", "plot_path", type=click.Path(path_type=Path), help="HTML page with the points and the front.")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Rows of the table.")
def command(
    what: str,
    board: str,
    objective: str,
    length: int,
    max_seq: int | None,
    ratio: float | None,
    pattern: str | None,
    design_path: Path | None,
    plot_path: Path | None,
    top: int,
) -> None:
    """Enumerate tokens x lanes x buffers x compute units x clock for SUBNET (its real tile counts) or SHAPE.

    SHAPE is a name such as bert-base or minilm-l6, or layers=12,hidden=768,heads=12,ffn=3072. Every figure is predicted
    (closed form), not measured.

    Example: aebert explore subnet --board u200 -o design.toml && aebert generate subnet --board u200 --config
    design.toml -o project
    """
    from aebert.design.board import load_board
    from aebert.explore.predictions import OBJECTIVES
    from aebert.explore.step import explore
    from aebert.explore.target import find_target
    from aebert.report.exploration import SOURCE, candidate_facts, front_table, interval_lines, write_best, write_plot

    output = current_output()
    loaded_board = load_board(board)
    target = find_target(what, ratio, pattern)
    chosen = OBJECTIVES[[str(name) for name in OBJECTIVES].index(objective)]

    def track(items: Iterable[int]) -> Iterable[int]:
        return output.track(items, "predicting")

    found = explore(
        loaded_board,
        target.shape,
        target.tiles,
        length=length,
        max_length=length if max_seq is None else max_seq,
        vector_lanes=target.vector_lanes,
        track=track,
    )
    ranked = found.ranked(chosen)
    best = found.best(chosen)
    title = f"{target.description}, {length} tokens, {loaded_board.title}"
    output.result(f"{title}: {SOURCE}")
    output.result(
        f"{found.points.examined} points examined, {len(found.points.kernel)} fit, {len(found.front)} on the front "
        f"(latency, throughput, share of the board), best {objective} first",
        workload=target.description,
        board=loaded_board.name,
        length=length,
        objective=objective,
        source=SOURCE,
        examined=found.points.examined,
        fit=len(found.points.kernel),
        on_front=len(found.front),
        front=[candidate_facts(candidate) for candidate in ranked[:top]],
        best=candidate_facts(best),
    )
    output.result(front_table(ranked[:top]))
    output.result(f"best {objective}, {SOURCE}:")
    output.result(front_table([best]))
    for line in interval_lines([*ranked[:top], best]):
        output.result(line)
    if plot_path is not None:
        write_plot(plot_path, found, title)
        output.wrote(plot_path)
    if design_path is not None:
        write_best(design_path, best, board, title)
        arguments = ["--board", board, "--config", str(design_path), "-o", "project"]
        output.wrote(design_path, f"aebert generate {shlex.join([target.generate_from, *arguments])}")
    else:
        output.next(f"aebert explore {shlex.join([what, '--board', board, *_given(), '-o', 'design.toml'])}")


def _given() -> list[str]:
    """The options of this call that decide what is explored, and by what, as words."""
    ctx = click.get_current_context()
    words = []
    for name, flag in EXPLORED_BY.items():
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            words += [flag, str(ctx.params[name])]
    return words
