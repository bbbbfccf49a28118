"""From kept units to the masks of the matrices."""

from __future__ import annotations

import numpy as np

from aebert.models.encoder import EncoderShape, MatrixName
from aebert.models.load import matrix_shape
from aebert.pruning.unit_counts import FFN_MATRICES, Site
from aebert.pruning.zero_patterns import BoolArray, Pattern, Structured


def expand_units(kept: BoolArray, site: Site, shape: EncoderShape, pattern: Pattern) -> dict[MatrixName, BoolArray]:
    """The mask [outputs, inputs] of each matrix of a site, True where the weight is kept."""
    if isinstance(pattern, Structured):
        channels = kept if site.matrices == FFN_MATRICES else np.repeat(kept, shape.head_size)
        *producers, consumer = site.matrices
        masks = {name: _by_output(channels, matrix_shape(shape, name)) for name in producers}
        return masks | {consumer: np.ascontiguousarray(np.broadcast_to(channels, matrix_shape(shape, consumer)))}
    rows, columns = pattern.unit_shape
    (name,) = site.matrices
    return {name: kept if rows == columns == 1 else np.repeat(np.repeat(kept, rows, axis=0), columns, axis=1)}


def _by_output(channels: BoolArray, size: tuple[int, int]) -> BoolArray:
    return np.ascontiguousarray(np.broadcast_to(channels[:, None], size))
