"""``aebert search --hil``: devices that die during the search, and searches that are interrupted between devices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import aebert.search.step
import host.farm.devices
from aebert.cost_model.measurer import Finalist, MeasuredCandidate
from aebert.records.database import open_database
from aebert.search.run.rounds import SearchSettings
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from aebert.search.workers.executor import Executor, Specs
from codegen.project import Project
from host.emulated.board_process import Fault
from host.farm.local_device import LocalDevice
from tests.support import command_line
from tests.support.command_line import Finished
from tests.support.tiny_search import HereExecutor, LinearCosts, tiny_texts

pytest_plugins = ["tests.support.host_fixtures"]

HEALTHY: tuple[Fault, ...] = ()
DIES_AT_ONCE = (Fault("die"),)
DIES_AFTER_ONE = (Fault("die", after=3),)  # two launches for each subnet: a checked and a timed one


@contextmanager
def _here(specs: Specs, workers: Workers) -> Iterator[Executor]:
    yield HereExecutor(specs)


@pytest.fixture(autouse=True)
def search_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are scored in this process; devices have processes of their own."""
    monkeypatch.setattr(aebert.search.step, "_executor", _here)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Fault, ...]]:
    """What goes wrong in which device, once it is open."""
    rehearsed: dict[str, tuple[Fault, ...]] = {}
    monkeypatch.setattr(host.farm.devices, "LocalDevice", lambda name: LocalDevice(name, rehearsed.get(name, HEALTHY)))
    return rehearsed


def command(project: Project, folder: Path, run: str, devices: str, *more: str) -> Finished:
    text = folder / "text.txt"
    text.write_text("\n".join(tiny_texts()))
    return command_line.aebert(
        *("search", project.model_directory, "--text", text, "--ratio", "0.2..0.7", "--pattern", "vector:2x1"),
        *("--sampler", "random", "--candidates", "6", "--batch", "3", "--tokens", "16"),
        *("--project", project.directory, "--hil", devices, "--database", folder / f"{run}.sqlite"),
        *("-o", folder / run, *more),
    )


def front(run: Path) -> list[dict[str, object]]:
    """What was found, but for the devices that measured it."""
    entries: list[dict[str, object]] = json.loads((run / "front" / "front.json").read_text())
    for entry in entries:
        latency = entry["latency"]
        assert isinstance(latency, dict)
        del latency["device"]
    return entries


@pytest.fixture(scope="module")
def healthy(tiny_project: Project, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The front that one sound device leads to."""
    folder = tmp_path_factory.mktemp("healthy")
    patch = pytest.MonkeyPatch()
    patch.setattr(aebert.search.step, "_executor", _here)
    finished = command(tiny_project, folder, "run", "emulator")
    patch.undo()
    assert finished.exit_code == 0, finished.stderr
    found = front(folder / "run")
    # Refining can put one on the front that was not on it while devices measured; then it says so.
    sources = [str(entry["latency"]["source"]) for entry in found]
    assert "emulated" in sources
    assert all(source == "emulated" or source.startswith("predicted, ") for source in sources)
    assert len(open_database(str(folder / "run.sqlite")).query()) >= len(found) > 1
    return found


def test_a_device_that_dies_changes_nothing_but_who_measures(
    tiny_project: Project,
    healthy: list[dict[str, object]],
    faults: dict[str, tuple[Fault, ...]],
    tmp_path: Path,
) -> None:
    faults["pynq-emulator:0"] = DIES_AT_ONCE
    finished = command(tiny_project, tmp_path, "run", "emulator,pynq-emulator:0")
    assert finished.exit_code == 0
    (lost,) = [line for line in finished.stderr.splitlines() if "taken out" in line]
    assert lost.startswith("pynq-emulator:0: ")
    assert "died" in lost
    assert lost.endswith("the device is taken out, its work is done elsewhere")
    assert front(tmp_path / "run") == healthy


@pytest.mark.parametrize(("fault", "measured"), [(DIES_AT_ONCE, 0), (DIES_AFTER_ONE, 1)])
def test_without_a_device_left_the_search_ends_in_one_line_and_goes_on_with_a_sound_one(
    tiny_project: Project,
    healthy: list[dict[str, object]],
    faults: dict[str, tuple[Fault, ...]],
    tmp_path: Path,
    fault: tuple[Fault, ...],
    measured: int,
) -> None:
    faults["emulator"] = fault
    finished = command(tiny_project, tmp_path, "run", "emulator")
    assert finished.exit_code == 2
    (error,) = [line for line in finished.stderr.splitlines() if line.startswith("aebert: error:")]
    assert error.startswith("aebert: error: no device is left: emulator: process died")
    assert finished.stderr.splitlines()[-1] == error
    assert len(open_database(str(tmp_path / "run.sqlite")).query()) == measured
    del faults["emulator"]
    again = command(tiny_project, tmp_path, "run", "emulator", "--resume")
    assert again.exit_code == 0, again.stderr
    found = front(tmp_path / "run")
    if not measured:
        assert found == healthy
    assert [entry["kept_units"] for entry in found] == [entry["kept_units"] for entry in healthy]


@dataclass
class SteadyDevice:
    """Takes twice what was predicted."""

    seen: list[str] = field(default_factory=list)

    def measure(self, finalists: Sequence[Finalist]) -> list[MeasuredCandidate]:
        self.seen += [finalist.candidate.digest for finalist in finalists]
        return [
            MeasuredCandidate(each.candidate, 2e-6 * sum(each.candidate.kept), "emulated", "emulator", "design")
            for each in finalists
        ]


# With these seeds the round that was interrupted brings forth candidates that would be measured too early.
@pytest.mark.parametrize(("jobs", "seed"), [(3, 2), (5, 3)])
def test_an_interrupted_search_measures_what_an_undisturbed_one_does(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, seed: int
) -> None:
    interrupt_at: int | None = None

    @contextmanager
    def here(specs: Specs, workers: Workers) -> Iterator[Executor]:
        yield HereExecutor(specs, interrupt_at)

    monkeypatch.setattr(aebert.search.step, "_executor", here)
    sizes = SearchSettings(candidates=12, batch=4, job=2, error=0.0, seed=seed)
    plan = SearchPlan(Goal(0.2, 0.7), ("vector:2x1",), sampler="random", levels=8, settings=sizes)
    rows = ScoringRows(tiny_texts())
    undisturbed, device = SteadyDevice(), SteadyDevice()
    whole = search(tiny_bert, tmp_path / "whole", rows, plan, costs=LinearCosts(), measurer=undisturbed)
    interrupt_at = jobs
    with pytest.raises(KeyboardInterrupt):
        search(tiny_bert, tmp_path / "run", rows, plan, costs=LinearCosts(), measurer=device)
    interrupt_at = None
    found = search(tiny_bert, tmp_path / "run", rows, plan, costs=LinearCosts(), measurer=device, resume=True)
    assert found.best == whole.best
    assert device.seen == undisturbed.seen
    assert len(set(device.seen)) == len(device.seen) > 4
