"""In which state a loop's registers are first read, where what initialises them stands in its first state.

The tool chooses between a register and its initial value in front of a read in that state, and does so for no more than
a word: 32 bits of a register, and of all of them where it made a function of the loop.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence

from codegen.schedule.graph import Carried, LoopGraph, Timing
from codegen.schedule.result import LoopSchedule
from codegen.schedule.rules import VITIS_2024, Rules

_WORD_BITS = 32


def first_reads(
    graph: LoopGraph, timings: Sequence[Timing], rules: Rules, before_exit: Container[int], late: Collection[int]
) -> list[tuple[int, float]]:
    """The first cycle and offset of each operation. Where an exit test (and what is ``before_exit``) needs a register
    that is read late, be it too wide or one of ``late``, all are: the loop begins there."""
    earliest = [(0, 0.0)] * len(graph.operations)
    if not graph.shares_first_state:
        return earliest
    initialised = [carried.phi for carried in graph.carried if _has_multiplexer(carried, timings)]
    wide = {phi for phi in initialised if graph.operations[phi].bits > _WORD_BITS and rules.wide_register_read_late}
    second = wide | set(late)
    if any(phi in before_exit for phi in second):
        second.update(initialised)
    for carried in graph.carried:
        if carried.phi in second:
            earliest[carried.phi] = (1, 0.0)
        elif rules.initial_store_chained and graph.context.tool_version >= VITIS_2024:
            earliest[carried.phi] = (0, carried.initial_delay_ns)
    return earliest


def crowd(graph: LoopGraph, timings: Sequence[Timing], found: LoopSchedule, rules: Rules) -> list[int]:
    """The registers that a schedule reads in the first state, if they are more than fit there."""
    if not (graph.outlined and graph.shares_first_state and rules.one_word_in_first_state) or found.depth == 1:
        return []
    read = [each.phi for each in graph.carried if found.cycles[each.phi] == 0 and _has_multiplexer(each, timings)]
    return read if is_crowd(graph, read) else []


def is_crowd(graph: LoopGraph, reads: Collection[int]) -> bool:
    """Whether the registers that are read, each counted once, have more bits than a word."""
    bits: dict[str | int, int] = {}
    for phi in reads:
        access = graph.operations[phi].access
        bits[phi if access is None else access.storage] = graph.operations[phi].bits
    return sum(bits.values()) > _WORD_BITS


def _has_multiplexer(carried: Carried, timings: Sequence[Timing]) -> bool:
    """Whether a register holds something else in front of the loop: the reports charge its stores for that."""
    return carried.next is None or carried.initial_delay_ns > 0 or timings[carried.next].delay_ns > 0
