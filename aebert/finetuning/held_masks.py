"""Pruned weights stay zero through the optimiser."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from aebert.models.architectures import Architecture
from aebert.models.encoder import MATRIX_NAMES


@dataclass(frozen=True)
class HeldMatrix:
    """A prunable weight [outputs, inputs] and where it must stay zero, on one device."""

    weight: torch.nn.Parameter
    zeros: torch.Tensor

    def clear_gradient(self) -> None:
        """Take the pruned weights out of the gradient: neither its norm nor the optimiser's moments see them."""
        if self.weight.grad is not None:
            self.weight.grad.masked_fill_(self.zeros, 0.0)

    def clear(self) -> None:
        """Set the pruned weights to zero, whatever the optimiser made of them."""
        with torch.no_grad():
            self.weight.masked_fill_(self.zeros, 0.0)


def held_matrices(module: PreTrainedModel, architecture: Architecture, layers: int) -> list[HeldMatrix]:
    """The zeros that the prunable matrices of a model with a head hold now."""
    prefix = f"{architecture.root}."
    weights = [
        module.get_parameter(f"{architecture.matrix_tensor(prefix, layer, name)}.weight")
        for layer in range(layers)
        for name in MATRIX_NAMES
    ]
    return [HeldMatrix(weight, weight.detach() == 0) for weight in weights]


class HoldMasks(TrainerCallback):
    """Clears the pruned weights after every step of the optimiser."""

    def __init__(self, matrices: list[HeldMatrix]) -> None:
        self.matrices = matrices

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        for matrix in self.matrices:
            matrix.clear()
