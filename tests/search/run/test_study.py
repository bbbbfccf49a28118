"""A search is its study: killed, interrupted or spread over workers, it goes on and finds the same."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sqlite3
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import sqlalchemy

from aebert.search.run.rounds import RoundState, Search, SearchResult, SearchSettings
from aebert.search.run.study import Study, sqlite_url
from aebert.search.sampling.samplers import RandomSampler, Sampler
from aebert.search.sampling.sensitivity import Surrogate
from aebert.search.sampling.surrogate_sampler import SurrogateSampler
from aebert.search.space.search_space import SearchSpace
from aebert.search.space.trials import Outcome, Trial
from aebert.search.workers.executor import Specs
from aebert.support.errors import AebertError
from tests.support.tiny_search import HereExecutor, tiny_space, tiny_specs

SETTINGS = SearchSettings(candidates=10, batch=4, job=2, keep=1, seed=3)


@dataclass(frozen=True)
class Bench:
    """What all searches here share."""

    space: SearchSpace
    specs: Specs

    def sampler(self) -> Sampler:
        surrogates = {}
        for name, own in self.space.patterns.items():
            table = own.grid.zeroed[own.grid.gene_of] / own.grid.total_weights
            surrogates[name] = Surrogate(own.grid, table.astype(float), 1.0)
        return SurrogateSampler(surrogates, screened=256)

    def search(self, url: str, interrupt_at: int | None = None, settings: SearchSettings = SETTINGS) -> Search:
        study = Study(url, "search", ("score",))
        return Search(self.space, study, self.sampler(), HereExecutor(self.specs, interrupt_at), settings)


@pytest.fixture(scope="module")
def bench(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    space = tiny_space(tiny_bert, "vector:2x1", "unstructured")
    return Bench(space, tiny_specs(tiny_bert, space, tmp_path_factory.mktemp("prepared")))


@pytest.fixture(scope="module")
def whole(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """The search without any interruption."""
    return bench.search(sqlite_url(tmp_path_factory.mktemp("whole") / "study.db")).run()


def facts(result: SearchResult) -> list[tuple[int, int, str, Outcome]]:
    return [(item.number, item.trial.round, item.candidate.digest, item.outcome) for item in result.history]


def test_a_search_tries_what_it_was_asked_for(whole: SearchResult, bench: Bench) -> None:
    assert [item.number for item in whole.history] == list(range(10))
    first = [item.trial.proposal for item in whole.history[:2]]
    assert first == bench.space.uniform(), "all others are to beat the uniform candidates"
    values = [item.value for item in whole.ranked]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(item.outcome.value for item in whole.history if not item.outcome.lost)


@pytest.mark.parametrize("jobs_before", [1, 4])
def test_an_interrupted_search_ends_as_if_it_had_not_been(
    whole: SearchResult, bench: Bench, tmp_path: Path, jobs_before: int
) -> None:
    url = sqlite_url(tmp_path / "study.db")
    with pytest.raises(KeyboardInterrupt):
        bench.search(url, interrupt_at=jobs_before).run()
    assert facts(bench.search(url).run()) == facts(whole)


def test_what_was_finished_is_not_evaluated_again(bench: Bench, whole: SearchResult, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    with pytest.raises(KeyboardInterrupt):
        bench.search(url, interrupt_at=3).run()
    done = {item.candidate.digest for item in bench.search(url).result().history}
    assert done
    executor = HereExecutor(bench.specs)
    Search(bench.space, Study(url, "search", ("score",)), bench.sampler(), executor, SETTINGS).run()
    assert not done & set(executor.scored)


def _run_until_killed(bench: Bench, url: str, commits: int, told: Connection) -> None:
    left = commits

    def count(_connection: sqlalchemy.Connection) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", count)
    search = bench.search(url)
    search.run(lambda state: told.send([item.number for item in state.ranked]))


@pytest.mark.parametrize("commits", [5, 22, 39])
def test_a_killed_search_loses_no_finished_trial(
    whole: SearchResult, bench: Bench, tmp_path: Path, commits: int
) -> None:
    url = sqlite_url(tmp_path / "study.db")
    # Forked, as it would otherwise take longer to start than to search; Python has one thread here.
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run_until_killed, args=(bench, url, commits, theirs))
    process.start()
    theirs.close()
    finished: set[int] = set()
    with contextlib.suppress(EOFError):
        while True:
            finished |= set(ours.recv())
    process.join()
    assert process.exitcode == -signal.SIGKILL, "the search was over before it was killed"
    search = bench.search(url)
    kept = {item.number for item in search.result().history}
    assert finished <= kept
    assert facts(search.run()) == facts(whole)


def test_more_candidates_go_on_where_the_search_ended(bench: Bench, tmp_path: Path) -> None:
    # Without races: the candidates of a last, short round would race in other company.
    settled = replace(SETTINGS, error=0.0)
    whole = bench.search(sqlite_url(tmp_path / "whole.db"), settings=settled).run()
    url = sqlite_url(tmp_path / "study.db")
    bench.search(url, settings=replace(settled, candidates=5)).run()
    states: list[RoundState] = []
    result = bench.search(url, settings=settled).run(states.append)
    assert [item.trial.proposal for item in result.history] == [item.trial.proposal for item in whole.history]
    assert states[-1].done == states[-1].total == 10


def test_a_postgresql_server_gives_the_same_search(bench: Bench, whole: SearchResult, postgresql_url: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.search(postgresql_url, interrupt_at=2).run()
    assert facts(bench.search(postgresql_url).run()) == facts(whole)


def test_a_study_with_other_aims_is_refused(bench: Bench, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    Study(url, "search", ("score",)).close()
    with pytest.raises(AebertError, match="start a new search"):
        Study(url, "search", ("score", "latency_ms"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "check the URL"),
        ("nosuch://host/name", "check the URL"),
        ("postgresql+psycopg://user:secret@127.0.0.1:1/name", "check the URL and the server"),
    ],
)
def test_a_storage_that_cannot_be_used_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(AebertError, match=words) as refused:
        Study(url, "search", ("score",))
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_trial_of_another_program_is_refused(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    search = bench.search(sqlite_url(path), settings=replace(SETTINGS, candidates=2))
    search.run()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM trial_user_attributes WHERE key = 'proposal'")
    with pytest.raises(AebertError, match="trial 0 is not one of aebert's"):
        bench.search(sqlite_url(path))


def test_an_outcome_is_told_once(bench: Bench, tmp_path: Path) -> None:
    study = Study(sqlite_url(tmp_path / "study.db"), "search", ("score",))
    study.add(0, bench.space.uniform())
    trial = study.trials()[0]
    study.tell(trial, Outcome(0.5, (0.5,), {"rows": 64}))
    study.tell(trial, Outcome(0.9, (0.9,), {"rows": 64}))
    stored = study.trials()[0]
    assert stored == Trial(0, 0, trial.proposal, Outcome(0.5, (0.5,), {"rows": 64}))


def test_random_search_is_the_same_for_the_same_seed_only(bench: Bench, tmp_path: Path) -> None:
    def tried(name: str, seed: int) -> list[str]:
        study = Study(sqlite_url(tmp_path / name), "search", ("score",))
        settings = replace(SETTINGS, candidates=4, seed=seed)
        result = Search(bench.space, study, RandomSampler(), HereExecutor(bench.specs), settings).run()
        return [item.candidate.digest for item in result.history]

    assert tried("a.db", 1) == tried("b.db", 1)
    assert tried("c.db", 2) != tried("b.db", 1)
