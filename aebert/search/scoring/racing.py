"""Early stopping of losing candidates, with a stated probability of losing a good one.

Candidates are compared by the means of their row values over all N scoring rows. Rows come in a random order, so
the n rows seen are a simple random sample of the N, and so are the paired differences of two candidates. For a pair,
``mean difference - t * s / sqrt(n) * sqrt(1 - n / N)`` (Student's t with n - 1 degrees of freedom; the last factor is
the finite-population correction, Cochran, Sampling Techniques, section 2.6) bounds the true difference from below with
probability 1 - alpha. A candidate is dropped when that is above 0 for ``keep`` others. With
``alpha = error / (keep * (candidates - 1) * looks)``, the probability that any of the truly best ``keep`` is ever
dropped is at most ``error`` (union bound over its rivals and the looks).

Assumption: the mean of ``MIN_ROWS`` or more differences is nearly normal. Nothing is assumed about the rows as such:
the random order is ours. The union bound over positively correlated events leaves room for what skew takes away;
tests/search/sampling/test_surrogate.py simulates both normal and very skewed differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.pruning.zero_patterns import BoolArray, Float64Array
from aebert.search.scoring.scores import Score
from aebert.support.errors import AebertError

MIN_ROWS = 48


@dataclass(frozen=True)
class RaceResult:
    """``scores`` of all candidates in their order, on the rows each of them saw; ``best``: the winners, best first.

    ``share`` is the part of candidates x rows that was evaluated.
    """

    scores: tuple[Score, ...]
    best: tuple[int, ...]
    share: float


class Race:
    """The bookkeeping of a race between ``candidates`` over ``rows`` rows that come in ``chunks`` parts."""

    def __init__(self, candidates: int, rows: int, chunks: int, keep: int, error: float) -> None:
        if not 1 <= keep <= candidates:
            raise AebertError(f"a race for the best {keep} of {candidates} candidates; keep at least 1 and at most all")
        if not 0 < error < 1:
            raise AebertError(f"error probability {error}; choose one between 0 and 1, such as 0.05")
        self._rows, self._keep = rows, keep
        # Nothing is dropped after the last chunk: the means are then exact.
        tests = keep * max(candidates - 1, 1) * max(chunks - 1, 1)
        self._alpha = error / tests
        self._running = np.arange(candidates)
        self._values = np.zeros((candidates, 0))
        self._seen = np.zeros(candidates, np.int64)

    @property
    def running(self) -> npt.NDArray[np.int64]:
        """The candidates still in the race."""
        return self._running

    @property
    def rows_seen(self) -> list[int]:
        """The number of rows that each candidate was evaluated on."""
        seen: list[int] = self._seen.tolist()
        return seen

    def add(self, values: Sequence[Float64Array]) -> None:
        """The values [rows] that the next rows gave, higher better, for each running candidate; losers are dropped."""
        self._values = np.concatenate([self._values, np.stack(values)], axis=1)
        count = self._values.shape[1]
        self._seen[self._running] = count
        if MIN_ROWS <= count < self._rows:
            lost = losers(self._values, self._rows, self._keep, self._alpha)
            self._running, self._values = self._running[~lost], self._values[~lost]

    def result(self, scores: Sequence[Score]) -> RaceResult:
        """The result, from the scores of all candidates on the rows they saw."""
        order = sorted(self._running.tolist(), key=lambda candidate: -scores[candidate].value)
        share = float(self._seen.sum()) / (len(self._seen) * self._rows)
        return RaceResult(tuple(scores), tuple(order[: self._keep]), share)


def losers(values: Float64Array, rows: int, keep: int, alpha: float) -> BoolArray:
    """Which of ``values`` [candidates, rows seen] are below each of the leading ``keep`` at significance ``alpha``."""
    from scipy import stats

    candidates, seen = values.shape
    lost: BoolArray = np.zeros(candidates, dtype=bool)
    if candidates <= keep:
        return lost
    leaders = np.argsort(-values.mean(axis=1), kind="stable")[:keep]
    quantile = float(stats.t.isf(alpha, seen - 1)) * np.sqrt((1 - seen / rows) / seen)
    lost[:] = True
    for leader in leaders:
        difference = values[leader] - values
        lost &= difference.mean(axis=1) > quantile * difference.std(axis=1, ddof=1)
    lost[leaders] = False
    return lost
