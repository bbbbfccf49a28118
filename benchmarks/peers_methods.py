"""The methods that benchmarks.peers compares: those of others, written from their papers, and ours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.pruning.input_moments import iterate_moments
from aebert.pruning.prune import prune_encoder
from aebert.pruning.refine import refine_encoder
from aebert.pruning.zero_patterns import Block, ColumnBlock, Pattern, RowBlock, Vector
from aebert.search.run.rounds import SearchSettings
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from benchmarks.peers_evopress import evopress
from benchmarks.peers_layerwise import Given, PruneMatrix, Unbound, alps, in_order, sparsegpt, wanda

Method = Callable[[Given, Pattern, float, int], Encoder]


def compensated(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
    """Ours, ``aebert prune --compensate``."""
    moments = iterate_moments(given.encoder, given.states())
    return prune_encoder(given.encoder, pattern, ratio, "activation", moments, compensate=True).encoder


def refined(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
    """Ours, ``aebert prune --refine``."""
    return refine_encoder(given.encoder, pattern, ratio, given.states()).encoder


def searched(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
    """Ours, ``aebert search`` as it is by default, scoring and refining on the same rows as the others."""
    rows = ScoringRows([row.text for row in given.rows], [row.label for row in given.rows], given.task)
    settings = SearchSettings(candidates=given.candidates, batch=min(given.candidates, 32), seed=seed)
    plan = SearchPlan(Goal(ratio, ratio), (str(pattern),), settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        found = search(given.directory, run, rows, plan, prepared=given.prepared, workers=Workers(count=1))
        return load_encoder(found.run.best)


def _peer(prune: PruneMatrix) -> Method:
    def pruned(given: Given, pattern: Unbound, ratio: float, seed: int) -> Encoder:
        return in_order(given, pattern, ratio, prune)

    return _unbound(pruned)


def _unbound(prune: Callable[[Given, Unbound, float, int], Encoder]) -> Method:
    def pruned(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
        if not isinstance(pattern, Block | ColumnBlock | RowBlock | Vector):
            raise SystemExit(f"pattern {pattern}: these peers prune matrices one by one; leave it out for them")
        return prune(given, pattern, ratio, seed)

    return pruned


METHODS: Mapping[str, Method] = {
    "wanda": _peer(wanda),
    "sparsegpt": _peer(sparsegpt),
    "alps": _peer(alps),
    "evopress": _unbound(evopress),
    "ours-compensate": compensated,
    "ours-refine": refined,
    "ours-search": searched,
}
DRAWS = frozenset({"evopress", "ours-search"})
