"""Reports say what a task's metric is at each step from the dense model to the device, and what it cost in time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aebert.report.accuracy import Stage, accuracy_chart
from aebert.report.project_accuracy import recorded_accuracy
from aebert.report.run_accuracy import run_accuracy_chart
from aebert.report.run_charts import pareto_chart
from aebert.report.run_data import RunData, collect_run, final_facts
from aebert.report.run_page import render_run
from aebert.search.run.accuracy_budget import read_choice
from aebert.support.errors import AebertError
from tests.support.budget_run import DEV_ROWS, SCORING_ROWS, task_words, write_budget_run, write_dense
from tests.support.command_line import aebert


@pytest.fixture(scope="module")
def dense(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tiny_bert, tmp_path_factory.mktemp("dense") / "dense")


@pytest.fixture(scope="module")
def run(dense: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_budget_run(dense, tmp_path_factory.mktemp("budget"))


@pytest.fixture(scope="module")
def data(run: Path) -> RunData:
    return collect_run(run)


def rows_of(data: RunData) -> list[tuple[str, ...]]:
    chart = run_accuracy_chart(data)
    assert chart is not None
    return list(chart.table.rows)


def test_the_star_is_what_the_search_was_asked_for(data: RunData) -> None:
    choice = data.choice
    assert choice is not None
    assert choice.chosen is not None
    assert data.aimed is not None
    assert data.aimed.directory == f"front/{choice.chosen.name}"
    stars = [trace for trace in pareto_chart(data).figure.data if trace.marker.symbol == "star"]
    assert [(star.name, list(star.y)) for star in stars] == [
        ("chosen: fastest that loses at most 100 points", [data.aimed.score])
    ]
    # Without a budget it is the best score.
    plain = replace(data, choice=None)
    star = next(trace for trace in pareto_chart(plain).figure.data if trace.marker.symbol == "star")
    assert (star.name, list(star.y)) == ("best score", [data.best.score])


def test_nothing_is_starred_where_nothing_keeps_to_the_budget(data: RunData, run: Path) -> None:
    assert data.choice is not None
    none = replace(data, choice=replace(data.choice, chosen=None, dev={}, max_loss=0.5))
    assert none.aimed is None
    assert not [trace for trace in pareto_chart(none).figure.data if trace.marker.symbol == "star"]
    assert "No subnet of the front loses at most 0.5 points of accuracy" in render_run(none, run / "report.html")


def test_dense_pruned_and_fine_tuned_stand_next_to_their_latencies(data: RunData, run: Path) -> None:
    kept = json.loads((run / "accuracy_budget.json").read_text())
    found = {(name, where): (latency, float(metric), lost) for name, where, latency, metric, lost in rows_of(data)}
    scoring, dev = f"{SCORING_ROWS} scoring rows", f"dev, {DEV_ROWS} rows"
    latency, metric, lost = found["dense model", scoring]
    assert metric == pytest.approx(kept["dense"], abs=1e-4)
    assert (latency, lost) == (f"{data.dense_position.value:.4f} ms (predicted)", "-")
    for member in kept["members"]:
        latency, metric, lost = found[f"fine-tuned front/{member['name']}", scoring]
        assert latency == f"{member['latency_ms']:.4f} ms (predicted)"
        assert metric == pytest.approx(member["metric"], abs=1e-4)
        assert float(lost) == pytest.approx(member["loss_points"], abs=0.006)
        pruned = next(each for each in data.summary.tried if each.directory == f"front/{member['name']}")
        assert found[f"pruned front/{member['name']}", scoring][1] == pytest.approx(
            final_facts(pruned)["metric"], abs=1e-4
        )
    assert found["chosen", dev][1] == pytest.approx(kept["dev"]["dev"]["chosen"], abs=1e-4)
    assert found["dense model", dev][1] == pytest.approx(kept["dev"]["dev"]["dense"], abs=1e-4)


def test_the_page_names_model_budget_and_next_step(data: RunData, run: Path) -> None:
    page = render_run(data, run / "report.html")
    assert f"aebert generate {run}/within_budget --board u200 -o project" in page
    assert 'href="within_budget"' in page
    assert "the fastest that keeps to it once fine-tuned is front/" in page
    assert 'href="#accuracy-title"' in page


def test_a_search_for_fidelity_has_no_metric(data: RunData) -> None:
    plain = replace(data.summary, dense=replace(data.summary.dense, facts={}))
    assert run_accuracy_chart(replace(data, choice=None, summary=plain)) is None


def test_a_damaged_choice_is_refused_by_field(run: Path, tmp_path: Path) -> None:
    assert read_choice(tmp_path) is None
    kept = json.loads((run / "accuracy_budget.json").read_text())
    for change, message in (
        ({"schema_version": 9}, "field schema_version: must be 1|field schema_version"),
        ({"max_loss": "much"}, "field max_loss"),
        ({"members": [{}]}, r"field members\[0\]\.name"),
    ):
        (tmp_path / "accuracy_budget.json").write_text(json.dumps({**kept, **change}))
        with pytest.raises(AebertError, match=message):
            read_choice(tmp_path)
    (tmp_path / "accuracy_budget.json").write_text("{")
    with pytest.raises(AebertError, match="not valid JSON"):
        read_choice(tmp_path)


@pytest.fixture(scope="module")
def project(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "project"
    assert aebert("generate", run / "within_budget", "--board", "pynq-z2", "-o", folder).exit_code == 0
    return folder


def test_a_project_tells_what_was_recorded_of_its_subnet(project: Path, run: Path) -> None:
    choice = read_choice(run)
    assert choice is not None
    assert choice.chosen is not None
    found = recorded_accuracy(project / "model", "1 ms (emulated)", "2 ms (predicted)")
    assert found is not None
    assert [(stage.form, stage.latency) for stage in found.stages] == [
        ("dense", "2 ms (predicted)"),
        ("pruned", "1 ms (emulated)"),
        ("fine-tuned", "1 ms (emulated)"),
        ("dense", "2 ms (predicted)"),
        ("fine-tuned", "1 ms (emulated)"),
    ]
    assert [stage.value for stage in found.stages if stage.form == "fine-tuned"] == [
        choice.chosen.metric,
        choice.dev["dev"].chosen,
    ]
    assert found.lowest_allowed == choice.dense - 1.0


def test_a_project_is_measured_from_dense_to_device(project: Path, dense: Path, tmp_path: Path) -> None:
    task = task_words(tmp_path)
    page = tmp_path / "report.html"
    done = aebert("--json", "report", project, *task, "--rows", 6, "--dense", dense, "-o", page)
    assert done.exit_code == 0, done.stderr
    (accuracy,) = done.json["accuracy"]
    stages = {stage["form"]: stage for stage in accuracy["stages"]}
    assert list(stages) == ["dense", "fine-tuned", "integers", "device"]
    assert stages["device"]["value"] == stages["integers"]["value"]
    assert {stage["rows"] for stage in stages.values()} == {"sst2 dev, 6 rows"}
    evaluated = aebert("--json", "evaluate", dense, *task, "--rows", 6).json["evaluations"]
    assert stages["dense"]["value"] == evaluated[0]["fp32"]["accuracy"]
    assert "ms (emulated, median row)" in stages["device"]["latency"]
    assert "ms (predicted)" in stages["dense"]["latency"]
    text = page.read_text(encoding="utf-8")
    assert "predicted for the dense model on this design" in text
    assert "aebert build " in text


def test_another_dense_model_is_refused(project: Path, tiny_classifiers: dict[str, Path], tmp_path: Path) -> None:
    other = aebert(
        "report", project, *task_words(tmp_path), "--dense", tiny_classifiers["bert"], "-o", tmp_path / "r.html"
    )
    assert other.exit_code == 2
    assert "not the model that the project's subnet was pruned from" in other.stderr
    assert not (tmp_path / "r.html").exists()


def test_options_that_belong_to_a_task_need_one(project: Path, run: Path, dense: Path) -> None:
    for arguments, message in (
        ((project, "--dense", dense), "--dense and --rows belong to a task"),
        ((project, "--task", "sst2"), "a task needs both --task and --data"),
        ((run, "--rows", 3), "leave --rows out"),
    ):
        done = aebert("report", *arguments)
        assert done.exit_code == 2
        assert message in done.stderr


def test_points_lost_are_against_the_dense_model_on_the_same_rows() -> None:
    stages = [
        Stage("dense", "dense", "scoring", 0.9, "-"),
        Stage("pruned", "pruned", "scoring", 0.85, "-"),
        Stage("device", "board", "dev", 0.7, "-"),
    ]
    rows = accuracy_chart(stages, "f1", "", "").table.rows
    assert [row[-1] for row in rows] == ["-", "5.00", "-"]
