"""Which printed steps are operations of a pipelined loop: without what initialises it or follows its exit."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from aebert.hls_reports.schedule_model import (
    ReportCore,
    ReportPipeline,
    ReportStatement,
    ReportValue,
    ScheduledStep,
    ScheduleReport,
)

# Predicates as the report names them: (name, comparison or "", constant, truth).
Literal = tuple[str, int | None, bool]
NamedTerm = frozenset[Literal]

_COMPARISON = re.compile(r"^(?P<name>.*?) (?P<operator>==|!=) (?P<constant>-?\d+)$")
# Of a loop that Vitis made a function of its own.
_LEAVES = ".exitStub"
# Tools that write "label" have the block of a true condition first, those that write "void" have it last.
_LABEL = ", label "
_NOT_OPERATIONS = frozenset({"alloca", "ret", "return", "specinterface", "fence"})


@dataclass(frozen=True, slots=True)
class ReportOperation:
    """An operation of the loop, in however many states; ``cycle`` of its first, counted from the pipeline's first."""

    opcode: str
    statement: ReportStatement
    cycle: int
    latency: int
    delay_ns: float
    output_delay_ns: float
    grouping: str
    predicate: tuple[NamedTerm, ...]
    core: ReportCore | None
    line: str

    @property
    def name(self) -> str:
        return self.statement.result or self.opcode


@dataclass(frozen=True)
class LoopBody:
    """``initial``: what registers hold before the first iteration, with the delay of the store that puts it there.

    ``merged_prologue``: the pipeline's first state also holds what initialises the loop.
    ``exit_literals``: what ends the loop when one of them holds, in program order.
    """

    operations: tuple[ReportOperation, ...]
    initial: dict[str, tuple[ReportValue, float]] = field(default_factory=dict)
    merged_prologue: bool = False
    exit_literals: tuple[Literal, ...] = ()
    asked_ii: int | None = None


def parse_predicate(text: str) -> tuple[NamedTerm, ...]:
    """``(a & !b) | (c == 1)`` as a disjunction of conjunctions; () for true."""
    if text.strip("() ") in ("true", "") or "..." in text:
        return ()
    terms = []
    for term in text.split("|"):
        literals: set[Literal] = set()
        for part in term.strip(" ()").split("&"):
            word = part.strip(" ()")
            match = _COMPARISON.match(word)
            if match:
                literals.add((match["name"], int(match["constant"]), match["operator"] == "=="))
            elif word not in ("", "true"):
                literals.add((word.lstrip("!"), None, not word.startswith("!")))
        if not literals:
            return ()
        terms.append(frozenset(literals))
    return tuple(terms)


def collect(report: ScheduleReport, pipeline: ReportPipeline, *, is_loop: bool) -> LoopBody:
    """The operations of a pipeline in program order."""
    position = {state: cycle for cycle, state in enumerate(pipeline.states)}
    steps = [step for step in report.steps if step.state in position]
    prologue = _prologue_length(steps, pipeline.states[0]) if is_loop else 0
    initial = _initial_values(report, steps[:prologue], pipeline)
    body = steps[prologue:]
    asked = next((_asked_ii(step) for step in body if step.opcode == "specpipeline"), None)
    exit_literals = _exit_literals(body) if is_loop else ()
    operations = _join_steps(body, position, exit_literals)
    return LoopBody(tuple(operations), initial, prologue > 0, exit_literals, asked)


def register_values(report: ScheduleReport) -> dict[str, int]:
    """How many different values the module stores into each register, before its loops too."""
    stored: dict[str, set[ReportValue]] = defaultdict(set)
    for step in report.steps:
        if step.opcode == "store" and step.core is None and step.is_first and len(step.statement.operands) > 1:
            value, register = step.statement.operands[:2]
            stored[register.name].add(value)
    return {register: len(values) for register, values in stored.items()}


def _is_jump(step: ScheduledStep) -> bool:
    return step.opcode == "br" and not any(value.name for value in step.statement.operands)


def _prologue_length(steps: list[ScheduledStep], first_state: int) -> int:
    """Steps of the first state up to the jump into the loop, if it comes before any phi or branch of the loop."""
    for index, step in enumerate(steps):
        if step.state != first_state or step.opcode == "phi" or (step.opcode == "br" and not _is_jump(step)):
            return 0
        if _is_jump(step):
            return index + 1 if index + 1 < len(steps) else 0
    return 0


def _initial_values(
    report: ScheduleReport, prologue: list[ScheduledStep], pipeline: ReportPipeline
) -> dict[str, tuple[ReportValue, float]]:
    """Stores into registers before the loop: of the merged prologue, else of the states before the pipeline."""
    merged = bool(prologue)
    steps = prologue or [step for step in report.steps if step.state < pipeline.states[0]]
    return {
        step.statement.operands[1].name: (step.statement.operands[0], step.delay_ns if merged else 0.0)
        for step in steps
        if step.opcode == "store" and step.core is None and len(step.statement.operands) > 1
    }


def _asked_ii(step: ScheduledStep) -> int | None:
    """SpecPipeline's first argument; 0 and 2^32 - 1 mean that none was asked for."""
    asked = next((value.constant for value in step.statement.operands), None)
    return asked if asked and 0 < asked < 1 << 31 else None


def _exit_literals(steps: list[ScheduledStep]) -> tuple[Literal, ...]:
    """What ends the loop: branches to blocks that leave it, where the report names them so; else a single one."""
    leaving = [
        (step.statement.operands[0].name, None, (place == 0) == (_LABEL in step.text))
        for step in steps
        if step.opcode == "br" and not _is_jump(step)
        for place, label in enumerate(step.statement.labels)
        if label.endswith(_LEAVES)
    ]
    if leaving:
        return tuple(leaving)
    found = _exit_literal(steps)
    return () if found is None else (found,)


def _exit_literal(steps: list[ScheduledStep]) -> Literal | None:
    """The predicate of ``ret``, or the branch on whose one side all else happens."""
    for step in steps:
        if step.opcode in ("ret", "return"):
            terms = parse_predicate(step.predicate)
            if len(terms) == 1 and len(terms[0]) == 1:
                return next(iter(terms[0]))
    counts: Counter[Literal] = Counter()
    for step in steps:
        for term in parse_predicate(step.predicate):
            counts.update(term)
    branches = [(step.statement.operands[0].name) for step in steps if step.opcode == "br" and not _is_jump(step)]
    best: tuple[int, Literal] | None = None
    for name in dict.fromkeys(branches):
        yes, no = counts[name, None, True], counts[name, None, False]
        if min(yes, no) == 0 and (best is None or max(yes, no) > best[0]):
            best = max(yes, no), (name, None, no >= yes)
    return best[1] if best else None


def _join_steps(
    steps: list[ScheduledStep], position: dict[int, int], exit_literals: tuple[Literal, ...]
) -> list[ReportOperation]:
    """One operation of the steps that it takes; what only happens after the exit is left out."""
    later: dict[tuple[str, int], list[ScheduledStep]] = defaultdict(list)
    for step in steps:
        if not step.is_first:
            later[step.text, step.steps_left].append(step)
    operations = []
    for step in steps:
        if not step.is_first or step.opcode in _NOT_OPERATIONS or step.opcode.startswith("spec"):
            continue
        if _is_jump(step):
            continue
        predicate = parse_predicate(step.predicate)
        if predicate and all(any(literal in term for literal in exit_literals) for term in predicate):
            continue
        last = step
        for left in range(step.steps - 1, 0, -1):
            queue = later[step.text, left]
            last = queue.pop(0) if queue else last
        operations.append(
            ReportOperation(
                step.opcode, step.statement, position[step.state], step.steps - 1, step.delay_ns,
                last.output_delay_ns, step.grouping, predicate, step.core or last.core, step.line,
            )
        )  # fmt: skip
    return operations
