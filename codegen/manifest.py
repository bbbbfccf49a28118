"""manifest.json: what a project is, for whoever loads it: design, digests, register map, memory map, counts."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_streams import PORTS
from aebert.models.encoder import EncoderShape
from aebert.support.checked_files import first_fault
from aebert.support.errors import AebertError
from aebert.support.input_files import read_input
from aebert.support.plain_text import PlainText
from codegen.memory_image import LaunchCounts
from codegen.project_folder import require_project

# 2: passes await keys and values apart from operands, and a kernel may have several engines. 3: timed emulation is told
# the stage of every access to a stream, and heads of which nothing is read have no passes.
SCHEMA_VERSION = 3
AGAIN = "generate the project again"
# The kernel's function, in every project: what a manifest says is never called.
TOP: Final = "aebert_kernel"
# A manifest lists each file of its project once.
LARGEST_MANIFEST = 16 << 20

# Vitis HLS lays out an s_axilite register file like this (UG1399, "S_AXILITE Control Register Map"): control registers
# from 0x00, then the arguments in order, 64-bit pointers in 12 bytes and 32-bit scalars in 8.
_FIRST_ARGUMENT = 0x10
_POINTER_STRIDE = 0x0C
_SCALAR_STRIDE = 0x08
SCALARS = ("pass_count", "tile_count", "index_word_count")


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
    for name in PORTS:
        registers.append(Register(name, offset, 64))
        offset += _POINTER_STRIDE
    for name in SCALARS:
        registers.append(Register(name, offset, 32))
        offset += _SCALAR_STRIDE
    return tuple(registers)


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Relative, and below the project.
FileName = Annotated[PlainText, Field(pattern=r"^[^/]+(/[^/]+)*$")]


@dataclass(frozen=True)
class Manifest:
    """The typed content of manifest.json. Digests are SHA-256 in hex.

    ``banks`` maps each memory port to the board's tag of the bank it is connected to. ``files`` has the digest of every
    other file of the project.
    """

    toolkit_version: PlainText
    numerics_version: int
    top: Literal["aebert_kernel"]
    board: PlainText
    part: PlainText
    flow: Literal["vitis", "vivado"]
    platform: PlainText | None
    clock_mhz: Annotated[float, Field(gt=0, lt=10_000, allow_inf_nan=False)]
    compute_units: Annotated[int, Field(ge=1, le=256)]
    config: HardwareConfig
    shape: EncoderShape
    design_digest: Digest
    subnet_digest: PlainText
    quantised_digest: Digest
    counts: LaunchCounts
    registers: tuple[Register, ...]
    banks: dict[PlainText, PlainText]
    files: dict[FileName, Digest]

    def to_json(self) -> str:
        """Sorted and indented, so that two manifests can be compared line by line."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=2, sort_keys=True) + "\n"


def read_manifest(project: Path) -> Manifest:
    """Raises AebertError when ``project`` has no manifest that this toolkit understands."""
    path = require_project(project)
    try:
        content: object = json.loads(read_input(path, LARGEST_MANIFEST, AGAIN))
    except (ValueError, RecursionError) as error:
        raise AebertError(f"{path}: not valid JSON ({error}); {AGAIN}") from None
    fields: dict[str, Any] = dict(content) if isinstance(content, dict) else {}
    version = fields.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise AebertError(f"{path}: schema_version is {version!r}, this toolkit reads {SCHEMA_VERSION}; generate again")
    try:
        manifest = _MANIFEST.validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        raise AebertError(f"{path}: {first_fault(error)}; {AGAIN}") from None
    except AebertError as error:
        raise AebertError(f"{path}: {error}; {AGAIN}") from None
    _check_consistent(manifest, fields, path)
    return manifest


def _check_consistent(manifest: Manifest, fields: dict[str, Any], path: Path) -> None:
    unknown = sorted({*fields} - {field.name for field in dataclasses.fields(Manifest)})
    if unknown:
        raise AebertError(f"{path}: field missing or unknown ({unknown[0]!r}); {AGAIN}")
    if any(part in (".", "..") for name in manifest.files for part in name.split("/")):
        raise AebertError(f"{path}: field files: names must be plain paths inside the project; {AGAIN}")
    if manifest.registers != register_map() or {*manifest.banks} != {*PORTS}:
        raise AebertError(f"{path}: fields registers and banks: not those of {TOP}; {AGAIN}")


_MANIFEST = TypeAdapter(Manifest)


def manifest_design(manifest: Manifest) -> Design:
    """The design that a project is of. Raises AebertError where its board is not known."""
    return Design(manifest.config, load_board(manifest.board), manifest.clock_mhz, manifest.compute_units)
