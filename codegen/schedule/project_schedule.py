"""What synthesis will make of a project: every loop of its kernel scheduled at the project's clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aebert.support.collector import collector_paused
from aebert.support.errors import AebertError
from aebert.support.whole_number import whole_number
from codegen.manifest import Manifest, read_manifest
from codegen.schedule.frontend.kernel import compiled_sources, read_graphs
from codegen.schedule.graph import DesignContext, LoopGraph
from codegen.schedule.lanes import merge_lanes
from codegen.schedule.registers import register_bits
from codegen.schedule.result import ChainedOperation, IntervalLimit, LoopSchedule
from codegen.schedule.schedule_cache import keep, kept, key_of

Scheduler = Callable[[LoopGraph], LoopSchedule]
KERNEL_FOLDER = "kernel"
# A clock is searched to this, in MHz.
_CLOCK_STEP_MHZ = 1.0
# Slowest clock that is tried for a loop that misses its II: below it something else is wrong.
_SLOWEST_MHZ = 25.0


@dataclass(frozen=True)
class ScheduledLoop:
    """A loop at the project's clock. ``name``: process and label; ``asked_ii`` None: not pipelined.

    ``supported_mhz``: the clock at which the loop has the II that it asks for, with the tool's uncertainty kept free.
    ``register_bits``: flip-flops that hold what crosses its stages, all lanes, and what it carries.
    """

    name: str
    asked_ii: int | None
    schedule: LoopSchedule
    supported_mhz: float
    register_bits: int

    @property
    def initiation_interval(self) -> int | None:
        return None if self.asked_ii is None else self.schedule.initiation_interval

    @property
    def misses(self) -> bool:
        """Whether the loop reaches its II only at a slower clock, or this II only in more cycles."""
        return self.asked_ii is not None and (self.schedule.misses_target or self.schedule.misses_clock)

    @property
    def margin_ns(self) -> float:
        """What the longest state leaves of the budget, at the II that was reached."""
        return self.schedule.budget_ns - self.schedule.clock_ns

    @property
    def limit(self) -> IntervalLimit | None:
        """Why the loop has not one II less."""
        return self.schedule.limits[-1] if self.schedule.limits else None

    @property
    def critical(self) -> tuple[ChainedOperation, ...]:
        """The cycle that keeps the loop from its II, else the longest chain of a state."""
        limit = self.limit
        return limit.chain if limit is not None and limit.chain else self.schedule.critical


@dataclass(frozen=True)
class _ScheduledFile:
    """What is kept of a file of the kernel."""

    loops: tuple[ScheduledLoop, ...]


@dataclass(frozen=True)
class ProjectSchedule:
    """Every marked loop of a project's kernel at one clock; the sources' lines for words about them."""

    context: DesignContext
    clock_mhz: float
    loops: tuple[ScheduledLoop, ...]
    lines: dict[str, tuple[str, ...]]

    @property
    def pipelined(self) -> tuple[ScheduledLoop, ...]:
        return tuple(loop for loop in self.loops if loop.asked_ii is not None)

    @property
    def misses(self) -> tuple[ScheduledLoop, ...]:
        """Loops that do not have their II at this clock, the slowest first."""
        found = [loop for loop in self.loops if loop.misses]
        return tuple(sorted(found, key=lambda loop: (loop.supported_mhz, loop.name)))

    @property
    def supported_mhz(self) -> float:
        """The clock at which every loop has its II."""
        return min((loop.supported_mhz for loop in self.pipelined), default=self.clock_mhz)

    @property
    def reached_mhz(self) -> float:
        """The clock that the longest state allows at the IIs that were reached, uncertainty kept free."""
        share = self.context.budget_ns / self.context.clock_period_ns
        return 1000 * share / max((loop.schedule.clock_ns for loop in self.pipelined), default=self.context.budget_ns)

    @property
    def critical(self) -> ScheduledLoop | None:
        """The loop that limits the clock."""
        return min(self.pipelined, key=lambda loop: (loop.supported_mhz, loop.name), default=None)

    def source_text(self, line: str) -> str:
        """What stands on a line of the kernel, given as "file:line"."""
        file, _, number = line.partition(":")
        text = self.lines.get(file, ())
        at = whole_number(number) or 0
        return text[at - 1].strip() if 0 < at <= len(text) else ""


def schedule_project(
    project: Path, clock_mhz: float | None = None, scheduler: Scheduler | None = None
) -> ProjectSchedule:
    """Schedules the loops of ``project`` at ``clock_mhz`` (None: the project's own).

    Raises AebertError where the folder is no project, where clang or LLVM refuse the kernel, and for a clock that is
    not positive.
    """
    return schedule_kernel(project, read_manifest(project), clock_mhz, scheduler)


def schedule_kernel(
    folder: Path, manifest: Manifest, clock_mhz: float | None = None, scheduler: Scheduler | None = None
) -> ProjectSchedule:
    """The same for a folder that holds ``kernel/``."""
    clock = manifest.clock_mhz if clock_mhz is None else clock_mhz
    if not clock > 0:
        raise AebertError(f"clock: {clock} MHz, must be positive")
    context = DesignContext(clock_period_ns=1000 / clock, part=manifest.part)
    with collector_paused():
        loops = scheduled_loops(folder, context, manifest.config.word_bytes, scheduler)
    lines = {
        path.name: tuple(path.read_text(encoding="utf-8").splitlines())
        for path in sorted((folder / KERNEL_FOLDER).iterdir())
        if path.suffix in (".cpp", ".h")
    }
    return ProjectSchedule(context, clock, loops, lines)


def scheduled_loops(
    folder: Path, context: DesignContext, word_bytes: int, scheduler: Scheduler | None
) -> tuple[ScheduledLoop, ...]:
    """Of every file, in order. What Vitis' rules make of a file is kept for all projects of which it is part."""
    sources = compiled_sources(folder)
    keys = {source.path: key_of(source.ir, repr(source.marks), repr(context), str(word_bytes)) for source in sources}
    known = {} if scheduler is not None else {path: kept(_ScheduledFile, key) for path, key in keys.items()}
    found = {path: file for path, file in known.items() if file is not None}
    run = vitis_scheduler() if scheduler is None else scheduler
    missing = [source for source in sources if source.path not in found]
    for source, graphs in read_graphs(missing, context, word_bytes):
        file = _ScheduledFile(tuple(_scheduled(graph, run) for graph in graphs))
        found[source.path] = file
        if scheduler is None:
            keep(keys[source.path], asdict(file))
    return tuple(loop for source in sources for loop in found[source.path].loops)


def vitis_scheduler() -> Scheduler:
    """Vitis' rules with the operator delays fitted on its reports."""
    from codegen.schedule.operator_model import fitted_model
    from codegen.schedule.scheduler import schedule_loop

    model = fitted_model()
    return lambda graph: schedule_loop(graph, model)


def _scheduled(graph: LoopGraph, scheduler: Scheduler) -> ScheduledLoop:
    merged = merge_lanes(graph)
    schedule = scheduler(merged.graph)
    asked = (graph.target_ii or 1) if graph.pipelined else None
    name = f"{graph.process}.{graph.label}"
    registers = register_bits(graph, schedule, merged.place)
    return ScheduledLoop(name, asked, schedule, _supported_mhz(merged.graph, schedule, scheduler), registers)


def _supported_mhz(graph: LoopGraph, schedule: LoopSchedule, scheduler: Scheduler) -> float:
    """A loop that has its II runs as fast as its longest state allows; of another one the clock is searched."""
    context = graph.context
    if not graph.pipelined or not (schedule.misses_target or schedule.misses_clock):
        share = context.budget_ns / context.clock_period_ns
        return 1000 * share / max(schedule.clock_ns, 0.01)
    fast, slow = 1000 / context.clock_period_ns, _SLOWEST_MHZ
    if not _holds(graph, slow, scheduler):
        return 0.0
    while fast - slow > _CLOCK_STEP_MHZ:
        middle = (fast + slow) / 2
        if _holds(graph, middle, scheduler):
            slow = middle
        else:
            fast = middle
    return slow


def _holds(graph: LoopGraph, clock_mhz: float, scheduler: Scheduler) -> bool:
    context = replace(graph.context, clock_period_ns=1000 / clock_mhz)
    found = scheduler(replace(graph, context=context))
    return not found.misses_target and not found.misses_clock
