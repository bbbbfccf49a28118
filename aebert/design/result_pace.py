"""How fast results leave the engine where they wait for places in the FIFO behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aebert.design.size_arrays import Floats

# Row groups in the chains of results that are tried: few, or all.
_CHAINED: Floats = np.array([[1.0], [2.0], [3.0], [np.inf]])


@dataclass(frozen=True)
class ResultPace:
    """``interval``: the engine's II. Of each design [designs]: ``taken``, cycles in which the requantiser takes a
    result; ``places`` in the FIFO; ``round_trip``, from a result until its place can be taken again."""

    interval: float
    taken: Floats
    places: Floats
    round_trip: Floats

    def cycles(self, cycles: Floats, row_groups: Floats, groups: Floats) -> Floats:
        """Engine cycles [designs] of a pass of ``row_groups`` with ``groups`` token groups each, which takes ``cycles``
        where no result waits.

        A result takes the place that came free by the one as many before it as there are places, a round trip later;
        or it follows the one before, which the requantiser takes so many cycles later. Of a row group's token groups,
        which have their results in consecutive cycles, as many as there are places leave at once, once per round trip,
        and the steps without results behind them hide a last wait. So the slowest chain of results is that of some
        number of row groups, with waits for places wherever they fit, and that number after that number.
        """
        without = cycles / row_groups - self.interval * groups
        chained = np.minimum(_CHAINED, row_groups)
        results = chained * groups - 1.0
        waits = np.floor(results / self.places)
        waited = waits * self.places
        # Row groups that end behind the last wait; of these results the requantiser has taken those before.
        ended = np.ceil((waited + 1.0) / groups)
        behind = np.maximum(chained - ended, 0.0)
        queued = np.where(behind > 0.0, ended * groups - 1.0, results) - waited
        between = np.where(waits > 0.0, np.maximum(self.interval, self.taken), self.interval)
        chain = waits * self.round_trip + queued * between + (results - waited - queued + 1.0) * self.interval
        chain = chain + (behind + 1.0) * without
        slowest: Floats = np.max(chain * (row_groups / chained), axis=0)
        return np.maximum(cycles, slowest)
