"""Run records of made-up designs whose cycles follow the closed form with known coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aebert.cost_model.run_inputs import LaunchShape, RunInputs, to_text
from aebert.cost_model.structure import structural_cycles
from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.pipeline_latencies import DEFAULT_LATENCIES
from aebert.models.encoder import EncoderShape
from aebert.records.database import StoredRecord
from aebert.records.record import RunRecord, content_digest
from aebert.records.source_kind import SourceKind

SHAPE = EncoderShape(layers=1, hidden=128, heads=2, ffn=512, epsilon=1e-12, max_positions=512)
SIZES = ((64, 2, 8), (32, 2, 16), (64, 1, 8), (32, 4, 8), (16, 2, 16))
CLOCK_MHZ = 300.0


def run_inputs(tokens: int, out_lanes: int, in_lanes: int, length: int) -> RunInputs:
    config = HardwareConfig(
        tokens=tokens,
        out_lanes=out_lanes,
        in_lanes=in_lanes,
        max_hidden=128,
        max_ffn=512,
        max_length=64,
        max_groups=64 // tokens,
    )
    sizes = (*[(128, 128)] * 4, (512, 128), (128, 512))
    tiles = tuple(rows * columns // (2 * out_lanes * in_lanes) for rows, columns in sizes)
    return RunInputs(config, 1, CLOCK_MHZ, LaunchShape(SHAPE, (length,), (tiles,)))


def emulated_runs(
    factors: tuple[float, float],
    *,
    board: str = "u200",
    lengths: Sequence[int] = (24, 64),
    noise: float = 0.002,
    seed: int = 0,
    source: SourceKind = "emulated",
) -> list[RunRecord]:
    """Every design of ``SIZES``: ``factors`` x (engine cycles, other cycles) of the closed form."""
    random = np.random.default_rng(seed)
    records = []
    where = load_board(board)
    for sizes in SIZES:
        for length in lengths:
            inputs = run_inputs(*sizes, length)
            assert inputs.launch is not None
            structure = structural_cycles(inputs, inputs.launch, where, DEFAULT_LATENCIES)
            cycles = factors[0] * structure.engine + factors[1] * structure.other
            records.append(
                RunRecord(
                    source=source,
                    design="aebert",
                    design_digest=Design(inputs.config, where, CLOCK_MHZ).digest,
                    board=board,
                    tool="aebert measure",
                    tool_version="0.1.0",
                    clock_asked_mhz=CLOCK_MHZ,
                    cycles=int(cycles * np.exp(random.normal(0, noise))),
                    inputs=to_text(inputs),
                )
            )
    return records


def stored(records: Sequence[RunRecord]) -> list[StoredRecord]:
    """As a database would give them back."""
    return [StoredRecord(record, content_digest(record), "2026-01-01T00:00:00+00:00", "test") for record in records]
