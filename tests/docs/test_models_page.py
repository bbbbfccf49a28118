"""docs/models.md says which families work: each row is tried on the smallest model of that family."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModel

from aebert.models import load_encoder
from aebert.models.architectures import ARCHITECTURES
from aebert.models.fp32_forward import encoder_forward
from aebert.models.packed_sequences import pack
from aebert.pruning.step import prune
from aebert.pruning.subnet import read_subnet
from aebert.support.errors import AebertError
from tests.support.paths import ROOT

ROW = re.compile(r"^\| ([a-z0-9_-]+) \| (yes|no) \| ?(.*?) ?\|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "models.md").read_text(encoding="utf-8"))
SIZES: dict[str, Any] = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 40,
    "max_position_embeddings": 48,
    "pad_token_id": 1,
}
OWN: dict[str, dict[str, Any]] = {
    "distilbert": {"n_layers": 2, "dim": 32, "n_heads": 4, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16},
    "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 48},
    "longformer": {"attention_window": 8},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "esm": {"mask_token_id": 3},
}


def smallest_model(family: str, directory: Path) -> Path:
    torch.manual_seed(0)
    own = OWN.get(family, {})
    shared = {} if family in ("distilbert", "gpt2") else SIZES
    config = AutoConfig.for_model(family, **{**shared, "vocab_size": 40, "pad_token_id": 1, **own})
    AutoModel.from_config(config).eval().save_pretrained(directory)
    return directory


def test_the_page_has_every_supported_family() -> None:
    assert {family for family, works, _ in ROWS if works == "yes"} == set(ARCHITECTURES)


@pytest.mark.parametrize(("family", "works", "reason"), ROWS)
def test_a_row_is_what_happens(tmp_path: Path, family: str, works: str, reason: str) -> None:
    directory = smallest_model(family, tmp_path / "model")
    if works == "no":
        with pytest.raises(AebertError, match=reason) as caught:
            prune(directory, tmp_path / "subnet", ratio=0.5, saliency="magnitude")
        assert family in str(caught.value)
        return
    prune(directory, tmp_path / "subnet", ratio=0.5, saliency="magnitude")
    assert read_subnet(tmp_path / "subnet").record.overall_ratio == 0.5
    # The whole model, ratio 0: what our encoder gives is what transformers gives.
    model = AutoModel.from_pretrained(directory).eval()
    ids = torch.randint(4, 40, (1, 9))
    with torch.inference_mode():
        output = model(input_ids=ids, output_hidden_states=True)
    got = encoder_forward(load_encoder(directory), pack([output.hidden_states[0][0]])).values
    torch.testing.assert_close(got, output.last_hidden_state[0], atol=1e-5, rtol=1e-5)
