"""Which report is this? Decided by content, never by file name or tool version."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from aebert.hls_reports import (
    accelerator_monitor,
    clock_utilization,
    cosim_rpt,
    csynth_rpt,
    csynth_summary,
    export_report,
    hierarchical_utilization,
    hls_log,
    kernel_utilization,
    link_log,
    profile_summary,
    results_table,
    timing_summary,
    utilization,
    xclbin_info,
)
from aebert.hls_reports.csynth_xml import parse_csynth_xml
from aebert.hls_reports.model import Report
from aebert.hls_reports.no_reports import what_instead
from aebert.hls_reports.reading import DEFAULT_LIMIT_BYTES, ReportText, read_report_text
from aebert.hls_reports.values import MalformedValue
from aebert.hls_reports.xml_input import parse_xml

Parser = Callable[[ReportText], Report]


@dataclass(frozen=True)
class _TextKind:
    """``mark``: what only this kind has. ``before``: what lines may stand in front of it; a text that quotes a report
    has others there. ``repeats``: whether the mark may stand in one report more than once."""

    mark: re.Pattern[str]
    parse: Parser
    before: re.Pattern[str]
    repeats: bool = False


_RULES = re.compile(r"\s*=*\s*")
_VIVADO_HEADER = re.compile(r"\s*|Copyright .*|-+|\|.*|Table of Contents|\d+(\.\d+)*\.? .*|.* Report|.*Information")
_COSIM_HEADER = re.compile(r"\s*|(?:Report time|Solution|Simulation tool)\s*:.*|[+| ].*")
_PLAIN = re.compile(r"=*|-*|[A-Za-z<\s][^`#]*")
_ANYTHING = re.compile(r".*")


def _title(text: str) -> re.Pattern[str]:
    return re.compile(f"^{text}", re.MULTILINE)


# In order.
_TEXT_KINDS: tuple[_TextKind, ...] = (
    _TextKind(csynth_rpt.TITLE, csynth_rpt.parse_csynth_rpt, _RULES),
    _TextKind(csynth_summary.TITLE, csynth_summary.parse_csynth_summary, _RULES),
    _TextKind(export_report.DETAIL_TITLE, export_report.parse_export_detail, _RULES),
    _TextKind(cosim_rpt.TITLE, cosim_rpt.parse_cosim, _COSIM_HEADER),
    _TextKind(_title(kernel_utilization.TITLE), kernel_utilization.parse_kernel_utilization, _VIVADO_HEADER),
    _TextKind(
        _title(rf"1\. {hierarchical_utilization.TITLE}"),
        hierarchical_utilization.parse_hierarchical_utilization,
        _VIVADO_HEADER,
        repeats=True,
    ),
    _TextKind(_title(utilization.TITLE), utilization.parse_utilization, _VIVADO_HEADER),
    _TextKind(_title(timing_summary.TITLE), timing_summary.parse_timing_summary, _VIVADO_HEADER),
    _TextKind(_title(clock_utilization.TITLE), clock_utilization.parse_clock_utilization, _VIVADO_HEADER),
    _TextKind(profile_summary.TITLE, profile_summary.parse_profile_summary, re.compile(r"\s*")),
    _TextKind(
        re.compile(re.escape(profile_summary.EMULATION_TITLE)),
        profile_summary.parse_profile_summary,
        re.compile(r"\s*"),
    ),
    _TextKind(
        re.compile(accelerator_monitor.TITLE), accelerator_monitor.parse_accelerator_monitor, _ANYTHING, repeats=True
    ),
    _TextKind(xclbin_info.TITLE, xclbin_info.parse_xclbin_info, _PLAIN, repeats=True),
    _TextKind(
        re.compile(r"^\w+: \[(?:v\+\+|XOCC) 60-1230\]", re.MULTILINE), link_log.parse_link_log, _ANYTHING, repeats=True
    ),
    _TextKind(hls_log.TITLE, hls_log.parse_hls_log, _ANYTHING, repeats=True),
    _TextKind(export_report.TITLE, export_report.parse_export_rpt, re.compile(r"\s*")),
    _TextKind(link_log.TITLE, link_log.parse_link_log, _ANYTHING, repeats=True),
)
# Nothing but a language's name follows; the carets of clang's messages do (``~~~ ^``).
_FENCE = re.compile(r"^\s{0,3}(?:`{3,}|~{3,})[\w+.-]*\s*$", re.MULTILINE)
_VIVADO_MARK = re.compile(r"^\| Tool Version\s*:", re.MULTILINE)
_REMEDY = "see docs/hls_reports.md for the kinds of report that are read"


def parse_report(path: str | os.PathLike[str], limit_bytes: int = DEFAULT_LIMIT_BYTES) -> Report:
    """Read and parse a tool's report, whatever its kind.

    Raises ReportError (an AebertError, one line) when the file cannot be read, is larger than ``limit_bytes``, is
    not text, is no report of a known kind, or is broken.
    """
    return parse_report_text(read_report_text(path, limit_bytes))


def parse_report_text(report: ReportText) -> Report:
    """As ``parse_report``, for text already in memory."""
    if (instead := what_instead(report.name, report.text)) is not None:
        raise report.error(*instead)
    if report.text.lstrip().startswith("<"):
        return _parse_xml_report(report)
    for kind in _TEXT_KINDS:
        if found := kind.mark.search(report.text):
            _require_alone(report, kind, found)
            return kind.parse(report)
    header = next((line for line in report.text.splitlines() if line.strip() and not line.startswith("#")), "")
    try:
        known = results_table.table_layout(header) is not None
    except MalformedValue:
        known = False
    if known:
        return results_table.parse_results_table(report)
    raise report.error("not a report of a known kind", _REMEDY)


def _require_alone(report: ReportText, kind: _TextKind, found: re.Match[str]) -> None:
    """Raises ReportError for a text that quotes a report, and for several reports in one file."""
    lines = report.text[: found.start()].splitlines()
    if _FENCE.search(report.text) or not all(kind.before.fullmatch(line) for line in lines):
        raise report.error("quotes a report in a text of its own", "give the report itself")
    marks = max(len(_VIVADO_MARK.findall(report.text)), 0 if kind.repeats else len(kind.mark.findall(report.text)))
    if marks > 1:
        raise report.error(f"{marks} reports appended to each other", "give each in a file of its own")


def _parse_xml_report(report: ReportText) -> Report:
    root = parse_xml(report)
    if root.tag == "profile" and root.find("UserAssignments") is not None:
        return parse_csynth_xml(report, root)
    if root.tag == "profile" and root.find("TimingReport") is not None:
        return export_report.parse_export_xml(report, root)
    raise report.error(f"XML with root {root.tag[:40]!r}, not an HLS report", _REMEDY)
