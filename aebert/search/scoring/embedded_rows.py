"""The rows that candidates are scored on: embedded once, cut into chunks, with what the dense model makes of them.

Rows are put in a random order first, so every chunk is a random sample of them: racing may stop after any chunk. Within
a chunk they stand in the order of their lengths, packed without padding. One pass of the dense model gives its outputs
and, for saliencies and compensation, the moments of every matrix's inputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aebert.models.calibration_text import MAX_TOKENS, MIN_TOKENS
from aebert.models.encoder import Encoder, EncoderLayer
from aebert.models.fp32_forward import INPUT_NAMES, InputName
from aebert.models.host_model import HostModel
from aebert.models.packed_sequences import PackedStates, first_tokens
from aebert.models.sentence_modules import DenseLayer
from aebert.models.text import Text
from aebert.pruning.input_moments import InputMoments, LayerMoments, layer_moments
from aebert.pruning.zero_patterns import Float64Array
from aebert.search.scoring.tensor_files import make_key, open_part, part_is_whole, write_part
from aebert.support.errors import AebertError

CHUNK_TOKENS = 4096
_SCHEMA = 2
_ROWS_FILE = "rows.safetensors"
Track = Callable[[Sequence[EncoderLayer]], Iterable[EncoderLayer]]


@dataclass(frozen=True)
class Chunk:
    """Rows ``first`` to ``last`` (in the order of ``EmbeddedRows``): their embeddings, ascending in length."""

    first: int
    last: int
    embeddings: PackedStates


@dataclass(frozen=True)
class EmbeddedRows:
    """The rows, chunk by chunk, and what is known about them in the same order.

    ``labels`` float64 [rows] or None; ``dense_logits`` float32 [rows, outputs] where the model has a head;
    ``dense_pooled`` float32 [rows, size]: the dense model's sentence embeddings.
    """

    directory: Path
    key: str
    chunks: tuple[Chunk, ...]
    labels: Float64Array | None
    dense_logits: torch.Tensor | None
    dense_pooled: torch.Tensor

    @property
    def count(self) -> int:
        return self.chunks[-1].last

    def moments(self, layer: int) -> LayerMoments:
        """The moments of the inputs of one layer's matrices, read from disk."""
        tensors = open_part(self.directory / _moments_file(layer), self.key)
        return LayerMoments({name: _moments_from(name, tensors) for name in INPUT_NAMES})


def prepare_rows(
    host: HostModel,
    encoder: Encoder,
    texts: Sequence[Text],
    labels: Sequence[int | float] | None,
    directory: Path,
    *,
    chunk_tokens: int = CHUNK_TOKENS,
    seed: int = 0,
    track: Track = iter,
) -> EmbeddedRows:
    """Make ``directory`` hold the rows, or take what an earlier call with the same arguments left there.

    ``seed`` decides the order of the rows. Raises AebertError where there are too few tokens for the moments.
    """
    if labels is not None and len(labels) != len(texts):
        raise AebertError(f"scoring rows: {len(texts)} texts but {len(labels)} labels; give one for each")
    key = make_key(
        schema=_SCHEMA,
        model=_model_digest(host),
        encoder=encoder.digest,
        texts=list(texts),
        labels=None if labels is None else list(labels),
        chunk_tokens=chunk_tokens,
        seed=seed,
    )
    parts = [directory / _ROWS_FILE, *(directory / _moments_file(layer) for layer in range(encoder.shape.layers))]
    if not all(part_is_whole(path, key) for path in parts):
        tensors = _rows_tensors(host, encoder, texts, labels, chunk_tokens, seed, directory, key, track)
        write_part(directory / _ROWS_FILE, key, tensors)
    return open_rows(directory, key)


def open_rows(directory: Path, key: str) -> EmbeddedRows:
    """What ``prepare_rows`` left. Raises AebertError if it is absent, damaged or not the one that ``key`` names."""
    tensors = open_part(directory / _ROWS_FILE, key)
    lengths = tuple(tensors["lengths"].tolist())
    chunks, first, token = [], 0, 0
    for rows in tensors["chunk_rows"].tolist():
        own = lengths[first : first + rows]
        states = PackedStates(tensors["embeddings"][token : token + sum(own)], own)
        chunks.append(Chunk(first, first + rows, states))
        first, token = first + rows, token + sum(own)
    labels = tensors["labels"].numpy() if "labels" in tensors else None
    return EmbeddedRows(directory, key, tuple(chunks), labels, tensors.get("dense_logits"), tensors["dense_pooled"])


def _rows_tensors(
    host: HostModel,
    encoder: Encoder,
    texts: Sequence[Text],
    labels: Sequence[int | float] | None,
    chunk_tokens: int,
    seed: int,
    directory: Path,
    key: str,
    track: Track,
) -> dict[str, torch.Tensor]:
    """The content of the rows' file; the moments of each layer are written on the way."""
    tokenised = host.tokenise(texts, min(MAX_TOKENS, encoder.shape.max_positions))
    embeddings = host.embed_texts(tokenised)
    chunks = _random_chunks(embeddings.lengths, chunk_tokens, seed)
    # The dense model sees the rows as embed_texts sorts them, so that moments are those of ``iterate_moments``.
    states = embeddings
    for number, layer in enumerate(track(encoder.layers)):
        moments, states = layer_moments(layer, encoder.shape, states)
        write_part(directory / _moments_file(number), key, _moments_tensors(moments))
    order = torch.cat(chunks)
    starts = first_tokens(embeddings).tolist()
    by_row = [embeddings.values[at : at + n] for at, n in zip(starts, embeddings.lengths, strict=True)]
    tensors = {
        "embeddings": torch.cat([by_row[row] for row in order.tolist()]),
        "lengths": torch.tensor(embeddings.lengths)[order],
        "chunk_rows": torch.tensor([len(chunk) for chunk in chunks]),
        "dense_pooled": host.sentence.embed_packed(states)[order],
    }
    if host.has_classifier:
        tensors["dense_logits"] = host.logits(states.values[first_tokens(states)][:, None])[order]
    if labels is not None:
        # The stable order of lengths, in which ``embed_texts`` packs.
        by_length = sorted(range(len(tokenised)), key=lambda row: len(tokenised[row]))
        tensors["labels"] = torch.tensor([labels[row] for row in by_length], dtype=torch.float64)[order]
    return tensors


def _random_chunks(lengths: Sequence[int], chunk_tokens: int, seed: int) -> list[torch.Tensor]:
    """The rows of each chunk, ascending: a random order of all, cut into parts of nearly equal numbers of tokens."""
    total = sum(lengths)
    if total < MIN_TOKENS:
        raise AebertError(f"scoring rows: only {total} tokens; give at least {MIN_TOKENS}")
    order = np.random.default_rng(seed).permutation(len(lengths))
    in_order = np.array(lengths)[order]
    chunks = -(-total // chunk_tokens)
    # A row belongs to the chunk in which its middle token falls.
    chunk_of = ((np.cumsum(in_order) - in_order / 2) * chunks / total).astype(int)
    return [torch.from_numpy(np.sort(order[chunk_of == chunk])) for chunk in np.unique(chunk_of)]


def _model_digest(host: HostModel) -> str:
    """Over all parameters, embeddings and head included, and what makes sentence embeddings."""
    digest = hashlib.sha256(host.sentence.description.encode())
    for step in host.sentence.steps:
        if isinstance(step, DenseLayer):
            digest.update(step.linear.weight.tobytes() + step.linear.bias.tobytes())
    for name, tensor in sorted(host.module.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)};".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def _moments_file(layer: int) -> str:
    return f"moments-{layer:02}.safetensors"


def _moments_tensors(moments: LayerMoments) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, found in moments.inputs.items():
        tensors[f"{name}.tokens"] = torch.tensor(found.tokens)
        tensors[f"{name}.mean"] = torch.from_numpy(found.mean)
        tensors[f"{name}.second"] = torch.from_numpy(found.second)
    return tensors


def _moments_from(name: InputName, tensors: Mapping[str, torch.Tensor]) -> InputMoments:
    mean, second = tensors[f"{name}.mean"].numpy(), tensors[f"{name}.second"].numpy()
    return InputMoments(int(tensors[f"{name}.tokens"]), mean, second)
