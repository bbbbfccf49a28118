"""The module that is trained: an encoder directory with a head of the task's size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from aebert.errors import AebertError
from aebert.models.config import read_config
from aebert.models.host import HostModel, load_host_model, quiet_transformers
from aebert.tasks.predict import label_order
from aebert.tasks.task import Task

_HEAD_MODULES = ("classifier", "pre_classifier")


def load_classifier(directory: Path, task: Task) -> HostModel:
    """The model in ``directory`` in float32 with a head for ``task``.

    A head is kept if it was trained for the same classes in the same order; otherwise a fresh one is drawn from
    PyTorch's global random generator. Raises AebertError where transformers cannot load the directory.
    """
    host = load_host_model(directory)
    keeps_head = has_head_for(read_config(directory), task)
    names = task.labels or (task.name,)
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(directory, local_files_only=True)
            config.num_labels = task.outputs
            config.id2label = dict(enumerate(names))
            config.label2id = {name: number for number, name in enumerate(names)}
            config.problem_type = "regression" if task.kind == "regression" else "single_label_classification"
            module: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
                directory,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
            )
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AebertError(f"{directory}: transformers cannot load the model ({reason})") from None
    if not keeps_head:
        _draw_head(module)
    return dataclasses.replace(host, module=module, base=getattr(module, host.architecture.root))


def has_head_for(config: Mapping[str, object], task: Task) -> bool:
    """Whether config.json describes a classification head that answers ``task`` in the order of its labels."""
    architectures = config.get("architectures")
    classifies = isinstance(architectures, list) and any(
        str(name).endswith("ForSequenceClassification") for name in architectures
    )
    return classifies and label_order(config, task) == tuple(range(task.outputs))


def _draw_head(module: PreTrainedModel) -> None:
    """Normal weights of the model's own spread and zero biases, as transformers draws a new head."""
    spread = float(module.config.initializer_range)
    for name in _HEAD_MODULES:
        for part in getattr(module, name, torch.nn.Identity()).modules():
            if isinstance(part, torch.nn.Linear):
                torch.nn.init.normal_(part.weight, std=spread)
                torch.nn.init.zeros_(part.bias)
