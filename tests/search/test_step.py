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

import aebert.search.step
from aebert.cli.finetune import command as finetune_command
from aebert.cli.main import main
from aebert.cost_model.measurer import Finalist, MeasuredCandidate
from aebert.models import load_encoder
from aebert.pruning.subnet import read_subnet
from aebert.search.run.rounds import SearchSettings
from aebert.search.run.run_directory import RunDirectory, locked
from aebert.search.run.summary import read_summary
from aebert.search.space.search_space import Goal
from aebert.search.step import Found, ScoringRows, SearchPlan, Workers, search
from aebert.search.workers.executor import Executor, Specs
from aebert.support.errors import AebertError
from tests.support.command_line import aebert as command_line
from tests.support.tiny_search import HereExecutor, LinearCosts, tiny_texts

PLAN = SearchPlan(
    Goal(0.5, 0.5),
    ("vector:2x1",),
    sampler="random",
    levels=8,
    settings=SearchSettings(candidates=4, batch=4, job=4),
)
ROWS = ScoringRows(tiny_texts())


@contextmanager
def _here(specs: Specs, workers: Workers) -> Iterator[Executor]:
    yield HereExecutor(specs)


@pytest.fixture(autouse=True)
def search_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker processes: tests of the executor start those."""
    monkeypatch.setattr(aebert.search.step, "_executor", _here)


@pytest.fixture(scope="module")
def found(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search with a range of ratios and a cost model, so that there is a front."""
    patch = pytest.MonkeyPatch()
    patch.setattr(aebert.search.step, "_executor", _here)
    plan = replace(PLAN, goal=Goal(0.2, 0.6), settings=replace(PLAN.settings, candidates=8))
    result = search(tiny_bert, tmp_path_factory.mktemp("search") / "run", ROWS, plan, costs=LinearCosts())
    patch.undo()
    return result


def test_the_best_subnet_is_the_candidate_with_the_best_score(found: Found, tiny_bert: Path) -> None:
    subnet = read_subnet(found.run.best)
    assert found.best.value == max(item.value for item in found.refined)
    candidate = found.best.candidate
    shape = load_encoder(tiny_bert).shape
    assert subnet.record.overall_ratio == pytest.approx(candidate.overall_ratio(shape))
    for (layer, name), ratio in candidate.ratios(shape).items():
        assert subnet.record.matrix_ratios[layer][name] == pytest.approx(ratio)
    assert subnet.record.scores["calibration_value"] == found.best.value
    assert subnet.record.scores["calibration_value_before_refining"] == found.best.trial.outcome.value
    assert subnet.record.compensation == "refined"
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


def test_refining_makes_every_finalist_better_and_is_what_the_run_shows(found: Found) -> None:
    assert {item.number for item in found.front} <= {item.number for item in found.refined}
    # The four best and one ratio everywhere are finalists whatever the front is.
    scored = [item.number for item in found.result.ranked[:4]]
    assert set(scored) <= {item.number for item in found.refined}
    assert any(item.candidate in found.flat for item in found.refined)
    assert all(item.value > item.trial.outcome.value for item in found.refined)
    summary = read_summary(found.run.directory)
    told = {tried.trial: tried.refined for tried in summary.tried if tried.refined is not None}
    assert {number: each.score for number, each in told.items()} == {item.number: item.value for item in found.refined}
    assert summary.best == found.best.number
    assert summary.refining_rows == len(ROWS.texts)
    assert not list(found.run.refined.glob("*"))


def test_searches_of_one_model_and_rows_share_what_is_prepared(tiny_bert: Path, tmp_path: Path) -> None:
    store, told = tmp_path / "store", []

    def tell(step: str, done: int, total: int) -> None:
        told.append((step, done))

    plan = replace(PLAN, sampler="surrogate", refine=False)
    first = search(tiny_bert, tmp_path / "first", ROWS, plan, prepared=store)
    assert not first.run.prepared.exists()
    (folder,) = store.iterdir()
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    other = replace(plan, goal=Goal(0.6, 0.6), settings=replace(plan.settings, seed=1))
    search(tiny_bert, tmp_path / "second", ROWS, other, prepared=store, progress=tell)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    # The second one's sensitivities were all there: its first word of them is that all are done.
    done = next(done for step, done in told if step.startswith("sensitivity"))
    assert done == len([path for path in times if path.name.startswith("job-")])
    search(tiny_bert, tmp_path / "third", ScoringRows(tiny_texts(60)), plan, prepared=store)
    assert len(list(store.iterdir())) == 2


def test_refining_can_be_turned_off(tiny_bert: Path, tmp_path: Path) -> None:
    plain = search(tiny_bert, tmp_path / "run", ROWS, replace(PLAN, refine=False))
    assert read_subnet(plain.run.best).record.compensation == "least-squares"
    assert plain.best.value == max(item.outcome.value for item in plain.result.history)
    # Refining is no setting of the search: the same run goes on with it.
    refined = search(tiny_bert, tmp_path / "run", ROWS, PLAN, resume=True)
    assert refined.best.value > plain.best.value
    assert read_subnet(refined.run.best).record.compensation == "refined"


def test_with_enough_text_the_winner_is_chosen_by_a_third_of_it(tiny_bert: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, settings=replace(PLAN.settings, candidates=1), finalists=1)
    made = search(tiny_bert, tmp_path / "many", ScoringRows(tiny_texts(96)), plan)
    assert {item.facts["rows"] for item in made.refined} == {32}
    assert made.refining_rows == 96
    apart = search(tiny_bert, tmp_path / "apart", ScoringRows(tiny_texts(96), refining=["a cat"] * 99), plan)
    assert {item.facts["rows"] for item in apart.refined} == {96}


def test_an_interrupt_of_refining_keeps_the_best_and_what_was_refined(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search(tiny_bert, tmp_path / "whole", ROWS, PLAN)
    made: list[str] = []

    def stopping(step: str, done: int, total: int) -> None:
        if step.startswith("refine"):
            made.append(step)
            if step.startswith("refine 3"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tiny_bert, tmp_path / "run", ROWS, PLAN, progress=stopping)
    assert read_subnet(tmp_path / "run" / "best").record.compensation == "least-squares"
    made.clear()
    again = search(
        tiny_bert, tmp_path / "run", ROWS, PLAN, resume=True, progress=lambda step, done, total: made.append(step)
    )
    assert not {step for step in made if step.startswith(("refine 1", "refine 2"))}
    assert again.best == whole.best


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
    with pytest.raises(AebertError, match="scoring rows"):
        search(tiny_bert, run, ScoringRows(tiny_texts(60)), PLAN, resume=True)
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

    def measure(self, finalists: Sequence[Finalist]) -> list[MeasuredCandidate]:
        measured = []
        for finalist in finalists:
            subnet = read_subnet(finalist.directory)
            assert subnet.record.pattern == finalist.candidate.pattern
            self.seen.append(finalist)
            if len(self.seen) % 2:
                latency = 3e-6 * sum(finalist.candidate.kept)
                measured.append(MeasuredCandidate(finalist.candidate, latency, "emulated", "emulator", "design"))
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


@pytest.mark.parametrize("candidates", [1, 4])
def test_a_search_by_the_metric_says_where_nothing_beats_one_ratio_everywhere(
    tiny_classifiers: dict[str, Path], tmp_path: Path, candidates: int
) -> None:
    """Candidates that only tie in the metric do not win: the first one, which is uniform, is then taken."""
    rows = "".join(f'"{text}",{number % 3}\n' for number, text in enumerate(tiny_texts(80)))
    (tmp_path / "train.csv").write_text("body,y\n" + rows)
    options = ["--task=mail", "--data", tmp_path, "--text-columns=body", "--label-column=y", "--kind=classification"]
    options += ["--calibration-rows=50", "--ratio=0.5", "--pattern=vector:2x1", "--sampler=random", "--no-refine"]
    options += ["--objective=metric", f"--candidates={candidates}", "-o", tmp_path / "run"]
    done = command_line("--json", "search", tiny_classifiers["bert"], *options)
    assert done.exit_code == 0, done.stdout + done.stderr
    scores = [tried.score for tried in read_summary(tmp_path / "run").tried]
    nothing = max(scores) == scores[0]
    assert done.json["uniform_is_best"] is nothing
    told = command_line("search", tiny_classifiers["bert"], *options, "--resume").stdout
    assert ("no candidate is better than one ratio everywhere" in told) is nothing
    assert nothing or candidates > 1


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
