"""Compiles C++ into shared libraries for this machine, each once: a library's name says what it was built from."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aebert.errors import AebertError

# A folder for libraries of all kinds that processes and runs share.
CACHE_VARIABLE = "AEBERT_EMULATOR_CACHE"
# -march=native: loops over plain numbers vectorise, several times faster with wider registers.
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-Wall")
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


def build_library(folder: Path, name: str, sources: Sequence[Path], options: Sequence[str] = ()) -> Path:
    """The shared library of ``sources`` (the .cpp files are compiled, the others are what these include) in ``folder``.

    ``options`` are further compiler options. The file's name carries a key over sources, compiler, options and
    processor, so that a stale library is never loaded. It is built if it is not there already, under a temporary name.
    Raises AebertError with the compiler's first error.
    """
    compiler = find_compiler()
    key = hashlib.sha256("\0".join([compiler.version, *compiler.command, *FLAGS, *options, _cpu()]).encode())
    for path in sources:
        key.update(path.name.encode() + b"\0" + path.read_bytes())
    library = folder / f"{name}-{key.hexdigest()[:16]}.so"
    if library.is_file():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
        units = [path for path in sources if path.suffix == ".cpp"]
        objects = [Path(scratch) / f"{path.parent.name}-{path.stem}.o" for path in units]
        compile_options = (*FLAGS, *options)
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for _ in pool.map(
                lambda pair: _compile(compiler, compile_options, *pair), zip(units, objects, strict=True)
            ):
                pass
        linked = Path(scratch) / library.name
        _run([*compiler.command, "-shared", *options, *map(str, objects), "-o", str(linked)], f"linking the {name}")
        linked.replace(library)
    return library


def user_cache() -> Path:
    """The folder for this user's libraries: what AEBERT_EMULATOR_CACHE names, else ~/.cache/aebert (XDG_CACHE_HOME).

    Created for this user alone. Raises AebertError if it cannot be, or if others could put a library there.
    """
    shared = os.environ.get(CACHE_VARIABLE)
    if shared:
        return Path(shared)
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "aebert"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise AebertError(
            f"{folder}: cannot be made ({error.strerror}); set XDG_CACHE_HOME to a writable folder"
        ) from None
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise AebertError(f"{folder}: others may write to it; remove it, or set XDG_CACHE_HOME to a folder of your own")
    return folder


def _cpu() -> str:
    """What -march=native looks at: a library built on one machine may not run on another."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features")
    return "\n".join(sorted({line for line in cpuinfo.read_text().splitlines() if line.startswith(wanted)}))


def _compile(compiler: Compiler, options: Sequence[str], source: Path, target: Path) -> None:
    command = [*compiler.command, *options, "-c", str(source), "-o", str(target)]
    _run(command, f"compiling {source.parent.name}/{source.name}")


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise AebertError(f"{what}: took more than {COMPILE_LIMIT_S} s; see {command[0]}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
        raise AebertError(f"{what}: {command[0]} failed: {lines[0].strip() if lines else 'no message'}")
