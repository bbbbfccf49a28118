"""Real ratios as integer multiplier and shift."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aebert.numerics.integers import MULTIPLIER_MAX, SHIFT_MAX
from aebert.numerics.quantised import Requantiser
from aebert.support.errors import AebertError

_MULTIPLIER_BITS = 16


def requantiser_for(ratio: npt.NDArray[np.float64], name: str) -> Requantiser:
    """The nearest ``multiplier / 2^shift`` per entry of ``ratio`` [channels], each at least 0.

    The multiplier lies in [2^15, 2^16) unless the ratio is below 2^-32, where the largest shift is kept.
    Raises AebertError, with ``name``, for a ratio that no multiplier and shift can hold.
    """
    if not np.all(np.isfinite(ratio)) or np.any(ratio < 0):
        raise AebertError(f"{name}: a requantisation ratio is not finite; check the model for degenerate channels")
    exponent = np.frexp(ratio)[1].astype(np.int64)
    shift = np.minimum(_MULTIPLIER_BITS - exponent, SHIFT_MAX)
    multiplier = np.rint(np.ldexp(ratio, shift))
    carried = multiplier > MULTIPLIER_MAX
    shift = np.where(carried, shift - 1, shift)
    multiplier = np.where(carried, np.rint(np.ldexp(ratio, shift)), multiplier)
    if np.any(shift < 1):
        most = MULTIPLIER_MAX / 2
        raise AebertError(f"{name}: requantisation ratio {ratio.max():.3g}, at most {most}; rescale the model")
    return Requantiser(multiplier.astype(np.uint16), shift.astype(np.uint8))


def ratio_of(requantiser: Requantiser) -> npt.NDArray[np.float64]:
    """``multiplier / 2^shift``."""
    return np.ldexp(requantiser.multiplier.astype(np.float64), -requantiser.shift.astype(np.int64))
