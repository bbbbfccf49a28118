"""Weight tiles on a design, from the units that subnets keep at each site (aebert.pruning.unit_counts.list_sites).

A tile holds ``out_lanes`` outputs x one input of each of ``in_lanes`` banks, and a group of outputs takes as many tiles
as its fullest bank has vectors (codegen.packing). Where the pattern's units are whole lanes that keep the banks equal,
the number of kept units says how many tiles there are; elsewhere it depends on which units are kept. Then the count
comes from masks, made of the units' scores, or else is what units at independent random places are expected to need.

A head that a pattern removes has no outputs of query, key and value, nor has any head of a layer whose attention output
keeps no unit (aebert.design.head_places).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aebert.design.hardware_config import HardwareConfig
from aebert.design.head_places import PROJECTIONS, is_padded, pad_heads, row_groups
from aebert.design.size_arrays import Floats, Ints, Sizes
from aebert.design.workload import (
    count_tiles,
    dense_tiles,
    expected_tiles,
    pattern_matrix_tiles,
)
from aebert.models.encoder import MATRIX_NAMES, EncoderShape, MatrixName, kept_heads, matrix_sizes
from aebert.pruning.masks import expand_units
from aebert.pruning.unit_counts import ATTENTION_MATRICES, FFN_MATRICES, Site, list_sites
from aebert.pruning.zero_patterns import Block, ColumnBlock, Float64Array, Pattern, RowBlock, Structured, Vector

_OUTPUT: MatrixName = "attention_output"
_KNOTS = 65  # kept counts at which a site's masks are made
_STEPS = 1024  # kept counts between which tiles are told apart, where they are looked up: 1/1024 of a matrix
# How far the tiles of all matrices together lie from those predicted, nine times out of ten: magnitude masks of
# all-MiniLM-L6-v2 at ratios 0.3 to 0.9, python -m benchmarks.subnet_latency. Where units do not suit the lanes, all but
# one of 28 cases are within 3.1 % (vector 2x1 on four lanes at ratio 0.9: 7 %); where whole blocks do, rows that lost
# all of theirs make up to 3.7 %.
INDEPENDENT_SPREAD = 0.05
BLOCK_SPREAD = 0.04


@dataclass(frozen=True)
class Rounds:
    """``per_round`` tiles for every ``units`` units begun, ``constant`` more, at least ``least`` in all."""

    units: int
    per_round: float
    constant: float
    least: float


@dataclass(frozen=True)
class Knots:
    """Tiles [knots] at kept counts evenly spaced from 0 to all of the site's units."""

    tiles: Floats


@dataclass(frozen=True)
class TileModel:
    """Tiles of every matrix. ``site`` [layers x matrices]: which site decides over it, 0 where none does.

    ``spread``: how far all tiles together may be off (nine times out of ten, relative); 0 where the counts are exact.
    ``head_site`` [layers]: which site decides over the attention output, None where none does; its units are heads
    where the ``pattern_has_heads``, of which there are ``all_heads``.
    """

    layers: int
    site: Ints
    rule: _RoundsRule | _TableRule
    spread: float
    head_site: Ints | None
    pattern_has_heads: bool
    all_heads: int

    def __call__(self, kept: Ints) -> Floats:
        """Tiles [candidates, layers, matrices] for ``kept`` units [candidates, sites]."""
        matrices = len(self.site)
        in_order = kept.shape[1] == matrices and np.array_equal(self.site, np.arange(matrices))
        tiles = self.rule(kept if in_order else kept.take(self.site, axis=1))
        tiles = tiles.reshape(len(kept), self.layers, len(MATRIX_NAMES))
        heads = self.heads(kept)
        if heads is not None and not self.pattern_has_heads:
            tiles[..., : len(PROJECTIONS)] *= (heads > 0)[..., None]
        return tiles

    def heads(self, kept: Ints) -> Ints | None:
        """Heads [candidates, layers] that are kept; None where all candidates keep all."""
        if self.head_site is None:
            return None
        units = kept.take(self.head_site, axis=1)
        if self.pattern_has_heads:
            return units
        return np.where(units > 0, self.all_heads, 0) if (units == 0).any() else None

    @property
    def head_counts(self) -> range | tuple[int, ...]:
        """All numbers of heads that a layer may keep."""
        if self.head_site is None:
            return (self.all_heads,)
        return range(self.all_heads + 1) if self.pattern_has_heads else (0, self.all_heads)


@dataclass(frozen=True)
class _RoundsRule:
    """`Rounds` of all matrices, each field [layers x matrices]."""

    units: Floats
    per_round: Floats
    constant: Floats
    least: Floats

    def __call__(self, kept: Ints) -> Floats:
        tiles: Floats = kept / self.units
        np.ceil(tiles, out=tiles)
        tiles *= self.per_round
        tiles += self.constant
        return np.maximum(tiles, self.least, out=tiles)


@dataclass(frozen=True)
class _TableRule:
    """``tiles`` [layers x matrices, _STEPS + 1] at kept counts spaced evenly; ``per_unit`` and ``first``
    [layers x matrices] lead from a kept count to the nearest of them in the flattened table."""

    tiles: Floats
    per_unit: Floats
    first: Floats

    def __call__(self, kept: Ints) -> Floats:
        place: Floats = kept * self.per_unit
        place += self.first
        return self.tiles.ravel().take(place.astype(np.intp))


def pattern_tile_model(shape: EncoderShape, pattern: Pattern, config: HardwareConfig) -> TileModel:
    """From the pattern alone: exact where its units suit the lanes, else as expected for independent places.

    Exact but for a last round that is not full and counts as full, for row groups that a block pattern empties (one
    tile all the same), and for heads that a few units of the attention output leave unread (no program has them, but
    they count here).
    """
    sizes = Sizes.of(config)
    sites = list_sites(shape, pattern)
    rules: dict[tuple[int, MatrixName], tuple[int, Rounds | Knots]] = {}
    for number, site in enumerate(sites):
        for name in site.matrices:
            exact = _rounds(shape, pattern, name, config)
            if exact is None:
                density = np.linspace(0.0, 1.0, _KNOTS)
                rules[site.layer, name] = number, Knots(_expected(shape, pattern, name, sizes, density))
            else:
                rules[site.layer, name] = number, exact
    inexact = any(isinstance(rule, Knots) for _, rule in rules.values())
    blocks = isinstance(pattern, Block | ColumnBlock | RowBlock)
    spread = INDEPENDENT_SPREAD if inexact else BLOCK_SPREAD if blocks else 0.0
    return _tile_model(shape, pattern, config, sites, rules, spread)


def mask_tile_model(
    shape: EncoderShape,
    pattern: Pattern,
    config: HardwareConfig,
    scores: Callable[[Site], Float64Array],
    track: Callable[[Sequence[Site]], Sequence[Site]] = lambda sites: sites,
) -> TileModel:
    """From the masks that ``scores`` (one per unit, as ``pattern.select`` takes them) give at evenly spaced counts.

    Exact at those counts, interpolated between. ``track`` may show progress over the sites.
    """
    sites = list_sites(shape, pattern)
    rules: dict[tuple[int, MatrixName], tuple[int, Rounds | Knots]] = {}
    for number, site in enumerate(track(sites)):
        unit_scores = scores(site)
        counted: dict[MatrixName, list[int]] = {name: [] for name in site.matrices}
        for kept in np.linspace(0, site.units, _KNOTS):
            masks = expand_units(pattern.select(unit_scores, round(kept)), site, shape, pattern)
            heads = kept_heads(masks[_OUTPUT], shape.heads) if set(masks) > {_OUTPUT} else None
            for name, mask in masks.items():
                padded = pad_heads(mask, name, shape, config.in_lanes, heads)
                counted[name].append(count_tiles(padded, config.out_lanes, config.in_lanes))
        for name, tiles in counted.items():
            rules[site.layer, name] = number, Knots(np.array(tiles, np.float64))
    return _tile_model(shape, pattern, config, sites, rules, 0.0)


def _tile_model(
    shape: EncoderShape,
    pattern: Pattern,
    config: HardwareConfig,
    sites: Sequence[Site],
    rules: Mapping[tuple[int, MatrixName], tuple[int, Rounds | Knots]],
    spread: float,
) -> TileModel:
    """Matrices without a rule stay dense."""
    outputs = [number for number, site in enumerate(sites) if _OUTPUT in site.matrices]
    head_site = np.array(outputs) if outputs else None
    has_heads = isinstance(pattern, Structured) and pattern.heads
    numbers, units, found = [], [], []
    for layer in range(shape.layers):
        for name in MATRIX_NAMES:
            dense = float(dense_tiles(shape, name, Sizes.of(config))[0])
            number, rule = rules.get((layer, name), (0, Rounds(1, 0.0, dense, dense)))
            numbers.append(number)
            units.append(sites[number].units)
            found.append(rule)
    exact = [rule for rule in found if isinstance(rule, Rounds)]
    if len(exact) == len(found):
        columns = zip(*((rule.units, rule.per_round, rule.constant, rule.least) for rule in exact), strict=True)
        rounds = _RoundsRule(*(np.array(column, np.float64) for column in columns))
        return TileModel(shape.layers, np.array(numbers), rounds, spread, head_site, has_heads, shape.heads)
    steps = np.linspace(0.0, 1.0, _STEPS + 1)
    tiles = np.array([_at(rule, count, steps) for rule, count in zip(found, units, strict=True)])
    first = np.arange(len(found)) * len(steps) + 0.5
    table = _TableRule(tiles, _STEPS / np.array(units, np.float64), first)
    return TileModel(shape.layers, np.array(numbers), table, spread, head_site, has_heads, shape.heads)


def _at(rule: Rounds | Knots, units: int, shares: Floats) -> Floats:
    """Tiles where ``shares`` of the units are kept."""
    if isinstance(rule, Knots):
        return np.interp(shares, np.linspace(0.0, 1.0, len(rule.tiles)), rule.tiles)
    return np.maximum(shares * (units / rule.units) * rule.per_round + rule.constant, rule.least)


def _rounds(shape: EncoderShape, pattern: Pattern, name: MatrixName, config: HardwareConfig) -> Rounds | None:
    """The exact count, where there is one."""
    outputs, inputs = matrix_sizes(shape, name)
    groups, rows = outputs // config.out_lanes, inputs // config.in_lanes
    padded = is_padded(shape, config.in_lanes)
    if padded and name in PROJECTIONS:
        return None  # a unit may lie in two row groups
    if isinstance(pattern, Structured):
        if padded or name not in ATTENTION_MATRICES:
            return None
        if name == _OUTPUT:  # takes the heads' results in
            return Rounds(1, groups * (shape.head_size / config.in_lanes), 0.0, groups)
        return Rounds(1, groups / shape.heads * rows, 0.0, 0.0)
    unit_rows, unit_columns = pattern.unit_shape
    if unit_rows % config.out_lanes:
        return None
    lanes = unit_rows // config.out_lanes
    if isinstance(pattern, Vector):
        if pattern.banks % config.in_lanes or inputs % pattern.banks:
            return None
        return Rounds(pattern.banks, lanes * (pattern.banks // config.in_lanes), 0.0, groups)
    if unit_columns % config.in_lanes:
        return None
    return Rounds(1, lanes * (unit_columns // config.in_lanes), 0.0, groups)


def _expected(shape: EncoderShape, pattern: Pattern, name: MatrixName, sizes: Sizes, density: Floats) -> Floats:
    """Tiles at each ``density`` of kept units whose places are independent."""
    outputs, inputs = matrix = matrix_sizes(shape, name)
    if not isinstance(pattern, Structured):
        rows, columns = pattern.unit_shape
        banks = pattern.banks if isinstance(pattern, Vector) else None
        return pattern_matrix_tiles(shape, name, sizes, density, rows=rows, columns=columns, banks=banks)
    if name in (_OUTPUT, FFN_MATRICES[-1]):  # whole input channels, the same in all row groups
        return expected_tiles(matrix, sizes, density, rows=outputs)
    # Whole outputs: a row group is full, or empty and one tile; those of removed heads are none. All outputs of one are
    # of the same head.
    groups, padding = row_groups(shape, name, sizes.out_lanes, sizes.in_lanes)
    if name in PROJECTIONS:
        of_heads: Floats = density * (groups * (inputs // sizes.in_lanes) + padding)
        return of_heads
    filled = 1.0 - (1.0 - density) ** sizes.out_lanes
    more: Floats = groups * filled * (inputs // sizes.in_lanes - 1)
    return more + groups
