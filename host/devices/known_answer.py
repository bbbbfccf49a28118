"""The known-answer test: a golden vector of the project, before a device is trusted with anything else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aebert.design.program import Program, build_program
from aebert.support.errors import AebertError
from aebert.support.input_files import read_input
from codegen.project import Project
from codegen.vector_order import input_bytes, output_size, stored_passes
from host.devices.accelerator import Accelerator
from host.devices.faults import DeviceFault

FOLDER = "golden"
_AGAIN = "generate the project again"
# A line per pass that a vector stores.
_LARGEST_INDEX = 16 << 20
# All passes of all layers, and several tokens, so that attention has something to attend to.
VECTOR = "short"

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class KnownAnswer:
    """A launch as the kernel reads it, and the output buffer that it must leave (tokens of padding aside)."""

    program: Program
    input: Bytes
    expected: Bytes


def read_known_answer(project: Project, name: str = VECTOR) -> KnownAnswer:
    """Raises AebertError when the project has no such golden vector, or it is of another program."""
    folder = project.directory / FOLDER
    length = _length(folder / "index.txt", name, project.manifest.config.max_length)
    files = {part: folder / name / f"{part}.bin" for part in ("program", "input", "expected")}
    for path in files.values():
        if not path.is_file():
            raise AebertError(f"{path}: missing; generate the project again")
    program = build_program(project.manifest.config, project.quantised, [length], stored="all")
    content = {part: np.frombuffer(read_input(path, remedy=_AGAIN), np.uint8) for part, path in files.items()}
    residual = np.zeros((length, project.quantised.shape.hidden), np.int16)
    config = project.manifest.config
    sizes = {
        "input": len(input_bytes(config, program, [residual])),
        "expected": output_size(config, program),
    }
    for part, size in sizes.items():
        if len(content[part]) != size:
            raise AebertError(f"{files[part]}: {len(content[part])} bytes, its program needs {size}; {_AGAIN}")
    if not np.array_equal(content["program"], project.image.program_bytes(program)):
        raise AebertError(f"{files['program']}: not this toolkit's program; generate the project again")
    return KnownAnswer(program, content["input"], content["expected"])


def check_known_answer(accelerator: Accelerator, project: Project, known: KnownAnswer) -> None:
    """Raises DeviceFault, with the first pass that is wrong, when the device does not give the known answer."""
    config, program = project.manifest.config, known.program
    content = project.image.program_bytes(program)
    prepared = accelerator.prepare_bytes(content, known.input, len(program.passes), len(known.expected))
    output = accelerator.execute(prepared)
    (length,) = program.lengths
    pairs = zip(stored_passes(config, program, output), stored_passes(config, program, known.expected), strict=True)
    for got, expected in pairs:
        keys = length if got.step.name == "scores" else expected.values.shape[1]
        if not np.array_equal(got.values[:length, :keys], expected.values[:length, :keys]):
            raise DeviceFault(
                f"{accelerator.device.name}: known-answer test failed, first in layer {got.step.layer}, "
                f"pass {got.step.name}; do not use this device"
            )


def _length(index: Path, name: str, longest: int) -> int:
    """Tokens of the vector's one sequence: the sum over its token groups."""
    if not index.is_file():
        raise AebertError(f"{index}: missing; generate the project again")
    lines = read_input(index, _LARGEST_INDEX, _AGAIN).decode("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines[:-1]):
        if line.startswith(f"vector {name} "):
            length = sum(int(count) for count in re.findall(r"tokens (\d{1,9})\b", lines[number + 1]))
            if 0 < length <= longest:
                return length
            raise AebertError(
                f"{index}: golden vector {name!r} of {length} tokens, the design takes {longest}; {_AGAIN}"
            )
    raise AebertError(f"{index}: no golden vector {name!r}; generate the project again")
