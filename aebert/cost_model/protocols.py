"""What the search asks of a cost model: the latency of many candidates at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aebert.cost_model.measurer import MeasuredCandidate
from aebert.design.size_arrays import Ints
from aebert.pruning.zero_patterns import Float64Array, Pattern


@dataclass(frozen=True)
class LatencyPrediction:
    """Milliseconds of one launch [candidates], with the bounds of the model's error bar.

    ``source`` says where the figures come from, e.g. ``"predicted, closed form fitted to csynth"``.
    """

    mean_ms: Float64Array
    low_ms: Float64Array
    high_ms: Float64Array
    source: str


class LatencyModel(Protocol):
    """The latency of candidates of one pattern on one design."""

    def predict(self, kept: Ints) -> LatencyPrediction:
        """``kept``: units kept per site [candidates, sites], sites as ``list_sites`` gives them."""
        ...


class CostModel(Protocol):
    """Latency models of one design, which measurements make better."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over all that a prediction depends on: design, sequence length, coefficients."""
        ...

    def latency(self, pattern: Pattern) -> LatencyModel:
        """The model for candidates of ``pattern``."""
        ...

    def refitted(self, measurements: Sequence[MeasuredCandidate]) -> CostModel:
        """The same, fitted to ``measurements`` as well. All measurements of the search so far are given each time."""
        ...
