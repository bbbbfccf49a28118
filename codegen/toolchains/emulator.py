"""Compiles a project's C++, unchanged, into a shared library: the functional emulator."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aebert.errors import AebertError

SOURCE_FOLDERS = ("kernel", "emulation")
BUILD_FOLDER = "build"
CACHE_VARIABLE = "AEBERT_EMULATOR_CACHE"
# -march=native: the lanes are plain integers and vectorise, several times faster with wider registers. Pragmas and
# loop labels are for synthesis.
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-Wall", "-Wno-unknown-pragmas", "-Wno-unused-label")
COMPILE_LIMIT_S = 600


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: ``command`` as in CXX (it may hold options), ``version`` its first line of --version."""

    command: tuple[str, ...]
    version: str


def find_compiler() -> Compiler:
    """CXX if it is set, else g++ or clang++. Raises AebertError when there is none or it does not run."""
    asked = os.environ.get("CXX", "").strip()
    candidates = [asked] if asked else ["g++", "clang++"]
    for candidate in candidates:
        command = tuple(shlex.split(candidate))
        if shutil.which(command[0]) is None:
            continue
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
        if answer.returncode == 0:
            return Compiler(command, answer.stdout.partition("\n")[0])
        raise AebertError(f"CXX={asked}: does not run ({answer.stderr.strip().partition(chr(10))[0]}); check CXX")
    if asked:
        raise AebertError(f"CXX={asked}: not found on PATH; install it or unset CXX")
    raise AebertError("no C++ compiler: neither g++ nor clang++ is on PATH; install one (Debian: apt install g++)")


def _cpu() -> str:
    """What -march=native looks at: a library built on one machine may not run on another."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features")
    return "\n".join(sorted({line for line in cpuinfo.read_text().splitlines() if line.startswith(wanted)}))


def _sources(project: Path) -> list[Path]:
    found = [path for folder in SOURCE_FOLDERS for path in sorted((project / folder).glob("*"))]
    if not any(path.suffix == ".cpp" for path in found):
        raise AebertError(f"{project}: no C++ sources in {' or '.join(SOURCE_FOLDERS)}/; give a generated project")
    return found


def build_emulator(project: Path, options: tuple[str, ...] = (), name: str = "emulator") -> Path:
    """The shared library of ``project``, built if it is not there already.

    ``options`` are further compiler options (definitions). The file's name carries a key over sources, compiler,
    options and processor, so that a stale library is never loaded and projects of one design can share it: it lies in
    the project's build/, or in the folder that AEBERT_EMULATOR_CACHE names. Raises AebertError with the compiler's
    first error.
    """
    compiler = find_compiler()
    sources = _sources(project)
    key = hashlib.sha256("\0".join([compiler.version, *compiler.command, *FLAGS, *options, _cpu()]).encode())
    for path in sources:
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    folder = Path(os.environ.get(CACHE_VARIABLE) or project / BUILD_FOLDER)
    library = folder / f"{name}-{key.hexdigest()[:16]}.so"
    if library.is_file():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=library.parent) as scratch:
        units = [path for path in sources if path.suffix == ".cpp"]
        objects = [Path(scratch) / f"{path.parent.name}-{path.stem}.o" for path in units]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            list(pool.map(lambda pair: _compile(compiler, pair[0], pair[1], options), zip(units, objects, strict=True)))
        linked = Path(scratch) / library.name
        _run([*compiler.command, "-shared", *map(str, objects), "-o", str(linked)], "linking the emulator")
        linked.replace(library)
    return library


def _compile(compiler: Compiler, source: Path, target: Path, options: tuple[str, ...]) -> None:
    command = [*compiler.command, *FLAGS, *options, "-c", str(source), "-o", str(target)]
    _run(command, f"compiling {source.parent.name}/{source.name}")


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise AebertError(f"{what}: took more than {COMPILE_LIMIT_S} s; see {command[0]}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise AebertError(f"{what}: {command[0]} failed: {lines[0].strip() if lines else 'no message'}")
