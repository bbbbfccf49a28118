"""Ports of the RAMs of a process.

Its pieces never run at once, so what one of them does to a RAM shares the ports with what the others do: a RAM has as
many as the piece that needs most. Written apart, each access would be a port of its own, and no memory has that many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from codegen.rtl.texts import ReadPort, Write

T = TypeVar("T")


@dataclass
class RamPorts:
    """``new_name``: a name that nothing of the process has yet. Pieces go by their titles."""

    new_name: Callable[[str], str]
    _outputs: dict[str, list[str]] = field(default_factory=dict)
    _reads: dict[str, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)
    _writes: dict[str, dict[str, list[Write]]] = field(default_factory=dict)

    def read(self, ram: str, piece: str, active: str, address: str) -> str:
        """The register in which what lies at ``address`` while ``active`` holds is found in the next cycle."""
        mine = self._reads.setdefault(ram, {}).setdefault(piece, [])
        outputs = self._outputs.setdefault(ram, [])
        if len(mine) == len(outputs):
            outputs.append(self.new_name(f"{ram}_read"))
        mine.append((active, address))
        return outputs[len(mine) - 1]

    def write(self, ram: str, piece: str, write: Write) -> None:
        self._writes.setdefault(ram, {}).setdefault(piece, []).append(write)

    def read_ports(self, ram: str) -> list[ReadPort]:
        uses = _by_port(list(self._reads.get(ram, {}).values()))
        return [ReadPort(name, chosen(use)) for name, use in zip(self._outputs.get(ram, []), uses, strict=True)]

    def write_ports(self, ram: str) -> list[Write]:
        return [port for use in _by_port(list(self._writes.get(ram, {}).values())) for port in _shared(use)]


def _by_port(pieces: Sequence[Sequence[T]]) -> Iterator[list[T]]:
    """The first access of each piece, then the second, as far as there are any."""
    for number in range(max(map(len, pieces), default=0)):
        yield [accesses[number] for accesses in pieces if number < len(accesses)]


def _shared(writes: Sequence[Write]) -> Iterator[Write]:
    """One port, whose writes give data to each part of a row; apart where their parts overlap without being equal."""
    parts = sorted({(low, high) for write in writes for high, low, _ in write.parts})
    if len(writes) == 1 or any(low <= before for (_, before), (low, _) in pairwise(parts)):
        yield from writes
        return
    address = chosen([(write.enable, write.address) for write in writes])
    for low, high in parts:
        data = [(each.enable, text) for each in writes for *part, text in each.parts if part == [high, low]]
        yield Write(" | ".join(enable for enable, _ in data), address, ((high, low, chosen(data)),))


def chosen(choices: Sequence[tuple[str, str]]) -> str:
    """The text whose condition holds; the last one where none does."""
    *first, (_, last) = choices
    return "".join(f"{condition} ? {text} : " for condition, text in first) + last
