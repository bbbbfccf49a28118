"""Exact integer matrix products through float32 BLAS.

A float32 sum of integers is exact while every partial sum stays below 2^24, whatever the order. So inputs are cut
into chunks short enough for the worst case of their type: 1040 terms of int8 x int8, 518 of uint8 x int8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aebert.numerics.integers import INT8_MAX, UINT8_MAX, Int64Array

_EXACT_LIMIT = 1 << 24

ByteArray = npt.NDArray[np.integer[Any]]


def _longest_exact_sum(inputs: ByteArray) -> int:
    largest = UINT8_MAX if inputs.dtype == np.uint8 else INT8_MAX
    return (_EXACT_LIMIT - 1) // (largest * INT8_MAX)


def exact_matmul(inputs: ByteArray, weight: ByteArray) -> Int64Array:
    """``inputs @ weight.T`` over the last axis, exactly.

    ``inputs`` int8 (no -128) or uint8 [..., rows, terms]; ``weight`` int8 (no -128) [..., columns, terms]; leading
    axes match. Returns int64 [..., rows, columns].
    """
    terms = inputs.shape[-1]
    chunk = _longest_exact_sum(inputs)
    total: Int64Array | None = None
    for start in range(0, terms, chunk):
        left = inputs[..., start : start + chunk].astype(np.float32)
        right = weight[..., start : start + chunk].astype(np.float32)
        part = np.matmul(left, np.swapaxes(right, -1, -2)).astype(np.int64)
        total = part if total is None else total + part
    assert total is not None, "a product needs at least one term"
    return total
