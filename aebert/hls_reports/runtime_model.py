"""What link logs, XRT and published tables hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from aebert.hls_reports.resources import HlsResources, ReportSource


@dataclass(frozen=True, slots=True)
class LinkedClock:
    """A clock of the finished link. ``role``: DATA, KERNEL or SYSTEM."""

    role: str
    net: str
    achieved_mhz: float


@dataclass(frozen=True, slots=True)
class LinkLog:
    """A v++ (or SDAccel xocc) link log: the clocks the compiler settled on (message 60-1230)."""

    kind: ClassVar[Literal["link_log"]] = "link_log"
    source: ReportSource
    clocks: tuple[LinkedClock, ...]

    @property
    def data_mhz(self) -> float | None:
        """Achieved frequency of the kernel's data clock."""
        return next((clock.achieved_mhz for clock in self.clocks if clock.role == "DATA"), None)


@dataclass(frozen=True, slots=True)
class XclbinInfo:
    """``*.xclbin.info``: the clocks of a linked bitstream; ``source.part`` is the platform. ``requested_mhz`` of the
    kernel's clock where the file has it (XRT 2.14 on)."""

    kind: ClassVar[Literal["xclbin_info"]] = "xclbin_info"
    source: ReportSource
    clocks: tuple[LinkedClock, ...]
    requested_mhz: float | None

    @property
    def data_mhz(self) -> float | None:
        """Frequency of the kernel's data clock."""
        return next((clock.achieved_mhz for clock in self.clocks if clock.role == "DATA"), None)


FlowMode = Literal["hw", "hw_emu", "sw_emu"]


@dataclass(frozen=True, slots=True)
class Timings:
    """Times of repeated calls in ms."""

    calls: int
    total_ms: float
    min_ms: float
    average_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class KernelRun:
    """A kernel as the host sees it: enqueue to completion."""

    kernel: str
    timings: Timings


@dataclass(frozen=True, slots=True)
class ComputeUnitRun:
    """A compute unit as its monitor sees it. ``clock_mhz`` None where the monitor gives none."""

    device: str
    compute_unit: str
    kernel: str
    timings: Timings
    clock_mhz: float | None


@dataclass(frozen=True, slots=True)
class HostTransfer:
    """Transfers between host and global memory in one direction (READ is device to host)."""

    direction: Literal["READ", "WRITE"]
    transfers: int
    rate_mb_per_s: float | None
    average_size_kb: float
    total_ms: float | None


@dataclass(frozen=True, slots=True)
class HostCall:
    """A function of XRT's native or OpenCL interface, as the host called it."""

    name: str
    timings: Timings


@dataclass(frozen=True, slots=True)
class ProfileSummary:
    """XRT ``summary.csv`` / SDAccel ``profile_summary.csv`` / hardware emulation's ``profile_kernels.csv``.
    ``flow`` is None when the file does not say whether hardware ran. Of a host that uses XRT's native interface alone
    there are only ``calls``."""

    kind: ClassVar[Literal["profile_summary"]] = "profile_summary"
    source: ReportSource
    device: str | None
    flow: FlowMode | None
    kernels: tuple[KernelRun, ...]
    compute_units: tuple[ComputeUnitRun, ...]
    transfers: tuple[HostTransfer, ...]
    calls: tuple[HostCall, ...] = ()


@dataclass(frozen=True, slots=True)
class MonitoredUnit:
    """Counters of one compute unit since the bitstream was loaded, in cycles of the kernel clock."""

    compute_unit: str
    starts: int
    ends: int
    execution_cycles: int
    memory_stall_cycles: int
    pipe_stall_cycles: int
    stream_stall_cycles: int
    min_execution_cycles: int
    max_execution_cycles: int


@dataclass(frozen=True, slots=True)
class AcceleratorMonitor:
    """``xbutil``'s debug-ip-status: accelerator monitor counters."""

    kind: ClassVar[Literal["accelerator_monitor"]] = "accelerator_monitor"
    source: ReportSource
    units: tuple[MonitoredUnit, ...]


TableOrigin = Literal["csynth", "cosim", "published"]


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One line of a table of results; ``origin`` says what the latency is, ``workload`` what ran."""

    design: str
    workload: str | None
    origin: TableOrigin
    status: str | None
    cycles: int | None
    latency_ms: float | None
    clock_ns: float | None
    board: str | None
    resources: HlsResources


@dataclass(frozen=True, slots=True)
class ResultsTable:
    """A CSV or TSV of results as projects publish them."""

    kind: ClassVar[Literal["results_table"]] = "results_table"
    source: ReportSource
    rows: tuple[ResultRow, ...]
