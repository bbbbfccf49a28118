"""A project's text beside the kernel: test bench, Makefile, scripts and configuration for Vitis, README."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files

from aebert.design.board import Board, check_names
from aebert.design.hardware_config import HardwareConfig
from aebert.support.errors import AebertError
from codegen.block_design import plan_block_design
from codegen.golden_vectors import GOLDEN_VERSION, ONE_LAYER_VECTOR
from codegen.manifest import TOP
from codegen.placement import place_compute_units
from codegen.register_map import register_table
from codegen.render import TEMPLATE_SUFFIX, ports, render_folder
from codegen.toolchains.emulator import FLAGS

LINK_CONFIG = "link.cfg"
BLOCK_DESIGN = "block_design.tcl"
DIES = "dies.tcl"
# 2 GHz is beyond every FPGA's clock network; below 1 MHz a clock wizard makes none.
SLOWEST_CLOCK_MHZ, LARGEST_CLOCK_MHZ = 1.0, 2000.0
# Vitis HLS compiles C++14 by default, and the kernel needs no more. Its C simulation uses the exact widths of ap_int.
KERNEL_FLAGS = "-std=c++14 -DAEBERT_EXACT_WIDTHS"
# Unoptimised, a golden vector takes minutes.
TESTBENCH_FLAGS = "-std=c++14 -O2"
_OPTIMISATION_PREFIXES = ("-O", "-march=")


def project_files(
    config: HardwareConfig,
    board: Board,
    clock_mhz: float,
    compute_units: int,
    depths: Mapping[str, int] | None = None,
) -> dict[str, str]:
    """Relative name -> text, the same for the same arguments. ``link.cfg`` only where v++ links (``flow`` vitis),
    ``block_design.tcl`` only where Vivado does (``flow`` vivado), ``dies.tcl`` where a compute unit spans several dies.

    ``depths``: words that co-simulation copies at each port, where they are known from the project's golden vectors.

    Raises AebertError for a clock or a number of compute units that is not positive, and for several compute units
    where a block design holds the kernel; and for names of the board that scripts must not hold.
    """
    if not SLOWEST_CLOCK_MHZ <= clock_mhz <= LARGEST_CLOCK_MHZ:
        raise AebertError(f"clock: {clock_mhz:g} MHz, give {SLOWEST_CLOCK_MHZ:g} to {LARGEST_CLOCK_MHZ:g}")
    check_names(board)
    has_link = board.flow == "vitis"
    if not has_link and compute_units != 1:
        raise AebertError(f"compute units: {compute_units}, but {board.name} is built with Vivado; use 1")
    units = place_compute_units(config, board, compute_units)
    kernel_ports = [replace(port, depth=(depths or {}).get(port.name, port.depth)) for port in ports(config)]
    depth_flags = "".join(f" -D{port.macro}={port.depth}" for port in kernel_ports) if depths else ""
    values: dict[str, object] = {
        "top": TOP,
        "config": config,
        "board": board,
        "clock_mhz": clock_mhz,
        "clock_ns": f"{1000 / clock_mhz:.3f}",
        "compute_units": units,
        "ports": kernel_ports,
        "register_table": register_table().splitlines(),
        "golden_version": GOLDEN_VERSION,
        "has_link": has_link,
        "has_dies": any(unit.dies for unit in units),
        "package_target": "xo" if has_link else "ip",
        "package_format": "xo" if has_link else "ip_catalog",
        "package_file": f"{TOP}.xo" if has_link else f"{TOP}.zip",
        "kernel_sources": _sources("kernel"),
        "emulation_sources": _sources("emulation"),
        "testbench_sources": ["testbench.cpp", *_sources("emulation")],
        "kernel_flags": KERNEL_FLAGS + depth_flags,
        "testbench_flags": TESTBENCH_FLAGS + depth_flags,
        "cosim_vector": ONE_LAYER_VECTOR,
        "base_flags": " ".join(flag for flag in FLAGS if not flag.startswith(_OPTIMISATION_PREFIXES)),
        "optimisation_flags": " ".join(flag for flag in FLAGS if flag.startswith(_OPTIMISATION_PREFIXES)),
    }
    if not has_link:
        values["block"] = plan_block_design(board, units[0], ports(config), clock_mhz)
    left_out = {BLOCK_DESIGN} if has_link else {LINK_CONFIG}
    if not values["has_dies"]:
        left_out.add(DIES)
    return render_folder("project", values, left_out)


def _sources(folder: str) -> list[str]:
    """The C++ sources that the templates of ``folder`` render to."""
    suffix = f".cpp{TEMPLATE_SUFFIX}"
    names = (item.name for item in files("codegen.templates").joinpath(folder).iterdir())
    return sorted(f"{folder}/{name.removesuffix(TEMPLATE_SUFFIX)}" for name in names if name.endswith(suffix))
