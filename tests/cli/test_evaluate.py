"""``aebert evaluate`` and ``aebert verify --task``: metrics in fp32, in integers and on a device."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from transformers import AutoConfig, AutoModelForTokenClassification

from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import PackedStates
from aebert.numerics.reference import run_batch
from aebert.support.errors import AebertError
from aebert.tasks import Example, Task, find_task
from aebert.tasks.evaluation import choose_rows, points_lost
from aebert.tasks.predict import fp32_run, integer_run, predict_logits
from codegen.project import Project
from tests.support.command_line import aebert
from tests.support.glue_files import random_rows, write_tsv

pytest_plugins = ["tests.support.host_fixtures"]

MNLI = ("entailment", "neutral", "contradiction")


@pytest.fixture(scope="module")
def mnli(tiny_classifiers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both dev sets; every row but each third has the label that the tiny classifier gives it in fp32."""
    folder = tmp_path_factory.mktemp("mnli")
    model, task = tiny_classifiers["bert"], find_task("mnli")
    for number, name in enumerate(("dev_matched", "dev_mismatched")):
        rows = random_rows(9, number, pairs=True)
        answers = predict_logits(load_host_model(model), task, fp32_run(load_encoder(model)), rows, 32).argmax(axis=1)
        labels = [MNLI[(answer + (row % 3 == 0)) % 3] for row, answer in enumerate(answers)]
        texts = [row.text for row in rows]
        write_tsv(
            folder / f"{name}.tsv",
            ("index", "sentence1", "sentence2", "gold_label"),
            *((row, *text, label) for row, (text, label) in enumerate(zip(texts, labels, strict=True))),
        )
    return folder


def write_text(folder: Path) -> Path:
    """Enough words for a sequence of the design's full length."""
    path = folder / "text.txt"
    path.write_text(
        "the cat sat on the mat a dog ran to the cat\nthe dog sat\na cat ran on a mat to the dog on the mat\n" * 3
    )
    return path


def test_both_dev_sets_of_mnli_are_evaluated_in_fp32_and_in_integers(
    tiny_classifiers: dict[str, Path], mnli: Path
) -> None:
    done = aebert(
        "evaluate", tiny_classifiers["bert"], "--task", "mnli", "--data", mnli, "--reference", "both", "--json"
    )
    assert done.exit_code == 0, done.stderr
    found = done.json["evaluations"]
    assert isinstance(found, list)
    assert [each["dev"] for each in found] == ["dev_matched", "dev_mismatched"]
    for each in found:
        assert each["rows"] == 9
        assert each["fp32"] == {"accuracy": pytest.approx(6 / 9)}
        assert each["loss_points"] == pytest.approx(100 * (6 / 9 - each["integer"]["accuracy"]))


def test_a_project_is_evaluated_with_the_integers_it_holds(tiny_project: Project, mnli: Path) -> None:
    arguments = ("evaluate", tiny_project.directory, "--task", "mnli", "--data", mnli, "--split", "dev_matched")
    done = aebert(*arguments, "--reference", "integer", "--rows", "4", "--json")
    assert done.exit_code == 0, done.stderr
    evaluations = done.json["evaluations"]
    assert isinstance(evaluations, list)
    (found,) = evaluations
    assert (found["rows"], found["fp32"]) == (4, None)
    assert done.json["max_tokens"] == tiny_project.manifest.config.max_length


def test_the_integer_run_is_the_reference_on_every_sequence(tiny_project: Project) -> None:
    host = load_host_model(tiny_project.model_directory)
    states = host.embed_texts(host.tokenise(["the cat sat", "a dog", "the mat sat on a cat"]))
    quantised = tiny_project.quantised
    got = integer_run(quantised)(states)
    assert isinstance(got, PackedStates)
    inputs = np.clip(np.rint(states.values.double().numpy() / quantised.input_scale), -32767, 32767).astype(np.int16)
    ends = np.cumsum(states.lengths)
    outputs = run_batch(
        quantised, [inputs[end - length : end] for end, length in zip(ends, states.lengths, strict=True)]
    )
    np.testing.assert_array_equal(got.values.numpy(), (np.concatenate(outputs) * quantised.output_scale).astype("f4"))


def test_a_model_for_something_else_is_refused_in_one_line(
    tiny_models: dict[str, Path], tiny_classifiers: dict[str, Path], mnli: Path, tmp_path: Path
) -> None:
    write_tsv(tmp_path / "dev.tsv", ("idx", "sentence1", "sentence2", "label"), (0, "a cat", "a dog", 1))
    for model, task, data, message in (
        (tiny_models["bert"], "mnli", mnli, "no sequence-classification head; run 'aebert finetune' first"),
        (tiny_classifiers["bert"], "rte", tmp_path, "its head is not one for rte (entailment, not_entailment)"),
    ):
        done = aebert("evaluate", model, "--task", task, "--data", data)
        assert done.exit_code == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_head_that_is_not_computed_is_named(tmp_path: Path, mnli: Path, tiny_models: dict[str, Path]) -> None:
    directory = tmp_path / "model"
    config = AutoConfig.from_pretrained(tiny_models["bert"])
    AutoModelForTokenClassification.from_config(config).save_pretrained(directory)
    for file in tiny_models["bert"].glob("tokenizer*"):
        shutil.copy(file, directory)
    done = aebert("evaluate", directory, "--task", "mnli", "--data", mnli)
    assert done.exit_code == 2
    assert "no sequence-classification head, but the head of 'BertForTokenClassification'; run" in done.stderr
    done = aebert("export", directory, "-o", tmp_path / "m.onnx")
    assert done.exit_code == 0, done.stderr
    assert "left out: the head of 'BertForTokenClassification'" in done.stderr
    assert "left out" not in aebert("export", tiny_models["bert"], "-o", tmp_path / "m.onnx").stderr


def test_rows_are_chosen_evenly_and_points_are_hundredths() -> None:
    rows = [Example(str(number), 0) for number in range(10)]
    assert [row.text for row in choose_rows(rows, 4)] == ["0", "3", "6", "9"]
    assert choose_rows(rows, 20) is rows
    with pytest.raises(AebertError, match="rows: 0 is too few"):
        choose_rows(rows, 0)
    assert points_lost(0.81, 0.80) == 1.0


def test_labels_in_another_order_are_put_in_the_tasks(tiny_classifiers: dict[str, Path], tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_classifiers["bert"], tmp_path / "model"))
    config = json.loads((model / "config.json").read_text())
    names = ["CONTRADICTION", "ENTAILMENT", "NEUTRAL"]
    config["id2label"] = {str(number): name for number, name in enumerate(names)}
    (model / "config.json").write_text(json.dumps(config))
    rows, task = random_rows(3, 8), find_task("mnli")

    def logits(directory: Path, of: Task) -> list[list[float]]:
        host = load_host_model(directory)
        values: list[list[float]] = predict_logits(host, of, fp32_run(load_encoder(directory)), rows).tolist()
        return values

    plain = logits(tiny_classifiers["bert"], task)
    assert logits(model, task) == [[row[1], row[2], row[0]] for row in plain]


def test_verify_sends_a_dev_set_through_the_device(tiny_project: Project, mnli: Path, tmp_path: Path) -> None:
    report, junit = tmp_path / "verify.json", tmp_path / "verify.xml"
    arguments = ("verify", tiny_project.directory, "--task", "mnli", "--data", mnli, "--rows", 5)
    text = write_text(tmp_path)
    done = aebert(*arguments, "--text", text, "--tokens", 1, "-o", report, "--junit", junit)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "mnli dev_matched: L1 = emulator" in done.stdout
    assert "5 sequences of" in done.stdout
    assert "kernel time (emulated) median" in done.stdout
    matched, mismatched = json.loads(report.read_text())["tasks"]
    assert (matched["rows_of"], mismatched["rows_of"]) == ("dev_matched", "dev_mismatched")
    assert matched["latency"]["source"] == "emulated"
    assert "timed emulation" in matched["latency"]["basis"]
    times = {sequence["length"]: sequence["latency_ms"] for sequence in matched["sequences"]}
    assert times[max(times)] > times[min(times)] > 0, "longer sequences take more cycles"
    assert all(sequence["difference"] is None for sequence in matched["sequences"])
    names = [case.get("name") for case in ElementTree.parse(junit).getroot().iter("testcase")]
    assert names[-4:] == [
        f"mnli {name}: {rung}" for name in ("dev_matched", "dev_mismatched") for rung in ("L1 = emulator", "accuracy")
    ]


def test_verify_names_the_row_whose_bits_are_wrong(tiny_project: Project, mnli: Path, tmp_path: Path) -> None:
    project = Path(shutil.copytree(tiny_project.directory, tmp_path / "project"))
    path = project / "memory" / "weights.bin"
    weights = np.fromfile(path, np.int8)
    weights[: len(weights) // 2] = -weights[: len(weights) // 2]
    weights.tofile(path)
    text = write_text(tmp_path)
    done = aebert("verify", project, "--task", "mnli", "--data", mnli, "--rows", 2, "--text", text, "--tokens", 1)
    assert done.exit_code == 1, done.stderr
    assert "2 of 2 sequences differ; row 0 (" in done.stdout
    assert ", token 0, channel " in done.stdout


def test_verify_wants_task_and_data_together_and_a_head(tiny_project: Project, tmp_path: Path) -> None:
    done = aebert("verify", tiny_project.directory, "--task", "rte")
    assert done.exit_code == 2
    assert "a task needs both --task and --data" in done.stderr
    write_tsv(tmp_path / "dev.tsv", ("idx", "sentence1", "sentence2", "label"), (0, "a cat", "a dog", 1))
    done = aebert("verify", tiny_project.directory, "--task", "rte", "--data", tmp_path)
    assert done.exit_code == 2
    assert "its head is not one for rte" in done.stderr
