"""The header block every Vivado report starts with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aebert.hls_reports.model import DesignState, ReportSource
from aebert.hls_reports.part_names import part_name
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import key_value
from aebert.hls_reports.values import MalformedValue, quoted

_STATES: dict[str, DesignState] = {
    "synthesized": "synthesised",
    "optimized": "synthesised",
    "fully placed": "placed",
    "physopt postplace": "placed",
    "partially routed": "placed",
    "routed": "routed",
    "fully routed": "routed",
    "physopt postroute": "routed",
}
_HEADER_LINES = 24
# The name of the file that a report's command wrote says which step it was run after; the state in the header may be a
# later one's, for v++ reports on the same design in memory.
_FILE_OPTION = re.compile(r"-file\s+(\S+)")
_STAGE_WORDS: tuple[tuple[re.Pattern[str], DesignState], ...] = (
    (re.compile(r"synth(ed)?($|[._])"), "synthesised"),
    (re.compile(r"placed($|[._])"), "placed"),
    (re.compile(r"(post)?routed?($|[._])"), "routed"),
)


def vivado_source(report: ReportText, lines: Sequence[str]) -> ReportSource:
    """Tool, version, device and design from the header."""
    header = lines[:_HEADER_LINES]
    version = re.match(r"(\S+)\s+v\.?(\S+)", key_value(header, "Tool Version", "|") or "")
    return ReportSource(
        name=report.name,
        sha256=report.sha256,
        tool=version.group(1) if version else None,
        tool_version=version.group(2) if version else None,
        part=part_name(key_value(header, "Device", "|"), key_value(header, "Speed File", "|")),
        top=key_value(header, "Design", "|"),
        date=key_value(header, "Date", "|"),
    )


def design_state(lines: Sequence[str]) -> DesignState:
    """How far the design was when the report was written. Raises MalformedValue when the header does not say."""
    state = header_state(lines)
    if state is None:
        raise MalformedValue("the header has no Design State, and its Command names no stage")
    return state


def header_state(lines: Sequence[str]) -> DesignState | None:
    """The same, None where the header does not say (timing summaries of Vivado 2021.1 to 2022.2 have no state)."""
    header = lines[:_HEADER_LINES]
    text = key_value(header, "Design State", "|")
    stated = None if text is None else _STATES.get(text.lower())
    if text is not None and stated is None:
        raise MalformedValue(f"Design State {quoted(text)} is not one of {', '.join(sorted(_STATES))}")
    command = _FILE_OPTION.search(key_value(header, "Command", "|") or "")
    return (stage_of_name(command[1]) if command is not None else None) or stated


def stage_of_name(name: str) -> DesignState | None:
    """What a file name such as ``full_util_synthed.rpt`` says; the last word of a step counts."""
    found = [
        (match.start(), state)
        for pattern, state in _STAGE_WORDS
        for match in pattern.finditer(name.replace("\\", "/").rpartition("/")[2])
    ]
    return max(found)[1] if found else None
