"""Reads the text of an optimised LLVM module. The subset is what remains of a kernel after `passes.optimise`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.schedule.frontend.debug_lines import parse_lines
from codegen.schedule.frontend.ir import Address, BasicBlock, Instruction, IrFunction, IrVariable, Module, Operand
from codegen.schedule.frontend.ir_types import Type, TypeParser

_NAME = r'(?:"[^"]*"|[-\w.$]+)'
_NAMED_TYPE = re.compile(rf"^(?P<name>%{_NAME}) = type (?P<body>.*)$")
_GLOBAL = re.compile(rf"^(?P<name>@{_NAME}) = .*?\b(?P<kind>global|constant) (?P<rest>.*)$")
_DEFINE = re.compile(rf"^define .*?@(?P<name>{_NAME})\((?P<parameters>.*)\)[^()]*\{{$")
_PARAMETER = re.compile(rf"^(?P<type>\S+)\b.*(?P<name>%{_NAME})$")
_LABEL = re.compile(rf"^(?P<label>{_NAME}):")
_RESULT = re.compile(rf"^(?P<result>%{_NAME}) = (?P<rest>.*)$")
_METADATA = re.compile(r"(?:, |\s)!(?P<kind>[\w.]+) !(?P<number>\d+)")
_VALUE = re.compile(
    rf"(?P<value>[%@]{_NAME}|-?\d+|true|false|null|undef|poison|zeroinitializer|getelementptr [^(]*\(.*\))$"
)
_FLAGS = frozenset(
    ["nuw", "nsw", "exact", "nneg", "samesign", "inbounds", "nusw", "volatile", "tail", "musttail", "notail", "fastcc"]
)
_BINARY = frozenset(["add", "sub", "mul", "udiv", "sdiv", "urem", "srem", "and", "or", "xor", "shl", "lshr", "ashr"])
_CASTS = frozenset(["zext", "sext", "trunc", "bitcast", "ptrtoint", "inttoptr"])
_FIXED: dict[str, Operand] = {
    "true": 1, "false": 0, "null": 0, "zeroinitializer": 0, "undef": None, "poison": None,
}  # fmt: skip


def parse_module(text: str) -> Module:
    """Raises AebertError naming the line when there is something that no kernel has."""
    return _ModuleParser(text.splitlines()).parse()


def split_commas(text: str) -> list[str]:
    """Parts of ``text`` between commas outside of brackets."""
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    last = text[begin:].strip()
    return [*parts, last] if last else parts


@dataclass
class _ModuleParser:
    lines: list[str]
    types: TypeParser = field(init=False)

    def __post_init__(self) -> None:
        named = (_NAMED_TYPE.match(line) for line in self.lines if line.startswith("%"))
        self.types = TypeParser({found["name"]: found["body"] for found in named if found})

    def parse(self) -> Module:
        functions, storages = [], {}
        slots: dict[str, dict[str, IrVariable]] = {}
        at = 0
        while at < len(self.lines):
            line = self.lines[at]
            if line.startswith("@") and (found := _GLOBAL.match(line)):
                kind, content = self.types.split(found["rest"])
                constant = found["kind"] == "constant"
                bounds = _bounds(content) if constant else None
                storages[found["name"]] = _storage(found["name"], kind, constant, bounds)
            elif line.startswith("define ") and (found := _DEFINE.match(_without_metadata(line))):
                end = self.lines.index("}", at)
                function, own = self._function(found, self.lines[at + 1 : end])
                functions.append(function)
                slots[function.name] = own
                at = end
            at += 1
        return Module(tuple(functions), storages, slots, parse_lines(self.lines))

    def _function(self, head: re.Match[str], body: list[str]) -> tuple[IrFunction, dict[str, IrVariable]]:
        parameters = tuple(
            (found["name"], self.types.parse(found["type"]).bits)
            for text in split_commas(head["parameters"])
            if (found := _PARAMETER.match(text))
        )
        name = head["name"].strip('"')
        blocks: dict[str, BasicBlock] = {}
        slots: dict[str, IrVariable] = {}
        label, instructions = "entry", list[Instruction]()
        for line in _joined(body):
            if found := _LABEL.match(line):
                if instructions:
                    blocks[label] = BasicBlock(label, tuple(instructions))
                label, instructions = found["label"].strip('"'), []
            elif line.strip() and not line.lstrip().startswith((";", "#dbg")):
                read = self._instruction(line.strip())
                if isinstance(read, IrVariable):
                    slots[read.name] = read
                else:
                    instructions.append(read)
        blocks[label] = BasicBlock(label, tuple(instructions))
        return IrFunction(name, parameters, blocks), slots

    def _instruction(self, line: str) -> Instruction | IrVariable:
        debug = next((int(found["number"]) for found in _METADATA.finditer(line) if found["kind"] == "dbg"), None)
        text = _without_metadata(line)
        result = ""
        if found := _RESULT.match(text):
            result, text = found["result"], found["rest"]
        opcode, _, rest = text.partition(" ")
        while opcode in _FLAGS:
            opcode, _, rest = rest.partition(" ")
        if opcode == "alloca":
            kind, _ = self.types.split(rest)
            return _storage(result, kind, constant=False)
        reader = self._reader(opcode)
        if reader is None:
            raise AebertError(f"LLVM instruction {line!r}: not known to the scheduler's front end")
        return reader(opcode, result, _without_flags(rest), debug)

    def _reader(self, opcode: str) -> Callable[[str, str, str, int | None], Instruction] | None:
        if opcode in _BINARY:
            return self._binary
        if opcode in _CASTS:
            return self._cast
        readers = {
            "icmp": self._compare, "select": self._select, "phi": self._phi, "br": self._branch,
            "switch": self._switch, "load": self._load, "store": self._store, "getelementptr": self._address,
            "call": self._call, "freeze": self._freeze, "ret": self._end, "unreachable": self._end,
        }  # fmt: skip
        return readers.get(opcode)

    def _typed(self, text: str) -> tuple[Type, Operand]:
        kind, rest = self.types.split(text)
        return kind, self._operand(rest.strip())

    def _operand(self, text: str) -> Operand:
        found = _VALUE.search(text)
        if found is None:
            raise AebertError(f"LLVM operand {text!r}: not known to the scheduler's front end")
        value = found["value"]
        if value[0] in "%@":
            return value
        if value.startswith("getelementptr"):
            return self._constant_address(value)
        fixed: dict[str, Operand] = {
            "true": 1,
            "false": 0,
            "null": 0,
            "zeroinitializer": 0,
            "undef": None,
            "poison": None,
        }
        return fixed[value] if value in fixed else int(value)

    def _constant_address(self, text: str) -> Operand:
        inside = text[text.index("(") + 1 : -1]
        kind, base, *indices = split_commas(inside)
        start = self._operand(base.removeprefix("ptr "))
        strides, offset, variables = self._steps(self.types.parse(kind), indices)
        if variables or strides:
            raise AebertError(f"LLVM constant {text!r}: has an index that is no constant")
        if isinstance(start, Address):
            return Address(start.base, start.offset + offset)
        return Address(str(start), offset)

    def _steps(self, kind: Type, indices: list[str]) -> tuple[list[int], int, list[Operand]]:
        """Strides, constant bytes and variable indices of an address computation."""
        strides: list[int] = []
        variables: list[Operand] = []
        offset = 0
        current = kind
        for number, text in enumerate(indices):
            _, index = self._typed(text)
            if number == 0:
                step = current.size
            elif current.element is not None:
                current = current.element
                step = current.size
            else:
                offset += current.field_offset(int(str(index)))
                current = current.fields[int(str(index))]
                continue
            if isinstance(index, int):
                offset += index * step
            else:
                strides.append(step)
                variables.append(index)
        return strides, offset, variables

    def _binary(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        # An "or" of bits that are never both set only joins words.
        disjoint = "disjoint" if rest.startswith("disjoint ") else ""
        left, right = split_commas(rest.removeprefix("disjoint "))
        kind, first = self._typed(left)
        return Instruction(opcode, result, kind.bits, (first, self._operand(right)), kind.bits, debug, disjoint)

    def _cast(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        source, _, target = rest.rpartition(" to ")
        kind, value = self._typed(source)
        return Instruction(opcode, result, self.types.parse(target).bits, (value,), kind.bits, debug)

    def _freeze(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        kind, value = self._typed(rest)
        return Instruction(opcode, result, kind.bits, (value,), kind.bits, debug)

    def _compare(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        predicate, _, operands = rest.partition(" ")
        left, right = split_commas(operands)
        kind, first = self._typed(left)
        return Instruction(opcode, result, 1, (first, self._operand(right)), kind.bits, debug, predicate)

    def _select(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        condition, *arms = (self._typed(part) for part in split_commas(rest))
        kind = arms[0][0]
        return Instruction(opcode, result, kind.bits, (condition[1], arms[0][1], arms[1][1]), kind.bits, debug)

    def _phi(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        kind, incoming = self.types.split(rest)
        values, labels = [], []
        for pair in split_commas(incoming):
            value, label = split_commas(pair.strip("[] "))
            values.append(self._operand(value))
            labels.append(label.removeprefix("%").strip('"'))
        return Instruction(opcode, result, kind.bits, tuple(values), kind.bits, debug, labels=tuple(labels))

    def _branch(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        parts = split_commas(rest)
        labels = tuple(part.removeprefix("label %").strip('"') for part in parts if part.startswith("label "))
        condition = (self._operand(parts[0]),) if len(parts) > 1 else ()
        return Instruction(opcode, operands=condition, operand_bits=len(condition), debug=debug, labels=labels)

    def _switch(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        head, _, table = rest.partition("[")
        value, default = split_commas(head)
        kind, operand = self._typed(value)
        labels, cases = [default.removeprefix("label %").strip('"')], []
        for found in re.finditer(rf"i\d+ (-?\d+), label %({_NAME})", table):
            cases.append(int(found[1]))
            labels.append(found[2].strip('"'))
        return Instruction(
            opcode, operands=(operand,), operand_bits=kind.bits, debug=debug, labels=tuple(labels), cases=tuple(cases)
        )

    def _load(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        kind, address, *_ = split_commas(rest)
        bits = self.types.parse(kind).bits
        return Instruction(opcode, result, bits, (self._typed(address)[1],), bits, debug)

    def _store(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        value, address, *_ = split_commas(rest)
        kind, stored = self._typed(value)
        return Instruction(opcode, "", 0, (stored, self._typed(address)[1]), kind.bits, debug)

    def _address(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        kind, base, *indices = split_commas(rest)
        strides, offset, variables = self._steps(self.types.parse(kind), indices)
        operands = (self._typed(base)[1], *variables)
        return Instruction(opcode, result, 64, operands, 64, debug, strides=tuple(strides), offset=offset)

    def _call(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        callee = re.search(rf"@(?P<name>{_NAME})\(", rest)
        if callee is None:
            raise AebertError(f"LLVM call {rest!r}: calls no function by name")
        inside = rest[callee.end() : rest.rindex(")")]
        operands = tuple(self._typed(argument)[1] for argument in split_commas(inside))
        bits = next((int(found[1]) for found in re.finditer(r"\bi(\d+) $", rest[: callee.start()])), 0)
        return Instruction(opcode, result, bits, operands, bits, debug, callee=callee["name"].strip('"'))

    def _end(self, opcode: str, result: str, rest: str, debug: int | None) -> Instruction:
        return Instruction(opcode, debug=debug)


def _without_flags(text: str) -> str:
    first, _, rest = text.partition(" ")
    while first in _FLAGS:
        text = rest
        first, _, rest = text.partition(" ")
    return text


def _without_metadata(line: str) -> str:
    return _METADATA.sub("", line)


def _joined(body: list[str]) -> Iterator[str]:
    """A switch is printed over several lines."""
    waiting: list[str] = []
    for line in body:
        if waiting or ((" switch " in line or line.lstrip().startswith("switch ")) and line.rstrip().endswith("[")):
            waiting.append(line.strip())
            if line.lstrip().startswith("]"):
                yield " ".join(waiting)
                waiting = []
        else:
            yield line


def _bounds(content: str) -> tuple[int, int] | None:
    """Of the numbers of an initialiser. A string of bytes is read as unsigned."""
    values = [int(found[1]) for found in re.finditer(r"\bi\d+ (-?\d+)", content)]
    for text in re.findall(r'c"([^"]*)"', content):
        values += [
            int(found[1:], 16) if len(found) == 3 else ord(found[-1])
            for found in re.findall(r"\\[0-9A-F]{2}|\\\\|[^\\]", text)
        ]
    if "zeroinitializer" in content:
        values.append(0)
    return (min(values), max(values)) if values else None


def _storage(name: str, kind: Type, constant: bool, bounds: tuple[int, int] | None = None) -> IrVariable:
    shape = []
    element = kind
    while element.element is not None:
        shape.append(element.count)
        element = element.element
    return IrVariable(name, kind.size, tuple(shape), element.size, constant, bounds)
