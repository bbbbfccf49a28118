"""All kinds of report, and the values inside them, under one name."""

from __future__ import annotations

from typing import Literal

from aebert.hls_reports.hls_model import (
    BindNode,
    CosimReport,
    CosimRun,
    CsynthReport,
    HlsClock,
    HlsLog,
    HlsSession,
    LoggedPipeline,
    ModuleBindings,
    ReportedFifo,
    ReportedInstance,
    ReportedLoop,
    ReportedModule,
    ReportedPragma,
    SummaryNode,
    SynthesisSummary,
    Violation,
)
from aebert.hls_reports.resources import DesignState, HlsResources, ReportSource, SiteUsage
from aebert.hls_reports.runtime_model import (
    AcceleratorMonitor,
    ComputeUnitRun,
    FlowMode,
    HostCall,
    HostTransfer,
    KernelRun,
    LinkedClock,
    LinkLog,
    MonitoredUnit,
    ProfileSummary,
    ResultRow,
    ResultsTable,
    TableOrigin,
    Timings,
    XclbinInfo,
)
from aebert.hls_reports.vivado_model import (
    ClockUtilization,
    ExportReport,
    HierarchicalUtilization,
    HierarchyRow,
    KernelUtilization,
    NamedUsage,
    SlrUsage,
    TimedClock,
    TimingSummary,
    UsedClock,
    UtilizationReport,
)

ReportKind = Literal[
    "csynth_xml",
    "csynth_rpt",
    "csynth_summary",
    "cosim",
    "kernel_utilization",
    "utilization",
    "hierarchical_utilization",
    "timing_summary",
    "clock_utilization",
    "link_log",
    "xclbin_info",
    "hls_log",
    "profile_summary",
    "accelerator_monitor",
    "export",
    "results_table",
]


Report = (
    CsynthReport
    | SynthesisSummary
    | CosimReport
    | KernelUtilization
    | UtilizationReport
    | HierarchicalUtilization
    | TimingSummary
    | ClockUtilization
    | LinkLog
    | XclbinInfo
    | HlsLog
    | ProfileSummary
    | AcceleratorMonitor
    | ExportReport
    | ResultsTable
)

__all__ = [
    "AcceleratorMonitor",
    "BindNode",
    "ClockUtilization",
    "ComputeUnitRun",
    "CosimReport",
    "CosimRun",
    "CsynthReport",
    "DesignState",
    "ExportReport",
    "FlowMode",
    "HierarchicalUtilization",
    "HierarchyRow",
    "HlsClock",
    "HlsLog",
    "HlsResources",
    "HlsSession",
    "HostCall",
    "HostTransfer",
    "KernelRun",
    "KernelUtilization",
    "LinkLog",
    "LinkedClock",
    "LoggedPipeline",
    "ModuleBindings",
    "MonitoredUnit",
    "NamedUsage",
    "ProfileSummary",
    "Report",
    "ReportKind",
    "ReportSource",
    "ReportedFifo",
    "ReportedInstance",
    "ReportedLoop",
    "ReportedModule",
    "ReportedPragma",
    "ResultRow",
    "ResultsTable",
    "SiteUsage",
    "SlrUsage",
    "SummaryNode",
    "SynthesisSummary",
    "TableOrigin",
    "TimedClock",
    "TimingSummary",
    "Timings",
    "UsedClock",
    "UtilizationReport",
    "Violation",
    "XclbinInfo",
]
