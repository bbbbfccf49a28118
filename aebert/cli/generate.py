"""``aebert generate``: subnet -> project."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.output import current_output
from aebert.cli.progress import step_progress
from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.encoder import Encoder
    from aebert.pruning.patterns import Pattern


@click.command(name="generate")
@click.argument("subnet", type=click.Path(path_type=Path))
@click.option("--board", required=True, help="Name of a board, or the path of a .toml file of your own.")
@click.option("-o", "--output", "directory", type=click.Path(path_type=Path), required=True, help="Project folder.")
@click.option("--tokens", type=int, help="Tokens that meet a weight tile in one cycle (T).")
@click.option("--out-lanes", type=int, help="Outputs of a weight tile (BN).")
@click.option("--in-lanes", type=int, help="Inputs of a weight tile (BK), one from each bank.")
@click.option("--max-seq", type=int, help="Longest sequence in tokens [default: 128, 64 or 32, as fits].")
@click.option("--max-tokens", type=int, help="Tokens of one launch, all its sequences together [default: --max-seq].")
@click.option("--config", "design_file", type=click.Path(path_type=Path), help="Sizes from 'aebert explore -o FILE'.")
@click.option(
    "--clock-mhz",
    type=click.FloatRange(min=0, min_open=True),
    help="Target clock [default: the board's, less if crowded].",
)
@click.option(
    "--compute-units",
    type=click.IntRange(min=1),
    help="Copies of the kernel in the bitstream.",
)
@click.option("--text", type=click.Path(path_type=Path), help="Calibration text, one sentence or pair per line.")
@click.option("--force", is_flag=True, help="Replace the project that is already in the output folder.")
def command(
    subnet: Path,
    board: str,
    directory: Path,
    tokens: int | None,
    out_lanes: int | None,
    in_lanes: int | None,
    max_seq: int | None,
    max_tokens: int | None,
    design_file: Path | None,
    clock_mhz: float | None,
    compute_units: int | None,
    text: Path | None,
    force: bool,
) -> None:
    """Quantise SUBNET and generate its accelerator: a Vitis HLS project with packed weights and golden vectors.

    SUBNET is what 'aebert prune' wrote, or any model directory (which is then run unpruned). Sizes that are not given
    are chosen for the board.

    Example: aebert generate subnet --board u200 -o project
    """
    from aebert.boards import load_board
    from aebert.cli.texts import calibration_texts
    from aebert.design.defaults import GivenSizes
    from aebert.design.design import Design
    from aebert.design.design_file import read_design_file
    from aebert.design.fit import expected_clock_mhz
    from aebert.design.subnet_config import config_for_subnet
    from aebert.models.host import load_host_model
    from aebert.output_directory import check_replaceable
    from codegen.generate import generate_project
    from codegen.plan import KIND, MARKER

    output = current_output()
    check_replaceable(directory, MARKER, KIND, force)
    loaded_board = load_board(board)
    encoder, pattern = _read(subnet)
    given = GivenSizes(tokens, out_lanes, in_lanes, max_tokens)
    if design_file is None:
        units = compute_units or 1
        config = config_for_subnet(loaded_board, encoder.shape, pattern, max_seq, given, units)
        clock = clock_mhz or expected_clock_mhz(config, loaded_board, units)
        design = Design(config, loaded_board, clock, units)
    else:
        if given != GivenSizes() or max_seq is not None:
            raise AebertError("--config: holds the sizes already; leave the size options out")
        chosen = read_design_file(design_file)
        if load_board(chosen.board).name != loaded_board.name:
            raise AebertError(f"{design_file}: field 'board' is {chosen.board}, not {board}; explore that board")
        config = chosen.config
        design = Design(config, loaded_board, clock_mhz or chosen.clock_mhz, compute_units or chosen.compute_units)
    with step_progress(output) as progress:
        generated = generate_project(encoder, load_host_model(subnet), design, calibration_texts(text), progress)
        generated.plan.extract(directory, force=force)
    output.result(
        f"{config.tokens} tokens x {config.out_lanes} outputs x {config.in_lanes} inputs = {config.macs_per_cycle} "
        f"multiply-accumulates per cycle, {generated.image.counts.tile_count} weight tiles, digest "
        f"{generated.plan.digest[:12]}"
    )
    output.wrote(directory, f"aebert verify {shlex.quote(str(directory))}")


def _read(directory: Path) -> tuple[Encoder, Pattern | None]:
    """The encoder of a subnet or of a plain model directory; the pattern only of a subnet."""
    from aebert.models import load_encoder
    from aebert.pruning.patterns import parse_pattern
    from aebert.subnet import SUBNET_FILE, read_subnet

    if not (directory / SUBNET_FILE).is_file():
        return load_encoder(directory), None
    subnet = read_subnet(directory)
    return subnet.encoder, parse_pattern(subnet.record.pattern)
