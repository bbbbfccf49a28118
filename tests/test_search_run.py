"""``aebert search``: from a model and text to subnets, stopped with Ctrl-C and taken up again."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import aebert.search_model
from aebert.cli.finetune import command as finetune_command
from aebert.cli.main import main
from aebert.errors import AebertError
from aebert.models import load_encoder
from aebert.search.executor import Executor, Specs
from aebert.search.measurer import Finalist, Measurement
from aebert.search.run_directory import RunDirectory, locked
from aebert.search.search import SearchSettings
from aebert.search.space import Goal
from aebert.search_model import CalibrationRows, Found, SearchPlan, Workers, search
from aebert.subnet import read_subnet
from tests.support.command_line import aebert as command_line
from tests.support.tiny_search import HereExecutor, LinearCosts, tiny_texts

PLAN = SearchPlan(
    Goal(0.5, 0.5),
    ("vector:2x1",),
    sampler="random",
    levels=8,
    settings=SearchSettings(candidates=4, batch=4, job=4),
)
ROWS = CalibrationRows(tiny_texts())


@contextmanager
def _here(specs: Specs, workers: Workers) -> Iterator[Executor]:
    yield HereExecutor(specs)


@pytest.fixture(autouse=True)
def search_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker processes: tests of the executor start those."""
    monkeypatch.setattr(aebert.search_model, "_executor", _here)


@pytest.fixture(scope="module")
def found(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search with a range of ratios and a cost model, so that there is a front."""
    patch = pytest.MonkeyPatch()
    patch.setattr(aebert.search_model, "_executor", _here)
    plan = replace(PLAN, goal=Goal(0.2, 0.6), settings=replace(PLAN.settings, candidates=8))
    result = search(tiny_bert, tmp_path_factory.mktemp("search") / "run", ROWS, plan, costs=LinearCosts())
    patch.undo()
    return result


def test_the_best_subnet_is_the_candidate_with_the_best_score(found: Found, tiny_bert: Path) -> None:
    subnet = read_subnet(found.run.best)
    assert found.best.value == max(item.outcome.value for item in found.result.history if not item.outcome.lost)
    candidate = found.best.trial.trial.proposal.candidate
    shape = load_encoder(tiny_bert).shape
    assert subnet.record.overall_ratio == pytest.approx(candidate.overall_ratio(shape))
    for (layer, name), ratio in candidate.ratios(shape).items():
        assert subnet.record.matrix_ratios[layer][name] == pytest.approx(ratio)
    assert subnet.record.scores["calibration_value"] == found.best.value
    assert subnet.record.source_digest == load_encoder(tiny_bert).digest
    assert found.best.latency is not None
    assert subnet.record.scores["latency_ms_predicted"] == found.best.latency.ms


def test_the_front_is_saved_as_subnets_that_trade_score_for_latency(found: Found) -> None:
    entries = json.loads((found.run.front / "front.json").read_text())
    assert len(entries) == len(found.front) >= 2
    latencies = [entry["latency"]["ms"] for entry in entries]
    scores = [entry["score"] for entry in entries]
    assert latencies == sorted(latencies)
    assert scores == sorted(scores)
    for entry in entries:
        record = read_subnet(found.run.front / entry["directory"]).record
        assert record.scores["calibration_value"] == entry["score"]
        assert entry["latency"]["source"].startswith("predicted")
    assert [entry["best"] for entry in entries] == [False] * (len(entries) - 1) + [True]


def test_a_run_of_other_settings_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(tiny_bert, run, ROWS, PLAN)
    with pytest.raises(AebertError, match="use --resume to go on"):
        search(tiny_bert, run, ROWS, PLAN)
    others = {
        "ratio 0.5, not 0.4": replace(PLAN, goal=Goal(0.4, 0.5)),
        "seed 0, not 7": replace(PLAN, settings=replace(PLAN.settings, seed=7)),
        "pattern vector:2x1, not unstructured": replace(PLAN, patterns=("unstructured",)),
    }
    for words, plan in others.items():
        with pytest.raises(AebertError, match=words) as refused:
            search(tiny_bert, run, ROWS, plan, resume=True)
        assert "\n" not in str(refused.value)
    with pytest.raises(AebertError, match="calibration rows"):
        search(tiny_bert, run, CalibrationRows(tiny_texts(60)), PLAN, resume=True)
    more = search(tiny_bert, run, ROWS, replace(PLAN, settings=replace(PLAN.settings, candidates=6)), resume=True)
    assert len(more.result.history) == 6


def test_two_searches_do_not_share_a_folder(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, "name")
    with locked(run), pytest.raises(AebertError, match="another search is running here"), locked(run):
        pass
    with locked(run):
        pass


def test_a_folder_of_something_else_is_left_alone(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AebertError, match="exists and is not a search"):
        search(tiny_bert, tmp_path, ROWS, PLAN)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@dataclass
class SlowDevice:
    """Takes three times what was predicted, and breaks at every second subnet."""

    seen: list[Finalist] = field(default_factory=list)

    def measure(self, finalists: Sequence[Finalist]) -> list[Measurement]:
        measured = []
        for finalist in finalists:
            subnet = read_subnet(finalist.directory)
            assert subnet.record.pattern == finalist.candidate.pattern
            self.seen.append(finalist)
            if len(self.seen) % 2:
                latency = 3e-6 * sum(finalist.candidate.kept)
                measured.append(Measurement(finalist.candidate, latency, "emulated", "emulator", "design"))
        return measured


def test_devices_in_the_loop_decide_what_is_fast_enough(tiny_bert: Path, tmp_path: Path) -> None:
    device = SlowDevice()
    # A nanosecond for each unit was predicted: half of the 8192 units, and a sixth as it turns out.
    plan = replace(PLAN, goal=Goal(0.0, 0.95, 0.004096), settings=replace(PLAN.settings, candidates=12))
    run = tmp_path / "run"
    result = search(tiny_bert, run, ROWS, plan, costs=LinearCosts(), measurer=device)
    first, second, third = (
        [item.trial for item in result.result.history if item.trial.round == number] for number in range(3)
    )
    assert all(sum(item.proposal.candidate.kept) > 4000 for item in first)
    for item in [*second, *third]:
        assert sum(item.proposal.candidate.kept) * 3e-6 <= plan.goal.latency_ms
    assert len({finalist.candidate for finalist in device.seen if finalist.directory.exists()}) == 0
    assert result.best.latency is not None
    assert result.best.latency.ms <= plan.goal.latency_ms
    if result.best.measured:
        assert read_subnet(result.run.best).record.scores["latency_ms_emulated"] == result.best.latency.ms
    measured = len(device.seen)
    again = search(tiny_bert, run, ROWS, plan, costs=LinearCosts(), measurer=device, resume=True)
    assert again.best == result.best
    assert [finalist.candidate for finalist in device.seen[measured:]] != [
        finalist.candidate for finalist in device.seen[:measured]
    ], "what was measured before is not measured again"


def test_ctrl_c_keeps_the_best_and_the_search_goes_on(
    tiny_bert: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(str(line) for line in tiny_texts()))
    run = tmp_path / "run"
    options = [
        *("search", str(tiny_bert), "--text", str(text), "--ratio", "0.5", "--pattern", "vector:2x1"),
        *("--sampler", "random", "--batch", "8", "--workers", "1", "-o", str(run)),
    ]
    program = [sys.executable, "-m", "aebert.cli", *options, "--candidates", "100000"]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "candidates, best" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 130
    assert "interrupted" in rest
    assert "Traceback" not in rest
    best = read_subnet(run / "best")
    assert best.record.overall_ratio == pytest.approx(0.5, abs=1e-4)
    assert main([*options, "--candidates", "8"]) == 2
    assert "use --resume" in capfd.readouterr().err
    assert main([*options, "--candidates", "8", "--resume"]) == 0
    told = capfd.readouterr()
    assert "best of" in told.out
    assert f"next:  aebert generate {run}/best" in told.err


def test_the_next_command_fine_tunes_on_the_very_rows_that_the_search_left(
    tiny_classifiers: dict[str, Path], tmp_path: Path
) -> None:
    data, run = tmp_path / "my mails", tmp_path / "run"
    data.mkdir()
    rows = "".join(f'"{text}",{number % 3}\n' for number, text in enumerate(tiny_texts(80)))
    (data / "train.csv").write_text("body,y\n" + rows)
    asked = {"task": "mail", "data": str(data), "text_columns": "body", "label_column": "y", "kind": "classification"}
    split = {"calibration_rows": 50, "split_seed": 4}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in (asked | split).items()]
    sizes = ["--ratio=0.5", "--pattern=vector:2x1", "--sampler=random", "--candidates=2", "--batch=2"]
    searched = command_line("--json", "search", tiny_classifiers["bert"], *options, *sizes, "-o", run)
    assert searched.exit_code == 0, searched.stdout + searched.stderr
    program, name, *arguments = shlex.split(str(searched.json["next"]))
    assert (program, name) == ("aebert", "finetune")
    understood = finetune_command.make_context(name, arguments).params
    assert understood["model"] == run / "best"
    assert {key: understood[key] for key in asked | split} == asked | split


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "no budget; give --ratio, --latency-ms or both"),
        (["--ratio", "half"], "not a number or a range"),
        (["--ratio", "0.5", "--pattern", "vector:4x1,diagonal"], "pattern 'diagonal' is not known"),
        (["--ratio", "0.5", "--data", "glue"], "give --task too"),
        (["--ratio", "0.5", "--task", "mrpc"], "give either --task with --data, or --text"),
        (["--latency-ms", "1"], "name a board"),
        (["--ratio", "0.5", "--hil", "emulator"], "--hil needs a design"),
        (["--ratio", "0.5", "--objective", "kl"], "needs a sequence-classification head"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    tiny_bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    run = tmp_path / "run"
    assert main(["-q", "search", str(tiny_bert), "-o", str(run), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
