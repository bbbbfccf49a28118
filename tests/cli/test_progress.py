"""Whatever takes its time says how far it is: every step begins at nothing, moves, ends, and comes once."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path

import pytest

from aebert.cli.main import COMMANDS
from aebert.cli.output import Output
from aebert.cli.progress import step_progress
from aebert.support.progress import Progress
from tests.support.budget_run import search_here, task_words, write_budget_run, write_dense
from tests.support.command_line import aebert

Calls = list[tuple[str, int, int]]

# What each command does that takes seconds on a model of ordinary size (MiniLM-L6 on two cores), in its order.
STEPS = {
    "prune": ["prune", "compare with dense"],
    "refine": ["prune", "compare with dense"],
    "search": [
        "rows for vector:4x1",
        "weights of vector:4x1",
        *(f"refine {number} of 4" for number in range(1, 5)),
        "refine on all texts 1 of 1",
    ],
    "finetune": ["fine-tuning", "evaluating dev"],
    "evaluate": ["quantise", "dev, fp32", "dev, integer reference"],
    "generate": ["quantise", "attribute error", "pack", "golden vectors", "write"],
    "verify": ["open device", "fp32 against integers", "integers against device"],
    "emulate": ["open device", "emulate"],
    "run": ["open device", "run"],
    "export": ["quantise"],
    "report": ["open device", "fp32 against integers", "integers against device", "timed emulation"],
}


# Of commands that have one step, or count what they go through.
TRACKED = {
    "import": "read the graph and check it",
    "build": "compile the emulator",
    "schedule": "schedule the kernel's loops",
    "measure": "measure",
    "timed emulation": "timed emulation",
    "explore": "predicting",
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    told: Calls = []

    @contextmanager
    def recorded(output: Output) -> Iterator[Progress]:
        yield lambda step, done, total: told.append((step, done, total))

    # Before the commands are imported, and where they were already.
    monkeypatch.setattr("aebert.cli.progress.step_progress", recorded)
    for command in COMMANDS.values():
        module = importlib.import_module(command.module)
        if hasattr(module, "step_progress"):
            monkeypatch.setattr(module, "step_progress", recorded)
    return told


@pytest.fixture(scope="module")
def dense(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dense(tiny_bert, tmp_path_factory.mktemp("dense") / "dense")


@pytest.fixture(scope="module")
def project(dense: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "project"
    assert aebert("generate", dense, "--board", "pynq-z2", "-o", folder).exit_code == 0
    return folder


@pytest.mark.parametrize("command", STEPS)
def test_every_step_of_a_command_moves_from_nothing_to_its_end_once(
    command: str, calls: Calls, dense: Path, project: Path, tmp_path: Path
) -> None:
    task = task_words(tmp_path)
    out = ["-o", tmp_path / "out"]
    arguments: dict[str, list[object]] = {
        "prune": ["prune", dense, "--ratio", 0.5, "--compensate", *out],
        "refine": ["prune", dense, "--ratio", 0.5, "--refine", *out],
        "search": ["search", dense, "--ratio", 0.5, "--candidates", 4, "--sampler", "random", "--levels", 4, *out],
        "finetune": ["finetune", dense, *task, "--epochs", 1, *out],
        "evaluate": ["evaluate", dense, *task, "--reference", "both"],
        "generate": ["generate", dense, "--board", "pynq-z2", *out],
        "verify": ["verify", project],
        "emulate": ["emulate", project],
        "run": ["run", project, "--text", "a cat"],
        "export": ["export", dense, "--format", "onnx-int8", *out],
        "report": ["report", project, "-o", tmp_path / "report.html"],
    }
    with search_here():
        done = aebert(*arguments[command])
    assert done.exit_code == 0, done.stderr
    assert list(dict.fromkeys(step for step, _, _ in calls)) == STEPS[command]
    check_steps(calls)


@pytest.mark.parametrize("command", TRACKED)
def test_a_command_of_one_step_says_what_it_does_and_goes_through_all_of_it(
    command: str, dense: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, track = tmp_path / "model.onnx", Output.track
    assert aebert("export", dense, "-o", graph).exit_code == 0
    gone_through: list[tuple[str, int, int | None]] = []

    def recorded(
        output: Output, items: Iterable[object], description: str, total: int | None = None
    ) -> Iterator[object]:
        whole = len(items) if isinstance(items, Sized) else total
        for number, item in enumerate(track(output, items, description, total), start=1):
            yield item
            gone_through.append((description, number, whole))

    monkeypatch.setattr(Output, "track", recorded)
    arguments: dict[str, list[object]] = {
        "import": ["import", graph, "-o", tmp_path / "imported"],
        "build": ["build", project],
        "schedule": ["schedule", project],
        "measure": ["measure", project],
        "timed emulation": ["emulate", project, "--timed"],
        "explore": ["explore", "minilm-l6", "--board", "u200", "--length", 32],
    }
    done = aebert(*arguments[command])
    assert done.exit_code in (0, 1), done.stderr  # 1: a loop of the schedule misses its clock
    assert {description for description, _, _ in gone_through} == {TRACKED[command]}
    assert gone_through[-1][1] == gone_through[-1][2]


def test_the_measured_surrogate_and_the_front_have_steps_of_their_own(
    calls: Calls, dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with search_here():
        done = aebert("search", dense, "--ratio", 0.5, "--candidates", 4, "--levels", 4, "-o", tmp_path / "measured")
    assert done.exit_code == 0, done.stderr
    check_steps(calls)
    assert any("sensitiv" in step for step, _, _ in calls)
    calls.clear()
    told: Calls = []

    @contextmanager
    def recorded(output: Output) -> Iterator[Progress]:
        yield lambda step, done, total: told.append((step, done, total))

    monkeypatch.setattr("aebert.cli.accuracy_budget.step_progress", recorded)
    write_budget_run(dense, tmp_path)
    check_steps(told)
    assert {step for step, _, _ in told} >= {"fine-tuning 1 of 2", "fine-tuning 2 of 2"}


def check_steps(calls: Calls) -> None:
    """Each step begins at 0, never goes back, ends at its total, and does not begin again."""
    ended: set[str] = set()
    place: dict[str, tuple[int, int]] = {}
    for step, done, total in calls:
        assert step not in ended or done == total, f"{step} is told again after its end"
        before, known = place.get(step, (0, total))
        assert step in place or done == 0, f"{step} begins at {done} of {total}"
        assert done >= before, f"{step} goes back from {before} to {done}"
        assert total == known, f"{step} is of {known}, then of {total}"
        place[step] = done, total
        if done == total:
            ended.add(step)
    assert ended == set(place), f"{set(place) - ended} never end"


def test_a_step_that_goes_on_for_long_is_not_silent_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("aebert.cli.progress.time.monotonic", lambda: now)
    with step_progress(Output()) as progress:
        for done in range(8):
            progress("weights", done, 8)
            now += 20.0
        progress("weights", 8, 8)
    assert [line for line in capsys.readouterr().err.splitlines() if "..." not in line] == [
        "weights: 2 of 8 after 40 s",
        "weights: 4 of 8 after 80 s",
        "weights: 6 of 8 after 120 s",
        "weights: 160.0 s",
    ]
