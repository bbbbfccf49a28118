"""What is explored: a subnet with its real tile counts, or a shape with a ratio and a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aebert.design.workload import TileCounts, pattern_tiles, subnet_tiles
from aebert.explore.shapes import parse_shape
from aebert.models import load_encoder
from aebert.models.encoder import EncoderShape
from aebert.pruning.subnet import SUBNET_FILE, read_subnet
from aebert.pruning.zero_patterns import Block, ColumnBlock, Vector, parse_pattern
from aebert.support.errors import AebertError

DENSE_LANES = 64  # no pattern: any number of output lanes is as good


@dataclass(frozen=True)
class Target:
    """``vector_lanes``: outputs that the pattern zeroes together. ``generate_from``: what to make the project of."""

    shape: EncoderShape
    tiles: TileCounts
    vector_lanes: int
    description: str
    generate_from: str


def find_target(what: str, ratio: float | None, pattern: str | None) -> Target:
    """A folder is a subnet or model; anything else is the spelling of a shape. Raises AebertError for neither."""
    if _is_folder(what):
        if ratio is not None or pattern is not None:
            raise AebertError(f"{what}: is a folder, whose zeros are counted; leave --ratio and --pattern out")
        return _folder_target(Path(what))
    shape = parse_shape(what)
    if not ratio:
        if ratio is not None and ratio < 0:
            raise AebertError(f"ratio = {ratio}: must be at least 0 and less than 1")
        return Target(shape, pattern_tiles(shape, 0.0, 1), DENSE_LANES, f"{what}, dense", "SUBNET")
    parsed = parse_pattern(pattern or "unstructured")
    lanes, columns = (
        parsed.unit_shape if isinstance(parsed, Vector | Block | ColumnBlock) else (DENSE_LANES, DENSE_LANES)
    )
    banks = parsed.banks if isinstance(parsed, Vector) else None
    tiles = pattern_tiles(shape, ratio, lanes, columns=columns, banks=banks)
    return Target(shape, tiles, lanes, f"{what}, ratio {ratio:g}, {parsed}", "SUBNET")


def _is_folder(what: str) -> bool:
    try:
        return Path(what).is_dir()
    except OSError:  # longer than any name
        return False


def _folder_target(folder: Path) -> Target:
    if not (folder / SUBNET_FILE).is_file():
        encoder = load_encoder(folder)
        return Target(encoder.shape, subnet_tiles(encoder), DENSE_LANES, f"{folder}, dense", str(folder))
    subnet = read_subnet(folder)
    pattern = parse_pattern(subnet.record.pattern)
    lanes = pattern.unit_shape[0] if isinstance(pattern, Vector | Block | ColumnBlock) else DENSE_LANES
    description = f"{folder}, ratio {subnet.record.overall_ratio:.3f}, {pattern}"
    return Target(subnet.encoder.shape, subnet_tiles(subnet.encoder), lanes, description, str(folder))
