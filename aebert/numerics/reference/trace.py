"""What every pass of one layer put out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class LayerTrace:
    """One sequence of L tokens through one layer, in the order of the passes of docs/numerics.md.

    ``input`` int8 [L, H] is ``x``; ``query``, ``key``, ``value`` and ``context`` int8 [L, H]; ``scores`` int16 and
    ``probabilities`` uint8 [heads, L, L]; ``attention_output`` int16 [L, H] is the residual after the first
    LayerNorm and ``ffn_input`` int8 its ``x``; ``ffn_in`` uint8 [L, F] after GELU; ``ffn_out`` int16 [L, H] the
    layer's residual and ``output`` int8 its ``x``.
    """

    input: npt.NDArray[np.int8]
    query: npt.NDArray[np.int8]
    key: npt.NDArray[np.int8]
    value: npt.NDArray[np.int8]
    scores: npt.NDArray[np.int16]
    probabilities: npt.NDArray[np.uint8]
    context: npt.NDArray[np.int8]
    attention_output: npt.NDArray[np.int16]
    ffn_input: npt.NDArray[np.int8]
    ffn_in: npt.NDArray[np.uint8]
    ffn_out: npt.NDArray[np.int16]
    output: npt.NDArray[np.int8]
