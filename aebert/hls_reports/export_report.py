"""``<f>_export.rpt`` and ``<f>_export.xml``: what Vivado made of the exported IP (HLS ``export_design -flow impl``)."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from aebert.hls_reports import values
from aebert.hls_reports.model import DesignState, ExportReport, HlsResources, ReportSource
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import MalformedValue

TITLE = re.compile(r"^Implementation tool:\s*(?:Xilinx\s+)?(\S+)\s+v?\.?(\S+)", re.MULTILINE)


def parse_export_rpt(report: ReportText) -> ExportReport:
    """Parse the text form. Raises ReportError."""
    title = TITLE.search(report.text)
    if title is None:
        raise report.error("no line 'Implementation tool:'")
    fields = dict(re.findall(r"^([A-Za-z][A-Za-z -]*?)\s*:\s*(\S.*?)\s*$", report.text, re.MULTILINE))
    routed = "CP achieved post-implementation" in fields or "Post-Implementation" in report.text
    try:
        # Before 2020 there is a single "CP achieved".
        achieved = fields.get("CP achieved post-implementation") or fields.get("CP achieved", "")
        return ExportReport(
            source=ReportSource(
                name=report.name,
                sha256=report.sha256,
                tool=title.group(1),
                tool_version=title.group(2).removeprefix("."),
                part=_printable(fields.get("Device target")),
                top=_top(report),
                date=_printable(fields.get("Report date")),
            ),
            state="routed" if routed else "synthesised",
            resources=_resources(fields),
            required_ns=values.parse_positive(fields.get("CP required", "")),
            post_synthesis_ns=values.parse_positive(fields.get("CP achieved post-synthesis", "")),
            achieved_ns=values.parse_positive(achieved),
            met=_met(report.text),
        )
    except MalformedValue as error:
        raise report.error(str(error)) from None


def parse_export_xml(report: ReportText, root: Element) -> ExportReport:
    """Parse the XML form: a ``profile`` with TimingReport and AreaReport. Raises ReportError."""
    fields = {child.tag: child.text or "" for child in root.iterfind("AreaReport/Resources/*")}
    run_type = (root.findtext("RunData/RUN_TYPE") or "").strip().lower()
    state: DesignState = "synthesised" if run_type == "synth" else "routed"
    try:
        return ExportReport(
            source=ReportSource(
                name=report.name,
                sha256=report.sha256,
                tool="Vivado",
                tool_version=_printable((root.findtext("RunData/VIVADO_VERSION") or "").strip().removeprefix("v.")),
                top=_top(report),
            ),
            state=state,
            resources=_resources(fields),
            required_ns=values.parse_positive(root.findtext("TimingReport/TargetClockPeriod") or ""),
            post_synthesis_ns=values.parse_positive(root.findtext("TimingReport/CP_SYNTH") or ""),
            achieved_ns=values.parse_positive(root.findtext("TimingReport/AchievedClockPeriod") or ""),
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
    if re.search(r"^Timing not met", text, re.MULTILINE):
        return False
    return True if re.search(r"^Timing met", text, re.MULTILINE) else None
