"""What Vivado reports about synthesised, placed and routed logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from aebert.hls_reports.resources import DesignState, HlsResources, ReportSource, SiteUsage


@dataclass(frozen=True, slots=True)
class NamedUsage:
    """A row of a utilisation table; ``depth`` is its indentation in levels."""

    name: str
    depth: int
    usage: SiteUsage


@dataclass(frozen=True, slots=True)
class KernelUtilization:
    """``*_kernel_util_{synthed,placed,routed}.rpt`` of a v++ link. BRAM in RAMB36 tiles."""

    kind: ClassVar[Literal["kernel_utilization"]] = "kernel_utilization"
    source: ReportSource
    state: DesignState
    platform: SiteUsage | None
    used: SiteUsage | None
    kernels: tuple[NamedUsage, ...]


@dataclass(frozen=True, slots=True)
class SlrUsage:
    """Resources of one super logic region."""

    slr: str
    usage: SiteUsage


@dataclass(frozen=True, slots=True)
class UtilizationReport:
    """Vivado ``report_utilization``, with ``-slr`` or without. ``usage`` of an SLR-only report is the regions' sum.

    ``black_boxes``: instances by module that had no netlist yet; ``usage`` leaves them out."""

    kind: ClassVar[Literal["utilization"]] = "utilization"
    source: ReportSource
    state: DesignState
    usage: SiteUsage
    available: SiteUsage
    slrs: tuple[SlrUsage, ...]
    black_boxes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HierarchyRow:
    """One instance of ``report_utilization -hierarchical``. ``ramb36`` and ``ramb18`` are primitives."""

    instance: str
    module: str
    depth: int
    lut: int
    logic_lut: int
    lutram: int
    srl: int
    ff: int
    ramb36: int
    ramb18: int
    uram: int
    dsp: int

    @property
    def usage(self) -> SiteUsage:
        return SiteUsage(self.lut, self.ff, self.dsp, self.ramb36 + self.ramb18 / 2, self.uram)


@dataclass(frozen=True, slots=True)
class HierarchicalUtilization:
    """``report_utilization -hierarchical``; the first row is the whole design."""

    kind: ClassVar[Literal["hierarchical_utilization"]] = "hierarchical_utilization"
    source: ReportSource
    state: DesignState
    rows: tuple[HierarchyRow, ...]


@dataclass(frozen=True, slots=True)
class TimedClock:
    """A constrained clock. ``wns_ns``: worst setup slack of paths inside this clock domain (None: no path)."""

    name: str
    period_ns: float
    frequency_mhz: float
    wns_ns: float | None

    @property
    def achieved_ns(self) -> float | None:
        """Smallest period the routed paths allow: period minus worst slack."""
        return None if self.wns_ns is None else self.period_ns - self.wns_ns


@dataclass(frozen=True, slots=True)
class TimingSummary:
    """Vivado ``report_timing_summary``: worst negative, total negative, hold slack in ns. ``state`` None: neither the
    header nor a file name says how far the design was."""

    kind: ClassVar[Literal["timing_summary"]] = "timing_summary"
    source: ReportSource
    state: DesignState | None
    wns_ns: float | None
    tns_ns: float | None
    whs_ns: float | None
    failing_endpoints: int | None
    met: bool | None
    clocks: tuple[TimedClock, ...]


@dataclass(frozen=True, slots=True)
class UsedClock:
    """A global clock and how many pins it drives."""

    name: str
    period_ns: float | None
    loads: int


@dataclass(frozen=True, slots=True)
class ClockUtilization:
    """Vivado ``report_clock_utilization``."""

    kind: ClassVar[Literal["clock_utilization"]] = "clock_utilization"
    source: ReportSource
    state: DesignState | None
    clocks: tuple[UsedClock, ...]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """``<f>_export.rpt`` or ``.xml``, ``export_syn.rpt``, ``export_impl.rpt``: Vivado run from HLS. Here HLS counts
    BRAM in RAMB18 (its run_vivado scripts compute RAMB18 + 2 x RAMB36), so the resources are HlsResources."""

    kind: ClassVar[Literal["export"]] = "export"
    source: ReportSource
    state: DesignState
    resources: HlsResources
    required_ns: float | None
    post_synthesis_ns: float | None
    achieved_ns: float | None
    met: bool | None
