"""Boxed text tables (``+---+`` and ``| a | b |``) and the key lines around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aebert.hls_reports.values import MalformedValue


def raw_cells(line: str) -> list[str]:
    """The cells of one ``| a | b |`` line with their padding, which carries the nesting in tree tables."""
    return line.strip()[1:-1].split("|")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in raw_cells(line)]


def table_after(lines: Sequence[str], start: int) -> list[str]:
    """The row lines of the first table at or after ``start``, or none if a new heading comes first."""
    index = start
    while index < len(lines) and not lines[index].lstrip().startswith(("+-", "|")):
        if lines[index].startswith("==") or lines[index].strip() == "N/A":
            return []
        index += 1
    rows: list[str] = []
    while index < len(lines) and lines[index].lstrip().startswith(("+", "|")):
        if lines[index].lstrip().startswith("|") and lines[index].rstrip().endswith("|"):
            rows.append(lines[index])
        index += 1
    return rows


def find_line(lines: Sequence[str], text: str, start: int = 0) -> int | None:
    """Index of the first line that contains ``text`` at or after ``start``."""
    return next((index for index in range(start, len(lines)) if text in lines[index]), None)


def key_value(lines: Sequence[str], key: str, mark: str = "*") -> str | None:
    """The value of a header line such as ``* Version:   2023.2`` or ``| Device  : xcu280``."""
    pattern = re.compile(rf"^\s*{re.escape(mark)}\s*{re.escape(key)}\s*:(.*)$")
    for line in lines:
        match = pattern.match(line)
        if match:
            return match.group(1).strip() or None
    return None


def require_whole(lines: Sequence[str], last_section: str) -> None:
    """Raises MalformedValue for a report that was cut off: its last section is missing, or a table has no end."""
    if find_line(lines, last_section) is None:
        raise MalformedValue(f"cut off: its last section {last_section.strip('= ')!r} is missing")
    said = [line.strip() for line in lines if line.strip()]
    if said[-1].startswith("|") or (said[-1].startswith("+-") and not said[-1].endswith("+")):
        raise MalformedValue("cut off in the middle of a table")
