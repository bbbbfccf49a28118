"""Reports of Vivado/Vitis HLS (2018 to 2025), Vivado, v++ and XRT as typed values. See docs/hls_reports.md."""

from aebert.hls_reports.model import Report, ReportKind, ReportSource
from aebert.hls_reports.parse import parse_report
from aebert.hls_reports.reading import DEFAULT_LIMIT_BYTES, ReportError
from aebert.hls_reports.values import IntRange

__all__ = ["DEFAULT_LIMIT_BYTES", "IntRange", "Report", "ReportError", "ReportKind", "ReportSource", "parse_report"]
