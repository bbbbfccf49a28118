"""The RTL of a design, without a project around it."""

from __future__ import annotations

from pathlib import Path

from aebert.design.design import Design
from benchmarks.kernel_folder import write_files
from codegen.render import kernel_files
from codegen.rtl.kernel import KernelRtl, rtl_of
from codegen.schedule.graph import DesignContext


def design_rtl(design: Design, folder: Path) -> KernelRtl:
    """Of the C++ that this writes to ``folder``."""
    write_files(kernel_files(design.config, design.buffers), folder)
    return rtl_of(folder, DesignContext(1000 / design.clock_mhz, design.board.part), design.config.word_bytes)
