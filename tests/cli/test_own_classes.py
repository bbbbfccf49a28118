"""Data of one's own with a model that has classes: every command that reads a task takes them from the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from aebert.cli import calibration_options, task_options
from aebert.cli.task_options import read_task_data
from aebert.models.host_model import load_host_model
from aebert.models.labels import LARGEST_HEAD, head_classes, output_names
from aebert.support.errors import AebertError
from aebert.tasks.predict import label_order, required_label_order
from tests.support.command_line import aebert
from tests.support.glue_files import random_rows
from tests.support.projects import write_tiny_project

NAMES = ("bad", "neutral", "good")
COLUMNS = ("--task", "own", "--text-columns", "text", "--label-column", "label")


@pytest.fixture(scope="module")
def model(tiny_classifiers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes with names."""
    folder = Path(shutil.copytree(tiny_classifiers["bert"], tmp_path_factory.mktemp("named") / "model"))
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = dict(enumerate(NAMES))
    config["label2id"] = {name: number for number, name in enumerate(NAMES)}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_rows(folder: Path, labels: tuple[object, ...]) -> Path:
    """Rows in train and dev with ``labels`` in turn."""
    folder.mkdir()
    for name, count in (("train", 300), ("dev", 6)):
        rows = [
            json.dumps({"text": row.text, "label": labels[number % len(labels)]})
            for number, row in enumerate(random_rows(count, count))
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("labels", [(0, 2), ("bad", "good")], ids=["integers", "names"])
def test_every_command_of_a_task_takes_the_classes_of_the_model(
    model: Path, tmp_path: Path, labels: tuple[object, ...]
) -> None:
    """The second class is nowhere in the data: without the model there would be two."""
    data = ("--data", write_rows(tmp_path / "data", labels), *COLUMNS)
    search = ("--ratio", "0.5", "--candidates", "2", "--workers", "1", "--sampler", "random", "--saliency", "magnitude")
    for words in (
        ("evaluate", model, *data, "--rows", "4"),
        ("export", model, *data, "--format", "onnx-int8", "-o", tmp_path / "model.onnx"),
        ("search", model, *data, *search, "-o", tmp_path / "run"),
        ("finetune", tmp_path / "run" / "best", *data, "--epochs", "1", "-o", tmp_path / "tuned"),
        ("report", tmp_path / "run", "-o", tmp_path / "report.html"),
    ):
        done = aebert(*words)
        assert done.exit_code == 0, f"{words[0]}: {done.stderr}{done.stdout}"
    tuned = json.loads((tmp_path / "tuned" / "config.json").read_text())
    assert list(tuned["id2label"].values()) == list(NAMES)
    # What generate, verify and report read of the task; the commands compile and schedule a kernel besides.
    project = write_tiny_project(model, tmp_path / "project")
    asked = ("own", str(tmp_path / "data"), "text", "label", None)
    for folder in (project, tmp_path / "run"):
        assert read_task_data(*asked, model=folder).task.labels == NAMES
    calibrating = calibration_options.optional_task_data(model, None, *asked)
    assert calibrating is not None
    assert calibrating.task.labels == NAMES
    verifying = task_options.optional_task_data(project, *asked)
    assert verifying is not None
    assert verifying.task.labels == NAMES
    required_label_order(load_host_model(project / "model"), verifying.task)


def test_a_model_without_a_head_has_no_classes_and_a_teacher_lends_its_own(
    tiny_models: dict[str, Path], model: Path, tmp_path: Path
) -> None:
    assert head_classes(tiny_models["bert"]) == ()
    data = write_rows(tmp_path / "data", ("bad", "good"))
    words = ("finetune", tiny_models["bert"], "--data", data, *COLUMNS, "--epochs", "1")
    assert aebert(*words, "-o", tmp_path / "alone").exit_code == 0
    alone = json.loads((tmp_path / "alone" / "config.json").read_text())
    assert list(alone["id2label"].values()) == ["bad", "good"]
    done = aebert(*words, "--distill", model, "-o", tmp_path / "taught")
    assert done.exit_code == 0, done.stderr
    taught = json.loads((tmp_path / "taught" / "config.json").read_text())
    assert list(taught["id2label"].values()) == list(NAMES)


def test_whole_numbers_for_a_head_of_one_output_are_a_regression(
    tiny_classifiers: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_classifiers["bert"], tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "score"}
    (folder / "config.json").write_text(json.dumps(config))
    data = write_rows(tmp_path / "data", (1, 5))
    found = read_task_data("own", str(data), "text", "label", None, model=folder)
    assert found.task.kind == "regression"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_labels", 10**9, f"1000000000 labels, more than {LARGEST_HEAD}"),
        ("num_labels", -1, "field 'num_labels' is -1"),
        ("num_labels", "3", "field 'num_labels' is '3'"),
        ("id2label", ["a", "b"], r"field 'id2label' is \['a', 'b'\]"),
        ("id2label", {"1": "a", "2": "b"}, "must name the outputs '0' to '1', each differently"),
        ("id2label", {"0": "a", "1": "a"}, "each differently"),
        ("id2label", {"0": "a", "1": None}, "must name the outputs"),
    ],
)
def test_labels_that_name_no_outputs_are_refused_where_they_stand(field: str, value: object, message: str) -> None:
    with pytest.raises(AebertError, match=rf"^x/config\.json: .*{message}"):
        output_names({field: value}, "x/config.json")


def test_a_billion_labels_end_every_command_at_once(model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    del config["id2label"], config["label2id"]
    config["num_labels"] = 10**9
    (folder / "config.json").write_text(json.dumps(config))
    data = ("--data", write_rows(tmp_path / "data", (0, 1)), *COLUMNS)
    for words in (
        ("evaluate", folder, *data),
        ("generate", folder, *data, "--board", "u200", "-o", tmp_path / "out"),
        ("export", folder, "-o", tmp_path / "out"),
        ("prune", folder, "--ratio", "0.5", "-o", tmp_path / "out"),
        ("finetune", folder, *data, "-o", tmp_path / "out"),
    ):
        done = aebert(*words)
        assert (done.exit_code, "1000000000 labels" in done.stderr) == (2, True), f"{words[0]}: {done.stderr}"


def test_names_of_a_task_in_another_order_are_still_found() -> None:
    from aebert.tasks import find_task

    assert label_order({"id2label": {"0": "POSITIVE", "1": "NEGATIVE"}}, find_task("sst2")) == (1, 0)
