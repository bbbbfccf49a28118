"""Elementary integer operations and tables of the contract in docs/numerics.md, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aebert.numerics.activation import EVEN_PART, FfnActivation

NUMERICS_VERSION = 1

MAX_TOKENS = 512
MAX_HIDDEN = 1024
INT8_MAX = 127
INT16_MAX = 32767
UINT8_MAX = 255
MULTIPLIER_MAX = 65535
SHIFT_MAX = 47
EXP_STEPS_PER_NAT = 64
EXP_ENTRIES = 512
RECIPROCAL_BITS = 31
CONTEXT_SHIFT = 23
GELU_INDEX_BITS = 7
GELU_ENTRIES = 512
GELU_DELTA_BITS = 15
NORM_FRACTION_BITS = 12
NORM_MAX = 131071
NORM_SHIFT_MAX = 15
GAIN_LIMIT = 1 << 26

Int64Array = npt.NDArray[np.int64]
IntArray = npt.NDArray[np.integer[Any]]


def exp_table() -> npt.NDArray[np.uint8]:
    """``EXP[i] = round(255 exp(-i / 64))``, 512 entries."""
    steps = np.arange(EXP_ENTRIES) / EXP_STEPS_PER_NAT
    table: npt.NDArray[np.uint8] = np.rint(UINT8_MAX * np.exp(-steps)).astype(np.uint8)
    return table


def activation_delta_table(activation: FfnActivation) -> npt.NDArray[np.int16]:
    """``DELTA[i] = round(2^15 d(u))`` at the middle of interval ``i`` of width 1/128; the last entry is 0.

    ``d(u) = max(x, 0) - activation(x)`` at ``|x| = u``: ``u Phi(-u)`` for exact GELU, 0 for ReLU.
    """
    middles = (np.arange(GELU_ENTRIES) + 0.5) / (1 << GELU_INDEX_BITS)
    even_part = EVEN_PART[activation]
    delta = np.array([round((1 << GELU_DELTA_BITS) * even_part(u)) for u in middles], dtype=np.int16)
    delta[-1] = 0
    return delta


def inverse_sqrt_seed_table() -> npt.NDArray[np.int32]:
    """``SEED[i] = round(2^17 / sqrt((i + 32.5) / 32))``, 96 entries."""
    table: npt.NDArray[np.int32] = np.rint((1 << 17) / np.sqrt((np.arange(96) + 32.5) / 32)).astype(np.int32)
    return table


def rounding_shift(value: IntArray, shift: IntArray | int) -> Int64Array:
    """``(value + 2^(shift-1)) >> shift``, round half up; shift 0 leaves the value. Shapes broadcast."""
    by = np.asarray(shift, dtype=np.int64)
    half = np.where(by > 0, np.int64(1) << np.maximum(by - 1, 0), np.int64(0))
    result: Int64Array = np.asarray(value, dtype=np.int64) + half
    return np.right_shift(result, by, out=result) if result.ndim else result >> by


def requantise(value: IntArray, multiplier: IntArray, shift: IntArray) -> Int64Array:
    """``rounding_shift(value * multiplier, shift)`` in int64, shift at least 1, in the shape of ``value``."""
    by = np.asarray(shift, dtype=np.int64)
    # In place after the product: these arrays are large, and fresh memory costs more than the arithmetic.
    result: Int64Array = np.asarray(value, dtype=np.int64) * np.asarray(multiplier, dtype=np.int64)
    result += np.int64(1) << (by - 1)
    result >>= by
    return result


def saturate8(value: IntArray) -> npt.NDArray[np.int8]:
    """Clamp to [-127, 127]."""
    return np.clip(value, -INT8_MAX, INT8_MAX).astype(np.int8)


def saturate16(value: IntArray) -> npt.NDArray[np.int16]:
    """Clamp to [-32767, 32767]."""
    return np.clip(value, -INT16_MAX, INT16_MAX).astype(np.int16)


def saturate_unsigned8(value: IntArray) -> npt.NDArray[np.uint8]:
    """Clamp to [0, 255]."""
    return np.clip(value, 0, UINT8_MAX).astype(np.uint8)


def inverse_sqrt(value: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Integer inverse square root of ``value`` in [1, 2^51): ``(Y, k)`` with ``1/sqrt(value) ~ Y / 2^(32 + k)``."""
    # frexp is exact for the bit length as float64 rounding can only reach the next power of two for > 53 bits.
    bit_length = np.frexp(value.astype(np.float64))[1].astype(np.int64)
    k = (bit_length - 31) >> 1
    mantissa = np.where(k >= 0, value >> np.maximum(2 * k, 0), value << np.maximum(-2 * k, 0))
    y = inverse_sqrt_seed_table().astype(np.int64)[(mantissa >> 25) - 32]
    for _ in range(2):
        squared = (y * y + (1 << 16)) >> 17
        scaled = (mantissa * squared) >> 30
        y = (y * (3 * (1 << 17) - scaled)) >> 18
    return np.minimum(y, NORM_MAX), k
