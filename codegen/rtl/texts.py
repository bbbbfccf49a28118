"""Records that the templates print: every field is text or a number, every decision is taken."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wire:
    bits: int
    name: str
    text: str
    line: str


@dataclass(frozen=True)
class Assignment:
    """A register that takes ``text`` when ``condition`` ("" always) holds and nothing is waited for."""

    target: str
    text: str
    condition: str = ""


@dataclass(frozen=True)
class RegisterText:
    bits: int
    name: str
    comment: str = ""


@dataclass(frozen=True)
class Transition:
    """What happens at the end of a state. ``begins``: a pipeline whose first iteration starts."""

    condition: str
    assignments: tuple[Assignment, ...]
    target: str
    begins: str = ""
    ends: bool = False


@dataclass(frozen=True)
class StateText:
    name: str
    guard: str
    transitions: tuple[Transition, ...]
    comment: str = ""


@dataclass(frozen=True)
class Write:
    """A store: ``parts`` are (high, low, text)."""

    enable: str
    address: str
    parts: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class ReadPort:
    """``name``: of the register that takes what lies at ``address``."""

    name: str
    address: str


@dataclass(frozen=True)
class RamText:
    """One RAM. ``style``: the attribute that binds it; ``cleared``: it begins with zeros."""

    name: str
    bits: int
    rows: int
    style: str
    cleared: bool
    reads: list[ReadPort]
    writes: list[Write]


@dataclass(frozen=True)
class Table:
    name: str
    bits: int
    values: tuple[str, ...]


@dataclass
class StreamUse:
    """A FIFO's end in a process. ``takes``: when an element is taken; ``gives``: (when, element); ``waits``: for it."""

    name: str
    bits: int
    reads: bool
    waits: list[str] = field(default_factory=list)
    takes: list[str] = field(default_factory=list)
    gives: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class PortText:
    """An AXI port of a process: its requests are (state, first word, words)."""

    name: str
    bits: int
    writes: bool
    requests: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class PipelineText:
    """``leaves``: the exit condition in its stage; ``first``: what lets the next iteration begin."""

    name: str
    state: str
    depth: int
    interval: int
    exit_stage: int
    exit_text: str
    exit_text_late: str
    tests_first: bool


@dataclass(frozen=True)
class InstanceText:
    """``name`` is the module's, or numbered where there are several. ``connections``: port of the module, and the wire
    outside."""

    name: str
    module: str
    connections: tuple[tuple[str, str], ...]


@dataclass
class LaneText:
    """A module for logic that stands ``copies`` times in a piece. ``results``: the wires outside that they drive."""

    name: str
    copies: int
    inputs: list[RegisterText]
    registers: list[RegisterText]
    wires: list[Wire]
    assignments: list[Assignment]
    outputs: list[RegisterText] = field(default_factory=list)
    instances: list[InstanceText] = field(default_factory=list)
    results: list[RegisterText] = field(default_factory=list)


@dataclass
class PieceText:
    title: str
    comment: str
    registers: list[RegisterText] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    pipeline: PipelineText | None = None
    lanes: list[LaneText] = field(default_factory=list)


@dataclass
class ProcessText:
    """One module, of the C++ function ``source_name``, with its ``parameters`` in the order of the C++.

    ``updates``: of the registers that pieces share.
    """

    name: str
    source_name: str
    source: str
    parameters: tuple[str, ...]
    arguments: list[RegisterText]
    streams: list[StreamUse]
    ports: list[PortText]
    states: list[StateText]
    registers: list[RegisterText]
    pieces: list[PieceText]
    banks: list[RamText]
    tables: list[Table]
    updates: list[Assignment]

    @property
    def state_bits(self) -> int:
        return max(1, len(self.states).bit_length())
