"""What Yosys counts of a project's RTL: beside the closed form, unit by unit, and as run records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aebert.cost_model.record_facts import OPEN_SYNTHESIS
from aebert.cost_model.run_inputs import to_text
from aebert.cost_model.structure import BRAM18_PER_BRAM36
from aebert.design.board_fit import check_fit
from aebert.design.design import Design
from aebert.design.unit_resources import CONTROL, UNIT_OF_PROCESS, unit_resources
from aebert.records.record import RunRecord
from codegen.project import Project
from codegen.project_inputs import project_inputs
from codegen.toolchains.yosys import yosys_version
from codegen.toolchains.yosys_cells import YosysCount


@dataclass(frozen=True)
class UnitComparison:
    """LUTs, flip-flops, DSP slices, RAMB18 and UltraRAM of one unit: ``predicted`` by the closed form, and in Yosys."""

    unit: str
    predicted: YosysCount
    yosys: YosysCount


def compare_units(design: Design, counted: Mapping[str, YosysCount]) -> tuple[UnitComparison, ...]:
    """``counted`` by process and by part of the top level, as `codegen.toolchains.yosys.synthesise` gives them."""
    predicted = unit_resources(check_fit(design.config, design.board, design.compute_units))
    found = dict.fromkeys(predicted, YosysCount())
    for name, count in counted.items():
        found[UNIT_OF_PROCESS.get(name, CONTROL)] += count
    rows = []
    for unit, each in predicted.items():
        bram_18k = BRAM18_PER_BRAM36 * each.bram36
        amounts = (int(amount.max().round()) for amount in (each.lut, each.ff, each.dsp, bram_18k, each.uram))
        rows.append(UnitComparison(unit, YosysCount(*amounts), found[unit]))
    return tuple(rows)


def yosys_records(project: Project, counted: Mapping[str, YosysCount]) -> Iterator[RunRecord]:
    """One of the whole kernel, and one of each process and part."""
    total = YosysCount()
    for count in counted.values():
        total += count
    yield _record(project, total)
    for name, count in counted.items():
        yield _record(project, count, name)


def _record(project: Project, count: YosysCount, module: str | None = None) -> RunRecord:
    manifest = project.manifest
    return RunRecord(
        source=OPEN_SYNTHESIS,
        design=manifest.top,
        scope="design" if module is None else "module",
        module=module,
        design_digest=manifest.design_digest,
        board=manifest.board,
        part=manifest.part,
        tool="yosys",
        tool_version=yosys_version(),
        clock_asked_mhz=manifest.clock_mhz,
        lut=count.lut,
        ff=count.ff,
        dsp=count.dsp,
        bram_18k=count.bram_18k,
        uram=count.uram,
        resource_stage="synthesised",
        note="RTL of AE-BERT's own scheduler; each process by itself, and the top level without them",
        inputs=to_text(project_inputs(project.directory, manifest)),
    )
