"""What each pass of a program makes the engine do: steps and multiply-accumulates, counted from the real tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aebert.design.hardware_config import HardwareConfig
from aebert.design.kernel_records import PassKind
from aebert.design.program import Pass, Program
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, MatrixName, matrix_sizes

TileCounts = Mapping[tuple[int, MatrixName], int]


@dataclass(frozen=True)
class PassWork:
    """``engine_steps``: iterations of the engine's loop that multiply, one cycle each at II=1, stalls not included.

    ``macs``: multiply-accumulates of the pass for its real tokens and stored tiles.
    """

    step: Pass
    engine_steps: int
    macs: int


def program_work(
    config: HardwareConfig, program: Program, shape: EncoderShape, tiles: TileCounts
) -> tuple[PassWork, ...]:
    """The work of every pass that uses the engine. ``tiles`` has the stored weight tiles of each (layer, matrix)."""
    tokens = sum(program.lengths)
    lanes = config.out_lanes * config.in_lanes
    work = []
    for step in program.passes:
        if step.matrix is not None:
            count = tiles[step.layer, step.matrix]
            work.append(PassWork(step, count * step.group_count, count * lanes * tokens))
        elif step.kind in (PassKind.SCORES, PassKind.CONTEXT):
            steps = step.outputs // config.out_lanes * step.tiles * step.group_count
            # Both products of attention are head size x keys for each query.
            macs = shape.head_size * step.length * step.length
            work.append(PassWork(step, steps, macs))
    return tuple(work)


def dense_macs(shape: EncoderShape, lengths: Sequence[int]) -> dict[str, int]:
    """Multiply-accumulates of one layer with no weight zeroed, by the names of its passes in their order (heads added
    up)."""
    attended = shape.hidden * sum(length * length for length in lengths)
    found: dict[str, int] = {}
    for name in MATRIX_NAMES:
        if name == "attention_output":
            found |= {kind.name.lower(): attended for kind in (PassKind.SCORES, PassKind.CONTEXT)}
        outputs, inputs = matrix_sizes(shape, name)
        found[name] = outputs * inputs * sum(lengths)
    return found


def engine_steps(work: tuple[PassWork, ...]) -> int:
    """Cycles in which the lanes are busy, all passes together."""
    return sum(item.engine_steps for item in work)
