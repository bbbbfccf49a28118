"""The schedule of a project, kept for this user: found again as long as nothing that it rests on has changed."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.timing.loop_schedules import LoopLatency, StreamStage
from codegen.manifest import Manifest
from codegen.schedule.frontend.clang import check_installed
from codegen.schedule.project_schedule import KERNEL_FOLDER, ProjectSchedule, schedule_kernel
from codegen.schedule.schedule_cache import PACKAGES, keep, kept, key_of
from codegen.schedule.stream_stages import stream_stages
from codegen.schedule.words import critical_lines, schedule_lines


@dataclass(frozen=True)
class StoredLoop:
    """``asked_ii`` and ``ii`` 0: not pipelined. ``critical``: the cycle or chain that limits it, line by line.

    ``register_bits``: flip-flops of what crosses its stages and of what it carries. ``accesses``: to streams and ports.
    """

    name: str
    asked_ii: int
    ii: int
    depth: int
    supported_mhz: float
    misses: bool
    critical: tuple[str, ...]
    register_bits: int
    accesses: tuple[StreamStage, ...]

    def in_words(self) -> str:
        """How it misses: by its II, or by a state that is too long where the II is kept."""
        found = f"has II {self.ii} instead of {self.asked_ii}" if self.ii > self.asked_ii else "is too slow"
        holds = f"holds up to {self.supported_mhz:.0f} MHz" if self.supported_mhz else "holds at no clock"
        return f"{self.name} {found} ({holds})"


@dataclass(frozen=True)
class StoredSchedule:
    """What timed emulation, estimates and reports take from a schedule; ``table`` is `aebert schedule`'s.

    ``supported_mhz``: the clock at which every loop has the II it asks for; ``reached_mhz``: at those that it reaches.
    """

    part: str
    tool_version: str
    clock_mhz: float
    budget_ns: float
    supported_mhz: float
    reached_mhz: float
    loops: tuple[StoredLoop, ...]
    table: tuple[str, ...]

    @property
    def misses(self) -> tuple[StoredLoop, ...]:
        return tuple(loop for loop in self.loops if loop.misses)

    def schedules(self) -> tuple[LoopLatency, ...]:
        """For timed emulation."""
        return tuple(
            LoopLatency(loop.name, loop.ii, loop.depth, "scheduled", accesses=loop.accesses) for loop in self.loops
        )

    @property
    def register_bits(self) -> dict[str, int]:
        """Of each pipelined loop."""
        return {loop.name: loop.register_bits for loop in self.loops if loop.asked_ii}

    def in_a_line(self) -> str:
        """Whether the clock holds, and what limits it."""
        pipelined = [loop for loop in self.loops if loop.asked_ii]
        if not self.misses:
            return f"schedule: all {len(pipelined)} pipelined loops have their II at {self.clock_mhz:g} MHz"
        return f"schedule: at {self.clock_mhz:g} MHz " + ", ".join(loop.in_words() for loop in self.misses)


def can_schedule() -> bool:
    """Whether clang and LLVM are installed."""
    return all(importlib.util.find_spec(package) is not None for package in PACKAGES)


def stored_schedule(project: Path, manifest: Manifest) -> StoredSchedule:
    """Of ``project`` at its own clock: read from the user's cache, or made and kept there.

    Raises AebertError where a package is missing, and what `schedule_project` raises.
    """
    key = _key(project, manifest)
    known = kept(StoredSchedule, key)
    if known is not None:
        return known
    found = _stored(schedule_kernel(project, manifest))
    keep(key, asdict(found))
    return found


def known_schedule(project: Path, manifest: Manifest) -> StoredSchedule | None:
    """The same where there is one: None without the packages, and where LLVM fails at the kernel.

    Who uses it counts with the operator table then, and says so by the source of each loop.
    """
    if not can_schedule():
        return None
    try:
        return stored_schedule(project, manifest)
    except AebertError:
        return None


def _stored(found: ProjectSchedule) -> StoredSchedule:
    loops = tuple(
        StoredLoop(
            loop.name,
            loop.asked_ii or 0,
            loop.initiation_interval or 0,
            loop.schedule.depth,
            loop.supported_mhz,
            loop.misses,
            tuple(critical_lines(found, loop)),
            loop.register_bits,
            stream_stages(loop.schedule),
        )
        for loop in found.loops
    )
    context = found.context
    return StoredSchedule(
        context.part,
        context.tool_version,
        found.clock_mhz,
        context.budget_ns,
        found.supported_mhz,
        found.reached_mhz,
        loops,
        tuple(schedule_lines(found)),
    )


def _key(project: Path, manifest: Manifest) -> str:
    """Of the kernel's text, of clock and part."""
    check_installed(*PACKAGES)
    sources = [
        text
        for path in sorted((project / KERNEL_FOLDER).glob("*"))
        for text in (path.name, path.read_text(encoding="utf-8", errors="surrogateescape"))
    ]
    return key_of(f"{manifest.part} {manifest.clock_mhz} {manifest.config.word_bytes}", *sources)
