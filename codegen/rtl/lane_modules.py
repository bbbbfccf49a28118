"""Takes the lanes of a process (`codegen.rtl.lanes`) out of its text: a module of their own, an instance for each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass

from codegen.rtl.lanes import Lanes, is_extension
from codegen.rtl.nodes import Literal, Outside, RtlNode, stage_text
from codegen.rtl.texts import InstanceText, LaneText, PieceText, ProcessText, RegisterText, Wire

_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_CLOCKED = (("clk", "clk"), ("go", "go"))


def move_lanes(process: ProcessText, found: Sequence[tuple[PieceText, Lanes]]) -> None:
    """``found``: pieces of ``process``, which have the text of everything, and the lanes in each."""
    modules = []
    for number, (piece, lanes) in enumerate(found):
        module = _cut(piece, lanes, f"{process.name}_lane{number or ''}")
        piece.lanes.append(module)
        modules.append((module, lanes))
    used = set(_identifiers(process))
    for module, lanes in modules:
        _connect(module, lanes, used)


def _cut(piece: PieceText, lanes: Lanes, name: str) -> LaneText:
    """The module, which is the first copy's text, and its instances so far with what enters them."""
    own = {each for node in lanes.copies[0] for each in _names(node)}
    everything = {each for copy in lanes.copies for node in copy for each in _names(node)}
    entries = [list(_entries(copy)) for copy in lanes.copies]
    first = {entry.inner: entry for entry in entries[0]}
    module = LaneText(
        name,
        len(lanes.copies),
        inputs=[RegisterText(entry.bits, inner) for inner, entry in first.items()],
        registers=[each for each in piece.registers if each.name in own],
        wires=[
            *(entry.widened for entry in first.values() if entry.widened is not None),
            *(each for each in piece.wires if each.name in own),
        ],
        assignments=[each for each in piece.assignments if each.target in own],
    )
    clocked = _CLOCKED if module.assignments else ()
    for number, copy in enumerate(entries):
        connections = {inner.inner: outer.outer for inner, outer in zip(entries[0], copy, strict=True)}
        module.instances.append(InstanceText(f"{name}_{number}", name, (*clocked, *connections.items())))
    piece.registers = [each for each in piece.registers if each.name not in everything]
    piece.wires = [each for each in piece.wires if each.name not in everything]
    piece.assignments = [each for each in piece.assignments if each.target not in everything]
    return module


def _connect(module: LaneText, lanes: Lanes, used: set[str]) -> None:
    """Results of the lanes that something else uses, in any of the copies."""
    copies = [[(each, node.bits) for node in copy for each in _names(node)] for copy in lanes.copies]
    for place, (inner, bits) in enumerate(copies[0]):
        outer = [copy[place][0] for copy in copies]
        if used.isdisjoint(outer):
            continue
        module.outputs.append(RegisterText(bits, inner))
        module.results += [RegisterText(bits, each) for each in outer]
        module.instances = [
            InstanceText(instance.name, instance.module, (*instance.connections, (inner, each)))
            for instance, each in zip(module.instances, outer, strict=True)
        ]


def _names(node: RtlNode) -> Iterator[str]:
    """Of its wire, and of the registers behind it."""
    yield node.name
    for delay in range(1, node.delays + 1):
        yield f"{node.name}_d{delay}"


@dataclass(frozen=True)
class _Entry:
    """What enters a lane: the ``outer`` text at the port ``inner``; ``widened``: what is made of it inside."""

    outer: str
    inner: str
    bits: int
    widened: Wire | None = None


def _entries(copy: Sequence[RtlNode]) -> Iterator[_Entry]:
    """In the order in which they are used."""
    inside = set(copy)
    for node in copy:
        for each in node.operands:
            if not isinstance(each, Literal) and not (isinstance(each, RtlNode) and each in inside):
                yield _entry(each, stage_text(each, node.stage))


def _entry(ref: Outside | RtlNode, text: str) -> _Entry:
    """An extended value enters as wide as it was before: a synthesiser must see which bits are copies."""
    if not isinstance(ref, RtlNode) or not is_extension(ref):
        return _Entry(text, text, ref.bits)
    bits, port = ref.operands[0].bits, f"{text}_low"
    return _Entry(f"{text}[{bits - 1}:0]", port, bits, Wire(ref.bits, text, ref.text([port]), ref.line))


def _identifiers(record: object) -> Iterator[str]:
    """In all texts of a record and what it holds, but not within lanes."""
    if isinstance(record, str):
        yield from _IDENTIFIER.findall(record)
    elif isinstance(record, LaneText):
        yield from _identifiers(record.instances)
    elif isinstance(record, (list, tuple)):
        for each in record:
            yield from _identifiers(each)
    elif is_dataclass(record) and not isinstance(record, type):
        for each in fields(record):
            yield from _identifiers(getattr(record, each.name))
