"""What a Vivado block design connects around the kernel, on the two families with a processor that is hard."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aebert.design.board import Board
from aebert.design.board_file import Family
from aebert.support.errors import AebertError
from codegen.placement import ComputeUnit
from codegen.render import Port

_TAG = re.compile(r"HP([0-3])")


@dataclass(frozen=True)
class MemoryConnection:
    """The kernel's ``bundles`` that share one memory port of the processor, through the interconnect ``name``."""

    name: str
    port: str
    clock: str
    bundles: tuple[str, ...]


@dataclass(frozen=True)
class BlockDesign:
    """Names of cells, pins and settings, as the processor's IP spells them."""

    kernel: str
    processor: str
    rule: str
    external: str
    control: str
    control_clock: str
    clock: str
    reset: str
    actual_clock: str
    settings: tuple[tuple[str, str], ...]
    memories: tuple[MemoryConnection, ...]


@dataclass(frozen=True)
class _Processor:
    """A family's processor. In ``memory_*`` and ``port_settings`` ``{n}`` is the number of the memory port."""

    ip: str
    rule: str
    external: str
    control: str
    control_clock: str
    clock: str
    reset: str
    actual_clock: str
    memory_port: str
    memory_clock: str
    settings: tuple[tuple[str, str], ...]
    port_settings: tuple[tuple[str, str], ...]
    first_port: int


# Pins and parameters of processing_system7 (PG082) and zynq_ultra_ps_e (PG201). The latter counts its HP ports among
# all slave ports: HP0 is GP2.
_PROCESSORS: Mapping[Family, _Processor] = {
    "Zynq-7000": _Processor(
        ip="processing_system7",
        rule="processing_system7",
        external="FIXED_IO, DDR",
        control="M_AXI_GP0",
        control_clock="M_AXI_GP0_ACLK",
        clock="FCLK_CLK0",
        reset="FCLK_RESET0_N",
        actual_clock="PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ",
        memory_port="S_AXI_HP{n}",
        memory_clock="S_AXI_HP{n}_ACLK",
        settings=(("PCW_USE_M_AXI_GP0", "1"), ("PCW_FPGA0_PERIPHERAL_FREQMHZ", "{clock}")),
        port_settings=(("PCW_USE_S_AXI_HP{n}", "1"), ("PCW_S_AXI_HP{n}_DATA_WIDTH", "{bits}")),
        first_port=0,
    ),
    "Zynq UltraScale+": _Processor(
        ip="zynq_ultra_ps_e",
        rule="zynq_ultra_ps_e",
        external="",
        control="M_AXI_HPM0_FPD",
        control_clock="maxihpm0_fpd_aclk",
        clock="pl_clk0",
        reset="pl_resetn0",
        actual_clock="PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ",
        memory_port="S_AXI_HP{n}_FPD",
        memory_clock="saxihp{n}_fpd_aclk",
        settings=(
            ("PSU__USE__M_AXI_GP0", "1"),
            ("PSU__USE__M_AXI_GP1", "0"),
            ("PSU__USE__M_AXI_GP2", "0"),
            ("PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ", "{clock}"),
        ),
        port_settings=(("PSU__USE__S_AXI_GP{g}", "1"), ("PSU__SAXIGP{g}__DATA_WIDTH", "{bits}")),
        first_port=2,
    ),
}


def plan_block_design(board: Board, unit: ComputeUnit, ports: tuple[Port, ...], clock_mhz: float) -> BlockDesign:
    """The connections of ``unit`` on ``board``: every port to the memory port that is its bank's.

    Raises AebertError for a family without a hard processor and for a bank that is none of its ports HP0 to HP3.
    """
    processor = _PROCESSORS.get(board.family)
    if processor is None:
        raise AebertError(f"board {board.name}: no block design for {board.family}; set flow to vitis")
    bundle_of = {port.name: port.bundle for port in ports}
    settings = [(name, value.format(clock=f"{clock_mhz:g}")) for name, value in processor.settings]
    memories = []
    for tag in sorted({tag for _, tag in unit.banks}):
        number = _port_number(board, tag)
        numbers = {"n": number, "g": processor.first_port + number}
        settings += [
            (name.format(**numbers), value.format(bits=board.memory.axi_data_bits))
            for name, value in processor.port_settings
        ]
        memories.append(
            MemoryConnection(
                name=f"memory_{tag.lower()}",
                port=processor.memory_port.format(n=number),
                clock=processor.memory_clock.format(n=number),
                bundles=tuple(dict.fromkeys(bundle_of[port] for port, bank in unit.banks if bank == tag)),
            )
        )
    return BlockDesign(
        kernel=unit.name,
        processor=processor.ip,
        rule=processor.rule,
        external=processor.external,
        control=processor.control,
        control_clock=processor.control_clock,
        clock=processor.clock,
        reset=processor.reset,
        actual_clock=processor.actual_clock,
        settings=tuple(settings),
        memories=tuple(memories),
    )


def _port_number(board: Board, tag: str) -> int:
    found = _TAG.fullmatch(tag)
    if found is None:
        raise AebertError(f"board {board.name}: bank {tag!r} is no port of the processor; name banks HP0 to HP3")
    return int(found[1])
