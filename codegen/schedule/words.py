"""A project's schedule in words: the table of its loops and what limits them; and as facts for scripts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from aebert.support.text_table import text_table
from codegen.schedule.project_schedule import ProjectSchedule, ScheduledLoop
from codegen.schedule.result import ChainedOperation

_HEAD = ("loop", "II asked", "II", "depth", "clock, MHz", "margin, ns", "remark")


def schedule_lines(found: ProjectSchedule) -> list[str]:
    """The table, and under it the critical cycle of the loop that limits the clock, and of each that misses its II."""
    context = found.context
    lines = [
        f"{context.part} at {found.clock_mhz:g} MHz: a state may take {context.budget_ns:.2f} ns "
        f"({context.clock_period_ns:.2f} less {context.uncertainty_ns:.2f} of uncertainty); scheduled, not synthesised",
        "",
        *text_table(_HEAD, map(_row, found.loops), left=(0, 6)).splitlines(),
    ]
    limiting = found.critical
    if limiting is not None:
        upto = f"up to {found.supported_mhz:.0f} MHz" if found.supported_mhz else "at no clock"
        lines += ["", f"every loop has its II {upto}; {limiting.name} decides it"]
    shown = found.misses or ((limiting,) if limiting is not None else ())
    for loop in shown:
        lines += ["", *critical_lines(found, loop)]
    return lines


def _row(loop: ScheduledLoop) -> tuple[str, ...]:
    schedule = loop.schedule
    asked = "-" if loop.asked_ii is None else str(loop.asked_ii)
    reached = "-" if loop.initiation_interval is None else str(loop.initiation_interval)
    clock = "-" if loop.asked_ii is None else f"{loop.supported_mhz:.0f}" if loop.supported_mhz else "none"
    return loop.name, asked, reached, str(schedule.depth), clock, f"{loop.margin_ns:.2f}", remark(loop)


def remark(loop: ScheduledLoop) -> str:
    """Why the loop misses, in a few words; "" where it does not."""
    limit = loop.limit
    if not loop.misses:
        return ""
    if limit is None:
        return f"a state takes {loop.schedule.clock_ns:.2f} ns"
    total = sum(each.delay_ns for each in limit.chain)
    return f"{limit.kind.value} of {total:.2f} ns" if limit.chain else limit.reason


def critical_lines(found: ProjectSchedule, loop: ScheduledLoop) -> Iterator[str]:
    """The operations on the critical cycle or chain, by source line, with their delays."""
    limit = loop.limit
    what = f"II {limit.initiation_interval} is not possible: {limit.reason}" if limit else "the longest state"
    yield f"{loop.name}: {what}"
    for line, steps in groupby(loop.critical, key=lambda each: each.line):
        chain = list(steps)
        operators = ", ".join(_step(each) for each in chain if each.delay_ns > 0) or "wiring"
        text = found.source_text(line)
        yield f"  {line or '(no line)':<22} {sum(each.delay_ns for each in chain):5.2f} ns  {operators}"
        if text:
            yield f"  {'':<22}           {text}"


def _step(operation: ChainedOperation) -> str:
    return f"{operation.description} {operation.delay_ns:.2f}"


def schedule_facts(found: ProjectSchedule) -> dict[str, object]:
    """The same for a program: loops with II, depth, clock, stages of their accesses, and critical chains."""
    return {
        "part": found.context.part,
        "tool_version": found.context.tool_version,
        "clock_mhz": found.clock_mhz,
        "budget_ns": found.context.budget_ns,
        "supported_mhz": found.supported_mhz,
        "critical_loop": None if found.critical is None else found.critical.name,
        "loops": [_facts(loop) for loop in found.loops],
    }


def _facts(loop: ScheduledLoop) -> dict[str, object]:
    schedule = loop.schedule
    return {
        "loop": loop.name,
        "ii_asked": loop.asked_ii,
        "ii": loop.initiation_interval,
        "depth": schedule.depth,
        "depth_range": schedule.depth_range,
        "iteration_latency": schedule.iteration_latency,
        "clock_ns": schedule.clock_ns,
        "clock_range_ns": schedule.clock_range_ns,
        "supported_mhz": loop.supported_mhz,
        "margin_ns": loop.margin_ns,
        "misses": loop.misses,
        "reason": remark(loop),
        "accesses": schedule.accesses,
        "critical": loop.critical,
    }
