"""A model whose encoder runs on a device is used as the model itself."""

from __future__ import annotations

import threading
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import TextClassificationPipeline, TokenizersBackend, pipeline

import aebert
from aebert.models.host_model import HostModel
from aebert.numerics.reference import from_residual, run_encoder, to_residual
from aebert.support.errors import AebertError
from codegen.project import Project
from host.devices.open import open_accelerator
from host.emulated.pynq_emulator import find_emulated_board
from host.runtime import AcceleratedModel, share_launches
from host.transformers_model import kept_tokens
from tests.support.projects import write_tiny_project

pytest_plugins = ["tests.support.host_fixtures"]

SENTENCES = ["the cat sat", "a dog ran to the cat on the mat", "cat", "the dog sat on a mat"]


@given(lengths=st.lists(st.integers(1, 32), min_size=1, max_size=40), max_groups=st.integers(4, 12))
def test_every_sequence_is_in_one_launch_and_no_launch_is_too_large(lengths: list[int], max_groups: int) -> None:
    launches = share_launches(lengths, lambda length: -(-length // 8), max_groups)
    assert sorted(row for rows in launches for row in rows) == list(range(len(lengths)))
    totals = [sum(-(-lengths[row] // 8) for row in rows) for rows in launches]
    assert max(totals) <= max_groups
    # First fit: no two launches could have been one.
    smallest = sorted(totals)[:2]
    assert len(totals) == 1 or sum(smallest) > max_groups


def random_batch(lengths: list[int], left_padded: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(len(lengths))
    ids = torch.randint(5, 14, (len(lengths), max(lengths)), generator=generator)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        mask[row, -length if left_padded else 0 : None if left_padded else length] = 1
    return ids * mask, mask


@pytest.mark.parametrize("left_padded", [False, True])
@pytest.mark.parametrize("device", ["emulator", "pynq-emulator:3"])
def test_hidden_states_are_those_of_the_integer_reference(
    tiny_project: Project, device: str, left_padded: bool
) -> None:
    ids, mask = random_batch([5, 32, 1, 17, 8, 9, 30], left_padded)
    quantised = tiny_project.quantised
    with AcceleratedModel(tiny_project, lambda: open_accelerator(tiny_project, device)) as model:
        states = model.encode(ids, mask)
        embedded = model.host.embed(ids)
    assert states.shape == (7, 32, 32)
    for row in range(len(ids)):
        kept = mask[row].bool()
        residual = to_residual(embedded[row][kept].numpy(), quantised.input_scale)
        expected = from_residual(run_encoder(quantised, residual), quantised.output_scale)
        np.testing.assert_array_equal(states[row][kept].numpy(), expected)
        assert not states[row][~kept].any()


def test_results_do_not_depend_on_what_else_is_in_the_batch(tiny_project: Project) -> None:
    with aebert.load(tiny_project.directory) as model:
        together = model.embeddings(SENTENCES)
        alone = torch.cat([model.embeddings([sentence]) for sentence in SENTENCES])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "electra"])
def test_a_transformers_pipeline_runs_on_the_device_by_changing_its_model(
    tiny_classifiers: dict[str, Path], tiny_project: Project, tmp_path: Path, kind: str
) -> None:
    project = tiny_project.directory
    if kind != "bert":
        project = write_tiny_project(tiny_classifiers[kind], tmp_path / "project")
    with aebert.load(project) as model:
        assert isinstance(model.tokenizer, TokenizersBackend)
        on_device = pipeline("text-classification", model=model.transformers_model(), tokenizer=model.tokenizer)
        in_pytorch = pipeline("text-classification", model=model.host.module, tokenizer=model.tokenizer)
        for batch_size in (1, 3):
            got, expected = (label_scores(classify, batch_size) for classify in (on_device, in_pytorch))
            for ours, theirs, logits in zip(got, expected, model.logits(SENTENCES), strict=True):
                assert ours == pytest.approx(theirs, abs=0.03)
                assert list(ours.values()) == pytest.approx(torch.softmax(logits, 0).tolist(), abs=1e-5)


def label_scores(classify: TextClassificationPipeline, batch_size: int) -> list[dict[str, float]]:
    answers: Any = classify(SENTENCES, batch_size=batch_size, top_k=None)
    return [{entry["label"]: entry["score"] for entry in sorted(row, key=itemgetter("label"))} for row in answers]


def test_masks_are_understood_in_every_form_attention_gets_them() -> None:
    states = torch.zeros(2, 3, 4)
    kept = torch.tensor([[True, True, False], [True, True, True]])
    additive = torch.where(kept, 0.0, torch.finfo(torch.float32).min)[:, None, None, :]
    assert kept_tokens(None, states).all()
    for mask in (kept, kept.long(), kept[:, None, None, :], kept[:, None, None, :].expand(2, 1, 3, 3), additive):
        assert torch.equal(kept_tokens(mask, states), kept)


def test_the_host_embeds_the_next_launch_while_the_device_is_busy(
    tiny_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = threading.Semaphore(0)
    embed = HostModel.embed

    def counted(model: HostModel, ids: torch.Tensor, types: torch.Tensor | None = None) -> torch.Tensor:
        result = embed(model, ids, types)
        embedded.release()
        return result

    with AcceleratedModel(tiny_project, lambda: open_accelerator(tiny_project, "pynq-emulator:3")) as model:
        execute = model.accelerator.execute
        overlapped = []

        def execute_after_the_next_embedding(prepared: object) -> object:
            overlapped.append(embedded.acquire(timeout=10))
            return execute(prepared)  # type: ignore[arg-type]

        monkeypatch.setattr(HostModel, "embed", counted)
        monkeypatch.setattr(model.accelerator, "execute", execute_after_the_next_embedding)
        ids, mask = random_batch([32] * 4, left_padded=False)
        # The first launch's own embedding does not count.
        embedded.acquire(blocking=False)
        model.encode(ids, mask)
    assert len(overlapped) == 4
    assert all(overlapped)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([4, 33], "sequence 1: 33 tokens, design and model take 1 to 32; truncate it"),
        ([3, 0], "sequence 1: attention_mask keeps no token"),
    ],
)
def test_a_sequence_that_the_design_cannot_hold_is_named(
    tiny_project: Project, lengths: list[int], message: str
) -> None:
    mask = torch.zeros(2, max(lengths), dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    with aebert.load(tiny_project.directory) as model, pytest.raises(AebertError, match=message):
        model.encode(mask * 5, mask)


def test_text_longer_than_the_design_is_truncated_as_the_model_would(tiny_project: Project) -> None:
    with aebert.load(tiny_project.directory) as model:
        long = "the cat " * 100
        torch.testing.assert_close(model.logits([long]), model.logits(["the cat " * 20]), rtol=0, atol=0)


def test_weights_are_uploaded_once_and_buffers_used_again(tiny_project: Project) -> None:
    with aebert.load(tiny_project.directory, "pynq-emulator:3") as model:
        board = find_emulated_board(3)
        assert board._memory is not None
        for _ in range(4):  # every slot has had the largest launch
            model.logits(SENTENCES)
        before = {tag: list(used) for tag, used in board._memory._used.items()}
        for _ in range(3):
            model.logits(SENTENCES)
        assert {tag: list(used) for tag, used in board._memory._used.items()} == before


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("hello", r"texts: one string, 'hello'; give a list of them: \[text\]"),
        ([], "texts: an empty list; give at least one text"),
        (["a", 3], "texts: number 1 is '3'; give a string or a pair"),
        ([("a", "b", "c")], "texts: number 0 is .*; give a string or a pair"),
        (7, "texts: int; give a list of strings"),
    ],
)
def test_texts_that_are_no_list_of_texts_are_refused(tiny_project: Project, texts: object, message: str) -> None:
    with aebert.load(tiny_project.directory) as model:
        for call in (model.embeddings, model.logits):
            if call == model.logits and not model.host.has_classifier:
                continue
            with pytest.raises(AebertError, match=message):
                call(texts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor([5, 6]), r"input_ids: shape \(2,\); give \[sequences, tokens\], for one sequence ids\[None\]"),
        (torch.tensor([[5, 14]]), "input_ids: 14 at sequence 0, token 1; the model has 0 to 13"),
        (torch.tensor([[5, 6], [-1, 6]]), "input_ids: -1 at sequence 1, token 0; the model has 0 to 13"),
        (torch.tensor([[5.0]]), "input_ids: torch.float32; give whole numbers"),
        (torch.zeros(0, 4, dtype=torch.long), r"input_ids: shape \(0, 4\)"),
    ],
)
def test_token_numbers_the_model_has_no_row_for_are_named(
    tiny_project: Project, ids: torch.Tensor, message: str
) -> None:
    with aebert.load(tiny_project.directory) as model, pytest.raises(AebertError, match=message):
        model.encode(ids)


def test_the_tokenizer_truncates_where_the_design_ends(tiny_project: Project) -> None:
    with aebert.load(tiny_project.directory) as model:
        assert model.tokenizer.model_max_length == 32
        assert len(model.tokenizer("the cat sat " * 40, truncation=True)["input_ids"]) == 32
