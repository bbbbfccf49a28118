"""A project's kernel -> all of its SystemVerilog: processes, FIFOs, AXI masters, control registers, top level."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.timing.loop_schedules import LoopLatency
from codegen.manifest import Manifest, Register, register_map
from codegen.project_sources import ProjectSources
from codegen.render import environment
from codegen.rtl.process import process_text
from codegen.rtl.render import folded, range_of, render_process
from codegen.rtl.texts import InstanceText, ProcessText, StreamUse
from codegen.rtl.timing import LoopTiming, loop_timing
from codegen.rtl.top_level import DeclaredStream, TopLevel, numbered, read_top_level
from codegen.schedule.frontend.kernel import source_processes
from codegen.schedule.graph import DesignContext
from codegen.schedule.operator_model import fitted_model
from codegen.schedule.stream_stages import stream_stages

_LIBRARY = ("fifo.sv", "axi_reader.sv", "axi_writer.sv")
_BLOCK = {"bram": (1, "block"), "uram": (1, "ultra")}


@dataclass(frozen=True)
class FifoText:
    name: str
    bits: int
    depth: int
    block: int
    style: str


@dataclass(frozen=True)
class AxiPort:
    name: str
    bits: int
    writes: bool
    burst: int
    outstanding: int


@dataclass(frozen=True)
class End:
    """A place where a process may wait, in the order of the bits that say so; named as the emulator names them."""

    process: str
    storage: str
    reads: bool


@dataclass(frozen=True)
class KernelText:
    name: str
    fifos: tuple[FifoText, ...]
    ports: tuple[AxiPort, ...]
    instances: tuple[InstanceText, ...]
    registers: tuple[Register, ...]
    ends: tuple[End, ...]
    moves: tuple[str, ...]


@dataclass(frozen=True)
class RtlLoop:
    """A pipelined loop: stages as scheduled, and as the RTL has them."""

    name: str
    interval: int
    scheduled_depth: int
    depth: int


@dataclass(frozen=True)
class KernelRtl:
    """``files``: name -> SystemVerilog, library first, top last. ``timings``: of each process's loops."""

    files: dict[str, str]
    kernel: KernelText
    processes: tuple[ProcessText, ...]
    timings: dict[str, tuple[LoopTiming, ...]]

    @property
    def loops(self) -> tuple[RtlLoop, ...]:
        return tuple(
            RtlLoop(
                f"{process.source_name}.{timing.label}", timing.interval, timing.schedule.depth, piece.pipeline.depth
            )
            for process in self.processes
            for piece in process.pieces
            for timing in self.timings[process.source_name]
            if piece.pipeline is not None and piece.pipeline.name == timing.label
        )

    @property
    def schedules(self) -> tuple[LoopLatency, ...]:
        """Of every loop: II and depth that timed emulation of the same schedule has."""
        return tuple(
            LoopLatency(
                f"{process}.{loop.label}",
                loop.interval if loop.pipelined else 0,
                loop.schedule.depth,
                "scheduled",
                accesses=stream_stages(loop.schedule),
            )
            for process, loops in self.timings.items()
            for loop in loops
        )


def kernel_rtl(sources: ProjectSources, manifest: Manifest) -> KernelRtl:
    """Of a project's own sources, at its clock.

    Raises AebertError for C++ that has no form in RTL, and where clang or LLVM refuse it or are not installed.
    """
    with tempfile.TemporaryDirectory(prefix="aebert-rtl-") as scratch:
        folder = Path(scratch)
        for name, content in sources.files.items():
            if name.startswith("kernel/"):
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_bytes(content)
        context = DesignContext(1000 / manifest.clock_mhz, manifest.part)
        return rtl_of(folder, context, manifest.config.word_bytes)


def rtl_of(folder: Path, context: DesignContext, word_bytes: int) -> KernelRtl:
    """The same of ``folder``/kernel."""
    source = folder / "kernel"
    top = read_top_level(
        (source / "kernel.cpp").read_text(encoding="utf-8"), (source / "config.h").read_text(encoding="utf-8")
    )
    model = fitted_model()
    timings: dict[str, tuple[LoopTiming, ...]] = {}
    processes = []
    for file in sorted(source.glob("*.cpp")):
        for each in source_processes(file, context, word_bytes):
            timings[each.process.name] = tuple(loop_timing(read, model) for read in each.read)
            processes.append(process_text(each, timings[each.process.name], file.name))
    kernel = join(top, processes)
    env = environment()
    values = {"kernel": kernel, "range_of": range_of, "folded": folded, "registers": kernel.registers}
    files = {name: env.get_template(f"rtl/{name}.j2").render(values) for name in (*_LIBRARY, "control.sv")}
    files |= {f"{text.name}.sv": render_process(text) for text in processes}
    files["kernel.sv"] = env.get_template("rtl/kernel.sv.j2").render(values)
    return KernelRtl(files, kernel, tuple(processes), timings)


def join(top: TopLevel, processes: Sequence[ProcessText]) -> KernelText:
    """The top level of ``processes``. Raises AebertError where they do not fit."""
    known = {text.source_name: text for text in processes}
    bits: dict[str, dict[bool, int]] = {}
    instances, ends, moves = list[InstanceText](), list[End](), []
    writers = set[str]()
    ports = {port.name for port in top.ports}
    port_bits: dict[str, int] = {}
    for name, arguments in top.processes:
        if name not in known:
            raise AebertError(f"kernel.cpp: process {name} has no marked loop")
        text = known[name]
        outer = dict(zip(text.parameters, arguments, strict=True))
        calls = sum(each.module == text.name for each in instances)
        number = f"_{calls}" if calls else ""
        connections = [(each.name, f"{outer[each.name]}_argument") for each in text.arguments]
        for use in text.streams:
            storage = _storage(use.name, outer, top)
            if storage in ports:
                port_bits[storage] = use.bits
                if not use.reads:
                    writers.add(storage)
            else:
                bits.setdefault(storage, {})[use.reads] = use.bits
            side = "port" if storage in ports else "out" if use.reads else "in"
            moves.append(f"{storage}_{side}_{'pop' if use.reads else 'push'}")
            connections += _stream_connections(use, storage, storage in ports)
            connections.append((f"{use.name}_blocked", f"blocked[{len(ends)}]"))
            ends.append(End(f"{name}[{calls}]" if calls else name, top.told(storage), use.reads))
        for port in text.ports:
            names = ("request_first", "request_words", "request_valid", "request_ready")
            connections += [(f"{port.name}_{each}", f"{outer[port.name]}_{each}") for each in names]
            if port.writes:
                connections.append((f"{port.name}_idle", f"{outer[port.name]}_idle"))
        instances.append(InstanceText(f"{text.name}{number}", text.name, tuple(connections)))
    axi = tuple(
        AxiPort(port.name, port_bits[port.name], port.name in writers, port.burst, port.outstanding)
        for port in top.ports
    )
    return KernelText(
        top.name, tuple(_fifo(each, bits) for each in top.streams), axi, tuple(instances), register_map(),
        tuple(ends), tuple(moves),
    )  # fmt: skip


def _storage(inner: str, outer: dict[str, str], top: TopLevel) -> str:
    """LLVM has no index of an array of one."""
    for parameter, argument in outer.items():
        elements = top.elements(argument)
        for storage, place in elements:
            if inner == numbered(parameter, place) or (inner == parameter and len(elements) == 1):
                return storage
    raise AebertError(f"kernel.cpp: stream {inner} of a process is no argument of it")


def _stream_connections(use: StreamUse, storage: str, is_port: bool) -> list[tuple[str, str]]:
    side = "port" if is_port else "out" if use.reads else "in"
    ends = ("data", "valid", "pop") if use.reads else ("data", "push", "ready")
    return [(f"{use.name}_{end}", f"{storage}_{side}_{end}") for end in ends]


def _fifo(stream: DeclaredStream, bits: dict[str, dict[bool, int]]) -> FifoText:
    ends = bits.get(stream.name, {})
    if len(ends) != 2 or ends[True] != ends[False]:
        raise AebertError(f"kernel.cpp: stream {stream.name} needs one writer and one reader of the same width")
    block, style = _BLOCK.get(stream.implementation, (0, "distributed"))
    return FifoText(stream.name, ends[True], stream.depth, block, style)
