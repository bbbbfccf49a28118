"""What Vivado leaves of csynth's LUTs and flip-flops: of whole kernels, and by kind where a kernel's reports have it.

Both are fits of `aebert.cost_model.robust_fit`: log(placed) = log(sum of share x csynth) + effect of the repository +
error, Student's t throughout, so neither one kernel nor a repository with many decides. Each repository is left out
in turn.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from aebert.cost_model.leave_one_out import HeldOut, leave_one_out
from aebert.cost_model.observations import Observations
from aebert.cost_model.robust_fit import Prior, fit
from aebert.cost_model.spread import COVERAGE
from aebert.design.operator_areas import Share
from aebert.hls_reports.model import CsynthReport, KernelUtilization
from aebert.hls_reports.parse import parse_report
from benchmarks.csynth_modules import kernel_counts
from benchmarks.tables import Row

RESOURCES = ("LUT", "FF")
# In smaller kernels constant parts decide that Vivado removes, the control of a pipeline that is one cycle long.
LARGE_LUTS = 5000
# Before any kernel: a share of 0.8, give or take a factor of 2; repositories differ by a fifth.
_CENTRE, _SPREAD, _REPOSITORIES, _NOISE = 0.8, 0.7, 0.2, 0.1


@dataclass(frozen=True)
class BuiltKernel:
    """``placed`` after implementation, else after synthesis; ``csynth``: the kernel's total; ``kinds``: the same by
    kind of csynth's table, None where its modules have no reports."""

    repository: str
    name: str
    csynth: Mapping[str, float]
    placed: Mapping[str, float]
    kinds: Mapping[str, Mapping[str, float]] | None


def built_kernels(rows: Sequence[Row], roots: Sequence[Path]) -> list[BuiltKernel]:
    """Of implementation.tsv and of the reports below ``roots``, each kernel once: several runs are their median."""
    runs: dict[tuple[str, str, str, str], list[dict[str, float]]] = defaultdict(list)
    reports: dict[tuple[str, str, str, str], Path | None] = {}
    for row in rows:
        placed = {name: float(row[f"postimpl_{name}"] or row[f"postsyn_{name}"] or 0) for name in RESOURCES}
        if row["csynth_LUT"] and all(placed.values()):
            key = row["repo"], f"{_folder(row['path'])}{row['top']}", row["csynth_LUT"], row["csynth_FF"]
            runs[key].append(placed)
            reports[key] = _report(row, roots)
    found = [
        BuiltKernel(
            key[0],
            key[1],
            dict(zip(RESOURCES, map(float, key[2:]), strict=True)),
            {name: float(np.median([placed[name] for placed in mine])) for name in RESOURCES},
            _kinds(reports[key]),
        )
        for key, mine in runs.items()
    ]
    known = {(kernel.repository, kernel.csynth["LUT"]) for kernel in found}
    for root in roots:
        for kernel in _linked_kernels(root):
            if (kernel.repository, kernel.csynth["LUT"]) not in known:
                known.add((kernel.repository, kernel.csynth["LUT"]))
                found.append(kernel)
    return found


def _folder(path: str) -> str:
    """What tells kernels of one name apart (Prometheus calls all of its kernels alike)."""
    match = re.search(r"bitstream/(\w+?)/", path)
    return f"{match[1]} " if match else ""


def _report(row: Row, roots: Sequence[Path]) -> Path | None:
    """The csynth report of the row's kernel, below one of ``roots``: REPOSITORY/COMMIT/PATH or, packed, below that."""
    if not row["csynth_path"]:
        return None
    name = f"{row['repo'].replace('/', '__')}/{row['commit']}/{row['csynth_path']}"
    return next((path for root in roots for path in (root / name, *root.glob(f"*/{name}")) if path.is_file()), None)


def _kinds(report: Path | None) -> Mapping[str, Mapping[str, float]] | None:
    if report is None:
        return None
    counts = kernel_counts(report)
    if any(counts.get("unseparated", (0, 0))):
        return None
    return {kind: dict(zip(RESOURCES, map(float, count), strict=True)) for kind, count in counts.items()}


def _linked_kernels(root: Path) -> Iterator[BuiltKernel]:
    """Kernels that v++ routed, with their csynth report in the same project folder (``*.prj``)."""
    for path in sorted(root.rglob("*kernel_util_routed.rpt")):
        project = next((folder for folder in path.parents if folder.suffix == ".prj"), None)
        report = parse_report(path) if project is not None else None
        if project is None or not isinstance(report, KernelUtilization) or not report.kernels:
            continue
        kernel = report.kernels[0]
        estimates = (parse_report(each) for each in project.rglob(f"{kernel.name}_csynth.rpt"))
        estimate = next((each for each in estimates if isinstance(each, CsynthReport)), None)
        if estimate is None:
            continue
        total = estimate.module.resources
        yield BuiltKernel(
            path.relative_to(root).parts[0].replace("__", "/"),
            f"{project.name} {kernel.name}",
            {"LUT": float(total.lut or 0), "FF": float(total.ff or 0)},
            {"LUT": float(kernel.usage.lut or 0), "FF": float(kernel.usage.ff or 0)},
            None,
        )


def _observations(kernels: Sequence[BuiltKernel], resource: str, kinds: Sequence[str]) -> Observations:
    nothing = {resource: 0.0}
    amounts = [
        [(kernel.kinds or {}).get(kind, nothing)[resource] for kind in kinds] or [kernel.csynth[resource]]
        for kernel in kernels
    ]
    return Observations(
        tuple(kinds) or ("csynth",),
        np.array(amounts, np.float64),
        np.array([kernel.placed[resource] for kernel in kernels]),
        {"repository": tuple(kernel.repository for kernel in kernels)},
    )


def _prior(terms: int) -> Prior:
    return Prior(np.full(terms, _CENTRE), np.full(terms, _SPREAD), {"repository": _REPOSITORIES}, _NOISE)


@dataclass(frozen=True)
class PlacedShare:
    """Of ``kernels``, of which ``inside`` lie in the interval; ``left_out``: measured / predicted, the median kernel of
    each repository, which the fit has not seen."""

    share: Share
    kernels: int
    inside: int
    left_out: Mapping[str, float]


def whole_kernels(kernels: Sequence[BuiltKernel], resource: str) -> PlacedShare:
    """Of all large kernels. The interval is what the fit says of a repository that it has not seen."""
    large = [each for each in kernels if each.csynth["LUT"] > LARGE_LUTS]
    runs, prior = _observations(large, resource, ()), _prior(1)
    mean, deviation = fit(runs, prior).predict(np.ones((1, 1)), {})
    reach = float(student.ppf((1 + COVERAGE) / 2, prior.freedom) * deviation[0])
    share = Share(*(round(float(np.exp(mean[0] + side)), 2) for side in (0.0, -reach, reach)))
    inside = sum(share.low <= each.placed[resource] / each.csynth[resource] <= share.high for each in large)
    return PlacedShare(share, len(large), inside, _left_out(leave_one_out(runs, prior, "repository")))


def _left_out(held_out: HeldOut) -> dict[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for name, residual in zip(held_out.groups, held_out.residuals, strict=True):
        found[name].append(float(np.exp(residual)))
    return {name: float(np.median(each)) for name, each in sorted(found.items())}


@dataclass(frozen=True)
class KindShares:
    """Share of each kind with the ends of its interval, as far as a kernel's sum tells kinds apart: a share whose ends
    are a factor of 9 or more apart is no better known than before the fit."""

    shares: Mapping[str, Share]
    kernels: int
    left_out: Mapping[str, float]


def by_kind(kernels: Sequence[BuiltKernel], resource: str) -> KindShares:
    """Of the large kernels whose csynth figures can be told apart by kind."""
    chosen = [each for each in kernels if each.kinds is not None and each.csynth["LUT"] > LARGE_LUTS]
    kinds = sorted({kind for each in chosen for kind, count in (each.kinds or {}).items() if count[resource]})
    runs = _observations(chosen, resource, kinds)
    found = fit(runs, _prior(len(kinds)))
    reach = student.ppf((1 + COVERAGE) / 2, 4.0) * np.sqrt(np.diag(found.covariance))[: len(kinds)]
    shares = {
        kind: Share(*(round(float(middle * np.exp(side)), 2) for side in (0.0, -each, each)))
        for kind, middle, each in zip(kinds, found.coefficients, reach, strict=True)
    }
    return KindShares(shares, len(chosen), _left_out(leave_one_out(runs, _prior(len(kinds)), "repository")))
