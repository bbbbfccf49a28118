"""One printed statement of a schedule report: LLVM as Vivado HLS prints it, or the flat form from 2020.1 on."""

from __future__ import annotations

import re

from aebert.hls_reports.schedule_model import ReportStatement, ReportValue

_RESULT = re.compile(r"^%(?P<name>\S+) = (?P<rest>.*)$", re.DOTALL)
_INTEGER_TYPE = re.compile(r"^i(\d+)$")
_FLOAT_BITS = {"half": 16, "float": 32, "double": 64}
_CONSTANT = re.compile(r"^-?\d+$|^-?\d+\.\d+(e[+-]?\d+)?$|^0x[0-9A-Fa-f]+$|^(true|false|undef|null)$")
_OLD_CALL = re.compile(
    r"^(?:fastcc )?(?P<type>\{.*?\}|\S+)(?: \([^)]*\)\*)? @(?P<function>[^(]+)\((?P<arguments>.*)\)", re.DOTALL
)
_OLD_PHI = re.compile(r"\[ (?P<value>[^,\]]+), %(?P<label>[^\]]+) \]")
_CONVERTED = re.compile(r" to [^ ]+$")  # trunc i32 %x to i16
_CONSTANT_ADDRESS = re.compile(r"getelementptr (?:inbounds )?\(.*?@(?P<array>[^,\s]+), (?P<indices>.*)\)")
_OPENING, _CLOSING = "([{<", ")]}>"


def split_top_level(text: str) -> list[str]:
    """Split at commas outside all brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth = max(0, depth - 1)
        elif char == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def type_bits(text: str) -> int:
    """Bits of an LLVM type; of an array its element; 0 when it has none."""
    text = text.rstrip("*")
    match = _INTEGER_TYPE.match(text)
    if match:
        return int(match.group(1))
    if text.startswith("[") and " x " in text:
        return type_bits(text.rsplit(" x ", 1)[1].rstrip("]*"))
    return _FLOAT_BITS.get(text, 0)


def _value(text: str, bits: int) -> ReportValue:
    if text[:1] in "%@" and text:
        return ReportValue(bits, text[1:], None, text[0] == "@")
    if re.fullmatch(r"-?\d+", text):
        return ReportValue(bits, "", int(text))
    return ReportValue(bits, "", 1 if text == "true" else 0)


def _operands(parts: list[str]) -> tuple[list[ReportValue], list[str]]:
    """Typed operands, and the labels among them. An operand without a type has that of the one before it."""
    values: list[ReportValue] = []
    labels: list[str] = []
    bits = 0
    for part in parts:
        if part.startswith(("label %", "void %")):
            labels.append(part.split("%", 1)[1])
            continue
        if part.startswith("align "):
            continue
        constant_address = _CONSTANT_ADDRESS.search(part)
        if constant_address:
            index = "+".join(re.findall(r" (-?\d+)(?:[,)]|$)", constant_address["indices"]))
            values.append(ReportValue(0, f"{constant_address['array']}_addr+{index}", None, True))
            continue
        kind, _, rest = _CONVERTED.sub("", part).rpartition(" ")
        if not kind and (part[:1] in "%@" or _CONSTANT.match(part)):
            values.append(_value(part, bits))
            continue
        if not kind:  # 2020.1 prints the type of a constant alone
            bits = type_bits(part)
            values.append(ReportValue(bits, "", 0))
            continue
        if kind == "void":
            continue
        bits = type_bits(kind.split(" ")[-1] if not kind.endswith(("]*", "]", "}", "}*")) else kind)
        values.append(_value(rest, bits))
    return values, labels


def parse_statement(opcode: str, text: str) -> ReportStatement:
    """Take a statement apart; ``opcode`` is the one that the report names behind it."""
    match = _RESULT.match(text)
    result, body = (match["name"], match["rest"]) if match else ("", text)
    word, _, rest = body.partition(" ")
    rest = rest.strip()
    if word == "call" and "(" in rest:
        return _old_call(result, rest)
    if opcode == "phi" and "[ " in rest:
        kind, _, pairs = rest.partition(" [")
        bits = type_bits(kind)
        incoming = _OLD_PHI.findall("[" + pairs)
        return ReportStatement(
            result, bits, "", tuple(_value(v.strip(), bits) for v, _ in incoming), tuple(label for _, label in incoming)
        )
    if word == "icmp" and "_" not in word:  # icmp eq i7 %a, %b
        rest = rest.partition(" ")[2]
    return _flat(result, opcode, rest)


def _old_call(result: str, rest: str) -> ReportStatement:
    match = _OLD_CALL.match(rest)
    if match is None:
        return ReportStatement(result, 0, "", (), ())
    values, _ = _operands(split_top_level(match["arguments"]))
    return ReportStatement(result, type_bits(match["type"]), match["function"].strip(), tuple(values), ())


def _flat(result: str, opcode: str, rest: str) -> ReportStatement:
    parts = split_top_level(rest)
    function, bits = "", 0
    if parts and " @" in f" {parts[0]}":
        head = parts.pop(0)
        kind, _, function = head.rpartition("@") if "<" not in head else head.partition("@")
        bits = type_bits(kind.strip())
    values, labels = _operands(parts)
    if not function and values:
        bits = 1 if opcode in ("icmp", "fcmp", "dcmp") else values[-1].bits if opcode == "select" else values[0].bits
    return ReportStatement(result, bits, function, tuple(values), tuple(labels))
