"""A project's text beside the kernel: test bench, Makefile, scripts and configuration for Vitis, README."""

from __future__ import annotations

from importlib.resources import files

from aebert.boards import Board
from aebert.design.config import HardwareConfig
from aebert.errors import AebertError
from codegen.golden import GOLDEN_VERSION
from codegen.placement import place_compute_units
from codegen.render import TEMPLATE_SUFFIX, TOP, ports, render_folder
from codegen.toolchains.emulator import FLAGS

LINK_CONFIG = "link.cfg"
# Vitis HLS compiles C++14 by default, and the kernel needs no more. Its C simulation uses the exact widths of ap_int.
KERNEL_FLAGS = "-std=c++14 -DAEBERT_EXACT_WIDTHS"
TESTBENCH_FLAGS = "-std=c++14"
_OPTIMISATION_PREFIXES = ("-O", "-march=")


def project_files(config: HardwareConfig, board: Board, clock_mhz: float, compute_units: int) -> dict[str, str]:
    """Relative name -> text, the same for the same arguments. ``link.cfg`` only where v++ links (``flow`` vitis).

    Raises AebertError for a clock or a number of compute units that is not positive, and for several compute units
    where a block design holds the kernel.
    """
    if not clock_mhz > 0:
        raise AebertError(f"clock: {clock_mhz} MHz, must be positive")
    has_link = board.flow == "vitis"
    if not has_link and compute_units != 1:
        raise AebertError(f"compute units: {compute_units}, but {board.name} is built with Vivado; use 1")
    units = place_compute_units(config, board, compute_units)
    values: dict[str, object] = {
        "top": TOP,
        "config": config,
        "board": board,
        "clock_mhz": clock_mhz,
        "clock_ns": f"{1000 / clock_mhz:.3f}",
        "compute_units": units,
        "ports": ports(config),
        "golden_version": GOLDEN_VERSION,
        "has_link": has_link,
        "package_target": "xo" if has_link else "ip",
        "package_format": "xo" if has_link else "ip_catalog",
        "package_file": f"{TOP}.xo" if has_link else f"{TOP}.zip",
        "kernel_sources": _sources("kernel"),
        "emulation_sources": _sources("emulation"),
        "testbench_sources": ["testbench.cpp", *_sources("emulation")],
        "kernel_flags": KERNEL_FLAGS,
        "testbench_flags": TESTBENCH_FLAGS,
        "base_flags": " ".join(flag for flag in FLAGS if not flag.startswith(_OPTIMISATION_PREFIXES)),
        "optimisation_flags": " ".join(flag for flag in FLAGS if flag.startswith(_OPTIMISATION_PREFIXES)),
    }
    rendered = render_folder("project", values)
    return {name: text for name, text in rendered.items() if has_link or name != LINK_CONFIG}


def _sources(folder: str) -> list[str]:
    """The C++ sources that the templates of ``folder`` render to."""
    suffix = f".cpp{TEMPLATE_SUFFIX}"
    names = (item.name for item in files("codegen.templates").joinpath(folder).iterdir())
    return sorted(f"{folder}/{name.removesuffix(TEMPLATE_SUFFIX)}" for name in names if name.endswith(suffix))
