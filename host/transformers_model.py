"""A transformers model whose stack of layers is on a device."""

from __future__ import annotations

import copy
from typing import Protocol

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from aebert.models.host_model import HostModel

# The attribute of the base model that holds its layers.
_STACK = {"distilbert": "transformer"}


class EncodesOnDevice(Protocol):
    """What `host.runtime.AcceleratedModel` gives: its host's parts, and its device's layers."""

    @property
    def host(self) -> HostModel: ...

    def encode_states(self, hidden_states: torch.Tensor, kept: torch.Tensor) -> torch.Tensor: ...


class DeviceEncoder(torch.nn.Module):
    """Called as transformers calls its own encoders; other outputs than the last hidden states are not there."""

    def __init__(self, model: EncodesOnDevice) -> None:
        super().__init__()
        self._model = model

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **options: object
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        kept = kept_tokens(attention_mask, hidden_states)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=self._model.encode_states(hidden_states, kept)
        )


def kept_tokens(mask: torch.Tensor | None, hidden_states: torch.Tensor) -> torch.Tensor:
    """Bool [sequences, tokens] from a mask as attention takes it: [sequences, 1, queries, keys], bool or additive."""
    if mask is None:
        return torch.ones(hidden_states.shape[:2], dtype=torch.bool)
    keys = mask[:, 0, 0, :] if mask.dim() == 4 else mask
    return keys >= 0 if keys.is_floating_point() and mask.dim() == 4 else keys.bool()


def with_device_encoder(model: EncodesOnDevice) -> PreTrainedModel:
    """A copy of the host's model that runs its layers through ``model``."""
    module = copy.deepcopy(model.host.module)
    root = model.host.architecture.root
    base = getattr(module, root) if model.host.has_classifier else module
    setattr(base, _STACK.get(root, "encoder"), DeviceEncoder(model))
    return module
