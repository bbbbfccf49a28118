"""What the walk over a launch's passes (aebert.design.pass_walk) keeps between passes, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from aebert.design.size_arrays import Floats


@dataclass(frozen=True)
class CycleCount:
    """Cycles [designs] of one launch, and what the multiply-accumulate lanes did in them.

    ``lane_cycles`` are the engine steps that multiply a weight tile with a token group.
    """

    total: Floats
    lane_cycles: Floats

    @property
    def lane_utilisation(self) -> Floats:
        return self.lane_cycles / self.total


@dataclass(frozen=True)
class PassTime:
    """Cycles [designs] of a launch that go to one pass: from when the one before let go of the engine to when it does.

    ``name`` is the matrix, "load", "scores", "context", "layer_norm" (until the operands are there that the next pass
    reads) or "store"; ``layer`` is -1 for load and store. ``vectors`` went through the unit behind the engine, one per
    cycle.
    """

    name: str
    layer: int
    cycles: Floats
    lane_cycles: Floats
    vectors: Floats


@dataclass(frozen=True)
class Clock:
    """When each process is free, when what it wrote back has arrived at the engine, and engine steps so far."""

    engine: Floats
    requantise: Floats
    exponentials: Floats
    quotients: Floats
    layer_norm: Floats
    reader: Floats
    memory: Floats
    counts: Floats
    parameters: Floats
    parameters_read: Floats
    lane_cycles: Floats

    def repeat(self, before: Clock, times: int) -> Clock:
        """After ``times`` more spans that each take what lay between ``before`` and this."""
        later = ((getattr(self, f.name), getattr(before, f.name)) for f in fields(self))
        return Clock(*(now + times * (now - then) for now, then in later))

    def repeat_heads(self, before: Clock, times: int) -> Clock:
        """The same for heads, which come as their exponentials do: parameters that had run ahead jump when their FIFO
        is full, and from then on come no later than heads."""
        longer, repeated = times * (self.exponentials - before.exponentials), self.repeat(before, times)
        return replace(
            repeated,
            parameters=np.minimum(repeated.parameters, self.parameters + longer),
            parameters_read=np.minimum(repeated.parameters_read, self.parameters_read + longer),
        )


@dataclass(frozen=True)
class Done:
    """One pass through engine and requantiser: the engine's last step, and the first and last of the requantiser's
    ``vectors``, which either go back to the engine or not."""

    end: Floats
    first: Floats
    last: Floats
    vectors: Floats
    writes_back: bool

    def later(self, cycles: Floats) -> Done:
        return replace(self, end=self.end + cycles, first=self.first + cycles, last=self.last + cycles)

    def makes_wait(self, until: Floats, begins: Floats, slices: Floats) -> Floats:
        """When exponentials end that began at ``begins`` and would end at ``until``, were it not for write-backs: these
        leave cycles for exponentials, which need one of as many as a row has ``slices``."""
        if not self.writes_back:
            return until
        beside = np.maximum(self.first, begins)
        share = np.minimum(self.vectors / np.maximum(self.last - self.first, 1.0), 1.0 - 1e-3)
        most = np.minimum(self.vectors, np.maximum(self.last - beside, 0.0) * share)
        slower = np.maximum(1.0 / slices / (1.0 - share) - 1.0, 0.0)
        later: Floats = until + np.clip((until - beside) * slower, 0.0, most)
        return later


@dataclass(frozen=True)
class ScoredHead:
    """Scores under way: when their exponentials begin to go back to the engine (``vectors`` of them), when all have
    arrived there, and when the reciprocals of their sums are there. ``passes``: that ended before."""

    length: int
    first: Floats
    probabilities: Floats
    quotients: Floats
    vectors: Floats
    passes: int

    def later(self, cycles: Floats) -> ScoredHead:
        return replace(
            self,
            first=self.first + cycles,
            probabilities=self.probabilities + cycles,
            quotients=self.quotients + cycles,
        )
