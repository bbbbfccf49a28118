"""The RTL of a design, without a project around it."""

from __future__ import annotations

from pathlib import Path

from aebert.design.design import Design
from codegen.render import kernel_files
from codegen.rtl.kernel import KernelRtl, rtl_of
from codegen.schedule.graph import DesignContext


def design_rtl(design: Design, folder: Path) -> KernelRtl:
    """Of the C++ that this writes to ``folder``."""
    for file, text in kernel_files(design.config, design.buffers).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return rtl_of(folder, DesignContext(1000 / design.clock_mhz, design.board.part), design.config.word_bytes)
