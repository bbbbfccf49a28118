"""sentence-transformers folders of tiny random encoders, written by sentence-transformers itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer


def save_sentence_folder(
    encoder: Path,
    directory: Path,
    modes: Sequence[str],
    dense: torch.nn.Module | None = None,
    normalise: bool = False,
    max_tokens: int = 24,
) -> Path:
    """``encoder`` with pooling, an optional dense layer with ``dense`` as its activation, and normalisation."""
    transformer = Transformer(str(encoder), max_seq_length=max_tokens)
    pooling = Pooling(32, pooling_mode=tuple(modes))
    modules: list[torch.nn.Module] = [transformer, pooling]
    if dense is not None:
        torch.manual_seed(3)
        modules.append(Dense(32 * len(modes), 12, activation_function=dense))
    if normalise:
        modules.append(Normalize())
    SentenceTransformer(modules=modules, device="cpu").save(str(directory), create_model_card=False)
    return directory


def original_embeddings(directory: Path, texts: Sequence[str]) -> torch.Tensor:
    """What sentence-transformers makes of ``texts``."""
    model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    return model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)
