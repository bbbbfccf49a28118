"""The data-flow graph of a loop: what both front ends make, and what the scheduler takes.

Two front ends build it: ``codegen.schedule.frontend`` from the kernel's LLVM IR, and the reader of Vitis' schedule
reports. Everything is immutable; operations are named by their position in ``LoopGraph.operations``.

Opcodes are those that Vitis prints, which are LLVM's wherever LLVM has one::

    arithmetic   add sub mul sdiv udiv srem urem shl lshr ashr icmp select and or xor
                 fadd fsub fmul fdiv fcmp fexp fsqrt ... (floating point; with a fixed latency)
    wiring       zext sext trunc partselect bitselect bitconcatenate bitset partset getelementptr
    multiplexer  mux sparsemux (operand 0 is the selector)
    control      phi br switch
    registers    load, store          with an Access whose kind is REGISTER
    memories     load, store          with an Access whose kind is MEMORY, ROM or REGISTER_FILE
    streams      read, write          blocking
                 nbread, nbwrite      non-blocking: the result's low bit says whether it happened
                 nbreadreq            !empty();  nbwritereq: !full()
    AXI          readreq, read, writereq, write, writeresp    with an Access whose kind is AXI
    other        call                 with a Callee

An access under a predicate is one operation: its predicate is an operand of the enable input (a dependence of kind
PREDICATE for every operation that the predicate names), its data input a dependence of kind DATA. So the two arcs of a
FIFO read, predicate -> enable and clock -> data, are told apart by the kind of the dependence that ends in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

# A conjunction: the operations (of one bit) that must be true (positive) and those that must be false.
Term = frozenset[tuple[int, bool]]


class StorageKind(str, Enum):
    """What an access touches."""

    STREAM = "stream"  # hls::stream, ap_fifo
    AXI_STREAM = "axi_stream"  # axis
    AXI = "axi"  # m_axi
    MEMORY = "memory"  # a block or distributed RAM with ports
    ROM = "rom"  # never written: synthesis copies it when ports are short
    REGISTER = "register"  # a scalar that is carried, or an output argument
    REGISTER_FILE = "register_file"  # a completely partitioned array with a variable index: no ports, a multiplexer
    SCALAR = "scalar"  # an argument by value, or an output argument by reference


class DependenceKind(str, Enum):
    """Why ``sink`` waits for ``source``."""

    DATA = "data"  # an operand: may chain within a cycle
    PREDICATE = "predicate"  # decides whether sink takes place: may chain into its enable input
    MEMORY = "memory"  # load, store or call that may touch the same address
    ORDER = "order"  # program order: at least ``cycles`` cycles later


# The opcode of a condition that is known before the loop begins.
OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class DesignContext:
    """The clock and device a schedule is for. ``clock_uncertainty_ns`` None: the tool's default."""

    clock_period_ns: float
    part: str  # "xcu280-fsvh2892-2L-e"
    tool_version: str = "2024.2"
    clock_uncertainty_ns: float | None = None

    @property
    def uncertainty_ns(self) -> float:
        """Default: 27 % of the period from Vitis HLS 2020.2 on, 12.5 % in Vivado HLS (UG1399, and all reports seen)."""
        if self.clock_uncertainty_ns is not None:
            return self.clock_uncertainty_ns
        return self.clock_period_ns * (0.27 if self.tool_version >= "2020.2" else 0.125)

    @property
    def budget_ns(self) -> float:
        """What the operators of one state may take together."""
        return self.clock_period_ns - self.uncertainty_ns


@dataclass(frozen=True, slots=True)
class Storage:
    """A stream, memory or port. ``ports``: accesses that can take place in one cycle (0: no limit).

    ``write_ports`` None: the ports are shared by loads and stores; else ``ports`` are those of loads only.
    ``registers_output``: a load takes an extra cycle, for a memory whose output has a register.
    ``sources``: of a register, the values that may be put there, the initial one too; with one it has no multiplexer.
    """

    name: str
    kind: StorageKind
    bits: int
    depth: int = 0
    ports: int = 0
    write_ports: int | None = None
    implementation: str = ""  # "bram", "lutram", "uram", "srl"; "": the tool chooses
    registers_output: bool = False
    sources: int = 2
    independent: bool = False  # a DEPENDENCE pragma excludes that iterations meet in it


@dataclass(frozen=True, slots=True)
class Access:
    """A storage and the bank of it: banks have ports of their own. ``address`` equal and not None: the same address."""

    storage: str
    bank: int = 0
    address: str | None = None

    @property
    def port_group(self) -> tuple[str, int]:
        return self.storage, self.bank


@dataclass(frozen=True, slots=True)
class Operand:
    """An input: the operation it comes from, or a constant, or (both None) something from outside the loop."""

    bits: int
    source: int | None = None
    constant: int | None = None
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """What an operation costs, where a report says so.

    ``latency`` cycles between the first state and the last; ``delay_ns`` from the inputs to the end of the first state
    (to the output, if latency is 0), ``output_delay_ns`` from the last state's begin to the output.
    """

    latency: int
    delay_ns: float
    output_delay_ns: float = 0.0


@dataclass(frozen=True, slots=True)
class Callee:
    """A function that is called: ``interval`` cycles must pass before it is called again (its II)."""

    name: str
    latency: int
    interval: int = 1
    input_delay_ns: float = 0.0
    output_delay_ns: float = 0.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; ``bits`` of its result (0: none) after widths were narrowed.

    ``predicate``: a disjunction of conjunctions; () is always. ``condition`` of an icmp ("eq", "slt", ...) or fcmp.
    ``timing`` overrides the operator model. ``merged``: it is known to be merged into the LUT of a user, at no cost.
    ``line`` is "file:line".
    """

    opcode: str
    name: str
    bits: int
    operands: tuple[Operand, ...] = ()
    predicate: tuple[Term, ...] = ()
    condition: str = ""
    line: str = ""
    access: Access | None = None
    callee: Callee | None = None
    timing: Timing | None = None
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Dependence:
    """``sink`` of iteration i + ``distance`` follows ``source`` of iteration i.

    ``cycles``: the least cycles between the last state of source and the first of sink; None: what the kind implies
    (DATA and PREDICATE: 0, chained; MEMORY and ORDER: 0 in one cycle, if the storage allows it).
    """

    source: int
    sink: int
    kind: DependenceKind = DependenceKind.DATA
    distance: int = 0
    cycles: int | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """A scalar that an iteration leaves to the next: ``phi`` reads it; ``next`` is what it becomes, None: unchanged.

    ``initial``: its value before the first iteration; a constant, or from outside (an argument of the process).
    ``initial_delay_ns``: of the multiplexer that puts the initial value there, where that happens in the loop's own
    first state (``LoopGraph.shares_first_state``) and a report says it.
    """

    phi: int
    next: int | None
    initial: Operand
    distance: int = 1
    initial_delay_ns: float = 0.0


@dataclass(frozen=True)
class LoopGraph:
    """A loop of a process, or (``pipelined`` False) a straight piece of one.

    ``operations`` in program order. ``target_ii`` None: none was asked for, so synthesis tries 1.
    ``ii_is_explicit``: PIPELINE II = n stands in the source: then the clock gives way, not the II.
    ``exit_test``: the operation (br, or the icmp that it takes) which decides whether another iteration begins.
    ``further_exits``: others that end the loop (break), after the exit test in program order.
    ``function_pipeline``: the process itself is pipelined, there is no loop and no exit test.
    ``tests_first``: the exit test comes before the body (for, while), not behind it (do while).
    ``shares_first_state``: what initialises the loop stands in its first state (a loop in a process of its own).
    ``outlined``: the tool made a function of the loop (``NAME_Pipeline_LOOP``), because its process does more.
    """

    process: str
    label: str
    context: DesignContext
    operations: tuple[Operation, ...]
    dependences: tuple[Dependence, ...]
    storages: Mapping[str, Storage] = field(default_factory=dict)
    carried: tuple[Carried, ...] = ()
    pipelined: bool = True
    target_ii: int | None = None
    ii_is_explicit: bool = False
    trip_count: tuple[int, int] | None = None
    exit_test: int | None = None
    further_exits: tuple[int, ...] = ()
    function_pipeline: bool = False
    shares_first_state: bool = True
    tests_first: bool = True
    outlined: bool = False

    @cached_property
    def incoming(self) -> tuple[tuple[Dependence, ...], ...]:
        """Dependences by sink."""
        return self._grouped(by_sink=True)

    @cached_property
    def outgoing(self) -> tuple[tuple[Dependence, ...], ...]:
        """Dependences by source."""
        return self._grouped(by_sink=False)

    def _grouped(self, *, by_sink: bool) -> tuple[tuple[Dependence, ...], ...]:
        groups: list[list[Dependence]] = [[] for _ in self.operations]
        for dependence in self.dependences:
            groups[dependence.sink if by_sink else dependence.source].append(dependence)
        return tuple(tuple(group) for group in groups)

    def storage_of(self, operation: Operation) -> Storage | None:
        return None if operation.access is None else self.storages[operation.access.storage]


def exclusive(first: tuple[Term, ...], second: tuple[Term, ...]) -> bool:
    """Whether no pair of conjunctions of two predicates can hold together."""
    if not first or not second:
        return False
    return all(any((name, not value) in b for name, value in a) for a in first for b in second)
