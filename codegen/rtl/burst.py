"""What a loop asks of an AXI port before it begins: the first word and how many, as burst inference finds them."""

from __future__ import annotations

from dataclasses import dataclass

from aebert.support.errors import AebertError
from codegen.rtl.builder import Builder
from codegen.rtl.nodes import Literal, Ref, settle
from codegen.rtl.piece_reader import PieceReader, Place
from codegen.rtl.pipeline import Pipeline, header_phis
from codegen.rtl.scope import Scope
from codegen.schedule.frontend.arrays import ArrayKind, accessed
from codegen.schedule.frontend.ir import Instruction

ADDRESS_BITS = 64
COUNT_BITS = 32
_LESS = {"slt": ("slt", False), "ult": ("ult", False), "sgt": ("slt", True), "ugt": ("ult", True)}


@dataclass
class Burst:
    """``port`` of the process; ``first`` word and ``words``, from the values that the loop begins with."""

    port: str
    writes: bool
    reader: PieceReader
    first: Ref
    words: Ref


def find_burst(scope: Scope, pipeline: Pipeline) -> Burst | None:
    """None for a loop that touches no port. Raises AebertError where accesses are not to consecutive words."""
    accesses = [
        instruction
        for block in pipeline.iteration.own_blocks
        for instruction in scope.function.blocks[block].instructions
        if instruction.opcode in ("load", "store")
        and scope.process.arrays[accessed(instruction, scope.process.locations).base].kind is ArrayKind.PORT
    ]
    if not accesses:
        return None
    if len(accesses) > 1:
        raise AebertError(f"{pipeline.name}: accesses a port {len(accesses)} times per iteration; one is a burst")
    return _Inference(scope, pipeline).burst(accesses[0])


@dataclass
class _Inference:
    scope: Scope
    pipeline: Pipeline

    def __post_init__(self) -> None:
        builder = Builder(self.scope.names, prefix="request_")
        self.reader = PieceReader(self.scope, builder, lambda _register, _position: Place())
        self.reader.known.update(self.pipeline.phis)
        self.definitions = {
            each.result: each
            for block in self.pipeline.iteration.own_blocks
            for each in self.scope.function.blocks[block].instructions
            if each.result
        }
        self.steps = self._steps()

    def burst(self, access: Instruction) -> Burst:
        location = accessed(access, self.scope.process.locations)
        array = self.scope.process.arrays[location.base]
        moving = sum(
            stride for register, _shift, stride in self.scope.terms(access, location) if self._step(register) == 1
        )
        if moving != array.row_bytes:
            raise AebertError(f"{self.pipeline.name}: the port's address moves by {moving} bytes per iteration")
        builder = self.reader.builder
        terms = self.reader.arrays.scaled(access, location, array.row_bytes)
        wide = [(builder.resized(each, ADDRESS_BITS, signed=True), factor) for each, factor in terms]
        first = builder.total(wide, location.offset // array.row_bytes, ADDRESS_BITS)
        words = self._trips()
        settle(builder.piece.nodes)
        return Burst(self.scope.arguments[array.base], access.opcode == "store", self.reader, first, words)

    def _steps(self) -> set[str]:
        """Header phis that grow by one."""
        latches = self.pipeline.iteration.loop.latches
        found = set()
        for phi in header_phis(self.pipeline.iteration):
            for operand, label in zip(phi.operands, phi.labels, strict=True):
                step = self.definitions.get(operand) if label in latches and isinstance(operand, str) else None
                if step is not None and step.opcode == "add" and step.operands == (phi.result, 1):
                    found.add(phi.result)
        return found

    def _step(self, register: str) -> int:
        """By how much ``register`` grows with each iteration, 0 or 1; makes it known as it is before the first one."""
        if register in self.steps:
            return 1
        instruction = self.definitions.get(register)
        if instruction is None:
            return 0
        if register in self.pipeline.phis:
            raise AebertError(f"{self.pipeline.name}: {register}, of a port's accesses, does not grow by one")
        steps = [self._step(each) for each in instruction.operands if isinstance(each, str)]
        total = sum(steps)
        if total and (total > 1 or instruction.opcode not in ("zext", "sext", "freeze", "add")):
            raise AebertError(f"{self.pipeline.name}: {register}, of a port's accesses, is no plain counter")
        if register not in self.reader.known:
            self.reader.read(instruction, Place())
        return total

    def _trips(self) -> Ref:
        iteration = self.pipeline.iteration
        branch = iteration.function.blocks[iteration.loop.header].branch
        test = (
            self.definitions.get(branch.operands[0])
            if branch.operands and isinstance(branch.operands[0], str)
            else None
        )
        if (
            test is None
            or test.opcode != "icmp"
            or test.predicate not in _LESS
            or branch.labels[0] not in iteration.loop.blocks
        ):
            raise AebertError(
                f"{self.pipeline.name}: its trips are not known when it begins, so no burst can be asked for"
            )
        predicate, swapped = _LESS[test.predicate]
        counter, bound = reversed(test.operands) if swapped else test.operands
        if counter not in self.steps or (isinstance(bound, str) and self._step(bound)):
            raise AebertError(f"{self.pipeline.name}: its trips are not counted by one up to a bound")
        builder, bits = self.reader.builder, test.operand_bits
        operands = (self.reader.value(counter, bits), self.reader.value(bound, bits))
        less = builder.shared(
            "any", 1, operands,
            (lambda o: f"$signed({o[0]}) < $signed({o[1]})") if predicate == "slt" else (lambda o: f"{o[0]} < {o[1]}"),
        )  # fmt: skip
        count = builder.shared("difference", bits, operands, lambda o: f"{o[1]} - {o[0]}")
        return builder.resized(builder.choose(less, count, Literal(bits, 0)), COUNT_BITS)
