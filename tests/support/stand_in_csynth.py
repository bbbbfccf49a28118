"""A csynth.xml written for a generated kernel's own module names, as Vitis HLS 2024 lays it out. It stands in for a
synthesis that cannot run here; its figures are made up."""

# ruff: noqa: E501  # XML
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aebert.timing.loop_schedules import estimated_schedules
from codegen.project import Project
from codegen.toolchains.timed import source_pragmas


def write_stand_in(
    project: Project, *, deeper: int = 0, ii: Mapping[str, int] | None = None, estimated_ns: float = 2.9, **counts: int
) -> Path:
    """Below the project's build folder. Every pipeline is ``deeper`` than the operator table says, and has the II that
    the pragma asks for unless ``ii`` says otherwise; ``counts`` of the whole kernel: lut, ff, dsp, bram_18k, uram."""
    schedules = estimated_schedules(project.manifest.config, source_pragmas(project.sources()))
    modules = "".join(
        _module(each.loop, (ii or {}).get(each.loop, each.ii), each.depth + deeper, project)
        for each in schedules
        if each.ii
    )
    file = project.directory / "build" / "hls" / "solution" / "syn" / "report" / "csynth.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"""<profile>
<ReportVersion><Version>2024.1</Version></ReportVersion>
<UserAssignments><unit>ns</unit><Part>{project.manifest.part}</Part><TopModelName>{project.manifest.top}</TopModelName>
<TargetClockPeriod>{1e3 / project.manifest.clock_mhz:.3f}</TargetClockPeriod><ClockUncertainty>0.9</ClockUncertainty>
<FlowTarget>vitis</FlowTarget></UserAssignments>
<PerformanceEstimates><PipelineType>dataflow</PipelineType>
<SummaryOfTimingAnalysis><EstimatedClockPeriod>{estimated_ns}</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>undef</Best-caseLatency><Average-caseLatency>undef</Average-caseLatency>
<Worst-caseLatency>undef</Worst-caseLatency><Interval-min>undef</Interval-min><Interval-max>undef</Interval-max>
</SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates>{_resources(counts)}</AreaEstimates>
<ModuleInformation>{modules}</ModuleInformation>
</profile>
""")
    return file


def _module(loop: str, ii: int, depth: int, project: Project) -> str:
    process, _, label = loop.partition(".")
    return f"""<Module><Name>{process}_Pipeline_{label}</Name><PerformanceEstimates><SummaryOfTimingAnalysis>
<TargetClockPeriod>{1e3 / project.manifest.clock_mhz:.3f}</TargetClockPeriod><ClockUncertainty>0.9</ClockUncertainty>
<EstimatedClockPeriod>2.5</EstimatedClockPeriod></SummaryOfTimingAnalysis><SummaryOfOverallLatency>
<Best-caseLatency>undef</Best-caseLatency><Worst-caseLatency>undef</Worst-caseLatency>
<PipelineInitiationInterval>undef</PipelineInitiationInterval><PipelineType>no</PipelineType></SummaryOfOverallLatency>
<SummaryOfLoopLatency><{label}><Name>{label}</Name><TripCount>undef</TripCount><Latency>undef</Latency>
<PipelineII>{ii}</PipelineII><PipelineDepth>{depth}</PipelineDepth><PipelineType>yes</PipelineType></{label}>
</SummaryOfLoopLatency></PerformanceEstimates><AreaEstimates>{_resources({"lut": 100, "ff": 200})}</AreaEstimates></Module>"""


def _resources(counts: Mapping[str, int]) -> str:
    tags = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram_18k": "BRAM_18K", "uram": "URAM"}
    return (
        "<Resources>" + "".join(f"<{tag}>{counts.get(name, 0)}</{tag}>" for name, tag in tags.items()) + "</Resources>"
    )
