"""Float weights to int8 with one scale per output channel; a zero weight stays zero."""

from __future__ import annotations

import numpy as np

from aebert.models.encoder import FloatArray
from aebert.numerics.integers import INT8_MAX

# No output channel's unit may be so small that its bias outgrows this many of them (int32 leaves 2^31).
_BIAS_UNITS = float(1 << 24)
_TINY = 1e-20


def row_scales(folded: FloatArray, bias: FloatArray) -> FloatArray:
    """One scale per row of ``folded`` [outputs, inputs] that just reaches its largest weight."""
    largest = np.abs(folded).max(axis=1) / INT8_MAX
    scales: FloatArray = np.maximum(np.maximum(largest, np.abs(bias) / _BIAS_UNITS), _TINY).astype(np.float32)
    return scales


def round_to_nearest(folded: FloatArray, scale: FloatArray) -> FloatArray:
    """Integers in [-127, 127] as float32; ``scale`` [outputs]."""
    steps: FloatArray = np.rint(folded / scale[:, None])
    return np.clip(steps, -INT8_MAX, INT8_MAX, out=steps)
