"""Which text calibrates the accelerator's integers: the task's training rows, a file, or what ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from aebert.cli.calibration_options import chosen_texts
from aebert.models.calibration_text import calibration_texts, with_short
from aebert.tasks import TaskData, find_task, load_task, split_train
from tests.support.command_line import aebert
from tests.support.glue_files import tiny_task, write_tiny_task

SIZES = ("--tokens", "8", "--out-lanes", "2", "--in-lanes", "4", "--max-seq", "32")


def test_training_rows_that_searches_score_on_come_before_the_text_that_ships(tmp_path: Path) -> None:
    data = tiny_task()
    assert chosen_texts(None, data) == with_short([row.text for row in split_train(data.train).calibration])
    without_train = TaskData(find_task("sst2"), [], data.dev)
    assert chosen_texts(None, without_train) == chosen_texts(None, None) == calibration_texts()
    file = tmp_path / "text.txt"
    file.write_text("a cat\na dog\n")
    assert chosen_texts(file, data) == with_short(["a dog"])


def test_a_project_calibrated_on_a_task_is_the_one_calibrated_on_its_rows_as_text(
    tiny_classifiers: dict[str, Path], tmp_path: Path
) -> None:
    glue = write_tiny_task(tmp_path / "glue")
    lines: list[str] = []
    for row in split_train(load_task("sst2", glue).train).calibration:
        # Every fourth line of a text verifies and does not calibrate.
        lines += ["the cat"] * (len(lines) % 4 == 0) + [str(row.text)]
    text = tmp_path / "text.txt"
    text.write_text("\n".join(lines))
    digests = {}
    for name, options in (("task", ("--task", "sst2", "--data", glue)), ("text", ("--text", text)), ("shipped", ())):
        output = tmp_path / name
        done = aebert("generate", tiny_classifiers["bert"], "--board", "u200", "-o", output, *SIZES, *options, "--json")
        assert done.exit_code == 0, done.stderr
        digests[name] = done.json["digest"]
    assert digests["task"] == digests["text"] != digests["shipped"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--task", "sst2"), "--task: no data; give --data"),
        (("--data", "glue"), "belong to a task; give --task too"),
        (("--task", "sst2", "--data", "glue", "--text", "text.txt"), "either calibrates; leave one out"),
        (("--task", "sst2", "--data", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    tiny_classifiers: dict[str, Path], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    for command in (
        ("generate", tiny_classifiers["bert"], "--board", "u200", "-o", tmp_path / "project"),
        ("export", tiny_classifiers["bert"], "--format", "onnx-int8", "-o", tmp_path / "model.onnx"),
    ):
        done = aebert(*command, *options)
        assert done.exit_code == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
