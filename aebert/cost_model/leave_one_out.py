"""Every run predicted by a fit that has not seen its design: the error to expect for a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from aebert.cost_model.intervals import LEVELS, Bound, conformal_bound
from aebert.cost_model.observations import Floats, Observations
from aebert.cost_model.robust_fit import Prior, fit

Track = Callable[[Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class HeldOut:
    """``residuals`` [runs]: log(measured / predicted); ``deviations`` [runs]: predicted standard deviation (log).

    ``groups``: what each run was left out with.
    """

    residuals: Floats
    deviations: Floats
    groups: tuple[str, ...]

    @property
    def scores(self) -> Floats:
        result: Floats = np.abs(self.residuals) / self.deviations
        return result

    @property
    def errors(self) -> Floats:
        """|predicted / measured - 1| [runs]."""
        result: Floats = np.abs(np.expm1(-self.residuals))
        return result

    def bounds(self) -> tuple[Bound, ...]:
        return tuple(conformal_bound(self.scores, self.groups, level) for level in LEVELS)


@dataclass(frozen=True)
class GroupError:
    """One row of the table. ``bias``: median of predicted / measured - 1; ``inside``: share of the group's runs in the
    interval of each of `intervals.LEVELS`, fitted to the other groups."""

    group: str
    runs: int
    median: float
    p90: float
    bias: float
    inside: tuple[float, ...]


def leave_one_out(observations: Observations, prior: Prior, level: str, track: Track = iter) -> HeldOut:
    """Leaves out each group of ``level`` in turn. A run whose group is unknown is left out alone."""
    known = observations.groups.get(level, (None,) * len(observations))
    labels = tuple(label if label is not None else f"run {row}" for row, label in enumerate(known))
    array = np.array(labels)
    residuals, deviations = np.zeros(len(labels)), np.ones(len(labels))
    for label in track(sorted(set(labels))):
        out = array == label
        held = observations.take(out)
        mean, deviations[out] = fit(observations.take(~out), prior).predict(held.amounts, held.groups)
        residuals[out] = np.log(held.measured) - mean
    return HeldOut(residuals, deviations, labels)


def error_table(held_out: HeldOut) -> tuple[GroupError, ...]:
    """One row per group, in order of name."""
    groups = np.array(held_out.groups)
    rows = []
    for group in sorted(set(held_out.groups)):
        mine = groups == group
        reach = coverage_bounds(held_out, group)
        errors = held_out.errors[mine]
        rows.append(
            GroupError(
                group,
                int(mine.sum()),
                float(np.median(errors)),
                float(np.percentile(errors, 90)),
                float(np.median(np.expm1(-held_out.residuals[mine]))),
                tuple(float(np.mean(held_out.scores[mine] <= bound.deviations)) for bound in reach),
            )
        )
    return tuple(rows)


def coverage_bounds(held_out: HeldOut, group: str) -> tuple[Bound, ...]:
    """Bounds from all groups but ``group``, to see whether they cover it."""
    others = np.array(held_out.groups) != group
    labels = tuple(label for label in held_out.groups if label != group)
    return tuple(conformal_bound(held_out.scores[others], labels, level) for level in LEVELS)


def coverage(held_out: HeldOut) -> tuple[float, ...]:
    """Mean over groups of the share of runs inside the interval of each level."""
    rows = error_table(held_out)
    return tuple(float(np.mean([row.inside[index] for row in rows])) for index in range(len(LEVELS)))
