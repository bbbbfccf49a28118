"""How far the integers are from fp32, layer by layer, and which quantiser is to blame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from aebert.models.encoder import Encoder, FloatArray
from aebert.models.fp32_forward import layer_forward
from aebert.models.packed_sequences import PackedStates
from aebert.models.sentence_modules import DEFAULT_MODULES, SentenceModules
from aebert.numerics.integers import INT16_MAX
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import SequenceBatch, from_residual, run_batch, to_residual
from aebert.quantisation.quantise import QuantisationResult, take_tokens
from aebert.quantisation.simulate import SOURCES, SimulatedLayer, Source, simulate_layer


@dataclass(frozen=True)
class LayerError:
    """A layer's integer output against the whole fp32 encoder's: errors of all layers so far are in it.

    ``relative_error`` is ``|integer - fp32| / |fp32|`` over all tokens and channels, ``sqnr_db`` the same as
    ``-20 log10``; ``cosine`` and ``lowest_cosine`` are over the hidden states of single tokens.
    ``largest_residual`` is the largest share of the int16 range that the layer's output used.
    """

    layer: int
    relative_error: float
    sqnr_db: float
    cosine: float
    lowest_cosine: float
    largest_residual: float


@dataclass(frozen=True)
class LayerBlame:
    """Relative error that one layer adds to its output on exact inputs: all quantisers on, and each one alone."""

    layer: int
    together: float
    alone: tuple[tuple[Source, float], ...]


@dataclass(frozen=True)
class LengthError:
    """The last layer's output on the sequences of ``shortest`` to ``longest`` tokens; cosine of their embeddings."""

    shortest: int
    longest: int
    sequences: int
    relative_error: float
    lowest_embedding_cosine: float


@dataclass(frozen=True)
class EncoderError:
    """Of the whole integer reference. Embedding cosines are of whole sentences, mean and lowest."""

    sequences: int
    tokens: int
    embedding_cosine: float
    lowest_embedding_cosine: float
    layers: tuple[LayerError, ...]
    by_length: tuple[LengthError, ...] = ()


def relative_error(got: FloatArray, exact: FloatArray) -> float:
    """``|got - exact| / |exact|`` in the Euclidean norm over everything."""
    size = float(np.linalg.norm(exact.astype(np.float64)))
    return float(np.linalg.norm(got.astype(np.float64) - exact)) / max(size, 1e-30)


def row_cosines(got: FloatArray, exact: FloatArray) -> FloatArray:
    """Cosine of each row of [rows, channels]; 1 where both rows are zero."""
    a, b = got.astype(np.float64), exact.astype(np.float64)
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    cosines = np.where(both_zero, 1.0, (a * b).sum(axis=1) / np.maximum(sizes, 1e-30))
    return cosines.astype(np.float32)


def _layer_error(layer: int, residual: npt.NDArray[np.int16], got: FloatArray, exact: FloatArray) -> LayerError:
    cosines = row_cosines(got, exact)
    error = relative_error(got, exact)
    return LayerError(
        layer=layer,
        relative_error=error,
        sqnr_db=-20.0 * math.log10(max(error, 1e-30)),
        cosine=float(cosines.mean()),
        lowest_cosine=float(cosines.min()),
        largest_residual=float(np.abs(residual.astype(np.int32)).max()) / INT16_MAX,
    )


def measure_error(
    encoder: Encoder,
    quantised: QuantisedEncoder,
    texts: PackedStates,
    sentence: SentenceModules = DEFAULT_MODULES,
) -> EncoderError:
    """The integer reference against fp32 on the embeddings of ``texts`` (values float32 [tokens, hidden]).

    ``sentence`` makes the sentence embeddings that are compared.
    """
    exact: list[PackedStates] = []
    states = texts
    for layer in encoder.layers:
        states = layer_forward(layer, encoder.shape, states)
        exact.append(states)

    layers: list[LayerError] = []

    def compare(number: int, residuals: list[npt.NDArray[np.int16]]) -> None:
        residual = np.concatenate(residuals)
        got = from_residual(residual, quantised.layers[number].ffn_norm.scale)
        layers.append(_layer_error(number, residual, got, exact[number].values.numpy()))

    embeddings = SequenceBatch.of_lengths(texts.lengths).split(texts.values.numpy())
    residuals = [to_residual(each, quantised.input_scale) for each in embeddings]
    outputs = run_batch(quantised, residuals, on_layer=compare)
    last = from_residual(np.concatenate(outputs), quantised.output_scale)
    embedded = sentence.embed_packed(texts.with_values(torch.from_numpy(last))).numpy()
    cosines = row_cosines(embedded, sentence.embed_packed(states).numpy())
    return EncoderError(
        sequences=len(texts.lengths),
        tokens=sum(texts.lengths),
        embedding_cosine=float(cosines.mean()),
        lowest_embedding_cosine=float(cosines.min()),
        layers=tuple(layers),
        by_length=tuple(_errors_by_length(texts.lengths, last, states.values.numpy(), cosines)),
    )


# Special tokens alone, one word, a phrase, a sentence, more: the last of each group, in tokens.
_LENGTHS = (2, 4, 8, 16, 32, 64, 128)


def _errors_by_length(
    lengths: Sequence[int], got: FloatArray, exact: FloatArray, cosines: FloatArray
) -> Iterator[LengthError]:
    """``got`` and ``exact`` [tokens, hidden] of sequences that ascend in length."""
    ends = np.cumsum(lengths)
    below = 0
    for longest in (*_LENGTHS, max(*lengths, _LENGTHS[-1] + 1)):
        rows = [row for row, length in enumerate(lengths) if below < length <= longest]
        below = longest
        if rows:
            tokens = slice(ends[rows[0]] - lengths[rows[0]], ends[rows[-1]])
            yield LengthError(
                shortest=lengths[rows[0]],
                longest=lengths[rows[-1]],
                sequences=len(rows),
                relative_error=relative_error(got[tokens], exact[tokens]),
                lowest_embedding_cosine=float(cosines[rows].min()),
            )


def attribute_error(
    encoder: Encoder,
    result: QuantisationResult,
    texts: PackedStates,
    progress: Callable[[int, int], None] | None = None,
    tokens: int = 1024,
) -> tuple[LayerBlame, ...]:
    """Each layer on its exact fp32 input with one quantiser at a time, on about ``tokens`` tokens of ``texts``.

    ``progress`` receives (layers done, layers).
    """
    blames: list[LayerBlame] = []
    if progress is not None:
        progress(0, encoder.shape.layers)
    states = take_tokens(texts, tokens)
    for number, layer in enumerate(encoder.layers):
        simulated = SimulatedLayer(layer, result.encoder.layers[number], result.scales[number], encoder.shape)
        exact = layer_forward(layer, encoder.shape, states)

        def error(
            sources: frozenset[Source],
            simulated: SimulatedLayer = simulated,
            states: PackedStates = states,
            exact: PackedStates = exact,
        ) -> float:
            return relative_error(simulate_layer(simulated, states, sources).values.numpy(), exact.values.numpy())

        blames.append(
            LayerBlame(
                layer=number,
                together=error(frozenset(SOURCES)),
                alone=tuple((source, error(frozenset((source,)))) for source in SOURCES),
            )
        )
        states = exact
        if progress is not None:
            progress(number + 1, encoder.shape.layers)
    return tuple(blames)
