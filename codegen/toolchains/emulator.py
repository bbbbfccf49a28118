"""Compiles a project's C++, unchanged, into a shared library: the functional emulator."""

from __future__ import annotations

import os
from pathlib import Path

from aebert.errors import AebertError
from aebert.native_build import CACHE_VARIABLE, build_library
from aebert.native_build import FLAGS as NATIVE_FLAGS

SOURCE_FOLDERS = ("kernel", "emulation")
BUILD_FOLDER = "build"
# Pragmas and loop labels are for synthesis.
SYNTHESIS_ONLY = ("-Wno-unknown-pragmas", "-Wno-unused-label")
FLAGS = (*NATIVE_FLAGS, *SYNTHESIS_ONLY)


def build_emulator(project: Path, options: tuple[str, ...] = (), name: str = "emulator") -> Path:
    """The shared library of ``project``, built if it is not there already.

    ``options`` are further compiler options (definitions). The library is named by what it was built from
    (``aebert.native_build``), so projects of one design can share it: it lies in the project's build/, or in the folder
    that AEBERT_EMULATOR_CACHE names. Raises AebertError with the compiler's first error.
    """
    folder = Path(os.environ.get(CACHE_VARIABLE) or project / BUILD_FOLDER)
    return build_library(folder, name, _sources(project), (*SYNTHESIS_ONLY, *options))


def _sources(project: Path) -> list[Path]:
    found = [path for folder in SOURCE_FOLDERS for path in sorted((project / folder).glob("*"))]
    if not any(path.suffix == ".cpp" for path in found):
        raise AebertError(f"{project}: no C++ sources in {' or '.join(SOURCE_FOLDERS)}/; give a generated project")
    return found
