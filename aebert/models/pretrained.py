"""transformers' classes on a directory's own weights: complete, from its files alone, in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from aebert.models.architectures import ARCHITECTURES
from aebert.models.model_type import read_config
from aebert.models.model_weights import ModelWeights
from aebert.support.errors import AebertError
from aebert.support.input_files import foreign

Auto = type[AutoModel] | type[AutoModelForSequenceClassification]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No warning about an unused pooler or sharding, no bar: what is missing is looked at by who loads."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


def pretrained_config(directory: Path, model_type: str) -> PretrainedConfig:
    """transformers' form of config.json, of the family ``model_type`` also where the file does not say so."""
    with foreign(directory, "transformers cannot load the model", "save it again"), quiet_transformers():
        config: PretrainedConfig = CONFIG_MAPPING[model_type].from_pretrained(directory, local_files_only=True)
    return config


def check_loadable(directory: Path, weights: ModelWeights) -> None:
    """Raises AebertError where transformers could not load the model: fields that it refuses, tensors of other sizes.

    Nothing is read or allocated but the sizes, so that commands which need no module can ask too.
    """
    config = pretrained_config(directory, str(read_config(directory)["model_type"]))
    auto: Auto = AutoModelForSequenceClassification if weights.has_classifier else AutoModel
    with (
        foreign(directory, "transformers cannot make a model of config.json", "mend the file"),
        quiet_transformers(),
        torch.device("meta"),
    ):
        module = auto.from_config(config)  # type: ignore[no-untyped-call]
    stored = weights.checkpoint
    for name, parameter in module.named_parameters():
        # Without a head the family's own prefix is nowhere but in the file.
        held = name if name in stored else f"{weights.prefix}{name}"
        if held in stored and stored.shape(held) != tuple(parameter.shape):
            raise AebertError(
                f"{directory}: tensor {held!r} has shape {stored.shape(held)}, config.json asks for "
                f"{tuple(parameter.shape)}; mend the field, or save the model again"
            )


def pretrained_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in ``directory``, of the class that its files or the model's family name.

    Raises AebertError where there is none.
    """
    options: dict[str, Any] = {}
    if (directory / "config.json").is_file():
        model_type = read_config(directory).get("model_type")
        if model_type in ARCHITECTURES:
            options["config"] = pretrained_config(directory, str(model_type))
    with foreign(directory, "transformers cannot load the tokenizer", "save it again"), quiet_transformers():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            directory, local_files_only=True, trust_remote_code=False, **options
        )
    return tokenizer


def load_pretrained(
    auto: Auto, directory: Path, config: PretrainedConfig, weights: ModelWeights, resize_head: bool = False
) -> tuple[PreTrainedModel, list[str]]:
    """The model, and the names of its parameters that the files do not hold.

    ``resize_head`` draws a head of another size anew. Raises AebertError where transformers cannot load it.
    """
    options: dict[str, Any] = {"config": config, "dtype": torch.float32, "output_loading_info": True}
    if resize_head:
        options["ignore_mismatched_sizes"] = True
    with foreign(directory, "transformers cannot load the model", "save it again"), quiet_transformers():
        if weights.checkpoint.as_transformers_reads:
            loaded = auto.from_pretrained(
                directory, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
            )
        else:
            state = {name: torch.from_numpy(array.copy()) for name, array in weights.checkpoint.read_all()}
            with torch.device("meta"):
                family = type(auto.from_config(config))  # type: ignore[no-untyped-call]
            loaded = family.from_pretrained(None, state_dict=state, **options)
    module, info = loaded
    return module, sorted(info["missing_keys"])
