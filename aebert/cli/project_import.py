"""A project's own reports: its manifest says what they are of, and what they say is set beside what was predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.support.errors import AebertError
from aebert.support.text_table import text_table

if TYPE_CHECKING:
    from aebert.cost_model.breakdown import Breakdown, PredictionInterval
    from aebert.cost_model.synthesis import Synthesis
    from aebert.records.database import StoredRecord
    from aebert.records.from_reports import ImportContext
    from aebert.records.import_files import ImportedFiles

MANIFEST = "manifest.json"


def is_project(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def read_project(project: Path, given: ImportContext) -> ImportedFiles:
    """The reports below ``project`` that the toolchains left, as records of its design, with its inputs.

    Raises AebertError for reports of another kernel or part, naming the file.
    """
    from aebert.cost_model.run_inputs import to_text
    from aebert.hls_reports.part_names import same_part
    from aebert.records.import_files import preferred, read_files
    from codegen.manifest import read_manifest
    from codegen.project_inputs import project_inputs

    manifest = read_manifest(project)
    context = replace(
        given,
        design=given.design or manifest.top,
        design_digest=manifest.design_digest,
        subnet_digest=manifest.subnet_digest,
        board=given.board or manifest.board,
        inputs=to_text(project_inputs(project, manifest)),
    )
    own = frozenset(project / name for name in (*manifest.files, MANIFEST))
    found = read_files([project], context, skip=own)
    for record in found.records:
        if record.source == "csynth" and record.part is not None and not same_part(record.part, manifest.part):
            raise AebertError(
                f"{project}: {record.report_name} is of part {record.part}, the project's is {manifest.part}; "
                "give the reports of this project"
            )
    if others := sorted(found.tops - {manifest.top}):
        raise AebertError(f"{project}: reports of {others[0]}, the project's kernel is {manifest.top}; remove them")
    return replace(found, records=preferred(found.records))


def comparison(project: Path, before: list[StoredRecord], after: list[StoredRecord]) -> Iterator[str]:
    """Predicted (without the new records) against synthesised, by loop and by unit, and what to believe now."""
    from aebert.cost_model.breakdown import break_down
    from aebert.cost_model.synthesis import synthesis_of
    from aebert.design.workload import subnet_tiles
    from aebert.timing.loop_schedules import estimated_schedules
    from codegen.manifest import manifest_design
    from codegen.project import load_project
    from codegen.toolchains.timed import source_pragmas

    loaded = load_project(project)
    manifest = loaded.manifest
    design = manifest_design(manifest)
    synthesis = synthesis_of(after, manifest.design_digest)
    if synthesis is None:
        return
    lengths = (manifest.config.max_length,)
    tiles = subnet_tiles(loaded.quantised)
    old = break_down(design, manifest.shape, tiles, lengths, None, synthesis_of(before, manifest.design_digest))
    new = break_down(design, manifest.shape, tiles, lengths, None, synthesis)
    assumed = {each.loop: each for each in estimated_schedules(manifest.config, source_pragmas(loaded.sources()))}
    loops = []
    for name, figures in sorted(synthesis.loops.items()):
        known = assumed.get(name)
        ii, depth = ("-", "-") if known is None else (str(known.ii), str(known.depth))
        loops.append((name, ii, str(figures.ii), depth, str(figures.depth)))
    yield text_table(("loop", "II assumed", "II by csynth", "depth assumed", "depth by csynth"), loops)
    yield _unit_table(synthesis)
    yield text_table(("one launch", "predicted before", "csynth", "to believe now"), _belief_rows(old, new, synthesis))


def _unit_table(synthesis: Synthesis) -> str:
    names = ("lut", "ff", "dsp", "bram_18k", "uram")
    units = sorted(synthesis.units.items())
    rows = ((unit, *(f"{counts.get(name, 0):.0f}" for name in names)) for unit, counts in units)
    return text_table(("unit, by csynth", *names), rows)


def _belief_rows(old: Breakdown, new: Breakdown, synthesis: Synthesis) -> Iterator[tuple[str, ...]]:
    def interval(found: PredictionInterval, digits: int) -> str:
        return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"

    clock = "-" if synthesis.clock_mhz is None else f"{synthesis.clock_mhz:.0f}"
    yield "cycles", interval(old.cycles, 0), "-", interval(new.cycles, 0)
    yield "clock, MHz", interval(old.clock_mhz, 0), clock, interval(new.clock_mhz, 0)
    yield "latency, ms", interval(old.latency_ms, 3), "-", interval(new.latency_ms, 3)
    for before, now in zip(old.resources, new.resources, strict=True):
        counted = synthesis.resources.get("bram_18k" if now.name == "bram36" else now.name)
        said = "-" if counted is None else f"{counted / (2 if now.name == 'bram36' else 1):.0f}"
        yield now.name, interval(before.used, 0), said, interval(now.used, 0)
