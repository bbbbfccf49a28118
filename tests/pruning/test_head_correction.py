"""Correcting the head of a pruned classifier: only where classes come out clearly less or more often."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

import aebert.pruning.head_correction
from aebert.models import load_encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import first_tokens
from aebert.pruning.head_correction import CLEARLY, HeadCorrection, head_correction, share_difference
from aebert.pruning.step import prune
from aebert.pruning.subnet import make_record, read_subnet, write_subnet
from tests.support.tiny_search import tiny_texts


def _drawn(rows: int, classes: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, classes)))


def _centred(logits: torch.Tensor) -> torch.Tensor:
    return logits - logits.mean(dim=1, keepdim=True)


@given(st.integers(100, 400), st.integers(2, 5), st.floats(0.2, 3), st.floats(2, 6), st.integers(0, 999))
def test_a_scale_and_a_shift_are_undone(rows: int, classes: int, scale: float, shift: float, seed: int) -> None:
    dense = _drawn(rows, classes, seed)
    moved = torch.zeros(classes)
    moved[seed % classes] = shift
    own = (dense + moved) * scale
    found = head_correction(dense, own)
    assert found is not None
    assert found.scale == pytest.approx(1 / scale)
    torch.testing.assert_close(_centred(found.of_logits(own)), _centred(dense), atol=1e-6, rtol=1e-6)


@given(st.integers(100, 400), st.integers(2, 5), st.floats(0.3, 2), st.integers(0, 999))
def test_where_classes_come_out_as_often_nothing_is_changed(rows: int, classes: int, scale: float, seed: int) -> None:
    dense = _drawn(rows, classes, seed)
    assert head_correction(dense, dense * scale) is None


def test_the_difference_of_shares_counts_rows_that_changed_their_class() -> None:
    """36 rows go from the first class to the second and 4 back: a surplus of 32 over the root of 40."""
    dense = torch.tensor([[1.0, 0.0]] * 50 + [[0.0, 1.0]] * 50)
    own = dense.clone()
    own[:36] = torch.tensor([0.0, 1.0])
    own[50:54] = torch.tensor([1.0, 0.0])
    assert share_difference(dense, own) == pytest.approx(32 / 40**0.5)
    assert head_correction(dense, own) is not None
    own[11:36] = torch.tensor([1.0, 0.0])  # 11 and 4 are left
    assert share_difference(dense, own) == pytest.approx(7 / 15**0.5)
    assert head_correction(dense, own) is None


def test_regression_and_logits_that_do_not_vary_have_no_correction() -> None:
    dense = _drawn(100, 1, 0)
    assert head_correction(dense, dense + 5) is None
    assert head_correction(_drawn(100, 2, 0), torch.tensor([[5.0, 0.0]]).expand(100, 2)) is None


def test_a_correction_that_does_not_bring_the_logits_nearer_is_left_out() -> None:
    """One row in a hundred, of a class that is beyond doubt, has all the variance: scaled to it, the others vanish."""
    dense = _drawn(400, 2, 1) * 0.5
    dense[:4] = torch.tensor([8.0, 0.0])
    own = dense + torch.tensor([0.0, 0.6])
    own[:4, 0] = 1000.0
    assert share_difference(dense, own) > CLEARLY
    assert head_correction(dense, own) is None


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_it_is_written_into_the_head_and_counted_in_no_ratio(
    tiny_classifiers: dict[str, Path], tmp_path: Path, family: str
) -> None:
    source = tiny_classifiers[family]
    encoder, host = load_encoder(source), load_host_model(source)
    states = encoder_forward(encoder, host.embed_texts(host.tokenise(tiny_texts()[:5])))
    plain = host.logits(states.values[first_tokens(states)][:, None])
    correction = HeadCorrection(0.5, tuple(float(place) for place in range(plain.shape[1])))
    record = make_record(encoder, encoder.digest, "vector:2x1", "magnitude", "least-squares", 0, {}, correction)
    write_subnet(source, tmp_path / "subnet", encoder, record)
    corrected = load_host_model(tmp_path / "subnet").logits(states.values[first_tokens(states)][:, None])
    torch.testing.assert_close(corrected, correction.of_logits(plain), atol=1e-6, rtol=1e-5)
    subnet = read_subnet(tmp_path / "subnet")
    assert subnet.record.head_correction == correction
    assert subnet.record.overall_ratio == record.overall_ratio
    before, after = load_file(source / "model.safetensors"), load_file(tmp_path / "subnet" / "model.safetensors")
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert len(changed) == 2
    assert {name.rsplit(".", 1)[1] for name in changed} == {"weight", "bias"}
    stored = json.loads((tmp_path / "subnet" / "subnet.json").read_text())
    assert stored["head_correction"]["scale"] == 0.5


def test_compensated_subnets_get_it_from_text_that_was_given(
    tiny_classifiers: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aebert.pruning.head_correction, "CLEARLY", 0.0)  # whatever lowers the divergence

    def corrected(name: str, *, compensate: bool, refine: bool = False, given: bool = True) -> HeadCorrection | None:
        texts = tiny_texts() if given else None
        made = prune(source, tmp_path / name, ratio=0.5, compensate=compensate, refine=refine, texts=texts)
        assert read_subnet(tmp_path / name).record == made.record
        return made.record.head_correction

    source = tiny_classifiers["bert"]
    assert corrected("compensated", compensate=True) is not None
    assert corrected("refined", compensate=False, refine=True) is None
    assert corrected("plain", compensate=False) is None
    assert corrected("shipped", compensate=True, given=False) is None  # says nothing of the task
