"""The sizes of a design in a TOML file: what ``aebert explore`` writes and ``aebert generate --config`` takes."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from aebert.atomic import write_text
from aebert.design.config import DSP_PACKING, HardwareConfig
from aebert.errors import AebertError
from aebert.toml_table import read_toml

_LARGEST = 1 << 30
_NUMBERS = tuple(field.name for field in fields(HardwareConfig) if field.name != "dsp")
_REQUIRED = frozenset(field.name for field in fields(HardwareConfig) if field.default is MISSING)


@dataclass(frozen=True)
class DesignFile:
    """``board`` is the name (or the .toml file) that the sizes were chosen for."""

    board: str
    clock_mhz: float
    compute_units: int
    config: HardwareConfig


def write_design_file(path: Path, design: DesignFile, *, comment: str) -> None:
    """Writes ``design`` as TOML, whole or not at all; ``comment`` (one line) goes on top."""
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
    top = read_toml(path)
    table = top.table("config")
    numbers = {name: table.integer(name, 1, _LARGEST) for name in _NUMBERS if table.has(name) or name in _REQUIRED}
    dsp = table.choice("dsp", tuple(DSP_PACKING))
    table.finish()
    try:
        config = HardwareConfig(**numbers, dsp=dsp)
    except AebertError as error:
        raise AebertError(f"{path}: {error}") from error
    design = DesignFile(
        board=top.text("board"),
        clock_mhz=top.number("clock_mhz", 1, 2000),
        compute_units=top.integer("compute_units", 1, 256),
        config=config,
    )
    top.finish()
    return design
