"""What Vivado made of the exported IP (HLS ``export_design -flow syn`` or ``impl``): ``<f>_export.rpt``, ``.xml``,
``export_syn.rpt`` and ``export_impl.rpt`` (2022.1 on), which do not name the function."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from aebert.hls_reports import values
from aebert.hls_reports.model import DesignState, ExportReport, HlsResources, ReportSource
from aebert.hls_reports.part_names import part_name
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.tables import cells, find_line, key_value, table_after
from aebert.hls_reports.values import MalformedValue

TITLE = re.compile(r"^Implementation tool:\s*(?:Xilinx\s+)?(\S+)\s+v?\.?(\S+)", re.MULTILINE)
DETAIL_TITLE = re.compile(r"^== Vivado (RTL Synthesis|Synthesis|Place & Route) Results\s*$", re.MULTILINE)


def parse_export_rpt(report: ReportText) -> ExportReport:
    """Parse the text form. Raises ReportError."""
    return parse_export_block(report, report.text, _top(report))


def parse_export_block(report: ReportText, text: str, top: str | None) -> ExportReport:
    """One "Implementation tool:" block, from a file of its own or from a log. Raises ReportError."""
    title = TITLE.search(text)
    if title is None:
        raise report.error("no line 'Implementation tool:'")
    fields = dict(re.findall(r"^([A-Za-z][A-Za-z -]*?)\s*:\s*(\S.*?)\s*$", text, re.MULTILINE))
    routed = "CP achieved post-implementation" in fields or "Post-Implementation" in text
    try:
        # Before 2020 there is a single "CP achieved".
        achieved = fields.get("CP achieved post-implementation") or fields.get("CP achieved", "")
        return ExportReport(
            source=ReportSource(
                name=report.name,
                sha256=report.sha256,
                tool=title.group(1),
                tool_version=title.group(2).removeprefix("."),
                part=part_name(_printable(fields.get("Device target"))),
                top=top,
                date=_printable(fields.get("Report date")),
            ),
            state="routed" if routed else "synthesised",
            resources=_resources(fields),
            required_ns=values.parse_positive(fields.get("CP required", "")),
            post_synthesis_ns=values.parse_delay(fields.get("CP achieved post-synthesis", "")),
            achieved_ns=values.parse_delay(achieved),
            met=_met(text),
        )
    except MalformedValue as error:
        raise report.error(str(error)) from None


def parse_export_detail(report: ReportText) -> ExportReport:
    """``export_syn.rpt`` and ``export_impl.rpt``. Raises ReportError."""
    title = DETAIL_TITLE.search(report.text)
    if title is None:
        raise report.error("no line '== Vivado Place & Route Results'")
    lines = report.text.splitlines()
    routed = title[1] == "Place & Route"
    try:
        times = _timing(lines)
        return ExportReport(
            source=ReportSource(
                name=report.name,
                sha256=report.sha256,
                tool="Vivado",
                tool_version=(key_value(lines, "Version") or "").partition(" ")[0] or None,
                part=part_name(key_value(lines, "Target device")),
                date=key_value(lines, "Date"),
            ),
            state="routed" if routed else "synthesised",
            resources=_resources(dict(re.findall(r"^([A-Z]+):\s+(\S+)\s*$", report.text, re.MULTILINE))),
            required_ns=times.get("Target"),
            # The report of synthesis calls its only figure Post-Route.
            post_synthesis_ns=times.get("Post-Synthesis") if routed else times.get("Post-Route"),
            achieved_ns=times.get("Post-Route"),
            met=_met(report.text),
        )
    except MalformedValue as error:
        raise report.error(str(error)) from None


def _timing(lines: list[str]) -> dict[str, float | None]:
    """Periods by the first column of the timing table."""
    start = find_line(lines, "Timing Summary")
    rows = [] if start is None else [cells(line) for line in table_after(lines, start + 2)]
    if not rows or rows[0] != ["Timing", "Period (ns)"]:
        raise MalformedValue("no table Timing, Period (ns)")
    if any(len(row) != 2 for row in rows):
        raise MalformedValue("the table Timing, Period (ns) has a row of other columns")
    return {name: values.parse_delay(period) for name, period in rows[1:]}


def parse_export_xml(report: ReportText, root: Element) -> ExportReport:
    """Parse the XML form: a ``profile`` with TimingReport and AreaReport. Raises ReportError."""
    fields = {child.tag: child.text or "" for child in root.iterfind("AreaReport/Resources/*")}
    run_type = (root.findtext("RunData/RUN_TYPE") or "").strip().lower()
    state: DesignState = "synthesised" if run_type.startswith("syn") else "routed"
    try:
        return ExportReport(
            source=ReportSource(
                name=report.name,
                sha256=report.sha256,
                tool="Vivado",
                tool_version=_printable((root.findtext("RunData/VIVADO_VERSION") or "").strip().removeprefix("v.")),
                part=part_name(_printable(root.findtext("RunData/PART") or root.findtext("UserAssignments/Part"))),
                top=_top(report),
            ),
            state=state,
            resources=_resources(fields),
            required_ns=values.parse_positive(root.findtext("TimingReport/TargetClockPeriod") or ""),
            post_synthesis_ns=values.parse_delay(root.findtext("TimingReport/CP_SYNTH") or ""),
            achieved_ns=values.parse_delay(root.findtext("TimingReport/AchievedClockPeriod") or ""),
            met={"TRUE": True, "FALSE": False}.get((root.findtext("TimingReport/TIMING_MET") or "").strip()),
        )
    except MalformedValue as error:
        raise report.error(str(error)) from None


def _printable(text: str | None) -> str | None:
    return one_line(text) or None if text else None


def _top(report: ReportText) -> str | None:
    name, separator, _ = report.stem.rpartition("_export")
    return name if separator and name else None


def _resources(fields: dict[str, str]) -> HlsResources:
    lut = values.parse_count(fields.get("LUT", ""))
    if lut is None:
        raise MalformedValue("no LUT count")
    ff, dsp, bram, uram = (values.parse_count(fields.get(name, "")) for name in ("FF", "DSP", "BRAM", "URAM"))
    return HlsResources(lut, ff, dsp, bram, uram)


def _met(text: str) -> bool | None:
    if re.search(r"^(?:\* )?Timing (?:was )?not met", text, re.MULTILINE):
        return False
    return True if re.search(r"^(?:\* )?Timing (?:was )?met", text, re.MULTILINE) else None
