"""Kernels of our own for the CPU (``kernels/``, C++), compiled when first used for the processor at hand."""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.native_build import build_library, user_cache

LOGGER = logging.getLogger("aebert.search")
_SOURCES = Path(__file__).with_name("kernels")
_POINTER, _SIZE, _FLAG, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float


@dataclass(frozen=True)
class CpuKernels:
    """The compiled functions, as ``kernels/*.cpp`` describe them; ``linear`` and ``attention`` release the GIL.

    States stand in tiles of ``tile_tokens`` tokens; ``tile_rows`` is the padded number of features.
    """

    library: ctypes.CDLL

    def __post_init__(self) -> None:
        self.library.aebert_tile_tokens.restype = _SIZE
        self.library.aebert_tile_rows.restype = _SIZE
        self.library.aebert_tile_rows.argtypes = [_SIZE]
        self.library.aebert_linear.argtypes = [
            *(_POINTER, _SIZE, _POINTER, _SIZE, _SIZE, _POINTER, _FLAG),
            *(_POINTER, _POINTER, _POINTER, _FLOAT, _POINTER, _SIZE),
        ]
        self.library.aebert_attention.argtypes = [
            *(_POINTER, _POINTER, _POINTER, _POINTER, _SIZE, _FLAG, _SIZE, _SIZE, _POINTER, _SIZE),
        ]

    @property
    def tile_tokens(self) -> int:
        return int(self.library.aebert_tile_tokens())

    def tile_rows(self, features: int) -> int:
        return int(self.library.aebert_tile_rows(features))

    def linear(self, *arguments: int | float | None) -> None:
        """``aebert_linear``. Raises MemoryError."""
        _check(self.library.aebert_linear(*arguments))

    def attention(self, *arguments: int) -> None:
        """``aebert_attention``. Raises MemoryError."""
        _check(self.library.aebert_attention(*arguments))


def find_kernels() -> CpuKernels | None:
    """The kernels; None where they cannot be had, which is logged once. The first call may compile them (seconds)."""
    found = _kernels()
    return found if isinstance(found, CpuKernels) else None


def kernel_problem() -> str | None:
    """Why ``find_kernels`` gives None, in one line; None if it does not."""
    found = _kernels()
    return None if isinstance(found, CpuKernels) else str(found)


@cache
def _kernels() -> CpuKernels | AebertError:
    try:
        sources = {f"kernels/{path.name}": path.read_bytes() for path in sorted(_SOURCES.iterdir()) if path.is_file()}
        library = build_library(user_cache(), "search-kernels", sources, ["-pthread"])
        return _load(library)
    except AebertError as error:
        LOGGER.warning("the search runs without its CPU kernels, less than half as fast: %s", error)
        return error


def _load(library: Path) -> CpuKernels:
    try:
        return CpuKernels(ctypes.CDLL(str(library)))
    except OSError as error:
        raise AebertError(f"{library}: cannot be loaded ({error}); delete it") from None


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("no memory for a kernel's buffers")
