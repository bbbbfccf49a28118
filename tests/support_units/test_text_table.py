"""Tables are laid out alike wherever they are printed: whole lines, figures under one another, no markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.support.text_table import text_table
from tests.support.command_line import aebert

CELL = st.text(st.characters(categories=("Lu", "Ll", "Nd"), max_codepoint=0x7F), min_size=1, max_size=12)
Table = tuple[list[str], list[list[str]], list[int], int]


def test_words_stand_left_and_figures_right() -> None:
    assert text_table(("unit", "busy"), [("engine", "9%"), ("softmax", "100%")]).splitlines() == [
        "unit     busy",
        "engine     9%",
        "softmax  100%",
    ]
    assert text_table(("a", "why"), [("10", "[bold]"), ("9", "")], left=(1,)).splitlines() == [
        " a  why",
        "10  [bold]",
        " 9",
    ]


def test_nothing_is_wrapped_or_cut_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    long = "x" * 300
    assert text_table(("name", "n"), [(long, "1")]).splitlines()[1] == f"{long}  1"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 names"):
        text_table(("a", "b"), [("1",)])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.integers(1, 8))
    rows = draw(st.lists(st.lists(CELL, min_size=columns, max_size=columns), min_size=1, max_size=5))
    return rows[0], rows[1:], draw(st.lists(st.integers(0, columns - 1))), draw(st.integers(26, 100))


@given(tables())
def test_a_table_keeps_to_its_window_and_has_every_cell(table: Table) -> None:
    header, rows, left, width = table
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COLUMNS", str(width))
        text = text_table(header, rows, left=left)
    assert all(len(line) <= width for line in text.splitlines())
    parts = text.split("\n\n")
    for number, row in enumerate([header, *rows]):
        found = [part.splitlines()[number].split() for part in parts]
        # Each part begins with the first column.
        assert all(cells[0] == row[0] for cells in found)
        assert [*found[0], *(cell for cells in found[1:] for cell in cells[1:])] == row


@pytest.mark.parametrize("columns", [60, 80])
def test_what_a_command_prints_fits_a_narrow_window(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = aebert("explore", "layers=2,hidden=128,heads=2,ffn=512", "--board", "kv260", "--length", 32)
    assert done.exit_code == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if "  " in line]
    assert len(table) > 10
    assert max(map(len, table)) <= columns
