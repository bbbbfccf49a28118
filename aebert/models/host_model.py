"""The parts of a model that stay on the host: tokenizer, embeddings, pooler and head, through transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from aebert.models.architectures import Architecture
from aebert.models.config_json import encoder_shape, find_architecture
from aebert.models.labels import output_names
from aebert.models.model_type import read_config
from aebert.models.model_weights import open_weights, unread_parts
from aebert.models.packed_sequences import PackedStates, pack
from aebert.models.pretrained import check_loadable, load_pretrained, pretrained_config, pretrained_tokenizer
from aebert.models.sentence_modules import DEFAULT_MODULES, SentenceModules, read_modules
from aebert.models.text import Text, TokenisedText
from aebert.support.errors import AebertError
from aebert.support.input_files import files_inside, foreign, quoted

# Rows of an embedding table: four times what the largest multilingual vocabularies have.
LARGEST_TABLE = 1 << 20


@dataclass(frozen=True)
class HostModel:
    """``module`` is the whole fp32 model (evaluation mode), ``base`` the part of it below the head.

    ``sentence`` makes embeddings of the last hidden states; a model with a head has the mean.
    """

    directory: Path
    architecture: Architecture
    module: PreTrainedModel
    base: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sentence: SentenceModules = DEFAULT_MODULES

    @property
    def max_positions(self) -> int:
        """Tokens of the longest sequence that the model has positions for."""
        config = read_config(self.directory)
        return encoder_shape(config, self.architecture, self.directory / "config.json").max_positions

    @property
    def has_classifier(self) -> bool:
        """Whether there is a sequence-classification head."""
        return self.module is not self.base

    def tokenise(self, texts: Sequence[Text], max_tokens: int = 128) -> list[TokenisedText]:
        """Token numbers with special tokens, cut to ``max_tokens``; a pair is encoded as the model expects pairs."""
        return [self._tokenise(text, max_tokens) for text in texts]

    def _tokenise(self, text: Text, max_tokens: int) -> TokenisedText:
        first, second = text if isinstance(text, tuple) else (text, None)
        first = self.sentence.prepare(first)
        if second is not None and self.sentence.lower_case:
            second = second.lower()
        with foreign(self.directory, "the tokenizer fails", "save it again, or give other text"):
            encoding = self.tokenizer(first, second, truncation=True, max_length=max_tokens)
        ids = list(encoding["input_ids"])
        if not ids:
            raise AebertError(
                f"{self.directory}: the tokenizer makes no token of {quoted(first)}, not even special ones; "
                "save it again with its post-processor, or give other text"
            )
        if max(ids) >= self.vocabulary:
            raise AebertError(
                f"{self.directory}: the tokenizer makes token number {max(ids)} of {quoted(first)}, but the model has "
                f"{self.vocabulary} word embeddings; give the model's own tokenizer"
            )
        types = list(encoding["token_type_ids"]) if "token_type_ids" in encoding and self.types > 1 else [0] * len(ids)
        if max(types) >= max(self.types, 1):
            raise AebertError(
                f"{self.directory}: the tokenizer says kind {max(types)} of a token, but the model tells "
                f"{self.types} kinds apart; give the model's own tokenizer"
            )
        return TokenisedText(ids, types)

    def sentence_tokens(self, limit: int) -> int:
        """Where texts are cut that sentence embeddings are made of: ``limit``, or earlier as the folder says."""
        stated = self.sentence.max_tokens
        return min(limit, self.tokenizer.model_max_length if stated is None else stated)

    @property
    def types(self) -> int:
        """How many kinds of tokens the embeddings tell apart; a model of one kind takes every token as that."""
        return int(getattr(self.module.config, "type_vocab_size", 0) or 0)

    @property
    def vocabulary(self) -> int:
        """How many token numbers the embeddings have rows for."""
        table = self.base.get_input_embeddings().weight
        assert isinstance(table, torch.Tensor)
        return int(table.shape[0])

    def embed(self, input_ids: torch.Tensor, token_types: torch.Tensor | None = None) -> torch.Tensor:
        """Embeddings after their LayerNorm (and ELECTRA's projection), the encoder's input.

        ``input_ids`` and ``token_types`` are int64 [sequences, tokens]; returns float32 [sequences, tokens, hidden].
        """
        with torch.inference_mode():
            # One kind of token is no choice: a tokenizer that tells a pair's halves apart is not listened to.
            types = {} if token_types is None or self.types < 2 else {"token_type_ids": token_types}
            states: torch.Tensor = self.base.get_submodule("embeddings")(input_ids=input_ids, **types)
            if self.architecture.root == "electra" and hasattr(self.base, "embeddings_project"):
                states = self.base.get_submodule("embeddings_project")(states)
        return states.float()

    def embed_texts(self, texts: Sequence[TokenisedText]) -> PackedStates:
        """Embeddings of each text, packed in the order of their lengths (stable)."""
        return pack([self.embed(torch.tensor([t.ids]), torch.tensor([t.types]))[0] for t in texts])

    def logits(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """The classification head on the last hidden states: [sequences, tokens, hidden] to [sequences, labels]."""
        with torch.inference_mode():
            return self.head(hidden_states)

    def head(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """``logits`` with gradients."""
        if not self.has_classifier:
            raise AebertError(f"{self.directory}: no sequence-classification head; give a model fine-tuned for a task")
        classifier = self.module.get_submodule("classifier")
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

    A directory whose config.json names a ``...ForSequenceClassification`` class gets that head; one that names no class
    gets a head if the weights hold one. Raises AebertError for weights that are missing or would be left out.
    """
    directory = Path(directory)
    config = read_config(directory)
    architecture = find_architecture(config, directory / "config.json")
    shape = encoder_shape(config, architecture, directory / "config.json")
    weights = open_weights(directory, config, architecture, shape.layers)
    auto = AutoModelForSequenceClassification if weights.has_classifier else AutoModel
    check_model_directory(directory, config)
    check_loadable(directory, weights)
    module, missing = load_pretrained(auto, directory, pretrained_config(directory, str(config["model_type"])), weights)
    unread = unread_parts(missing, architecture, weights.has_classifier)
    if unread:
        raise AebertError(f"{directory}: tensor {unread[0]!r} is missing; the checkpoint is not complete")
    base = getattr(module, architecture.root) if weights.has_classifier else module
    modules = DEFAULT_MODULES if weights.has_classifier else read_modules(directory, shape.hidden)
    return HostModel(directory, architecture, module.eval(), base, load_tokenizer(directory), modules)


def load_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model directory, from its files alone. Raises AebertError where there is none."""
    tokenizer = pretrained_tokenizer(directory)
    with foreign(directory, "the tokenizer fails", "save it again"):
        tokenizer("a", "b")  # some faults of a tokenizer's files show when it is used
    return tokenizer


def check_model_directory(directory: Path, config: Mapping[str, object]) -> None:
    """Raises AebertError for what makes opening the directory dangerous or endless, before a library opens it.

    That is: links that lead out of it, FIFOs and devices, and sizes that no encoder has.
    """
    files_inside(directory)
    where = directory / "config.json"
    encoder_shape(config, find_architecture(config, where), where)
    for field in ("vocab_size", "type_vocab_size", "embedding_size"):
        value = config.get(field)
        if isinstance(value, int) and value > LARGEST_TABLE:
            raise AebertError(f"{where}: field {field!r} is {quoted(value)}, more than {LARGEST_TABLE}; save it again")
    output_names(config, where)
    if "num_labels" in config:  # transformers makes names for it whatever id2label says
        output_names({"num_labels": config["num_labels"]}, where)
