"""Compiles C++ into shared libraries for this machine, each once: a library's name says what it was built from.

Sources are handed over as bytes and compiled from a private copy, so that what was checked is what is compiled.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aebert.support.atomic_files import whole_file
from aebert.support.cores import usable_cores
from aebert.support.errors import AebertError
from aebert.support.json_digest import bytes_digest, json_digest

# Where compiled libraries lie instead of the user's cache; owner-only like that.
CACHE_VARIABLE = "AEBERT_EMULATOR_CACHE"
# -march=native: loops over plain numbers vectorise, several times faster with wider registers.
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-Wall")
COMPILE_LIMIT_S = 600
_POLL_S = 0.02


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
        try:
            command = tuple(shlex.split(candidate))
        except ValueError as error:
            raise AebertError(f"CXX={asked}: {error}; check CXX") from None
        if shutil.which(command[0]) is None:
            continue
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=False)
        if answer.returncode == 0:
            return Compiler(command, answer.stdout.partition("\n")[0])
        raise AebertError(f"CXX={asked}: does not run ({answer.stderr.strip().partition(chr(10))[0]}); check CXX")
    if asked:
        raise AebertError(f"CXX={asked}: not found on PATH; install it or unset CXX")
    raise AebertError("no C++ compiler: neither g++ nor clang++ is on PATH; install one (Debian: apt install g++)")


def build_library(
    folder: Path,
    name: str,
    sources: Mapping[str, bytes],
    options: Sequence[str] = (),
    *,
    units: Sequence[str] | None = None,
) -> Path:
    """The shared library of ``sources`` in ``folder``, built if it is not there already.

    ``sources`` are relative names and contents: ``units`` are compiled [default: every .cpp file], the others are what
    these include. ``options`` are further compiler options. The file's name holds the whole digest over sources,
    compiler, options and processor: neither a stale nor another project's library is ever loaded. Raises AebertError
    with the compiler's first error.
    """
    compiler = find_compiler()
    key = json_digest(
        {
            "compiler": [compiler.version, *compiler.command],
            "options": [*FLAGS, *options],
            "units": units,
            "cpu": _cpu(),
            "sources": {path: bytes_digest(content) for path, content in sources.items()},
        }
    )
    library = folder / f"{name}-{key}.so"
    if library.is_file():
        return library
    with tempfile.TemporaryDirectory(prefix="aebert-build-") as scratch, whole_file(library) as linked:
        root = Path(scratch) / "sources"
        written = {path: _write_source(root, path, content) for path, content in sources.items()}
        chosen = [path for path in sources if path.endswith(".cpp")] if units is None else units
        compiled = {written[path]: written[path].with_suffix(".o") for path in chosen}
        compile_command = (*compiler.command, *FLAGS, *options, "-c")
        _run_all(
            {
                f"compiling {unit.relative_to(root)}": (*compile_command, str(unit), "-o", str(target))
                for unit, target in compiled.items()
            }
        )
        link_command = (*compiler.command, "-shared", *options, *map(str, compiled.values()), "-o", str(linked))
        _run_all({f"linking the {name}": link_command})
    return library


def user_cache() -> Path:
    """The folder for this user's libraries: what AEBERT_EMULATOR_CACHE names, else ~/.cache/aebert (XDG_CACHE_HOME).

    Created for this user alone. Raises AebertError if it cannot be, or if others could put a library there.
    """
    named = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(named) if named else (Path(base) if base else Path.home() / ".cache") / "aebert"
    variable = CACHE_VARIABLE if named else "XDG_CACHE_HOME"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise AebertError(f"{folder}: cannot be made ({error.strerror}); set {variable} to a writable folder") from None
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise AebertError(f"{folder}: others may write to it; remove it, or set {variable} to a folder of your own")
    return folder


def _write_source(root: Path, name: str, content: bytes) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise AebertError(f"source {name!r}: must be a plain relative path")
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def _cpu() -> str:
    """What -march=native looks at: a library built on one machine may not run on another."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features")
    return "\n".join(sorted({line for line in cpuinfo.read_text().splitlines() if line.startswith(wanted)}))


def _run_all(commands: Mapping[str, Sequence[str]]) -> None:
    """Runs ``commands``, one per core at a time; none is left running, whatever ends this function."""
    with tempfile.TemporaryDirectory(prefix="aebert-build-") as scratch:
        _run_logged(commands, Path(scratch))


def _run_logged(commands: Mapping[str, Sequence[str]], scratch: Path) -> None:
    waiting = list(commands.items())
    running: dict[subprocess.Popen[bytes], tuple[str, Path]] = {}
    deadline = time.monotonic() + COMPILE_LIMIT_S
    try:
        while waiting or running:
            while waiting and len(running) < usable_cores():
                what, command = waiting.pop(0)
                log = scratch / f"{len(waiting)}.log"
                running[_start(command, log)] = what, log
            time.sleep(_POLL_S)
            for process in [each for each in running if each.poll() is not None]:
                what, log = running.pop(process)
                if process.returncode:
                    raise AebertError(f"{what}: the compiler failed: {_first_error(log)}")
            if running and time.monotonic() > deadline:
                what, _ = next(iter(running.values()))
                raise AebertError(f"{what}: took more than {COMPILE_LIMIT_S} s; see the compiler")
    finally:
        for process in running:
            # The compiler is several processes.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(log.parent)},
        )


def _first_error(log: Path) -> str:
    said = log.read_text(errors="replace").splitlines()
    return next((line.strip() for line in (*(line for line in said if "error" in line), *said)), "no message")
