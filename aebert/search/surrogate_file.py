"""The measured surrogate of a scorer, kept beside its prepared weights: a resumed search measures nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from aebert.search.candidates import Candidate
from aebert.search.parts import make_key, open_part, part_is_whole, write_part
from aebert.search.scorer import Scorer
from aebert.search.sensitivity import MEASURED_LEVELS, MEASURED_ROWS, Surrogate, measure_surrogate

Track = Callable[[Sequence[Sequence[Candidate]]], Iterable[Sequence[Candidate]]]


def measured_surrogate(scorer: Scorer, directory: Path, track: Track = iter) -> Surrogate:
    """``measure_surrogate`` of ``scorer``, or what an earlier call left of it in ``directory``."""
    spec = scorer.spec
    key = make_key(
        weights=spec.weights.name,
        rows=spec.rows_key,
        settings=asdict(spec.settings),
        granularity=spec.grid.granularity,
        measured=[MEASURED_ROWS, MEASURED_LEVELS],
    )
    path = directory / f"surrogate-{key[:16]}.safetensors"
    if not part_is_whole(path, key):
        found = measure_surrogate(scorer, track=track)
        tensors = {"table": torch.from_numpy(found.table), "dense": torch.tensor([found.dense_value]).double()}
        write_part(path, key, tensors)
    stored = open_part(path, key)
    return Surrogate(spec.grid, stored["table"].numpy().copy(), float(stored["dense"][0]))
