"""Golden vectors and memory images as project files, for the C++ test bench, the host and RTL simulation alike.

The format of ``golden/index.txt`` is described in templates/project/README.md.j2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PASS_BYTES
from aebert.design.program import Pass, Program
from aebert.support.errors import AebertError
from codegen.memory_image import LaunchCounts, MemoryImage
from codegen.vector_order import lanes_in_order

GOLDEN_VERSION = 2
ONE_LAYER_VECTOR = "one-layer"  # what RTL simulation runs by default
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class GoldenVector:
    """One launch and what it must store. ``name`` becomes a folder; ``input`` and ``expected`` are whole buffers.

    ``expected`` holds the stored passes of ``program`` in the kernel's order; tokens of padding may hold anything.
    ``counts``: of the tiles that ``program`` takes from the project's memory image, where it does not take all.
    """

    name: str
    program: Program
    input: Bytes
    expected: Bytes
    counts: LaunchCounts | None = None


def memory_files(image: MemoryImage) -> dict[str, bytes]:
    """``memory/*.bin``: what the host uploads once per subnet."""
    return {
        "memory/weights.bin": image.weights.tobytes(),
        "memory/indices.bin": image.indices.tobytes(),
        "memory/parameters.bin": image.parameters.tobytes(),
    }


def port_depths(config: HardwareConfig, image: MemoryImage, vectors: Sequence[GoldenVector]) -> dict[str, int]:
    """The words at each port of the kernel that the largest of ``vectors`` needs."""
    largest = {
        "pass_table": max((PASS_BYTES * len(vector.program.passes) for vector in vectors), default=0),
        "weights": len(image.weights),
        "indices": len(image.indices),
        "parameters": len(image.parameters),
        "embeddings": max((len(vector.input) for vector in vectors), default=0),
        "results": max((len(vector.expected) for vector in vectors), default=0),
    }
    return {port: max(1, -(-size // config.word_bytes)) for port, size in largest.items()}


def golden_files(config: HardwareConfig, image: MemoryImage, vectors: Sequence[GoldenVector]) -> dict[str, bytes]:
    """``golden/index.txt`` and three binary files per vector.

    Raises AebertError for a name that is no plain folder name or given twice, and for an ``expected`` that does not
    have the size of what the program stores.
    """
    names = [vector.name for vector in vectors]
    for vector in vectors:
        if not _NAME.fullmatch(vector.name):
            raise AebertError(f"golden vector {vector.name!r}: use lower-case letters, digits, - and _")
        if names.count(vector.name) > 1:
            raise AebertError(f"golden vector {vector.name!r}: the name is given twice; rename one")
        size = vector.program.stored_vectors(config) * config.words_per_vector * config.word_bytes
        if len(vector.expected) != size:
            raise AebertError(
                f"golden vector {vector.name!r}: expected output has {len(vector.expected)} bytes, "
                f"its program stores {size}; compute it for this program"
            )
    files = {"golden/index.txt": _index(config, image, vectors).encode()}
    for vector in vectors:
        contents: Mapping[str, Bytes] = {
            "program": image.program_bytes(vector.program),
            "input": vector.input,
            "expected": vector.expected,
        }
        files |= {f"golden/{vector.name}/{name}.bin": data.tobytes() for name, data in contents.items()}
    return files


def _index(config: HardwareConfig, image: MemoryImage, vectors: Sequence[GoldenVector]) -> str:
    lines = [
        f"aebert-golden {GOLDEN_VERSION}",
        f"vectors {len(vectors)}",
    ]
    for vector in vectors:
        lines += _vector_lines(config, vector, vector.counts or image.counts)
    return "\n".join(lines) + "\n"


def _vector_lines(config: HardwareConfig, vector: GoldenVector, counts: LaunchCounts) -> Iterator[str]:
    program = vector.program
    yield (
        f"vector {vector.name} passes {len(program.passes)} groups {program.groups} "
        f"tiles {counts.tile_count} index_words {counts.index_word_count}"
    )
    tokens = [
        min(config.tokens, length - first) for length in program.lengths for first in range(0, length, config.tokens)
    ]
    yield " ".join(f"tokens {count}" for count in tokens)
    stored = [step for step in program.passes if step.stored_vectors(config)]
    yield f"stored {len(stored)}"
    for step in stored:
        yield _pass_line(config, step)


def _pass_line(config: HardwareConfig, step: Pass) -> str:
    return (
        f"pass {step.name} layer {step.layer} head {step.head} sequence {step.sequence} "
        f"first_group {step.first_group} groups {step.group_count} "
        f"channels {step.stored_vectors(config) // step.group_count} lanes {lanes_in_order(config, step)}"
    )
