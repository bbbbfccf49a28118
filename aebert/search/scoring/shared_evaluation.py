"""Many candidates through the encoder at once: what they have in common is computed once.

Candidates are sorted by the counts of their matrices in the order of the data flow, so those that share a prefix stand
together, and form a tree. The walk over it keeps only the states at which candidates part. On a chunk of a few thousand
tokens these states stay small (at most one per matrix of the encoder), whatever the number of candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Generic, Literal, Protocol, get_args

import numpy as np
import torch

from aebert.models.encoder import MATRIX_NAMES, Encoder, MatrixName
from aebert.models.packed_sequences import PackedStates, first_tokens
from aebert.search.scoring.arithmetic import Arithmetic, State
from aebert.search.scoring.cpu_kernels import find_kernels
from aebert.search.scoring.linear_cache import PreparedLinear
from aebert.search.scoring.prepared_weights import NormName, PreparedNorm
from aebert.search.space.grid import IntArray
from aebert.support.cpu_bfloat16 import bfloat16_features

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Pooling = Literal["first", "all"]


@dataclass(frozen=True)
class _Flow(Generic[State]):
    """What is known within a layer, on the way from one layer's input to its output.

    ``inputs`` is the layer's input, then the input of its FFN; ``last`` what the latest matrix or attention gave.
    """

    inputs: State
    query: State | None = None
    key: State | None = None
    last: State | None = None


class Weights(Protocol):
    """Where the matrices and norms of candidates come from: ``PreparedWeights``, or what puts them elsewhere."""

    @property
    def encoder(self) -> Encoder:
        """The dense encoder."""

    def site_of(self, layer: int, name: MatrixName) -> int | None:
        """The number of the site that decides about a matrix; None where the pattern leaves it dense."""

    def linear(self, layer: int, name: MatrixName, kept: int) -> PreparedLinear:
        """A matrix whose site keeps ``kept`` units."""

    def norm(self, layer: int, name: NormName) -> PreparedNorm:
        """A LayerNorm of a layer."""


def default_precision(device: torch.device) -> Precision:
    """What is quickest on ``device`` (docs/search_evaluation.md).

    bf16 on a GPU that has it and on a CPU with matrix units for it (AMX). On another CPU, fp32 with the kernels that
    skip zeros, or where they cannot be had bf16 if the CPU multiplies in it.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    features = bfloat16_features()
    if "amx_bf16" in features or (features and find_kernels() is None):
        return "bf16"
    return "fp32"


def evaluate(
    weights: Weights,
    kept: IntArray,
    embeddings: PackedStates,
    pooling: Pooling,
    arithmetic: Arithmetic[State],
    take: Callable[[int, torch.Tensor], None],
) -> None:
    """Run candidates ``kept`` [candidates, sites] on packed ``embeddings``.

    ``take(candidate, output)`` is called once for each, in no particular order, with the encoder's output: of every
    token [tokens, hidden], or with ``pooling`` "first" of each sequence's first token alone, [sequences, hidden], which
    is what classification heads read; the last layer then leaves the other tokens' queries and FFN out.
    """
    run = _Run(weights, _by_matrix(weights, kept), embeddings, pooling, arithmetic, take)
    with torch.inference_mode():
        run.walk()


class _Run(Generic[State]):
    """One walk over the tree of candidates."""

    def __init__(
        self,
        weights: Weights,
        kept: IntArray,
        embeddings: PackedStates,
        pooling: Pooling,
        arithmetic: Arithmetic[State],
        take: Callable[[int, torch.Tensor], None],
    ) -> None:
        self._weights, self._take, self._arithmetic = weights, take, arithmetic
        self._unique, inverse = np.unique(kept, axis=0, return_inverse=True)
        self._candidates = [np.flatnonzero(inverse.ravel() == row).tolist() for row in range(len(self._unique))]
        self._embeddings = embeddings
        self._first = first_tokens(embeddings)
        self._first_only_layer = weights.encoder.shape.layers - 1 if pooling == "first" else None

    def walk(self) -> None:
        self._descend(_Flow(self._arithmetic.states(self._embeddings.values)), 0, 0, len(self._unique))

    def _descend(self, flow: _Flow[State], matrix: int, first: int, last: int) -> None:
        """The candidates ``first`` to ``last``, alike in all matrices before ``matrix``, where they have ``flow``."""
        while matrix < self._unique.shape[1]:
            column = self._unique[first:last, matrix]
            starts = np.flatnonzero(np.diff(column)) + first + 1
            if len(starts):
                bounds = [first, *starts.tolist(), last]
                for begin, end in pairwise(bounds):
                    self._descend(self._advance(flow, matrix, int(self._unique[begin, matrix])), matrix + 1, begin, end)
                return
            flow = self._advance(flow, matrix, int(column[0]))
            matrix += 1
        output = self._arithmetic.values(flow.inputs)
        for candidate in self._candidates[first]:
            self._take(candidate, output)

    def _advance(self, flow: _Flow[State], matrix: int, kept: int) -> _Flow[State]:
        """``flow`` after one more matrix."""
        layer, place = divmod(matrix, len(MATRIX_NAMES))
        name: MatrixName = MATRIX_NAMES[place]
        linear, arithmetic = self._weights.linear(layer, name, kept), self._arithmetic
        if name == "query":
            return replace(flow, query=arithmetic.linear(self._asking(flow.inputs, layer), linear))
        if name == "key":
            return replace(flow, key=arithmetic.linear(flow.inputs, linear))
        if name == "value":
            assert flow.query is not None
            assert flow.key is not None
            value, heads = arithmetic.linear(flow.inputs, linear), self._weights.encoder.shape.heads
            context = arithmetic.attention(flow.query, flow.key, value, self._embeddings, heads)
            return _Flow(self._asking(flow.inputs, layer), last=context)
        assert flow.last is not None
        if name == "ffn_in":
            return replace(flow, last=arithmetic.linear_activated(flow.last, linear))
        norm = self._weights.norm(layer, "attention" if name == "attention_output" else "ffn")
        normed = arithmetic.linear_norm(flow.last, linear, flow.inputs, norm)
        return _Flow(normed, last=normed)

    def _asking(self, inputs: State, layer: int) -> State:
        """The tokens of a layer's input whose outputs are wanted."""
        return self._arithmetic.tokens(inputs, self._first) if layer == self._first_only_layer else inputs


def _by_matrix(weights: Weights, kept: IntArray) -> IntArray:
    """Counts per site [n, sites] as counts per matrix [n, 6 * layers], -1 where the pattern leaves a matrix dense."""
    layers = len(weights.encoder.layers)
    sites = [weights.site_of(layer, name) for layer in range(layers) for name in MATRIX_NAMES]
    return np.stack([np.full(len(kept), -1) if site is None else kept[:, site] for site in sites], axis=1)
