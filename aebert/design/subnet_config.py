"""Sizes that suit a subnet's pattern: lanes that meet whole vectors, banks that stay balanced."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from aebert.design.board import Board
from aebert.design.default_sizes import GivenSizes, default_config
from aebert.design.hardware_config import HardwareConfig
from aebert.models.encoder import EncoderShape
from aebert.pruning.zero_patterns import Block, ColumnBlock, Pattern, Vector
from aebert.support.errors import AebertError

ANY_LANES = 64
UNDECIDED = GivenSizes()


def config_for_subnet(
    board: Board,
    shape: EncoderShape,
    pattern: Pattern | None,
    max_length: int | None,
    given: GivenSizes = UNDECIDED,
    compute_units: int = 1,
) -> HardwareConfig:
    """`default_config` for a subnet of ``pattern`` (None: dense).

    Output lanes are at most the pattern's rows, or tiles would hold zeros. A bank-balanced pattern stays balanced for
    as many input lanes as it has banks, or a divisor of that. Raises AebertError when nothing fits.
    """
    rows = pattern.unit_shape[0] if isinstance(pattern, Vector | Block | ColumnBlock) else ANY_LANES

    def choose(sizes: GivenSizes) -> HardwareConfig:
        return default_config(
            board, shape, vector_lanes=rows, max_length=max_length, given=sizes, compute_units=compute_units
        )

    if not isinstance(pattern, Vector) or given.in_lanes is not None:
        return choose(given)
    return _first(choose, [replace(given, in_lanes=banks) for banks in _power_of_two_divisors(pattern.banks)])


def _first(choose: Callable[[GivenSizes], HardwareConfig], candidates: list[GivenSizes]) -> HardwareConfig:
    """The first candidate for which there is a design; the first one's error when there is none for any."""
    candidate, *others = candidates
    try:
        return choose(candidate)
    except AebertError:
        if not others:
            raise
        with suppress(AebertError):
            return _first(choose, others)
        raise


def _power_of_two_divisors(value: int) -> list[int]:
    """Largest first; 1 is always among them."""
    return [divisor for divisor in (64, 32, 16, 8, 4, 2, 1) if value % divisor == 0]
