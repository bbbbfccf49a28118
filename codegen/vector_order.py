"""Between arrays [tokens, channels] and the order in which the kernel reads and writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PassKind
from aebert.design.program import Pass, Program
from aebert.numerics.reference import LayerTrace

Int16Array = npt.NDArray[np.int16]


@dataclass(frozen=True)
class StoredPass:
    """What one pass put out: int16 [tokens of its token groups, those of the model's channels that it computes (keys,
    for scores)]."""

    step: Pass
    values: Int16Array


def input_bytes(config: HardwareConfig, program: Program, residuals: Sequence[Int16Array]) -> npt.NDArray[np.uint8]:
    """The input buffer for ``residuals``, int16 [length, hidden] each: [channel][token group][token], whole words."""
    hidden = residuals[0].shape[1]
    joined = np.zeros((program.groups * config.tokens, hidden), np.int16)
    group = 0
    for residual in residuals:
        joined[group * config.tokens :][: len(residual)] = residual
        group += config.groups(len(residual))
    lanes = config.words_per_vector * config.word_bytes // 2
    vectors = np.zeros((hidden, program.groups, lanes), "<i2")
    vectors[:, :, : config.tokens] = joined.reshape(program.groups, config.tokens, hidden).transpose(2, 0, 1)
    packed: npt.NDArray[np.uint8] = vectors.reshape(-1).view(np.uint8)
    return packed


def output_size(config: HardwareConfig, program: Program) -> int:
    """Bytes of the output buffer."""
    return program.stored_vectors(config) * config.words_per_vector * config.word_bytes


def stored_passes(config: HardwareConfig, program: Program, output: npt.NDArray[np.uint8]) -> list[StoredPass]:
    """The passes that were stored, in program order, from the output buffer."""
    lanes = config.words_per_vector * config.word_bytes // 2
    vectors = output.view("<i2").reshape(-1, lanes)[:, : config.tokens]
    found = []
    at = 0
    for step in program.passes:
        count = step.stored_vectors(config)
        if count:
            found.append(StoredPass(step, _tokens_by_channels(config, step, vectors[at : at + count])))
            at += count
    return found


def lanes_in_order(config: HardwareConfig, step: Pass) -> int:
    """Channels that follow one another within a token group.

    The requantiser's and softmax' results come in the engine's order: row group, token group, output lane. LayerNorm
    sweeps channel by channel.
    """
    return 1 if step.kind in (PassKind.LOAD, PassKind.RESIDUAL) else config.out_lanes


def _tokens_by_channels(config: HardwareConfig, step: Pass, vectors: Int16Array) -> Int16Array:
    blocks = vectors.reshape(-1, step.group_count, lanes_in_order(config, step), config.tokens)
    result: Int16Array = blocks.transpose(1, 3, 0, 2).reshape(step.group_count * config.tokens, -1)
    return result if step.places is None else result[:, list(step.places)]


def expected_values(step: Pass, traces: Sequence[LayerTrace], residual: Int16Array) -> Int16Array:
    """What the integer reference says of a stored pass: int16 [length, channels], for scores [length, keys].

    ``traces`` are those of the pass's sequence, ``residual`` its first residual.
    """
    if step.kind is PassKind.LOAD:
        return residual
    trace = traces[step.layer]
    if step.kind is PassKind.SCORES:
        probabilities: Int16Array = trace.probabilities[step.head].astype(np.int16)
        return probabilities
    if step.kind is PassKind.CONTEXT:
        size = trace.context.shape[1] // len(trace.probabilities)
        return trace.context[:, step.head * size : (step.head + 1) * size].astype(np.int16)
    values: Int16Array = getattr(trace, step.name).astype(np.int16)
    return values if step.channels is None else values[:, list(step.channels)]


def expected_bytes(
    config: HardwareConfig, program: Program, traces: Sequence[LayerTrace], residual: Int16Array
) -> npt.NDArray[np.uint8]:
    """The output buffer that a program of one sequence must leave; padding of tokens, lanes and heads is zero."""
    lanes = config.words_per_vector * config.word_bytes // 2
    pieces = []
    for step in program.passes:
        count = step.stored_vectors(config)
        if not count:
            continue
        values = expected_values(step, traces, residual)
        padded = np.zeros((step.group_count * config.tokens, count // step.group_count), np.int16)
        places = np.arange(values.shape[1]) if step.places is None else np.array(step.places)
        padded[: values.shape[0], places] = values
        inner = lanes_in_order(config, step)
        blocks = padded.reshape(step.group_count, config.tokens, -1, inner).transpose(2, 0, 3, 1)
        vectors = np.zeros((count, lanes), "<i2")
        vectors[:, : config.tokens] = blocks.reshape(count, config.tokens)
        pieces.append(vectors)
    joined: npt.NDArray[np.uint8] = np.concatenate(pieces).reshape(-1).view(np.uint8)
    return joined


def split_output(config: HardwareConfig, program: Program, values: Int16Array) -> list[Int16Array]:
    """Values of all token groups cut into the program's sequences, padding left out."""
    pieces = []
    group = 0
    for length in program.lengths:
        pieces.append(values[group * config.tokens :][:length])
        group += config.groups(length)
    return pieces
