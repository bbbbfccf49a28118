"""Numbers as tools write them: what counts as known, unknown or malformed, at its limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aebert.hls_reports import values
from aebert.hls_reports.values import IntRange, MalformedValue

UNKNOWN = ["undef", "?", "-", "NA", "n/a", "", "  ", " UNDEF "]


@pytest.mark.parametrize("text", UNKNOWN)
@pytest.mark.parametrize(
    "parse",
    [
        values.parse_count, values.parse_real, values.parse_positive, values.parse_nanoseconds, values.parse_usage,
        values.parse_flag, values.parse_tiles,
    ],
)  # fmt: skip
def test_an_unknown_is_no_number(parse: Callable[[str], object], text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.parse_count, " 12 ", 12),
        (values.parse_count, "0", 0),
        (values.parse_count, "9" * 18, 10**18 - 1),
        (values.parse_real, "-1.5", -1.5),
        (values.parse_delay, "0.00 ns", 0.0),
        (values.parse_delay, "1.25", 1.25),
        (values.parse_real, "0", 0.0),
        (values.parse_positive, "0.001", 0.001),
        (values.parse_nanoseconds, " 10.00 ns ", 10.0),
        (values.parse_nanoseconds, "3.33", 3.33),
        (values.parse_usage, "126 (~0%)", 126),
        (values.parse_usage, "151109 [ 12.78%]", 151109),
        (values.parse_usage, "7", 7),
        (values.parse_flag, "yes", True),
        (values.parse_flag, " No ", False),
        (values.parse_flag, "rewind", True),
        (values.parse_tiles, "77.5", 77.5),
        (values.parse_tiles, "0", 0.0),
        (values.parse_range, "12", IntRange(12, 12)),
        (values.parse_range, "0 ~ 255", IntRange(0, 255)),
        (values.parse_range, "7 ~ 7", IntRange(7, 7)),
        (values.parse_range, "0 ~ 0", IntRange(0, 0)),
        (values.parse_range, "5 ~ ?", IntRange(5, None)),
        (values.parse_range, "?", IntRange(None, None)),
        (values.parse_applicable, " - ", None),
        (values.parse_applicable, "2", IntRange(2, 2)),
        (values.parse_applicable, "?", IntRange(None, None)),
    ],
)
def test_a_number_is_read(parse: Callable[[str], object], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (values.parse_count, "1.5", "'1.5' is not a count"),
        (values.parse_count, "-1", "'-1' is not a count"),
        (values.parse_count, "9" * 19, "is not a count"),
        (values.parse_count, "²", "is not a count"),
        (values.parse_real, "x", "'x' is not a number"),
        (values.parse_real, "inf", "'inf' is not a finite number"),
        (values.parse_real, "nan", "'nan' is not a finite number"),
        (values.parse_positive, " 0 ", "'0' is not above zero"),
        (values.parse_positive, "-2", "'-2' is not above zero"),
        (values.parse_delay, " -0.5ns", "'-0.5ns' is below zero"),
        (values.parse_nanoseconds, "10 ms", "'10 ms' is not a number"),
        (values.parse_range, "9 ~ 8", "range 9 ~ 8 runs backwards"),
        (values.parse_range, "9 ~ 1", "range 9 ~ 1 runs backwards"),
        (values.parse_tiles, "1.25", r"'1.25' is not a number of RAMB36 tiles \(whole or half\)"),
        (values.parse_tiles, "-0.5", "is not a number of RAMB36 tiles"),
    ],
)
def test_what_is_no_such_number_is_quoted(parse: Callable[[str], object], text: str, message: str) -> None:
    with pytest.raises(MalformedValue, match=message):
        parse(text)


def test_a_range_knows_whether_it_is_exact_and_known() -> None:
    assert IntRange(3, 3).exact == 3
    assert IntRange(3, 4).exact is None
    assert IntRange(3, 4).known
    assert not IntRange(3, None).known
    assert not IntRange(None, 3).known
    assert IntRange(None, None).exact is None


def test_an_interval_that_ends_in_nothing_ends_unknown() -> None:
    assert values.interval_range(5, 0) == IntRange(5, None)
    assert values.interval_range(0, 0) == IntRange(0, 0)
    assert values.interval_range(None, 0) == IntRange(None, 0)
    assert values.interval_range(1, 1) == IntRange(1, 1)
    with pytest.raises(MalformedValue, match="runs backwards"):
        values.interval_range(5, 1)


def test_a_long_text_is_quoted_short() -> None:
    assert values.quoted("a" * 60) == repr("a" * 60)
    assert values.quoted("a" * 61) == repr("a" * 57 + "...")
