"""How much a classifier's predictions change with errors of the matrices that carry heads and neurons onward.

An error e of such a matrix' output at one token moves the prediction by about ``e^T F e`` in Kullback-Leibler
divergence, where F is the Fisher information of the prediction about that output (twice as much; the factor does not
matter). Its mean over tokens says which directions of the output matter, and hence which head or neuron can go:
``aebert.pruning.structured_removal`` weights the error that a removal leaves with it. No labels are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from aebert.models.encoder import Encoder
from aebert.models.fp32_forward import INPUT_NAMES, InputName, layer_output, stage_input
from aebert.models.host_model import HostModel
from aebert.models.packed_sequences import PackedStates, first_tokens
from aebert.pruning.unit_counts import MatrixKey

# [outputs, outputs] float64, symmetric, of the matrices that carry units onward.
Importance = Mapping[MatrixKey, torch.Tensor]

# What the gradients of one pass take of memory grows with its tokens.
_PASS_TOKENS = 1024
# One backward pass for each class; of more classes as many are drawn, as the model predicts them.
_MOST_PASSES = 4


def output_importance(host: HostModel, encoder: Encoder, embeddings: Sequence[PackedStates]) -> Importance:
    """The Fisher information of the head's prediction about every output of attention output and FFN out, summed over
    the tokens of ``embeddings``. A head with one output predicts a number, with a variance of one.

    Raises AebertError for a model without a head.
    """
    draw = torch.Generator().manual_seed(0)
    found: dict[MatrixKey, torch.Tensor] = {}
    for states in _pieces(embeddings):
        last, added = _forward(encoder, states)
        logits = host.head(last.values[first_tokens(last)][:, None])
        losses = _prediction_losses(logits, draw)
        for loss in losses:
            gradients = torch.autograd.grad(loss, list(added.values()), retain_graph=loss is not losses[-1])
            for key, gradient in zip(added, gradients, strict=True):
                found[key] = found.get(key, 0) + (gradient.T @ gradient).double()
    return found


def _forward(encoder: Encoder, states: PackedStates) -> tuple[PackedStates, dict[MatrixKey, torch.Tensor]]:
    """The last hidden states, and a zero that was added to each output that is asked about."""
    added: dict[MatrixKey, torch.Tensor] = {}
    for number, layer in enumerate(encoder.layers):
        inputs: dict[InputName, torch.Tensor] = {}
        attended = added[number, "attention_output"] = torch.zeros_like(states.values, requires_grad=True)
        carried = added[number, "ffn_out"] = torch.zeros_like(states.values, requires_grad=True)
        for name in INPUT_NAMES:
            # The residual stream meets the output there.
            before = inputs | {"attention": inputs["attention"] + attended} if name == "ffn_in" else inputs
            inputs[name] = stage_input(name, layer, encoder.shape, states, before)
        inputs["ffn_in"] = inputs["ffn_in"] + carried
        states = states.with_values(layer_output(layer, encoder.shape, inputs))
    return states, added


def _prediction_losses(logits: torch.Tensor, draw: torch.Generator) -> list[torch.Tensor]:
    """Sums over the rows of what has, at each row, the gradient ``sqrt(p_c) grad log p_c``: over all classes c their
    squares add up to the Fisher information, and so they do on average over classes that the model draws."""
    classes = logits.shape[1]
    if classes == 1:
        return [logits.sum()]
    logs = logits.log_softmax(dim=1)
    if classes <= _MOST_PASSES:
        return [(logs[:, name] * (logs[:, name] / 2).exp().detach()).sum() for name in range(classes)]
    drawn = torch.multinomial(logs.detach().exp(), _MOST_PASSES, replacement=True, generator=draw)
    return [own.sum() / _MOST_PASSES**0.5 for own in logs.gather(1, drawn).T]


def _pieces(embeddings: Sequence[PackedStates]) -> Iterator[PackedStates]:
    """Whole sequences of about `_PASS_TOKENS` tokens together."""
    for states in embeddings:
        first = 0
        lengths: list[int] = []
        for length in states.lengths:
            if lengths and sum(lengths) + length > _PASS_TOKENS:
                yield _piece(states, first, lengths)
                first, lengths = first + sum(lengths), []
            lengths.append(length)
        yield _piece(states, first, lengths)


def _piece(states: PackedStates, first: int, lengths: Sequence[int]) -> PackedStates:
    # A copy: what was computed for inference alone has no gradients.
    return PackedStates(states.values[first : first + sum(lengths)].clone(), tuple(lengths))
