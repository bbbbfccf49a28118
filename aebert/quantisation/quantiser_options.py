"""What the quantiser does beyond plain rounding; every step can be switched off to see what it is worth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QuantisationConfig:
    """Defaults are what docs/quantisation.md found to pay.

    ``smoothing_strengths`` are the exponents alpha that are tried per matrix input; a single one leaves no choice,
    none means no smoothing. ``zero_point`` gives the post-GELU input an offset instead of a symmetric range.
    ``balance_query_key`` moves range between the two sides of a score's products. ``correct_bias`` moves each bias by
    the mean error on calibration text. ``headroom`` is how much larger than on calibration text the residual may
    become before it saturates. At most ``calibration_tokens`` tokens are used, and ``search_tokens`` of them to
    compare scales.
    """

    smoothing_strengths: tuple[float, ...] = (0.45, 0.6, 0.75, 0.9)
    zero_point: bool = True
    balance_query_key: bool = True
    correct_bias: bool = True
    headroom: float = 1.5
    calibration_tokens: int = 2048
    search_tokens: int = 256
