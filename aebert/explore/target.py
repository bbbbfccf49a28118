"""What is explored: a subnet with its real tile counts, or a shape with a ratio and a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aebert.design.workload import TileCounts, pattern_tiles, subnet_tiles
from aebert.encoder import EncoderShape
from aebert.errors import AebertError
from aebert.explore.shapes import parse_shape
from aebert.pruning.patterns import parse_pattern

DENSE_LANES = 64  # no pattern: any number of output lanes is as good


@dataclass(frozen=True)
class Target:
    """``vector_lanes``: outputs that the pattern zeroes together. ``generate_from``: what to generate the project of."""

    shape: EncoderShape
    tiles: TileCounts
    vector_lanes: int
    description: str
    generate_from: str


def find_target(what: str, ratio: float | None, pattern: str | None) -> Target:
    """A folder is a subnet or model; anything else is the spelling of a shape. Raises AebertError for neither."""
    if Path(what).is_dir():
        return _subnet_target(what, ratio, pattern)
    shape = parse_shape(what)
    if not ratio:
        if ratio is not None and ratio < 0:
            raise AebertError(f"ratio = {ratio}: must be at least 0 and less than 1")
        return Target(shape, pattern_tiles(shape, 0.0, 1), DENSE_LANES, f"{what}, dense", "SUBNET")
    parsed = parse_pattern(pattern or "unstructured")
    rows = _rows(parsed)
    description = f"{what}, ratio {ratio:g}, {parsed}"
    return Target(shape, pattern_tiles(shape, ratio, rows), rows, description, "SUBNET")
