"""Tables as plain text, laid out by rich: for a terminal of any width, a pipe or a file."""

from __future__ import annotations

import io
import shutil
from collections.abc import Collection, Iterable, Sequence

_WIDEST = 10_000  # nothing is wrapped or cut: who pipes a table wants whole lines
_GAP = 2


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[int] = (0,)) -> str:
    """One line for the header and one per row. Columns that ``left`` names hold words; the others are figures,
    right-aligned. What is wider than the terminal becomes several tables, each with the first column again. Raises
    ValueError for a row of another length."""
    whole = [list(header), *map(list, rows)]
    for row in whole:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells under {len(header)} names: {row}")
    widths = [max(len(row[column]) for row in whole) for column in range(len(header))]
    parts = _parts(widths, shutil.get_terminal_size((_WIDEST, 24)).columns)
    return "\n\n".join(_lay_out([[row[column] for column in part] for row in whole], part, left) for part in parts)


def _parts(widths: Sequence[int], limit: int) -> list[list[int]]:
    """The columns of each table; one that is too wide by itself stands alone beside the first."""
    parts = [[0]]
    for column in range(1, len(widths)):
        taken = sum(widths[each] + _GAP for each in parts[-1])
        if len(parts[-1]) > 1 and taken + widths[column] > limit:
            parts.append([0])
        parts[-1].append(column)
    return parts


def _lay_out(whole: Sequence[Sequence[str]], columns: Sequence[int], left: Collection[int]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="none")
    for column, name in zip(columns, whole[0], strict=True):
        table.add_column(Text(name), justify="left" if column in left else "right", no_wrap=True)
    for row in whole[1:]:
        table.add_row(*map(Text, row))
    page = io.StringIO()
    Console(file=page, width=_WIDEST, color_system=None, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())
