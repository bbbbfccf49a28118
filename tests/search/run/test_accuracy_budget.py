"""``aebert search --max-loss``: the fastest fine-tuned subnet within the loss, chosen without the development set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import aebert.search.run.accuracy_budget as accuracy_budget
from aebert.finetuning import FinetuneSettings
from aebert.models.encoder import FloatArray
from aebert.search.run.accuracy_budget import TunedMember, fastest_within, paired_standard_error
from aebert.tasks import Example, Task, find_task
from tests.support.budget_run import SCORING_ROWS, search_here, search_words, task_words, write_budget_run, write_dense
from tests.support.command_line import aebert as command_line
from tests.support.glue_files import write_tiny_task


@pytest.fixture(scope="module")
def dense(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tiny_bert, tmp_path_factory.mktemp("dense") / "dense")


def member(name: str, latency_ms: float | None, loss: float, kept: int = 1) -> TunedMember:
    return TunedMember(name, Path(name), latency_ms, kept, 1 - loss / 100, loss)


def test_the_fastest_within_the_loss_is_chosen_and_not_the_best() -> None:
    members = [member("00", 1.0, 3.0), member("01", 2.0, 0.9), member("02", 3.0, -0.5), member("03", 2.0, 1.0, 0)]
    assert fastest_within(members, 1.0) == members[3]
    assert fastest_within(members, 0.95) == members[1]
    assert fastest_within(members, 0.0) == members[2]
    assert fastest_within(members, -1.0) is None
    assert fastest_within([member("00", None, 0.0, 5), member("01", None, 0.0, 4)], 1.0) == member("01", None, 0.0, 4)


def test_the_standard_error_is_that_of_paired_rows() -> None:
    task = find_task("sst2")
    labels = [row % 2 for row in range(400)]
    right = np.eye(2, dtype=np.float32)[labels]
    # One row in ten is lost: the difference of each row is 1 with probability p = 0.1.
    worse = np.where((np.arange(400) % 10 == 0)[:, None], 1 - right, right).astype(np.float32)
    expected = 100 * (0.1 * 0.9 / 400) ** 0.5
    assert paired_standard_error(task, right, worse, labels) == pytest.approx(expected, rel=0.15)
    assert paired_standard_error(task, worse, worse, labels) == 0


def test_one_command_searches_fine_tunes_chooses_and_reads_dev_once(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, int]] = []
    predict = accuracy_budget._logits

    def watched(directory: Path, task: Task, rows: Sequence[Example], settings: FinetuneSettings) -> FloatArray:
        read.append((directory.name, len(rows)))
        return predict(directory, task, rows, settings)

    monkeypatch.setattr(accuracy_budget, "_logits", watched)
    arguments = search_words(dense, tmp_path)
    with search_here():
        ran = command_line(*arguments, "--max-loss", 100, "--json")
    assert ran.exit_code == 0, ran.stderr
    assert ran.json["next"] == f"aebert generate {tmp_path}/run/within_budget --board u200 -o project"
    kept = json.loads((tmp_path / "run" / "accuracy_budget.json").read_text())
    members = kept["members"]
    assert kept["chosen"]["latency_ms"] == min(each["latency_ms"] for each in members)
    assert (tmp_path / "run" / "within_budget" / "subnet.json").is_file()
    assert kept["dev"]["dev"]["rows"] == 24
    # Scoring rows of all, then the development set of the dense model and of the chosen one.
    assert read[-2:] == [("dense", 24), (kept["chosen"]["name"], 24)]
    assert all(rows == 60 for _, rows in read[:-2])
    for each in members:
        assert json.loads((tmp_path / "run" / each["directory"] / "finetune.json").read_text())["dev"] == {}
    # Again, with a loss that nothing keeps to: what is tuned stays, the answer is no, and dev is not read.
    read.clear()
    before = (tmp_path / "run" / members[0]["directory"] / "model.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(accuracy_budget, "fastest_within", lambda members, most: None)
    with search_here():
        again = command_line(*arguments, "--max-loss", 0, "--resume")
    assert again.exit_code == 1
    metric = ran.json["best"]["calibration"]["metric"]  # of the best as it is written, on the scoring rows
    assert f", metric {metric:.4f}, pattern vector:2x1" in again.stdout
    assert "none loses at most 0 points" in again.stdout
    assert all(rows == 60 for _, rows in read)
    assert (tmp_path / "run" / members[0]["directory"] / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--board", "u200"], "--max-loss: is of a task's metric; give --task and --data too"),
        (["--task", "sst2", "--data", "glue"], "--max-loss: asks for the smallest latency; name a board"),
    ],
)
def test_a_loss_needs_a_task_and_a_board(tmp_path: Path, arguments: list[str], message: str) -> None:
    ran = command_line("search", tmp_path, "-o", tmp_path / "run", "--max-loss", 1, *arguments)
    assert ran.exit_code == 2
    assert message in ran.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_front_is_refused(tmp_path: Path) -> None:
    glue = write_tiny_task(tmp_path / "glue")
    ran = command_line("finetune", tmp_path, "--front", "--task", "sst2", "--data", glue)
    assert ran.exit_code == 2
    assert "no front of a search" in ran.stderr


@pytest.mark.parametrize("change", [["--scoring-rows", 50], ["--split-seed", 1]])
def test_the_front_is_not_trained_on_the_rows_that_chose_it(dense: Path, tmp_path: Path, change: list[object]) -> None:
    run = write_budget_run(dense, tmp_path)
    task = task_words(tmp_path)
    same = ["finetune", run, "--front", *task, "--scoring-rows", SCORING_ROWS, "--epochs", 1]
    assert command_line(*same).exit_code == 0
    refused = command_line(*same, *change)
    assert refused.exit_code == 2
    assert "the search scored on other rows than these options set aside" in refused.stderr
