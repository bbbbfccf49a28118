"""A block outside of pipelined loops: a chain of states."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.rtl.builder import Builder
from codegen.rtl.conditions import branch_condition
from codegen.rtl.nodes import Ref, RtlNode, ready_of, settle
from codegen.rtl.piece_reader import PieceReader, Place, Places
from codegen.rtl.scope import Scope
from codegen.schedule.frontend.ir import Instruction
from codegen.schedule.frontend.loop_graph import Position


@dataclass
class Straight:
    """``edges``: where it leads, and on what condition; none where the process ends."""

    label: str
    reader: PieceReader
    edges: tuple[tuple[str, Ref], ...]
    phis: tuple[Instruction, ...]
    last_stage: int = 0

    @property
    def nodes(self) -> list[RtlNode]:
        return self.reader.builder.piece.nodes


def read_straight(scope: Scope, label: str, places: Places) -> Straight:
    builder = Builder(scope.names)
    block = scope.function.blocks[label]
    first = _first_stage(scope, label, places)

    def within(register: str, position: Position) -> Place:
        found = places(register, position)
        return Place(max(0, found.stage - first), found.latency)

    reader = PieceReader(scope, builder, within)
    reader.read_block(label)
    phis = tuple(each for each in block.instructions if each.opcode == "phi")
    for phi in phis:
        scope.outside(phi.result)
    edges: tuple[tuple[str, Ref], ...] = ()
    if block.branch.opcode in ("br", "switch"):
        builder.line = scope.line(block.branch.debug)
        edges = tuple(
            (target, branch_condition(builder, block.branch, target, reader.value)) for target in block.successors
        )
    return Straight(label, reader, edges, phis)


def place_straight(straight: Straight) -> None:
    """Stages, once all is known that leaves the block."""
    settle(straight.nodes)
    straight.last_stage = max(
        [0, *(each.ready for each in straight.nodes), *(ready_of(condition) for _, condition in straight.edges)]
    )


def _first_stage(scope: Scope, label: str, places: Places) -> int:
    instructions = scope.function.blocks[label].instructions
    found = [places(each.result, (label, number)).stage for number, each in enumerate(instructions)]
    return min((stage for stage in found if stage), default=0) if all(found) else 0
