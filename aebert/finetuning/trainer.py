"""transformers' Trainer with rows of like length batched together, an order that resumes, and distillation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypedDict

import torch
from torch.utils.data import Dataset, Sampler
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments
from transformers.data.data_collator import DataCollatorWithPadding
from transformers.trainer_pt_utils import get_length_grouped_indices

from aebert.finetuning.distillation import Distillation
from aebert.finetuning.held_masks import HeldMatrix, HoldMasks
from aebert.models.text import TokenisedText
from aebert.tasks.task import Example

# Far apart, so that the epochs of neighbouring seeds do not share an order.
_EPOCH_STRIDE = 1_000_003


class EncodedExample(TypedDict):
    """One row; the Trainer leaves out what the model's forward does not take (DistilBERT has no token types)."""

    input_ids: list[int]
    token_type_ids: list[int]
    labels: int | float


class EncodedExamples(Dataset[EncodedExample]):
    """Rows of token numbers with their labels."""

    def __init__(self, texts: Sequence[TokenisedText], examples: Sequence[Example]) -> None:
        self.lengths = [len(text) for text in texts]
        self.rows: list[EncodedExample] = [
            {"input_ids": text.ids, "token_type_ids": text.types, "labels": example.label}
            for text, example in zip(texts, examples, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> EncodedExample:
        return self.rows[row]


class GroupedByLength(Sampler[int]):
    """A new order every epoch, set by the seed and the epoch alone: a resumed run continues in the same order."""

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = list(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch * _EPOCH_STRIDE)
        yield from get_length_grouped_indices(self.lengths, self.batch_size, generator=generator)


class SubnetTrainer(Trainer):
    """The Trainer, with batches of rows of like length, held zeros and, if given, a teacher's part in the loss."""

    def __init__(
        self,
        module: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: EncodedExamples,
        arguments: TrainingArguments,
        distillation: Distillation | None,
    ) -> None:
        super().__init__(
            model=module,
            args=arguments,
            train_dataset=rows,
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        self.lengths = rows.lengths
        self.held: list[HeldMatrix] = []
        self.distillation = distillation
        if distillation is not None:
            distillation.teacher.to(arguments.device)

    def _get_train_sampler(self, train_dataset: Dataset[EncodedExample] | None = None) -> Sampler[int]:
        return GroupedByLength(self.lengths, self.args.train_batch_size, self.args.seed)

    def hold(self, matrices: list[HeldMatrix]) -> None:
        """Keep the pruned weights of ``matrices``, which lie on the Trainer's device, at zero."""
        self.held = matrices
        self.add_callback(HoldMasks(matrices))

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Forward and backward; pruned weights get no gradient, before it is clipped and used."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        for matrix in self.held:
            matrix.clear_gradient()
        return loss

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """The mean loss over the rows of a batch."""
        if self.distillation is None:
            loss = super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)
            assert isinstance(loss, torch.Tensor), "without return_outputs it is the loss alone"
            return loss
        outputs = model(**inputs, output_hidden_states=self.distillation.needs_hidden_states)
        return self.distillation.mixed_loss(outputs.loss, outputs.logits, outputs.hidden_states, inputs)
