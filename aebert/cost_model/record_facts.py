"""Run records as observations: each fact beside what the structure says about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from aebert.cost_model.fitted_quantities import (
    CLOCK_PERIOD,
    COSIM_CYCLES,
    CSYNTH_PER_ROUTED,
    CYCLES,
    RESOURCES,
    ROUTED_TERMS,
    Quantity,
    routed,
)
from aebert.cost_model.observations import Observations
from aebert.cost_model.run_inputs import RunInputs, from_text
from aebert.cost_model.structure import crowding, structural_cycles, structural_resources, structural_usage
from aebert.cost_model.synthesis import synthesis_of
from aebert.design.board import Board, load_board
from aebert.design.board_fit import Usage
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES, Latencies
from aebert.records.database import StoredRecord
from aebert.records.record import RunRecord
from aebert.support.errors import AebertError

ON_HARDWARE = ("hw", "hw_emu")
OPEN_SYNTHESIS: Final = "yosys"
_BUILT = ("synthesised", "placed", "routed")
_WHOLE = ("design", "kernel", "compute_unit")


@dataclass(frozen=True)
class Fact:
    """One observation of a quantity."""

    name: str
    amounts: tuple[float, ...]
    measured: float
    groups: Mapping[str, str | None]


@dataclass
class Facts:
    """By quantity; ``unused``: why records gave none, and how many."""

    of: dict[str, list[Fact]] = field(default_factory=lambda: defaultdict(list))
    unused: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def observations(self, quantity: Quantity) -> Observations:
        facts = self.of[quantity.name]
        groups = {level: tuple(fact.groups.get(level) for fact in facts) for level in quantity.levels}
        amounts = np.array([fact.amounts for fact in facts], np.float64).reshape(len(facts), len(quantity.terms))
        measured = np.array([fact.measured for fact in facts], np.float64)
        return Observations(quantity.terms, amounts, measured, groups, tuple(fact.name for fact in facts))


@dataclass(frozen=True)
class _Design:
    """What is known of a record's design. ``usage`` is None where the resource count says that it does not fit;
    ``latencies``: of its loops as synthesised, where a synthesis is stored; else as scheduled, where that is known."""

    inputs: RunInputs
    board: Board
    usage: Usage | None
    latencies: Latencies


def facts_of(records: Sequence[StoredRecord]) -> Facts:
    """Every fact that the records hold. Raises AebertError for inputs that cannot be read, naming the record."""
    facts = Facts()
    designs = _designs(records, facts)
    for stored in records:
        record = stored.record
        design = designs.get(record.design_digest or "")
        if record.scope not in _WHOLE:
            continue
        for name, fact in _own_facts(stored, design):
            facts.of[name].append(fact)
        if design is None:
            facts.unused["of a design without inputs (not stored by aebert measure or build)"] += 1
        if record.source == OPEN_SYNTHESIS:
            facts.unused["of Yosys: a check of the structure, not what Vivado makes of a kernel"] += 1
    for name, fact in _pairs(records):
        facts.of[name].append(fact)
    return facts


def _designs(records: Sequence[StoredRecord], facts: Facts) -> dict[str, _Design]:
    """By design digest: one record with inputs speaks for all of its design."""
    found: dict[str, _Design] = {}
    for stored in records:
        record = stored.record
        if record.design_digest is None or record.inputs is None or record.board is None:
            continue
        if record.design_digest in found:
            continue
        inputs = _inputs(stored)
        try:
            board = load_board(record.board)
        except AebertError:
            facts.unused[f"of a board that is not known: {record.board}"] += 1
            continue
        try:
            usage = structural_usage(inputs, board)
        except AebertError:
            usage = None
        found[record.design_digest] = _Design(inputs, board, usage, _latencies(records, record.design_digest, inputs))
    return found


def _latencies(records: Sequence[StoredRecord], design_digest: str, inputs: RunInputs) -> Latencies:
    synthesis = synthesis_of(records, design_digest)
    if synthesis is not None:
        return synthesis.latencies(inputs.config)
    mine = (_inputs(each) for each in records if each.record.design_digest == design_digest and each.record.inputs)
    scheduled = (each.scheduled for each in mine if each.scheduled is not None)
    return next(scheduled, DEFAULT_LATENCIES)


def _inputs(stored: StoredRecord) -> RunInputs:
    try:
        return from_text(stored.record.inputs or "")
    except AebertError as error:
        raise AebertError(f"run record {stored.digest[:12]}: {error}") from None


def _groups(record: RunRecord) -> dict[str, str | None]:
    tool = " ".join(filter(None, (record.tool, record.tool_version)))
    return {
        "source": record.source,
        "tool": tool or None,
        "board": record.board,
        "stage": record.resource_stage,
        "design": record.design_digest or record.design,
    }


def _own_facts(stored: StoredRecord, design: _Design | None) -> Iterator[tuple[str, Fact]]:
    if design is None:
        return
    record, groups = stored.record, _groups(stored.record)
    clock = record.clock_achieved_mhz or record.clock_asked_mhz or design.inputs.clock_mhz
    on_hardware = record.source in ON_HARDWARE
    cycles = _cycles(record, clock)
    own = None if record.inputs is None else _inputs(stored)
    if cycles is not None and own is not None and own.launch is not None:
        latencies = design.latencies if own.latencies is None else own.latencies
        structure = structural_cycles(design.inputs, own.launch, design.board, latencies)
        amounts = (structure.engine, structure.other, clock * 1e3 if on_hardware else 0.0)
        yield CYCLES, Fact(stored.digest, amounts, cycles, groups)
    if design.usage is None or record.source == OPEN_SYNTHESIS:
        return
    predicted = structural_resources(design.usage)
    for name in RESOURCES:
        count = getattr(record, name)
        # The structure counts what is routed; csynth's own counts are further from that by a known factor.
        per_routed = CSYNTH_PER_ROUTED[name] if record.resource_stage == "estimated" else 1.0
        if count and predicted[name]:
            yield name, Fact(stored.digest, (predicted[name] * per_routed,), float(count), groups)
    if on_hardware and record.clock_achieved_mhz is not None:
        period = 1e3 / design.inputs.clock_mhz
        amounts_ns = (period, period * crowding(design.usage, design.board))
        yield CLOCK_PERIOD, Fact(stored.digest, amounts_ns, 1e3 / record.clock_achieved_mhz, groups)


def _cycles(record: RunRecord, clock_mhz: float) -> float | None:
    """Central value; worst case where there is no other."""
    count = record.cycles if record.cycles is not None else record.cycles_max
    if count:
        return float(count)
    return None if record.latency_ms is None else record.latency_ms * clock_mhz * 1e3


def _pairs(records: Sequence[StoredRecord]) -> Iterator[tuple[str, Fact]]:
    """csynth beside what came later of the same design with the same tool version.

    Designs are told apart by digest, else by name; a design with two csynth records that differ is passed over, for
    which of them became the RTL is not known.
    """
    whole = [stored for stored in records if stored.record.scope in _WHOLE]
    synthesised: dict[str, set[RunRecord]] = defaultdict(set)
    for stored in whole:
        if stored.record.source == "csynth":
            synthesised[_design_key(stored.record)].add(_only_figures(stored.record))
    for stored in whole:
        record = stored.record
        candidates = synthesised.get(_design_key(record), set())
        if len(candidates) != 1:
            continue
        estimate, groups = next(iter(candidates)), _groups(record)
        if record.source == "cosim" and estimate.cycles_max and (cycles := record.cycles or record.cycles_max):
            yield COSIM_CYCLES, Fact(stored.digest, (float(estimate.cycles_max), 1.0), float(cycles), groups)
        if record.source in ON_HARDWARE and record.resource_stage in _BUILT:
            for name in RESOURCES:
                counted, count = [getattr(estimate, term) for term in ROUTED_TERMS[name]], getattr(record, name)
                if all(counted) and count:
                    yield routed(name), Fact(stored.digest, tuple(map(float, counted)), float(count), groups)


def _design_key(record: RunRecord) -> str:
    return record.design_digest or record.design


def _only_figures(record: RunRecord) -> RunRecord:
    """Without provenance: csynth.xml and csynth.rpt of one synthesis are then equal."""
    return RunRecord(
        source=record.source,
        design=record.design,
        cycles_max=record.cycles_max,
        lut=record.lut,
        ff=record.ff,
        dsp=record.dsp,
        bram_18k=record.bram_18k,
        uram=record.uram,
        resource_stage=record.resource_stage,
    )
