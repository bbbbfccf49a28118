"""The tables of a board's TOML file; docs/boards.md says what each field means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from aebert.support.checked_files import FileTable, PlainText, between

Flow = Literal["vitis", "vivado"]
Family = Literal["UltraScale+", "Zynq UltraScale+", "Zynq-7000", "Versal"]
MemoryKind = Literal["DDR", "HBM", "PS-DDR"]
DspKind = Literal["DSP48E1", "DSP48E2", "DSP58"]
SourceKind = Literal["document", "tool", "code", "derived", "assumption"]


@dataclass(frozen=True)
class NameRule:
    """What a name may be that stands in a Makefile, Tcl or v++'s configuration, where other characters would begin
    commands and options."""

    pattern: re.Pattern[str]
    wanted: str

    def problem(self, text: str) -> str | None:
        """What is wrong with ``text``, if anything is."""
        return None if self.pattern.fullmatch(text) else f"must be {self.wanted}"


BOARD_NAME = NameRule(re.compile(r"[a-z0-9]+(-[a-z0-9]+)*"), "lower-case letters, digits and single hyphens")
PART = NameRule(re.compile(r"[a-z0-9]+(-[A-Za-z0-9]+)+"), "a full part number such as xcu200-fsgd2104-2-e")
PLATFORM = NameRule(re.compile(r"[A-Za-z0-9_./+-]+"), "a name or path of letters, digits and _./+-")
SLR_NAME = NameRule(re.compile(r"[A-Za-z0-9_]+"), "letters, digits and _")
BANK_TAG = NameRule(re.compile(r"[A-Za-z0-9_]+(\[[0-9]+\])?"), "letters, digits and _, and a number in brackets")
INDEX = "{index}"  # in a bank's tag
_MAX_BANKS = 256


def _named(rule: NameRule) -> AfterValidator:
    def check(text: str) -> str:
        problem = rule.problem(text.replace(INDEX, "0") if rule is BANK_TAG else text)
        if problem is not None:
            raise PydanticCustomError("name", "{problem}", {"problem": problem})
        return text

    return AfterValidator(check)


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise PydanticCustomError("power", "must be a power of two")
    return value


Count = Annotated[int, between(0, 100_000_000)]
Bandwidth = Annotated[float, between(0.1, 100_000)]


class ResourcesTable(FileTable):
    lut: Count
    ff: Count
    dsp: Count
    bram36: Count
    uram: Count


class SlrTable(FileTable):
    name: Annotated[PlainText, _named(SLR_NAME)]
    total: ResourcesTable
    available: ResourcesTable


class BankTable(FileTable):
    """One bank, or ``count`` alike whose tags hold ``{index}``, counted from 0."""

    tag: Annotated[PlainText, _named(BANK_TAG)]
    count: Annotated[int, between(1, _MAX_BANKS)] = 1
    slr: int
    size_mib: Annotated[int, between(1, 1 << 24)]
    bandwidth_gb_s: Bandwidth


class MemoryTable(FileTable):
    kind: MemoryKind
    shared: bool
    bandwidth_gb_s: Bandwidth
    axi_data_bits: Annotated[int, between(32, 1024), AfterValidator(_power_of_two)]
    bank: Annotated[list[BankTable], Field(min_length=1)]


class SourceTable(FileTable):
    kind: SourceKind
    text: PlainText


class SourcesTable(FileTable):
    """Groups of figures; each must say where it comes from."""

    part: SourceTable
    platform: SourceTable
    clock: SourceTable
    total: SourceTable
    available: SourceTable
    memory: SourceTable
    bandwidth: SourceTable
    connectivity: SourceTable
    wires_between_dies: SourceTable | None = None


class BoardTable(FileTable):
    name: Annotated[PlainText, _named(BOARD_NAME)]
    title: PlainText
    part: Annotated[PlainText, _named(PART)]
    family: Family
    flow: Flow
    platform: Annotated[PlainText, _named(PLATFORM)] | None = None
    clock_mhz: Annotated[float, between(50, 800)]
    dsp: DspKind
    slr: Annotated[list[SlrTable], Field(min_length=1)]
    wires_between_dies: Annotated[int, between(1, 1 << 20)] | None = None
    memory: MemoryTable
    sources: SourcesTable
