"""The parts of a model that stay on the host: tokenizer, embeddings, pooler and head, through transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from aebert.calibration import Text
from aebert.errors import AebertError
from aebert.models.architectures import Architecture
from aebert.models.config import find_architecture, read_config
from aebert.models.packed import PackedStates, pack


@dataclass(frozen=True)
class TokenisedText:
    """Token numbers of one sentence or pair, each a list of the same length; ``types`` tell a pair's halves apart."""

    ids: list[int]
    types: list[int]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class HostModel:
    """``module`` is the whole fp32 model (evaluation mode), ``base`` the part of it below the head."""

    directory: Path
    architecture: Architecture
    module: PreTrainedModel
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def has_classifier(self) -> bool:
        """Whether there is a sequence-classification head."""
        return self.module is not self.base

    def tokenise(self, texts: Sequence[Text], max_tokens: int = 128) -> list[TokenisedText]:
        """Token numbers with special tokens, cut to ``max_tokens``; a pair is encoded as the model expects pairs."""
        tokenised = []
        for text in texts:
            first, second = text if isinstance(text, tuple) else (text, None)
            encoding = self.tokenizer(first, second, truncation=True, max_length=max_tokens)
            ids = list(encoding["input_ids"])
            types = list(encoding["token_type_ids"]) if "token_type_ids" in encoding else [0] * len(ids)
            tokenised.append(TokenisedText(ids, types))
        return tokenised

    def embed(self, input_ids: torch.Tensor, token_types: torch.Tensor | None = None) -> torch.Tensor:
        """Embeddings after their LayerNorm (and ELECTRA's projection), the encoder's input.

        ``input_ids`` and ``token_types`` are int64 [sequences, tokens]; returns float32 [sequences, tokens, hidden].
        """
        with torch.inference_mode():
            types = (
                {} if token_types is None or self.architecture.root == "distilbert" else {"token_type_ids": token_types}
            )
            states: torch.Tensor = self.base.get_submodule("embeddings")(input_ids=input_ids, **types)
            if self.architecture.root == "electra" and hasattr(self.base, "embeddings_project"):
                states = self.base.get_submodule("embeddings_project")(states)
        return states.float()

    def embed_texts(self, texts: Sequence[TokenisedText]) -> PackedStates:
        """Embeddings of each text, packed in the order of their lengths (stable)."""
        return pack([self.embed(torch.tensor([t.ids]), torch.tensor([t.types]))[0] for t in texts])

    def logits(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """The classification head on the last hidden states: [sequences, tokens, hidden] to [sequences, labels]."""
        if not self.has_classifier:
            raise AebertError(f"{self.directory}: no sequence-classification head; give a model fine-tuned for a task")
        classifier = self.module.get_submodule("classifier")
        with torch.inference_mode():
            root = self.architecture.root
            if root == "bert":
                result: torch.Tensor = classifier(self.base.get_submodule("pooler")(hidden_states))
            elif root == "distilbert":
                projected = self.module.get_submodule("pre_classifier")(hidden_states[:, 0])
                result = classifier(torch.relu(projected))
            else:
                result = classifier(hidden_states)
        return result


def load_host_model(directory: Path | str) -> HostModel:
    """Load a model directory through transformers, from its files alone (no network), in fp32, evaluation mode.

    A directory whose config.json names a ``...ForSequenceClassification`` class gets that head, any other none.
    """
    directory = Path(directory)
    config = read_config(directory)
    architecture = find_architecture(config, directory / "config.json")
    names = config.get("architectures")
    classifies = isinstance(names, list) and any(str(name).endswith("ForSequenceClassification") for name in names)
    auto = AutoModelForSequenceClassification if classifies else AutoModel
    try:
        with quiet_transformers():
            module = auto.from_pretrained(directory, local_files_only=True, use_safetensors=True, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise AebertError(f"{directory}: transformers cannot load the model or its tokenizer ({reason})") from None
    base = getattr(module, architecture.root) if classifies else module
    return HostModel(directory, architecture, module.eval(), base, tokenizer)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No warning about an unused pooler or sharding, no bar: the encoder's weights are checked by load_encoder."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
