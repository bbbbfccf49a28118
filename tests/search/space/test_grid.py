"""The grid of kept counts: how fine it may be, and what it knows of its genes."""

from __future__ import annotations

import numpy as np
import pytest

from aebert.models.encoder import EncoderShape
from aebert.pruning.zero_patterns import parse_pattern
from aebert.search.space.grid import levels_for, make_grid
from aebert.support.errors import AebertError

SHAPE = EncoderShape(layers=3, hidden=48, heads=4, ffn=96, epsilon=1e-12, max_positions=64)


def test_levels_go_from_2_to_512() -> None:
    pattern = parse_pattern("unstructured")
    assert [make_grid(SHAPE, pattern, levels=levels).levels for levels in (2, 512)] == [2, 512]
    for levels in (1, 513):
        with pytest.raises(AebertError, match=f"{levels} levels of pruning; choose 2 to 512"):
            make_grid(SHAPE, pattern, levels=levels)


def test_higher_ratios_get_more_levels_so_that_two_lie_above_them() -> None:
    wanted = {0.0: 16, 0.875: 16, 0.9375: 32, 0.96875: 64, 0.99609375: 512, 0.9999: 512, 1.0: 512}
    assert {ratio: levels_for(ratio) for ratio in wanted} == wanted


def test_the_finest_unit_of_a_gene_is_that_of_its_own_sites() -> None:
    """A head zeroes four matrices' rows and columns, a neuron two."""
    grid = make_grid(SHAPE, parse_pattern("head+neuron"))
    head, neuron = 4 * (48 // 4) * 48, 2 * 48
    assert grid.finest.tolist() == [{head: head, neuron: neuron}[site.unit_weights] for site in grid.sites]
    assert set(grid.finest.tolist()) == {head, neuron}
    by_layer = make_grid(SHAPE, parse_pattern("head+neuron"), "layer")
    assert by_layer.finest.tolist() == [neuron] * SHAPE.layers


def test_counts_of_another_pattern_are_refused() -> None:
    heads, neurons = (make_grid(SHAPE, parse_pattern(name)) for name in ("head", "neuron"))
    with pytest.raises(ValueError, match="another pattern than neuron"):
        neurons.kept_of(heads.candidates(heads.units[None]))
    assert np.array_equal(heads.kept_of(heads.candidates(heads.units[None])), heads.units[None])
    assert heads.kept_of([]).shape == (0, len(heads.sites))
