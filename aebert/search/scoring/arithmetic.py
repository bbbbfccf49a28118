"""What a Transformer layer is made of, as ``evaluation`` asks for it; and the way PyTorch does it, on any device."""

from __future__ import annotations

from typing import Protocol, TypeVar

import torch
from torch.nn import functional

from aebert.models.fp32_forward import activate, attention_context
from aebert.models.packed_sequences import PackedStates
from aebert.numerics.activation import FfnActivation
from aebert.search.scoring.linear_cache import PreparedLinear
from aebert.search.scoring.prepared_weights import PreparedNorm
from aebert.support.errors import AebertError

State = TypeVar("State")


class Arithmetic(Protocol[State]):
    """Functions of states [tokens, features], of which only the arithmetic knows how they are kept."""

    def states(self, values: torch.Tensor) -> State:
        """States from float32 ``values`` [tokens, features] on the CPU."""

    def values(self, states: State) -> torch.Tensor:
        """The float32 values [tokens, features] of states, on the CPU."""

    def tokens(self, states: State, chosen: torch.Tensor) -> State:
        """The states of the ``chosen`` tokens (int64)."""

    def linear(self, inputs: State, linear: PreparedLinear) -> State:
        """The linear map of ``inputs``."""

    def linear_activated(self, inputs: State, linear: PreparedLinear) -> State:
        """The FFN's activation function of the linear map."""

    def linear_norm(self, inputs: State, linear: PreparedLinear, residual: State, norm: PreparedNorm) -> State:
        """LayerNorm of the linear map plus ``residual``."""

    def attention(self, query: State, key: State, value: State, sequences: PackedStates, heads: int) -> State:
        """Softmax attention; ``query`` holds all tokens of ``sequences``, or each one's first token alone."""


class TorchArithmetic:
    """States are tensors on ``device``. Products take ``dtype``, weights included (``PlacedWeights``), and sum in
    float32; residuals and LayerNorm are float32."""

    def __init__(self, device: torch.device, dtype: torch.dtype, activation: FfnActivation = "gelu") -> None:
        self._device, self._dtype, self._activation = device, dtype, activation

    def states(self, values: torch.Tensor) -> torch.Tensor:
        return values.to(self._device)

    def values(self, states: torch.Tensor) -> torch.Tensor:
        return states.float().cpu()

    def tokens(self, states: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        return states[chosen.to(self._device)]

    def linear(self, inputs: torch.Tensor, linear: PreparedLinear) -> torch.Tensor:
        return functional.linear(inputs.to(self._dtype), linear.weight, linear.bias)

    def linear_activated(self, inputs: torch.Tensor, linear: PreparedLinear) -> torch.Tensor:
        return activate(self._activation, self.linear(inputs, linear))

    def linear_norm(
        self, inputs: torch.Tensor, linear: PreparedLinear, residual: torch.Tensor, norm: PreparedNorm
    ) -> torch.Tensor:
        total = residual + self.linear(inputs, linear).float()
        return functional.layer_norm(total, norm.gamma.shape, norm.gamma, norm.beta, norm.epsilon)

    def attention(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, sequences: PackedStates, heads: int
    ) -> torch.Tensor:
        return attention_context(query, key, value, sequences, heads)


def find_device(name: str | None) -> torch.device:
    """The device that PyTorch calls ``name``; None: the CPU. Raises AebertError for one that is not there."""
    try:
        device = torch.device(name or "cpu")
        # Whether it is there shows when memory is asked for.
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise AebertError(
            f"device {name!r}: PyTorch cannot use it ({reason}); give cpu, or cuda:0 and the like"
        ) from None
    return device
