"""Whole numbers in text from somebody else."""

from __future__ import annotations

# What 64 bits hold whatever the digits are.
MOST_DIGITS = 18


def whole_number(text: str) -> int | None:
    """The number that ``text`` writes in at most 18 decimal digits, after a minus sign or none; None for all else.

    `int` takes more, such as spaces and underscores, and has an error of its own for more than 4300 digits.
    """
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS else None
