"""The exported sentence embedding is sentence-transformers' own, with padding in the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from aebert.models.host_model import load_host_model
from aebert.models.pooling import POOLING_MODES
from aebert.onnx_exchange.export_model import export_float
from aebert.onnx_exchange.huggingface import read_model
from aebert.onnx_exchange.save import save_model
from tests.support.sentence_folders import original_embeddings, save_sentence_folder

TEXTS = ("the cat sat on the mat", "dog", "")


@pytest.mark.parametrize("modes", [*([mode] for mode in POOLING_MODES), ["max", "mean"]])
def test_an_export_embeds_as_the_original(tiny_bert: Path, tmp_path: Path, modes: list[str]) -> None:
    folder = save_sentence_folder(tiny_bert, tmp_path / "model", modes, torch.nn.Tanh(), normalise=True)
    save_model(export_float(read_model(folder)), tmp_path / "model.onnx")
    padded = load_host_model(folder).tokenizer(list(TEXTS), padding=True, return_tensors="np")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    feeds = {name: padded[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    feeds["token_type_ids"] = np.zeros_like(feeds["input_ids"])
    (got,) = session.run(["sentence_embedding"], feeds)
    torch.testing.assert_close(torch.from_numpy(got), original_embeddings(folder, TEXTS), atol=1e-5, rtol=1e-5)
