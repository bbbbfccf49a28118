"""Marks and pragmas of one kernel source, with their lines: they are joined to the LLVM IR by line and name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aebert.support.errors import AebertError

_LOOP = re.compile(r"^\s*AEBERT_LOOP\((?P<name>[\w.]+)\)\s*$")
_ITERATION = re.compile(r"^\s*AEBERT_ITERATION;")
_PRAGMA = re.compile(r"^\s*#pragma HLS (?P<kind>\w+)\s*(?P<options>.*)$")
_OPTION = re.compile(r"(\w+)\s*=\s*(\w+)")
_WORD = re.compile(r"\b(inter|intra|false|off)\b")


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
    """``partitioned``: dimensions (from 1) that are split into banks of their own; 0: all of them.

    ``storage`` and ``primitive`` as BIND_STORAGE gives them, empty without.
    """

    array: str
    line: int
    partitioned: frozenset[int] = frozenset()
    storage: str = ""
    primitive: str = ""

    @property
    def registers(self) -> bool:
        return 0 in self.partitioned

    @property
    def read_ports(self) -> int:
        return 2 if self.storage in ("ram_t2p", "ram_2p") else 1

    @property
    def write_ports(self) -> int:
        return 2 if self.storage == "ram_t2p" else 1


@dataclass(frozen=True)
class SourceMarks:
    """Of one file: its loops in order, and its arrays by line."""

    file: str
    loops: tuple[LoopMark, ...]
    arrays: tuple[ArrayMark, ...]

    def loop_at(self, line: int) -> LoopMark | None:
        """The loop whose body begins with AEBERT_ITERATION on ``line``."""
        return next((loop for loop in self.loops if loop.iteration_line == line), None)

    def array_of(self, variable: str, first_line: int, last_line: int) -> ArrayMark | None:
        """What the pragmas of a function between these lines say of ``variable``."""
        return next((a for a in self.arrays if a.array == variable and first_line <= a.line <= last_line), None)


def read_marks(file: str, text: str) -> SourceMarks:
    """Raises AebertError for a marked loop without a body mark, and for pragmas with values that are not known here."""
    loops: list[LoopMark] = []
    arrays: list[ArrayMark] = []
    opened: str | None = None
    pragmas: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if mark := _LOOP.match(line):
            opened, pragmas = mark["name"], []
        elif _ITERATION.match(line):
            if opened is None:
                raise AebertError(f"{file}:{number}: AEBERT_ITERATION without AEBERT_LOOP")
            loops.append(_loop(file, opened, number, pragmas))
            opened = None
        elif pragma := _PRAGMA.match(line):
            kind, options = pragma["kind"].upper(), pragma["options"]
            pragmas.append((kind, options))
            if kind in ("ARRAY_PARTITION", "BIND_STORAGE"):
                _add_array(file, number, kind, dict(_OPTION.findall(options)), arrays)
    if opened is not None:
        raise AebertError(f"{file}: loop {opened}: AEBERT_ITERATION is missing; it must follow the loop's pragmas")
    return SourceMarks(file, tuple(loops), tuple(arrays))


def _loop(file: str, name: str, line: int, pragmas: list[tuple[str, str]]) -> LoopMark:
    interval, explicit = None, False
    for kind, text in pragmas:
        if kind == "PIPELINE" and "off" not in text.split():
            asked = dict(_OPTION.findall(text)).get("II")
            interval, explicit = _number(f"{file}:{line}: II of {name}", asked or "1"), asked is not None
    return LoopMark(name, line, interval, explicit, tuple(_dependences(file, line, pragmas)))


def _dependences(file: str, line: int, pragmas: list[tuple[str, str]]) -> Iterator[DependencePragma]:
    for kind, text in pragmas:
        if kind != "DEPENDENCE":
            continue
        options: Mapping[str, str] = dict(_OPTION.findall(text))
        words = _WORD.findall(text)
        never = options.get("dependent", "true") == "false" or ("false" in words and "dependent" not in options)
        distance = 0 if never else _number(f"{file}:{line}: distance", options.get("distance", "1"))
        between = options.get("type", "inter" if "intra" not in words else "intra") != "intra"
        if "variable" in options:
            yield DependencePragma(options["variable"], distance, between)


def _add_array(file: str, line: int, kind: str, options: Mapping[str, str], arrays: list[ArrayMark]) -> None:
    """Several pragmas of one array follow each other."""
    variable = options.get("variable", "")
    known = arrays.pop() if arrays and arrays[-1].array == variable else ArrayMark(variable, line)
    if kind == "BIND_STORAGE":
        known = ArrayMark(variable, known.line, known.partitioned, options.get("type", ""), options.get("impl", ""))
    elif options.get("type", "complete") == "complete":
        dimension = _number(f"{file}:{line}: dim", options.get("dim", "1"))
        known = ArrayMark(variable, known.line, known.partitioned | {dimension}, known.storage, known.primitive)
    else:
        raise AebertError(f"{file}:{line}: ARRAY_PARTITION type = {options['type']}: the scheduler knows complete only")
    arrays.append(known)


def _number(what: str, text: str) -> int:
    if not text.isdecimal():
        raise AebertError(f"{what}: {text!r} is not a number; render pragmas with their values")
    return int(text)
