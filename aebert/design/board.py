"""Boards: what an FPGA board offers a design, read from one TOML file each, every figure with its source.

The files that ship lie in ``boards/``; docs/boards.md says what each field means and how to write one's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from importlib import resources
from pathlib import Path

from aebert.design.board_file import (
    BANK_TAG,
    BOARD_NAME,
    INDEX,
    PART,
    PLATFORM,
    SLR_NAME,
    BankTable,
    BoardTable,
    DspKind,
    Family,
    Flow,
    MemoryKind,
    MemoryTable,
    NameRule,
    SlrTable,
    SourceKind,
    SourcesTable,
)
from aebert.support.checked_files import check_fields
from aebert.support.errors import AebertError
from aebert.support.input_files import quoted
from aebert.support.toml_file import parse_toml, read_toml

# Widths of the signed multiplier: UG479 (DSP48E1), UG579 (DSP48E2), AM004 (DSP58).
_MULTIPLIER_BITS: Mapping[DspKind, tuple[int, int]] = {
    "DSP48E1": (25, 18),
    "DSP48E2": (27, 18),
    "DSP58": (27, 24),
}

SOURCE_KEYS = tuple(name for name, field in SourcesTable.model_fields.items() if field.is_required())

_BOARD_PACKAGE = "aebert.board_files"


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
class FigureSource:
    """Where figures come from. ``assumption`` marks the ones that nothing published was found for."""

    kind: SourceKind
    text: str


@dataclass(frozen=True)
class Board:
    """An FPGA board with the platform that designs for it are built on.

    ``wires_between_dies``: wires from each die to the next, shared with the platform; None where no figure was found.
    ``flow`` is ``vitis`` where v++ links kernels against ``platform``, ``vivado`` where a block design does
    (``platform`` is then None). ``clock_mhz`` is the kernel clock that designs aim at. ``sources`` has every key of
    ``SOURCE_KEYS``, and one for what may be missing where that is given.
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
    wires_between_dies: int | None
    memory: Memory
    sources: Mapping[str, FigureSource]

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


def check_names(board: Board) -> None:
    """Raises AebertError for a name of ``board`` that generated scripts must not hold; the title is a comment there."""
    for field, text, rule in _names(board):
        problem = rule.problem(text)
        if problem is not None:
            raise AebertError(f"board {quoted(board.name)}: {field} {problem}, not {quoted(text)}")


def _names(board: Board) -> Iterator[tuple[str, str, NameRule]]:
    yield "name", board.name, BOARD_NAME
    yield "part", board.part, PART
    if board.platform is not None:
        yield "platform", board.platform, PLATFORM
    for slr in board.slrs:
        yield "slr name", slr.name, SLR_NAME
    for bank in board.memory.banks:
        yield "bank tag", bank.tag, BANK_TAG


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
        return read_board(read_toml(Path(given)), given)
    name = given.lower()
    known = board_names()
    # The name is looked up in a list and never joined to a path before that: "../x" is just an unknown name.
    if name not in known:
        raise AebertError(
            f"board {given!r} is not known; there are {', '.join(known)}, or give the path of a .toml file"
        )
    content = (resources.files(_BOARD_PACKAGE) / f"{name}.toml").read_bytes()
    file = f"boards/{name}.toml"
    return read_board(parse_toml(content, file), file)


def read_board(table: Mapping[str, object], file: str) -> Board:
    """The board that ``table``, read from ``file``, describes. Raises AebertError that names file and field."""
    board = check_fields(BoardTable, table, file)
    if board.flow == "vitis" and board.platform is None:
        raise _error(file, "platform", "is missing; add it")
    if board.flow == "vivado" and board.platform is not None:
        raise _error(file, "platform", "is for v++ only; remove it, or set flow to vitis")
    if (board.wires_between_dies is None) != (board.sources.wires_between_dies is None):
        raise _error(file, "wires_between_dies", "stands with sources.wires_between_dies; give both or neither")
    if board.wires_between_dies is not None and len(board.slr) == 1:
        raise _error(file, "wires_between_dies", "is for devices of several dies; remove it")
    slrs = tuple(_slr(slr, f"slr[{number}]", file) for number, slr in enumerate(board.slr))
    return Board(
        name=board.name,
        title=board.title,
        part=board.part,
        family=board.family,
        flow=board.flow,
        platform=board.platform,
        clock_mhz=board.clock_mhz,
        dsp=board.dsp,
        slrs=slrs,
        wires_between_dies=board.wires_between_dies,
        memory=_memory(board.memory, len(slrs), file),
        sources={key: FigureSource(each.kind, each.text) for key, each in board.sources if each is not None},
    )


def _error(file: str, field: str, problem: str) -> AebertError:
    return AebertError(f"{file}: field {field}: {problem}")


def _slr(slr: SlrTable, field: str, file: str) -> Slr:
    total, available = Resources(**dict(slr.total)), Resources(**dict(slr.available))
    for count in fields(Resources):
        free, most = getattr(available, count.name), getattr(total, count.name)
        if free > most:
            raise _error(
                file, f"{field}.available.{count.name}", f"must not exceed total.{count.name} = {most}, not {free}"
            )
    return Slr(slr.name, total, available)


def _memory(memory: MemoryTable, slr_count: int, file: str) -> Memory:
    banks = tuple(
        bank
        for number, entry in enumerate(memory.bank)
        for bank in _banks(entry, slr_count, f"memory.bank[{number}]", file)
    )
    tags = [bank.tag for bank in banks]
    repeated = sorted({tag for tag in tags if tags.count(tag) > 1})
    if repeated:
        raise _error(file, "memory.bank", f"tag {repeated[0]!r} is given twice; every bank needs its own")
    each = [bank.bandwidth_gb_s for bank in banks]
    together = max(each) if memory.shared else sum(each)
    if memory.bandwidth_gb_s > together * 1.001:
        raise _error(
            file,
            "memory.bandwidth_gb_s",
            f"must not exceed what the banks give, {together:g}, not {memory.bandwidth_gb_s:g}",
        )
    return Memory(memory.kind, memory.bandwidth_gb_s, memory.axi_data_bits, memory.shared, banks)


def _banks(bank: BankTable, slr_count: int, field: str, file: str) -> list[MemoryBank]:
    if bank.count > 1 and INDEX not in bank.tag:
        raise _error(file, f"{field}.tag", f"must hold {INDEX} as count is {bank.count}, not {bank.tag!r}")
    if not 0 <= bank.slr < slr_count:
        raise _error(file, f"{field}.slr", f"must lie in 0..{slr_count - 1}, not {bank.slr}")
    return [
        MemoryBank(bank.tag.replace(INDEX, str(number)), bank.slr, bank.size_mib, bank.bandwidth_gb_s)
        for number in range(bank.count)
    ]
