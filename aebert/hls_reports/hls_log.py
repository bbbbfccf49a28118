"""``vitis_hls.log``, ``vivado_hls.log``, ``hls_compile.log``: every synthesis of a session with II and depth of its
pipelines as the scheduler settled on them, and what Vivado made of it where ``export_design`` ran it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aebert.hls_reports import values
from aebert.hls_reports.export_report import TITLE as EXPORT_TITLE
from aebert.hls_reports.export_report import parse_export_block
from aebert.hls_reports.model import ExportReport, HlsLog, HlsSession, LoggedPipeline, ReportSource
from aebert.hls_reports.part_names import part_name
from aebert.hls_reports.reading import ReportText, one_line
from aebert.hls_reports.values import IntRange, MalformedValue

TITLE = re.compile(r"^(?:INFO|WARNING): \[(?:HLS|SYN|SCHED) \d+-\d+\]", re.MULTILINE)
_VERSION = re.compile(r"\*+ (Vivado|Vitis) HLS\b.*? v([0-9.]+)|^\s*\*+ HLS Build v([0-9.]+)", re.MULTILINE)
_TOP = re.compile(r"Running: set_top (?:-\S+ )?(\S+)|Applying ini 'syn\.top=([^']+)'|^set_top (\S+)")
_PART = re.compile(r"Running: set_part (?:-\S+ )?\{?([^}\s]+)|Setting target device to '([^']+)'")
_PERIOD = re.compile(r"Setting up clock '[^']*' with a period of ([0-9.]+)ns")
_MODULE = re.compile(r"\[HLS 200-(?:42|10)\] -- Implementing module '([^']+)'")
_PIPELINE = re.compile(
    r"Pipelining result ?: Target II ?[:=] (\d+|NA), Final II ?[:=] (\d+), Depth ?[:=] (\d+)"
    r"(?:, (loop|function) '([^']+)')?"
)
_FMAX = re.compile(r"\*\*\*\* Estimated Fmax: ([0-9.]+) MHz")
_NEW_DESIGN = re.compile(r"Running: (?:open_project|open_component)\b")
_EXPORT_END = re.compile(r"^Timing (?:not )?met|^TIMESTAMP|^INFO:", re.MULTILINE)


@dataclass
class _Open:
    """What the lines so far say about the design at hand."""

    top: str | None = None
    part: str | None = None
    period_ns: float | None = None
    module: str = ""
    pipelines: list[LoggedPipeline] = field(default_factory=list)


def parse_hls_log(report: ReportText) -> HlsLog:
    """Parse a session's log. Raises ReportError where no synthesis came to its end and nothing was exported."""
    version = _VERSION.search(report.text)
    number = (version[2] or version[3]) if version else None
    sessions: list[HlsSession] = []
    exports: list[ExportReport] = []
    now = _Open()
    lines = report.text.splitlines(keepends=True)
    position = 0
    try:
        for line in lines:
            if _NEW_DESIGN.search(line):
                now = _Open()
            _read(line, now)
            if found := _FMAX.search(line):
                fmax = values.parse_positive(found[1])
                sessions.append(HlsSession(now.top, now.part, now.period_ns, fmax, tuple(now.pipelines)))
                now.pipelines = []
            if EXPORT_TITLE.match(line):
                block = report.text[position : position + _block_length(report.text[position:])]
                exports.append(parse_export_block(report, block, now.top))
            position += len(line)
    except MalformedValue as error:
        raise report.error(str(error)) from None
    if not sessions and not exports:
        raise report.error("a log of HLS without a finished synthesis or export", "let csynth_design finish")
    tops = {each.top for each in sessions} | {each.source.top for each in exports}
    return HlsLog(
        source=ReportSource(
            name=report.name,
            sha256=report.sha256,
            tool="Vivado HLS" if version and version[1] == "Vivado" else "Vitis HLS",
            tool_version=number,
            part=sessions[0].part if sessions else exports[0].source.part,
            top=tops.pop() if len(tops) == 1 else None,
        ),
        sessions=tuple(sessions),
        exports=tuple(exports),
    )


def _read(line: str, now: _Open) -> None:
    """What one line adds."""
    if found := _TOP.search(line):
        now.top = one_line(next(filter(None, found.groups())))
    elif found := _PART.search(line):
        now.part = part_name(one_line(next(filter(None, found.groups()))))
    elif found := _PERIOD.search(line):
        now.period_ns = values.parse_positive(found[1])
    elif found := _MODULE.search(line):
        now.module = one_line(found[1])
    elif found := _PIPELINE.search(line):
        target, final, depth, kind, name = found.groups()
        ii, wanted = values.parse_count(final), values.parse_count(target)
        now.pipelines.append(
            LoggedPipeline(
                module=now.module,
                loop=one_line(name) if kind == "loop" else "",
                ii_target=wanted,
                ii_achieved=IntRange(ii, ii),
                depth_cycles=values.parse_count(depth),
            )
        )


def _block_length(text: str) -> int:
    """Characters of an export block: up to its timing line, or to what the log says next."""
    end = _EXPORT_END.search(text)
    return len(text) if end is None else end.end()
