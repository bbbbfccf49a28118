"""How full the engine's lanes are."""

from __future__ import annotations

from collections.abc import Mapping

from aebert.design.config import HardwareConfig
from aebert.design.program import PassKind, Program
from aebert.encoder import MatrixName


def useful_iterations(
    config: HardwareConfig, program: Program, matrix_tiles: Mapping[tuple[int, MatrixName], int]
) -> int:
    """Iterations in which the engine's array multiplies: tiles x token groups, over all passes.

    ``matrix_tiles`` maps (layer, matrix) to the tiles that its pruned weights need; keys and values are dense.
    """
    total = 0
    for step in program.passes:
        if step.kind in (PassKind.SCORES, PassKind.CONTEXT):
            total += step.outputs // config.out_lanes * step.tiles * step.group_count
        elif step.matrix is not None:
            total += matrix_tiles[step.layer, step.matrix] * step.group_count
    return total
