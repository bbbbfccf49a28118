"""Between the host's float32 activations and the accelerator's int16 residual stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import FloatArray
from aebert.numerics.integers import INT16_MAX


def to_residual(hidden: npt.NDArray[np.floating[Any]], scale: float) -> npt.NDArray[np.int16]:
    """``sat16(round(hidden / scale))``, ties to even; any shape."""
    steps = np.rint(np.asarray(hidden, dtype=np.float64) / scale)
    residual: npt.NDArray[np.int16] = np.clip(steps, -INT16_MAX, INT16_MAX).astype(np.int16)
    return residual


def from_residual(residual: npt.NDArray[np.int16], scale: float) -> FloatArray:
    """The real values of a residual; any shape."""
    return (residual.astype(np.float64) * scale).astype(np.float32)
