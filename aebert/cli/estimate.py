"""``aebert estimate``: what a subnet will take on a board, before anything is synthesised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.names import complete_board
from aebert.cli.output import current_output
from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.cost_model.breakdown import Breakdown, Interval
    from aebert.design.design import Design
    from aebert.design.workload import TileCounts
    from aebert.encoder import EncoderShape


@click.command(name="estimate")
@click.argument("what", metavar="SUBNET|PROJECT", type=click.Path(path_type=Path))
@click.option(
    "--board", shell_complete=complete_board, help="Name of a board, or the path of a .toml file of your own."
)
@click.option("--config", "design_file", type=click.Path(path_type=Path), help="Sizes from 'aebert explore -o FILE'.")
@click.option("--model", "model_file", type=click.Path(path_type=Path), help="Calibrated model: 'aebert calibrate -o'.")
@click.option("--length", type=click.IntRange(1), help="Tokens of the sequence [default: the design's longest].")
def command(
    what: Path, board: str | None, design_file: Path | None, model_file: Path | None, length: int | None
) -> None:
    """Predict cycles, clock, latency and resources of one launch, by kind of pass and by unit, with intervals.

    SUBNET: its own weight tiles on the design that generate would choose for BOARD, or on the sizes of --config.
    PROJECT: its own design. Every figure says what it rests on; nothing is measured.

    Example: aebert estimate subnet --board u200 --model u200.json
    """
    from aebert.cost_model.breakdown import break_down
    from aebert.cost_model.calibrated_model import read_model

    output = current_output()
    design, shape, tiles = (
        _project(what, board, design_file) if _is_project(what) else _subnet(what, board, design_file)
    )
    calibrated = None if model_file is None else read_model(model_file)
    lengths = (design.config.max_length if length is None else length,)
    if lengths[0] > design.config.max_length:
        raise AebertError(f"--length {lengths[0]}: the design takes at most {design.config.max_length} tokens")
    found = break_down(design, shape, tiles, lengths, calibrated)
    output.result(
        "\n".join(_lines(found, design, lengths[0])),
        source="predicted",
        board=design.board.name,
        config=design.config,
        compute_units=design.compute_units,
        clock_asked_mhz=design.clock_mhz,
        length=lengths[0],
        model=model_file,
        cycles=found.cycles,
        clock_mhz=found.clock_mhz,
        latency_ms=found.latency_ms,
        launch_ms=found.launch_ms,
        transfer_ms=found.transfer_ms,
        lane_utilisation=found.lane_utilisation,
        passes=found.passes,
        units=found.units,
        resources=found.resources,
        basis=found.basis,
    )


def _is_project(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def _project(folder: Path, board: str | None, design_file: Path | None) -> tuple[Design, EncoderShape, TileCounts]:
    from aebert.boards import load_board
    from aebert.design.design import Design
    from aebert.design.workload import weight_tiles
    from aebert.encoder import MATRIX_NAMES
    from codegen.project import load_project

    if board is not None or design_file is not None:
        raise AebertError(f"{folder}: a project has its board and sizes; leave --board and --config out")
    project = load_project(folder)
    manifest = project.manifest
    design = Design(manifest.config, load_board(manifest.board), manifest.clock_mhz, manifest.compute_units)
    layers = [[layer.matrix(name).weight for name in MATRIX_NAMES] for layer in project.quantised.layers]
    return design, manifest.shape, weight_tiles(layers)


def _subnet(folder: Path, board: str | None, design_file: Path | None) -> tuple[Design, EncoderShape, TileCounts]:
    from aebert.boards import load_board
    from aebert.design.design import Design
    from aebert.design.design_file import read_design_file
    from aebert.design.fit import expected_clock_mhz
    from aebert.design.subnet_config import config_for_subnet
    from aebert.design.workload import subnet_tiles
    from aebert.models import load_encoder
    from aebert.pruning.patterns import parse_pattern
    from aebert.subnet import SUBNET_FILE, read_subnet

    subnet = read_subnet(folder) if (folder / SUBNET_FILE).is_file() else None
    encoder = load_encoder(folder) if subnet is None else subnet.encoder
    if design_file is not None:
        sizes = read_design_file(design_file)
        loaded = load_board(sizes.board if board is None else board)
        design = Design(sizes.config, loaded, sizes.clock_mhz, sizes.compute_units)
    elif board is None:
        raise AebertError(f"{folder}: a subnet has no board; give --board")
    else:
        loaded = load_board(board)
        pattern = None if subnet is None else parse_pattern(subnet.record.pattern)
        config = config_for_subnet(loaded, encoder.shape, pattern, None)
        design = Design(config, loaded, expected_clock_mhz(config, loaded))
    design.config.check_fits(encoder.shape)
    return design, encoder.shape, subnet_tiles(encoder)


def _lines(found: Breakdown, design: Design, length: int) -> list[str]:
    config = design.config
    lines = [
        f"{design.board.title}, {config.tokens} tokens x {config.out_lanes} outputs x {config.in_lanes} inputs, one "
        f"sequence of {length} tokens: predicted, nothing is measured",
        f"latency {_range(found.latency_ms, 3)} ms; {_range(found.cycles, 0)} cycles at "
        f"{_range(found.clock_mhz, 0)} MHz ({design.clock_mhz:g} asked); lanes busy {found.lane_utilisation:.1%}",
        f"on top: launch overhead {_milliseconds(found.launch_ms)}; host transfer {_milliseconds(found.transfer_ms)}",
        "",
        f"{'pass':18}{'passes':>7}{'cycles':>10}{'share':>8}{'lanes busy':>12}",
    ]
    lines += [
        f"{step.kind:18}{step.passes:7}{step.cycles:10.0f}{step.share:8.1%}{step.lanes_busy:12.1%}"
        for step in found.passes
    ]
    names = [use.name for use in found.resources]
    lines += ["", f"{'unit':18}{'busy':>7}" + "".join(f"{name.upper():>10}" for name in names)]
    for unit in found.units:
        busy = "" if unit.busy is None else f"{unit.busy:.0%}"
        lines.append(f"{unit.unit:18}{busy:>7}" + "".join(f"{unit.resources[name]:10.0f}" for name in names))
    lines += ["", f"{'resource':18}{'used':>30}{'board':>10}{'share':>8}"]
    for use in found.resources:
        share = f"{use.used.mean / use.available:.1%}" if use.available else ""
        lines.append(f"{use.name.upper():18}{_range(use.used, 0):>30}{use.available:10}{share:>8}")
    lines += ["", "What the figures rest on (intervals hold nine of ten):"]
    return lines + [f"  {name}: {basis}" for name, basis in found.basis.items()]


def _milliseconds(interval: Interval | None) -> str:
    return "see below" if interval is None else f"{_range(interval, 3)} ms"


def _range(interval: Interval, digits: int) -> str:
    return f"{interval.mean:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"
