"""What a design is to run: an encoder's sizes, the weight tiles that pruning left, and a launch's sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from aebert.design.head_places import pad_heads, row_groups
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderShape, MatrixName, kept_heads, matrix_sizes
from aebert.numerics.quantised import QuantisedEncoder
from aebert.support.errors import AebertError


@dataclass(frozen=True)
class TileCounts:
    """What pruning left of an encoder.

    ``count``: tiles of every matrix on designs of these sizes, [layers, matrices, designs], matrices as in
    MATRIX_NAMES. ``heads`` [layers]: how many have passes (aebert.design.head_places); all where None.
    """

    count: Callable[[Sizes], Ints | Floats]
    heads: tuple[int, ...] | None = None

    def __call__(self, sizes: Sizes) -> Ints | Floats:
        return self.count(sizes)


@dataclass(frozen=True)
class Workload:
    """``lengths``: tokens of each sequence of one launch."""

    shape: EncoderShape
    tiles: TileCounts
    lengths: tuple[int, ...]

    @property
    def heads(self) -> tuple[int, ...]:
        """That are computed in each layer."""
        return (self.shape.heads,) * self.shape.layers if self.tiles.heads is None else self.tiles.heads


def pattern_tiles(
    shape: EncoderShape, ratio: float, rows: int, *, columns: int = 1, banks: int | None = None
) -> TileCounts:
    """Tiles expected after pruning units of ``rows`` outputs x ``columns`` inputs (`expected_tiles`), in every matrix
    alike. For exploration; a subnet's own counts need no assumptions."""
    if not 0 <= ratio < 1:
        raise AebertError(f"ratio = {ratio}: must be at least 0 and less than 1")

    def count(sizes: Sizes) -> Ints:
        layer = [
            pattern_matrix_tiles(shape, name, sizes, 1.0 - ratio, rows=rows, columns=columns, banks=banks)
            for name in MATRIX_NAMES
        ]
        counts = np.rint(np.array(layer)).astype(np.int64)
        return np.broadcast_to(counts, (shape.layers, len(MATRIX_NAMES), len(sizes.tokens)))

    return TileCounts(count)


def pattern_matrix_tiles(
    shape: EncoderShape,
    name: MatrixName,
    sizes: Sizes,
    density: Floats | float,
    *,
    rows: int,
    columns: int = 1,
    banks: int | None = None,
) -> Floats:
    """`expected_tiles` of a matrix of the encoder, whose heads may be padded: a row group of padding is one tile."""
    filled, empty = row_groups(shape, name, sizes.out_lanes, sizes.in_lanes)
    matrix = filled * sizes.out_lanes, matrix_sizes(shape, name)[1]
    return expected_tiles(matrix, sizes, density, rows=rows, columns=columns, banks=banks) + empty


def dense_tiles(shape: EncoderShape, name: MatrixName, sizes: Sizes) -> Ints:
    """Tiles of an unpruned matrix, [designs]."""
    filled, empty = row_groups(shape, name, sizes.out_lanes, sizes.in_lanes)
    return filled * (matrix_sizes(shape, name)[1] // sizes.in_lanes) + empty


def expected_tiles(
    matrix: tuple[Ints | int, int],
    sizes: Sizes,
    density: Floats | float,
    *,
    rows: int,
    columns: int = 1,
    banks: int | None = None,
) -> Floats:
    """Tiles of a matrix (outputs, inputs) that keeps ``density`` of its units of ``rows`` x ``columns``, an equal count
    in each of ``banks`` if given; ``density`` and designs are broadcast against each other.

    A lane of ``out_lanes`` outputs is empty when all the units it covers are: ``density`` of the lanes remain while
    out_lanes <= rows, and ``1 - (1 - density)^(out_lanes / rows)`` beyond if the units' places are independent. A group
    of outputs takes as many tiles as its fullest bank has lanes: of ``k`` banks of ``n`` places that is
    ``n p + z_k sqrt(variance)``, with Blom's approximation of the expected largest of ``k`` normal deviates.
    """
    outputs, inputs = matrix
    covered = np.maximum(sizes.out_lanes / rows, 1.0)
    filled = 1.0 - (1.0 - np.asarray(density)) ** covered
    places = inputs // sizes.in_lanes
    variance = places * filled * (1.0 - filled)
    most = np.asarray(places, np.float64)
    if banks is not None:
        variance = _balanced_variance(places, np.asarray(density), covered, sizes.in_lanes, banks, variance)
        most = np.where(banks % sizes.in_lanes == 0, np.minimum(most, np.ceil(covered * density * places)), most)
    largest = _largest_deviate(np.maximum(sizes.in_lanes // columns, 1))
    fullest = np.clip(filled * places + largest * np.sqrt(variance), 1.0, np.maximum(most, 1.0))
    tiles: Floats = outputs // sizes.out_lanes * fullest
    return tiles


def _balanced_variance(
    places: Ints, density: Floats, covered: Floats, in_lanes: Ints, banks: int, independent: Floats
) -> Floats:
    """Of the lanes in a bank of a group of outputs, where a pattern keeps equal counts in its own ``banks``.

    A pattern's bank is one or several of the design's whole banks' shares: then nothing varies but where several units
    are covered, how much they overlap: ``Var = n u + n (n - 1) v - n^2 u^2`` lanes are empty, u and v the chances that
    one place, or two, are. If it is split among several, each gets a hypergeometric part.
    """
    parts = np.maximum(in_lanes / banks, 1.0)
    empty = 1.0 - density
    both = empty * np.maximum(places * empty - 1.0, 0.0) / np.maximum(places - 1, 1)
    u, v = empty**covered, both**covered
    overlap = np.maximum(places * u + places * (places - 1) * v - (places * u) ** 2, 0.0)
    whole = banks % in_lanes == 0
    split = (in_lanes % banks == 0) & (covered == 1.0)
    return np.where(whole, overlap, np.where(split, independent * (1.0 - 1.0 / parts), independent))


def _largest_deviate(count: Ints) -> Floats:
    """Expected largest of ``count`` independent standard normal deviates (Blom 1958)."""
    counts, which = np.unique(count, return_inverse=True)
    deviates = [NormalDist().inv_cdf((n - 0.375) / (n + 0.25)) for n in counts.tolist()]
    result: Floats = np.array(deviates, np.float64)[which.reshape(-1)]
    return result


def weight_tiles(shape: EncoderShape, layers: Sequence[Sequence[npt.NDArray[np.generic]]]) -> TileCounts:
    """The tiles that packing these weights gives: per group of outputs, as many as the fullest bank needs.

    ``layers``: for each layer the matrices [outputs, inputs] in the order of MATRIX_NAMES.
    """
    used = [[matrix != 0 for matrix in layer] for layer in layers]
    kept = [kept_heads(layer[MATRIX_NAMES.index("attention_output")], shape.heads) for layer in used]
    known: dict[tuple[int, int], list[list[int]]] = {}

    def count(sizes: Sizes) -> Ints:
        lanes = np.stack([sizes.out_lanes, sizes.in_lanes])
        pairs, which = np.unique(lanes, axis=1, return_inverse=True)
        for out_lanes, in_lanes in pairs.T.tolist():
            if (out_lanes, in_lanes) not in known:
                known[out_lanes, in_lanes] = [
                    [
                        count_tiles(pad_heads(matrix, name, shape, in_lanes, heads), out_lanes, in_lanes)
                        for name, matrix in zip(MATRIX_NAMES, layer, strict=True)
                    ]
                    for layer, heads in zip(used, kept, strict=True)
                ]
        # Shape [layers, matrices, pairs].
        table = np.array([known[out_lanes, in_lanes] for out_lanes, in_lanes in pairs.T.tolist()]).transpose(1, 2, 0)
        result: Ints = table[:, :, which.reshape(-1)]
        return result

    return TileCounts(count, tuple(map(len, kept)))


def subnet_tiles(encoder: Encoder | QuantisedEncoder) -> TileCounts:
    """`weight_tiles` of an encoder."""
    layers = [[layer.matrix(name).weight for name in MATRIX_NAMES] for layer in encoder.layers]
    return weight_tiles(encoder.shape, layers)


def count_tiles(used: npt.NDArray[np.bool_], out_lanes: int, in_lanes: int) -> int:
    """Tiles of a matrix whose weights are other than zero where ``used`` [outputs, inputs] is True."""
    outputs, inputs = used.shape
    groups = used.reshape(outputs // out_lanes, out_lanes, inputs).any(axis=1)
    per_bank = groups.reshape(len(groups), inputs // in_lanes, in_lanes).sum(axis=1)
    return int(np.maximum(per_bank.max(axis=1), 1).sum())
