"""A piece of a process as a netlist: what is computed, in which stage, and what enters and leaves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from aebert.support.errors import AebertError

Text = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Literal:
    bits: int
    value: int

    @property
    def text(self) -> str:
        masked = self.value % (1 << self.bits)
        return f"{self.bits}'h{masked:x}" if masked > 9 else f"{self.bits}'d{masked}"


@dataclass(frozen=True)
class Outside:
    """A register or argument of the process, which this piece only reads: it does not change while the piece runs."""

    name: str
    bits: int


class Kind(Enum):
    WIRE = "wire"  # computed in its stage
    REGISTERED = "registered"  # what a memory gives: addressed in its stage, there in the next one
    CARRIED = "carried"  # a register that an iteration leaves to the next
    SITE = "site"  # an access to a stream, port or memory that takes place in its stage


@dataclass
class RtlNode:
    """``stage``: in which it is computed; ``ready``: in which it may be used first.

    ``start``: the schedule's stage. ``latency``: stages that the schedule gives it. ``line``: of the source.
    ``ram``: the RAM whose row it is; its operand is the address.
    """

    name: str
    bits: int
    kind: Kind
    operands: tuple[Ref, ...]
    text: Text
    line: str = ""
    start: int = 0
    latency: int = 0
    ram: str = ""
    stage: int = 0
    ready: int = 0
    delays: int = 0  # pipeline registers behind it
    kept: bool = False  # a register holds it for other pieces

    @property
    def value_stage(self) -> int:
        """The stage in which its wire has the value."""
        return self.stage + (self.kind is Kind.REGISTERED)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


Ref = Literal | Outside | RtlNode
TRUE = Literal(1, 1)
FALSE = Literal(1, 0)


class AccessKind(Enum):
    READ = "read"  # waits for an element
    POLL = "poll"  # takes one if there is one: the top bit of the result says so
    EMPTY = "empty"
    FULL = "full"
    WRITE = "write"  # waits for room
    STORE = "store"  # into a memory


@dataclass
class AccessSite:
    """An access. ``node``'s first operand is its condition, the others its data (a store's address in front of it).

    ``fields`` of a store: (lowest bit, bits) of each part of the row. ``bank`` None: named by the operand behind the
    address.
    """

    access: AccessKind
    storage: str
    node: RtlNode
    fields: tuple[tuple[int, int], ...] = ()
    bank: int | None = 0

    @property
    def condition(self) -> Ref:
        return self.node.operands[0]


@dataclass
class CarriedRegister:
    """``register`` holds what ``load`` reads; an iteration leaves ``following``. ``gated``: not past the exit."""

    register: str
    load: RtlNode
    following: Ref
    gated: bool


@dataclass
class RtlPiece:
    """Nodes in an order in which each stands behind its operands (carried ones first)."""

    nodes: list[RtlNode] = field(default_factory=list)
    sites: list[AccessSite] = field(default_factory=list)
    carried: list[CarriedRegister] = field(default_factory=list)


def ready_of(ref: Ref) -> int:
    return ref.ready if isinstance(ref, RtlNode) else 0


def settle(nodes: Sequence[RtlNode]) -> None:
    """Stages from the schedule's and the operands'; carried nodes keep theirs."""
    for node in nodes:
        if node.kind is not Kind.CARRIED:
            node.stage = max([node.start, *(ready_of(each) for each in node.operands)])
        node.ready = max(node.stage + node.latency, node.value_stage)


def stage_text(ref: Ref, stage: int, *, held: bool = False) -> str:
    """``ref`` in ``stage``: its wire, or the register behind it that holds it then."""
    if isinstance(ref, Literal):
        return ref.text
    if isinstance(ref, Outside):
        return ref.name
    late = stage - ref.value_stage
    if late < 0:
        raise AebertError(f"{ref.name}: is used in stage {stage} and there in stage {ref.value_stage}")
    if late == 0:
        return ref.name
    ref.delays = max(ref.delays, 1 if held else late)
    return f"{ref.name}_h" if held else f"{ref.name}_d{late}"
