"""Measured positive quantities beside what a structure says about them: what a fit is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from aebert.support.errors import AebertError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Observations:
    """Runs of one quantity: cycles, milliseconds, LUTs.

    ``amounts`` [runs, terms], >= 0: how much of each of the structure's ``terms`` a run has. ``measured`` [runs], > 0.
    ``groups``: for each level (tool, board, design, ...) the group each run belongs to; None where that is unknown.
    ``names``: what to call each run, its digest for instance. Raises AebertError for values no logarithm can take.
    """

    terms: tuple[str, ...]
    amounts: Floats
    measured: Floats
    groups: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        runs = len(self.measured)
        if self.amounts.shape != (runs, len(self.terms)):
            raise AebertError(f"observations: amounts of shape {self.amounts.shape}, but {runs} runs of {self.terms}")
        if not (np.isfinite(self.amounts).all() and (self.amounts >= 0).all() and (self.amounts.sum(axis=1) > 0).all()):
            raise AebertError("observations: every run needs finite amounts >= 0, not all 0")
        if not (np.isfinite(self.measured).all() and (self.measured > 0).all()):
            raise AebertError("observations: measured values must be finite and above 0")
        for level, labels in self.groups.items():
            if len(labels) != runs:
                raise AebertError(f"observations: level {level} has {len(labels)} labels for {runs} runs")

    def __len__(self) -> int:
        return len(self.measured)

    def take(self, chosen: Mask | Indices) -> Observations:
        """The runs picked by a mask or by indices."""
        rows = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return Observations(
            self.terms,
            self.amounts[rows],
            self.measured[rows],
            {level: tuple(labels[row] for row in rows) for level, labels in self.groups.items()},
            tuple(self.names[row] for row in rows) if self.names else (),
        )


def distinct(labels: Sequence[str | None]) -> tuple[str, ...]:
    """The known groups among ``labels``, in order of appearance."""
    return tuple(dict.fromkeys(label for label in labels if label is not None))
