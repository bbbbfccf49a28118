"""A complete small project with golden vectors, whose expected outputs come from the integer reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from aebert.design.board import load_board
from aebert.design.buffers import bind_buffers
from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PassKind
from aebert.design.program import Pass, Program, build_program
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import LayerTrace, trace_encoder
from codegen.build_plan import BuildPlan
from codegen.golden_vectors import GoldenVector, golden_files, memory_files
from codegen.memory_image import build_memory_image
from codegen.project_text import project_files
from codegen.render import kernel_files
from codegen.vector_order import input_bytes
from tests.support.random_quantised import random_quantised_encoder, random_residual, random_shape

CLOCK_MHZ = 300.0
SMALL_CONFIG = HardwareConfig(
    tokens=8, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=128, max_length=32, max_groups=6
)
GOLDEN_LENGTHS = {"one-token": (1,), "two-sequences": (13, 24)}

Int16Array = npt.NDArray[np.int16]


def small_project_text(config: HardwareConfig = SMALL_CONFIG, board_name: str = "u200") -> dict[str, str]:
    """All files of a project that are text: kernel, emulation, and what stands beside them."""
    board = load_board(board_name)
    free = board.available
    buffers = bind_buffers(config, luts=free.lut, bram36=free.bram36, uram=free.uram)
    return kernel_files(config, buffers) | project_files(config, board, CLOCK_MHZ, 1)


def write_small_project(directory: Path, seed: int = 0, config: HardwareConfig = SMALL_CONFIG) -> Path:
    """``directory``/project with golden vectors of two launches of a two-layer encoder, every pass stored."""
    quantised = random_quantised_encoder(random_shape(layers=2, hidden=32, heads=2, ffn=64), seed, density=0.5)
    image = build_memory_image(quantised, config)
    vectors = [golden_vector(config, quantised, name, lengths, seed) for name, lengths in GOLDEN_LENGTHS.items()]
    files: dict[str, bytes] = {name: text.encode() for name, text in small_project_text(config).items()}
    files |= memory_files(image) | golden_files(config, image, vectors)
    project = directory / "project"
    BuildPlan(files).extract(project)
    return project


def golden_vector(
    config: HardwareConfig, quantised: QuantisedEncoder, name: str, lengths: tuple[int, ...], seed: int
) -> GoldenVector:
    program = build_program(config, quantised, lengths, stored="all")
    residuals = [random_residual(quantised.shape, length, seed + number) for number, length in enumerate(lengths)]
    traces = [list(trace_encoder(quantised, residual)) for residual in residuals]
    expected = [
        _stored_bytes(config, program, step, residuals, traces)
        for step in program.passes
        if step.stored_vectors(config)
    ]
    return GoldenVector(name, program, input_bytes(config, program, residuals), np.concatenate(expected))


def _stored_bytes(
    config: HardwareConfig,
    program: Program,
    step: Pass,
    residuals: list[Int16Array],
    traces: list[list[LayerTrace]],
) -> npt.NDArray[np.uint8]:
    """One pass of the output buffer: the inverse of what the host reads back, written out element by element."""
    channels = step.stored_vectors(config) // step.group_count
    joined = np.zeros((step.group_count * config.tokens, channels), np.int16)
    first = 0
    for number, length in enumerate(program.lengths):
        if step.sequence in (-1, number):
            values = _values(step, residuals[number], traces[number])
            joined[first : first + length, : values.shape[1]] = values
            first += config.groups(length) * config.tokens
    lanes = 1 if step.kind in (PassKind.LOAD, PassKind.RESIDUAL) else config.out_lanes
    words = np.zeros((channels * step.group_count, config.words_per_vector * config.word_bytes // 2), "<i2")
    at = 0
    for row_group in range(0, channels, lanes):
        for group in range(step.group_count):
            for channel in range(row_group, row_group + lanes):
                words[at, : config.tokens] = joined[group * config.tokens :][: config.tokens, channel]
                at += 1
    return words.reshape(-1).view(np.uint8)


def _values(step: Pass, residual: Int16Array, layers: list[LayerTrace]) -> Int16Array:
    """[tokens, channels] of one sequence."""
    if step.kind is PassKind.LOAD:
        return residual
    trace = layers[step.layer]
    values: Int16Array
    if step.kind is PassKind.SCORES:
        values = trace.probabilities[step.head].astype(np.int16)
    elif step.kind is PassKind.CONTEXT:
        size = trace.context.shape[1] // len(trace.probabilities)
        values = trace.context[:, step.head * size :][:, :size].astype(np.int16)
    else:
        values = getattr(trace, step.name).astype(np.int16)
    return values
