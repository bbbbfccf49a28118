"""Dependences between the operations of a reported loop: by value, predicate, register, memory and program order."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from aebert.hls_reports.schedule_model import ReportLoop, ReportValue, ScheduleReport
from codegen.schedule.affine import Motion, carried_distance, may_meet
from codegen.schedule.graph import (
    OUTSIDE,
    Callee,
    Carried,
    Dependence,
    DependenceKind,
    DesignContext,
    LoopGraph,
    Operand,
    Operation,
    StorageKind,
    Term,
    Timing,
    exclusive,
)
from codegen.schedule.report_operations import Literal, LoopBody, NamedTerm, ReportOperation, register_values
from codegen.schedule.report_storages import Addresses, Storages

# A pipelined loop's function, where its process does more than the loop.
_OUTLINED = "_Pipeline_"


def wire(report: ScheduleReport, body: LoopBody, row: ReportLoop | None, intervals: Mapping[str, int]) -> LoopGraph:
    """The graph of a loop's operations."""
    return _Wiring(report, body, intervals).graph(row)


class _Wiring:
    def __init__(self, report: ScheduleReport, body: LoopBody, intervals: Mapping[str, int]) -> None:
        self.report, self.body, self.intervals = report, body, intervals
        self.reported = body.operations
        self.definitions = {op.statement.result: i for i, op in enumerate(self.reported) if op.statement.result}
        self.addresses = Addresses(self.reported, self.definitions)
        self.storages = Storages(self.addresses, register_values(report))
        self.comparisons: dict[tuple[str, int | None], int] = {}
        self.operations: list[Operation] = []
        self.dependences: list[Dependence] = []
        self.headers = _header_phis(self.reported, self.definitions)

    def graph(self, row: ReportLoop | None) -> LoopGraph:
        self.comparisons = self._comparisons()
        self.operations = [self._operation(op) for op in self.reported]
        self.operations += [self._comparison(name, constant) for name, constant in self.comparisons]
        self._values()
        self._predicates()
        carried = self._registers() + self._phis()
        self._memories()
        self._calls()
        report = self.report
        exits = [self.definitions[name] for name, _, _ in self.body.exit_literals if name in self.definitions]
        return LoopGraph(
            report.module, row.name if row else report.module,
            DesignContext(report.clock_period_ns, report.part, report.tool_version, report.clock_uncertainty_ns),
            tuple(self.operations), tuple(dict.fromkeys(self.dependences)), self.storages.storages, tuple(carried),
            target_ii=(row.target_ii if row else None) or self.body.asked_ii,
            ii_is_explicit=self.body.asked_ii is not None,
            trip_count=row.trip_count if row else None,
            exit_test=exits[0] if exits else None,
            further_exits=tuple(exits[1:]),
            function_pipeline=not report.loops,
            shares_first_state=self.body.merged_prologue,
            tests_first=self._tests_first(),
            outlined=_OUTLINED in report.module,
        )  # fmt: skip

    def _tests_first(self) -> bool:
        """Whether accesses in the exit test's own state are under it; they are not if it comes last."""
        literal = next(iter(self.body.exit_literals), None)
        if literal is None or literal[0] not in self.definitions:
            return True
        cycle = self.reported[self.definitions[literal[0]]].cycle
        beside = [op for op in self.reported if op.cycle == cycle and op.opcode in ("store", "read", "write", "call")]
        under = [op for op in beside if op.predicate and all(_under(term, literal) for term in op.predicate)]
        return bool(under) or not beside

    def _comparisons(self) -> dict[tuple[str, int | None], int]:
        """An operation of no cost for each ``x == constant`` and each ``x`` from outside the loop in a predicate."""
        pairs = {
            (name, constant)
            for op in self.reported
            for term in op.predicate
            for name, constant, _ in term
            if constant is not None or name not in self.definitions
        }
        ordered = sorted(pairs, key=lambda pair: (pair[0], pair[1] is not None, pair[1] or 0))
        return {pair: len(self.reported) + i for i, pair in enumerate(ordered)}

    def _comparison(self, name: str, constant: int | None) -> Operation:
        text = name if constant is None else f"{name} == {constant}"
        return Operation("icmp" if name in self.definitions else OUTSIDE, text, 1, timing=Timing(0, 0.0), merged=True)

    def _operation(self, op: ReportOperation) -> Operation:
        predicate = tuple(term for named in op.predicate if (term := self._term(named)))
        if len(predicate) < len(op.predicate):
            predicate = ()
        callee = None
        if op.opcode == "call":
            name = op.statement.function
            callee = Callee(name, op.latency, self.intervals.get(module_name(name), 1), op.delay_ns, op.output_delay_ns)
        return Operation(
            op.opcode, op.name, op.statement.bits, tuple(self._operand(v) for v in op.statement.operands), predicate,
            line=op.line, access=self.storages.access(op), callee=callee,
            timing=Timing(op.latency, op.delay_ns, op.output_delay_ns if op.latency else 0.0),
            merged=op.grouping in ("lut_in", "dsp_in", "ternary_in"),
        )  # fmt: skip

    def _operand(self, value: ReportValue) -> Operand:
        return Operand(value.bits, self.definitions.get(value.name) if value.name else None, value.constant)

    def _term(self, named: NamedTerm) -> Term:
        literals = set()
        for name, constant, truth in named:
            if constant is None:
                index = self.definitions.get(name)
                literals.add((self.comparisons[name, None] if index is None else index, truth))
                continue
            for (other, value), index in self.comparisons.items():
                if other == name and value is not None and (value == constant or truth):
                    literals.add((index, truth and value == constant))
        return frozenset(literals)

    def _add(self, source: int, sink: int, kind: DependenceKind, distance: int = 0, cycles: int | None = None) -> None:
        self.dependences.append(Dependence(source, sink, kind, distance, cycles))

    def _values(self) -> None:
        for sink, op in enumerate(self.reported):
            for value in op.statement.operands:
                source = self.definitions.get(value.name) if value.name else None
                if source is None or source == sink:
                    continue
                if sink not in self.headers:
                    self._add(source, sink, DependenceKind.DATA)
                    if op.opcode == "phi":
                        self._choice(source, sink)
        for (name, _), index in self.comparisons.items():
            if name in self.definitions:
                self._add(self.definitions[name], index, DependenceKind.DATA)

    def _choice(self, source: int, phi: int) -> None:
        """A phi waits for what decides between the paths that meet in it: where one of its values is computed."""
        own = {name for term in self.operations[phi].predicate for name, _ in term}
        deciding = {name for term in self.operations[source].predicate for name, _ in term}
        for name in sorted(deciding - own - {source, phi}):
            self._add(name, phi, DependenceKind.DATA)

    def _predicates(self) -> None:
        for sink, operation in enumerate(self.operations):
            for source in {name for term in operation.predicate for name, _ in term}:
                if source != sink:
                    self._add(source, sink, DependenceKind.PREDICATE)

    def _phis(self) -> list[Carried]:
        carried = []
        for phi in self.headers:
            inside, initial = None, Operand(self.operations[phi].bits)
            for operand in self.operations[phi].operands:
                if operand.source is not None:
                    inside = operand.source
                    self._add(operand.source, phi, DependenceKind.DATA, 1)
                else:
                    initial = operand
            carried.append(Carried(phi, inside, initial))
        return carried

    def _registers(self) -> list[Carried]:
        """Scalars in registers: what is stored is loaded later in the iteration, or in the next."""
        carried = []
        for name, accesses in self._accesses(StorageKind.REGISTER).items():
            value, delay = self.body.initial.get(name, (None, 0.0))
            for position, index in enumerate(accesses):
                for other in accesses[position + 1 :]:
                    self._register_pair(index, other)
                if self.operations[index].opcode == "load":
                    stores = [i for i in accesses if self.operations[i].opcode == "store"]
                    for store in stores:
                        self._add(store, index, DependenceKind.DATA, 1)
                    initial = self._operand(value) if value else Operand(self.operations[index].bits)
                    following = stores[-1] if stores else None
                    carried.append(Carried(index, following, initial, initial_delay_ns=delay))
        return carried

    def _register_pair(self, first: int, second: int) -> None:
        kinds = self.operations[first].opcode, self.operations[second].opcode
        if kinds == ("load", "load") or exclusive(self.operations[first].predicate, self.operations[second].predicate):
            return
        kind = DependenceKind.DATA if kinds == ("store", "load") else DependenceKind.ORDER
        self._add(first, second, kind, 0, None if kind is DependenceKind.DATA else 0)

    def _accesses(self, *kinds: StorageKind) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = defaultdict(list)
        for index, operation in enumerate(self.operations):
            if operation.access and self.storages.storages[operation.access.storage].kind in kinds:
                groups[operation.access.storage].append(index)
        return groups

    def _memories(self) -> None:
        motion = self._motion()
        forwarded = self._forwarded()
        for load, comparison in forwarded.items():
            if comparison is not None:
                self._add(comparison, load, DependenceKind.ORDER, 0, 0)
        for accesses in self._accesses(StorageKind.MEMORY).values():
            indices = {i: self.addresses.index(self.reported[i]) for i in accesses}
            for position, first in enumerate(accesses):
                for second in accesses[position + 1 :]:
                    if may_meet(indices[first], indices[second]):
                        self._memory_pair(first, second)
            for store in (i for i in accesses if self.operations[i].opcode == "store"):
                for load in (i for i in accesses if self.operations[i].opcode == "load"):
                    distance = carried_distance(indices[store], indices[load], motion)
                    if distance == 1 and load in forwarded:
                        distance = 2
                    if distance is not None:
                        self._add(store, load, DependenceKind.MEMORY, distance, 1)

    def _motion(self) -> Motion:
        """How addresses change, from what each iteration leaves to the next."""
        carried: dict[str, list[str]] = defaultdict(list)
        for dependence in self.dependences:
            if dependence.distance == 1:
                sink = self.reported[dependence.sink]
                source = self.reported[dependence.source]
                value = source.statement.operands[0].name if source.opcode == "store" else source.statement.result
                carried[sink.statement.result].append(value)
        return self.addresses.motion(carried)

    def _forwarded(self) -> dict[int, int | None]:
        """Loads for which Vitis keeps what the last iteration stored in a register (reuse_reg) and chooses between the
        two, with the comparison of their addresses that decides."""
        memory = {index for accesses in self._accesses(StorageKind.MEMORY).values() for index in accesses}
        selections = [op for op in self.reported if op.opcode == "select" and "reuse" in op.statement.result]
        found: dict[int, int | None] = {}
        for selection in selections:
            decides, *chosen = (self.definitions.get(value.name) for value in selection.statement.operands)
            found |= {index: decides for index in chosen if index in memory}
        return found

    def _memory_pair(self, first: int, second: int) -> None:
        """Two accesses of one iteration that may meet: a load waits for the store before it, a store for neither."""
        a, b = self.operations[first], self.operations[second]
        if (a.opcode == b.opcode == "load") or exclusive(a.predicate, b.predicate):
            return
        self._add(first, second, DependenceKind.MEMORY, 0, 1 if a.opcode == "store" else 0)

    def _calls(self) -> None:
        """Calls, and accesses, of one array or stream follow each other."""
        touched: dict[str, list[int]] = defaultdict(list)
        for index, op in enumerate(self.reported):
            if op.opcode == "call":
                for value in op.statement.operands:
                    if value.name and value.name not in self.definitions:
                        touched[value.name].append(index)
            elif (access := self.operations[index].access) is not None:
                touched[access.storage].append(index)
        for name, users in touched.items():
            storage = self.storages.storages.get(name)
            if storage is not None and storage.kind is StorageKind.ROM:
                continue
            self._call_order(users)

    def _call_order(self, users: Sequence[int]) -> None:
        calls = [index for index in users if self.operations[index].opcode == "call"]
        stores = [index for index in users if self.operations[index].opcode in ("store", "write")]
        if not calls or not (stores or len(calls) > 1):
            return
        ordered = sorted(set(users))
        for first, second in pairwise(ordered):
            if "call" in (self.operations[first].opcode, self.operations[second].opcode):
                self._add(first, second, DependenceKind.MEMORY, 0, 1)
        if ordered[0] != ordered[-1]:
            self._add(ordered[-1], ordered[0], DependenceKind.MEMORY, 1, 1)


def _under(term: NamedTerm, literal: Literal) -> bool:
    name, constant, truth = literal
    return (name, constant, not truth) in term


def _header_phis(operations: Sequence[ReportOperation], definitions: Mapping[str, int]) -> list[int]:
    """Phis of the loop's header: those that take a value computed after them, and those with the same blocks."""
    phis = [i for i, op in enumerate(operations) if op.opcode == "phi"]
    certain = [
        i for i in phis if any(definitions.get(v.name, -1) >= i for v in operations[i].statement.operands if v.name)
    ]
    blocks = {frozenset(operations[i].statement.labels) for i in certain if operations[i].cycle == 0}
    return [i for i in phis if i in certain or (blocks and frozenset(operations[i].statement.labels) in blocks)]


def module_name(function: str) -> str:
    """What the tool calls the module of a C++ function: each run of other characters is one ``_``, and an ``s`` follows
    where a template's arguments end the name."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", function.strip('"'))
    return f"{name}s" if name.endswith("_") else name
