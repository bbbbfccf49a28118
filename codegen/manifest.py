"""manifest.json: what a project is, for whoever loads it: design, digests, register map, memory map, counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aebert.design.config import HardwareConfig
from aebert.encoder import EncoderShape
from aebert.errors import AebertError
from codegen.memory_image import LaunchCounts

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"

# Vitis HLS lays out an s_axilite register file like this (UG1399, "S_AXILITE Control Register Map"): control registers
# from 0x00, then the arguments in order, 64-bit pointers in 12 bytes and 32-bit scalars in 8.
_FIRST_ARGUMENT = 0x10
_POINTER_STRIDE = 0x0C
_SCALAR_STRIDE = 0x08
POINTERS = ("program", "weights", "indices", "parameters", "input", "output")
SCALARS = ("pass_count", "tile_count", "index_word_count", "row_group_count")


@dataclass(frozen=True)
class Register:
    """One kernel argument: byte ``offset`` in the control register file, ``bits`` 64 for a pointer, 32 for a count."""

    name: str
    offset: int
    bits: int


def register_map() -> tuple[Register, ...]:
    """The arguments' registers, in the order of the kernel's signature."""
    registers = []
    offset = _FIRST_ARGUMENT
    for name in POINTERS:
        registers.append(Register(name, offset, 64))
        offset += _POINTER_STRIDE
    for name in SCALARS:
        registers.append(Register(name, offset, 32))
        offset += _SCALAR_STRIDE
    return tuple(registers)


@dataclass(frozen=True)
class Manifest:
    """The typed content of manifest.json. Digests are SHA-256 in hex.

    ``banks`` maps each memory port to the board's tag of the bank it is connected to. ``files`` has the digest of every
    other file of the project.
    """

    toolkit_version: str
    numerics_version: int
    top: str
    board: str
    part: str
    flow: str
    platform: str | None
    clock_mhz: float
    compute_units: int
    config: HardwareConfig
    shape: EncoderShape
    design_digest: str
    subnet_digest: str
    quantised_digest: str
    counts: LaunchCounts
    registers: tuple[Register, ...]
    banks: dict[str, str]
    files: dict[str, str]

    def to_json(self) -> str:
        """Sorted and indented, so that two manifests can be compared line by line."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=2, sort_keys=True) + "\n"


def read_manifest(project: Path) -> Manifest:
    """Raises AebertError when ``project`` has no manifest that this toolkit understands."""
    path = project / FILE_NAME
    if not path.is_file():
        raise AebertError(f"{path}: not found; give a folder made by 'aebert generate'")
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AebertError(f"{path}: not valid JSON ({error}); generate the project again") from None
    fields: dict[str, Any] = dict(content) if isinstance(content, dict) else {}
    version = fields.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise AebertError(f"{path}: schema_version is {version!r}, this toolkit reads {SCHEMA_VERSION}; generate again")
    try:
        return Manifest(
            **{
                **fields,
                "config": HardwareConfig(**fields["config"]),
                "shape": EncoderShape(**fields["shape"]),
                "counts": LaunchCounts(**fields["counts"]),
                "registers": tuple(Register(**entry) for entry in fields["registers"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise AebertError(f"{path}: field missing or unknown ({error}); generate the project again") from None
