"""II and depth of every loop. In order of trust: a synthesis report of this kernel (csynth), our own schedule of its
C++ (scheduled), the operators on the loop's longest path at the II that its pragma asks for (operator table).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aebert.design.hardware_config import HardwareConfig
from aebert.support.errors import AebertError
from aebert.timing.kernel_pragmas import KernelPragmas
from aebert.timing.operator_latencies import OperatorName, path_cycles

if TYPE_CHECKING:
    from aebert.hls_reports.model import CsynthReport, ReportedLoop

ScheduleSource = Literal["csynth", "scheduled", "operator table"]

# Entering a pass: read its descriptor, compute trip counts (one multiplication), decide.
_SEQUENTIAL: tuple[OperatorName, ...] = ("stream_read", "multiply", "fabric")
# A loop that only moves words: AXI or stream in, wiring, stream out.
_MOVE: tuple[OperatorName, ...] = ("stream_read", "fabric", "stream_write")
_ROUNDING_SHIFT: tuple[OperatorName, ...] = ("fabric", "fabric")
_REQUANTISE: tuple[OperatorName, ...] = ("wide_multiply", "fabric", "fabric")


@dataclass(frozen=True)
class StreamStage:
    """Stage of a pipeline, or state of a sequential iteration's beginning, in which a process accesses ``stream``: the
    name of its parameter, with a number where that is an array of streams. Of several accesses the first."""

    stream: str
    stage: int
    reads: bool


@dataclass(frozen=True)
class LoopLatency:
    """``ii`` 0: a sequential loop of ``depth`` cycles of control per iteration. ``path`` explains an estimate.
    ``accesses``: writes to other streams leave in the last stage, reads from others take place in the first."""

    loop: str
    ii: int
    depth: int
    source: ScheduleSource
    path: tuple[OperatorName, ...] = ()
    accesses: tuple[StreamStage, ...] = ()

    @property
    def process(self) -> str:
        return self.loop.partition(".")[0]

    @property
    def first_read(self) -> int:
        """The stage in which an iteration's first read takes place."""
        return min((each.stage for each in self.accesses if each.reads), default=0)


@dataclass(frozen=True)
class LoopFigures:
    """What a synthesis made of a pipelined loop."""

    ii: int
    depth: int


# What leaves at once: an operator table knows only the depth of the results.
_AT_ONCE: Mapping[str, tuple[str, ...]] = {
    "fetch_tiles.Tiles": ("tokens",),
    "engine.Steps": ("tile_credits",),
    "requantise.Vectors": ("credits",),
    "row_maximum.Scores": ("held",),
}


def _log2(value: int) -> int:
    return max(0, (value - 1).bit_length())


def _longest_paths(config: HardwareConfig) -> Mapping[str, tuple[OperatorName, ...]]:
    chains = config.in_lanes // config.packing.chain
    fabric: OperatorName = "fabric"
    cascaded: OperatorName = "cascade"
    tree = (fabric,) * _log2(chains)
    cascade = (cascaded,) * (config.packing.chain - 1)
    halves = (fabric,) * 5
    newton: tuple[OperatorName, ...] = ("multiply", "fabric", "wide_multiply", "fabric", "multiply", "fabric")
    return {
        # Row group, flags, command.
        "sequence.Steps": ("stream_read", fabric, fabric, "stream_write"),
        # Row of keys, its block by a multiplexer of two levels, which of keys, values and memory, to the engines.
        "fetch_tiles.Tiles": ("memory_read", fabric, fabric, fabric, "stream_write"),
        # Index, address, operand row, extend, pack, multiply in cascade, split the fields, add the chains, accumulate.
        "engine.Steps": (
            "stream_read", "fabric", "memory_read", "fabric", "fabric", "multiply", *cascade,
            "fabric", *tree, "fabric", "stream_write",
        ),
        # Bias, requantisation or reciprocal, GELU or not, second requantisation, zero point, selection.
        "requantise.Vectors": (
            "stream_read", "fabric", *_REQUANTISE, "fabric",
            "fabric", "fabric", "table", *_ROUNDING_SHIFT, "fabric", "fabric",
            "multiply", *_ROUNDING_SHIFT, "fabric", "fabric", "fabric", "stream_write",
        ),
        "requantise.Reciprocals": ("stream_read", "fabric"),
        "row_maximum.Scores": ("stream_read", "fabric", "fabric", "stream_write"),
        "exponentials.Keys": ("stream_read", "fabric", "fabric", "table", "fabric", "fabric", "stream_write"),
        "reciprocals.Tokens": ("stream_read", "fabric", "divide_32", "stream_write"),
        # Address, residual, add, saturate, square, sum.
        "layer_norm.Add": ("stream_read", "fabric", "memory_read", "fabric", "fabric", "multiply", "fabric"),
        # Sums, variance, leading zeros out by halves, seed, two Newton steps.
        "layer_norm.Scales": (
            "fabric", "wide_multiply", "fabric", "fabric", *halves, "table", *newton, *newton, "fabric",
        ),
        # Residual, centre, scale, clamp, gain, offset, saturate, requantisation, saturate.
        "layer_norm.Normalise": (
            "stream_read", "memory_read", "multiply", "fabric", *_REQUANTISE, "fabric",
            *_REQUANTISE, "fabric", "multiply", *_ROUNDING_SHIFT, "fabric", "stream_write",
        ),
    }  # fmt: skip


def estimated_schedules(config: HardwareConfig, pragmas: KernelPragmas) -> tuple[LoopLatency, ...]:
    """II as the pragmas ask for, depth from the operator table, for every loop of the rendered kernel."""
    paths = _longest_paths(config)
    schedules = []
    for loop in pragmas.loops:
        if loop.ii is None:
            schedules.append(LoopLatency(loop.name, 0, path_cycles(_SEQUENTIAL), "operator table", _SEQUENTIAL))
            continue
        path = paths.get(loop.name, _MOVE)
        # An iteration that moves several elements of one stream takes as many cycles.
        depth = path_cycles(path) + loop.ii - 1
        at_once = tuple(StreamStage(stream, 0, reads=False) for stream in _AT_ONCE.get(loop.name, ()))
        schedules.append(LoopLatency(loop.name, loop.ii, depth, "operator table", path, at_once))
    return tuple(schedules)


def scheduled_schedules(estimated: Iterable[LoopLatency], found: Iterable[LoopLatency]) -> tuple[LoopLatency, ...]:
    """``estimated`` with the figures of ``found`` where it has the loop."""
    known = {schedule.loop: schedule for schedule in found}
    return tuple(known.get(schedule.loop, schedule) for schedule in estimated)


def recorded_schedules(
    estimated: Iterable[LoopLatency], recorded: Mapping[str, LoopFigures]
) -> tuple[LoopLatency, ...]:
    """``estimated`` with the figures that are ``recorded`` by function and label, where there are some."""
    return tuple(
        schedule if (found := recorded.get(schedule.loop)) is None else _reported(schedule, found.ii, found.depth)
        for schedule in estimated
    )


def synthesised_schedules(estimated: Iterable[LoopLatency], reports: Iterable[CsynthReport]) -> tuple[LoopLatency, ...]:
    """``estimated`` with the figures of ``reports`` where they have the loop (function and label).

    Raises AebertError when no loop of the kernel is in the reports: they are about something else.
    """
    known = {name: loop for report in reports for name, loop in _report_loops(report)}
    merged = tuple(_synthesised(schedule, known.get(schedule.loop)) for schedule in estimated)
    if not any(schedule.source == "csynth" for schedule in merged):
        raise AebertError("csynth reports: none of the kernel's loops is in them; give the reports of this project")
    return merged


def _report_loops(report: CsynthReport) -> Iterable[tuple[str, ReportedLoop]]:
    """``process.Label`` of every pipelined loop. Vitis puts a loop into a module named <function>_Pipeline_<label>."""
    for module in report.modules or (report.module,):
        function = module.name.partition("_Pipeline_")[0]
        waiting = list(module.loops)
        while waiting:
            loop = waiting.pop()
            waiting.extend(loop.loops)
            yield f"{function}.{loop.name}", loop


def _synthesised(schedule: LoopLatency, loop: ReportedLoop | None) -> LoopLatency:
    if loop is None or not loop.pipelined or loop.ii_achieved is None or loop.depth_cycles is None:
        return schedule
    ii, depth = loop.ii_achieved.max, loop.depth_cycles.max
    return schedule if ii is None or depth is None else _reported(schedule, ii, depth)


def _reported(schedule: LoopLatency, ii: int, depth: int) -> LoopLatency:
    """A report has no stages of accesses: those known are as far from the beginning, those of the last stage in the
    last one."""
    early = tuple(each for each in schedule.accesses if each.stage < min(schedule.depth, depth) - 1)
    return LoopLatency(schedule.loop, ii, depth, "csynth", accesses=early)
