"""The header block every Vivado report starts with."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aebert.hls_reports.model import DesignState, ReportSource
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.tables import key_value
from aebert.hls_reports.values import MalformedValue, quoted

_STATES: dict[str, DesignState] = {
    "synthesized": "synthesised",
    "optimized": "synthesised",
    "fully placed": "placed",
    "physopt postplace": "placed",
    "routed": "routed",
    "fully routed": "routed",
    "physopt postroute": "routed",
}
_HEADER_LINES = 24


def vivado_source(report: ReportText, lines: Sequence[str]) -> ReportSource:
    """Tool, version, device and design from the header."""
    header = lines[:_HEADER_LINES]
    version = re.match(r"(\S+)\s+v\.?(\S+)", key_value(header, "Tool Version", "|") or "")
    return ReportSource(
        name=report.name,
        sha256=report.sha256,
        tool=version.group(1) if version else None,
        tool_version=version.group(2) if version else None,
        part=key_value(header, "Device", "|"),
        top=key_value(header, "Design", "|"),
        date=key_value(header, "Date", "|"),
    )


def design_state(lines: Sequence[str]) -> DesignState:
    """How far the design was when the report was written. Raises MalformedValue when the header does not say."""
    text = key_value(lines[:_HEADER_LINES], "Design State", "|")
    if text is None:
        raise MalformedValue("the header has no Design State")
    state = _STATES.get(text.lower())
    if state is None:
        raise MalformedValue(f"Design State {quoted(text)} is not one of {', '.join(sorted(_STATES))}")
    return state
