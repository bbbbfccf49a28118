"""Numbers as the tools write them: counts, ranges, ``undef``, ``?``, ``-``, ``NA``, units."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNKNOWN_WORDS = frozenset({"undef", "?", "-", "na", "n/a", ""})
COUNT_DIGITS = 18  # 10^18 still fits a signed 64-bit column; HLS writes up to 15 digits (loops with 64-bit bounds)


class MalformedValue(ValueError):
    """A cell or element that holds no number of the expected form. The message quotes it."""


@dataclass(frozen=True, slots=True)
class IntRange:
    """A count the tool knows exactly (``min == max``), as a range, or not at all (both ends None: undef, ?)."""

    min: int | None
    max: int | None

    @property
    def exact(self) -> int | None:
        """The value when both ends agree, else None."""
        return self.min if self.min == self.max else None

    @property
    def known(self) -> bool:
        return self.min is not None and self.max is not None


def quoted(text: str) -> str:
    """The offending text, short and on one line, for an error message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def is_unknown(text: str) -> bool:
    return text.strip().lower() in UNKNOWN_WORDS


def parse_count(text: str) -> int | None:
    """A non-negative integer; None for undef, ?, -, NA and an empty cell. Raises MalformedValue."""
    word = text.strip()
    if is_unknown(word):
        return None
    if not (word.isascii() and word.isdigit() and len(word) <= COUNT_DIGITS):
        raise MalformedValue(f"{quoted(word)} is not a count")
    return int(word)


def parse_real(text: str) -> float | None:
    """A finite decimal number; None for undef, ?, -, NA and an empty cell. Raises MalformedValue."""
    word = text.strip()
    if is_unknown(word):
        return None
    try:
        value = float(word)
    except ValueError:
        raise MalformedValue(f"{quoted(word)} is not a number") from None
    if not math.isfinite(value):
        raise MalformedValue(f"{quoted(word)} is not a finite number")
    return value


def parse_positive(text: str) -> float | None:
    """As ``parse_real``, and above zero: clock periods, frequencies."""
    value = parse_real(text)
    if value is not None and value <= 0:
        raise MalformedValue(f"{quoted(text.strip())} is not above zero")
    return value


def parse_delay(text: str) -> float | None:
    """As ``parse_real``, and not below zero: wiring without logic takes 0 ns."""
    value = parse_real(text.strip().removesuffix("ns"))
    if value is not None and value < 0:
        raise MalformedValue(f"{quoted(text.strip())} is below zero")
    return value


def parse_range(text: str) -> IntRange:
    """``12``, ``0 ~ 255`` or an unknown. Raises MalformedValue."""
    low, separator, high = text.partition("~")
    if not separator:
        value = parse_count(text)
        return IntRange(value, value)
    return ordered_range(parse_count(low), parse_count(high))


def parse_applicable(text: str) -> IntRange | None:
    """As ``parse_range``, but None for "-": a loop that is not pipelined has no II, which is not an unknown II."""
    return None if text.strip() == "-" else parse_range(text)


def ordered_range(low: int | None, high: int | None) -> IntRange:
    """A range from its two ends. Raises MalformedValue when they are in the wrong order."""
    if low is not None and high is not None and low > high:
        raise MalformedValue(f"range {low} ~ {high} runs backwards")
    return IntRange(low, high)


def interval_range(low: int | None, high: int | None) -> IntRange:
    """As ``ordered_range`` for the cycles between two starts, where Vitis HLS 2024 prints 0 for an upper end that it
    does not know (next to a latency of "?")."""
    return IntRange(low, None) if low and high == 0 else ordered_range(low, high)


def parse_nanoseconds(text: str) -> float | None:
    """A clock period in ns, with the unit (``10.00 ns``, 2019+) or without (2018)."""
    return parse_positive(text.strip().removesuffix("ns"))


def parse_usage(text: str) -> int | None:
    """A resource cell with an optional share of the device: ``13402``, ``126 (~0%)``, ``151109 [ 12.78%]``."""
    word = text.strip()
    for bracket in "([":
        word = word.partition(bracket)[0]
    return parse_count(word)


def parse_flag(text: str) -> bool | None:
    """``yes``/``no`` of a "Pipelined" column; ``rewind`` and other pipeline styles count as yes."""
    word = text.strip().lower()
    if word in UNKNOWN_WORDS:
        return None
    return word != "no"


def parse_tiles(text: str) -> float | None:
    """A count of RAMB36 tiles: whole or half (a lone RAMB18). Raises MalformedValue."""
    tiles = parse_real(text)
    if tiles is not None and (tiles < 0 or not (2 * tiles).is_integer()):
        raise MalformedValue(f"{quoted(text.strip())} is not a number of RAMB36 tiles (whole or half)")
    return tiles
