"""The end of a search: its finalists are refined, and the one that is best then wins.

A search compares candidates with weights that were prepared matrix by matrix. ``Refiner`` gives a candidate's subnet
masks and weights that were fitted together, on the inputs that the pruned layers below give
(``aebert.pruning.refine``); heads and neurons keep their masks and have their weights fitted that way. Each refined
subnet is a file as soon as it is made, so that an interrupted search takes up where it was.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from aebert.models.calibration_text import MAX_TOKENS
from aebert.models.digest import make_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderLayer, Linear
from aebert.models.host_model import HostModel
from aebert.models.text import Text, TokenisedText
from aebert.pruning.candidate import Candidate
from aebert.pruning.prune import with_matrix
from aebert.pruning.refine import refine_encoder, refit_encoder
from aebert.pruning.zero_patterns import Structured
from aebert.search.run.choice import Ranked, Refined, in_order
from aebert.search.run.refining_rows import affordable
from aebert.search.scoring.scorer import Scorer
from aebert.search.scoring.tensor_files import make_key, open_part, part_is_whole, write_part
from aebert.support.json_digest import json_digest
from aebert.support.progress import Progress, count_through, no_progress

_SCHEMA = 1


class Refiner:
    """Refines candidates on ``texts`` (labels are not needed), one file for each in ``directory``.

    ``trial``: fewer texts, without those that ``judges`` score on, for finalists among whom is still to be chosen;
    None: they are refined on all, as no text is scored on, or there are few.
    """

    def __init__(
        self,
        host: HostModel,
        encoder: Encoder,
        texts: Sequence[Text],
        scorers: Mapping[str, Scorer],
        directory: Path,
        judges: Mapping[str, Scorer] | None = None,
        trial: Sequence[Text] | None = None,
    ) -> None:
        self._host, self._encoder, self._scorers, self._directory = host, encoder, dict(scorers), directory
        self._judges = self._scorers if judges is None else dict(judges)
        self._tokenised = self._affordable(texts)
        self._trial = self._tokenised if trial is None else self._affordable(trial)

    @property
    def rows(self) -> int:
        """How many texts it fits to."""
        return len(self._tokenised)

    def refine(self, items: Sequence[Ranked], progress: Progress = no_progress) -> list[Ranked]:
        """``items`` with the score of their refined subnets on the judges' rows, best first."""
        refined = []
        for number, item in enumerate(items, start=1):
            began = time.process_time()
            candidate, step = item.candidate, f"refine {number} of {len(items)}"
            fitted = self._encoder_of(candidate, self._trial, step, progress)
            score = self._judges[candidate.pattern].score_encoder(fitted)
            facts = {name: fact for name, fact in asdict(score).items() if isinstance(fact, int | float)}
            refined.append(replace(item, refined=Refined(score.value, facts, time.process_time() - began)))
        return in_order(refined)

    def settle(self, items: Sequence[Ranked], progress: Progress = no_progress) -> None:
        """Refine what was chosen on all texts, where it was tried on fewer."""
        for number, item in enumerate(items, start=1):
            self._encoder_of(item.candidate, self._tokenised, f"refine on all texts {number} of {len(items)}", progress)

    def encoder(self, candidate: Candidate) -> Encoder:
        """The subnet's encoder, refined on all texts, mapped from its file; made where it is not there."""
        return self._encoder_of(candidate, self._tokenised, "refine", no_progress)

    def _encoder_of(
        self, candidate: Candidate, texts: Sequence[TokenisedText], step: str, progress: Progress
    ) -> Encoder:
        key = self._key(candidate, texts)
        path = self._directory / f"{key[:16]}.safetensors"
        if not part_is_whole(path, key):
            write_part(path, key, self._made(candidate, texts, step, progress))
        tensors = open_part(path, key)
        layers = []
        for number, layer in enumerate(self._encoder.layers):
            for name in MATRIX_NAMES:
                weight, bias = (tensors[f"{number}.{name}.{kind}"].numpy() for kind in ("weight", "bias"))
                layer = with_matrix(layer, name, Linear(weight, bias))
            layers.append(layer)
        return make_encoder(self._encoder.shape, layers)

    def clear(self) -> None:
        """Remove the files: what was chosen has been written elsewhere."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _affordable(self, texts: Sequence[Text]) -> list[TokenisedText]:
        shape = self._encoder.shape
        return affordable(self._host.tokenise(texts, min(MAX_TOKENS, shape.max_positions)), shape)

    def _made(
        self, candidate: Candidate, texts: Sequence[TokenisedText], step: str, progress: Progress
    ) -> dict[str, torch.Tensor]:
        layers = self._encoder.shape.layers

        def track(items: Sequence[EncoderLayer]) -> Iterable[EncoderLayer]:
            return count_through(items, step, layers, progress)

        states = self._host.embed_texts(texts)
        scorer = self._scorers[candidate.pattern]
        pattern = scorer.grid.pattern
        if isinstance(pattern, Structured):
            made = refit_encoder(self._encoder, scorer.masks(candidate), states, track)
        else:
            ratios = candidate.ratios(self._encoder.shape)
            made = refine_encoder(self._encoder, pattern, ratios, states, track).encoder
        tensors = {}
        for number, name, linear in made.matrices():
            tensors[f"{number}.{name}.weight"] = torch.from_numpy(linear.weight)
            tensors[f"{number}.{name}.bias"] = torch.from_numpy(linear.bias)
        return tensors

    def _key(self, candidate: Candidate, texts: Sequence[TokenisedText]) -> str:
        return make_key(
            schema=_SCHEMA,
            encoder=self._encoder.digest,
            candidate=candidate.digest,
            masks=self._scorers[candidate.pattern].spec.weights.name,
            text=json_digest([[row.ids, row.types] for row in texts]),
        )
