"""A pipelined loop: its iteration as a piece whose stages are the schedule's, and what ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aebert.support.errors import AebertError
from codegen.rtl.array_pieces import loop_writes
from codegen.rtl.builder import Builder
from codegen.rtl.nodes import (
    FALSE,
    AccessKind,
    AccessSite,
    CarriedRegister,
    Kind,
    Outside,
    Ref,
    RtlNode,
    ready_of,
    settle,
)
from codegen.rtl.piece_reader import PieceReader, Places
from codegen.rtl.scope import Scope
from codegen.schedule.frontend.control_flow import Iteration
from codegen.schedule.frontend.ir import Instruction

_ROUNDS = 400


@dataclass
class Pipeline:
    """``exit`` holds in stage ``exit_stage`` of the last iteration, which leaves by one of ``exit_edges``.

    ``tests_first``: that iteration does nothing (for, while). ``phis``: the registers of the header's phis.
    """

    name: str
    interval: int
    iteration: Iteration
    reader: PieceReader
    exit: Ref
    exit_edges: tuple[tuple[str, str], ...]
    tests_first: bool
    phis: dict[str, Outside]
    exit_stage: int = 0
    depth: int = 0

    @property
    def nodes(self) -> Sequence[RtlNode]:
        return self.reader.builder.piece.nodes

    @property
    def sites(self) -> Sequence[AccessSite]:
        return self.reader.builder.piece.sites

    @property
    def carried(self) -> Sequence[CarriedRegister]:
        return self.reader.builder.piece.carried

    def storages(self) -> dict[RtlNode, str]:
        """Of what reads an element of a stream or a row of a memory: which, all banks together."""
        taken = (AccessKind.READ, AccessKind.POLL)
        return {
            **{site.node: site.storage for site in self.sites if site.access in taken},
            **{node: node.ram.rstrip("0123456789") for node in self.nodes if node.ram},
        }


def header_phis(iteration: Iteration) -> tuple[Instruction, ...]:
    header = iteration.function.blocks[iteration.loop.header]
    return tuple(each for each in header.instructions if each.opcode == "phi")


def read_pipeline(scope: Scope, name: str, iteration: Iteration, interval: int, places: Places) -> Pipeline:
    """Raises AebertError for what a pipeline cannot be, and where a recurrence is longer than ``interval``."""
    if iteration.inner:
        raise AebertError(f"{name}: a pipelined loop has a loop inside; unroll it")
    exits = iteration.exits
    tests_first = any(block == iteration.loop.header for block, _ in exits)
    if not exits or (tests_first and len(exits) > 1):
        raise AebertError(f"{name}: a pipelined loop that may be left at its beginning must have no other exit")
    builder = Builder(scope.names)
    reader = PieceReader(scope, builder, places, iteration)
    phis: dict[str, Outside] = {}
    for phi in header_phis(iteration):
        builder.line = scope.line(phi.debug)
        register = scope.names.new(f"{phi.result}_q")
        phis[phi.result] = Outside(register, phi.bits)
        reader.known[phi.result] = _carried_node(builder, phi.result, register, phi.bits)
    files: dict[tuple[tuple[str, int, int], int], RtlNode] = {}
    for key, bits in loop_writes(scope, iteration.own_blocks).items():
        register = scope.file_register(*key, bits).name
        files[key] = _carried_node(builder, f"{register}_now", register, bits)
    reader.arrays.state.update(files)
    for block in iteration.order:
        reader.read_block(block)
    _close(reader, iteration, phis, files)
    assert reader.conditions is not None
    leaves: Ref = FALSE
    for block, target in exits:
        left = builder.both(reader.conditions.of(block), reader.conditions.branch(block, target))
        leaves = builder.either(leaves, left)
    found = Pipeline(name, interval, iteration, reader, leaves, exits, tests_first, phis)
    _place(found)
    return found


def _carried_node(builder: Builder, name: str, register: str, bits: int) -> RtlNode:
    return builder.node(name, bits, (), lambda _: register, Kind.CARRIED)


def _close(
    reader: PieceReader,
    iteration: Iteration,
    phis: dict[str, Outside],
    files: dict[tuple[tuple[str, int, int], int], RtlNode],
) -> None:
    builder = reader.builder
    latches = iteration.loop.latches
    assert reader.conditions is not None
    for phi in header_phis(iteration):
        following: Ref | None = None
        for operand, label in zip(phi.operands, phi.labels, strict=True):
            if label in latches:
                value = reader.value(operand, phi.bits)
                condition = reader.conditions.of(label)
                following = value if following is None else builder.choose(condition, value, following)
        load = reader.known[phi.result]
        if following is not None and following is not load and isinstance(load, RtlNode):
            builder.piece.carried.append(CarriedRegister(phis[phi.result].name, load, following, gated=False))
    for key, load in files.items():
        builder.piece.carried.append(
            CarriedRegister(load.text(()), load, reader.arrays.written.get(key, load), gated=True)
        )


def _place(pipeline: Pipeline) -> None:
    """Stages of everything: as the schedule has them, later only where an operand or the exit test is."""
    for _ in range(_ROUNDS):
        settle(pipeline.nodes)
        if not (_raise_carried(pipeline) | _raise_sites(pipeline)):
            break
    else:
        raise AebertError(
            f"{pipeline.name}: what an iteration leaves to the next takes more than II = {pipeline.interval} cycles"
        )
    pipeline.exit_stage = ready_of(pipeline.exit)
    _check_streams(pipeline)
    ends = [pipeline.exit_stage, pipeline.interval - 1, *(site.node.stage for site in pipeline.sites)]
    pipeline.depth = 1 + max([*ends, *(write_stage(pipeline, each) for each in pipeline.carried)])


def write_stage(pipeline: Pipeline, carried: CarriedRegister) -> int:
    """The stage at whose end the register takes what the iteration leaves."""
    stage = ready_of(carried.following)
    return max(stage, ready_of(pipeline.exit)) if carried.gated else stage


def _raise_carried(pipeline: Pipeline) -> bool:
    changed = False
    for carried in pipeline.carried:
        needed = max(0, write_stage(pipeline, carried) - pipeline.interval + 1)
        if needed > carried.load.stage:
            carried.load.stage = needed
            changed = True
    return changed


def _raise_sites(pipeline: Pipeline) -> bool:
    """No access before it is known that the iteration takes place; what a stream is asked is true when it is read."""
    exit_stage = ready_of(pipeline.exit)
    bound = exit_stage if pipeline.tests_first else max(0, exit_stage - pipeline.interval + 1)
    changed = False
    for site in pipeline.sites:
        if site.access not in (AccessKind.EMPTY, AccessKind.FULL):
            changed |= _raise(site.node, bound)
    for asked in pipeline.sites:
        if asked.access is AccessKind.EMPTY:
            for other in pipeline.sites:
                if other.storage == asked.storage and other.access in (AccessKind.READ, AccessKind.POLL):
                    changed |= _raise(asked.node, other.node.stage - pipeline.interval + 1)
    return changed


def _raise(node: RtlNode, bound: int) -> bool:
    if node.stage >= bound:
        return False
    node.start = bound
    return True


def _check_streams(pipeline: Pipeline) -> None:
    """Elements move in program order, one a cycle."""
    moves = (AccessKind.READ, AccessKind.POLL, AccessKind.WRITE)
    last: dict[str, list[AccessSite]] = {}
    for site in pipeline.sites:
        if site.access not in moves:
            continue
        for before in last.get(site.storage, []):
            if site.node.stage - before.node.stage >= pipeline.interval:
                raise AebertError(
                    f"{pipeline.name}: {site.storage}: accesses of one iteration lie {pipeline.interval} cycles or "
                    "more apart, so that iterations would overtake each other"
                )
        last.setdefault(site.storage, []).append(site)
