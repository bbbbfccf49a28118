"""``aebert generate``: subnet -> project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from aebert.cli.calibration_options import chosen_texts, optional_task_data
from aebert.cli.names import complete_board
from aebert.cli.output import Output, current_output
from aebert.cli.progress import step_progress
from aebert.cli.task_options import task_options
from aebert.support.errors import AebertError


@click.command(name="generate")
@click.argument("subnet", type=click.Path(path_type=Path))
@click.option(
    "--board",
    required=True,
    shell_complete=complete_board,
    help="Name of a board, or the path of a .toml file of your own.",
)
@click.option("-o", "--output", "directory", type=click.Path(path_type=Path), required=True, help="Project folder.")
@click.option("--tokens", type=int, help="Tokens that meet a weight tile in one cycle (T).")
@click.option("--out-lanes", type=int, help="Outputs of a weight tile (BN).")
@click.option("--in-lanes", type=int, help="Inputs of a weight tile (BK), one from each bank.")
@click.option("--row-slices", type=int, help="Cycles for which T tokens occupy the units behind the array: 1, 2 or 4.")
@click.option("--engines", type=int, help="Engines that share the T tokens of a group, for devices of several dies.")
@click.option("--lut-lanes", type=int, help="Input lanes that multiply in LUTs instead of DSP slices.")
@click.option("--max-seq", type=int, help="Longest sequence in tokens [default: 128, 64 or 32, as fits].")
@click.option("--max-tokens", type=int, help="Tokens of one launch, all its sequences together [default: --max-seq].")
@click.option("--config", "design_file", type=click.Path(path_type=Path), help="Sizes from 'aebert explore -o FILE'.")
@click.option(
    "--clock-mhz",
    type=click.FloatRange(1, 2000),
    help="Target clock [default: the board's, less if crowded].",
)
@click.option(
    "--compute-units",
    type=click.IntRange(1, 256),
    help="Copies of the kernel in the bitstream.",
)
@task_options(required=False)
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    help="Calibration text, one sentence or pair per line  [default: the task's training rows, or what ships].",
)
@click.option("--force", is_flag=True, help="Replace the project that is already in the output folder.")
def command(
    subnet: Path,
    board: str,
    directory: Path,
    tokens: int | None,
    out_lanes: int | None,
    in_lanes: int | None,
    row_slices: int | None,
    engines: int | None,
    lut_lanes: int | None,
    max_seq: int | None,
    max_tokens: int | None,
    design_file: Path | None,
    clock_mhz: float | None,
    compute_units: int | None,
    task: str | None,
    data: str | None,
    text_columns: str | None,
    label_column: str | None,
    kind: str | None,
    text: Path | None,
    force: bool,
) -> None:
    """Quantise SUBNET and generate its accelerator: a Vitis HLS project with packed weights and golden vectors.

    SUBNET is what 'aebert prune' wrote, or any model directory (which is then run unpruned). Sizes that are not given
    are chosen for the board. For a model of a task, --task and --data calibrate the integers on its training rows.

    Example: aebert generate subnet --board u200 -o project
    """
    from aebert.design.default_sizes import GivenSizes
    from codegen.step import DesignChoice, generate

    output = current_output()
    rows = optional_task_data(subnet, text, task, data, text_columns, label_column, kind)
    sizes = GivenSizes(tokens, out_lanes, in_lanes, row_slices, engines, lut_lanes, max_tokens)
    with step_progress(output) as progress:
        generated = generate(
            subnet,
            directory,
            board=board,
            choice=DesignChoice(sizes, max_seq, design_file, clock_mhz, compute_units),
            texts=chosen_texts(text, rows),
            force=force,
            progress=progress,
        )
    design = generated.design
    config = design.config
    cut = f", {config.engines} engines" if config.engines > 1 else ""
    output.result(
        f"{config.tokens} tokens x {config.out_lanes} outputs x {config.in_lanes} inputs = {config.macs_per_cycle} "
        f"multiply-accumulates per cycle{cut}, {generated.image.counts.tile_count} weight tiles, digest "
        f"{generated.plan.digest[:12]}",
        project=directory,
        board=design.board.name,
        digest=generated.plan.digest,
        config=config,
        clock_mhz=design.clock_mhz,
        compute_units=design.compute_units,
        macs_per_cycle=config.macs_per_cycle,
        weight_tiles=generated.image.counts.tile_count,
    )
    _check_schedule(output, directory)
    output.wrote(directory, f"aebert verify {shlex.quote(str(directory))}")


def _check_schedule(output: Output, project: Path) -> None:
    """A line on whether every loop has its II at the project's clock. It never fails what was generated."""
    from codegen.manifest import read_manifest
    from codegen.schedule.stored_schedule import can_schedule, stored_schedule

    if not can_schedule():
        output.note("schedule: not checked; run pip install 'aebert[schedule]'")
        return
    try:
        for _ in output.track([project], "schedule the kernel's loops"):
            found = stored_schedule(project, read_manifest(project))
    except AebertError as error:
        output.note(f"schedule: not checked: {error}")
        return
    output.result(found.in_a_line(), schedule={"supported_mhz": found.supported_mhz, "misses": found.misses})
