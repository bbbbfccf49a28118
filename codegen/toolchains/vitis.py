"""Vitis HLS and v++ on a project: finds them, runs the project's Makefile, brings home the reports they leave.

The commands themselves stand in the project's Makefile, where a person can run them too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aebert.support.errors import AebertError
from codegen.manifest import TOP
from codegen.toolchains.deadlock import DeadlockReport
from codegen.toolchains.process import FinishedProcess, run_logged
from codegen.toolchains.vitis_log import progress_of

if TYPE_CHECKING:
    from aebert.hls_reports import Report
    from aebert.records.from_reports import ImportContext
    from aebert.records.record import RunRecord

HlsStep = Literal["csim", "csynth", "cosim", "export"]
LinkTarget = Literal["hw", "hw_emu"]
HLS_STEPS: tuple[HlsStep, ...] = ("csim", "csynth", "cosim", "export")

BUILD = Path("build")
LINK_CONFIG = "link.cfg"
HLS_LIMIT_S = 6 * 3600.0
LINK_LIMIT_S = 24 * 3600.0

# Where the steps leave what is worth keeping, below build/: classic and unified flow. csynth.xml holds every module, so
# the reports of single functions are not read beside it.
_CSYNTH_REPORTS = ("hls*/**/csynth.xml",)
_COSIM_REPORTS = (f"hls*/**/{TOP}_cosim.rpt", "hls*/**/hls_cosim.rpt")
_EXPORT_REPORTS = (f"hls*/**/{TOP}_export.xml",)
_LINK_REPORTS = ("link/**/*_kernel_util_*.rpt", "link/**/*timing_summary*.rpt")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class CollectedReport:
    """A report that a tool left, parsed. ``path`` is relative to the project."""

    path: Path
    report: Report

    def records(self, context: ImportContext) -> tuple[RunRecord, ...]:
        """Its facts, each with its source kind. Needs the extra ``records``."""
        from aebert.records.from_reports import records_from_report

        return records_from_report(self.report, context, TOP)


@dataclass(frozen=True)
class ToolRun:
    """One tool's run on a project. ``product`` is the file it was asked to make, if any, relative to the project.
    ``unreadable``: why a report was left out, naming its file; the tool's work stands all the same."""

    tool: str
    steps: tuple[str, ...]
    seconds: float
    logs: tuple[Path, ...]
    reports: tuple[CollectedReport, ...]
    product: Path | None = None
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class CollectedReports:
    """Reports that were found, and why others were left out."""

    reports: tuple[CollectedReport, ...] = ()
    unreadable: tuple[str, ...] = ()

    def __add__(self, other: CollectedReports) -> CollectedReports:
        return CollectedReports(self.reports + other.reports, self.unreadable + other.unreadable)


def find_hls() -> str:
    """``vitis_hls`` (classic) or ``vitis-run`` (unified, with v++). Raises AebertError when neither is on PATH."""
    if shutil.which("vitis_hls"):
        return "vitis_hls"
    if shutil.which("vitis-run") and shutil.which("v++"):
        return "vitis-run"
    raise AebertError(
        "Vitis HLS: neither vitis_hls nor vitis-run and v++ are on PATH; install Vitis 2022.2 or later and source its "
        "settings64.sh to get synthesis reports and RTL co-simulation"
    )


def find_vpp() -> str:
    """``v++``. Raises AebertError when it, or XRT's xclbinutil that names the design in the bitstream, is missing."""
    if shutil.which("v++"):
        if shutil.which("xclbinutil"):
            return "v++"
        raise AebertError("xclbinutil: not on PATH; install XRT and source its setup.sh to name designs in bitstreams")
    raise AebertError(
        "v++: not on PATH; install Vitis with the board's platform and source its settings64.sh to link bitstreams"
    )


def run_vitis_hls(
    project: Path,
    steps: Sequence[HlsStep] = ("csynth",),
    *,
    limit_s: float = HLS_LIMIT_S,
    progress: Progress = lambda words: None,
) -> ToolRun:
    """Runs ``steps`` in their natural order; ``limit_s`` holds for each.

    ``progress`` is told in a few words how far it is. Raises AebertError when Vitis HLS or make is missing, a step
    fails or takes too long, or leaves no report at all.
    """
    unknown = [step for step in steps if step not in HLS_STEPS]
    if unknown or not steps:
        raise AebertError(f"Vitis HLS step {unknown[0] if unknown else 'none'!r}: use {', '.join(HLS_STEPS)}")
    tool = find_hls()
    ordered = tuple(step for step in HLS_STEPS if step in steps)
    makefile = _makefile(project)
    package = "xo" if (project / LINK_CONFIG).is_file() else "ip"
    finished = []
    found = CollectedReports()
    for step in ordered:
        target = package if step == "export" else step
        finished.append(_make(makefile, (target,), step, limit_s, progress))
        found += _step_reports(project, step)
    return ToolRun(
        tool=tool,
        steps=ordered,
        seconds=sum(each.seconds for each in finished),
        logs=tuple(each.log.relative_to(project) for each in finished),
        reports=found.reports,
        product=_product(project, package) if "export" in ordered else None,
        unreadable=found.unreadable,
    )


def run_vpp(
    project: Path,
    *,
    target: LinkTarget = "hw",
    limit_s: float = LINK_LIMIT_S,
    progress: Progress = lambda words: None,
) -> ToolRun:
    """Links the kernel (synthesised first where it is not yet) into ``build/aebert_kernel.<target>.xclbin``.

    Raises AebertError when a tool is missing, the board is not one that v++ links for, or the link fails or takes too
    long.
    """
    if not (project / LINK_CONFIG).is_file():
        raise AebertError(f"{project}: has no {LINK_CONFIG}: its board is built by Vivado: use 'make bitstream'")
    find_vpp()
    find_hls()
    name = f"link_{target}"
    finished = _make(_makefile(project), ("xclbin", f"TARGET={target}"), name, limit_s, progress)
    found = _parse(project, _LINK_REPORTS)
    if target == "hw":  # hardware emulation settles on no clocks
        found += _read(project, [finished.log])
    return ToolRun(
        tool="v++",
        steps=(name,),
        seconds=finished.seconds,
        logs=(finished.log.relative_to(project),),
        reports=found.reports,
        product=_existing(project, BUILD / f"{TOP}.{target}.xclbin"),
        unreadable=found.unreadable,
    )


def _makefile(project: Path) -> Path:
    makefile = project / "Makefile"
    if not makefile.is_file() or not (project / "hls.tcl").is_file():
        raise AebertError(f"{project}: has no Makefile and hls.tcl; give a generated project")
    return makefile


def _make(makefile: Path, arguments: tuple[str, ...], name: str, limit_s: float, progress: Progress) -> FinishedProcess:
    make = shutil.which("make")
    if make is None:
        raise AebertError("make: not on PATH; install it (Debian: apt install make)")

    deadlock = DeadlockReport()

    def tell(line: str) -> None:
        deadlock.read(line)
        words = progress_of(line)
        if words is not None:
            progress(words)

    # Options that a make around this process has set are not meant for this one.
    environment = {key: "" for key in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL") if key in os.environ}
    try:
        return run_logged(
            (make, "--no-print-directory", "--file", makefile.name, *arguments),
            directory=makefile.parent,
            log=makefile.parent / BUILD / "logs" / f"{name}.log",
            limit_s=limit_s,
            environment=environment,
            on_line=tell,
        )
    except AebertError as error:
        found = deadlock.in_a_sentence()
        if found is None:
            raise
        raise AebertError(f"{error}; {found}") from error


def synthesised_reports(project: Path) -> tuple[CollectedReport, ...]:
    """The reports of C synthesis that lie in ``project``, if it has been synthesised. Raises AebertError for one that
    cannot be read: whoever asks relies on it."""
    found = _parse(project, _CSYNTH_REPORTS)
    if found.unreadable:
        raise AebertError(found.unreadable[0])
    return found.reports


def _step_reports(project: Path, step: HlsStep) -> CollectedReports:
    patterns = {"csynth": _CSYNTH_REPORTS, "cosim": _COSIM_REPORTS, "export": _EXPORT_REPORTS, "csim": ()}[step]
    found = _parse(project, patterns)
    if step in ("csynth", "cosim") and not (found.reports or found.unreadable):
        raise AebertError(f"{project / BUILD}: {step} ended well but left no report; see build/logs/{step}.log")
    return found


def _parse(project: Path, patterns: Sequence[str]) -> CollectedReports:
    return _read(project, sorted({path for pattern in patterns for path in (project / BUILD).glob(pattern)}))


def _read(project: Path, paths: Sequence[Path]) -> CollectedReports:
    if not paths:
        return CollectedReports()
    from aebert.hls_reports import ReportError, parse_report

    def read(path: Path) -> CollectedReports:
        try:
            return CollectedReports((CollectedReport(path.relative_to(project), parse_report(path)),))
        except ReportError as error:
            return CollectedReports((), (str(error),))

    return sum(map(read, paths), CollectedReports())


def _product(project: Path, package: str) -> Path:
    return _existing(project, BUILD / (f"{TOP}.xo" if package == "xo" else f"{TOP}.zip"))


def _existing(project: Path, relative: Path) -> Path:
    if not (project / relative).is_file():
        raise AebertError(f"{project / relative}: the tool ended well but did not make it; see build/logs")
    return relative
