"""What the pragmas of a rendered kernel promise about loops and arrays: timed emulation checks it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aebert.support.errors import AebertError
from aebert.timing.hls_pragma import HlsPragma, parse_hls_pragma

_LOOP = re.compile(r"^\s*AEBERT_LOOP\((?P<name>[\w.]+)\)\s*$")
_BODY = re.compile(r"^\s*AEBERT_ITERATION;")
_ARRAY = re.compile(r"\bAEBERT_CHECKED\((?P<name>\w+\.(?P<variable>\w+))\)")
_PRAGMA = re.compile(r"^\s*#pragma\b(?P<argument>.*)$")


@dataclass(frozen=True)
class LoopPragmas:
    """``ii`` None: not pipelined."""

    name: str
    ii: int | None


@dataclass(frozen=True)
class ArrayPragmas:
    """``partitioned``: its first dimension completely; ``registers``: all dimensions completely. Ports per bank."""

    name: str
    partitioned: bool
    registers: bool
    read_ports: int
    write_ports: int


@dataclass(frozen=True)
class DependencePragma:
    """Iterations of ``loop`` between a write to ``array`` and a read of the same element; 0: they never meet."""

    loop: str
    array: str
    distance: int


@dataclass(frozen=True)
class KernelPragmas:
    loops: tuple[LoopPragmas, ...]
    arrays: tuple[ArrayPragmas, ...]
    dependences: tuple[DependencePragma, ...]


def parse_pragmas(sources: Iterable[str]) -> KernelPragmas:
    """Reads rendered C++ files. Raises AebertError for a marked loop without a body mark or an II that is no number."""
    loops: list[LoopPragmas] = []
    arrays: list[ArrayPragmas] = []
    dependences: list[DependencePragma] = []
    for source in sources:
        lines = source.splitlines()
        for number, line in enumerate(lines):
            if mark := _LOOP.match(line):
                pragmas = list(_loop_pragmas(mark["name"], lines[number + 1 :]))
                loops.append(LoopPragmas(mark["name"], _ii(mark["name"], pragmas)))
                dependences += _dependences(mark["name"], pragmas)
            elif array := _ARRAY.search(line):
                arrays.append(_array(array["name"], array["variable"], lines[number + 1 :]))
    return KernelPragmas(tuple(loops), tuple(arrays), tuple(dependences))


def _pragma(line: str) -> HlsPragma | None:
    found = _PRAGMA.match(line)
    return parse_hls_pragma(found["argument"]) if found else None


def _loop_pragmas(name: str, lines: list[str]) -> Iterator[HlsPragma]:
    for line in lines:
        if _BODY.match(line):
            return
        if pragma := _pragma(line):
            yield pragma
    raise AebertError(f"loop {name}: AEBERT_ITERATION is missing; it must follow the loop's pragmas")


def _number(what: str, text: str) -> int:
    if not text.isdecimal():
        raise AebertError(f"{what}: {text!r} is not a number; render pragmas with their values")
    return int(text)


def _ii(name: str, pragmas: list[HlsPragma]) -> int | None:
    for pragma in pragmas:
        if pragma.name == "PIPELINE":
            return _number(f"loop {name}: II", pragma.options.get("II") or "1")
    return None


def _dependences(loop: str, pragmas: list[HlsPragma]) -> Iterator[DependencePragma]:
    process = loop.partition(".")[0]
    for pragma in pragmas:
        if pragma.name == "DEPENDENCE":
            options = pragma.options
            distance = (options.get("distance") or "0") if options.get("dependent") == "true" else "0"
            yield DependencePragma(
                loop, f"{process}.{options['variable']}", _number(f"loop {loop}: distance", distance)
            )


def _array(name: str, variable: str, lines: list[str]) -> ArrayPragmas:
    """The pragmas of an array follow its declaration."""
    partitioned = registers = False
    read_ports = write_ports = 1
    for line in lines:
        pragma = _pragma(line)
        if pragma is None or pragma.options.get("variable") != variable:
            break
        kind, options = pragma.name, pragma.options
        if kind == "ARRAY_PARTITION" and options.get("type") == "complete":
            partitioned = options.get("dim") in ("0", "1")
            registers = options.get("dim") == "0"
        elif kind == "BIND_STORAGE" and options.get("type") in ("ram_t2p", "ram_2p"):
            read_ports = 2
            write_ports = 2 if options["type"] == "ram_t2p" else 1
    return ArrayPragmas(name, partitioned, registers, read_ports, write_ports)
