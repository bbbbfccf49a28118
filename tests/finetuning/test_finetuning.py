"""Fine-tuning: zeros stay, a killed run goes on, a teacher is followed, and the result is a folder like its source."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from aebert.finetuning import DistillSettings, FinetuneSettings, Teacher, finetune
from aebert.finetuning.checkpoints import last_checkpoint, training_folder
from aebert.finetuning.distillation import hidden_loss, logits_loss
from aebert.finetuning.held_masks import HeldMatrix
from aebert.finetuning.trainer import GroupedByLength
from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.subnet import make_record, read_subnet, write_subnet, zero_counts
from aebert.support.errors import AebertError
from aebert.tasks import TaskData, compute_metrics, find_task, split_train
from aebert.tasks.predict import fp32_run, label_order, predict_logits
from tests.support.command_line import aebert
from tests.support.glue_files import random_rows, tiny_task, write_tiny_task, write_tsv

QUICK = FinetuneSettings(
    epochs=1, batch_size=8, learning_rate=1e-2, warmup=0.0, calibration_rows=8, precision="fp32", max_tokens=16
)


@pytest.fixture(scope="module")
def subnet(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT, half of its weights pruned by bank-balanced vectors."""
    directory = tmp_path_factory.mktemp("subnet") / "subnet"
    encoder = load_encoder(tiny_bert)
    pruned = prune_encoder(encoder, parse_pattern("vector:4x1"), 0.5).encoder
    record = make_record(pruned, encoder.digest, "vector:4x1", "magnitude", "none", 3, {"cosine": 0.5})
    write_subnet(tiny_bert, directory, pruned, record)
    return directory


@pytest.fixture(scope="module")
def dense(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT fine-tuned until it finds the cats."""
    directory = tmp_path_factory.mktemp("dense") / "dense"
    settings = FinetuneSettings(
        epochs=10, batch_size=8, learning_rate=3e-3, warmup=0.1, calibration_rows=8, precision="fp32", max_tokens=16
    )
    finetune(tiny_bert, tiny_task(120), directory, settings)
    return directory


def weights(directory: Path) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return dict(load_file(directory / "model.safetensors"))


def test_pruned_weights_stay_zero_under_momentum_and_weight_decay(subnet: Path, tmp_path: Path) -> None:
    settings = FinetuneSettings(**{**vars(QUICK), "weight_decay": 0.1})
    report = finetune(subnet, tiny_task(), tmp_path / "tuned", settings)
    before, after = read_subnet(subnet), read_subnet(tmp_path / "tuned")
    changed = 0
    for (_, _, old), (_, _, new) in zip(before.encoder.matrices(), after.encoder.matrices(), strict=True):
        assert not new.weight[old.weight == 0].any()
        changed += int((new.weight != old.weight).sum())
    assert changed > 0.9 * (1 - before.record.overall_ratio) * sum(
        m.weight.size for _, _, m in before.encoder.matrices()
    )
    assert report.training.held_zeros == sum(sum(layer.values()) for layer in zero_counts(before.encoder))


def test_a_pruned_weight_leaves_no_trace_in_the_gradient_or_the_optimiser() -> None:
    weight = torch.nn.Parameter(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
    held = HeldMatrix(weight, weight.detach() == 0)
    optimiser = torch.optim.AdamW([weight], lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        (weight.sum() * 3.0).backward()
        held.clear_gradient()
        optimiser.step()
        held.clear()
    moment = optimiser.state[weight]["exp_avg"]
    assert moment[held.zeros].tolist() == [0.0, 0.0]
    assert (moment[~held.zeros] != 0).all()
    assert weight[held.zeros].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("guard", ["clear", "clear_gradient"])
def test_either_guard_alone_keeps_the_zeros_through_the_trainer(
    guard: str, subnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (other,) = {"clear", "clear_gradient"} - {guard}
    monkeypatch.setattr(HeldMatrix, other, lambda self: None)
    finetune(subnet, tiny_task(), tmp_path / "tuned", QUICK)
    assert zero_counts(read_subnet(tmp_path / "tuned").encoder) == zero_counts(read_subnet(subnet).encoder)


def test_every_epoch_has_its_own_order_with_rows_of_like_length_together() -> None:
    lengths = [int(length) for length in np.random.default_rng(0).integers(3, 60, 200)]
    sampler = GroupedByLength(lengths, batch_size=8, seed=4)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == list(range(200))
    padding = sum(8 * max(lengths[row] for row in orders[1][at : at + 8]) for at in range(0, 200, 8)) - sum(lengths)
    assert padding < 0.25 * sum(lengths), "more than half where rows lie in any order"


def test_a_checkpoint_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    for step, complete in ((2, True), (11, True), (12, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if complete:
            (folder / "complete.json").write_text('{"seconds": 3.5}')
    found = last_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.seconds) == (11, 3.5)


def test_a_tuned_subnet_is_a_subnet_that_says_so(subnet: Path, tmp_path: Path) -> None:
    data = tiny_task()
    report = finetune(subnet, data, tmp_path / "tuned", QUICK)
    tuned, before = read_subnet(tmp_path / "tuned"), read_subnet(subnet)
    assert tuned.record.pruned_digest == before.record.digest != tuned.record.digest == report.digest
    assert (tuned.record.source_digest, tuned.record.pattern) == (before.record.source_digest, "vector:4x1")
    assert tuned.record.scores == {"cosine": 0.5, "sst2/dev/accuracy": report.dev["dev"]["accuracy"]}
    host = load_host_model(tmp_path / "tuned")
    logits = predict_logits(host, data.task, fp32_run(tuned.encoder), data.dev["dev"], 16)
    labels = [row.label for row in data.dev["dev"]]
    assert dict(compute_metrics(data.task, logits, labels)) == report.dev["dev"]
    written = json.loads((tmp_path / "tuned" / "finetune.json").read_text())
    assert (written["train_rows"], written["calibration_rows"]) == (40, 8)
    assert written["split_digest"] == split_train(data.train, 8, 0).digest


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_every_family_is_trained_and_what_it_learns_shows_on_dev(
    family: str, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    report = finetune(tiny_models[family], tiny_task(), tmp_path / "tuned", QUICK)
    assert report.training.steps == 5
    assert load_host_model(tmp_path / "tuned").has_classifier
    assert 0.0 <= report.dev["dev"]["accuracy"] <= 1.0
    assert report.digest == load_encoder(tmp_path / "tuned").digest != report.source_digest


def test_training_teaches(dense: Path) -> None:
    report = json.loads((dense / "finetune.json").read_text())
    assert report["dev"]["dev"]["accuracy"] >= 0.9
    assert report["training"]["losses"][-1][1] < report["training"]["losses"][0][1] / 2


def test_the_logits_of_the_packed_encoder_are_those_of_transformers(dense: Path) -> None:
    host, rows = load_host_model(dense), random_rows(9, 5)
    logits = predict_logits(host, find_task("sst2"), fp32_run(load_encoder(dense)), rows)
    for row, got in zip(rows, logits, strict=True):
        (text,) = host.tokenise([row.text])
        with torch.inference_mode():
            expected = host.module(input_ids=torch.tensor([text.ids])).logits[0].numpy()
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_frozen_embeddings_do_not_move(tiny_bert: Path, tmp_path: Path) -> None:
    settings = FinetuneSettings(**{**vars(QUICK), "freeze_embeddings": True})
    finetune(tiny_bert, tiny_task(), tmp_path / "tuned", settings)
    before, after = weights(tiny_bert), weights(tmp_path / "tuned")
    for name, tensor in before.items():
        same = np.array_equal(tensor, after[f"bert.{name}"])
        assert same == name.startswith("embeddings."), name


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny_bert: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        finetune(tiny_bert, tiny_task(), tmp_path / name, FinetuneSettings(**{**vars(QUICK), "seed": seed}))
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not np.array_equal(a["classifier.weight"], c["classifier.weight"])


def test_a_run_killed_in_mid_training_ends_with_the_weights_of_one_that_was_not(subnet: Path, tmp_path: Path) -> None:
    write_tiny_task(tmp_path / "glue", train_rows=40)
    options = ["--task", "sst2", "--data", str(tmp_path / "glue"), "--epochs", "2", "--batch", "4", "--lr", "0.01"]
    options += ["--calibration-rows", "8", "--precision", "fp32"]
    every_step = ["--checkpoint-seconds", "0"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "aebert.cli", "finetune", str(subnet), "-o", str(killed), *options, *every_step],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    # Step 10 is in the second of two epochs of 8 steps.
    while not (training_folder(killed) / "checkpoint-10" / "complete.json").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not killed.exists()
    refused = aebert("finetune", subnet, "-o", killed, *options)
    assert refused.exit_code == 2
    assert "an unfinished training; go on with --resume or start over with --force" in refused.stderr
    other = aebert("finetune", subnet, "-o", killed, *options, "--seed", "5", "--resume")
    assert other.exit_code == 2
    assert "begun with another seed (0, now 5)" in other.stderr
    resumed = aebert("finetune", subnet, "-o", killed, *options, "--resume", "--json")
    assert resumed.exit_code == 0
    report = json.loads((killed / "finetune.json").read_text())
    assert 10 <= report["training"]["resumed_from_step"] < report["training"]["steps"] == 16
    assert not training_folder(killed).exists()
    assert aebert("finetune", subnet, "-o", whole, *options).exit_code == 0
    assert read_subnet(killed).record.digest == read_subnet(whole).record.digest
    assert all(np.array_equal(value, weights(whole)[name]) for name, value in weights(killed).items())


def divergence(student: Path, teacher: Path, data: TaskData) -> float:
    """Mean KL(teacher || student) on the dev rows."""
    logits = [
        torch.from_numpy(
            predict_logits(load_host_model(at), data.task, fp32_run(load_encoder(at)), data.dev["dev"], 16)
        )
        for at in (student, teacher)
    ]
    return float(logits_loss(*logits, "classification", 1.0))


def test_distillation_brings_the_subnet_closer_to_its_teacher(subnet: Path, dense: Path, tmp_path: Path) -> None:
    # Labels that say the opposite of the teacher: what agreement there is, comes from the teacher.
    rows = tiny_task(120)
    flipped = TaskData(rows.task, [type(row)(row.text, 1 - row.label) for row in rows.train], rows.dev)
    settings = FinetuneSettings(**{**vars(QUICK), "epochs": 5, "learning_rate": 3e-3})
    finetune(subnet, flipped, tmp_path / "alone", settings)
    teacher = Teacher(dense, DistillSettings(logits_weight=1.0, temperature=2.0, hidden_weight=0.1))
    report = finetune(subnet, flipped, tmp_path / "taught", settings, teacher)
    assert divergence(tmp_path / "taught", dense, rows) < divergence(tmp_path / "alone", dense, rows) / 3
    assert report.teacher_digest == load_encoder(dense).digest
    assert zero_counts(read_subnet(tmp_path / "taught").encoder) == zero_counts(read_subnet(subnet).encoder)


def test_the_distillation_loss_is_the_tempered_divergence() -> None:
    student, teacher = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.2, 0.1, -1.0]])
    p, q = (torch.softmax(logits[0].double() / 3, dim=0) for logits in (teacher, student))
    expected = 9 * float((p * (p / q).log()).sum())
    assert float(logits_loss(student, teacher, "classification", 3.0)) == pytest.approx(expected, rel=1e-5)
    assert float(logits_loss(student, teacher, "regression", 3.0)) == pytest.approx(
        float(((student - teacher) ** 2).mean())
    )


def test_padding_does_not_count_between_hidden_states() -> None:
    mask = torch.tensor([[1, 1, 0]])
    student = (torch.zeros(1, 3, 2), torch.zeros(1, 3, 2))
    teacher = (torch.ones(1, 3, 2), torch.tensor([[[1.0, 1.0], [1.0, 1.0], [50.0, 50.0]]]))
    assert float(hidden_loss(student, teacher, mask)) == pytest.approx(1.0)


def test_a_head_of_another_task_is_replaced_and_one_of_the_same_task_kept() -> None:
    sst2, rte = find_task("sst2"), find_task("rte")
    ours = {"id2label": {"0": "negative", "1": "positive"}}
    assert label_order(ours, sst2) == (0, 1)
    assert label_order(ours, rte) is None
    assert label_order({"id2label": {"0": "POSITIVE", "1": "NEGATIVE"}}, sst2) == (1, 0)
    assert label_order({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, rte) == (0, 1)
    assert label_order({}, rte) == (0, 1)
    assert label_order({}, find_task("mnli")) is None


def test_regression_trains_one_output(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [type(row)(row.text, 5.0 * row.label) for row in random_rows(40, 3, pairs=True)]
    data = TaskData(find_task("stsb"), rows, {"dev": rows[:10]})
    report = finetune(tiny_bert, data, tmp_path / "tuned", QUICK)
    assert set(report.dev["dev"]) == {"pearson", "spearman"}
    assert report.training.losses[0][1] > 1.0, "squared error of scores up to 5"


def test_an_unfit_teacher_or_setting_is_refused_before_training(
    subnet: Path, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(AebertError, match="no sequence-classification head"):
        finetune(subnet, tiny_task(), tmp_path / "out", QUICK, Teacher(tiny_models["bert"]))
    with pytest.raises(AebertError, match="no training rows"):
        finetune(subnet, TaskData(find_task("qnli"), [], {}), tmp_path / "other", QUICK)
    with pytest.raises(AebertError, match="epochs: 0 is not more than 0"):
        FinetuneSettings(epochs=0)
    assert not (tmp_path / "out").exists()
    write_tsv(tmp_path / "dev.tsv", ("idx", "sentence1", "sentence2", "label"), (0, "a cat", "a dog", 1))
    refused = aebert("finetune", subnet, "--task", "qnli", "--data", tmp_path, "-o", tmp_path / "out")
    assert refused.exit_code == 2
    assert f"{tmp_path}: no training rows for qnli; add its train file" in refused.stderr
