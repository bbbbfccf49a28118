"""Many candidates through the encoder at once: what they have in common is computed once.

Candidates are sorted by the counts of their matrices in the order of the data flow, so those that share a prefix stand
together, and form a tree. The walk over it keeps only the states at which candidates part. On a chunk of a few thousand
tokens these states stay small (at most one per matrix of the encoder), whatever the number of candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from torch.nn import functional

from aebert.cpu_bfloat16 import bfloat16_features
from aebert.encoder import MATRIX_NAMES, EncoderLayer, MatrixName
from aebert.models.forward import apply_norm, attention_context
from aebert.models.packed import PackedStates
from aebert.search.calibration_rows import first_tokens
from aebert.search.candidates import IntArray
from aebert.search.prepared import PreparedLinear, PreparedWeights

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Pooling = Literal["first", "all"]


@dataclass(frozen=True)
class _Flow:
    """What is known within a layer, on the way from one layer's input to its output.

    ``inputs`` is the layer's input, then the input of its FFN; ``last`` what the latest matrix or attention gave.
    """

    inputs: torch.Tensor
    query: torch.Tensor | None = None
    key: torch.Tensor | None = None
    last: torch.Tensor | None = None


def default_precision() -> Precision:
    """bf16 where the CPU multiplies in it, else fp32."""
    return "bf16" if bfloat16_features() else "fp32"


def evaluate(
    weights: PreparedWeights,
    kept: IntArray,
    embeddings: PackedStates,
    pooling: Pooling,
    precision: Precision,
    take: Callable[[int, torch.Tensor], None],
) -> None:
    """Run candidates ``kept`` [candidates, sites] on packed ``embeddings``.

    ``take(candidate, output)`` is called once for each, in no particular order, with the encoder's output: of every
    token [tokens, hidden], or with ``pooling`` "first" of each sequence's first token alone, [sequences, hidden], which
    is what classification heads read; the last layer then leaves the other tokens' queries and FFN out.
    """
    run = _Run(weights, _by_matrix(weights, kept), embeddings, pooling, precision, take)
    with torch.inference_mode():
        run.walk()


class _Run:
    """One walk over the tree of candidates."""

    def __init__(
        self,
        weights: PreparedWeights,
        kept: IntArray,
        embeddings: PackedStates,
        pooling: Pooling,
        precision: Precision,
        take: Callable[[int, torch.Tensor], None],
    ) -> None:
        self._weights, self._take = weights, take
        self._unique, inverse = np.unique(kept, axis=0, return_inverse=True)
        self._candidates = [np.flatnonzero(inverse.ravel() == row).tolist() for row in range(len(self._unique))]
        self._embeddings, self._pooling, self._precision = embeddings, pooling, precision
        self._first = first_tokens(embeddings)

    def walk(self) -> None:
        self._descend(_Flow(self._embeddings.values), 0, 0, len(self._unique))

    def _descend(self, flow: _Flow, matrix: int, first: int, last: int) -> None:
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
        for candidate in self._candidates[first]:
            self._take(candidate, flow.inputs)

    def _advance(self, flow: _Flow, matrix: int, kept: int) -> _Flow:
        """``flow`` after one more matrix."""
        number, place = divmod(matrix, len(MATRIX_NAMES))
        layer, name = self._weights.encoder.layers[number], MATRIX_NAMES[place]
        prepared = self._weights.linear(number, name, kept)
        first_only = self._pooling == "first" and number == len(self._weights.encoder.layers) - 1
        return self._step(name, flow, layer, prepared, first_only)

    def _step(
        self, name: MatrixName, flow: _Flow, layer: EncoderLayer, prepared: PreparedLinear, first_only: bool
    ) -> _Flow:
        shape = self._weights.encoder.shape
        if name == "query":
            asking = flow.inputs[self._first] if first_only else flow.inputs
            return replace(flow, query=self._linear(prepared, asking))
        if name == "key":
            return replace(flow, key=self._linear(prepared, flow.inputs))
        if name == "value":
            assert flow.query is not None
            assert flow.key is not None
            value = self._linear(prepared, flow.inputs)
            context = attention_context(flow.query, flow.key, value, self._embeddings, shape.heads)
            return _Flow(flow.inputs[self._first] if first_only else flow.inputs, last=context)
        assert flow.last is not None
        product = self._linear(prepared, flow.last)
        if name == "ffn_in":
            return replace(flow, last=functional.gelu(product))
        norm = layer.attention_norm if name == "attention_output" else layer.ffn_norm
        normed = apply_norm(norm, flow.inputs + product.float(), shape.epsilon)
        return _Flow(normed, last=normed)

    def _linear(self, prepared: PreparedLinear, inputs: torch.Tensor) -> torch.Tensor:
        """[tokens, inputs] to [tokens, outputs]; bf16 products are summed in fp32 and rounded once."""
        if self._precision == "fp32":
            return functional.linear(inputs, prepared.weight, prepared.bias)
        return functional.linear(inputs.bfloat16(), prepared.weight.bfloat16(), prepared.bias.bfloat16())


def _by_matrix(weights: PreparedWeights, kept: IntArray) -> IntArray:
    """Counts per site [n, sites] as counts per matrix [n, 6 * layers], -1 where the pattern leaves a matrix dense."""
    layers = len(weights.encoder.layers)
    sites = [weights.site_of(layer, name) for layer in range(layers) for name in MATRIX_NAMES]
    return np.stack([np.full(len(kept), -1) if site is None else kept[:, site] for site in sites], axis=1)
