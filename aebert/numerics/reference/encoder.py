"""Layers of the integer reference, for one sequence or for many of different lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import EncoderShape
from aebert.numerics.activation import FfnActivation
from aebert.numerics.integers import MAX_TOKENS, requantise, saturate8
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer, Requantiser
from aebert.numerics.reference import passes
from aebert.numerics.reference.attention import attend
from aebert.numerics.reference.batch import SequenceBatch
from aebert.numerics.reference.trace import LayerTrace
from aebert.support.errors import AebertError

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]

# Enough rows for BLAS, few enough that the int64 intermediates stay in the cache: a third faster than 7,000 at once.
_BLOCK_TOKENS = 1024


def _run_layer(
    layer: QuantisedLayer, activation: FfnActivation, residual: Int16Array, x: Int8Array, batch: SequenceBatch
) -> LayerTrace:
    """All passes over the joined tokens; the trace's scores and probabilities are those of the first sequence."""
    query, key, value = (passes.project(x, matrix) for matrix in (layer.query, layer.key, layer.value))
    attention = attend(query, key, value, batch, layer.scores, layer.context)
    summed = passes.add_residual(residual, attention.context, layer.attention_output)
    middle, x_middle = passes.layer_norm(summed, layer.attention_norm)
    active = passes.ffn_in(
        x_middle, layer.ffn_in, activation, layer.gelu_fraction_bits, layer.gelu, layer.gelu_zero_point
    )
    summed = passes.add_residual(middle, active, layer.ffn_out)
    out, x_out = passes.layer_norm(summed, layer.ffn_norm)
    return LayerTrace(
        input=x,
        query=query,
        key=key,
        value=value,
        scores=attention.scores[0][0],
        probabilities=attention.probabilities[0][0],
        context=attention.context,
        attention_output=middle,
        ffn_input=x_middle,
        ffn_in=active,
        ffn_out=out,
        output=x_out,
    )


def first_input(residual: Int16Array, requantiser: Requantiser) -> Int8Array:
    """The first layer's ``x`` from the embeddings' residual, both [tokens, H]."""
    return saturate8(requantise(residual, requantiser.multiplier, requantiser.shift))


def _check(residual: Int16Array, shape: EncoderShape) -> None:
    if residual.dtype != np.int16 or residual.ndim != 2 or residual.shape[1] != shape.hidden:
        raise AebertError(
            f"residual: {residual.dtype} {list(residual.shape)}, expected int16 [tokens, {shape.hidden}]; "
            "make it with to_residual"
        )
    if not 1 <= residual.shape[0] <= MAX_TOKENS:
        raise AebertError(f"residual: {residual.shape[0]} tokens, expected 1 to {MAX_TOKENS}; cut the sequence")


def _layers(quantised: QuantisedEncoder, residual: Int16Array, batch: SequenceBatch) -> Iterator[LayerTrace]:
    x = first_input(residual, quantised.input_requantiser)
    for layer in quantised.layers:
        done = _run_layer(layer, quantised.shape.activation, residual, x, batch)
        yield done
        residual, x = done.ffn_out, done.output


def _blocks(order: Sequence[int], residuals: Sequence[Int16Array]) -> Iterator[list[int]]:
    """Runs of ``order`` of about ``_BLOCK_TOKENS`` tokens each."""
    block: list[int] = []
    tokens = 0
    for number in order:
        block.append(number)
        tokens += residuals[number].shape[0]
        if tokens >= _BLOCK_TOKENS:
            yield block
            block, tokens = [], 0
    if block:
        yield block


def run_batch(
    quantised: QuantisedEncoder,
    residuals: Sequence[Int16Array],
    *,
    on_layer: Callable[[int, list[Int16Array]], None] | None = None,
) -> list[Int16Array]:
    """Many sequences through the whole encoder: int16 [tokens_i, hidden] each, in and out.

    ``on_layer`` receives each layer's number and its residuals in the order of the sequences.
    Raises AebertError for a residual of the wrong type, width or length.
    """
    if not residuals:
        return []
    for each in residuals:
        _check(each, quantised.shape)
    layout = SequenceBatch.of_lengths([each.shape[0] for each in residuals])
    blocks = [
        SequenceBatch.of_lengths([residuals[number].shape[0] for number in numbers])
        for numbers in _blocks(layout.order, residuals)
    ]
    joined = layout.join(residuals)
    runs, start = [], 0
    for block in blocks:
        runs.append(_layers(quantised, joined[start : start + block.tokens], block))
        start += block.tokens
    last = joined
    for number, done in enumerate(zip(*runs, strict=True)):
        last = np.concatenate([part.ffn_out for part in done])
        if on_layer is not None:
            on_layer(number, layout.split(last))
    return layout.split(last)


def run_encoder(
    quantised: QuantisedEncoder,
    residual: Int16Array,
    *,
    trace: Callable[[int, LayerTrace], None] | None = None,
) -> Int16Array:
    """One sequence, int16 [tokens, hidden] in and out; ``trace`` receives each layer's number and passes.

    Raises AebertError for a residual of the wrong type, width or length.
    """
    _check(residual, quantised.shape)
    batch = SequenceBatch.of_lengths([residual.shape[0]])
    last = residual
    for number, done in enumerate(_layers(quantised, residual, batch)):
        last = done.ffn_out
        if trace is not None:
            trace(number, done)
    return last


def trace_encoder(quantised: QuantisedEncoder, residual: Int16Array) -> tuple[LayerTrace, ...]:
    """Every pass of every layer for one sequence; the last trace's ``ffn_out`` is the encoder's output."""
    layers: list[LayerTrace] = []
    run_encoder(quantised, residual, trace=lambda _, layer: layers.append(layer))
    return tuple(layers)
