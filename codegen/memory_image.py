"""What goes into the accelerator's memory: weights, indices and parameters of a subnet, and programs that use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.config import PARAMETER_BYTES, PASS_BYTES, HardwareConfig
from aebert.design.program import Pass, PassKind, Program
from aebert.encoder import MATRIX_NAMES, MatrixName
from aebert.quantised import QuantisedEncoder, QuantisedLayerNorm, QuantisedLinear, Requantiser
from codegen.packing import PackedMatrix, index_words, pack_matrix

Bytes = npt.NDArray[np.uint8]

PARAMETER_DTYPE = np.dtype(
    [
        ("bias_or_gain", "<i4"),
        ("offset", "<i4"),
        ("multiplier", "<u2"),
        ("second_multiplier", "<u2"),
        ("shift", "u1"),
        ("second_shift", "u1"),
        ("padding", "<u2"),
    ]
)
PASS_DTYPE = np.dtype(
    [
        ("kind", "<i2"),
        ("flags", "<i2"),
        ("first_group", "<i2"),
        ("group_count", "<i2"),
        ("length", "<i2"),
        ("buffer", "<i2"),
        ("outputs", "<i4"),
        ("tiles", "<i4"),
        ("source", "<i4"),
        ("weight_base", "<i4"),
        ("destination", "<i4"),
        ("awaits", "<i4", 3),
        ("scalars", "<u4", 3),
        ("parameter_word", "<i4"),
        ("reserved", "<i4"),
    ]
)
assert PARAMETER_DTYPE.itemsize == PARAMETER_BYTES
assert PASS_DTYPE.itemsize == PASS_BYTES

FLAG_STORE = 1
FLAG_UNSIGNED_OPERANDS = 2

BlockKey = tuple[int, str, int]


@dataclass(frozen=True)
class LaunchCounts:
    """The kernel's scalar arguments that belong to the weights in memory."""

    tile_count: int
    index_word_count: int
    row_group_count: int


@dataclass(frozen=True)
class MemoryImage:
    """The buffers of one subnet, uint8 and in whole words, with the counts that a launch needs.

    ``parameter_words`` maps (layer, pass name, head) to the first word of the pass's parameter block.
    """

    weights: Bytes
    indices: Bytes
    parameters: Bytes
    parameter_words: Mapping[BlockKey, int]
    counts: LaunchCounts

    def program_bytes(self, program: Program) -> Bytes:
        """``program`` as the kernel reads it, [passes * 64]."""
        table = np.zeros(len(program.passes), PASS_DTYPE)
        for entry, step in zip(table, program.passes, strict=True):
            _write_pass(entry, step, self.parameter_words.get(_block_key(step), 0))
        return table.view(np.uint8).reshape(-1)


def pack_encoder(quantised: QuantisedEncoder, config: HardwareConfig) -> list[list[PackedMatrix]]:
    """Every matrix in tiles, [layers][MATRIX_NAMES]. Raises AebertError when the design is too small."""
    config.check_fits(quantised.shape)
    return [
        [pack_matrix(layer.matrix(name).weight, config.out_lanes, config.in_lanes) for name in MATRIX_NAMES]
        for layer in quantised.layers
    ]


def tile_counts(packed: list[list[PackedMatrix]]) -> dict[tuple[int, MatrixName], int]:
    """The stored tiles of each (layer, matrix) of a packed encoder."""
    return {
        (number, name): matrix.tiles
        for number, layer in enumerate(packed)
        for name, matrix in zip(MATRIX_NAMES, layer, strict=True)
    }


@dataclass(frozen=True)
class MatrixImage:
    """One matrix as the kernel reads it: ``weights`` [tiles * out_lanes * in_lanes], ``indices`` in whole words."""

    weights: Bytes
    indices: Bytes
    tiles: int
    row_groups: int


def matrix_image(linear: QuantisedLinear, config: HardwareConfig) -> MatrixImage:
    """Raises AebertError when the matrix is not whole tiles."""
    return _image_of(pack_matrix(linear.weight, config.out_lanes, config.in_lanes), config)


def build_memory_image(quantised: QuantisedEncoder, config: HardwareConfig) -> MemoryImage:
    """Packs every matrix and lays out every per-channel constant. Raises AebertError when the design is too small."""
    packed = [matrix for layer in pack_encoder(quantised, config) for matrix in layer]
    return join_images([_image_of(matrix, config) for matrix in packed], quantised, config)


def join_images(matrices: Sequence[MatrixImage], quantised: QuantisedEncoder, config: HardwareConfig) -> MemoryImage:
    """The image of ``quantised`` from those of its matrices, in the order of layers and MATRIX_NAMES.

    Raises AebertError when the design is too small.
    """
    config.check_fits(quantised.shape)
    indices = np.concatenate([matrix.indices for matrix in matrices])
    words, parameters = _parameter_blocks(quantised, config)
    return MemoryImage(
        weights=_whole_words(np.concatenate([matrix.weights for matrix in matrices]), config),
        indices=indices,
        parameters=parameters,
        parameter_words=words,
        counts=LaunchCounts(
            tile_count=sum(matrix.tiles for matrix in matrices),
            index_word_count=len(indices) // config.word_bytes,
            row_group_count=sum(matrix.row_groups for matrix in matrices),
        ),
    )


def _image_of(packed: PackedMatrix, config: HardwareConfig) -> MatrixImage:
    return MatrixImage(
        weights=packed.weights.reshape(-1).view(np.uint8),
        indices=index_words(packed, config).reshape(-1),
        tiles=packed.tiles,
        row_groups=len(packed.counts),
    )


def stored_memory_image(
    weights: Bytes,
    indices: Bytes,
    parameters: Bytes,
    counts: LaunchCounts,
    quantised: QuantisedEncoder,
    config: HardwareConfig,
) -> MemoryImage:
    """The image whose buffers were read from a project; only the place of each parameter block is worked out again."""
    words, _ = _parameter_blocks(quantised, config)
    return MemoryImage(weights, indices, parameters, words, counts)


def _whole_words(data: Bytes, config: HardwareConfig) -> Bytes:
    return np.pad(data, (0, -len(data) % config.word_bytes))


def _block_key(step: Pass) -> BlockKey:
    return step.layer, step.name, step.head


def _write_pass(entry: np.void, step: Pass, parameter_word: int) -> None:
    entry["kind"] = step.kind
    entry["flags"] = FLAG_STORE * step.store | FLAG_UNSIGNED_OPERANDS * step.unsigned_operands
    for field in (
        "first_group",
        "group_count",
        "length",
        "buffer",
        "outputs",
        "tiles",
        "source",
        "weight_base",
        "destination",
    ):
        entry[field] = getattr(step, field)
    entry["awaits"] = (step.awaits.requantise, step.awaits.softmax, step.awaits.layer_norm)
    entry["scalars"] = step.scalars
    entry["parameter_word"] = parameter_word


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
    block = np.zeros(len(requantiser.multiplier), PARAMETER_DTYPE)
    block["multiplier"] = requantiser.multiplier
    block["shift"] = requantiser.shift
    return block


def _blocks(quantised: QuantisedEncoder) -> Iterator[tuple[BlockKey, list[npt.NDArray[np.void]]]]:
    """The parameter blocks in program order; a residual pass has its LayerNorm's after the matmul's."""
    size = quantised.shape.head_size
    yield (-1, PassKind.LOAD.name.lower(), -1), [_requantiser_block(quantised.input_requantiser)]
    for number, layer in enumerate(quantised.layers):
        yield (number, "query", -1), [_matmul_block(layer.query)]
        yield (number, "key", -1), [_matmul_block(layer.key)]
        yield (number, "value", -1), [_matmul_block(layer.value)]
        for head in range(quantised.shape.heads):
            channels = slice(head * size, (head + 1) * size)
            requantiser = Requantiser(layer.context.multiplier[channels], layer.context.shift[channels])
            yield (number, PassKind.CONTEXT.name.lower(), head), [_requantiser_block(requantiser)]
        yield (
            (number, "attention_output", -1),
            [_matmul_block(layer.attention_output), _norm_block(layer.attention_norm)],
        )
        yield (number, "ffn_in", -1), [_matmul_block(layer.ffn_in, layer.gelu)]
        yield (number, "ffn_out", -1), [_matmul_block(layer.ffn_out), _norm_block(layer.ffn_norm)]


def _parameter_blocks(quantised: QuantisedEncoder, config: HardwareConfig) -> tuple[dict[BlockKey, int], Bytes]:
    """The first word of each block, and all of them one after another, each beginning on a word."""
    first_word: dict[BlockKey, int] = {}
    pieces: list[Bytes] = []
    position = 0
    for key, blocks in _blocks(quantised):
        first_word[key] = position // config.word_bytes
        for block in blocks:
            piece = _whole_words(block.view(np.uint8).reshape(-1), config)
            pieces.append(piece)
            position += len(piece)
    return first_word, np.concatenate(pieces)
