"""``aebert estimate``: what a subnet will take on a board, before anything is synthesised."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebert.cli.learned import database_option, learned, learned_option
from aebert.cli.names import complete_board
from aebert.cli.output import current_output
from aebert.support.errors import AebertError
from aebert.support.text_table import text_table

if TYPE_CHECKING:
    from aebert.cost_model.breakdown import Breakdown, PredictionInterval
    from aebert.cost_model.scheduled_kernel import ScheduledKernel
    from aebert.design.design import Design
    from aebert.design.workload import TileCounts
    from aebert.models.encoder import EncoderShape


@click.command(name="estimate")
@click.argument("what", metavar="SUBNET|PROJECT", type=click.Path(path_type=Path))
@click.option(
    "--board", shell_complete=complete_board, help="Name of a board, or the path of a .toml file of your own."
)
@click.option("--config", "design_file", type=click.Path(path_type=Path), help="Sizes from 'aebert explore -o FILE'.")
@click.option("--model", "model_file", type=click.Path(path_type=Path), help="Fitted model: 'aebert fit-cost -o'.")
@database_option
@learned_option
@click.option("--length", type=click.IntRange(1), help="Tokens of the sequence [default: the design's longest].")
def command(
    what: Path,
    board: str | None,
    design_file: Path | None,
    model_file: Path | None,
    database: str | None,
    no_runs: bool,
    length: int | None,
) -> None:
    """Predict cycles, clock, latency and resources of one launch, by kind of pass and by unit, with intervals.

    SUBNET: its own weight tiles on the design that generate would choose for BOARD, or on the sizes of --config.
    PROJECT: its own design. Every figure says what it rests on; nothing is measured. Runs and syntheses in the run
    database count, the design's own synthesis above all ('aebert runs import PROJECT').

    Example: aebert estimate subnet --board u200 --model u200.json
    """
    from aebert.cost_model.breakdown import break_down
    from aebert.cost_model.fitted_model import read_model

    output = current_output()
    design, shape, tiles = (
        _project(what, board, design_file) if _is_project(what) else _subnet(what, board, design_file)
    )
    known = learned(design, database, no_runs)
    fitted = known.model if model_file is None else read_model(model_file)
    lengths = (design.config.max_length if length is None else length,)
    if lengths[0] > design.config.max_length:
        raise AebertError(f"--length {lengths[0]}: the design takes at most {design.config.max_length} tokens")
    scheduled = _schedule(what, design) if _is_project(what) else None
    found = break_down(design, shape, tiles, lengths, fitted, known.synthesis, scheduled)
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
    from aebert.design.workload import subnet_tiles
    from codegen.manifest import manifest_design
    from codegen.project import load_project

    if board is not None or design_file is not None:
        raise AebertError(f"{folder}: a project has its board and sizes; leave --board and --config out")
    project = load_project(folder)
    manifest = project.manifest
    design = manifest_design(manifest)
    return design, manifest.shape, subnet_tiles(project.quantised)


def _schedule(folder: Path, design: Design) -> ScheduledKernel | None:
    """What the project's own loops say of depths, clock and registers; None where there is no schedule."""
    from aebert.cost_model.scheduled_kernel import ScheduledKernel
    from aebert.timing.scheduled_latencies import scheduled_latencies
    from codegen.manifest import read_manifest
    from codegen.schedule.stored_schedule import known_schedule

    found = known_schedule(folder, read_manifest(folder))
    if found is None:
        return None
    latencies = scheduled_latencies(design.config, found.schedules())
    return ScheduledKernel(latencies, found.reached_mhz, found.register_bits)


def _subnet(folder: Path, board: str | None, design_file: Path | None) -> tuple[Design, EncoderShape, TileCounts]:
    from aebert.design.board import load_board
    from aebert.design.board_fit import expected_clock_mhz
    from aebert.design.design import Design
    from aebert.design.design_file import read_design_file
    from aebert.design.subnet_config import config_for_subnet
    from aebert.design.workload import subnet_tiles
    from aebert.models import load_encoder
    from aebert.pruning.subnet import SUBNET_FILE, read_subnet
    from aebert.pruning.zero_patterns import parse_pattern

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
        text_table(
            ("pass", "passes", "cycles", "share", "lanes busy"),
            (
                (step.kind, str(step.passes), f"{step.cycles:.0f}", f"{step.share:.1%}", f"{step.lanes_busy:.1%}")
                for step in found.passes
            ),
        ),
    ]
    names = [use.name for use in found.resources]
    units = (
        (unit.unit, "" if unit.busy is None else f"{unit.busy:.0%}", *(f"{unit.resources[name]:.0f}" for name in names))
        for unit in found.units
    )
    uses = (
        (
            use.name.upper(),
            _range(use.used, 0),
            str(use.available),
            f"{use.used.mean / use.available:.1%}" if use.available else "",
        )
        for use in found.resources
    )
    lines += ["", text_table(("unit", "busy", *map(str.upper, names)), units)]
    lines += ["", text_table(("resource", "used", "board", "share"), uses)]
    lines += ["", "What the figures rest on (intervals hold nine of ten; ~: assumed, too few designs promise that):"]
    return lines + [f"  {name}: {basis}" for name, basis in found.basis.items()]


def _milliseconds(interval: PredictionInterval | None) -> str:
    return "see below" if interval is None else f"{_range(interval, 3)} ms"


def _range(interval: PredictionInterval, digits: int) -> str:
    """With ~ where the interval is assumed."""
    assumed = "~" if interval.assumed else ""
    return f"{interval.mean:.{digits}f} ({assumed}{interval.low:.{digits}f} to {interval.high:.{digits}f})"
