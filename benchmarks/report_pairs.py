"""csynth beside RTL co-simulation, and beside what Vivado built, of the same design: pairs from real report files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aebert.cost_model.fitted_quantities import COSIM_CYCLES, QUANTITIES, RESOURCES, ROUTED_TERMS, routed
from aebert.cost_model.leave_one_out import leave_one_out
from aebert.cost_model.observations import Observations
from aebert.cost_model.robust_fit import fit
from aebert.cost_model.spread import COVERAGE
from aebert.hls_reports import Report, parse_report
from aebert.hls_reports.model import (
    CosimReport,
    CsynthReport,
    ExportReport,
    HlsResources,
    KernelUtilization,
    ResultsTable,
    SynthesisSummary,
    UtilizationReport,
)
from aebert.report.cost_model_fit import assumed_note, error_lines
from aebert.support.errors import AebertError

LARGE_LUTS = 5000  # below, constant parts that Vivado removes decide


@dataclass(frozen=True)
class Pair:
    """An estimate and what came of it. ``design``: the function, whatever made it; ``flow``: what made it; ``lut``: of
    the whole kernel by csynth (0 where only cycles are compared)."""

    design: str
    flow: str
    tool: str | None
    estimates: tuple[float, ...]
    found: float
    lut: float = field(default=0.0, compare=False)

    @property
    def estimate(self) -> float:
        """The first: what csynth itself says of the quantity."""
        return self.estimates[0]


def cosim_pairs(root: Path) -> list[Pair]:
    """csynth's latency (its upper end) and the cycles of a co-simulation that passed; equal pairs count once."""
    found = [*_cosim_files(root), *_cosim_tables(root)]
    return list(dict.fromkeys(pair for pair in found if pair.estimate > 0 and pair.found > 0))


def _cosim_files(root: Path) -> Iterator[Pair]:
    for path in sorted(root.rglob("*_cosim.rpt")):
        report = _parse(path)
        if not isinstance(report, CosimReport) or report.measured is None or report.measured.latency_max is None:
            continue
        found = _synthesised_cycles(path, report.source.top or "")
        if found is not None:
            repository, design, flow = _place(root, path, report.source.top or path.stem)
            cycles, tool = found
            yield Pair(f"{repository} {design}", flow, tool, (cycles, 1.0), float(report.measured.latency_max))


def _synthesised_cycles(cosim: Path, top: str) -> tuple[float, str | None] | None:
    """Cycles and the tool's version: of the co-simulation's solution, or of the summary beside its project."""
    solution = cosim.parents[2]
    name = re.sub(r"^hls_", "", cosim.parents[3].name).removesuffix(".prj")
    candidates = [
        *(
            solution / "syn" / "report" / f"{stem}.{kind}"
            for stem in ("csynth", f"{top}_csynth")
            for kind in ("xml", "rpt")
        ),
        *(folder / "results_syn" / f"{each}.rpt" for folder in cosim.parents[3:7] for each in (name, name.lstrip("k"))),
    ]
    for path in candidates:
        report = _parse(path) if path.is_file() else None
        if isinstance(report, CsynthReport) and (latency := report.module.latency_cycles) is not None:
            if latency.max is not None:
                return float(latency.max), report.source.tool_version
        elif isinstance(report, SynthesisSummary) and report.top.latency_max_cycles is not None:
            return float(report.top.latency_max_cycles), report.source.tool_version
    return None


def _place(root: Path, path: Path, top: str) -> tuple[str, str, str]:
    """(Repository, design, flow) from where a report lies."""
    parts = path.relative_to(root).parts
    repository = parts[0].partition("__")[2]
    if repository != "Stream-HLS":
        return repository, top.removesuffix("_dbbuf"), repository
    project = re.sub(r"^hls_|\.prj$", "", path.parents[3].name)
    flow = next((part for part in parts if part in _FLOWS), "streamhls")
    return repository, _kernel(project), flow.lower()


_FLOWS = ("allo", "heterocl", "hida", "scalehls", "pom", "vitis", "streamhls")


def _kernel(name: str) -> str:
    """One name for a kernel in all flows and its variants: k2mm is 2mm, k7mmseq_balanced is k7mmseq."""
    return re.sub(r"^k(?=\dmm$)", "", name.partition("_")[0].rstrip("1"))


def _cosim_tables(root: Path) -> Iterator[Pair]:
    for path in sorted(root.rglob("compare.csv")):
        report = _parse(path)
        if not isinstance(report, ResultsTable):
            continue
        estimates = {row.design: row.cycles for row in report.rows if row.origin == "csynth"}
        for row in report.rows:
            estimate = estimates.get(row.design)
            if row.origin == "cosim" and row.status == "Pass" and row.cycles and estimate:
                kernel, _, flow = row.design.partition(" ")
                name = "streamhls" if flow.startswith("Opt") else flow.lower()
                yield Pair(f"Stream-HLS {_kernel(kernel)}", name, "2023.2", (float(estimate), 1.0), float(row.cycles))


def resource_pairs(root: Path, schedules: Path | None) -> dict[str, list[Pair]]:
    """csynth's resources and those of the routed (else placed) kernel or design, by resource. ``schedules``: a folder
    with implementation.tsv."""
    found: dict[str, list[Pair]] = {name: [] for name in RESOURCES}
    built_designs = [*_built_designs(root), *(() if schedules is None else _implementations(schedules))]
    for design, flow, tool, estimate, built in built_designs:
        for name in RESOURCES:
            before, after = [getattr(estimate, term) for term in ROUTED_TERMS[name]], getattr(built, name)
            if all(before) and after:
                estimates = tuple(map(float, before))
                found[name].append(Pair(design, flow, tool, estimates, float(after), float(estimate.lut or 0)))
    return {name: list(dict.fromkeys(pairs)) for name, pairs in found.items()}


def _implementations(folder: Path) -> Iterator[_Built]:
    """Rows of implementation.tsv with both counts. Kernels of one repository that share a name are told apart by their
    folder (Prometheus calls all of its kernels kernel_nlp); strategies and solutions of one kernel are one design."""
    with (folder / "implementation.tsv").open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        if not (row["csynth_LUT"] and row["postimpl_LUT"]):
            continue
        tiles = 2 if row["source"] == "v++ link" else 1  # RAMB36 there
        kernel = re.search(r"bitstream/(\w+?)_\dSLR/", row["path"])
        design = f"{row['repo']} {kernel[1] if kernel else row['top']}"
        tool = re.search(r"\d{4}\.\d", row["tool_version"])
        yield (
            design,
            row["source"],
            tool[0] if tool else None,
            _counts(row, "csynth", 1),
            _counts(row, "postimpl", tiles),
        )


def _counts(row: Mapping[str, str], prefix: str, tiles: int) -> HlsResources:
    lut, ff, dsp, bram, uram = (float(row[f"{prefix}_{name}"] or 0) for name in ("LUT", "FF", "DSP", "BRAM", "URAM"))
    return HlsResources(int(lut), int(ff), int(dsp), int(bram * tiles), int(uram))


_Built = tuple[str, str, "str | None", HlsResources, HlsResources]


def _built_designs(root: Path) -> Iterator[tuple[str, str, str | None, HlsResources, HlsResources]]:
    """Kernels that v++ routed, exported IP, and IP that Vivado synthesised out of context, each with its csynth."""
    for path in sorted(root.rglob("*_kernel_util_routed.rpt")):
        report = _parse(path)
        if isinstance(report, KernelUtilization):
            usage, name = report.kernels[0].usage, report.kernels[0].name
            yield from _with_csynth(path, name, name, "link", _sites(usage))
    for path in sorted(root.rglob("*_export.rpt")):
        report = _parse(path)
        if isinstance(report, ExportReport):
            top = path.stem.removesuffix("_export")
            yield from _with_csynth(path, top, top, "export", report.resources)
    for path in sorted(root.rglob("*_utilization_synth.rpt")):
        report = _parse(path)
        if isinstance(report, UtilizationReport) and (match := re.match(r"design_1_(\w+)_0_0_", path.name)):
            yield from _with_csynth(path, match[1], match[1], "out of context", _sites(report.usage))


def _sites(usage: object) -> HlsResources:
    return HlsResources(*(getattr(usage, name) for name in ("lut", "ff", "dsp", "bram_18k", "uram")))


def _with_csynth(
    built: Path, design: str, top: str, flow: str, resources: HlsResources
) -> Iterator[tuple[str, str, str | None, HlsResources, HlsResources]]:
    for folder in built.parents[:8]:
        for path in (*sorted(folder.glob(f"**/{top}_csynth.xml")), *sorted(folder.glob(f"**/{top}_csynth.rpt"))):
            report = _parse(path)
            if isinstance(report, CsynthReport):
                yield design, flow, report.source.tool_version, report.module.resources, resources
                return
        if "__" in folder.name:
            return


def _parse(path: Path) -> Report | None:
    try:
        return parse_report(path)
    except AebertError:
        return None


def observations(pairs: list[Pair], terms: tuple[str, ...], levels: Mapping[str, float]) -> Observations:
    amounts = np.array([pair.estimates[: len(terms)] for pair in pairs], np.float64)
    groups = {
        "tool": tuple(pair.tool for pair in pairs),
        "design": tuple(pair.design for pair in pairs),
    }
    found = np.array([pair.found for pair in pairs], np.float64)
    return Observations(terms, amounts, found, {name: groups[name] for name in levels if name in groups})


def report_tables(root: Path, schedules: Path | None) -> Iterator[str]:
    """Leave-one-design-out errors of csynth -> cosim and csynth -> routed, beside csynth taken at its word."""
    pairs = cosim_pairs(root)
    yield from _table(COSIM_CYCLES, pairs)
    for name, found in resource_pairs(root, schedules).items():
        if len(found) >= 2:
            yield from _table(routed(name), found)
            yield _spread_line(routed(name), [pair for pair in found if pair.lut > LARGE_LUTS])
        else:
            yield f"{routed(name)}: {len(found)} pairs, too few for a fit"


def _spread_line(name: str, pairs: list[Pair]) -> str:
    """What aebert.cost_model.uncertainty.ROUTED takes: the factor that nine of ten large kernels lie within, each
    predicted by a fit to the other designs' large kernels."""
    quantity = QUANTITIES[name]
    held_out = leave_one_out(observations(pairs, quantity.terms, quantity.prior.levels), quantity.prior, "design")
    factors = np.exp(np.sort(np.abs(held_out.residuals)))
    factor = float(factors[int(np.ceil(COVERAGE * len(factors))) - 1])
    designs = len({pair.design for pair in pairs})
    return (
        f"  over {LARGE_LUTS} LUTs: {len(pairs)} kernels of {designs} designs, median error "
        f"{np.median(held_out.errors):.1%}; nine of ten within a factor of {factor:.2f}, all within {factors[-1]:.2f}"
    )


def _table(name: str, pairs: list[Pair]) -> Iterator[str]:
    quantity = QUANTITIES[name]
    runs = observations(pairs, quantity.terms, quantity.prior.levels)
    fitted = fit(runs, quantity.prior)
    held_out = leave_one_out(runs, quantity.prior, "design")
    found = zip(fitted.terms, fitted.coefficients, strict=True)
    coefficients = ", ".join(f"{term} x {value:.3g}" for term, value in found)
    designs = len({pair.design for pair in pairs})
    plain = np.abs(np.array([pair.estimate / pair.found - 1 for pair in pairs]))
    yield f"{name}: {len(pairs)} pairs of {designs} designs; {coefficients}"
    yield from error_lines(held_out)
    yield f"  csynth taken at its word: median {np.median(plain):.2%}, 90 % below {np.percentile(plain, 90):.2%}"
    if note := assumed_note(held_out.bounds(), designs):
        yield note
