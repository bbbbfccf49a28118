"""What a sentence-transformers folder puts behind its encoder: pooling, dense layers, normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel
from torch.nn import functional

from aebert.models.config_json import read_json_object
from aebert.models.encoder import Linear
from aebert.models.fp32_forward import apply_linear
from aebert.models.packed_sequences import PackedStates
from aebert.models.pooling import POOLING_MODES, PoolingMode, pool, pool_packed
from aebert.models.weight_files import open_checkpoint
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError

MODULES_FILE = "modules.json"
SENTENCE_CONFIG_FILE = "sentence_bert_config.json"
PROMPTS_FILE = "config_sentence_transformers.json"
DenseActivation = Literal["identity", "tanh", "relu", "gelu", "sigmoid"]
# The classes of torch.nn, by the last part of their path.
_ACTIVATION_OF: Mapping[str, DenseActivation] = {
    "Identity": "identity",
    "Tanh": "tanh",
    "ReLU": "relu",
    "GELU": "gelu",
    "Sigmoid": "sigmoid",
}
# Names of older releases (True or False each) and of newer ones (the value of pooling_mode), in the order in which
# sentence-transformers joins several.
_OLD_FIELDS: Mapping[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class DenseLayer:
    """``activation(linear(vector))``; ``path`` is its folder."""

    path: str
    linear: Linear
    activation: DenseActivation


@dataclass(frozen=True)
class Normalisation:
    """Scaling to length 1."""


@dataclass(frozen=True)
class SentenceModules:
    """From the last hidden states of a text to its embedding, as sentence-transformers computes it.

    ``max_tokens`` is where texts are cut (None: where the tokenizer says); ``prompt`` stands before every text.
    """

    modes: tuple[PoolingMode, ...] = ("mean",)
    steps: tuple[DenseLayer | Normalisation, ...] = ()
    max_tokens: int | None = None
    lower_case: bool = False
    prompt: str = ""

    def embed(self, states: torch.Tensor) -> torch.Tensor:
        """Sequences of one length, float32 [sequences, tokens, hidden], to [sequences, size of the embedding]."""
        return self._after_pooling(pool(states, self.modes))

    def embed_packed(self, states: PackedStates) -> torch.Tensor:
        """The same of packed sequences, in their order."""
        return self._after_pooling(pool_packed(states, self.modes))

    def prepare(self, text: str) -> str:
        """The text as it goes to the tokenizer."""
        return f"{self.prompt}{text}".lower() if self.lower_case else f"{self.prompt}{text}"

    @property
    def description(self) -> str:
        """One line for reports: ``cls, dense 384 to 256 (tanh), length 1``."""
        steps = [
            f"dense {step.linear.weight.shape[1]} to {step.linear.weight.shape[0]} ({step.activation})"
            if isinstance(step, DenseLayer)
            else "length 1"
            for step in self.steps
        ]
        return ", ".join([" + ".join(self.modes), *steps])

    def _after_pooling(self, vectors: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            if isinstance(step, Normalisation):
                vectors = functional.normalize(vectors, dim=1)
            else:
                vectors = _activate(step.activation, apply_linear(step.linear, vectors))
        return vectors


# Of a folder that does not say: the mean over the tokens, scaled to length 1.
DEFAULT_MODULES = SentenceModules(steps=(Normalisation(),))


def _activate(name: DenseActivation, values: torch.Tensor) -> torch.Tensor:
    match name:
        case "identity":
            return values
        case "tanh":
            return torch.tanh(values)
        case "relu":
            return torch.relu(values)
        case "gelu":
            return functional.gelu(values)
        case "sigmoid":
            return torch.sigmoid(values)


class _StoredEntry(BaseModel):
    type: str
    path: str


@dataclass(frozen=True)
class ModuleEntry:
    """An entry of modules.json; ``kind`` is the last part of its class's path, ``folder`` its folder's name."""

    kind: str
    folder: str


def module_entries(directory: Path) -> tuple[ModuleEntry, ...]:
    """The entries of modules.json in their order; none where there is no such file."""
    path = directory / MODULES_FILE
    if not path.is_file():
        return ()
    entries = read_json(list[_StoredEntry], path, "save the model again")
    if not entries:
        raise AebertError(f"{path}: expected a list of modules; save the model again")
    return tuple(_entry(entry, path) for entry in entries)


def _entry(entry: _StoredEntry, path: Path) -> ModuleEntry:
    kind, folder = entry.type, entry.path
    if folder and (Path(folder).name != folder or folder in (".", "..")):
        raise AebertError(f"{path}: module folder {folder!r} is not a plain name; save the model again")
    return ModuleEntry(kind.rpartition(".")[2], folder)


def read_modules(directory: Path, hidden: int) -> SentenceModules:
    """What stands behind an encoder of ``hidden`` channels in ``directory``.

    Raises AebertError for modules other than pooling, dense layers and normalisation, and for sizes that do not fit.
    """
    entries = module_entries(directory)
    if not entries:
        return DEFAULT_MODULES
    path = directory / MODULES_FILE
    kinds = [entry.kind for entry in entries]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise AebertError(f"{path}: modules {', '.join(kinds)}; supported: Transformer, Pooling, then Dense, Normalize")
    if entries[0].folder:
        raise AebertError(
            f"{path}: the Transformer lies in {entries[0].folder!r}; save it with a newer sentence-transformers, "
            "which puts it into the folder itself"
        )
    modes, include_prompt = _read_pooling(directory / entries[1].folder / "config.json", hidden)
    width = len(modes) * hidden
    steps: list[DenseLayer | Normalisation] = []
    for entry in entries[2:]:
        if entry.kind == "Normalize":
            steps.append(Normalisation())
        elif entry.kind == "Dense":
            dense = _read_dense(directory, entry.folder, width)
            steps.append(dense)
            width = dense.linear.bias.size
        elif entry.kind != "Dropout":  # does nothing outside of training
            raise AebertError(f"{path}: module {entry.kind!r} is not supported; only Dense and Normalize after Pooling")
    prompt = _default_prompt(directory / PROMPTS_FILE)
    if prompt and not include_prompt:
        raise AebertError(f"{directory}: pooling without the prompt ('include_prompt' false) is not supported")
    max_tokens, lower_case = _read_limits(directory / SENTENCE_CONFIG_FILE)
    return SentenceModules(modes, tuple(steps), max_tokens, lower_case, prompt)


def _read_pooling(path: Path, hidden: int) -> tuple[tuple[PoolingMode, ...], bool]:
    config = read_json_object(path)
    width = config.get("embedding_dimension", config.get("word_embedding_dimension", hidden))
    if width != hidden:
        raise AebertError(f"{path}: pools {width!r} channels, the encoder has {hidden}; give the model's own pooling")
    modes: Sequence[object]
    if "pooling_mode" in config:
        named = config["pooling_mode"]
        modes = named if isinstance(named, list) else [named]
    else:
        unknown = [name for name in config if name.startswith("pooling_mode_") and name not in _OLD_FIELDS]
        modes = [*(mode for name, mode in _OLD_FIELDS.items() if config.get(name) is True)]
        modes = [*modes, *(name for name in unknown if config[name])] or ["mean"]
    return tuple(_mode(mode, path) for mode in modes), bool(config.get("include_prompt", True))


def _mode(name: object, path: Path) -> PoolingMode:
    for mode in POOLING_MODES:
        if name == mode:
            return mode
    raise AebertError(f"{path}: pooling {name!r} is not supported; supported: {', '.join(POOLING_MODES)}")


def _read_dense(directory: Path, folder: str, inputs: int) -> DenseLayer:
    path = directory / folder / "config.json"
    config = read_json_object(path)
    for name in ("module_input_name", "module_output_name"):
        if config.get(name) not in (None, "sentence_embedding"):
            raise AebertError(f"{path}: {name} {config[name]!r} is not supported; only 'sentence_embedding'")
    if config.get("use_residual"):
        raise AebertError(f"{path}: 'use_residual' is not supported")
    # sentence-transformers takes tanh where the field is absent.
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    package, _, name = activation.rpartition(".")
    if name not in _ACTIVATION_OF or not f"{package}.".startswith("torch.nn."):
        raise AebertError(
            f"{path}: activation_function {activation!r} is not supported; supported: {', '.join(_ACTIVATION_OF)}"
        )
    outputs = config.get("out_features")
    if isinstance(outputs, bool) or not isinstance(outputs, int) or outputs < 1 or config.get("in_features") != inputs:
        raise AebertError(
            f"{path}: from {config.get('in_features')!r} to {outputs!r} features; {inputs} come in; mend the file"
        )
    weights = open_checkpoint(directory / folder)
    bias = (
        weights.read_float("linear.bias", (outputs,))
        if config.get("bias", True)
        else np.zeros(outputs, dtype=np.float32)
    )
    return DenseLayer(
        folder, Linear(weights.read_float("linear.weight", (outputs, inputs)), bias), _ACTIVATION_OF[name]
    )


def _default_prompt(path: Path) -> str:
    if not path.is_file():
        return ""
    config = read_json_object(path)
    name = config.get("default_prompt_name")
    if name is None:
        return ""
    prompts = config.get("prompts")
    prompt = prompts.get(name) if isinstance(prompts, dict) and isinstance(name, str) else None
    if not isinstance(prompt, str):
        raise AebertError(f"{path}: 'default_prompt_name' is {name!r}, which is not among the prompts; mend the file")
    return prompt


def _read_limits(path: Path) -> tuple[int | None, bool]:
    """Where texts are cut, and whether they are put in lower case before the tokenizer."""
    if not path.is_file():
        return None, False
    config = read_json_object(path)
    modalities = config.get("modality_config")
    text = modalities.get("text") if isinstance(modalities, dict) else None
    output = text.get("method_output_name") if isinstance(text, dict) else None
    if output not in (None, "last_hidden_state"):
        raise AebertError(f"{path}: embeddings from {output!r} are not supported; only from 'last_hidden_state'")
    longest = config.get("max_seq_length")
    if longest is not None and (isinstance(longest, bool) or not isinstance(longest, int) or longest < 1):
        raise AebertError(f"{path}: field 'max_seq_length' must be a positive integer, found {longest!r}")
    return longest, bool(config.get("do_lower_case", False))
