"""Hardware in the loop: finalists of each round are measured, and the cost model learns from them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from aebert.cost_model.measurer import Finalist, Measurer
from aebert.cost_model.protocols import CostModel
from aebert.pruning.candidate import Candidate
from aebert.search.run.choice import Ranked, pareto_front
from aebert.search.run.study import Study
from aebert.search.space.search_space import SearchSpace

DEFAULT_FINALISTS = 4


class HardwareLoop:
    """Measures the best candidates so far, ``finalists`` of them at most after each round.

    ``write`` makes the subnet directory of a candidate, in a folder below ``directory`` that is removed afterwards.
    """

    def __init__(
        self,
        measurer: Measurer,
        costs: CostModel,
        write: Callable[[Candidate, Path], None],
        directory: Path,
        finalists: int = DEFAULT_FINALISTS,
    ) -> None:
        self._measurer, self._costs, self._write = measurer, costs, write
        self._directory, self._finalists = directory, finalists

    def fitted(self, space: SearchSpace, study: Study) -> SearchSpace:
        """``space`` under the cost model as all measurements so far make it."""
        known = study.measurements()
        if not known:
            return space
        return space.refitted(self._costs.refitted([known[number] for number in sorted(known)]))

    def measure_finalists(self, space: SearchSpace, study: Study, ranked: Sequence[Ranked]) -> SearchSpace:
        """Measure those of the front that have not been, and recalibrate. Raises what the measurer raises."""
        front = [item for item in pareto_front(ranked, self._finalists) if not item.measured]
        if not front:
            return space
        self._directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".measured-", dir=self._directory) as folder:
            finalists = []
            for item in front:
                trial = item.trial.trial
                directory = Path(folder) / f"trial-{trial.number}"
                self._write(trial.candidate, directory)
                finalists.append(Finalist(trial.candidate, directory))
            found = {measurement.candidate: measurement for measurement in self._measurer.measure(finalists)}
        for item in front:
            candidate = item.candidate
            if candidate in found:
                study.record(item.trial.trial, found[candidate])
        return self.fitted(space, study)
