"""Which report is this? Decided by content, never by file name or tool version."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from aebert.hls_reports import (
    accelerator_monitor,
    clock_utilization,
    cosim_rpt,
    csynth_rpt,
    csynth_summary,
    export_report,
    hierarchical_utilization,
    kernel_utilization,
    link_log,
    profile_summary,
    results_table,
    timing_summary,
    utilization,
)
from aebert.hls_reports.csynth_xml import parse_csynth_xml
from aebert.hls_reports.model import Report
from aebert.hls_reports.reading import DEFAULT_LIMIT_BYTES, ReportText, read_report_text
from aebert.hls_reports.values import MalformedValue
from aebert.hls_reports.xml_input import parse_xml

Parser = Callable[[ReportText], Report]

# In order: a mark that only this kind of report has, and its parser.
_TEXT_KINDS: tuple[tuple[re.Pattern[str], Parser], ...] = (
    (csynth_rpt.TITLE, csynth_rpt.parse_csynth_rpt),
    (csynth_summary.TITLE, csynth_summary.parse_csynth_summary),
    (cosim_rpt.TITLE, cosim_rpt.parse_cosim),
    (re.compile(f"^{kernel_utilization.TITLE}", re.MULTILINE), kernel_utilization.parse_kernel_utilization),
    (
        re.compile(rf"^1\. {hierarchical_utilization.TITLE}", re.MULTILINE),
        hierarchical_utilization.parse_hierarchical_utilization,
    ),
    (re.compile(f"^{utilization.TITLE}", re.MULTILINE), utilization.parse_utilization),
    (re.compile(f"^{timing_summary.TITLE}", re.MULTILINE), timing_summary.parse_timing_summary),
    (re.compile(f"^{clock_utilization.TITLE}", re.MULTILINE), clock_utilization.parse_clock_utilization),
    (profile_summary.TITLE, profile_summary.parse_profile_summary),
    (re.compile(re.escape(profile_summary.EMULATION_TITLE)), profile_summary.parse_profile_summary),
    (re.compile(accelerator_monitor.TITLE), accelerator_monitor.parse_accelerator_monitor),
    (export_report.TITLE, export_report.parse_export_rpt),
    (link_log.TITLE, link_log.parse_link_log),
)
_REMEDY = "see docs/hls_reports.md for the kinds of report that are read"


def parse_report(path: str | os.PathLike[str], limit_bytes: int = DEFAULT_LIMIT_BYTES) -> Report:
    """Read and parse a tool's report, whatever its kind.

    Raises ReportError (an AebertError, one line) when the file cannot be read, is larger than ``limit_bytes``, is
    not text, is no report of a known kind, or is broken.
    """
    return parse_report_text(read_report_text(path, limit_bytes))


def parse_report_text(report: ReportText) -> Report:
    """As ``parse_report``, for text already in memory."""
    if report.text.lstrip().startswith("<"):
        return _parse_xml_report(report)
    for mark, parse in _TEXT_KINDS:
        if mark.search(report.text):
            return parse(report)
    header = next((line for line in report.text.splitlines() if line.strip() and not line.startswith("#")), "")
    try:
        known = results_table.table_layout(header) is not None
    except MalformedValue:
        known = False
    if known:
        return results_table.parse_results_table(report)
    raise report.error("not a report of a known kind", _REMEDY)


def _parse_xml_report(report: ReportText) -> Report:
    root = parse_xml(report)
    if root.tag == "profile" and root.find("UserAssignments") is not None:
        return parse_csynth_xml(report, root)
    if root.tag == "profile" and root.find("TimingReport") is not None:
        return export_report.parse_export_xml(report, root)
    raise report.error(f"XML with root {root.tag[:40]!r}, not an HLS report", _REMEDY)
