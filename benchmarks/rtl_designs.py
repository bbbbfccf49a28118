"""Builds designs (benchmarks.rtl_structure) as C++ in the project's own marks and runs them in timed emulation."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.native_build import find_compiler
from aebert.timing.timed_result import TimedResult, parse_result
from benchmarks.kernel_folder import write_files
from benchmarks.rtl_structure import Design, DesignProcess, Step, ordered
from codegen.render import environment, render_folder

# What a test bench counts besides the region's own cycles: reset ends one cycle before the region is started.
TEST_BENCH_CYCLES = 1
_TALLIES = ("sum", "refused", "polls", "iterations", "guarded")


@dataclass(frozen=True)
class Counted:
    """``cycles`` as a test bench sees them, None after a deadlock. ``tally``: what the design itself counts."""

    cycles: int | None
    tally: dict[str, int]
    result: TimedResult


@dataclass(frozen=True)
class BuiltDesigns:
    library: ctypes.CDLL
    designs: tuple[Design, ...]

    def run(self, design: Design) -> Counted:
        number = self.designs.index(design)
        for process in design.processes:
            self._set_loop(f"{_prefix(number, process)}.Loop", process.ii, process.depth)
            for stream, stage in _stages(process).items():
                self._set_stage(f"{_prefix(number, process)}.Loop", process.streams.index(stream), stage)
            self._set_loop(f"{_prefix(number, process)}.Poll", *process.poll)
        self.library[f"run_{number}"]()
        read = self.library.aebert_timing_result
        read.restype = ctypes.c_char_p
        result = parse_result(read().decode())
        tallies = (ctypes.c_int64 * len(_TALLIES)).in_dll(self.library, f"tally_{number}")
        return Counted(_cycles(design, number, result), dict(zip(_TALLIES, tallies, strict=True)), result)

    def _set_loop(self, name: str, ii: int, depth: int) -> None:
        self.library.aebert_timing_set_loop(name.encode(), ii, depth)

    def _set_stage(self, loop: str, argument: int, stage: int) -> None:
        self.library.aebert_timing_set_stage(loop.encode(), argument, stage)


def _cycles(design: Design, number: int, result: TimedResult) -> int | None:
    """A region is done when the processes are that have outputs of the region (ap_done is made of theirs)."""
    if result.error.startswith("deadlock"):
        return None
    result.checked_cycles()
    outputs = [process for process in design.processes if process.has_output] or design.processes
    return max(result.process(_prefix(number, process)).end for process in outputs) + TEST_BENCH_CYCLES


def build_designs(designs: Sequence[Design], folder: Path) -> BuiltDesigns:
    """Compiles all designs into one library in ``folder``. Raises AebertError with what the compiler says."""
    files = {f"emulation/{name}": text for name, text in render_folder("emulation", {}).items()}
    files["kernel/streams.h"] = environment().get_template("kernel/streams.h.j2").render()
    files["designs.cpp"] = "\n".join(_source(designs))
    write_files(files, folder)
    sources = [str(folder / name) for name in files if name.endswith(".cpp")]
    target = folder / "designs.so"
    options = ["-std=c++17", "-O1", "-shared", "-fPIC", "-DAEBERT_TIMED", f"-I{folder}"]
    command = [*find_compiler().command, *options, *sources, "-o", str(target)]
    done = subprocess.run(command, check=False, timeout=600, capture_output=True, text=True)
    if done.returncode:
        raise AebertError(f"designs.cpp: {done.stderr.strip().splitlines()[0]}")
    return BuiltDesigns(ctypes.CDLL(str(target)), tuple(designs))


def _prefix(number: int, process: DesignProcess) -> str:
    return f"design{number}_{process.name}"


def _source(designs: Sequence[Design]) -> Iterator[str]:
    yield '#include "kernel/streams.h"'
    yield "using Stream = hls::stream<int>;"
    for number, design in enumerate(designs):
        yield f'extern "C" int64_t tally_{number}[{len(_TALLIES)}] = {{}};'
        for process in design.processes:
            yield from _process(number, design, process)
        yield from _region(number, design)


def _region(number: int, design: Design) -> Iterator[str]:
    yield f'extern "C" void run_{number}() {{'
    yield f"  for (int64_t& tally : tally_{number}) tally = 0;"
    yield "  AEBERT_REGION;"
    for stream, depth in design.fifos.items():
        yield f'  Stream {stream}("{stream}", {depth});'
    for process in design.processes:
        yield f"  AEBERT_PROCESS({', '.join((_prefix(number, process), *process.streams))});"
    yield "  AEBERT_RUN;"
    yield "}"


def _process(number: int, design: Design, process: DesignProcess) -> Iterator[str]:
    name = _prefix(number, process)
    yield f"static void {name}({', '.join(f'Stream& {stream}' for stream in process.streams)}) {{"
    yield "  [[maybe_unused]] int i = 0, value = 0, received = 0;"
    yield "  [[maybe_unused]] bool accepted = false, got = false;"
    tally = {tally: f"tally_{number}[{at}]" for at, tally in enumerate(_TALLIES)}
    inside = [step for step in process.steps if not step.after and step.kind != "collect"]
    if inside:
        yield f"  AEBERT_LOOP({name}.Loop)"
        yield f"  for (int trip = 0; {_condition(process)}; ++trip) {{"
        yield "    AEBERT_ITERATION;"
        yield f"    ++{tally['iterations']};"
        for step in ordered(inside) if process.ii else inside:
            yield from _step(name, design, process, step, tally)
        yield from _end_of_iteration(process, tally)
        yield "  }"
    for step in process.steps:
        if step.after or step.kind == "collect":
            yield from _step(name, design, process, step, tally)
    yield "}"


def _stages(process: DesignProcess) -> dict[str, int]:
    """Of the writes in its pipelined loop, by stream."""
    writes = [step for step in process.steps if step.kind in ("write", "write_nb") and not step.after]
    return {step.stream: min(step.stage, process.depth - 1) for step in writes} if process.ii else {}


def _condition(process: DesignProcess) -> str:
    if process.trips is None:
        return "true"
    return f"{'i' if process.jump == 'to value' else 'trip'} < {process.trips}"


def _step(name: str, design: Design, process: DesignProcess, step: Step, tally: dict[str, str]) -> Iterator[str]:
    written = "value" if step.constant is None else str(step.constant)
    if step.guarded:
        yield f"    if (value > 0) ++{tally['guarded']};"
    guard = "if (value > 0) " if step.guarded else ""
    if step.kind == "load":
        yield f"    value = {_data(design, process)};"
    elif step.kind == "read":
        yield f"    {guard}value = {step.stream}.read();"
    elif step.kind == "collect":
        yield f"    {step.stream}.read();"
    elif step.kind == "read_nb":
        yield f"    got = {step.stream}.read_nb(received);"
    elif step.kind == "write":
        yield f"    {guard}{step.stream}.write({written});"
    elif step.kind == "write_nb":
        yield f"    accepted = {step.stream}.write_nb({written});"
        yield f"    if (!accepted) ++{tally['refused']};"
    else:
        yield f"    AEBERT_LOOP({name}.Poll)"
        yield "    while (true) {"
        yield "      AEBERT_ITERATION;"
        yield f"      if (!{step.stream}.empty()) break;"
        yield f"      ++{tally['polls']};"
        yield "      AEBERT_IDLE;"
        yield "    }"


def _data(design: Design, process: DesignProcess) -> str:
    if process.branch:
        return f"i % {process.branch[1]} == 0 ? i + {process.branch[0]} : 0"
    return f"i < {design.values} ? i + 1 : 0"


def _end_of_iteration(process: DesignProcess, tally: dict[str, str]) -> Iterator[str]:
    leaves = {"zero": "value == 0", "negative": "value < 0", "received": "got"}
    if process.has_output:
        yield f"    {tally['sum']} += value;"
    if process.leave:
        yield f"    if ({leaves[process.leave]}) break;"
    if process.jump == "to value":
        yield "    if (got) i = received;"
    yield "    if (accepted) ++i;" if process.jump == "accepted" else "    ++i;"
