"""The loss by which a student follows its dense teacher."""

from __future__ import annotations

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from aebert.finetuning.settings import DistillSettings
from aebert.tasks.task import TaskKind


def logits_loss(student: torch.Tensor, teacher: torch.Tensor, kind: TaskKind, temperature: float) -> torch.Tensor:
    """``T^2 KL(teacher || student)``, mean over the rows of logits [rows, outputs]; squared error for regression."""
    if kind == "regression":
        return functional.mse_loss(student.float(), teacher.float())
    divergence = functional.kl_div(
        functional.log_softmax(student.float() / temperature, dim=-1),
        functional.log_softmax(teacher.float() / temperature, dim=-1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2


def hidden_loss(
    student: tuple[torch.Tensor, ...], teacher: tuple[torch.Tensor, ...], attention_mask: torch.Tensor
) -> torch.Tensor:
    """Mean squared difference of the layers' outputs [rows, tokens, hidden] over the tokens that are no padding.

    The first entry of each tuple is the embeddings, which have no layer and are left out.
    """
    real = attention_mask.bool()
    pairs = zip(student[1:], teacher[1:], strict=True)
    return torch.stack([functional.mse_loss(s[real].float(), t[real].float()) for s, t in pairs]).mean()


class Distillation:
    """A frozen teacher, and the loss it adds. ``order`` picks its logits in the order of the task's labels."""

    def __init__(
        self, teacher: PreTrainedModel, kind: TaskKind, settings: DistillSettings, order: tuple[int, ...]
    ) -> None:
        self.teacher = teacher.eval().requires_grad_(False)
        self.kind = kind
        self.settings = settings
        self.order = order

    @property
    def needs_hidden_states(self) -> bool:
        return self.settings.hidden_weight > 0

    def mixed_loss(
        self,
        task_loss: torch.Tensor,
        logits: torch.Tensor,
        hidden_states: tuple[torch.Tensor, ...] | None,
        inputs: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        """The task's loss mixed with the teacher's, for the student's ``logits`` and ``hidden_states``."""
        settings = self.settings
        with torch.no_grad():
            features = {name: value for name, value in inputs.items() if name != "labels"}
            answer = self.teacher(**features, output_hidden_states=self.needs_hidden_states)
        follow = logits_loss(logits, answer.logits[:, list(self.order)], self.kind, settings.temperature)
        loss = (1 - settings.logits_weight) * task_loss + settings.logits_weight * follow
        if hidden_states is not None and self.needs_hidden_states:
            loss = loss + settings.hidden_weight * hidden_loss(
                hidden_states, answer.hidden_states, inputs["attention_mask"]
            )
        return loss
