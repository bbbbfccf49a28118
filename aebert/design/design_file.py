"""The sizes of a design in a TOML file: what ``aebert explore`` writes and ``aebert generate --config`` takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from aebert.design.board_file import DspKind
from aebert.design.hardware_config import HardwareConfig
from aebert.numerics.activation import FfnActivation
from aebert.support.atomic_files import write_text
from aebert.support.checked_files import FileTable, PlainText, between, check_fields
from aebert.support.errors import AebertError
from aebert.support.plain_text import is_plain
from aebert.support.toml_file import read_toml

Size = Annotated[int, between(1, 1 << 30)]


class _ConfigTable(FileTable):
    """Fields of `HardwareConfig`."""

    tokens: Size
    out_lanes: Size
    in_lanes: Size
    max_hidden: Size
    max_ffn: Size
    max_length: Size
    max_groups: Size
    dsp: DspKind
    word_bytes: Size = HardwareConfig.word_bytes
    tile_fifo: Size = HardwareConfig.tile_fifo
    parameter_fifo: Size = HardwareConfig.parameter_fifo
    sums_fifo: Size = HardwareConfig.sums_fifo
    activation: FfnActivation = HardwareConfig.activation
    row_slices: Size = HardwareConfig.row_slices
    engines: Size = HardwareConfig.engines
    lut_lanes: Annotated[int, between(0, 1 << 30)] = HardwareConfig.lut_lanes


class _DesignTable(FileTable):
    board: PlainText
    clock_mhz: Annotated[float, between(1, 2000)]
    compute_units: Annotated[int, between(1, 256)]
    config: _ConfigTable


@dataclass(frozen=True)
class DesignFile:
    """``board`` is the name (or the .toml file) that the sizes were chosen for."""

    board: str
    clock_mhz: float
    compute_units: int
    config: HardwareConfig


def write_design_file(path: Path, design: DesignFile, *, comment: str) -> None:
    """Writes ``design`` as TOML, whole or not at all; ``comment`` (one line) goes on top."""
    if not is_plain(design.board):
        raise AebertError(f"board {design.board!r}: holds a line break or another control character; rename it")
    quoted = design.board.replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        f"# {comment}",
        f'board = "{quoted}"',
        f"clock_mhz = {design.clock_mhz:g}",
        f"compute_units = {design.compute_units}",
        "",
        "[config]",
    ]
    for field in fields(HardwareConfig):
        value = getattr(design.config, field.name)
        lines.append(f'{field.name} = "{value}"' if isinstance(value, str) else f"{field.name} = {value}")
    write_text(path, "\n".join(lines) + "\n")


def read_design_file(path: Path) -> DesignFile:
    """Raises AebertError naming file and field for a missing, misspelt or impossible one."""
    table = check_fields(_DesignTable, read_toml(path), str(path))
    try:
        config = HardwareConfig(**table.config.model_dump())
    except AebertError as error:
        raise AebertError(f"{path}: {error}") from error
    return DesignFile(table.board, table.clock_mhz, table.compute_units, config)
