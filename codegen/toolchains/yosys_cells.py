"""What Yosys' cells of a Xilinx family come to: LUTs, flip-flops, DSP slices, block RAM and UltraRAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from aebert.support.errors import AebertError

# Cells of synth_xilinx in LUTs. A distributed RAM takes as many as its ports need (UG974, UG953); an inverter that is
# left over is a LUT of its own here, which Vivado would join with its neighbour.
_LUTS: Mapping[str, int] = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "INV": 1,
    "SRL16": 1, "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8,
    "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
}  # fmt: skip
_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE", "LDCE", "LDPE")
_DSP = ("DSP48E1", "DSP48E2")
_BRAM_18K: Mapping[str, int] = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}
_URAM = ("URAM288", "URAM288_BASE")
# Beside the LUTs of the same slice, or nothing at all in the fabric.
_FREE = ("CARRY4", "CARRY8", "MUXF5", "MUXF6", "MUXF7", "MUXF8", "MUXF9", "GND", "VCC", "$scopeinfo")


@dataclass(frozen=True)
class YosysCount:
    """``bram_18k``: halves of a block RAM tile."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram_18k: int = 0
    uram: int = 0

    def __add__(self, other: YosysCount) -> YosysCount:
        return YosysCount(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def times(self, number: int) -> YosysCount:
        return YosysCount(*(number * count for count in astuple(self)))


def module_name(name: str) -> str:
    """As Yosys names a module that has no parameters."""
    return f"\\{name}"


def count_cells(cells: Mapping[str, int], modules: Mapping[str, Mapping[str, int]]) -> YosysCount:
    """Of ``cells`` of a module; ``modules`` are what some of them may be.

    Raises AebertError for a cell that it does not know.
    """
    total = YosysCount()
    for name, number in cells.items():
        kind = name.removesuffix("_1")  # clocked by the other edge
        inner = modules.get(name, modules.get(module_name(name)))
        if inner is not None:
            total += count_cells(inner, modules).times(number)
        elif kind in _LUTS:
            total += YosysCount(lut=_LUTS[kind] * number)
        elif kind in _FLIP_FLOPS:
            total += YosysCount(ff=number)
        elif kind in _DSP:
            total += YosysCount(dsp=number)
        elif kind in _BRAM_18K:
            total += YosysCount(bram_18k=_BRAM_18K[kind] * number)
        elif kind in _URAM:
            total += YosysCount(uram=number)
        elif kind not in _FREE:
            raise AebertError(f"Yosys used {number} cells {name}, which nothing here counts; please report the project")
    return total
