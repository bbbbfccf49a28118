"""``aebert run``: texts in, labels or embeddings out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codegen.project import Project
from tests.support.command_line import Finished, aebert

pytest_plugins = ["tests.support.host_fixtures"]


def run(*arguments: object) -> Finished:
    return aebert("run", *arguments)


def test_labels_come_with_their_scores(tiny_project: Project) -> None:
    done = run(tiny_project.directory, "--text", "the cat sat", "--text", "a dog", "--json")
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["device"], answer["source"]) == ("emulator", "emulated")
    assert [result["text"] for result in answer["results"]] == ["the cat sat", "a dog"]
    for result in answer["results"]:
        assert sum(result["scores"].values()) == pytest.approx(1.0, abs=1e-6)
        assert result["scores"][result["label"]] == max(result["scores"].values())
    shown = run(tiny_project.directory, "--text", "the cat sat", "--text", "a dog").stdout.splitlines()
    for line, result in zip(shown, answer["results"], strict=True):
        assert line == f"{result['label']}  {result['scores'][result['label']]:.4f}  {result['text']}"


def test_both_emulated_devices_give_the_same_embeddings_for_a_file_of_pairs(
    tiny_project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "texts.tsv"
    file.write_text("the cat sat\ta dog ran\nthe dog\n")
    answers = [
        json.loads(run(tiny_project.directory, "--file", file, "--embeddings", "--json", "--device", device).stdout)
        for device in ("emulator", "pynq-emulator:2")
    ]
    assert answers[0]["results"] == answers[1]["results"]
    assert answers[0]["results"][0]["text"] == ["the cat sat", "a dog ran"]
    embedding = answers[0]["results"][1]["embedding"]
    assert len(embedding) == 32
    assert sum(value * value for value in embedding) == pytest.approx(1.0, abs=1e-5)


def test_without_text_the_options_are_named(tiny_project: Project) -> None:
    done = run(tiny_project.directory)
    assert done.exit_code == 2
    assert "give --text or --file" in done.stderr


def test_a_folder_that_is_no_project_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "--text", "a")
    assert done.exit_code == 2
    assert str(tmp_path / "manifest.json") in done.stderr
