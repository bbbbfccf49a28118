"""Compiles a project's C++, unchanged, into a shared library: the functional emulator."""

from __future__ import annotations

from pathlib import Path

from aebert.support.native_build import FLAGS as NATIVE_FLAGS
from aebert.support.native_build import build_library, user_cache
from codegen.project_sources import ProjectSources

# Pragmas and loop labels are for synthesis.
SYNTHESIS_ONLY = ("-Wno-unknown-pragmas", "-Wno-unused-label")
FLAGS = (*NATIVE_FLAGS, *SYNTHESIS_ONLY)


def build_emulator(sources: ProjectSources, options: tuple[str, ...] = ()) -> Path:
    """The shared library of ``sources``, built if it is not there already.

    ``options`` are further compiler options (definitions). The library lies in the user's cache, which nobody else can
    write to, under the digest of all that it was built from: a library that a project brings along is never loaded, and
    projects of one design share theirs. Raises AebertError with the compiler's first error.
    """
    return build_library(user_cache() / "emulators", "emulator", sources.files, (*SYNTHESIS_ONLY, *options))
