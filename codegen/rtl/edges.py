"""The states of a process and how one leads to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aebert.support.errors import AebertError
from codegen.rtl.burst import Burst
from codegen.rtl.names import identifier
from codegen.rtl.nodes import Literal, Ref
from codegen.rtl.pipeline import Pipeline, header_phis
from codegen.rtl.regions import only_joins
from codegen.rtl.scope import Scope
from codegen.rtl.straight import Straight
from codegen.rtl.texts import Assignment, StateText, Transition
from codegen.schedule.frontend.ir import Instruction, Operand

IDLE = "S_idle"


class StageText(Protocol):
    def __call__(self, ref: Ref, stage: int, *, held: bool = False) -> str: ...


@dataclass
class Edges:
    scope: Scope
    straights: Mapping[str, Straight]
    pipelines: Mapping[str, Pipeline]
    bursts: Mapping[str, Burst]
    stage_text: StageText

    def states(self) -> list[StateText]:
        """Idle first."""
        entry = self.scope.function.entry
        begin = self._follow("", entry, _From(self))
        found = [StateText(IDLE, "start", (begin,), "waits for the launch")]
        for straight in self.straights.values():
            if only_joins(self.scope.function, straight.label) and straight.label != entry:
                continue
            found += self._straight_states(straight)
        for header, pipeline in self.pipelines.items():
            found += self._pipeline_states(header, pipeline)
        return found

    def _straight_states(self, straight: Straight) -> Iterator[StateText]:
        name = identifier(straight.label)
        for stage in range(straight.last_stage):
            yield StateText(f"S_{name}_{stage}", "go", (Transition("", (), f"S_{name}_{stage + 1}"),))
        last = straight.last_stage
        source = _From(self, straight)
        if not straight.edges:
            transitions: tuple[Transition, ...] = (Transition("", (), IDLE, ends=True),)
        else:
            transitions = tuple(
                self._follow(
                    straight.last_block, target, source,
                    "" if number == len(straight.edges) - 1 else self.stage_text(condition, last, held=True),
                )
                for number, (target, condition) in enumerate(straight.edges)
            )  # fmt: skip
        yield StateText(f"S_{name}_{last}", "go", transitions)

    def _pipeline_states(self, header: str, pipeline: Pipeline) -> Iterator[StateText]:
        name = identifier(pipeline.name)
        burst = self.bursts.get(header)
        onward = self._left(pipeline)
        if burst is not None:
            begins = Transition("", (), f"S_{name}", begins=name)
            yield StateText(f"S_{name}_request", f"{burst.port}_request_ready", (begins,), "asks for the loop's words")
        if burst is None or not burst.writes:
            yield StateText(f"S_{name}", f"go & {name}_leaves", (onward,), "the loop, until its last stage is empty")
            return
        confirm = f"S_{name}_confirm"
        yield StateText(f"S_{name}", f"go & {name}_leaves", (Transition("", (), confirm),))
        yield StateText(confirm, f"{burst.port}_idle", (onward,), "until the last write is confirmed")

    def _left(self, pipeline: Pipeline) -> Transition:
        """How it goes on behind the loop, the same by whatever edge it is left."""
        source = _From(self, pipeline=pipeline)
        found = {self._follow(block, target, source) for block, target in pipeline.exit_edges}
        if len(found) > 1:
            raise AebertError(f"{pipeline.name}: what follows the loop depends on where it is left")
        return found.pop()

    def _follow(self, before: str, target: str, source: _From, condition: str = "") -> Transition:
        assignments: list[Assignment] = []
        known: dict[str, str] = {}
        while target not in self.pipelines and only_joins(self.scope.function, target):
            arriving = self._arriving(self.straights[target].phis, before, source, known)
            assignments += [Assignment(self.scope.kept[name].name, text) for name, text in arriving.items()]
            known |= arriving
            before, target = target, self.scope.function.blocks[target].successors[0]
        if target not in self.pipelines:
            arriving = self._arriving(self.straights[target].phis, before, source, known)
            assignments += [Assignment(self.scope.kept[name].name, text) for name, text in arriving.items()]
            return Transition(condition, tuple(assignments), f"S_{identifier(target)}_0")
        pipeline = self.pipelines[target]
        arriving = self._arriving(header_phis(pipeline.iteration), before, source, known)
        assignments += [Assignment(pipeline.phis[phi].name, text) for phi, text in arriving.items()]
        name = identifier(pipeline.name)
        if target in self.bursts:
            return Transition(condition, tuple(assignments), f"S_{name}_request")
        return Transition(condition, tuple(assignments), f"S_{name}", begins=name)

    def _arriving(
        self, phis: Sequence[Instruction], before: str, source: _From, known: Mapping[str, str]
    ) -> dict[str, str]:
        """What each of a block's phis is on the edge from ``before``."""
        return {phi.result: source.text(_incoming(phi, before), phi.bits, known) for phi in phis}


def _incoming(phi: Instruction, before: str) -> Operand:
    return phi.operands[phi.labels.index(before)]


@dataclass
class _From:
    """Where an edge comes from, which says what a register is on it."""

    edges: Edges
    straight: Straight | None = None
    pipeline: Pipeline | None = None

    def text(self, operand: Operand, bits: int, known: Mapping[str, str]) -> str:
        if isinstance(operand, str) and operand in known:
            return known[operand]
        if self.straight is not None:
            ref = self.straight.reader.value(operand, bits)
            return self.edges.stage_text(ref, self.straight.last_stage, held=True)
        if self.pipeline is not None:
            if isinstance(operand, str) and operand in self.pipeline.reader.known:
                self.edges.scope.outside(operand)
                return f"{self.edges.scope.kept[operand].name}_next"
            return self.edges.stage_text(self.pipeline.reader.value(operand, bits), 0)
        # On the edge out of idle: arguments and constants.
        if isinstance(operand, str):
            return self.edges.stage_text(self.edges.scope.outside(operand), 0)
        return Literal(bits, operand if isinstance(operand, int) else 0).text
