"""Parse every file of a folder of HLS reports and compare the numbers with its INDEX.tsv.

    python benchmarks/reports.py --data FOLDER

Prints files by kind, refused files with the reason, compared values, and every mismatch with its explanation.
Exit code 1 when a mismatch has no explanation.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aebert.hls_reports import Report, ReportError, parse_report
from aebert.hls_reports.model import (
    ClockUtilization,
    CosimReport,
    CsynthReport,
    ExportReport,
    HierarchicalUtilization,
    HlsResources,
    KernelUtilization,
    ProfileSummary,
    ResultRow,
    ResultsTable,
    SiteUsage,
    SynthesisSummary,
    TimingSummary,
    UtilizationReport,
)
from aebert.hls_reports.part_names import same_part

Number = int | float | None
Facts = dict[str, Number]
RESOURCES = ("LUT", "FF", "DSP", "BRAM", "URAM")


def hls_facts(resources: HlsResources) -> Facts:
    counts = (resources.lut, resources.ff, resources.dsp, resources.bram_18k, resources.uram)
    return dict(zip(RESOURCES, counts, strict=True))


def site_facts(usage: SiteUsage) -> Facts:
    return dict(zip(RESOURCES, (usage.lut, usage.ff, usage.dsp, usage.bram_36k, usage.uram), strict=True))


def facts(report: Report, row: dict[str, str]) -> Facts:
    """What the parsed report says about the columns of an INDEX row."""
    match report:
        case CsynthReport():
            latency, clock = report.module.latency_cycles, report.module.clock.target_ns
            ends = (latency.min, latency.max) if latency else (None, None)
            return hls_facts(report.module.resources) | {
                "latency_min": ends[0],
                "latency_max": ends[1],
                "clock_ns": clock,
            }
        case SynthesisSummary():
            return hls_facts(report.top.resources) | {"latency_max": report.top.latency_max_cycles}
        case CosimReport():
            run = report.measured
            return {"latency_min": run.latency_min, "latency_max": run.latency_max} if run else {}
        case KernelUtilization():
            return site_facts(report.kernels[0].usage)
        case UtilizationReport():
            return site_facts(report.usage)
        case HierarchicalUtilization():
            return site_facts(report.rows[0].usage)
        case ExportReport():
            return hls_facts(report.resources) | {"clock_ns": report.achieved_ns}
        case ProfileSummary():
            timings = report.kernels[0].timings
            return {"latency_min": timings.min_ms, "latency_max": timings.max_ms}
        case ResultsTable():
            return table_facts(report, row)
        case ClockUtilization() | TimingSummary():
            return {}
        case _:
            return {}


def table_facts(table: ResultsTable, row: dict[str, str]) -> Facts:
    """INDEX has one row per line of the Allo table, and one per kernel and board (the extremes) of AMD's tables."""
    if row["kind"] == "csynth":
        lines = [line for line in table.rows if str(line.cycles) == row["latency_min"]]
        if not lines:
            return {}
        line = lines[0]
        return hls_facts(line.resources) | {
            "latency_min": line.cycles,
            "latency_max": line.cycles,
            "clock_ns": line.clock_ns,
        }
    lines = [line for line in table.rows if line.design.startswith(row["top"]) and line.board == row["part"]]
    if not lines:
        return {}
    by_cycles = row["latency_min"].endswith("cycles")
    latencies = [value for line in lines if (value := line.cycles if by_cycles else line.latency_ms) is not None]
    resources = next((hls_facts(line.resources) for line in lines if has_resources(line)), {})
    tiles = resources.get("BRAM")
    return (
        resources
        | {"BRAM": None if tiles is None else tiles / 2}
        | {"latency_min": min(latencies), "latency_max": max(latencies), "clock_ns": lines[0].clock_ns}
    )


def has_resources(line: ResultRow) -> bool:
    return line.resources.lut is not None


def expected(text: str) -> Number:
    """The number at the start of an INDEX cell; None when it is empty, NA, ? or undef."""
    word = text.partition(" ")[0]
    try:
        return float(word)
    except ValueError:
        return None


def equal(index: str, parsed: float) -> bool:
    """Exactly equal, or equal after rounding to the decimals that INDEX shows (periods of board tables, times)."""
    word = index.partition(" ")[0]
    decimals = len(word.partition(".")[2])
    return float(word) == parsed or (decimals > 0 and round(parsed, decimals) == float(word))


def text_facts(report: Report) -> dict[str, str | None]:
    """Provenance that INDEX repeats: the version inside its tool column, the part, the top function."""
    if isinstance(report, ProfileSummary):
        return {"part": report.device, "top": report.source.top}
    if isinstance(report, KernelUtilization):
        return {"part": report.source.part, "top": report.kernels[0].name}
    return {name: getattr(report.source, name) for name in ("tool_version", "part", "top")}


def explain(report: Report, row: dict[str, str], column: str) -> str | None:
    """Why INDEX.tsv and the file rightly differ, where that is known."""
    if isinstance(report, UtilizationReport) and report.slrs and row["report_path"].endswith("slr_util_routed.rpt"):
        index, first = expected(row[column]), site_facts(report.slrs[0].usage).get(column)
        if first is not None and index == first:
            return "INDEX holds SLR0 alone; the parser gives every SLR and their sum"
    return None


def explain_text(report: Report, index: str, column: str) -> str | None:
    """The same for provenance."""
    if isinstance(report, CosimReport) and column == "top" and index.startswith(f"{report.source.top}("):
        return "INDEX adds the size from the file name to the function's name"
    if isinstance(report, ExportReport) and column == "tool_version":
        return "INDEX names the tool without its version"
    return None


def absent(report: Report, column: str) -> str | None:
    """Why a report cannot have a value that INDEX.tsv took from elsewhere."""
    if isinstance(report, SynthesisSummary) and column == "clock_ns":
        return "csynth.rpt holds no clock (INDEX took it from the project)"
    if isinstance(report, SynthesisSummary) and column == "latency_min":
        return "csynth.rpt shows the worst case alone (INDEX repeats it as the minimum)"
    if isinstance(report, CosimReport) and column == "clock_ns":
        return "cosim reports hold no clock (INDEX took it from the project)"
    if isinstance(report, ProfileSummary) and column == "clock_ns":
        return "the profile has no clock (INDEX took it from the link log or the project)"
    if isinstance(report, ResultsTable) and column == "clock_ns":
        return "the table has no clock (INDEX took it from the paper's scripts)"
    return None


def report_files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder) / name for name in names)


def machine() -> str:
    cpu = "unknown CPU"
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, {datetime.date.today()}"


@dataclass
class Tally:
    """Outcome of comparing values with INDEX.tsv."""

    compared: int = 0
    same: int = 0
    unexplained: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)

    def judge(self, row: dict[str, str], column: str, parsed: object, agrees: bool, reason: str | None) -> None:
        self.compared += 1
        if agrees:
            self.same += 1
        elif reason:
            self.explained[reason] += 1
        else:
            self.unexplained += 1
            print(f"MISMATCH {row['report_path']}: {column} INDEX {row[column]!r} parsed {parsed!r}")


def compare_texts(tally: Tally, report: Report, row: dict[str, str]) -> None:
    for column, text in text_facts(report).items():
        index = row[column]
        if text is not None and index not in ("", "(table)"):
            agrees = text == index or (column == "tool_version" and text in index.split(" ")[-1])
            agrees |= column == "part" and same_part(text, index)  # the index has the report's own spelling
            tally.judge(row, column, text, agrees, explain_text(report, index, column))


def compare_numbers(tally: Tally, report: Report, row: dict[str, str]) -> None:
    found = facts(report, row)
    for column in ("latency_min", "latency_max", "clock_ns", *RESOURCES):
        index, value = expected(row[column]), found.get(column)
        if index is None:
            if row[column] in ("?", "undef", "NA"):
                tally.judge(row, column, value, value is None, None)
        elif value is None and (reason := absent(report, column)):
            tally.elsewhere[reason] += 1
        else:
            agrees = value is not None and equal(row[column], value)
            tally.judge(row, column, value, agrees, explain(report, row, column))


def compare(parsed: dict[str, Report], rows: list[dict[str, str]]) -> int:
    """Print the comparison; return the number of mismatches without explanation."""
    tally, unparsed = Tally(), Counter[str]()
    for row in rows:
        report = parsed.get(row["report_path"])
        if report is None:
            unparsed[row["report_path"]] += 1
        else:
            compare_texts(tally, report, row)
            compare_numbers(tally, report, row)
    print(f"\nINDEX rows {len(rows)}; values compared {tally.compared}, equal {tally.same}")
    print(f"  unexplained mismatches {tally.unexplained}")
    for label, counts in (("explained", tally.explained), ("not there", tally.elsewhere)):
        for reason, count in counts.items():
            print(f"  {label}  {count:5d}  {reason}")
    for path, count in unparsed.items():
        print(f"  no parse   {count:5d}  rows of {path} (refused above)")
    return tally.unexplained


def compare_summaries(parsed: dict[str, Report]) -> None:
    """csynth.rpt shows "-" for none, and one latency where csynth.xml has a range: check both readings."""
    pairs = resources = ends = ranges = 0
    for name, report in parsed.items():
        whole = parsed.get(name.removesuffix(".rpt") + ".xml")
        if isinstance(report, SynthesisSummary) and isinstance(whole, CsynthReport):
            latency = whole.module.latency_cycles
            pairs += 1
            resources += report.top.resources == whole.module.resources
            ends += latency is not None and report.top.latency_max_cycles == latency.max
            ranges += latency is not None and latency.exact is None and latency.known
    print(f"\ncsynth.rpt next to csynth.xml: {pairs} pairs, resources equal in {resources}")
    print(f"  latency equal to the upper end in {ends}, of which {ranges} are ranges in csynth.xml")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with reports and INDEX.tsv")
    root: Path = parser.parse_args().data
    parsed: dict[str, Report] = {}
    refused: dict[str, str] = {}
    size = 0
    start = time.perf_counter()
    for file in report_files(root):
        name = str(file.relative_to(root))
        size += file.stat().st_size
        try:
            parsed[name] = parse_report(file)
        except ReportError as error:
            refused[name] = str(error).removeprefix(f"{file}: ")
    seconds = time.perf_counter() - start
    print(machine())
    print(f"{len(parsed) + len(refused)} files, {size / 1e6:.1f} MB, {seconds:.1f} s")
    for kind, count in Counter(report.kind for report in parsed.values()).most_common():
        print(f"  {count:5d}  {kind}")
    for name, reason in sorted(refused.items()):
        print(f"  refused {name}: {reason}")
    with (root / "INDEX.tsv").open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    compare_summaries(parsed)
    return 1 if compare(parsed, rows) else 0


if __name__ == "__main__":
    sys.exit(main())
