"""Reschedule what Vitis HLS scheduled: our scheduler against its own schedule reports.

    python -m benchmarks.schedule --data FOLDER [--operators FOLDER] [--without-rule NAME] [--limit OPERATIONS]
        [--json FILE] [--show]

FOLDER is searched for ``*.verbose.sched.rpt`` files, unpacked or in ``.tar.xz`` archives. From each pipelined loop the
data-flow graph is rebuilt (codegen.schedule.report_graph), scheduled once with the delays that the report prints and
once with the fitted operator table, and compared with what Vitis did. Equal loops count once. A report that cannot be
read, and a loop that cannot be scheduled, is named and counted. With ``--operators`` (a folder with operators.tsv) the
table for each loop is fitted without the rows of its repository: the folder of its report that is called OWNER__NAME.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

from aebert.hls_reports.reading import ReportError, read_report_text
from aebert.hls_reports.schedule_model import ScheduleReport
from aebert.hls_reports.schedule_rpt import parse_schedule
from benchmarks.fit_operators import fit_model
from benchmarks.tables import read_rows
from codegen.schedule.devices import device_of, is_seven_series
from codegen.schedule.graph import OUTSIDE, LoopGraph, StorageKind
from codegen.schedule.operator_model import OperatorModel, fitted_model
from codegen.schedule.packing import packed
from codegen.schedule.report_graph import ObservedLoop, reported_loops
from codegen.schedule.report_wiring import module_name
from codegen.schedule.result import LoopSchedule
from codegen.schedule.rules import VITIS, Rules
from codegen.schedule.scheduler import schedule_loop

SUFFIX = ".sched.rpt"
CLOCK_SHARE = 0.10


@dataclass(frozen=True)
class Comparison:
    """A loop as Vitis scheduled it, and as we do: with the report's delays and with the fitted table."""

    file: str
    loop: ObservedLoop
    own: LoopSchedule | None
    table: LoopSchedule | None


def unpack(folder: Path, scratch: Path) -> Iterator[Path]:
    """Report files of a folder and of the archives in it."""
    yield from sorted(folder.rglob(f"*{SUFFIX}"))
    for number, archive in enumerate(sorted(folder.rglob("*.tar.xz"))):
        target = scratch / str(number)
        with tarfile.open(archive) as handle:
            members = [member for member in handle.getmembers() if member.name.endswith(SUFFIX) and member.isfile()]
            handle.extractall(target, members, filter="data")
        yield from sorted(target.rglob(f"*{SUFFIX}"))


def read(files: list[Path]) -> tuple[dict[Path, ScheduleReport], list[str]]:
    """Reports by file, and a line for each that cannot be read."""
    reports, refused = {}, []
    for file in files:
        found = _parsed(file)
        if isinstance(found, str):
            refused.append(found)
        else:
            reports[file] = found
    return reports, refused


def _parsed(file: Path) -> ScheduleReport | str:
    """A report, or why it is refused."""
    try:
        return parse_schedule(read_report_text(file))
    except ReportError as error:
        return str(error)
    except (ValueError, LookupError, AttributeError) as error:  # a shape that was never seen
        return f"{file}: {type(error).__name__}: {error}"


def callee_intervals(reports: dict[Path, ScheduleReport]) -> dict[Path, dict[str, int]]:
    """By folder: II of the pipelined functions in it."""
    found: dict[Path, dict[str, int]] = defaultdict(dict)
    for file, report in reports.items():
        if report.pipelines and not any(loop.pipelined for loop in report.loops):
            found[file.parent][module_name(report.module)] = report.pipelines[0].initiation_interval
    return found


def distinct_loops(reports: dict[Path, ScheduleReport], refused: list[str]) -> list[tuple[str, ObservedLoop]]:
    """Loops that differ in operations, delays, clock or schedule."""
    intervals = callee_intervals(reports)
    seen: dict[object, tuple[str, ObservedLoop]] = {}
    for file, report in reports.items():
        try:
            loops = reported_loops(report, intervals[file.parent])
        except (ValueError, LookupError, RecursionError) as error:
            refused.append(f"{file}: {type(error).__name__}: {error}")
            continue
        for loop in loops:
            operations = tuple((op.opcode, op.timing) for op in loop.graph.operations)
            seen.setdefault((loop.graph.context, loop.observed, operations), (str(file), loop))
    return list(seen.values())


def without_timing(graph: LoopGraph) -> LoopGraph:
    """The graph for the operator table: calls and AXI keep what the report says, which no table can know."""
    operations = []
    for operation in graph.operations:
        storage = graph.storage_of(operation)
        axi = storage is not None and storage.kind is StorageKind.AXI
        keep = operation.opcode in ("call", OUTSIDE) or axi or " == " in operation.name
        operations.append(operation if keep else replace(operation, timing=None))
    return replace(graph, operations=tuple(operations))


def compare(file: str, loop: ObservedLoop, model: OperatorModel, rules: Rules, failed: list[str]) -> Comparison:
    own = _schedule(file, loop.graph, model, rules, failed)
    return Comparison(file, loop, own, _schedule(file, without_timing(loop.graph), model, rules, failed))


def _schedule(
    file: str, graph: LoopGraph, model: OperatorModel, rules: Rules, failed: list[str]
) -> LoopSchedule | None:
    try:
        return schedule_loop(graph, model, rules)
    except (ValueError, LookupError, RecursionError) as error:
        failed.append(f"{file}: {graph.label}: {error}")
        return None


def models_without(operators: Path | None) -> Callable[[str], OperatorModel]:
    """The table for the loops of a report: fitted without its repository, or (None) the one that is kept."""
    if operators is None:
        return lambda _: fitted_model()
    rows, areas = (read_rows(operators / name) for name in ("operators.tsv", "csynth_area.tsv"))

    @cache
    def fitted(repository: str) -> OperatorModel:
        return fit_model(*([row for row in each if row["repo"] != repository] for each in (rows, areas)))

    def of(file: str) -> OperatorModel:
        return fitted(next((part.replace("__", "/", 1) for part in Path(file).parts if "__" in part), ""))

    return of


def score(rows: list[Comparison], *, table: bool = False) -> dict[str, float | int | None]:
    """Counts and percentages over loops; a loop that was not scheduled counts as wrong."""
    total, above = len(rows), [row for row in rows if row.loop.observed.misses_target]
    good: dict[str, int] = defaultdict(int)
    for row in rows:
        ours, seen = row.table if table else row.own, row.loop.observed
        if ours is None:
            continue
        exact = ours.initiation_interval == seen.initiation_interval
        apart = abs(ours.depth - seen.depth)
        good["ii"] += exact
        good["ii_above"] += exact and seen.misses_target
        good["flagged"] += ours.misses_target and seen.misses_target
        good["false_flags"] += ours.misses_target and not seen.misses_target
        good["depth"] += apart == 0
        good["depth_1"] += apart <= 1
        good["depth_2"] += apart <= 2
        good["clock"] += abs(ours.clock_ns - seen.clock_ns) <= CLOCK_SHARE * seen.clock_ns + 0.01

    def percent(count: int, of: int) -> float | None:
        return round(100 * count / of, 1) if of else None

    return {
        "loops": total,
        "ii_exact": percent(good["ii"], total),
        "above_target": len(above),
        "ii_exact_above_target": percent(good["ii_above"], len(above)),
        "violations_flagged": percent(good["flagged"], len(above)),
        "false_flags": good["false_flags"],
        "depth_exact": percent(good["depth"], total),
        "depth_within_1": percent(good["depth_1"], total),
        "depth_within_2": percent(good["depth_2"], total),
        "clock_within_10_percent": percent(good["clock"], total),
    }


def print_packing(rows: list[Comparison]) -> None:
    """How often the rules of packing mark what the reports mark as part of a LUT or of an adder of three inputs."""
    for title, opcodes in (("LUTs", ("and", "or", "xor", "select")), ("adders of three inputs", ("add", "sub"))):
        counts: Counter[tuple[bool, bool]] = Counter()
        for graph in (row.loop.graph for row in rows):
            if opcodes[0] == "add" and is_seven_series(graph.context.part):
                continue
            ours = packed(graph)
            counts.update(
                (number in ours, operation.merged)
                for number, operation in enumerate(graph.operations)
                if operation.opcode in opcodes
            )
        marked = counts[True, True] + counts[False, True]
        print(f"{title}: of {marked} operations that are part of one, {counts[True, True]} found; "
              f"{counts[True, False]} found that are not")  # fmt: skip


def print_scores(title: str, groups: dict[str, list[Comparison]], *, table: bool) -> None:
    print(f"\n{title}")
    titles = ("loops", "II", "above", "II", "flag", "false", "D", "D+-1", "D+-2", "clock")
    widths = (5, 6, 5, 6, 6, 5, 6, 6, 6, 6)
    print(" " * 29 + " ".join(f"{title:>{w}}" for title, w in zip(titles, widths, strict=True)))
    for name, rows in sorted(groups.items()):
        cells = score(rows, table=table).values()
        print(
            f"{name[:28]:28s} "
            + " ".join(f"{'-' if c is None else c:>{w}}" for c, w in zip(cells, widths, strict=True))
        )


def grouped(rows: list[Comparison]) -> dict[str, dict[str, list[Comparison]]]:
    groups: dict[str, dict[str, list[Comparison]]] = {"all": {"all": rows}, "tool version": {}, "device": {}}
    for row in rows:
        context = row.loop.graph.context
        groups["tool version"].setdefault(context.tool_version[:6], []).append(row)
        groups["device"].setdefault(device_of(context.part), []).append(row)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of reports, or .tar.xz of them")
    parser.add_argument("--operators", type=Path, help="folder of operators.tsv: fit the table without each repository")
    parser.add_argument("--without-rule", choices=[field.name for field in fields(Rules)], help="switch a rule off")
    parser.add_argument("--limit", type=int, default=700, help="leave out loops of more operations")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--show", action="store_true", help="print each loop that differs")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data}: no such folder; give one with *{SUFFIX} files")
    rules = replace(VITIS, **{arguments.without_rule: False}) if arguments.without_rule else VITIS
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        reports, refused = read(list(unpack(arguments.data, Path(scratch))))
        loops = distinct_loops(reports, refused)
    failed: list[str] = []
    small = [(file, loop) for file, loop in loops if len(loop.graph.operations) <= arguments.limit]
    model_of = models_without(arguments.operators)
    rows = [compare(file, loop, model_of(file), rules, failed) for file, loop in small]
    print(f"{len(reports)} reports read, {len(refused)} refused")
    print(f"{len(loops)} distinct loops, {len(loops) - len(small)} too large, {len(failed)} not scheduled")
    for line in refused + failed:
        print(f"  {line}")
    print_packing(rows)
    for name, groups in grouped(rows).items():
        print_scores(f"by {name}, with the report's delays", groups, table=False)
        print_scores(f"by {name}, with the fitted table", groups, table=True)
    if arguments.show:
        show(rows)
    if arguments.json:
        figures = {"own": score(rows), "table": score(rows, table=True), "refused": len(refused), "failed": len(failed)}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"\n{time.perf_counter() - start:.0f} s")


def show(rows: list[Comparison]) -> None:
    for row in rows:
        seen, ours = row.loop.observed, row.own
        if ours and (ours.initiation_interval, ours.depth) == (seen.initiation_interval, seen.depth):
            continue
        mine = f"II {ours.initiation_interval} D {ours.depth} {ours.clock_ns:.2f} ns" if ours else "nothing"
        reason = f"; {ours.limits[-1].reason}" if ours and ours.limits else ""
        theirs = f"II {seen.initiation_interval} D {seen.depth} {seen.clock_ns:.2f} ns"
        print(f"{row.loop.graph.process}: {theirs}; ours {mine}{reason}")


if __name__ == "__main__":
    main()
