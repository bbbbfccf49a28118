"""The kernel's C++, unchanged, as synthesis sees it -> LLVM IR, with the clang that the ``ziglang`` package brings."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from aebert.support.errors import AebertError

# Vitis HLS compiles C++14 by default. -O1 with its passes disabled leaves the IR as written but ready to be optimised.
FLAGS = (
    "-target", "x86_64-windows-gnu", "-std=c++14", "-O1", "-Xclang", "-disable-llvm-passes", "-gline-tables-only",
    "-fno-discard-value-names", "-fno-exceptions", "-fno-rtti", "-fno-stack-protector", "-fno-sanitize=all",
    "-D__SYNTHESIS__", "-DAEBERT_SCHEDULE", "-Wno-unknown-pragmas", "-Wno-unused-command-line-argument",
    "-S", "-emit-llvm",
)  # fmt: skip
REMEDY = "run pip install 'aebert[schedule]'"
_TIMEOUT_SECONDS = 300
_FIRST_ERROR = re.compile(r"^.*?(?P<where>[^/\s]+:\d+):\d+: (?:fatal )?error: (?P<what>.*)$", re.MULTILINE)

_MODULE_NAME = re.compile(r"^(?:; ModuleID|source_filename) = .*\n", re.MULTILINE)
_DEBUG_FILE = re.compile(r'!DIFile\(filename: "(?:[^"]*/)?([^"/]*)"[^)]*\)')


def check_installed(*packages: str) -> None:
    """Raises AebertError naming the first of ``packages`` that is missing, and the remedy."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise AebertError(f"{package} is not installed; {REMEDY}")


def compile_to_ir(source: Path) -> str:
    """LLVM IR of one C++ file, as text. Raises AebertError with the compiler's first error."""
    check_installed("ziglang")
    with (
        as_file(files("codegen.schedule.frontend").joinpath("headers")) as headers,
        tempfile.TemporaryDirectory(prefix="aebert-schedule-") as scratch,
    ):
        result = Path(scratch) / "kernel.ll"
        command = [sys.executable, "-m", "ziglang", "c++", *FLAGS, f"-I{headers}", str(source), "-o", str(result)]
        caches = {"ZIG_LOCAL_CACHE_DIR": scratch, "ZIG_GLOBAL_CACHE_DIR": scratch}
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS,
                env={**os.environ, **caches},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise AebertError(f"{source}: clang did not finish in {_TIMEOUT_SECONDS} s") from None
        if run.returncode != 0 or not result.is_file():
            found = _FIRST_ERROR.search(run.stderr)
            last = (run.stderr.strip().splitlines() or [f"exit code {run.returncode}"])[-1]
            what = f"{found['where']}: {found['what']}" if found else last
            raise AebertError(f"{source}: clang cannot compile it as synthesis would: {what}")
        return _without_folders(result.read_text(encoding="utf-8"))


def _without_folders(ir: str) -> str:
    """Of source files the names alone: where a project lies is no part of what it is."""
    return _DEBUG_FILE.sub(r'!DIFile(filename: "\1", directory: "")', _MODULE_NAME.sub("", ir))
