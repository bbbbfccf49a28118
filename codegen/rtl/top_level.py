"""What the top level's C++ says: processes with their arguments, streams with depth and storage, ports with bursts."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from aebert.support.errors import AebertError

_CONSTANT = re.compile(r"^constexpr \w+ (?P<name>k\w+) = (?P<value>[^;]+);", re.MULTILINE)
_STREAM = re.compile(
    r"^\s*hls::stream<[\w:]+, (?P<depth>[^>]+)> (?P<name>\w+)(?P<extents>(?:\[\w+\])*)(?:\([^)]*\))?;", re.MULTILINE
)
_BINDING = re.compile(
    r"^#pragma HLS BIND_STORAGE variable = (?P<name>\w+) type = fifo impl = (?P<impl>\w+)", re.MULTILINE
)
_PORT = re.compile(r"^#pragma HLS INTERFACE mode = m_axi port = (?P<name>\w+) .*$", re.MULTILINE)
_OPTION = re.compile(r"(\w+) = (\w+)")
_PROCESS = re.compile(r"AEBERT_PROCESS\((?P<inside>.*?)\);", re.DOTALL)
_TOP = re.compile(r'extern "C" void (?P<name>\w+)\((?P<arguments>.*?)\) \{', re.DOTALL)
_OPERATORS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.floordiv,
}  # fmt: skip


@dataclass(frozen=True)
class DeclaredStream:
    name: str
    depth: int
    implementation: str


@dataclass(frozen=True)
class MemoryPort:
    """``burst`` words at most, ``outstanding`` bursts."""

    name: str
    burst: int
    outstanding: int


@dataclass(frozen=True)
class TopLevel:
    """``processes``: name and arguments in order; an array of streams, or one element of it (``sums[1]``), is one
    argument. ``arrays``: extents of each, outermost first; its streams are numbered (``sums_1_0``)."""

    name: str
    processes: tuple[tuple[str, tuple[str, ...]], ...]
    streams: tuple[DeclaredStream, ...]
    ports: tuple[MemoryPort, ...]
    arrays: Mapping[str, tuple[int, ...]]

    def elements(self, argument: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """An argument's streams: name, and where each lies in the argument."""
        array, *chosen = argument.replace("]", "").split("[")
        extents = self.arrays.get(array, ())[len(chosen) :]
        return tuple((numbered("_".join([array, *chosen]), place), place) for place in _places(extents))

    def told(self, storage: str) -> str:
        """The name of a stream as the emulator tells it: numbered where there are several of its kind."""
        for array, extents in self.arrays.items():
            for place in _places(extents):
                if storage == numbered(array, place):
                    numbers = zip(place, extents, strict=True)
                    return array + "".join(f"[{number}]" for number, extent in numbers if extent > 1)
        return storage


def numbered(name: str, place: tuple[int, ...]) -> str:
    """The stream at that place of an array, as LLVM and the RTL call it."""
    return "_".join([name, *map(str, place)])


def _places(extents: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*(range(extent) for extent in extents))


def read_top_level(kernel: str, config: str) -> TopLevel:
    """From the texts of kernel.cpp and config.h. Raises AebertError for what a generated project does not have."""
    constants = {found["name"]: found["value"] for found in _CONSTANT.finditer(config)}
    top = _TOP.search(kernel)
    if top is None:
        raise AebertError("kernel.cpp: has no top function; give a generated project")
    bindings = {found["name"]: found["impl"] for found in _BINDING.finditer(kernel)}
    streams: list[DeclaredStream] = []
    arrays: dict[str, tuple[int, ...]] = {}
    for found in _STREAM.finditer(kernel):
        name, depth = found["name"], _value(found["depth"], constants)
        if extents := re.findall(r"\w+", found["extents"]):
            arrays[name] = tuple(_value(extent, constants) for extent in extents)
        names = (numbered(name, place) for place in _places(arrays.get(name, ())))
        streams += [DeclaredStream(each, depth, bindings.get(name, "")) for each in names]
    ports = []
    for found in _PORT.finditer(kernel):
        options = dict(_OPTION.findall(found[0]))
        kind = "write" if "max_write_burst_length" in options else "read"
        burst, outstanding = options[f"max_{kind}_burst_length"], options[f"num_{kind}_outstanding"]
        ports.append(MemoryPort(found["name"], int(burst), int(outstanding)))
    return TopLevel(top["name"], tuple(_processes(kernel)), tuple(streams), tuple(ports), arrays)


def _processes(kernel: str) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for match in _PROCESS.finditer(kernel):
        name, *arguments = (part.strip() for part in match["inside"].split(","))
        plain = tuple(re.sub(r"AEBERT_\w+_PORT\((\w+)\)", r"\1", each) for each in arguments)
        found.append((name, plain))
    return found


def _value(text: str, constants: Mapping[str, str]) -> int:
    def value(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name) and node.id in constants:
            return _value(constants[node.id], constants)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise AebertError(f"kernel.cpp: depth {text!r} is no sum or product of constants of config.h")

    return value(ast.parse(text.strip(), mode="eval").body)
