"""What goes into the accelerator's memory: weights, indices and parameters of a subnet, and programs that use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.hardware_config import HardwareConfig
from aebert.design.head_places import PROJECTIONS, head_channels, head_places, head_width, pad_heads
from aebert.design.kernel_records import PARAMETER_BYTES, PARAMETERS, PASS, PassKind
from aebert.design.program import Pass, Program
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, MatrixName
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayerNorm, QuantisedLinear, Requantiser
from aebert.support.errors import AebertError
from codegen.packing import index_words, pack_matrix, read_tile_counts

Bytes = npt.NDArray[np.uint8]

BlockKey = tuple[int, str, int]


@dataclass(frozen=True)
class LaunchCounts:
    """The kernel's scalar arguments that belong to the weights in memory."""

    tile_count: int
    index_word_count: int


@dataclass(frozen=True)
class MemoryImage:
    """The buffers of one subnet, uint8 and in whole words, with the counts that a launch needs.

    ``parameter_words`` maps (layer, pass name, head) to the first word of the pass's parameter block; ``tiles``
    [layers][MATRIX_NAMES] are the stored tiles of every matrix.
    """

    weights: Bytes
    indices: Bytes
    parameters: Bytes
    parameter_words: Mapping[BlockKey, int]
    tiles: tuple[tuple[int, ...], ...]
    counts: LaunchCounts

    @property
    def matrix_tiles(self) -> dict[tuple[int, MatrixName], int]:
        """``tiles`` by layer and matrix."""
        return {
            (number, name): tiles
            for number, layer in enumerate(self.tiles)
            for name, tiles in zip(MATRIX_NAMES, layer, strict=True)
        }

    def program_bytes(self, program: Program) -> Bytes:
        """``program`` as the kernel reads it, [passes * PASS_BYTES]."""
        table = np.zeros(len(program.passes), PASS.dtype)
        for number, step in enumerate(program.passes):
            values = step.fields(self.parameter_words.get(_block_key(step), 0))
            table[number] = tuple(values[field.name] for field in PASS.fields)
        return table.view(np.uint8).reshape(-1)


@dataclass(frozen=True)
class MatrixImage:
    """One matrix as the kernel reads it: ``weights`` [tiles * out_lanes * in_lanes], ``indices`` in whole words."""

    weights: Bytes
    indices: Bytes
    tiles: int


def matrix_image(
    linear: QuantisedLinear, name: MatrixName, shape: EncoderShape, config: HardwareConfig, kept: Sequence[int]
) -> MatrixImage:
    """``kept``: the heads whose outputs of query, key and value the program computes.

    Raises AebertError when the matrix is not whole tiles.
    """
    padded = pad_heads(linear.weight, name, shape, config.in_lanes, kept)
    packed = pack_matrix(padded, config.out_lanes, config.in_lanes)
    return MatrixImage(
        weights=packed.weights.reshape(-1).view(np.uint8),
        indices=index_words(packed, config).reshape(-1),
        tiles=packed.tiles,
    )


def build_memory_image(quantised: QuantisedEncoder, config: HardwareConfig) -> MemoryImage:
    """Packs every matrix and lays out every per-channel constant. Raises AebertError when the design is too small."""
    config.check_fits(quantised.shape)
    shape = quantised.shape
    matrices = [
        matrix_image(layer.matrix(name), name, shape, config, kept)
        for layer, kept in zip(quantised.layers, quantised.kept_heads, strict=True)
        for name in MATRIX_NAMES
    ]
    return join_images(matrices, quantised, config)


def removed_heads(quantised: QuantisedEncoder) -> str:
    """How many heads have no passes, in words; empty where all have."""
    shape = quantised.shape
    total = shape.layers * shape.heads
    removed = total - sum(map(len, quantised.kept_heads))
    return f"{removed} of {total} heads are removed and have no passes" if removed else ""


def join_images(matrices: Sequence[MatrixImage], quantised: QuantisedEncoder, config: HardwareConfig) -> MemoryImage:
    """The image of ``quantised`` from those of its matrices, in the order of layers and MATRIX_NAMES.

    Raises AebertError when the design is too small.
    """
    config.check_fits(quantised.shape)
    indices = np.concatenate([matrix.indices for matrix in matrices])
    per_layer = len(MATRIX_NAMES)
    return MemoryImage(
        weights=_whole_words(np.concatenate([matrix.weights for matrix in matrices]), config),
        indices=indices,
        parameters=_parameter_bytes(quantised, config),
        parameter_words=_parameter_words(quantised, config),
        tiles=tuple(
            tuple(matrix.tiles for matrix in matrices[first : first + per_layer])
            for first in range(0, len(matrices), per_layer)
        ),
        counts=LaunchCounts(
            tile_count=sum(matrix.tiles for matrix in matrices),
            index_word_count=len(indices) // config.word_bytes,
        ),
    )


def stored_memory_image(
    weights: Bytes,
    indices: Bytes,
    parameters: Bytes,
    counts: LaunchCounts,
    quantised: QuantisedEncoder,
    config: HardwareConfig,
) -> MemoryImage:
    """The image whose buffers were read from a project of ``quantised``, from which the place of each parameter block
    follows; the tiles of each matrix stand in the index stream. Raises AebertError for a stream that is not of it."""
    heads = [len(kept) for kept in quantised.kept_heads]
    tiles = read_tile_counts(indices, quantised.shape, heads, config)
    if sum(map(sum, tiles)) != counts.tile_count:
        raise AebertError(
            f"index stream: {sum(map(sum, tiles))} tiles, the manifest says {counts.tile_count}; generate again"
        )
    return MemoryImage(weights, indices, parameters, _parameter_words(quantised, config), tiles, counts)


def _whole_words(data: Bytes, config: HardwareConfig) -> Bytes:
    return np.pad(data, (0, -len(data) % config.word_bytes))


def _block_key(step: Pass) -> BlockKey:
    return step.layer, step.name, step.head


def _matmul_block(linear: QuantisedLinear, second: Requantiser | None = None) -> npt.NDArray[np.void]:
    block = _requantiser_block(linear.requantiser)
    block["bias_or_gain"] = linear.bias
    if second is not None:
        block["second_multiplier"] = second.multiplier
        block["second_shift"] = second.shift
    return block


def _norm_block(norm: QuantisedLayerNorm) -> npt.NDArray[np.void]:
    block = _requantiser_block(norm.requantiser)
    block["bias_or_gain"] = norm.gain
    block["offset"] = norm.offset
    return block


def _requantiser_block(requantiser: Requantiser) -> npt.NDArray[np.void]:
    block = np.zeros(len(requantiser.multiplier), PARAMETERS.dtype)
    block["multiplier"] = requantiser.multiplier
    block["shift"] = requantiser.shift
    return block


def _blocks(
    quantised: QuantisedEncoder, config: HardwareConfig
) -> Iterator[tuple[BlockKey, list[npt.NDArray[np.void]]]]:
    """The parameter blocks in program order; a residual pass has its LayerNorm's after the matmul's."""
    shape = quantised.shape
    width = head_width(shape, config.in_lanes)

    def padded(block: npt.NDArray[np.void], heads: Sequence[int]) -> npt.NDArray[np.void]:
        """Those of ``heads``, with zeros for the channels that pad them: sums of zero stay zero whatever the
        constants."""
        result = np.zeros(len(heads) * width, block.dtype)
        result["shift"] = block["shift"][0]
        result[head_places(shape, config.in_lanes, heads)] = block[head_channels(shape, heads)]
        return result

    yield (-1, PassKind.LOAD.name.lower(), -1), [_requantiser_block(quantised.input_requantiser)]
    for number, (layer, kept) in enumerate(zip(quantised.layers, quantised.kept_heads, strict=True)):
        for name in PROJECTIONS if kept else ():
            yield (number, name, -1), [padded(_matmul_block(layer.matrix(name)), kept)]
        context = _requantiser_block(layer.context)
        for head in kept:
            yield (number, PassKind.CONTEXT.name.lower(), head), [padded(context, [head])]
        yield (
            (number, "attention_output", -1),
            [_matmul_block(layer.attention_output), _norm_block(layer.attention_norm)],
        )
        yield (number, "ffn_in", -1), [_matmul_block(layer.ffn_in, layer.gelu)]
        yield (number, "ffn_out", -1), [_matmul_block(layer.ffn_out), _norm_block(layer.ffn_norm)]


def _block_channels(quantised: QuantisedEncoder, config: HardwareConfig) -> Iterator[tuple[BlockKey, list[int]]]:
    """How many channels each piece of every block of `_blocks` holds."""
    shape = quantised.shape
    width = head_width(shape, config.in_lanes)
    yield (-1, PassKind.LOAD.name.lower(), -1), [shape.hidden]
    for number, kept in enumerate(quantised.kept_heads):
        for name in PROJECTIONS if kept else ():
            yield (number, name, -1), [len(kept) * width]
        for head in kept:
            yield (number, PassKind.CONTEXT.name.lower(), head), [width]
        yield (number, "attention_output", -1), [shape.hidden, shape.hidden]
        yield (number, "ffn_in", -1), [shape.ffn]
        yield (number, "ffn_out", -1), [shape.hidden, shape.hidden]


def _parameter_words(quantised: QuantisedEncoder, config: HardwareConfig) -> dict[BlockKey, int]:
    """The first word of each block: they lie one after another, each piece beginning on a word."""
    first_word: dict[BlockKey, int] = {}
    position = 0
    for key, channels in _block_channels(quantised, config):
        first_word[key] = position
        position += sum(-(-count * PARAMETER_BYTES // config.word_bytes) for count in channels)
    return first_word


def _parameter_bytes(quantised: QuantisedEncoder, config: HardwareConfig) -> Bytes:
    """All blocks as `_parameter_words` places them."""
    pieces: list[Bytes] = []
    expected = _block_channels(quantised, config)
    for (key, blocks), (place, channels) in zip(_blocks(quantised, config), expected, strict=True):
        assert (key, [len(block) for block in blocks]) == (place, channels)
        pieces += [_whole_words(block.view(np.uint8).reshape(-1), config) for block in blocks]
    return np.concatenate(pieces)
