"""One loop of a process as a data-flow graph: if-converted, with the widths that its values need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aebert.support.errors import AebertError
from aebert.timing.source_marks import LoopMark
from codegen.schedule.frontend import streams
from codegen.schedule.frontend.array_accesses import ArrayAccesses
from codegen.schedule.frontend.arrays import accessed
from codegen.schedule.frontend.builder import FALSE, Input, LoopGraphBuilder, Value
from codegen.schedule.frontend.control_flow import Iteration
from codegen.schedule.frontend.ir import Instruction
from codegen.schedule.frontend.memories import Memories
from codegen.schedule.frontend.operators import Operators
from codegen.schedule.frontend.predicates import Predicates
from codegen.schedule.frontend.process import Process
from codegen.schedule.frontend.register_files import RegisterFiles
from codegen.schedule.frontend.values import Values
from codegen.schedule.graph import DesignContext, LoopGraph, Operation, Timing
from codegen.schedule.graph import Operand as GraphOperand
from codegen.schedule.packing import pack

_IGNORED = ("llvm.lifetime", "llvm.dbg", "llvm.assume", "llvm.experimental.noalias", "aebert_iteration")


# An instruction: its block, and its number there.
Position = tuple[str, int]


@dataclass(frozen=True)
class ReadLoop:
    """A loop's graph, and which of its operations each register (by name) and each access (by position) became."""

    graph: LoopGraph
    registers: Mapping[str, int]
    accesses: Mapping[Position, int]


def loop_graph(process: Process, iteration: Iteration, mark: LoopMark, context: DesignContext) -> LoopGraph:
    """The graph of the loop that ``mark`` names. Raises AebertError for an access that nothing is known about."""
    return read_loop(process, iteration, mark, context).graph


def read_loop(process: Process, iteration: Iteration, mark: LoopMark, context: DesignContext) -> ReadLoop:
    """The same with what its operations were made of."""
    reader = _LoopReader(process, iteration, mark)
    reader.read()
    registers = {name: value.source for name, value in reader.values.known.items() if value.source is not None}
    return ReadLoop(_graph_of(reader, context), registers, {**reader.accesses, **reader.arrays.placed})


def _graph_of(reader: _LoopReader, context: DesignContext) -> LoopGraph:
    process, iteration, mark, builder = reader.process, reader.iteration, reader.mark, reader.builder
    graph = LoopGraph(
        process=process.name,
        label=mark.name.partition(".")[2],
        context=context,
        operations=tuple(_timed(operation) for operation in builder.operations),
        dependences=tuple(builder.dependences),
        storages=builder.storages,
        carried=tuple(builder.carried),
        pipelined=mark.interval is not None,
        target_ii=mark.interval,
        ii_is_explicit=mark.explicit,
        exit_test=reader.exit_test,
        tests_first=any(block == iteration.loop.header for block, _ in iteration.exits),
    )
    return pack(graph)


def _timed(operation: Operation) -> Operation:
    """A division with the latency of Vitis' divider modules, as no schedule report has an unsigned one.

    udiv_32s_8ns_9_36_1 has 36 stages, udiv_24s_13ns_8_28_1 28: bits + 4, of which the last is the output.
    """
    if operation.opcode not in ("udiv", "urem"):
        return operation
    dividend = operation.operands[0]
    constant = dividend.constant
    bits = dividend.bits if constant is None else max(dividend.bits, constant.bit_length())
    return replace(operation, timing=Timing(bits + 3, 0.0))


@dataclass
class _LoopReader:
    process: Process
    iteration: Iteration
    mark: LoopMark
    builder: LoopGraphBuilder = field(default_factory=LoopGraphBuilder)
    words: dict[str, tuple[Input, ...]] = field(default_factory=dict)
    accesses: dict[Position, int] = field(default_factory=dict)
    exit_test: int | None = None
    block: str = ""

    def __post_init__(self) -> None:
        self.values = Values(self.process, self.builder)
        self.operators = Operators(self.values)
        self.predicates = Predicates(self.iteration, self.builder, self.values.value, self._branch_line)
        self.streams = streams.Streams(self.builder, self.process.locations)
        self.memories = Memories(self.builder, self.mark.dependences)
        self.registers = RegisterFiles(self.builder, dict(self.process.layouts))
        self.arrays = ArrayAccesses(self.values, self.predicates, self.memories, self.registers)

    def read(self) -> None:
        blocks = self.iteration.function.blocks
        self._prepare_registers()
        self._read_phis_of_header()
        for block in self.iteration.order:
            self.predicates.of(block)
            self.predicates.terms(block)
            if not self.iteration.is_own(block):
                continue
            self.block = block
            for number, instruction in enumerate(blocks[block].instructions):
                self.values.line = self._source_line(instruction.debug)
                self.arrays.position = (block, number)
                if instruction.opcode == "phi":
                    if block != self.iteration.loop.header:
                        self._join(instruction)
                else:
                    self._instruction(instruction)
            self.arrays.write_rows(block)
        self.memories.connect(self.process.arrays)
        self._close()

    def _prepare_registers(self) -> None:
        found = []
        for block in self.iteration.own_blocks:
            for instruction in self.iteration.function.blocks[block].instructions:
                if instruction.opcode in ("load", "store"):
                    location = accessed(instruction, self.process.locations)
                    layout = self.process.layouts.get(location.base)
                    if layout is not None:
                        pieces = layout.pieces(location, -(-instruction.operand_bits // 8))
                        found += [(piece, instruction.opcode == "store") for piece in pieces]
        self.registers.prepare(found)

    def _header_phis(self) -> tuple[Instruction, ...]:
        header = self.iteration.function.blocks[self.iteration.loop.header]
        return tuple(each for each in header.instructions if each.opcode == "phi")

    def _read_phis_of_header(self) -> None:
        for phi in self._header_phis():
            number = self.builder.register(phi.result[1:], self.values.width(phi), self._source_line(phi.debug))
            self.values.known[phi.result] = Value(number)

    def _close(self) -> None:
        """What is carried to the next iteration, and the exit test."""
        latches = self.iteration.loop.latches
        for phi in self._header_phis():
            number = self.values.known[phi.result].source
            initial: GraphOperand | None = None
            following: Value | None = None
            for operand, label in zip(phi.operands, phi.labels, strict=True):
                if label not in latches:
                    constant = 0 if operand is None else operand if isinstance(operand, int) else None
                    initial = GraphOperand(self.values.width(phi), None, constant)
                    continue
                value = self.values.value(operand)
                condition = self.predicates.of(label)
                following = value if following is None else self.values.choose(condition, value, following, phi)
            if number is None or initial is None or following is None:
                raise AebertError(f"loop {self.mark.name}: {phi.result} is not carried as a loop does")
            self.builder.carry(number, following, initial)
        for number, value in self.registers.carried():
            self.builder.carry(number, value, GraphOperand(self.builder.operations[number].bits))
        leaves = FALSE
        for block, target in self.iteration.exits:
            taken = self.builder.both(self.predicates.of(block), self.predicates.branch(block, target))
            leaves = self.builder.either(leaves, taken)
        if leaves.source is not None:
            self.values.line = self._branch_line(self.iteration.exits[0][0])
            self.exit_test = self.builder.add("br", 0, ((leaves, 1, False),), name="exit", line=self.values.line)

    def _join(self, phi: Instruction) -> None:
        """A multiplexer where paths meet; the value that most paths bring is what is left when no other is chosen."""
        dominator = self.iteration.dominators[self.block]
        position = self.iteration.position
        arrivals: dict[Value, list[str]] = {}
        for operand, label in zip(phi.operands, phi.labels, strict=True):
            if label in position and operand is not None:
                arrivals.setdefault(self.values.value(operand), []).append(label)
        if not arrivals:
            self.values.known[phi.result] = Value(outside=phi.result)
            return
        kept = max(arrivals, key=lambda value: (len(arrivals[value]), -max(position[b] for b in arrivals[value])))
        chosen = kept
        for value in sorted(arrivals, key=lambda value: max(position[b] for b in arrivals[value])):
            if value != kept:
                condition = FALSE
                for label in arrivals[value]:
                    condition = self.builder.either(condition, self.predicates.arrival(label, self.block, dominator))
                chosen = self.values.choose(condition, value, chosen, phi)
        self.values.known[phi.result] = chosen

    def _instruction(self, instruction: Instruction) -> None:
        opcode = instruction.opcode
        if opcode in ("br", "switch", "ret", "unreachable", "getelementptr"):
            return
        if opcode == "call":
            self._call(instruction)
        elif opcode == "load":
            self.arrays.load(instruction, self.block)
        elif opcode == "store":
            self.arrays.store(instruction, self.block)
        else:
            self.values.known[instruction.result] = self.operators.pure(instruction)

    def _call(self, instruction: Instruction) -> None:
        name = instruction.callee
        if name.startswith(_IGNORED):
            return
        if streams.is_access(instruction):
            self._stream(instruction)
        elif name == "aebert_stream_word":
            # Wires out of what was read.
            self.values.known[instruction.result] = self.values.value(instruction.operands[0]).slice(
                f"w{instruction.operands[1]}"
            )
        elif name == "aebert_stream_valid":
            self.values.known[instruction.result] = self.values.value(instruction.operands[0]).slice("valid")
        elif name == "aebert_stream_element":
            before = instruction.operands[0]
            words = self.words.get(before, ()) if isinstance(before, str) else ()
            self.words[instruction.result] = (*words, self.values.input(instruction.operands[1], 64))
        elif name.startswith("llvm."):
            self.values.known[instruction.result] = self.operators.intrinsic(instruction)
        else:
            raise AebertError(f"{self.values.line}: calls {name}, which the scheduler knows nothing of")

    def _stream(self, instruction: Instruction) -> None:
        element = instruction.operands[2] if len(instruction.operands) > 2 else None
        words = self.words.get(element, (self.values.input(element, 64),)) if isinstance(element, str) else ()
        number = self.streams.access(instruction, words, self.predicates.terms(self.block), self.values.line)
        self.accesses[self.arrays.position] = number
        if instruction.result:
            self.values.known[instruction.result] = Value(number)

    def _source_line(self, debug: int | None) -> str:
        """Where the kernel says it: of what was inlined, the outermost place that is not a header of the tool."""
        at = None if debug is None else self.process.lines.get(debug)
        while at is not None and at.inlined_at is not None and at.file.endswith(("hls_stream.h", "ap_int.h")):
            at = at.inlined_at
        return "" if at is None or at.line == 0 else str(at)

    def _branch_line(self, block: str) -> str:
        return self._source_line(self.iteration.function.blocks[block].branch.debug)
