"""The methods that benchmarks.peers compares: those of others, written from their papers, and ours."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.pruning.input_moments import iterate_moments
from aebert.pruning.prune import prune_encoder
from aebert.pruning.refine import refine_encoder
from aebert.pruning.zero_patterns import Pattern
from aebert.search.run.rounds import SearchSettings
from aebert.search.run.summary import SUMMARY_FILE
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from benchmarks.peers_evopress import evopress
from benchmarks.peers_kprune import kprune
from benchmarks.peers_kwon import kwon
from benchmarks.peers_layerwise import Given, PruneMatrix, Unbound, alps, in_order, sparsegpt, wanda
from benchmarks.peers_units import PATTERN
from benchmarks.peers_ziplm import ziplm


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
        kept = given.searches / f"{given.task.name}-{str(pattern).replace(':', '')}-{ratio:g}-{seed}"
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy(run / SUMMARY_FILE, kept)
        return load_encoder(found.run.best)


@dataclass(frozen=True)
class Method:
    """``prune`` an encoder under a pattern to an overall ratio with a seed, which matters where it ``draws``."""

    prune: Callable[[Given, Pattern, float, int], Encoder]
    suits: Callable[[Pattern], bool]
    draws: bool = False


def _single(pattern: Pattern) -> bool:
    """Masks belong to one matrix each."""
    return isinstance(pattern, Unbound)


def _structured(pattern: Pattern) -> bool:
    return pattern == PATTERN


def _any(pattern: Pattern) -> bool:
    return True


def _layer_by_layer(prune: PruneMatrix) -> Method:
    def pruned(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
        assert isinstance(pattern, Unbound)
        return in_order(given, pattern, ratio, prune)

    return Method(pruned, _single)


def _evolved(given: Given, pattern: Pattern, ratio: float, seed: int) -> Encoder:
    assert isinstance(pattern, Unbound)
    return evopress(given, pattern, ratio, seed)


METHODS: Mapping[str, Method] = {
    "wanda": _layer_by_layer(wanda),
    "sparsegpt": _layer_by_layer(sparsegpt),
    "alps": _layer_by_layer(alps),
    "evopress": Method(_evolved, _single, draws=True),
    "kwon": Method(kwon, _structured),
    "kprune": Method(kprune, _structured),
    "ziplm": Method(ziplm, _structured, draws=True),
    "ours-compensate": Method(compensated, _any),
    "ours-refine": Method(refined, _any),
    "ours-search": Method(searched, _any, draws=True),
}
