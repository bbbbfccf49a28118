"""Logits for the rows of a task: embeddings and head on the host, the encoder as given, no padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from aebert.models.calibration_text import MAX_TOKENS
from aebert.models.config_json import other_head
from aebert.models.encoder import Encoder, FloatArray
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import HostModel
from aebert.models.labels import output_names
from aebert.models.model_type import read_config
from aebert.models.packed_sequences import PackedStates
from aebert.models.text import TokenisedText
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import from_residual, run_batch, to_residual
from aebert.support.errors import AebertError
from aebert.support.input_files import quoted
from aebert.tasks.task import Example, Task

# Bounds the memory of one step: FFN activations of 8192 tokens are 50 MB at MiniLM's sizes, 100 MB at BERT-base's.
_STEP_TOKENS = 8192
EncoderRun = Callable[[PackedStates], PackedStates]


def fp32_run(encoder: Encoder) -> EncoderRun:
    """The encoder in fp32 through PyTorch."""
    return lambda states: encoder_forward(encoder, states)


def integer_run(quantised: QuantisedEncoder) -> EncoderRun:
    """The integer reference, between embeddings and hidden states in real values."""

    def run(states: PackedStates) -> PackedStates:
        residual = to_residual(states.values.numpy(), quantised.input_scale)
        outputs = run_batch(quantised, np.split(residual, np.cumsum(states.lengths)[:-1]))
        values = from_residual(np.concatenate(outputs), quantised.output_scale)
        return states.with_values(torch.from_numpy(values))

    return run


def predict_logits(
    model: HostModel,
    task: Task,
    run: EncoderRun,
    examples: Sequence[Example],
    max_tokens: int = MAX_TOKENS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FloatArray:
    """Logits [rows, outputs] in the order of ``examples`` and of the task's labels.

    ``run`` is the encoder: embeddings in, last hidden states out. ``progress`` is told the rows done and their number.
    Raises AebertError for a model without a head for the task.
    """
    order = list(required_label_order(model, task))
    texts = model.tokenise([example.text for example in examples], max_tokens)
    logits = np.empty((len(examples), len(order)), dtype=np.float32)
    done = 0
    progress(done, len(examples))
    for rows in _steps(texts):
        states = run(model.embed_texts([texts[row] for row in rows]))
        logits[rows] = model.logits(first_tokens(states)).numpy()[:, order]
        done += len(rows)
        progress(done, len(examples))
    return logits


def first_tokens(states: PackedStates) -> torch.Tensor:
    """The first token of each sequence, [sequences, 1, hidden]: all that a classification head looks at."""
    starts = np.cumsum((0, *states.lengths[:-1]))
    return states.values[torch.from_numpy(starts)].unsqueeze(1)


def _steps(texts: Sequence[TokenisedText]) -> Iterator[list[int]]:
    """Row numbers in the order of their lengths, as many at a time as memory should hold."""
    step: list[int] = []
    tokens = 0
    for row in sorted(range(len(texts)), key=lambda row: len(texts[row])):
        if step and tokens + len(texts[row]) > _STEP_TOKENS:
            yield step
            step, tokens = [], 0
        step.append(row)
        tokens += len(texts[row])
    if step:
        yield step


def required_label_order(model: HostModel, task: Task) -> tuple[int, ...]:
    """``label_order`` of a model that must have a head for ``task``; raises AebertError if it has none."""
    if not model.has_classifier:
        other = other_head(read_config(model.directory))
        instead = "" if other is None else f", but the head of {quoted(other)}"
        raise AebertError(f"{model.directory}: no sequence-classification head{instead}; run 'aebert finetune' first")
    order = label_order(read_config(model.directory), task, model.directory / "config.json")
    if order is None:
        names = ", ".join(task.labels) or "one output"
        raise AebertError(f"{model.directory}: its head is not one for {task.name} ({names}); run 'aebert finetune'")
    return order


def label_order(config: Mapping[str, object], task: Task, where: Path | str = "config.json") -> tuple[int, ...] | None:
    """For each label of ``task`` the output of the model that stands for it; None if the head is for something else.

    ``id2label`` in config.json names the outputs; names that transformers makes up (LABEL_0 ...) say nothing, so such a
    head of the right size is taken to be in the task's order. Raises AebertError for names that are none (``where``).
    """
    names = output_names(config, where)
    if len(names) != task.outputs:
        return None
    plain = [name.casefold() for name in names]
    if task.kind == "regression" or plain == [f"label_{number}" for number in range(len(names))]:
        return tuple(range(len(names)))
    wanted = [label.casefold() for label in task.labels]
    if sorted(plain) != sorted(wanted):
        return None
    return tuple(plain.index(label) for label in wanted)
