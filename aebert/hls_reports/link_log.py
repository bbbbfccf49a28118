"""The log of a v++ link (SDAccel: xocc): message 60-1230 holds the clocks the compiler settled on."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from aebert.hls_reports import values
from aebert.hls_reports.model import LinkedClock, LinkLog, ReportSource
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import MalformedValue

TITLE = re.compile(r"^\w+: \[(v\+\+|XOCC) 60-\d+\]", re.MULTILINE)
_MESSAGE = re.compile(r"\[(?:v\+\+|XOCC) 60-1230\]([^\n]*)")
# The message reads: System (SYSTEM) clock: clk = 450, Kernel (DATA) clock: net = 272, and so on.
_CLOCK = re.compile(r"\((SYSTEM|DATA|KERNEL)\) clock:\s*(\S+)\s*=\s*([^\s,]+)")
_VERSION = re.compile(r"\*+\s*(?:v\+\+|xocc)\s+v(\S+)", re.IGNORECASE)
_PLATFORM = re.compile(r"Target platform:\s*(\S+)")


def parse_link_log(report: ReportText) -> LinkLog:
    """Parse the last 60-1230 message: a link may try several times. Raises ReportError if there is none."""
    messages = _MESSAGE.findall(report.text)
    if not messages:
        raise report.error("link log without message 60-1230 (achieved clocks)", "let the link finish")
    try:
        clocks = tuple(_clock(role, net, text) for role, net, text in _CLOCK.findall(messages[-1]))
    except MalformedValue as error:
        raise report.error(str(error)) from None
    if not clocks:
        raise report.error("message 60-1230 lists no clock")
    version, platform = _VERSION.search(report.text), _PLATFORM.search(report.text)
    title = TITLE.search(report.text)
    return LinkLog(
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool="xocc" if title and title.group(1) == "XOCC" else "v++",
            tool_version=version.group(1) if version else None,
            part=one_line(PurePosixPath(platform.group(1)).stem) if platform else None,
        ),
        clocks=clocks,
    )


def _clock(role: str, net: str, text: str) -> LinkedClock:
    frequency = values.parse_positive(text.rstrip("."))
    if frequency is None:
        raise MalformedValue(f"the {role} clock has no frequency")
    return LinkedClock(role, one_line(net), frequency)
