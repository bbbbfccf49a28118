"""Error bars: relative spreads that are independent of each other, combined on a logarithmic scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

# Two-sided: nine of ten true values lie inside.
COVERAGE = 0.9
_DEVIATIONS = NormalDist().inv_cdf((1 + COVERAGE) / 2)


@dataclass(frozen=True)
class Spread:
    """True / predicted lies in [low, high] with a chance of `COVERAGE`. ``basis``: what that rests on.

    ``assumed``: too few cases stand behind it to promise that chance (`aebert.cost_model.intervals.groups_needed`).
    """

    low: float
    high: float
    basis: str
    assumed: bool = False

    @classmethod
    def within(cls, relative: float, basis: str) -> Spread:
        """Up to ``relative`` more, or as many times less."""
        return cls(1.0 / (1.0 + relative), 1.0 + relative, basis)

    @classmethod
    def normal(cls, deviation: float, basis: str) -> Spread:
        """``deviation``: the standard deviation of the logarithm."""
        return cls(math.exp(-_DEVIATIONS * deviation), math.exp(_DEVIATIONS * deviation), basis)

    @property
    def deviation(self) -> float:
        """The standard deviation of the logarithm of a normal spread as wide as the wider side."""
        return max(-math.log(self.low), math.log(self.high)) / _DEVIATIONS

    @property
    def inverse(self) -> Spread:
        """That of one over the quantity."""
        return Spread(1.0 / self.high, 1.0 / self.low, self.basis, self.assumed)


def combine(*spreads: Spread) -> Spread:
    """Of a product of independent quantities: on each side the logarithms add in squares."""
    low = math.sqrt(sum(math.log(spread.low) ** 2 for spread in spreads))
    high = math.sqrt(sum(math.log(spread.high) ** 2 for spread in spreads))
    basis = "; ".join(spread.basis for spread in spreads)
    return Spread(math.exp(-low), math.exp(high), basis, any(spread.assumed for spread in spreads))
