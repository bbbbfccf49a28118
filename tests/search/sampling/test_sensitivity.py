"""The sensitivity pass: cut into jobs, shared among workers, stopped and taken up again."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aebert.search.step
from aebert.models.encoder import EncoderShape
from aebert.pruning import parse_pattern
from aebert.pruning.zero_patterns import Float64Array
from aebert.search.run.rounds import SearchSettings
from aebert.search.sampling.sensitivity import Surrogate, measure_surrogate
from aebert.search.sampling.sensitivity_jobs import (
    SensitivityPass,
    measured_levels,
    one_site_candidates,
    surrogate_table,
)
from aebert.search.sampling.surrogate_file import measured_surrogate
from aebert.search.scoring.scorer import Scorer
from aebert.search.space.grid import make_grid
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from aebert.search.workers.executor import Executor, Specs
from tests.support.tiny_search import HereExecutor, tiny_space, tiny_specs, tiny_texts

PATTERNS = st.sampled_from(["vector:2x1", "unstructured", "block:4x4", "head+neuron"])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), PATTERNS, st.integers(1, 8))
def test_jobs_measure_every_site_once_with_its_neighbours_the_longest_first(
    layers: int, pattern: str, levels: int
) -> None:
    # Heads enough for every level to be a count of its own.
    shape = EncoderShape(layers=layers, hidden=32, heads=16, ffn=128, epsilon=1e-12, max_positions=48)
    grid = make_grid(shape, parse_pattern(pattern))
    jobs = SensitivityPass(grid, levels=levels).jobs
    in_order = sorted(jobs, key=lambda job: job.number)
    every = one_site_candidates(grid, range(len(grid.sites)), measured_levels(grid, levels))
    dense = grid.candidates(grid.units[None])
    assert [candidate for job in in_order for candidate in job.candidates] == [*every, *dense]
    # What a candidate computes alone: all from its site on.
    from_site = np.cumsum((grid.units * grid.unit_weights)[::-1])[::-1]
    work = {}
    for job in jobs:
        pruned = grid.kept_of(job.candidates) < grid.units
        work[job.number] = sum(int(from_site[row.argmax()]) for row in pruned if row.any())
    assert list(work.values()) == sorted(work.values(), reverse=True)
    most = work[jobs[0].number]
    assert most == len(every) // len(grid.sites) * from_site[0], "no job is longer than the first site alone"
    assert all(work[job.number - 1] + work[job.number] > most for job in in_order[1:]), "two would fit in one"


def test_the_table_is_what_one_site_at_a_time_loses() -> None:
    shape = EncoderShape(layers=2, hidden=32, heads=4, ffn=64, epsilon=1e-12, max_positions=48)
    grid = make_grid(shape, parse_pattern("vector:4x1"), levels=8)
    sensitivity = np.random.default_rng(3).lognormal(sigma=1.0, size=(len(grid.sites), 1))
    truth = sensitivity * np.square(np.arange(grid.levels) / grid.levels)
    predict = Surrogate(grid, truth, 2.0).predict
    levels = measured_levels(grid, grid.levels)
    candidates = one_site_candidates(grid, range(len(grid.sites)), levels)
    table = surrogate_table(grid, levels, 2.0 - predict(grid.kept_of(candidates)))
    np.testing.assert_allclose(table, truth, atol=1e-12)
    measured = SensitivityPass(grid, levels=grid.levels)
    values = {job.number: predict(grid.kept_of(job.candidates)).tolist() for job in measured.jobs}
    np.testing.assert_allclose(measured.table(values), truth, atol=1e-12)


@dataclass(frozen=True)
class Bench:
    specs: Specs
    scorer: Scorer
    measured: SensitivityPass
    table: Float64Array

    def share(self, directory: Path, executor: Executor) -> Surrogate:
        return measured_surrogate(self.scorer, directory, executor)


@pytest.fixture(scope="module")
def bench(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A scorer, and what it measures without any executor."""
    space = tiny_space(tiny_bert, "vector:2x1")
    specs = tiny_specs(tiny_bert, space, tmp_path_factory.mktemp("prepared"))
    scorer = specs["vector:2x1"].open()
    return Bench(specs, scorer, SensitivityPass(scorer.grid), measure_surrogate(scorer).table)


def test_sites_are_scored_on_the_first_rows_only(bench: Bench) -> None:
    (site,) = bench.scorer.grid.candidates(bench.scorer.grid.counts[:, -1][None])
    few = replace(bench.measured.jobs[0], candidates=(site,), rows=16)
    (score,) = next(HereExecutor(bench.specs).run([few])).scores
    assert 16 <= score.rows < bench.scorer.rows
    assert score == bench.scorer.score([site], 16)[0]


def test_a_pass_that_was_interrupted_measures_the_rest(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.share(tmp_path, HereExecutor(bench.specs, interrupt_at=4))
    rest, again = HereExecutor(bench.specs), HereExecutor(bench.specs)
    np.testing.assert_array_equal(bench.share(tmp_path, rest).table, bench.table)
    before = [candidate.digest for job in bench.measured.jobs[:4] for candidate in job.candidates]
    assert rest.scored
    assert not set(before) & set(rest.scored)
    bench.share(tmp_path, again)
    assert again.scored == [], "nothing is measured twice"


def test_a_damaged_job_is_measured_again(bench: Bench, tmp_path: Path) -> None:
    bench.share(tmp_path, HereExecutor(bench.specs))
    damaged = sorted(tmp_path.rglob("job-*"))[1]
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    again = HereExecutor(bench.specs)
    np.testing.assert_array_equal(bench.share(tmp_path, again).table, bench.table)
    (job,) = (job for job in bench.measured.jobs if job.number == 1)
    assert again.scored == [candidate.digest for candidate in job.candidates]


def _measure_until_killed(bench: Bench, directory: Path, jobs: int) -> None:
    def count(_step: str, done: int, _total: int) -> None:
        if done == jobs:
            os.kill(os.getpid(), signal.SIGKILL)

    measured_surrogate(bench.scorer, directory, HereExecutor(bench.specs), count)


def test_what_was_measured_before_a_kill_is_kept(bench: Bench, tmp_path: Path) -> None:
    # Forked, as in test_search_study.
    process = multiprocessing.get_context("fork").Process(target=_measure_until_killed, args=(bench, tmp_path, 5))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    rest = HereExecutor(bench.specs)
    np.testing.assert_array_equal(bench.share(tmp_path, rest).table, bench.table)
    left = [candidate.digest for job in bench.measured.jobs[5:] for candidate in job.candidates]
    assert rest.scored == left


def test_a_search_shares_its_pass_among_its_workers_and_goes_on_after_an_interrupt(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executors: list[HereExecutor] = []
    interrupt_at: int | None = 3

    @contextmanager
    def here(specs: Specs, workers: Workers) -> Iterator[Executor]:
        executors.append(HereExecutor(specs, interrupt_at))
        yield executors[-1]

    monkeypatch.setattr(aebert.search.step, "_executor", here)
    goal, sizes = Goal(0.5, 0.5), SearchSettings(candidates=4, batch=4, job=4)
    plan = SearchPlan(goal, ("vector:2x1",), levels=8, settings=sizes)
    rows = ScoringRows(tiny_texts())
    told: list[tuple[str, int, int]] = []

    def progress(step: str, done: int, total: int) -> None:
        if step.startswith("sensitivity"):
            told.append((step, done, total))

    with pytest.raises(KeyboardInterrupt):
        search(tiny_bert, tmp_path / "run", rows, plan, progress=progress)
    interrupt_at = None
    found = search(tiny_bert, tmp_path / "run", rows, plan, resume=True, progress=progress)
    whole = search(tiny_bert, tmp_path / "whole", rows, plan)
    assert found.best == whole.best
    jobs = told[-1][2]
    assert told == [("sensitivity vector:2x1", done, jobs) for done in [*range(4), *range(3, jobs + 1)]]
    resumed, undisturbed = executors[1].scored, executors[2].scored
    assert executors[0].scored + resumed == undisturbed
