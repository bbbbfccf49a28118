"""What the reports of HLS hold: synthesis and co-simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from aebert.hls_reports.resources import HlsResources, ReportSource
from aebert.hls_reports.values import IntRange
from aebert.hls_reports.vivado_model import ExportReport


@dataclass(frozen=True, slots=True)
class HlsClock:
    """Clock periods of a synthesis run in ns: asked for, estimated by the scheduler, margin kept."""

    target_ns: float | None
    estimated_ns: float | None
    uncertainty_ns: float | None


@dataclass(frozen=True, slots=True)
class ReportedLoop:
    """One loop. ``depth``: cycles of one iteration from start to end (the pipeline's depth when pipelined)."""

    name: str
    trip_count: IntRange | None
    latency_cycles: IntRange | None
    depth_cycles: IntRange | None
    ii_achieved: IntRange | None
    ii_target: IntRange | None
    pipelined: bool | None
    slack_ns: float | None
    instances: tuple[str, ...] = ()
    loops: tuple[ReportedLoop, ...] = ()


@dataclass(frozen=True, slots=True)
class BindNode:
    """One bound operator or memory. ``binding``: op, storage, adapter. ``storage_shape``: bits, words, banks."""

    binding: str
    operator: str
    implementation: str
    latency_cycles: int | None
    dsp: int | None
    bram_18k: int | None
    uram: int | None
    rtl_name: str
    variable: str
    loop: str = ""
    source: str = ""
    storage_shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportedInstance:
    """A sub-module as the caller's report lists it."""

    name: str
    module: str
    latency_cycles: IntRange | None
    interval_cycles: IntRange | None
    pipeline_type: str | None
    resources: HlsResources | None


@dataclass(frozen=True, slots=True)
class ReportedModule:
    """Estimates for one function. ``interval_cycles``: cycles between two starts of the function."""

    name: str
    latency_cycles: IntRange | None
    latency_average_cycles: int | None
    interval_cycles: IntRange | None
    pipeline_type: str | None
    clock: HlsClock
    resources: HlsResources
    available: HlsResources | None = None
    available_slr: HlsResources | None = None
    throughput_cycles: IntRange | None = None
    loops: tuple[ReportedLoop, ...] = ()
    instances: tuple[ReportedInstance, ...] = ()
    bind_nodes: tuple[BindNode, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportedFifo:
    """A stream between processes and its depth in words."""

    name: str
    depth: int | None


@dataclass(frozen=True, slots=True)
class ReportedPragma:
    """One pragma the tool read. ``status``: valid, warning or empty (tools before 2022.1)."""

    type: str
    location: str
    function: str
    options: str
    status: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule the scheduler could not keep. ``loop`` is empty when it concerns the function."""

    module: str
    loop: str
    issue: str
    kind: str
    location: str


@dataclass(frozen=True, slots=True)
class CsynthReport:
    """``csynth.xml``, ``<f>_csynth.xml`` or ``<f>_csynth.rpt``. ``module`` is the function the file is about;
    ``modules`` are all functions of the design when the file has them (csynth.xml from 2020.2)."""

    kind: Literal["csynth_xml", "csynth_rpt"]
    source: ReportSource
    module: ReportedModule
    flow_target: str | None = None
    modules: tuple[ReportedModule, ...] = ()
    fifos: tuple[ReportedFifo, ...] = ()
    pragmas: tuple[ReportedPragma, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class SummaryNode:
    """One row of the tree in csynth.rpt: a module or a loop with what is inside it.
    Where csynth.xml has a range, this report shows its upper end alone, so every count here is an upper end."""

    name: str
    is_loop: bool
    dataflow: bool
    issue: str | None
    slack_ns: float | None
    latency_max_cycles: int | None
    depth_max_cycles: int | None
    interval_max_cycles: int | None
    trip_count_max: int | None
    pipeline: str | None
    resources: HlsResources
    children: tuple[SummaryNode, ...] = ()


@dataclass(frozen=True, slots=True)
class ModuleBindings:
    """Operators and memories bound in one module."""

    module: str
    nodes: tuple[BindNode, ...]


@dataclass(frozen=True, slots=True)
class SynthesisSummary:
    """``csynth.rpt`` (2020.2 on). It holds no clock period."""

    kind: ClassVar[Literal["csynth_summary"]] = "csynth_summary"
    source: ReportSource
    flow_target: str | None
    top: SummaryNode
    bindings: tuple[ModuleBindings, ...]


@dataclass(frozen=True, slots=True)
class CosimRun:
    """One RTL language's row. Cycles are None where the report says NA. ``total_cycles`` only in the new layout."""

    rtl: str
    status: Literal["Pass", "Fail", "NA"]
    latency_min: int | None
    latency_average: int | None
    latency_max: int | None
    interval_min: int | None
    interval_average: int | None
    interval_max: int | None
    total_cycles: int | None


@dataclass(frozen=True, slots=True)
class CosimReport:
    """``<f>_cosim.rpt``, both layouts."""

    kind: ClassVar[Literal["cosim"]] = "cosim"
    source: ReportSource
    runs: tuple[CosimRun, ...]

    @property
    def measured(self) -> CosimRun | None:
        """The row that passed, or None. A row marked NA may still show cycles: those of an earlier, other run."""
        return next((run for run in self.runs if run.status == "Pass" and run.latency_max is not None), None)


@dataclass(frozen=True, slots=True)
class LoggedPipeline:
    """A pipelined loop, or function where ``loop`` is empty, as the scheduler settled it."""

    module: str
    loop: str
    ii_target: int | None
    ii_achieved: IntRange
    depth_cycles: int | None


@dataclass(frozen=True, slots=True)
class HlsSession:
    """One synthesis that came to its end. ``fmax_mhz`` is the scheduler's estimate."""

    top: str | None
    part: str | None
    target_ns: float | None
    fmax_mhz: float | None
    pipelines: tuple[LoggedPipeline, ...]


@dataclass(frozen=True, slots=True)
class HlsLog:
    """``vitis_hls.log``: all syntheses of a session, and what Vivado made of them where it was exported."""

    kind: ClassVar[Literal["hls_log"]] = "hls_log"
    source: ReportSource
    sessions: tuple[HlsSession, ...]
    exports: tuple[ExportReport, ...]
