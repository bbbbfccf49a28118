"""Sizes of LLVM types as x86-64's data layout has them."""

from __future__ import annotations

from dataclasses import dataclass, field

from aebert.support.errors import AebertError
from codegen.schedule.frontend.ir import POINTER_BITS


@dataclass(frozen=True)
class Type:
    """``bits`` of an integer or pointer; ``element`` and ``count`` of an array; ``fields`` of a structure."""

    bits: int = 0
    element: Type | None = None
    count: int = 0
    fields: tuple[Type, ...] = ()
    packed: bool = False

    @property
    def alignment(self) -> int:
        if self.element is not None:
            return self.element.alignment
        if self.fields:
            return 1 if self.packed else max(each.alignment for each in self.fields)
        return min(16, _power_of_two(-(-self.bits // 8)))

    @property
    def size(self) -> int:
        """Bytes from one element of an array of these to the next."""
        if self.element is not None:
            return self.count * self.element.size
        if self.fields:
            return _aligned(self.field_offset(len(self.fields)), self.alignment)
        return _aligned(-(-self.bits // 8), self.alignment)

    def field_offset(self, number: int) -> int:
        """Bytes in front of field ``number``; behind the last field: all of them."""
        at = 0
        for index, each in enumerate(self.fields):
            at = at if self.packed else _aligned(at, each.alignment)
            if index == number:
                return at
            at += each.size
        return at


def _power_of_two(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()


def _aligned(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


@dataclass
class TypeParser:
    """Types by their text; ``named`` holds the module's structures, text behind ``type``."""

    named: dict[str, str]
    known: dict[str, Type] = field(default_factory=dict)

    def parse(self, text: str) -> Type:
        """Raises AebertError for what no kernel has: floating point, vectors."""
        found = self.known.get(text)
        if found is None:
            found, rest = self._parse(text)
            if rest.strip():
                raise AebertError(f"LLVM type {text!r}: not known to the scheduler's front end")
            self.known[text] = found
        return found

    def split(self, text: str) -> tuple[Type, str]:
        """The type at the beginning of ``text``, and what stands behind it."""
        return self._parse(text)

    def _parse(self, text: str) -> tuple[Type, str]:
        if text.startswith("ptr"):
            return Type(POINTER_BITS), text[3:]
        if text.startswith("void"):
            return Type(0), text[4:]
        if text.startswith("i") and text[1:2].isdigit():
            end = 1
            while text[end : end + 1].isdigit():
                end += 1
            return Type(int(text[1:end])), text[end:]
        if text.startswith("["):
            count, _, rest = text[1:].partition(" x ")
            element, rest = self._parse(rest)
            return Type(element=element, count=int(count)), rest.removeprefix("]")
        if text.startswith(("{", "<{")):
            packed = text.startswith("<")
            fields, rest = self._fields(text.removeprefix("<")[1:].lstrip())
            return Type(fields=fields, packed=packed), rest[1:] if packed else rest
        if text.startswith("%"):
            end = text.index('"', 2) + 1 if text.startswith('%"') else _word_end(text)
            return self.parse(self.named[text[:end]]), text[end:]
        raise AebertError(f"LLVM type {text!r}: not known to the scheduler's front end")

    def _fields(self, rest: str) -> tuple[tuple[Type, ...], str]:
        fields = []
        while not rest.startswith("}"):
            element, rest = self._parse(rest)
            fields.append(element)
            rest = rest.lstrip().removeprefix(",").lstrip()
        return tuple(fields), rest[1:]


def _word_end(text: str) -> int:
    end = 1
    while end < len(text) and (text[end].isalnum() or text[end] in "._-$"):
        end += 1
    return end
