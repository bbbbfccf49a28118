"""Bits of the numbers that the kernel computes with: what the limits of docs/numerics.md let them reach."""

from __future__ import annotations

from dataclasses import dataclass

from aebert.numerics.integers import (
    GAIN_LIMIT,
    INT8_MAX,
    INT16_MAX,
    MAX_HIDDEN,
    MAX_TOKENS,
    NORM_MAX,
    RECIPROCAL_BITS,
    UINT8_MAX,
)


def _unsigned(largest: int) -> int:
    return largest.bit_length()


def _signed(largest: int) -> int:
    return largest.bit_length() + 1


def _even(bits: int) -> int:
    return bits + bits % 2


@dataclass(frozen=True)
class DataWidth:
    """``name`` in lower case with underscores; ``note`` says what is so wide."""

    name: str
    bits: int
    note: str


ROOT_BITS = 32  # fixed point of the inverse square root: its mantissa lies in the upper half of so many bits
LARGEST_ADDEND = 2 * INT16_MAX  # beyond it the sum with any residual saturates all the same
LARGEST_VARIANCE = MAX_HIDDEN * (MAX_HIDDEN * INT16_MAX**2)  # channels x sum of squares, and no epsilon is larger

# What streams carry.
STREAM_WIDTHS = (
    DataWidth("value", 16, "a score, a channel of the residual stream"),
    DataWidth("sum", 32, "of a row group's products"),
    DataWidth("addend", _signed(LARGEST_ADDEND), "what is added to the residual"),
    DataWidth("total", _unsigned(MAX_TOKENS * UINT8_MAX), f"sum of {MAX_TOKENS} exponentials of at most {UINT8_MAX}"),
    DataWidth(
        "reciprocal",
        _unsigned((1 << RECIPROCAL_BITS) // UINT8_MAX),
        f"2^{RECIPROCAL_BITS} over such a sum, which is at least {UINT8_MAX}",
    ),
    DataWidth("address", 16, "of a write-back within its buffer's bank"),
)
# What the processes compute with.
MULTIPLIER_WIDTHS = (
    DataWidth("operand", 9, "holds int8 and uint8"),
    DataWidth("product", 48, "of the DSP's adder (UG479, UG579; AM004 has a wider one)"),
)
ARITHMETIC_WIDTHS = (
    DataWidth("multiplier", 17, "an unsigned 16-bit multiplier, as a signed number"),
    DataWidth(
        "weighted",
        _signed(MAX_TOKENS * UINT8_MAX * INT8_MAX),
        f"sum of {MAX_TOKENS} values, each weighted by at most {UINT8_MAX}",
    ),
    DataWidth("channel_count", _unsigned(MAX_HIDDEN), f"LayerNorm over at most {MAX_HIDDEN} channels of int16"),
    DataWidth("norm_sum", _signed(MAX_HIDDEN * INT16_MAX), "sum of the channels"),
    DataWidth("square_sum", _unsigned(MAX_HIDDEN * INT16_MAX**2), "sum of their squares"),
    # Even, because the inverse square root shifts by even places.
    DataWidth("variance", _even(_unsigned(2 * LARGEST_VARIANCE)), "channels x sum of squares - sum^2 + epsilon"),
    DataWidth("centred", _signed(2 * MAX_HIDDEN * INT16_MAX), "channels x value - sum"),
    DataWidth("mantissa", _unsigned(NORM_MAX), "of the inverse square root"),
    DataWidth("exponent", 5, "of the inverse square root"),
    DataWidth("normal", _signed(NORM_MAX), "the normalised value: one DSP with the gain"),
    DataWidth("gain", _signed(GAIN_LIMIT - 1), "LayerNorm's gain"),
)
WIDTH_OF = {each.name: each.bits for each in (*STREAM_WIDTHS, *MULTIPLIER_WIDTHS, *ARITHMETIC_WIDTHS)}
