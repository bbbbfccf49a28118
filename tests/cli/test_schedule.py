"""``aebert schedule`` on a small project, and what becomes of its result."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from codegen.project import load_project
from codegen.schedule import stored_schedule as stored_schedules
from codegen.schedule.stored_schedule import stored_schedule
from host.emulated.timed_run import time_project
from tests.support.command_line import aebert
from tests.support.projects import write_tiny_project


@pytest.fixture(scope="module")
def project(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_project(tiny_bert, tmp_path_factory.mktemp("schedule") / "project")


def test_every_loop_has_a_row_and_its_ii_at_the_boards_clock(project: Path) -> None:
    shown = aebert("schedule", project, "--clock", 300)
    assert shown.exit_code == 0
    table = [line.split() for line in shown.stdout.splitlines()]
    rows = {words[0]: words for words in table if words and words[0].count(".") == 1}
    assert {"engine.Steps", "requantise.Vectors", "layer_norm.Scales", "read_weights.Words"} <= set(rows)
    assert rows["engine.Steps"][1:3] == ["1", "1"]


def test_what_misses_a_clock_ends_in_exit_code_1_and_is_named_by_its_lines(project: Path) -> None:
    shown = aebert("schedule", project, "--clock", 500, "--json")
    assert shown.exit_code == 1
    slow = [loop for loop in shown.json["loops"] if loop["misses"]]
    for loop in slow:
        places = [step["line"].partition(":") for step in loop["critical"] if step["line"]]
        for file, _, number in places:
            text = (project / "kernel" / Path(file).name).read_text(encoding="utf-8").splitlines()
            assert 0 < int(number) <= len(text)
    assert any(step["line"] for loop in slow for step in loop["critical"])


def test_a_slower_clock_is_no_worse(project: Path) -> None:
    def misses(clock: int) -> set[str]:
        found = aebert("schedule", project, "--clock", clock, "--json").json
        return {loop["loop"] for loop in found["loops"] if loop["misses"]}

    assert misses(300) < misses(500)


def test_what_was_scheduled_is_kept_for_the_user_and_not_in_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEBERT_EMULATOR_CACHE", str(tmp_path))
    loaded = load_project(project)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    first = stored_schedule(project, loaded.manifest)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    monkeypatch.setattr(stored_schedules, "schedule_kernel", None)
    assert stored_schedule(project, loaded.manifest) == first


def test_a_schedule_that_a_project_brings_along_is_not_believed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEBERT_EMULATOR_CACHE", str(tmp_path / "cache"))
    loaded = load_project(project)
    first = stored_schedule(project, loaded.manifest)
    (kept,) = [path for path in (tmp_path / "cache").rglob("*.json") if '"table"' in path.read_text(encoding="utf-8")]
    content = json.loads(kept.read_text(encoding="utf-8"))
    content["supported_mhz"] = 1.0
    brought = project / "build" / "schedules" / kept.name
    brought.parent.mkdir(parents=True)
    for name in (brought, project / "build" / "schedule.json"):
        name.write_text(json.dumps(content), encoding="utf-8")
    kept.unlink()
    assert stored_schedule(project, loaded.manifest) == first


def test_timed_emulation_counts_with_the_scheduled_ii(project: Path) -> None:
    run = time_project(load_project(project), [8])
    engine = next(schedule for schedule in run.schedules if schedule.loop == "engine.Steps")
    assert (engine.source, engine.ii) == ("scheduled", 1)
    steps = sum(item.engine_steps for item in run.work)
    assert run.result.checked_cycles() > steps


def test_an_estimate_says_that_it_rests_on_the_schedule(project: Path) -> None:
    found = aebert("estimate", project, "--json").json
    assert "schedule of the kernel's loops" in found["basis"]["clock"]
    assert "as scheduled" in found["basis"]["cycles"]


def test_bad_input_ends_in_one_line(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert aebert("schedule", tmp_path).exit_code == 2
    assert aebert("schedule", project, "--clock", 0).exit_code == 2
    present = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: None if name == "ziglang" else present(name, package)
    )
    missing = aebert("schedule", project)
    assert missing.exit_code == 2
    assert "ziglang is not installed; run pip install 'aebert[schedule]'" in missing.stderr
    assert "Traceback" not in missing.stderr
    # Without it timed emulation goes on with the operator table.
    run = time_project(load_project(project), [8])
    assert {schedule.source for schedule in run.schedules} == {"operator table"}


def test_code_of_an_older_generator_is_told_to_be_generated_again(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "project"
    (old / "kernel").mkdir(parents=True)
    for path in (project / "kernel").iterdir():
        text = path.read_text(encoding="utf-8").replace("aebert_iteration(__LINE__)", "")
        (old / "kernel" / path.name).write_text(text, encoding="utf-8")
    (old / "manifest.json").write_bytes((project / "manifest.json").read_bytes())
    shown = aebert("schedule", old)
    assert shown.exit_code == 2
    assert "generate the project again" in shown.stderr
