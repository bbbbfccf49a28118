"""Intervals that cover what they promise: conformal prediction over groups of runs.

A score says how many predicted standard deviations a run lies from its prediction, made without its group. Runs of one
design are alike, designs are drawn anew: the quantile counts every group alike, and one group more that may be
arbitrarily far (Lee, Barber, Willett 2023, "Distribution-free inference with hierarchical data"; with one run per
group, split conformal prediction, Vovk et al. 2005). With fewer groups than a level needs, no quantile is guaranteed:
then it is that of Student's t for as many groups, or the largest score seen if that is larger, and marked as assumed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from aebert.cost_model.observations import Floats

LEVELS = (0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Bound:
    """An interval of ``level`` reaches ``deviations`` predicted standard deviations to either side.

    ``assumed``: there are too few groups for a guarantee.
    """

    level: float
    deviations: float
    assumed: bool


def conformal_bound(scores: Floats, groups: Sequence[str], level: float) -> Bound:
    """``scores`` [runs] >= 0, of runs predicted without their group."""
    labels, which, counts = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    weights = 1.0 / ((len(labels) + 1) * counts[which])
    order = np.argsort(scores)
    reached = np.cumsum(weights[order])
    # Sums of 1/n fall short of the level by rounding alone.
    enough = np.flatnonzero(reached >= level - 1e-12)
    if len(enough):
        return Bound(level, float(scores[order[enough[0]]]), assumed=False)
    student = float(stats.t.ppf((1 + level) / 2, df=max(len(labels), 1)))
    return Bound(level, max(student, float(np.max(scores, initial=0.0))), assumed=True)


def groups_needed(level: float) -> int:
    """With this many groups `conformal_bound` can promise ``level``."""
    return int(np.ceil(level / (1 - level) - 1e-9))
