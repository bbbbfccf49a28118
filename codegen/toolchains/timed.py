"""A project's C++ in timed emulation: the same sources with AEBERT_TIMED."""

from __future__ import annotations

from pathlib import Path

from aebert.timing.pragmas import KernelPragmas, parse_pragmas

TIMED_OPTIONS = ("-DAEBERT_TIMED",)


def project_pragmas(project: Path) -> KernelPragmas:
    """What the project's kernel sources say about their loops and arrays."""
    return parse_pragmas(path.read_text(encoding="utf-8") for path in sorted((project / "kernel").glob("*.cpp")))
