"""Scores candidates without fine-tuning: the efficient evaluation of AE-BERT (Huang et al., ISQED 2022), made quick.

Applying a candidate is a look-up (``prepared``), rows are packed without padding (``scoring_rows``), what
candidates share is computed once (``evaluation``), and losers may be dropped before all rows are seen (``racing``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from aebert.models import load_encoder
from aebert.models.encoder import Encoder, EncoderLayer
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.packed_sequences import first_tokens
from aebert.models.text import Text
from aebert.pruning.candidate import Candidate
from aebert.pruning.head_correction import HeadCorrection, head_correction
from aebert.pruning.unit_counts import MatrixKey
from aebert.pruning.zero_patterns import BoolArray
from aebert.search.scoring.arithmetic import TorchArithmetic, find_device
from aebert.search.scoring.cpu_kernels import find_kernels
from aebert.search.scoring.embedded_rows import (
    CHUNK_TOKENS,
    Chunk,
    EmbeddedRows,
    open_rows,
    prepare_rows,
)
from aebert.search.scoring.encoder_weights import EncoderWeights
from aebert.search.scoring.placed_weights import PlacedWeights
from aebert.search.scoring.prepared_weights import PreparedWeights, Recipe, prepare_weights, weights_key
from aebert.search.scoring.racing import Race, RaceResult
from aebert.search.scoring.scores import OBJECTIVES, Objective, RowResults, Score, Truth, own_objective
from aebert.search.scoring.shared_evaluation import Pooling, Precision, Weights, default_precision, evaluate
from aebert.search.scoring.tile_arithmetic import TileArithmetic
from aebert.search.space.grid import Grid, IntArray
from aebert.support.errors import AebertError
from aebert.support.extensions import method_name
from aebert.tasks import Task

Track = Callable[[Sequence[EncoderLayer]], Iterable[EncoderLayer]]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class ScorerSettings:
    """``objective`` None: ``kl`` where there is a head, else ``cosine``: of all scores they rank candidates most like
    fine-tuning does (docs/search_evaluation.md).

    ``precision`` None: fp32 with the CPU's kernels, bf16 (nearly the same ranking) where that is quicker; see
    docs/search_evaluation.md. ``device`` as PyTorch names it (``cuda:0``); None: the CPU.
    """

    objective: Objective | None = None
    recipe: Recipe = field(default_factory=Recipe)
    precision: Precision | None = None
    device: str | None = None
    chunk_tokens: int = CHUNK_TOKENS
    seed: int = 0

    def facts(self) -> dict[str, object]:
        """All of it by name, for keys of what was prepared with it; methods of one's own by theirs."""
        return {
            "objective": None if self.objective is None else method_name(self.objective),
            "recipe": self.recipe.facts(),
            "precision": self.precision,
            "device": self.device,
            "chunk_tokens": self.chunk_tokens,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class ScorerSpec:
    """All that another process needs to open a prepared scorer; it can be pickled for a worker."""

    model: Path
    rows: Path
    rows_key: str
    weights: Path
    grid: Grid
    task: Task | None
    settings: ScorerSettings

    def open(self, host: HostModel | None = None, encoder: Encoder | None = None) -> Scorer:
        """The scorer, its weights mapped. Raises AebertError if the model or the prepared files are not the same."""
        host = host or load_host_model(self.model)
        encoder = encoder or load_encoder(self.model)
        rows = open_rows(self.rows, self.rows_key)
        recipe = self.settings.recipe
        weights = PreparedWeights(self.weights, encoder, self.grid.pattern, recipe, self.grid.counts, rows)
        return Scorer(self, host, weights, rows)


class Scorer:
    """Scores candidates of one pattern on the scoring rows of one task or text."""

    def __init__(self, spec: ScorerSpec, host: HostModel, weights: PreparedWeights, rows: EmbeddedRows) -> None:
        self.spec, self._host, self._weights, self._rows = spec, host, weights, rows
        self.objective: Objective = _check_objective(spec, rows)
        self._truth = Truth(spec.task, rows.labels, rows.dense_logits)
        self._wants_logits = rows.dense_logits is not None
        self._wants_cosine = self.objective == "cosine" or not self._wants_logits
        self._pooling: Pooling = "all" if self._wants_cosine else "first"
        self._device = device = find_device(spec.settings.device)
        self.precision: Precision = spec.settings.precision or default_precision(device)
        self._dtype = dtype = _DTYPES[self.precision]
        activation = weights.encoder.shape.activation
        self._by_kernels = dtype == torch.float32 and device.type == "cpu" and activation == "gelu"
        self._torch = TorchArithmetic(device, dtype, activation)
        self._placed = PlacedWeights(weights, device, dtype)

    @property
    def grid(self) -> Grid:
        return self.spec.grid

    @property
    def rows(self) -> int:
        """The number of scoring rows."""
        return self._rows.count

    @property
    def dense_score(self) -> Score:
        """The score of the model as it is."""
        cosine = torch.ones(self.rows) if self._wants_cosine else None
        return self._truth.score(self.objective, RowResults(self._rows.dense_logits, cosine), self.rows)

    def apply(self, candidate: Candidate) -> Encoder:
        """The pruned encoder that ``candidate`` is scored as."""
        self._kept([candidate])
        return self._weights.apply(candidate)

    def masks(self, candidate: Candidate) -> dict[MatrixKey, BoolArray]:
        """The masks of all matrices that ``candidate`` is scored with, True where a weight is kept."""
        self._kept([candidate])
        return self._weights.masks(candidate)

    def score(self, candidates: Sequence[Candidate], rows: int | None = None) -> list[Score]:
        """The score of each candidate, in order, on all rows or on the first chunks with at least ``rows`` of them."""
        kept = self._kept(candidates)
        chunks = [chunk for chunk in self._rows.chunks if rows is None or chunk.first < rows]
        parts: list[list[RowResults]] = [[] for _ in candidates]
        for chunk in chunks:
            for own, result in zip(parts, self._run(chunk, kept), strict=True):
                own.append(result)
        return [self._truth.score(self.objective, RowResults.join(own), chunks[-1].last) for own in parts]

    def score_encoder(self, encoder: Encoder) -> Score:
        """The score of any encoder of the model's shape on all rows, such as that of a refined subnet.

        Raises ValueError for another shape.
        """
        if encoder.shape != self._weights.encoder.shape:
            raise ValueError(f"an encoder of shape {encoder.shape}, not {self._weights.encoder.shape}")
        weights = EncoderWeights(encoder)
        placed = PlacedWeights(weights, self._device, self._dtype)
        nothing = np.zeros((1, 0), np.int64)  # no site decides about anything
        parts = [result for chunk in self._rows.chunks for result in self._run(chunk, nothing, weights, placed)]
        return self._truth.score(self.objective, RowResults.join(parts), self.rows)

    def head_correction(self, candidate: Candidate) -> HeadCorrection | None:
        """What the head of ``candidate`` as it is scored lacks on all scoring rows; None where that is little."""
        if self._rows.dense_logits is None:
            return None
        kept = self._kept([candidate])
        own = RowResults.join([result for chunk in self._rows.chunks for result in self._run(chunk, kept)]).logits
        assert own is not None, "there are logits where the dense model has them"
        return head_correction(self._rows.dense_logits, own)

    def on_rows(self, rows: EmbeddedRows) -> Scorer:
        """A scorer with the same weights on other rows of the same model."""
        spec = replace(self.spec, rows=rows.directory, rows_key=rows.key)
        return Scorer(spec, self._host, self._weights, rows)

    def race(self, candidates: Sequence[Candidate], keep: int = 1, error: float = 0.05) -> RaceResult:
        """Find the best ``keep`` candidates, dropping losers chunk by chunk; see ``racing`` for what ``error`` means.

        Those that stay to the end have the scores that ``score`` gives; the others, scores on fewer rows.
        """
        if self.objective == "metric":
            raise AebertError("racing needs an objective that is a mean over rows; choose loss, kl or cosine")
        kept = self._kept(candidates)
        race = Race(len(candidates), self.rows, len(self._rows.chunks), keep, error)
        parts: list[list[RowResults]] = [[] for _ in candidates]
        for chunk in self._rows.chunks:
            running = race.running
            results = self._run(chunk, kept[running])
            for candidate, result in zip(running, results, strict=True):
                parts[candidate].append(result)
            race.add([self._truth.row_values(self.objective, result, chunk.first) for result in results])
        seen = race.rows_seen
        scores = [
            self._truth.score(self.objective, RowResults.join(own), count)
            for own, count in zip(parts, seen, strict=True)
        ]
        return race.result(scores)

    def _run(
        self, chunk: Chunk, kept: IntArray, weights: Weights | None = None, placed: Weights | None = None
    ) -> list[RowResults]:
        """``weights`` [default: the prepared ones], and the same as they lie on the device, ``placed``."""
        results: dict[int, RowResults] = {}
        states = chunk.embeddings
        first = first_tokens(states)
        dense = self._rows.dense_pooled[chunk.first : chunk.last]

        def take(candidate: int, output: torch.Tensor) -> None:
            logits = cosine = None
            if self._wants_logits:
                logits = self._host.logits((output[first] if self._wants_cosine else output)[:, None])
            if self._wants_cosine:
                cosine = functional.cosine_similarity(
                    self._host.sentence.embed_packed(states.with_values(output)), dense
                )
            results[candidate] = RowResults(logits, cosine)

        kernels = find_kernels() if self._by_kernels else None
        if kernels is not None:
            evaluate(weights or self._weights, kept, states, self._pooling, TileArithmetic(kernels), take)
        else:
            evaluate(placed or self._placed, kept, states, self._pooling, self._torch, take)
        return [results[candidate] for candidate in range(len(kept))]

    def _kept(self, candidates: Sequence[Candidate]) -> IntArray:
        if not candidates:
            raise AebertError("no candidates to score; give at least one")
        for candidate in candidates:
            if candidate.pattern != str(self.grid.pattern):
                raise AebertError(
                    f"candidate {candidate.digest[:12]} has pattern {candidate.pattern!r}, the scorer was prepared for "
                    f"{str(self.grid.pattern)!r}; prepare one for it"
                )
            candidate.sites(self.grid.shape)
        return self.grid.kept_of(candidates)


def prepare_scorer(
    host: HostModel,
    encoder: Encoder,
    texts: Sequence[Text],
    labels: Sequence[int | float] | None,
    task: Task | None,
    grid: Grid,
    directory: Path,
    settings: ScorerSettings | None = None,
    track_rows: Track = iter,
    track_weights: Track = iter,
) -> Scorer:
    """Prepare ``directory`` for scoring candidates of ``grid.pattern`` on scoring rows, and open it.

    ``labels`` (with their ``task``) may be None: scores are then fidelity to the dense model alone. What an earlier
    call left in the directory is used again where it fits; several grids and patterns share a directory. ``track_rows``
    and ``track_weights`` go through the layers of the two phases: the rows' moments and dense outputs, the weights of
    every level.
    """
    settings = settings or ScorerSettings()
    find_device(settings.device)  # refused before anything is prepared
    rows = prepare_rows(
        host,
        encoder,
        texts,
        labels,
        directory,
        chunk_tokens=settings.chunk_tokens,
        seed=settings.seed,
        track=track_rows,
    )
    key = weights_key(encoder, grid.pattern, settings.recipe, grid.counts, rows)
    folder = directory / f"weights-{key[:16]}"
    spec = ScorerSpec(host.directory, rows.directory, rows.key, folder, grid, task, settings)
    _check_objective(spec, rows)
    weights = prepare_weights(folder, host, encoder, grid.pattern, settings.recipe, grid.counts, rows, track_weights)
    return Scorer(spec, host, weights, rows)


def _check_objective(spec: ScorerSpec, rows: EmbeddedRows) -> Objective:
    """The objective to use. Raises AebertError where what it needs is not there."""
    task, outputs = spec.task, None if rows.dense_logits is None else rows.dense_logits.shape[1]
    labelled = rows.labels is not None and task is not None and outputs is not None
    if labelled and task is not None and outputs != task.outputs:
        raise AebertError(
            f"{spec.model}: the head has {outputs} output(s), task {task.name!r} {task.outputs}; "
            "give a model fine-tuned for this task"
        )
    default: Objective = "cosine" if outputs is None else "kl"
    objective = spec.settings.objective or default
    if objective in ("loss", "metric") and not labelled:
        raise AebertError(f"objective {objective!r} needs labels and a model with a head; choose kl or cosine")
    if objective != "cosine" and outputs is None:
        raise AebertError(
            f"{spec.model}: objective {method_name(objective)!r} needs a sequence-classification head; choose cosine"
        )
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        own_objective(objective)
    return objective
