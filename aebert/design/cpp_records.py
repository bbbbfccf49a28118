"""Records of the kernel, described once: the C++ struct, its unpacker, the NumPy dtype and the bits follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Numbers = Mapping[str, Ints | int]  # widths and extents by name, of one design or of many


def constant(name: str, suffix: str = "") -> str:
    """``operand_row``, ``Bits`` -> ``kOperandRowBits``."""
    return "k" + "".join(part.capitalize() for part in name.split("_")) + suffix


def commented(lines: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Lines of code with the comment of each, if it has one; comments of lines that follow one another stand below one
    another, as clang-format puts them."""
    written: list[str] = []
    for has_note, run in groupby(lines, key=lambda line: bool(line[1])):
        block = list(run)
        width = max(len(code) for code, _ in block)
        written += [f"{code:<{width}}  // {note}" if has_note else code for code, note in block]
    return tuple(written)


@dataclass(frozen=True)
class Integer:
    """A whole integer of C++; ``bits`` is 8, 16 or 32."""

    bits: int
    signed: bool

    @property
    def cpp(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.bits}_t"

    @property
    def dtype(self) -> str:
        return f"<{'i' if self.signed else 'u'}{self.bits // 8}"

    def width(self, numbers: Numbers) -> Ints | int:
        return self.bits


@dataclass(frozen=True)
class Narrow:
    """An integer as wide as the constant of this name says (aebert.design.widths, aebert.design.data_widths)."""

    name: str
    signed: bool = False

    @property
    def cpp(self) -> str:
        return f"lane_{'' if self.signed else 'u'}int<{constant(self.name, 'Bits')}>"

    def width(self, numbers: Numbers) -> Ints | int:
        return numbers[self.name]


@dataclass(frozen=True)
class Bit:
    """One bit, under the C++ type ``cpp``."""

    cpp: str

    def width(self, numbers: Numbers) -> Ints | int:
        return 1


@dataclass(frozen=True)
class Field:
    """``extents`` names the sizes of an array, outermost first. ``note`` becomes the comment beside it."""

    name: str
    type: Integer | Narrow | Bit | Record
    note: str = ""
    extents: tuple[str, ...] = ()

    @property
    def declaration(self) -> str:
        arrays = "".join(f"[{constant(extent)}]" for extent in self.extents)
        return f"{self.type.cpp} {self.name}{arrays};"


@dataclass(frozen=True)
class Record:
    """A C++ struct that travels through a stream or lies in on-chip memory. ``note`` becomes the comment above it."""

    cpp: str
    fields: tuple[Field, ...]
    note: str = ""

    @property
    def declarations(self) -> tuple[str, ...]:
        return commented((field.declaration, field.note) for field in self.fields)

    def width(self, numbers: Numbers) -> Ints | int:
        """Bits, without padding; an array [designs] where ``numbers`` are of many."""
        total: Ints | int = 0
        for field in self.fields:
            bits = field.type.width(numbers)
            for extent in field.extents:
                bits = bits * numbers[extent]
            total = total + bits
        return total


@dataclass(frozen=True)
class Placed:
    """A field of a record in memory and its first byte."""

    name: str
    type: Integer
    offset: int


@dataclass(frozen=True)
class MemoryRecord(Record):
    """A record that also lies in the accelerator's memory: little-endian, its fields in their order, zeros up to
    ``bytes``. No field may be narrower than ``grain`` bytes, which is what the kernel's unpacker takes apart.

    Raises ValueError where C++ would lay the struct out otherwise.
    """

    bytes: int = 0
    grain: int = 1

    def __post_init__(self) -> None:
        widest = 1
        for field in self.placed:
            size = field.type.bits // 8
            widest = max(widest, size)
            if size < self.grain:
                raise ValueError(f"{self.cpp}.{field.name}: {size} bytes, the unpacker reads {self.grain} at least")
            if field.offset % size:
                raise ValueError(f"{self.cpp}.{field.name}: byte {field.offset} is no multiple of its {size} bytes")
        end = -(-self._end // widest) * widest
        if end != self.bytes:
            raise ValueError(f"{self.cpp}: its fields take {end} bytes of {self.bytes}")

    @property
    def placed(self) -> tuple[Placed, ...]:
        places, offset = [], 0
        for field in self.fields:
            if not isinstance(field.type, Integer) or field.extents:
                raise ValueError(f"{self.cpp}.{field.name}: only whole integers lie in memory")
            places.append(Placed(field.name, field.type, offset))
            offset += field.type.bits // 8
        return tuple(places)

    @property
    def _end(self) -> int:
        return sum(field.type.bits for field in self.placed) // 8

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The same bytes as a structured dtype; what lies behind the last field is ``padding``."""
        columns: list[tuple[str, npt.DTypeLike] | tuple[str, npt.DTypeLike, int]]
        columns = [(field.name, field.type.dtype) for field in self.placed]
        if behind := self.bytes - self._end:
            columns.append(("padding", "u1", behind))
        return np.dtype(columns)
