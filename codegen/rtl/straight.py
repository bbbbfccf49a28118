"""What lies between pipelined loops: chains of states, a chain for each region of blocks."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.rtl.builder import Builder
from codegen.rtl.conditions import branch_condition
from codegen.rtl.nodes import Ref, RtlNode, ready_of, settle
from codegen.rtl.piece_reader import UNSCHEDULED, PieceReader, Place, Places
from codegen.rtl.regions import Region
from codegen.rtl.scope import Scope
from codegen.schedule.frontend.ir import Instruction
from codegen.schedule.frontend.loop_graph import Position


@dataclass
class Straight:
    """``label``: of the region's first block; ``last_block``: from which it is left. ``edges``: where it leads, and on
    what condition; none where the process ends."""

    label: str
    last_block: str
    reader: PieceReader
    edges: tuple[tuple[str, Ref], ...]
    phis: tuple[Instruction, ...]
    last_stage: int = 0

    @property
    def nodes(self) -> list[RtlNode]:
        return self.reader.builder.piece.nodes


def read_straight(scope: Scope, region: Region, places: Places) -> Straight:
    builder = Builder(scope.names)
    first = _first_stage(scope, region, places)

    def within(register: str, position: Position) -> Place:
        found = places(register, position)
        return Place(max(0, found.stage - first), found.latency)

    reader = PieceReader(scope, builder, within, region.iteration)
    for label in region.blocks:
        reader.read_block(label)
    phis = tuple(each for each in scope.function.blocks[region.first].instructions if each.opcode == "phi")
    for phi in phis:
        scope.outside(phi.result)
    edges: tuple[tuple[str, Ref], ...] = ()
    last = scope.function.blocks[region.last]
    if last.branch.opcode in ("br", "switch"):
        builder.line = scope.line(last.branch.debug)
        edges = tuple(
            (target, branch_condition(builder, last.branch, target, reader.value)) for target in last.successors
        )
    return Straight(region.first, region.last, reader, edges, phis)


def place_straight(straight: Straight) -> None:
    """Stages, once all is known that leaves the block."""
    settle(straight.nodes)
    straight.last_stage = max(
        [0, *(each.ready for each in straight.nodes), *(ready_of(condition) for _, condition in straight.edges)]
    )


def _first_stage(scope: Scope, region: Region, places: Places) -> int:
    """Of what the schedule places."""
    found = [
        places(each.result, (label, number))
        for label in region.blocks
        for number, each in enumerate(scope.function.blocks[label].instructions)
    ]
    return min((place.stage for place in found if place is not UNSCHEDULED), default=0)
