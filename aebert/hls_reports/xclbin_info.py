"""``<name>.xclbin.info`` (v++, ``xclbinutil --info``): kernels and clocks of a linked bitstream.

The words are those of XRT's xclbinutil (FormattedOutput.cxx).
"""

from __future__ import annotations

import re

from aebert.hls_reports import values
from aebert.hls_reports.model import LinkedClock, ReportSource, XclbinInfo
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import MalformedValue

TITLE = re.compile(r"^(?:Scalable )?Clocks\s*\n-+\s*$", re.MULTILINE)
_FIELD = re.compile(r"^\s+([A-Z][\w ]*?):\s+(\S.*?)\s*$")


def parse_xclbin_info(report: ReportText) -> XclbinInfo:
    """Parse names and clocks. Raises ReportError where no clock is listed."""
    start = TITLE.search(report.text)
    clocks: list[LinkedClock] = []
    requested: list[float] = []
    entry: dict[str, str] = {}
    lines = report.text[start.end() if start else 0 :].splitlines()[1:]
    try:
        for line in [*lines, ""]:
            field = _FIELD.match(line)
            if field is not None:
                entry[field[1]] = field[2]
                continue
            if {"Name", "Type", "Frequency"} <= entry.keys():
                clocks.append(LinkedClock(entry["Type"], one_line(entry["Name"]), _mhz(entry["Frequency"])))
            elif "Requested Freq" in entry:
                requested.append(_mhz(entry["Requested Freq"]))
            entry = {}
            if line.startswith("Memory Configuration"):
                break
    except MalformedValue as error:
        raise report.error(str(error)) from None
    if not clocks:
        raise report.error("no clock with its frequency", "make the file anew with xclbinutil --info")
    return XclbinInfo(_source(report), tuple(clocks), requested[0] if len(requested) == 1 else None)


def _mhz(text: str) -> float:
    value = values.parse_positive(text.removesuffix("MHz"))
    if value is None:
        raise MalformedValue(f"clock frequency {values.quoted(text)} is none")
    return value


def _source(report: ReportText) -> ReportSource:
    def named(pattern: str) -> str | None:
        found = re.search(pattern, report.text, re.MULTILINE)
        return one_line(found[1]) if found else None

    kernels = re.findall(r"^Kernel:\s+(\S+)", report.text, re.MULTILINE) or [named(r"^\s+Kernels:\s+([^\s,]+)\s*$")]
    return ReportSource(
        name=report.name,
        sha256=report.sha256,
        tool="v++",
        tool_version=named(r"^\s+Version:\s+([0-9][0-9.]*)\b"),
        part=named(r"^\s+Platform VBNV:\s+(\S+)"),
        top=one_line(kernels[0]) if len(kernels) == 1 and kernels[0] else None,
    )
