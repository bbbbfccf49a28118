"""The command lines in README.md and docs/, and why some of them cannot be run on a machine like this one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_SHELLS = ("bash", "sh", "shell", "console")
_COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*aebert ")

# What a command needs that is absent here -> how to recognise it. Such commands are parsed, not run.
ABSENT = {
    "Vitis": re.compile(r"--tool (vitis_hls|v\+\+)"),
    "a board": re.compile(r"--(device|hil) \S*(xrt|pynq:|remote:)"),
    "a PostgreSQL server of the reader's": re.compile(r"postgresql://"),
    "the files of GLUE, which are not part of this project": re.compile(r"--data glue|--data datasets:"),
    "enough measured runs to fit a cost model": re.compile(r"aebert fit-cost|--model \S+\.json"),
}


@dataclass(frozen=True)
class DocumentedCommand:
    """One command of a page. ``environment``: variables set in front of it; ``absent``: what keeps it from running."""

    page: Path
    line: int
    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    absent: str | None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}: {shlex.join(self.words)}"


def commands_of_page(page: Path) -> list[DocumentedCommand]:
    """In the order of the page; commands joined with ``&&`` one after another."""
    found = []
    for number, line in _shell_lines(page.read_text(encoding="utf-8").splitlines()):
        for part in line.split(" && "):
            words = shlex.split(part, comments=True)
            absent = [reason for reason, pattern in ABSENT.items() if pattern.search(shlex.join(words))]
            first = words.index("aebert")
            variables = tuple((name, value) for name, _, value in (word.partition("=") for word in words[:first]))
            found.append(
                DocumentedCommand(page, number, tuple(words[first:]), variables, absent[0] if absent else None)
            )
    return found


def _shell_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines of shell blocks (fenced with a shell's name, or indented) that call ``aebert``, continued lines joined."""
    fence: str | None = None
    started, kept = 0, ""
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if stripped.startswith("```"):
            fence = None if fence is not None else stripped.removeprefix("```").split(" ")[0]
            continue
        if not (fence in _SHELLS or (fence is None and line.startswith("    "))):
            continue
        kept = f"{kept} {stripped}" if kept else stripped
        started = started or number
        if kept.endswith("\\"):
            kept = kept.removesuffix("\\").strip()
            continue
        if _COMMAND.match(kept):
            yield started, kept
        started, kept = 0, ""
