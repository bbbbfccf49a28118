"""The FFN's activation functions: each is max(x, 0) less an even function, which is what the accelerator tabulates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

FfnActivation = Literal["gelu", "gelu_tanh", "relu"]
FFN_ACTIVATIONS: tuple[FfnActivation, ...] = get_args(FfnActivation)


def _gelu(u: float) -> float:
    """``u Phi(-u)``: what exact GELU lacks to max(x, 0), at |x| = ``u``."""
    return u * 0.5 * math.erfc(u / math.sqrt(2.0))


def _gelu_tanh(u: float) -> float:
    """The same of GELU's approximation by tanh (Hendrycks and Gimpel, arXiv:1606.08415, section 2)."""
    return 0.5 * u * (1.0 - math.tanh(math.sqrt(2.0 / math.pi) * (u + 0.044715 * u**3)))


def _relu(u: float) -> float:
    return 0.0


# max(x, 0) - activation(x) at |x| = u: the same on both sides of zero.
EVEN_PART: Mapping[FfnActivation, Callable[[float], float]] = MappingProxyType(
    {"gelu": _gelu, "gelu_tanh": _gelu_tanh, "relu": _relu}
)
