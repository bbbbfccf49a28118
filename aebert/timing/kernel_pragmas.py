"""What the pragmas of a rendered kernel promise about loops and arrays: timed emulation checks it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aebert.timing.source_marks import ArrayMark, read_marks

_PROCESS = re.compile(r"^void (?P<name>\w+)\((?P<parameters>[^{}]*)\) \{", re.MULTILINE)
# The name at the end, behind & or within (&name)[extent]; commas inside <> are followed by none.
_PARAMETER = re.compile(r"(?P<name>\w+)\)?(?:\[\w+\])*(?:,\s|$)(?![^<>]*>)")


@dataclass(frozen=True)
class LoopPragmas:
    """``ii`` None: not pipelined."""

    name: str
    ii: int | None


@dataclass(frozen=True)
class CheckedDependence:
    """Iterations of ``loop`` between a write to ``array`` and a read of the same element; 0: they never meet."""

    loop: str
    array: str
    distance: int


@dataclass(frozen=True)
class KernelPragmas:
    """``arrays``: by process.variable, those that emulation checks. ``parameters``: of each process, in order."""

    loops: tuple[LoopPragmas, ...]
    arrays: Mapping[str, ArrayMark]
    dependences: tuple[CheckedDependence, ...]
    parameters: Mapping[str, tuple[str, ...]]


def parse_pragmas(sources: Mapping[str, str]) -> KernelPragmas:
    """Reads rendered C++ files: name -> text. Raises AebertError as `read_marks` does."""
    loops: list[LoopPragmas] = []
    arrays: dict[str, ArrayMark] = {}
    dependences: list[CheckedDependence] = []
    parameters: dict[str, tuple[str, ...]] = {}
    for file, text in sources.items():
        parameters.update(_parameters(text))
        marks = read_marks(file, text)
        declared = {(array.declared_line, array.array): array for array in marks.arrays}
        for line, name in marks.checked.items():
            variable = name.partition(".")[2]
            arrays[name] = declared.get((line, variable), ArrayMark(variable, line))
        for loop in marks.loops:
            process = loop.name.partition(".")[0]
            loops.append(LoopPragmas(loop.name, loop.interval))
            dependences += [
                CheckedDependence(loop.name, f"{process}.{each.array}", each.distance)
                for each in loop.dependences
                if each.between_iterations
            ]
    return KernelPragmas(tuple(loops), arrays, tuple(dependences), parameters)


def _parameters(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Of each function that returns nothing."""
    for found in _PROCESS.finditer(text):
        yield found["name"], tuple(each["name"] for each in _PARAMETER.finditer(found["parameters"]))
