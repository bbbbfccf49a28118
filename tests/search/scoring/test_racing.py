"""When a losing candidate is dropped: the t-test, its finite-population correction, and the share of the error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aebert.pruning.zero_patterns import Float64Array
from aebert.search.scoring.racing import MIN_ROWS, Race, losers
from aebert.search.scoring.scores import Score
from aebert.support.errors import AebertError

SEEN = 64


def _pair(advantage: float) -> Float64Array:
    """Two candidates whose differences over SEEN rows have this mean and a standard deviation of 1."""
    noise = np.where(np.arange(SEEN) % 2, 1.0, -1.0) * np.sqrt((SEEN - 1) / SEEN)
    return np.stack([advantage + noise, np.zeros(SEEN)])


@pytest.mark.parametrize("rows", [65, 128, 10**6])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_loser_lies_beyond_the_quantile_of_the_corrected_standard_error(rows: int, alpha: float) -> None:
    """Of ``rows`` rows, SEEN are known exactly: with few left, little is enough."""
    bound = stats.t.isf(alpha, SEEN - 1) / np.sqrt(SEEN) * np.sqrt(1 - SEEN / rows)
    assert losers(_pair((1 + 1e-6) * bound), rows, 1, alpha).tolist() == [False, True]
    assert losers(_pair((1 - 1e-6) * bound), rows, 1, alpha).tolist() == [False, False]


def test_a_difference_exactly_at_the_bound_is_no_loss_and_leaders_never_lose() -> None:
    equal = np.zeros((3, SEEN))
    assert not losers(equal, 100, 1, 0.05).any()
    apart = np.array([[3.0], [2.0], [1.0]]) + np.random.default_rng(0).normal(0, 1e-6, (3, SEEN))
    assert losers(apart, 100, 1, 0.05).tolist() == [False, True, True]
    assert losers(apart, 100, 2, 0.05).tolist() == [False, False, True]
    assert losers(apart, 100, 3, 0.05).tolist() == [False, False, False]
    assert losers(apart[:2], 100, 3, 0.05).tolist() == [False, False]


def test_a_candidate_loses_only_to_every_one_of_the_leading_ones() -> None:
    random = np.random.default_rng(0)
    noisy = random.normal(0.0, 8.0, SEEN)
    noisy += 2.0 - noisy.mean()
    calm = np.full(SEEN, 1.5) + random.normal(0, 1e-6, SEEN)
    low = np.full(SEEN, 1.0) + random.normal(0, 1e-6, SEEN)
    # Far below the calm second, but not surely below the noisy first.
    assert losers(np.stack([noisy, calm, low]), 1000, 2, 0.01).tolist() == [False, False, False]
    assert losers(np.stack([calm + 1, calm, low]), 1000, 2, 0.01).tolist() == [False, False, True]


@pytest.mark.parametrize("candidates", [2, 3])
def test_the_error_is_shared_by_rivals_and_looks(candidates: int) -> None:
    """Three looks, one kept: 0.06 / (1 * rivals * 2) for each comparison. None follows the last look."""
    alpha = 0.06 / (2 * (candidates - 1))
    bound = stats.t.isf(alpha, SEEN - 1) / np.sqrt(SEEN) * np.sqrt(1 - SEEN / 192)
    for factor, left in ((1.001, [0]), (0.999, list(range(candidates)))):
        race = Race(candidates, 192, 3, 1, 0.06)
        best, other = _pair(factor * bound)
        race.add([best, *[other] * (candidates - 1)])
        assert race.running.tolist() == left


def test_the_error_of_a_race_for_several_is_shared_by_each_of_them() -> None:
    alpha = 0.06 / (2 * 3 * 1)
    bound = stats.t.isf(alpha, SEEN - 1) / np.sqrt(SEEN) * np.sqrt(1 - SEEN / 128)
    for factor, left in ((1.001, [0, 1]), (0.999, [0, 1, 2, 3])):
        race = Race(4, 128, 2, 2, 0.06)
        best, other = _pair(factor * bound)
        race.add([best, best, other, other])
        assert race.running.tolist() == left


def test_a_race_of_one_and_one_of_a_single_look_are_allowed() -> None:
    alone = Race(1, 100, 1, 1, 0.05)
    alone.add([np.zeros(100)])
    assert alone.running.tolist() == [0]
    assert alone.rows_seen == [100]


@pytest.mark.parametrize(("rows", "first", "dropped"), [
    (1000, MIN_ROWS - 1, False), (1000, MIN_ROWS, True), (MIN_ROWS, MIN_ROWS, False),
])  # fmt: skip
def test_nobody_is_dropped_before_enough_rows_nor_after_all(rows: int, first: int, dropped: bool) -> None:
    race = Race(2, rows, 10, 1, 0.05)
    race.add([np.ones(first), np.random.default_rng(0).normal(0, 1e-3, first)])
    assert race.running.tolist() == ([0] if dropped else [0, 1])


def test_rows_seen_share_and_winners_are_told() -> None:
    race = Race(3, 200, 2, 2, 0.05)
    random = np.random.default_rng(1)
    race.add([np.full(100, 5.0), np.full(100, 4.0), random.normal(0, 0.1, 100)])
    race.add([np.full(100, 1.0), np.full(100, 4.0)])
    assert race.running.tolist() == [0, 1]
    assert race.rows_seen == [200, 200, 100]
    scores = [Score(value, None, None, None, None, rows) for value, rows in ((3.0, 200), (4.0, 200), (9.0, 100))]
    result = race.result(scores)
    assert result.best == (1, 0)
    assert result.scores == tuple(scores)
    assert result.share == pytest.approx(500 / 600)


@pytest.mark.parametrize(("keep", "error"), [(0, 0.05), (4, 0.05), (1, 0.0), (1, 1.0), (1, -0.1)])
def test_a_senseless_race_is_refused(keep: int, error: float) -> None:
    with pytest.raises(AebertError):
        Race(3, 100, 2, keep, error)


def test_all_of_them_may_be_kept() -> None:
    Race(3, 100, 2, 3, 0.99)
    Race(3, 100, 2, 1, 0.01)
