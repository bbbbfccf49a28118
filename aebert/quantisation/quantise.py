"""The quantiser: fp32 encoder and calibration text in, the accelerator's integers out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from aebert.models.encoder import Encoder
from aebert.models.packed_sequences import PackedStates
from aebert.numerics.integers import MAX_TOKENS
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer
from aebert.numerics.reference import SequenceBatch, to_residual
from aebert.numerics.reference.encoder import first_input
from aebert.quantisation.activations import layer_activations
from aebert.quantisation.contract_limits import check_contract, check_shape
from aebert.quantisation.flat_tensors import sealed
from aebert.quantisation.integer_layer import IntegerState, NextInput, quantise_layer
from aebert.quantisation.layer_scales import LayerScales, layer_scales, plain_input, residual_scale
from aebert.quantisation.quantiser_options import QuantisationConfig
from aebert.quantisation.requantiser import requantiser_for
from aebert.support.errors import AebertError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class QuantisationResult:
    """The integers, and per layer the real scales they were made with (the error report needs both)."""

    encoder: QuantisedEncoder
    scales: tuple[LayerScales, ...]


def _check_calibration(encoder: Encoder, calibration: PackedStates) -> None:
    hidden = encoder.shape.hidden
    if not calibration.lengths:
        raise AebertError("calibration: no sentences; give some text like that of the task")
    if calibration.values.shape[1] != hidden:
        raise AebertError(
            f"calibration: embeddings of {calibration.values.shape[1]} channels, the encoder has {hidden}; "
            "take both from one model"
        )
    if max(calibration.lengths) > MAX_TOKENS:
        raise AebertError(f"calibration: a text of {max(calibration.lengths)} tokens, at most {MAX_TOKENS}; cut it")
    if not bool(torch.isfinite(calibration.values).all()):
        raise AebertError("calibration: embeddings hold NaN or infinity; check the model's embedding weights")


def take_tokens(states: PackedStates, most: int) -> PackedStates:
    """An even choice of sequences, short and long, of about ``most`` tokens together; at least one sequence."""
    total = sum(states.lengths)
    if total <= most:
        return states
    count = max(1, len(states.lengths) * most // total)
    chosen = np.unique(np.linspace(0, len(states.lengths) - 1, count).astype(np.int64)).tolist()
    parts = SequenceBatch.of_lengths(states.lengths).split(states.values.numpy())
    values = torch.from_numpy(np.concatenate([parts[number] for number in chosen]))
    return PackedStates(values, tuple(states.lengths[number] for number in chosen))


def quantise_with_scales(
    encoder: Encoder,
    calibration: PackedStates,
    config: QuantisationConfig | None = None,
    progress: Progress | None = None,
) -> QuantisationResult:
    """Quantise ``encoder`` on the embeddings of ``calibration``, without padding, values float32 [tokens, hidden].

    ``progress`` receives (layers done, layers). Raises AebertError for an encoder or text that docs/numerics.md
    cannot hold.
    """
    config = config or QuantisationConfig()
    shape = encoder.shape
    check_shape(shape)
    _check_calibration(encoder, calibration)
    if progress is not None:
        progress(0, shape.layers)
    states = take_tokens(calibration, config.calibration_tokens)
    batch = SequenceBatch.of_lengths(states.lengths)

    acts = layer_activations(encoder.layers[0], shape, states)
    scales = layer_scales(encoder.layers[0], shape, acts, config)
    input_scale = scales.residual
    input_requantiser = requantiser_for(input_scale / scales.attention_input.scale.astype(np.float64), "input")
    residual = to_residual(acts.input, input_scale)
    state = IntegerState(residual, first_input(residual, input_requantiser))

    layers: list[QuantisedLayer] = []
    all_scales: list[LayerScales] = []
    for number, layer in enumerate(encoder.layers):
        # A layer's last LayerNorm writes in the steps of the layer after it, so that one is looked at first.
        if number + 1 < shape.layers:
            states = states.with_values(torch.from_numpy(acts.output))
            next_acts = layer_activations(encoder.layers[number + 1], shape, states)
            next_scales = layer_scales(encoder.layers[number + 1], shape, next_acts, config)
            following = NextInput(next_scales.residual, next_scales.attention_input)
        else:
            next_acts, next_scales = acts, scales
            following = NextInput(residual_scale(config.headroom, acts.output), plain_input(acts.output))
        quantised, state = quantise_layer(
            f"layers.{number}", layer, shape, acts, scales, following, state, batch, config
        )
        layers.append(quantised)
        all_scales.append(scales)
        acts, scales = next_acts, next_scales
        if progress is not None:
            progress(number + 1, shape.layers)

    result = sealed(
        QuantisedEncoder(
            shape=shape,
            input_scale=input_scale,
            input_requantiser=input_requantiser,
            layers=tuple(layers),
            subnet_digest=encoder.digest,
            digest="",
        )
    )
    check_contract(result)
    return QuantisationResult(result, tuple(all_scales))


def quantise(
    encoder: Encoder,
    calibration: PackedStates,
    config: QuantisationConfig | None = None,
    progress: Progress | None = None,
) -> QuantisedEncoder:
    """``quantise_with_scales`` without the scales."""
    return quantise_with_scales(encoder, calibration, config, progress).encoder
