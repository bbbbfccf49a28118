"""What a design is to run: an encoder's sizes, the weight tiles that pruning left, and a launch's sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from aebert.design.sizes import Floats, Ints, Sizes
from aebert.encoder import MATRIX_NAMES, Encoder, EncoderShape, MatrixName
from aebert.errors import AebertError

# Tiles of every matrix on designs of these sizes, int64 [layers, matrices, designs], matrices as in MATRIX_NAMES.
TileCounts = Callable[[Sizes], Ints]


@dataclass(frozen=True)
class Workload:
    """``lengths``: tokens of each sequence of one launch."""

    shape: EncoderShape
    tiles: TileCounts
    lengths: tuple[int, ...]


def matrix_sizes(shape: EncoderShape, name: MatrixName) -> tuple[int, int]:
    """(outputs, inputs)."""
    return {
        "ffn_in": (shape.ffn, shape.hidden),
        "ffn_out": (shape.hidden, shape.ffn),
    }.get(name, (shape.hidden, shape.hidden))


def pattern_tiles(
    shape: EncoderShape, ratio: float, rows: int, *, columns: int = 1, banks: int | None = None
) -> TileCounts:
    """Tiles after pruning units of ``rows`` outputs x ``columns`` inputs, an equal count in each of ``banks`` if given.

    A lane of ``out_lanes`` outputs is empty when all the units it covers are: ``1 - ratio`` of the lanes remain while
    out_lanes <= rows, and ``1 - ratio^(out_lanes / rows)`` beyond if the units' places are independent. A group of
    outputs takes as many tiles as its fullest bank has lanes: of ``k`` independent banks of ``n`` places that is
    ``n p + z_k sqrt(n p (1 - p))``, with Blom's approximation of the expected largest of ``k`` normal deviates, and
    ``n p`` where the pattern keeps the banks equal. For exploration; a subnet's own counts need no such assumptions.
    """
    if not 0 <= ratio < 1:
        raise AebertError(f"ratio = {ratio}: must be at least 0 and less than 1")

    def count(sizes: Sizes) -> Ints:
        covered = np.maximum(sizes.out_lanes / rows, 1.0)
        density = 1.0 - ratio**covered
        balanced = np.zeros_like(covered, bool) if banks is None else (covered <= 1.0) & (banks % sizes.in_lanes == 0)
        largest = _largest_deviate(np.where(balanced, 1, np.maximum(sizes.in_lanes // columns, 1)))
        layer = []
        for name in MATRIX_NAMES:
            outputs, inputs = matrix_sizes(shape, name)
            places = inputs // sizes.in_lanes
            spread = largest * np.sqrt(places * density * (1.0 - density))
            fullest = np.clip(density * places + spread, 1.0, places)
            layer.append(np.rint(outputs // sizes.out_lanes * fullest).astype(np.int64))
        return np.broadcast_to(np.array(layer), (shape.layers, len(MATRIX_NAMES), len(sizes.tokens)))

    return count


def _largest_deviate(count: Ints) -> Floats:
    """Expected largest of ``count`` independent standard normal deviates (Blom 1958)."""
    counts, which = np.unique(count, return_inverse=True)
    deviates = [NormalDist().inv_cdf((n - 0.375) / (n + 0.25)) for n in counts.tolist()]
    result: Floats = np.array(deviates, np.float64)[which.reshape(-1)]
    return result


def weight_tiles(layers: Sequence[Sequence[npt.NDArray[np.generic]]]) -> TileCounts:
    """The tiles that packing these weights gives: per group of outputs, as many as the fullest bank needs.

    ``layers``: for each layer the matrices [outputs, inputs] in the order of MATRIX_NAMES.
    """
    used = [[matrix != 0 for matrix in layer] for layer in layers]
    known: dict[tuple[int, int], list[list[int]]] = {}

    def count(sizes: Sizes) -> Ints:
        lanes = np.stack([sizes.out_lanes, sizes.in_lanes])
        pairs, which = np.unique(lanes, axis=1, return_inverse=True)
        for out_lanes, in_lanes in pairs.T.tolist():
            if (out_lanes, in_lanes) not in known:
                known[out_lanes, in_lanes] = [[_tiles(m, out_lanes, in_lanes) for m in layer] for layer in used]
        # Shape [layers, matrices, pairs].
        table = np.array([known[out_lanes, in_lanes] for out_lanes, in_lanes in pairs.T.tolist()]).transpose(1, 2, 0)
        result: Ints = table[:, :, which.reshape(-1)]
        return result

    return count


def subnet_tiles(encoder: Encoder) -> TileCounts:
    """`weight_tiles` of an encoder."""
    return weight_tiles([[layer.matrix(name).weight for name in MATRIX_NAMES] for layer in encoder.layers])


def _tiles(used: npt.NDArray[np.bool_], out_lanes: int, in_lanes: int) -> int:
    outputs, inputs = used.shape
    groups = used.reshape(outputs // out_lanes, out_lanes, inputs).any(axis=1)
    per_bank = groups.reshape(-1, inputs // in_lanes, in_lanes).sum(axis=1)
    return int(np.maximum(per_bank.max(axis=1), 1).sum())
