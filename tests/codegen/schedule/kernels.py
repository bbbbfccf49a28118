"""Tiny C++ kernels with known loops, as the front end reads them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from codegen.schedule.frontend.kernel import graphs_by_loop, source_graphs
from codegen.schedule.graph import DependenceKind, DesignContext, LoopGraph, Operation

CONTEXT = DesignContext(clock_period_ns=10 / 3, part="xcu200-fsgd2104-2-e")
_HEAD = """\
#include <cstdint>
#include <hls_stream.h>
#include <ap_int.h>
#ifdef AEBERT_SCHEDULE
#define AEBERT_LOOP(name) _Pragma("clang loop unroll(disable)")
#define AEBERT_ITERATION aebert_iteration(__LINE__)
#endif
"""
HEAD_LINES = _HEAD.count("\n")


def graphs_of(folder: Path, body: str) -> dict[str, LoopGraph]:
    """The loops of ``body``, C++ behind the usual includes, by name."""
    source = folder / "kernel.cpp"
    source.write_text(source_text(body), encoding="utf-8")
    return dict(graphs_by_loop(tuple(source_graphs(source, CONTEXT, word_bytes=16))))


def source_text(body: str) -> str:
    """``body`` behind the usual includes."""
    return _HEAD + body


def counting_loop(body: str, pragmas: str = "#pragma HLS PIPELINE II = 1", process: str = "process") -> str:
    """A marked loop over ``i`` in [0, n)."""
    return f"""\
Body:
  AEBERT_LOOP({process}.Body)
  for (int i = 0; i < n; ++i) {{
{pragmas}
    AEBERT_ITERATION;
    {body}
  }}
"""


def named(graph: LoopGraph, opcode: str) -> list[Operation]:
    return [operation for operation in graph.operations if operation.opcode == opcode]


def cycle_of(graph: LoopGraph, phi: int) -> set[str]:
    """Opcodes on the paths from a carried register's phi to what it becomes."""
    carried = next(each for each in graph.carried if each.phi == phi)
    forward = _reached([phi], graph, forward=True)
    backward = set() if carried.next is None else _reached([carried.next], graph, forward=False)
    return {graph.operations[number].opcode for number in forward & backward}


def _reached(start: Iterable[int], graph: LoopGraph, *, forward: bool) -> set[int]:
    found: set[int] = set()
    waiting = list(start)
    while waiting:
        number = waiting.pop()
        if number in found:
            continue
        found.add(number)
        edges = graph.outgoing[number] if forward else graph.incoming[number]
        waiting += [
            each.sink if forward else each.source
            for each in edges
            if each.distance == 0 and each.kind in (DependenceKind.DATA, DependenceKind.PREDICATE)
        ]
    return found
