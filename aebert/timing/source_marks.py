"""Marks and pragmas of one kernel source, with their lines.

Timed emulation checks what they promise, and the scheduler joins them to the LLVM IR by line and name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from aebert.support.errors import AebertError
from aebert.support.input_files import quoted
from aebert.support.whole_number import whole_number
from aebert.timing.hls_pragma import HlsPragma, parse_hls_pragma

_LOOP = re.compile(r"^\s*AEBERT_LOOP\((?P<name>[\w.]+)\)\s*$")
_ITERATION = re.compile(r"^\s*AEBERT_ITERATION;")
_CHECKED = re.compile(r"\bAEBERT_CHECKED\((?P<name>\w+\.\w+)\)")
_PRAGMA = re.compile(r"^\s*#pragma\b(?P<argument>.*)$")
_ARRAY_PRAGMAS = ("ARRAY_PARTITION", "BIND_STORAGE")


@dataclass(frozen=True)
class DependencePragma:
    """Iterations between a store to ``array`` and a load of the same element; 0: they never meet."""

    array: str
    distance: int
    between_iterations: bool


@dataclass(frozen=True)
class LoopMark:
    """``interval`` None: not pipelined; ``explicit``: the source asks for this II, so the clock gives way first."""

    name: str
    iteration_line: int
    interval: int | None
    explicit: bool
    dependences: tuple[DependencePragma, ...]


@dataclass(frozen=True)
class ArrayMark:
    """What the pragmas below a declaration say of its ``array``; ``declared_line`` is the line above the first of them.

    ``partitioned``: dimensions (from 1) that are split into banks of their own; 0: all of them.
    ``storage`` and ``primitive`` as BIND_STORAGE gives them, empty without.
    """

    array: str
    declared_line: int
    partitioned: frozenset[int] = frozenset()
    storage: str = ""
    primitive: str = ""

    @property
    def registers(self) -> bool:
        return 0 in self.partitioned

    @property
    def banked(self) -> bool:
        """Whether each index of its first dimension has a bank of its own."""
        return bool(self.partitioned & {0, 1})

    @property
    def read_ports(self) -> int:
        return 2 if self.storage in ("ram_t2p", "ram_2p") else 1

    @property
    def write_ports(self) -> int:
        return 2 if self.storage == "ram_t2p" else 1


@dataclass(frozen=True)
class SourceMarks:
    """Of one file: its loops in order, its arrays by line, and the arrays that emulation checks: name by line."""

    file: str
    loops: tuple[LoopMark, ...]
    arrays: tuple[ArrayMark, ...]
    checked: dict[int, str]

    def loop_at(self, line: int) -> LoopMark | None:
        """The loop whose body begins with AEBERT_ITERATION on ``line``."""
        return next((loop for loop in self.loops if loop.iteration_line == line), None)

    def array_of(self, variable: str, first_line: int, last_line: int) -> ArrayMark | None:
        """What the pragmas of a function between these lines say of ``variable``."""
        return next(
            (a for a in self.arrays if a.array == variable and first_line <= a.declared_line <= last_line), None
        )


def read_marks(file: str, text: str) -> SourceMarks:
    """Raises AebertError for a marked loop without a body mark, and for pragmas with values that are not known here."""
    loops: list[LoopMark] = []
    arrays: list[ArrayMark] = []
    checked: dict[int, str] = {}
    opened: str | None = None
    pragmas: list[HlsPragma] = []
    declared_line = 0
    for number, line in enumerate(text.splitlines(), 1):
        if pragma := _pragma(line):
            pragmas.append(pragma)
            if pragma.name in _ARRAY_PRAGMAS:
                _add_array(f"{file}:{number}", declared_line, pragma, arrays)
            continue
        declared_line = number
        if mark := _LOOP.match(line):
            opened, pragmas = mark["name"], []
        elif _ITERATION.match(line):
            if opened is None:
                raise AebertError(f"{file}:{number}: AEBERT_ITERATION without AEBERT_LOOP")
            loops.append(_loop(file, opened, number, pragmas))
            opened = None
        elif array := _CHECKED.search(line):
            checked[number] = array["name"]
    if opened is not None:
        raise AebertError(f"{file}: loop {opened}: AEBERT_ITERATION is missing; it must follow the loop's pragmas")
    return SourceMarks(file, tuple(loops), tuple(arrays), checked)


def _pragma(line: str) -> HlsPragma | None:
    found = _PRAGMA.match(line)
    return parse_hls_pragma(found["argument"]) if found else None


def _loop(file: str, name: str, line: int, pragmas: list[HlsPragma]) -> LoopMark:
    interval, explicit = None, False
    for pragma in pragmas:
        if pragma.name == "PIPELINE" and "off" not in pragma.options:
            asked = pragma.options.get("II")
            interval, explicit = _number(f"{file}:{line}: II of {name}", asked or "1"), asked is not None
    return LoopMark(name, line, interval, explicit, tuple(_dependences(f"{file}:{line}", pragmas)))


def _dependences(where: str, pragmas: list[HlsPragma]) -> Iterator[DependencePragma]:
    """Type, direction and "false" may stand there as words alone, as releases before 2020.1 spelt them."""
    for pragma in pragmas:
        options = pragma.options
        variable = options.get("variable")
        if pragma.name != "DEPENDENCE" or variable is None:
            continue
        never = options.get("dependent", "false" if "false" in options else "true") == "false"
        distance = 0 if never else _number(f"{where}: distance", options.get("distance") or "1")
        kind = options.get("type", "intra" if "intra" in options else "inter")
        yield DependencePragma(variable, distance, kind != "intra")


def _add_array(where: str, declared_line: int, pragma: HlsPragma, arrays: list[ArrayMark]) -> None:
    """All pragmas of one array follow its declaration."""
    options = pragma.options
    variable = options.get("variable") or ""
    known = ArrayMark(variable, declared_line)
    if arrays and (arrays[-1].array, arrays[-1].declared_line) == (variable, declared_line):
        known = arrays.pop()
    if pragma.name == "BIND_STORAGE":
        known = replace(known, storage=options.get("type") or "", primitive=options.get("impl") or "")
    elif options.get("type", "complete") == "complete":
        known = replace(known, partitioned=known.partitioned | {_number(f"{where}: dim", options.get("dim") or "1")})
    else:
        raise AebertError(f"{where}: ARRAY_PARTITION type = {options['type']}: the scheduler knows complete only")
    arrays.append(known)


def _number(what: str, text: str) -> int:
    number = whole_number(text)
    if number is None or number < 0:
        raise AebertError(f"{what}: {quoted(text)} is not a number; render pragmas with their values")
    return number
