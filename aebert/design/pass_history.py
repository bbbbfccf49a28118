"""When a process had taken what the last passes brought it."""

from __future__ import annotations

from collections import deque

import numpy as np

from aebert.design.kernel_streams import PASSES_AHEAD
from aebert.design.size_arrays import Floats


class PassHistory:
    """Of the last passes: when their last element was taken, and how many they had. None is waited for that is older
    than those that can be under way."""

    def __init__(self) -> None:
        self._passes: deque[tuple[Floats, Floats | float]] = deque(maxlen=PASSES_AHEAD)

    def add(self, done: Floats, number: Floats | float) -> None:
        self._passes.appendleft((done, number))

    def all_but(self, last: Floats, pace: Floats | float = 0.0) -> Floats:
        """When all but the ``last`` so many elements were taken, one each ``pace`` at a pass's end."""
        found: Floats = np.full(len(last), -np.inf)
        for done, number in self._passes:
            found = np.where((last >= 0.0) & (last < number), done - last * pace, found)
            last = last - number
        return found
