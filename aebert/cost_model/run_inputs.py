"""What the closed form needs to predict a run, kept with the run so that a better closed form can use it too."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from pydantic import TypeAdapter, ValidationError

from aebert.design.config import HardwareConfig
from aebert.design.sizes import Ints, Sizes
from aebert.design.workload import Workload
from aebert.encoder import EncoderShape
from aebert.errors import AebertError


@dataclass(frozen=True)
class Launch:
    """Sequences of ``lengths`` tokens through an encoder of ``shape``; ``tiles`` [layers][MATRIX_NAMES] as packed."""

    shape: EncoderShape
    lengths: tuple[int, ...]
    tiles: tuple[tuple[int, ...], ...]

    def workload(self) -> Workload:
        counts = np.array(self.tiles, np.int64)[:, :, None]

        def tiles_on(sizes: Sizes) -> Ints:
            return np.broadcast_to(counts, (*counts.shape[:2], len(sizes.tokens)))

        return Workload(self.shape, tiles_on, self.lengths)


@dataclass(frozen=True)
class RunInputs:
    """A design, the clock it was asked to reach, and what ran on it, where something ran."""

    config: HardwareConfig
    compute_units: int
    clock_mhz: float
    launch: Launch | None = None


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[RunInputs]:
    return TypeAdapter(RunInputs)


def to_text(inputs: RunInputs) -> str:
    """One line of JSON."""
    return json.dumps(asdict(inputs), sort_keys=True, separators=(",", ":"))


def from_text(text: str) -> RunInputs:
    """Raises AebertError for anything but the text of `to_text`."""
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "text"
        raise AebertError(f"run inputs: {where}: {first['msg']}; measure the run again") from None
