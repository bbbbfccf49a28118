"""The module that is trained: an encoder directory with a head of the task's size."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from aebert.models.host_model import HostModel, load_host_model
from aebert.models.load import model_weights
from aebert.models.model_type import read_config
from aebert.models.pretrained import load_pretrained
from aebert.tasks.predict import label_order
from aebert.tasks.task import Task

_HEAD_MODULES = ("classifier", "pre_classifier")


def load_classifier(directory: Path, task: Task) -> HostModel:
    """The model in ``directory`` in float32 with a head for ``task``.

    A head is kept if it was trained for the same classes in the same order; otherwise a fresh one is drawn from
    PyTorch's global random generator. Raises AebertError where transformers cannot load the directory.
    """
    host = load_host_model(directory)
    order = label_order(read_config(directory), task, directory / "config.json")
    keeps_head = host.has_classifier and order == tuple(range(task.outputs))
    names = task.labels or (task.name,)
    config = copy.deepcopy(host.module.config)
    config.num_labels = task.outputs
    config.id2label = dict(enumerate(names))
    config.label2id = {name: number for number, name in enumerate(names)}
    config.problem_type = "regression" if task.kind == "regression" else "single_label_classification"
    _, weights = model_weights(directory)
    # The tensors that are missing are those of the head: all others were looked at above.
    module, _ = load_pretrained(AutoModelForSequenceClassification, directory, config, weights, resize_head=True)
    if not keeps_head:
        _draw_head(module)
    return dataclasses.replace(host, module=module, base=getattr(module, host.architecture.root))


def _draw_head(module: PreTrainedModel) -> None:
    """Normal weights of the model's own spread and zero biases, as transformers draws a new head."""
    spread = float(module.config.initializer_range)
    for name in _HEAD_MODULES:
        for part in getattr(module, name, torch.nn.Identity()).modules():
            if isinstance(part, torch.nn.Linear):
                torch.nn.init.normal_(part.weight, std=spread)
                torch.nn.init.zeros_(part.bias)
