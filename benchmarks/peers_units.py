"""What structured pruners of others have in common: masks of heads and neurons in the forward pass, and what each
of them is worth to the output by its gradients.

A unit's mask is a number that its channels are multiplied by, at the input of the matrix that carries them onward
(attention output, FFN out); 1 leaves it, 0 removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aebert.models.calibration_text import MAX_TOKENS
from aebert.models.digest import make_encoder
from aebert.models.encoder import Encoder, EncoderLayer, EncoderShape, Linear
from aebert.models.fp32_forward import INPUT_NAMES, INPUT_OF, InputName, apply_linear, layer_output, stage_input
from aebert.models.host_model import HostModel
from aebert.models.packed_sequences import PackedStates, first_tokens
from aebert.pruning.masks import expand_units
from aebert.pruning.prune import with_matrix
from aebert.pruning.unit_counts import Site, list_sites, prunable_weights
from aebert.pruning.zero_patterns import BoolArray, Float64Array, Structured
from aebert.tasks import Example

PATTERN = Structured(heads=True, neurons=True)
_CHUNK_ROWS = 32
_RESIDUAL_OF: Mapping[InputName, InputName] = {"attention_output": "attention", "ffn_out": "ffn_in"}
# Of each row of logits: what is differentiated, one number per row.
RowLoss = Callable[[torch.Tensor, Sequence[int | float]], torch.Tensor]


@dataclass(frozen=True)
class Budget:
    """How many weights may stay in the units of ``sites``, the others being dense."""

    sites: tuple[Site, ...]
    weights: int

    @classmethod
    def of(cls, shape: EncoderShape, ratio: float) -> Budget:
        """Heads and neurons hold all prunable weights."""
        return cls(tuple(list_sites(shape, PATTERN)), round((1 - ratio) * prunable_weights(shape)))


def carried_by(site: Site) -> InputName:
    """The input that the site's channels are."""
    return INPUT_OF[site.matrices[-1]]


def channels_of(site: Site, shape: EncoderShape) -> int:
    """Channels of each unit."""
    return shape.head_size if carried_by(site) == "attention_output" else 1


def masked_layer(
    layer: EncoderLayer, shape: EncoderShape, states: PackedStates, masks: Mapping[InputName, torch.Tensor]
) -> PackedStates:
    """A layer whose inputs named in ``masks`` are multiplied by [sequences, channels], or [1, channels] for all."""
    lengths = torch.tensor(states.lengths)
    inputs: dict[InputName, torch.Tensor] = {}
    for name in INPUT_NAMES:
        value = stage_input(name, layer, shape, states, inputs)
        if name in masks:
            own = masks[name]
            value = value * (own if len(own) == 1 else own.repeat_interleave(lengths, dim=0))
        inputs[name] = value
    return states.with_values(layer_output(layer, shape, inputs))


def mask_gradients(
    host: HostModel,
    encoder: Encoder,
    rows: Sequence[tuple[torch.Tensor, int | float]],
    loss: RowLoss,
    sites: Sequence[Site],
) -> dict[Site, Float64Array]:
    """The derivative of each row's ``loss`` by each unit's mask at 1, [rows, units] for each site.

    ``rows``: embeddings [tokens, hidden] and label of each.
    """
    shape = encoder.shape
    found: dict[Site, list[torch.Tensor]] = {site: [] for site in sites}
    ordered = sorted(rows, key=lambda row: len(row[0]))
    for first in range(0, len(ordered), _CHUNK_ROWS):
        chunk = ordered[first : first + _CHUNK_ROWS]
        states = PackedStates(torch.cat([states.clone() for states, _ in chunk]), tuple(len(own) for own, _ in chunk))
        masks = {site: torch.ones(len(chunk), site.units, requires_grad=True) for site in sites}
        for number, layer in enumerate(encoder.layers):
            own = {
                carried_by(site): mask.repeat_interleave(channels_of(site, shape), dim=1)
                for site, mask in masks.items()
                if site.layer == number
            }
            states = masked_layer(layer, shape, states, own)
        logits = host.head(states.values[first_tokens(states)][:, None])
        total = loss(logits, [label for _, label in chunk]).sum()
        for site, gradient in zip(sites, torch.autograd.grad(total, [masks[site] for site in sites]), strict=True):
            found[site].append(gradient)
    return {site: torch.cat(parts).double().numpy() for site, parts in found.items()}


def embedded(host: HostModel, rows: Sequence[Example]) -> list[tuple[torch.Tensor, int | float]]:
    """Each row's embeddings [tokens, hidden], with its label."""
    tokenised = host.tokenise([row.text for row in rows], MAX_TOKENS)
    return [
        (host.embed(torch.tensor([text.ids]), torch.tensor([text.types]))[0], row.label)
        for text, row in zip(tokenised, rows, strict=True)
    ]


def without_units(
    layer: EncoderLayer, shape: EncoderShape, site: Site, kept: BoolArray, carrier: Linear
) -> EncoderLayer:
    """``layer`` with the ``kept`` [units] of a site alone, and ``carrier`` as the matrix that carries them onward."""
    for name, mask in expand_units(kept, site, shape, PATTERN).items():
        linear = carrier if name == site.matrices[-1] else layer.matrix(name)
        layer = with_matrix(layer, name, Linear(np.where(mask, linear.weight, np.float32(0)), linear.bias))
    return layer


# A site, the student's layers, the site's carried channels [tokens, channels] in the student, and what the matrix
# onward has to give [tokens, hidden] so that residual and output add up to the dense model's: the site's new layer.
Tune = Callable[[Site, Sequence[EncoderLayer], torch.Tensor, torch.Tensor], EncoderLayer]


def tune_in_order(encoder: Encoder, states: PackedStates, tune: Tune) -> Encoder:
    """Sublayer by sublayer from the bottom, each tuned on what the tuned ones below it give."""
    shape = encoder.shape
    site_of = {(site.layer, carried_by(site)): site for site in list_sites(shape, PATTERN)}
    layers, dense, seen = list(encoder.layers), states, states
    for number, layer in enumerate(encoder.layers):
        before: dict[InputName, torch.Tensor] = {}
        inputs: dict[InputName, torch.Tensor] = {}
        for name in INPUT_NAMES:
            before[name] = stage_input(name, layer, shape, dense, before)
            inputs[name] = stage_input(name, layers[number], shape, seen, inputs)
            site = site_of.get((number, name))
            if site is not None:
                residual = _RESIDUAL_OF[name]
                given = apply_linear(layer.matrix(site.matrices[-1]), before[name])
                target = before[residual] + given - inputs[residual]
                layers[number] = tune(site, layers, inputs[name], target)
        dense = dense.with_values(layer_output(layer, shape, before))
        seen = seen.with_values(layer_output(layers[number], shape, inputs))
    return make_encoder(shape, layers)
