"""Boards: what an FPGA board offers a design, read from one TOML file each, every figure with its source.

The files that ship lie in ``boards/``; docs/boards.md says what each field means and how to write one's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

from aebert.errors import AebertError
from aebert.toml_table import TomlTable, parse_toml, read_toml

Flow = Literal["vitis", "vivado"]
Family = Literal["UltraScale+", "Zynq UltraScale+", "Zynq-7000", "Versal"]
MemoryKind = Literal["DDR", "HBM", "PS-DDR"]
DspKind = Literal["DSP48E1", "DSP48E2", "DSP58"]
SourceKind = Literal["document", "tool", "code", "derived", "assumption"]

# Widths of the signed multiplier: UG479 (DSP48E1), UG579 (DSP48E2), AM004 (DSP58).
_MULTIPLIER_BITS: Mapping[DspKind, tuple[int, int]] = {
    "DSP48E1": (25, 18),
    "DSP48E2": (27, 18),
    "DSP58": (27, 24),
}

# Groups of figures; each must say where it comes from.
SOURCE_KEYS = (
    "part",
    "platform",
    "clock",
    "total",
    "available",
    "memory",
    "bandwidth",
    "connectivity",
)

_BOARD_PACKAGE = "aebert.board_files"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PART = re.compile(r"[a-z0-9]+(-[A-Za-z0-9]+)+")
_INDEX = "{index}"
_MAX_BANKS = 256


@dataclass(frozen=True)
class Resources:
    """Counts of LUTs, flip-flops, DSP slices, block RAM tiles of 36 Kb and UltraRAM blocks of 288 Kb."""

    lut: int
    ff: int
    dsp: int
    bram36: int
    uram: int

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Resources) -> Resources:
        return Resources(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


NO_RESOURCES = Resources(0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Slr:
    """One die of the device. ``available`` is what the platform's shell leaves of ``total`` for kernels."""

    name: str
    total: Resources
    available: Resources


@dataclass(frozen=True)
class MemoryBank:
    """One target for a kernel's AXI port. ``tag`` is v++'s name for it (``--connectivity.sp``)."""

    tag: str
    slr: int
    size_mib: int
    bandwidth_gb_s: float


@dataclass(frozen=True)
class Memory:
    """Off-chip memory.

    ``bandwidth_gb_s`` is the peak of all banks together, in 10^9 bytes per second. ``shared`` says that the banks are
    ports to one and the same memory. ``axi_data_bits`` is the widest path from a kernel's port to a bank, once per
    cycle of the kernel's clock.
    """

    kind: MemoryKind
    bandwidth_gb_s: float
    axi_data_bits: int
    shared: bool
    banks: tuple[MemoryBank, ...]

    @property
    def size_mib(self) -> int:
        sizes = [bank.size_mib for bank in self.banks]
        return max(sizes) if self.shared else sum(sizes)


@dataclass(frozen=True)
class Source:
    """Where figures come from. ``assumption`` marks the ones that nothing published was found for."""

    kind: SourceKind
    text: str


@dataclass(frozen=True)
class Board:
    """An FPGA board with the platform that designs for it are built on.

    ``flow`` is ``vitis`` where v++ links kernels against ``platform``, ``vivado`` where a block design does
    (``platform`` is then None). ``clock_mhz`` is the kernel clock that designs aim at. ``sources`` has every key of
    ``SOURCE_KEYS``.
    """

    name: str
    title: str
    part: str
    family: Family
    flow: Flow
    platform: str | None
    clock_mhz: float
    dsp: DspKind
    slrs: tuple[Slr, ...]
    memory: Memory
    sources: Mapping[str, Source]

    @property
    def total(self) -> Resources:
        return sum((slr.total for slr in self.slrs), NO_RESOURCES)

    @property
    def available(self) -> Resources:
        """What a design may use: the device without the platform's shell."""
        return sum((slr.available for slr in self.slrs), NO_RESOURCES)

    @property
    def shell(self) -> Resources:
        """What the platform takes for itself."""
        return self.total - self.available

    @property
    def dsp_multiplier_bits(self) -> tuple[int, int]:
        """Widths of the two signed factors of one DSP slice; UG479, UG579, AM004."""
        return _MULTIPLIER_BITS[self.dsp]

    def port_bandwidth_gb_s(self, bank: MemoryBank, clock_mhz: float) -> float:
        """The most that one AXI port at ``clock_mhz`` moves to or from ``bank`` in one direction, in 10^9 bytes/s."""
        return min(bank.bandwidth_gb_s, self.memory.axi_data_bits / 8 * clock_mhz / 1000)


def board_names() -> tuple[str, ...]:
    """Names of the boards that ship with the toolkit, sorted."""
    files = resources.files(_BOARD_PACKAGE).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_board(name_or_path: str | Path) -> Board:
    """The board of that name (see ``board_names``), or the one described by a ``.toml`` file of the user's own.

    Raises ``AebertError`` for an unknown name, and for a file with a missing, misspelt or impossible field.
    """
    given = str(name_or_path)
    if isinstance(name_or_path, Path) or given.endswith(".toml"):
        return _read_board(read_toml(Path(given)))
    name = given.lower()
    known = board_names()
    # The name is looked up in a list and never joined to a path before that: "../x" is just an unknown name.
    if name not in known:
        raise AebertError(
            f"board {given!r} is not known; there are {', '.join(known)}, or give the path of a .toml file"
        )
    content = (resources.files(_BOARD_PACKAGE) / f"{name}.toml").read_bytes()
    return _read_board(parse_toml(content, f"boards/{name}.toml"))


def _read_board(table: TomlTable) -> Board:
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.error("name", f"must be lower-case letters, digits and single hyphens, not {name!r}")
    part = table.text("part")
    if not _PART.fullmatch(part):
        raise table.error("part", f"must be a full part number such as xcu200-fsgd2104-2-e, not {part!r}")
    flow: Flow = table.choice("flow", get_args(Flow))
    if flow == "vivado" and table.has("platform"):
        raise table.error("platform", "is for v++ only; remove it, or set flow to vitis")
    slrs = tuple(_read_slr(entry) for entry in table.tables("slr"))
    board = Board(
        name=name,
        title=table.text("title"),
        part=part,
        family=table.choice("family", get_args(Family)),
        flow=flow,
        platform=table.text("platform") if flow == "vitis" else None,
        clock_mhz=table.number("clock_mhz", 50, 800),
        dsp=table.choice("dsp", get_args(DspKind)),
        slrs=slrs,
        memory=_read_memory(table.table("memory"), len(slrs)),
        sources=_read_sources(table.table("sources")),
    )
    table.finish()
    return board


def _read_resources(table: TomlTable) -> Resources:
    counts = Resources(*(table.integer(count.name, 0, 100_000_000) for count in fields(Resources)))
    table.finish()
    return counts


def _read_slr(table: TomlTable) -> Slr:
    slr = Slr(table.text("name"), _read_resources(table.table("total")), _read_resources(table.table("available")))
    table.finish()
    for count in fields(Resources):
        available, total = getattr(slr.available, count.name), getattr(slr.total, count.name)
        if available > total:
            raise table.error(
                f"available.{count.name}", f"must not exceed total.{count.name} = {total}, not {available}"
            )
    return slr


def _read_memory(table: TomlTable, slr_count: int) -> Memory:
    kind: MemoryKind = table.choice("kind", get_args(MemoryKind))
    shared = table.flag("shared")
    bandwidth_gb_s = table.number("bandwidth_gb_s", 0.1, 100_000)
    axi_data_bits = table.integer("axi_data_bits", 32, 1024)
    if axi_data_bits & (axi_data_bits - 1):
        raise table.error("axi_data_bits", f"must be a power of two, not {axi_data_bits}")
    banks = tuple(bank for entry in table.tables("bank") for bank in _read_banks(entry, slr_count))
    table.finish()
    tags = [bank.tag for bank in banks]
    repeated = sorted({tag for tag in tags if tags.count(tag) > 1})
    if repeated:
        raise table.error("bank", f"tag {repeated[0]!r} is given twice; every bank needs its own")
    together = max(bank.bandwidth_gb_s for bank in banks) if shared else sum(bank.bandwidth_gb_s for bank in banks)
    if bandwidth_gb_s > together * 1.001:
        raise table.error(
            "bandwidth_gb_s", f"must not exceed what the banks give, {together:g}, not {bandwidth_gb_s:g}"
        )
    return Memory(kind, bandwidth_gb_s, axi_data_bits, shared, banks)


def _read_banks(table: TomlTable, slr_count: int) -> list[MemoryBank]:
    """One bank, or ``count`` alike whose tags hold ``{index}``, counted from 0."""
    tag = table.text("tag")
    count = table.integer("count", 1, _MAX_BANKS) if table.has("count") else 1
    if count > 1 and _INDEX not in tag:
        raise table.error("tag", f"must hold {_INDEX} as count is {count}, not {tag!r}")
    slr = table.integer("slr", 0, slr_count - 1)
    size_mib = table.integer("size_mib", 1, 1 << 24)
    bandwidth_gb_s = table.number("bandwidth_gb_s", 0.1, 100_000)
    table.finish()
    return [MemoryBank(tag.replace(_INDEX, str(i)), slr, size_mib, bandwidth_gb_s) for i in range(count)]


def _read_sources(table: TomlTable) -> Mapping[str, Source]:
    sources = {key: _read_source(table.table(key)) for key in SOURCE_KEYS}
    table.finish()
    return sources


def _read_source(table: TomlTable) -> Source:
    source = Source(table.choice("kind", get_args(SourceKind)), table.text("text"))
    table.finish()
    return source
