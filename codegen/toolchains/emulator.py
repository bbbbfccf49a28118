"""Compiles a project's C++, unchanged, into a shared library: the functional emulator."""

from __future__ import annotations

from pathlib import Path

from aebert.support.native_build import FLAGS as NATIVE_FLAGS
from aebert.support.native_build import build_library, user_cache
from codegen.project_sources import ProjectSources

# Pragmas and loop labels are for synthesis.
SYNTHESIS_ONLY = ("-Wno-unknown-pragmas", "-Wno-unused-label")
FLAGS = (*NATIVE_FLAGS, *SYNTHESIS_ONLY)


# It takes the compiler as long as all others together, where these parse their headers once.
_ALONE = "kernel/kernel.cpp"
_OTHERS = "others.cpp"


def build_emulator(sources: ProjectSources, options: tuple[str, ...] = ()) -> Path:
    """The shared library of ``sources``, built if it is not there already.

    ``options`` are further compiler options (definitions). The library lies in the user's cache, which nobody else can
    write to, under the digest of all that it was built from: a library that a project brings along is never loaded, and
    projects of one design share theirs. Raises AebertError with the compiler's first error.
    """
    files, units = dict(sources.files), None
    # What somebody has changed may have names of its own in each file, which would meet in one unit.
    if not sources.changed and _ALONE in files:
        others = sorted(name for name in files if name.endswith(".cpp") and name != _ALONE)
        files[_OTHERS] = "".join(f'#include "{name}"\n' for name in others).encode()
        units = (_ALONE, _OTHERS)
    folder = user_cache() / "emulators"
    return build_library(folder, "emulator", files, (*SYNTHESIS_ONLY, *options), units=units)
