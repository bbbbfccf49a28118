"""Reads the structure of a small stream design, as rtl_cycles.tsv describes it in JSON, into steps that can be built.

A process is a loop and a body in clauses ("blocking read FIFO; leave when value==0"). What a clause says is taken at
its word; the stage in which an access stands follows from one rule, that of an as-soon-as-possible schedule: the first
in which its operands are there. A clause that is not understood makes the whole design unreadable, by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aebert.support.errors import AebertError

Kind = Literal["load", "read", "read_nb", "write", "write_nb", "poll", "collect"]
Jump = Literal["", "accepted", "always", "to value"]
Leave = Literal["", "zero", "negative", "received"]

# Cycles from an array port's address to its word (the row's "array port, 1 cycle"; csynth's ap_memory interfaces).
LOAD_CYCLES = 1
# Division by a constant is a multiplication by its reciprocal and a correction of negative results. Neither shares a
# state with a FIFO access or the other at 5 ns (operators.tsv, UltraScale+: of 3.65 ns multiply 3.2 to 3.4, FIFO read
# 1.1 to 1.4, subtract 1.1 to 1.4 and again after a select): what follows stands in the third state after the operand's.
DIVIDE_CYCLES = 3
# A FIFO's read and its write cost up to half the budget of a cycle each (operators.tsv: 1.82 of 3.65 ns at 5 ns), so
# one of each fits a cycle, but not with a comparison of the value between them.
COMPARE_CYCLES = 1
# Processes that a row describes as those of another row, which need not be in the file: a fetch unit that runs ahead of
# the unit which tells it where to go on. What they do is known from 11_multicore, whose processes do the same.
REFERENCED = {
    "10_branch": {
        "fetch": "load instr[i]; blocking write instr; non-blocking read addr; when received i=value; "
        "after the loop blocking write of -1 to instr",
        "execute": "blocking read instr; blocking write addr of a positive value; leave when negative",
    }
}
# Values in every design of the suite whose row says how many.
SUITE_VALUES = 2025


@dataclass(frozen=True)
class Step:
    """One access. ``stage``: of the pipeline, or the state of the iteration's head; ``constant``: what is written, if
    not the value at hand; ``guarded``: only for a positive value; ``after``: behind the loop."""

    kind: Kind
    stream: str = ""
    stage: int = 0
    constant: int | None = None
    guarded: bool = False
    after: bool = False


@dataclass(frozen=True)
class DesignProcess:
    """``ii`` 0: a sequential loop whose iterations begin with ``depth`` states. ``trips`` None: endless; ``counted``:
    trips bound the index, which jumps. ``has_output``: the region's end waits for it. ``branch`` (distance, period):
    word i holds i + distance where the period divides i, else 0. ``poll``: II and depth of an inner polling loop."""

    name: str
    ii: int
    depth: int
    trips: int | None
    steps: tuple[Step, ...]
    jump: Jump = "always"
    leave: Leave = ""
    has_output: bool = False
    branch: tuple[int, int] | None = None
    poll: tuple[int, int] = (1, 1)

    @property
    def streams(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(step.stream for step in self.steps if step.stream))


@dataclass(frozen=True)
class Design:
    """``values``: how many words of the data are not zero."""

    name: str
    processes: tuple[DesignProcess, ...]
    fifos: Mapping[str, int]
    values: int


def read_design(name: str, structure: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Design:
    """``others``: structures that this one may refer to ("as 10_branch").

    Raises AebertError that names the process and the clause that says something unknown.
    """
    fifos: dict[str, int] = {}
    for entry in structure.get("fifos", ()):
        for stream in _copies(entry[0]):
            fifos[stream] = int(entry[2])
    text = str(structure.get("iterations", ""))
    processes: list[DesignProcess] = []
    for entry in structure["processes"]:
        processes += _read_copies(name, entry, structure, fifos, others)
    words = re.search(r"(\d+) non-zero values", text)
    return Design(name, tuple(processes), fifos, int(words[1]) if words else SUITE_VALUES)


def _copies(name: str) -> list[str]:
    """instr[16] -> instr_0 ... instr_15."""
    match = re.fullmatch(r"(\w+)\[(\d+)\]", name)
    return [f"{match[1]}_{k}" for k in range(int(match[2]))] if match else [name]


def _read_copies(
    design: str,
    entry: Mapping[str, Any],
    structure: Mapping[str, Any],
    fifos: Mapping[str, int],
    others: Mapping[str, Mapping[str, Any]],
) -> Iterator[DesignProcess]:
    match = re.fullmatch(r"(\w+) x(\d+)", entry["name"])
    branch = re.search(r"=i\+(\d+)(\+k)? when i%\(?(\d+)(\+k)?\)?==0", str(structure.get("iterations", "")))
    for k in range(int(match[2])) if match else [0]:
        name = f"{match[1]}_{k}" if match else str(entry["name"])
        ports = {stream[: -len(f"_{k}")]: stream for stream in fifos if stream.endswith(f"_{k}")} if match else {}
        ports |= {stream: stream for stream in fifos}
        jump = (int(branch[1]) + k * bool(branch[2]), int(branch[3]) + k * bool(branch[4])) if branch else None
        yield _Reader(f"{design}: {name}", name, entry, ports, others).process(jump)


@dataclass
class _Reader:
    where: str
    name: str
    entry: Mapping[str, Any]
    ports: Mapping[str, str]
    others: Mapping[str, Mapping[str, Any]]
    steps: list[Step] = field(default_factory=list)
    jump: Jump = "always"
    leave: Leave = ""
    has_output: bool = False
    after: bool = False
    polled: bool = False
    stage: int = 0
    value_known: bool = False

    def process(self, branch: tuple[int, int] | None) -> DesignProcess:
        for clause in self._clauses():
            self._read(clause)
        loop = str(self.entry["loop"])
        trips = re.search(r"(\d+) iterations|while i<(\d+)", loop)
        if self.after or self.leave or trips or self._collects():
            ii, depth = self._schedule(loop)
            count = int(trips[1] or trips[2]) if trips else None
            leave = self.leave or self._leave_of(loop, trips)
            poll = (int(self.entry.get("inner_II", 1)), int(self.entry.get("inner_depth", 1)))
            steps = tuple(self.steps)
            return DesignProcess(self.name, ii, depth, count, steps, self.jump, leave, self.has_output, branch, poll)
        raise AebertError(f"{self.where}: loop {loop!r} says neither how often nor until when; say either")

    def _collects(self) -> bool:
        return any(step.kind == "collect" for step in self.steps)

    def _leave_of(self, loop: str, trips: object) -> Leave:
        if trips or self._collects():
            return ""
        if re.search(r"until (a )?negative", loop):
            return "negative"
        return "zero" if re.search(r"until (value )?(0|zero)", loop) else "received"

    def _schedule(self, loop: str) -> tuple[int, int]:
        if "not pipelined" in loop:
            head = [step.stage for step in self.steps[: self._first_poll()] if not step.after]
            return 0, max(head, default=0) + 1
        if self._collects():
            return 0, 1
        return int(self.entry["II"]), int(self.entry["depth"])

    def _first_poll(self) -> int:
        return next((at for at, step in enumerate(self.steps) if step.kind == "poll"), len(self.steps))

    def _clauses(self) -> list[str]:
        loop, body = str(self.entry["loop"]), str(self.entry.get("body", ""))
        reference = re.match(r"as (\w+)[,;]?\s*(.*)", body)
        own = reference[2] if reference else body
        inherited = self._of_other(reference[1]) if reference else []
        clauses = [part.strip() for part in re.split(r";|, then |, (?=add to)", own) if part.strip()]
        if "reads of each of" in loop:
            clauses.append(loop)
        return inherited + clauses

    def _of_other(self, design: str) -> list[str]:
        plain = self.name.rpartition("_")[0] or self.name
        processes = self.others.get(design, {}).get("processes", ())
        bodies = {entry["name"]: str(entry.get("body", "")) for entry in processes}
        body = REFERENCED.get(design, {}).get(plain) or bodies.get(plain)
        if body is not None:
            return [part.strip() for part in body.split(";") if part.strip()]
        raise AebertError(f"{self.where}: body is that of {design}, which is not in the file; add its row")

    def _read(self, clause: str) -> None:
        access = re.search(r"(?P<nb>non-)?blocking (?P<what>read|write)\b(?P<rest>.*)", clause)
        if each := re.search(r"(\d+) unrolled reads of each of ([\w/]+)", clause):
            for stream in each[2].split("/"):
                self.steps += [Step("collect", self._port(f"{stream}_{k}", clause)) for k in range(int(each[1]))]
            self.has_output = True
        elif access:
            self._access(clause, bool(access["nb"]), access["what"] == "write", access["rest"])
        elif written := re.search(r"(\w+ )?(count|counter) written to (\w+)", clause):
            self.after = True
            self._add("write", written[3], clause, constant=1)
        elif match := re.match(r"poll (\w+) empty", clause):
            self._add("poll", match[1], clause)
        elif re.match(r"load ", clause):
            self._load()
        elif re.search(r"division|/", clause) and not re.search(r"sum", clause):
            self.stage += DIVIDE_CYCLES
        elif not self._control(clause):
            raise AebertError(f"{self.where}: clause {clause!r} is not understood; describe it in the known ones")

    def _control(self, clause: str) -> bool:
        """Clauses about index, exit and registers. Whether it was one."""
        if re.match(r"leave|break|exit", clause):
            self.after = True
            self._leave_when(clause)
        elif re.search(r"sum|total|counter", clause):
            self.has_output = True
        elif re.match(r"if accepted i ?\+= ?1", clause):
            self.jump = "accepted"
        elif re.search(r"i ?= ?(value|target)", clause):
            self.jump = "to value"
        else:
            return self._is_arithmetic(clause)
        return True

    def _is_arithmetic(self, clause: str) -> bool:
        """Whether a clause is about registers alone, which costs a pipeline of known depth nothing."""
        if re.match(r"i ?\+= ?1|II forced to", clause):
            return True
        others = r"block|poll|load|leave|exit|break|until|full|empty|drop|refus|\bi\b"
        words = set(re.findall(r"\w+", clause))
        return "II" in self.entry and not re.search(others, clause) and not words & set(self.ports)

    def _leave_when(self, clause: str) -> None:
        if re.search(r"(==|on) ?0", clause):
            self.leave = "zero"
        elif re.search(r"negative|< ?0", clause):
            self.leave = "negative"
        elif re.search(r"succeeds|received", clause):
            self.leave = "received"
        else:
            raise AebertError(f"{self.where}: clause {clause!r}: leave when? Say on 0, negative, or when it succeeds")

    def _access(self, clause: str, non_blocking: bool, write: bool, rest: str) -> None:
        self.after = self.after or clause.startswith("after the loop")
        named = [port for port in re.findall(r"\w+", rest) if port in self.ports]
        stream = named[0] if named else self._meant(clause)
        constant = re.search(r"write of (-?\d+)", clause)
        guarded = re.search(r"(positive|> ?0)", clause) is not None
        if write and not self.after and not self.value_known:
            self._load()
        if guarded:
            self.stage += COMPARE_CYCLES
        kind: Kind = ("write_nb" if write else "read_nb") if non_blocking else ("write" if write else "read")
        self._add(kind, stream, clause, constant=int(constant[1]) if constant else None, guarded=guarded)
        self.value_known = self.value_known or kind == "read"
        if re.search(r"-> ?exit", rest):
            self.leave = "received"

    def _meant(self, clause: str) -> str:
        """The FIFO of an access that names none: the last one's, or the only one that no clause names."""
        if used := [step.stream for step in self.steps if step.stream]:
            return used[-1]
        words = set(re.findall(r"\w+", str(self.entry.get("body", ""))))
        unnamed = [port for port in self.ports if port not in words]
        if len(unnamed) == 1:
            return unnamed[0]
        raise AebertError(f"{self.where}: clause {clause!r} names no FIFO; name one of {', '.join(self.ports)}")

    def _load(self) -> None:
        self.steps.append(Step("load"))
        self.stage += LOAD_CYCLES
        self.value_known = True

    def _add(self, kind: Kind, stream: str, clause: str, *, constant: int | None = None, guarded: bool = False) -> None:
        stage = self.stage if kind in ("write", "write_nb") else 0
        self.steps.append(Step(kind, self._port(stream, clause), stage, constant, guarded, self.after))

    def _port(self, stream: str, clause: str) -> str:
        if stream in self.ports:
            return self.ports[stream]
        if stream in self.ports.values():
            return stream
        raise AebertError(f"{self.where}: clause {clause!r}: no FIFO {stream!r}; there are {', '.join(self.ports)}")


def ordered(steps: Sequence[Step]) -> list[Step]:
    """As a pipeline's schedule has them: reads of an iteration in its first stage, then writes by stage."""
    return sorted(steps, key=lambda step: (step.kind in ("write", "write_nb"), step.stage))
