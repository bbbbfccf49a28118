"""What a head, a neuron and a unit of a matrix count for: their own weights, nobody else's."""

from __future__ import annotations

import numpy as np
import pytest

from aebert.models.encoder import EncoderShape
from aebert.pruning.saliency import site_scores, sum_units
from aebert.pruning.unit_counts import list_sites
from aebert.pruning.zero_patterns import parse_pattern
from tests.support.float_encoders import random_encoder

SHAPE = EncoderShape(layers=1, hidden=24, heads=3, ffn=40, epsilon=1e-12, max_positions=64)
LAYER = random_encoder(SHAPE, seed=4, density=1.0).layers[0]


def _squares(name: str) -> np.ndarray:
    return np.square(LAYER.matrix(name).weight, dtype=np.float64)  # type: ignore[arg-type]


def _scores(spelling: str) -> np.ndarray:
    pattern = parse_pattern(spelling)
    (site,) = list_sites(SHAPE, pattern)
    return site_scores(site, LAYER, SHAPE, pattern, "magnitude", None)


def test_a_heads_magnitude_is_that_of_its_outputs_and_of_what_carries_them_on() -> None:
    heads = [slice(8 * head, 8 * head + 8) for head in range(3)]
    made = [sum(_squares(name)[rows].sum() for name in ("query", "key", "value")) for rows in heads]
    carried = [_squares("attention_output")[:, columns].sum() for columns in heads]
    assert _scores("head") == pytest.approx(np.add(made, carried))


def test_a_neurons_magnitude_is_that_of_its_row_and_its_column() -> None:
    assert _scores("neuron") == pytest.approx(_squares("ffn_in").sum(axis=1) + _squares("ffn_out").sum(axis=0))


@pytest.mark.parametrize("unit", [(1, 1), (4, 1), (1, 8), (4, 8)])
def test_a_units_score_is_the_sum_over_its_weights(unit: tuple[int, int]) -> None:
    scores, (rows, columns) = _squares("query"), unit
    summed = sum_units(scores, unit)
    assert summed.shape == (24 // rows, 24 // columns)
    for row, column in np.ndindex(summed.shape):
        own = scores[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
        assert summed[row, column] == pytest.approx(own.sum())
