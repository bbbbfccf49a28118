"""A project's C++ in timed emulation: the same sources with AEBERT_TIMED."""

from __future__ import annotations

from aebert.timing.kernel_pragmas import KernelPragmas, parse_pragmas
from codegen.project_sources import ProjectSources

TIMED_OPTIONS = ("-DAEBERT_TIMED",)


def source_pragmas(sources: ProjectSources) -> KernelPragmas:
    """What the kernel among ``sources`` says about its loops and arrays."""
    kernel = sorted(name for name in sources.files if name.startswith("kernel/") and name.endswith(".cpp"))
    return parse_pragmas({name: sources.files[name].decode("utf-8", errors="replace") for name in kernel})
