"""The kernel of a project -> the data-flow graph of every loop of every process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.timing.source_marks import LoopMark, SourceMarks, read_marks
from codegen.schedule.frontend.addresses import locate
from codegen.schedule.frontend.arrays import Array, accessed, array_of, register_layouts
from codegen.schedule.frontend.chosen_addresses import without_chosen_addresses
from codegen.schedule.frontend.clang import compile_to_ir
from codegen.schedule.frontend.control_flow import Iteration, Loop, natural_loops
from codegen.schedule.frontend.copies import without_copies
from codegen.schedule.frontend.demanded import demanded_bits
from codegen.schedule.frontend.ir import Instruction, IrFunction, Module, SourceLine
from codegen.schedule.frontend.ir_text import parse_module
from codegen.schedule.frontend.loop_graph import ReadLoop, read_loop
from codegen.schedule.frontend.passes import optimise
from codegen.schedule.frontend.process import Process
from codegen.schedule.frontend.ranges import value_ranges
from codegen.schedule.frontend.unreachable import without_unreachable
from codegen.schedule.graph import DesignContext, LoopGraph

_ITERATION = "aebert_iteration"


@dataclass(frozen=True)
class CompiledSource:
    """A C++ file with marked loops, and the LLVM IR that clang made of it."""

    path: Path
    marks: SourceMarks
    ir: str


def compiled_sources(project: Path) -> tuple[CompiledSource, ...]:
    """Files of ``project/kernel`` that have marked loops, in order.

    Raises AebertError where there is no kernel, or clang refuses it.
    """
    sources = sorted((project / "kernel").glob("*.cpp"))
    if not sources:
        raise AebertError(f"{project}: no C++ in kernel/; give a generated project")
    marked = [(source, marks) for source in sources if (marks := _marks_of(source)).loops]
    if not marked:
        raise AebertError(f"{project}: kernel/ has no marked loop; give a generated project")
    # clang and LLVM are processes of their own, so files go side by side.
    with ThreadPoolExecutor() as pool:
        texts = pool.map(compile_to_ir, [source for source, _ in marked])
        return tuple(CompiledSource(source, marks, ir) for (source, marks), ir in zip(marked, texts, strict=True))


def read_graphs(
    sources: Sequence[CompiledSource], context: DesignContext, word_bytes: int
) -> Iterator[tuple[CompiledSource, list[LoopGraph]]]:
    """The marked loops of each file, in the order in which LLVM is through with them. As `kernel_graphs`."""
    with ThreadPoolExecutor() as pool:
        waiting = {pool.submit(optimise, source.ir): source for source in sources}
        for done in as_completed(waiting):
            source = waiting[done]
            yield source, _module_graphs(source.path, source.marks, done.result(), context, word_bytes)


def kernel_graphs(project: Path, context: DesignContext, word_bytes: int) -> tuple[LoopGraph, ...]:
    """Every marked loop of ``project/kernel``, in the order of the sources. ``word_bytes``: of the AXI ports.

    Raises AebertError where there is no kernel, clang refuses it, or the marks are of an older generator.
    """
    sources = compiled_sources(project)
    found = {source.path: graphs for source, graphs in read_graphs(sources, context, word_bytes)}
    return tuple(graph for source in sources for graph in found[source.path])


def source_graphs(source: Path, context: DesignContext, word_bytes: int = 64) -> list[LoopGraph]:
    """Every marked loop of one C++ file, in the order of the file."""
    marks = _marks_of(source)
    return _module_graphs(source, marks, _optimised(source, marks), context, word_bytes)


def _marks_of(source: Path) -> SourceMarks:
    return read_marks(source.name, source.read_text(encoding="utf-8"))


def _optimised(source: Path, marks: SourceMarks) -> str:
    """LLVM IR; empty where no loop is marked."""
    return optimise(compile_to_ir(source)) if marks.loops else ""


def _module_graphs(
    source: Path, marks: SourceMarks, ir: str, context: DesignContext, word_bytes: int
) -> list[LoopGraph]:
    found = {
        mark.name: read.graph
        for process in _module_processes(source, marks, ir, context, word_bytes)
        for mark, read in zip(process.marks, process.read, strict=True)
    }
    missing = [mark.name for mark in marks.loops if mark.name not in found]
    if missing:
        raise AebertError(f"{source}: loop {missing[0]} has no mark in the compiled code; generate the project again")
    return [found[mark.name] for mark in marks.loops]


@dataclass(frozen=True)
class SourceProcess:
    """A process, its loops (inner ones first), their marks, and what was read of each. ``text``: the whole module."""

    process: Process
    module: Module
    iterations: tuple[Iteration, ...]
    marks: tuple[LoopMark, ...]
    read: tuple[ReadLoop, ...]
    text: str


def source_processes(source: Path, context: DesignContext, word_bytes: int = 64) -> list[SourceProcess]:
    """Every process of one C++ file that has loops. Raises AebertError as `kernel_graphs`."""
    marks = _marks_of(source)
    return _module_processes(source, marks, _optimised(source, marks), context, word_bytes)


def _module_processes(
    source: Path, marks: SourceMarks, ir: str, context: DesignContext, word_bytes: int
) -> list[SourceProcess]:
    if not marks.loops:
        return []
    module = parse_module(ir)
    if not any(_is_mark(instruction) for function in module.functions for instruction in function.instructions):
        raise AebertError(f"{source}: its loops have no marks for scheduling; generate the project again")
    found = []
    for copying, lines in _processes(module, source.name):
        function = without_unreachable(without_chosen_addresses(without_copies(copying)))
        process = _process(module, function, marks, lines, word_bytes)
        loops = tuple(_marked_loops(function, marks))
        read = tuple(read_loop(process, iteration, mark, context) for iteration, mark in loops)
        found.append(
            SourceProcess(process, module, tuple(each for each, _ in loops), tuple(mark for _, mark in loops), read, ir)
        )
    return found


def _processes(module: Module, file: str) -> Iterator[tuple[IrFunction, tuple[int, int]]]:
    """Functions with loops, and the lines that each may take of its file: from the end of the one in front."""
    ends = []
    for function in module.functions:
        lines = [
            at.line
            for block in function.blocks.values()
            for instruction in block.instructions
            if instruction.debug is not None and (at := _outermost(module.lines.get(instruction.debug))) is not None
            if at.file == file
        ]
        ends.append((max(lines, default=0), function))
    first = 0
    for last, function in sorted(ends, key=lambda each: each[0]):
        yield function, (first, last)
        first = last + 1


def _outermost(at: SourceLine | None) -> SourceLine | None:
    while at is not None and at.inlined_at is not None:
        at = at.inlined_at
    return at


def _process(
    module: Module, function: IrFunction, marks: SourceMarks, lines: tuple[int, int], word_bytes: int
) -> Process:
    locations = locate(function)
    arrays: dict[str, Array] = {}
    loaded: dict[str, tuple[int, int]] = {}
    for block in function.blocks.values():
        for instruction in block.instructions:
            if instruction.opcode in ("load", "store"):
                base = accessed(instruction, locations).base
                if base not in arrays:
                    arrays[base] = array_of(base, module, function, marks, lines, word_bytes)
                if base in module.globals and (bounds := module.globals[base].bounds) is not None:
                    loaded[instruction.result] = bounds
    return Process(
        plain_name(function.name),
        function,
        arrays,
        register_layouts(function, arrays, module, locations),
        locations,
        module.lines,
        value_ranges(function, loaded),
        demanded_bits(function),
    )


def plain_name(mangled: str) -> str:
    """``engine`` of ``_ZN6aebert6engineEi...``; a C name is itself."""
    found = re.match(r"_ZN?(?:L)?", mangled)
    if found is None:
        return mangled
    rest, name = mangled[found.end() :], mangled
    while part := re.match(r"(\d+)", rest):
        length = int(part[1])
        name = rest[part.end() :][:length]
        rest = rest[part.end() + length :]
        if not mangled.startswith("_ZN"):
            break
    return name


def _marked_loops(function: IrFunction, marks: SourceMarks) -> Iterator[tuple[Iteration, LoopMark]]:
    loops = natural_loops(function)
    for loop in loops:
        inner = tuple(other for other in loops if other.blocks < loop.blocks)
        line = _mark_line(function, loop, inner)
        mark = None if line is None else marks.loop_at(line)
        if mark is None:
            raise AebertError(
                f"{marks.file}: {plain_name(function.name)} has a loop that is neither marked nor unrolled; give it a "
                "constant trip count or AEBERT_LOOP and AEBERT_ITERATION"
            )
        yield Iteration(function, loop, inner), mark


def _mark_line(function: IrFunction, loop: Loop, inner: tuple[Loop, ...]) -> int | None:
    """The line that the body's mark gives; a loop inside has a mark of its own."""
    inside = frozenset[str]().union(*(each.blocks for each in inner))
    for block in loop.blocks - inside:
        for instruction in function.blocks[block].instructions:
            line = instruction.operands[0] if _is_mark(instruction) else None
            if isinstance(line, int):
                return line
    return None


def _is_mark(instruction: Instruction) -> bool:
    return instruction.callee == _ITERATION


def graphs_by_loop(graphs: tuple[LoopGraph, ...]) -> Mapping[str, LoopGraph]:
    """``process.Label`` -> graph."""
    return {f"{graph.process}.{graph.label}": graph for graph in graphs}
