"""Workers: local processes and a Dask cluster score alike, and a dead worker's job is done by another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.pruning.candidate import Candidate
from aebert.search.sampling.sensitivity import measure_surrogate
from aebert.search.sampling.surrogate_file import measured_surrogate
from aebert.search.scoring.scorer import ScorerSettings, prepare_scorer
from aebert.search.workers.executor import Executor, Job, JobResult
from aebert.search.workers.local import LocalExecutor
from aebert.support.errors import AebertError
from tests.support.tiny_search import Work, tiny_space, tiny_texts, tiny_work


@pytest.fixture(scope="module")
def work(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Six jobs, some of them races, and their results."""
    return tiny_work(tiny_bert, tmp_path_factory.mktemp("prepared"), jobs=6, each=3, races=True)


def by_number(results: Iterable[JobResult]) -> list[JobResult]:
    return sorted(results, key=lambda result: result.number)


@pytest.fixture(scope="module")
def local(work: Work) -> Iterator[LocalExecutor]:
    executor = LocalExecutor(work.specs, workers=2)
    yield executor
    executor.close()


def test_two_processes_give_the_scores_of_one(work: Work, local: LocalExecutor) -> None:
    assert by_number(local.run(work.jobs)) == work.results
    assert len(local.process_ids) == 2


def test_two_processes_measure_the_very_sensitivities_of_one(work: Work, local: LocalExecutor, tmp_path: Path) -> None:
    (spec,) = work.specs.values()
    scorer = spec.open()
    alone, shared = measure_surrogate(scorer), measured_surrogate(scorer, tmp_path, local)
    np.testing.assert_array_equal(shared.table, alone.table)
    assert shared.dense_value == alone.dense_value
    assert np.abs(alone.table[:, 1:]).min() > 0


def test_workers_have_the_threads_they_were_given(work: Work, local: LocalExecutor) -> None:
    list(local.run(work.jobs[:2]))
    for process in local.process_ids:
        environment = psutil.Process(process).environ()
        assert environment["OMP_NUM_THREADS"] == "1"
    assert os.environ.get("MKL_NUM_THREADS") is None, "the search itself keeps its own threads"


def test_the_job_of_a_killed_worker_is_done_by_another(work: Work, local: LocalExecutor) -> None:
    results = local.run(work.jobs)
    found = [next(results)]
    os.kill(local.process_ids[0], signal.SIGKILL)
    found += results
    assert sorted(found, key=lambda result: result.number) == work.results


def test_what_a_job_raises_reaches_the_search(work: Work, local: LocalExecutor) -> None:
    wrong = Candidate(next(iter(work.specs)), (1, 2, 3))
    with pytest.raises(AebertError, match="give the model"):
        list(local.run([Job(0, (wrong,))]))


def test_a_search_given_up_stops_its_workers(work: Work, local: LocalExecutor) -> None:
    results = local.run(work.jobs)
    next(results)
    busy = local.process_ids
    results.close()
    assert len(local.process_ids) < len(busy)


def test_workers_end_when_the_search_is_killed(work: Work, tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from aebert.search.workers.local import LocalExecutor\n"
        "if __name__ == '__main__':\n"
        "    executor = LocalExecutor({}, 1)\n"
        "    executor._start()\n"
        "    print(executor.process_ids[0], flush=True)\n"
        "    time.sleep(60)\n"
    )
    path = tmp_path / "search.py"
    path.write_text(script)
    search = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, text=True)
    assert search.stdout is not None
    worker = psutil.Process(int(search.stdout.readline()))
    search.kill()
    search.wait()
    search.stdout.close()
    gone, _ = psutil.wait_procs([worker], timeout=60)
    assert gone, "the worker outlived its search"


def test_a_job_that_kills_every_worker_is_given_up(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = LocalExecutor(work.specs, workers=1)
    monkeypatch.setattr(LocalExecutor, "_start", _start_dead)
    with pytest.raises(AebertError, match="died 3 times at the same candidates"):
        list(executor.run(work.jobs[:1]))
    executor.close()


def _start_dead(self: LocalExecutor) -> object:
    """A worker that is killed as soon as it has its job."""
    from aebert.search.workers.local import _Worker

    ours, theirs = self._context.Pipe()
    process = self._context.Process(target=time.sleep, args=(60,), daemon=True)
    process.start()
    process.kill()
    theirs.close()
    worker = _Worker(process, ours)
    self._workers.append(worker)
    return worker


def test_scores_do_not_depend_on_threads(tiny_bert: Path, tmp_path: Path) -> None:
    """On rows enough for torch to share them among threads."""
    space = tiny_space(tiny_bert)
    (own,) = space.patterns.values()
    settings = ScorerSettings(chunk_tokens=8192)
    texts = tiny_texts(800)
    host, encoder = load_host_model(tiny_bert), load_encoder(tiny_bert)
    scorer = prepare_scorer(host, encoder, texts, None, None, own.grid, tmp_path, settings)
    candidates = [proposal.candidate for proposal in space.uniform()]
    alone = scorer.score(candidates)
    before = torch.get_num_threads()
    try:
        for threads in (2, 3):
            torch.set_num_threads(threads)
            assert scorer.score(candidates) == alone
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("workers", "threads"), [(0, 1), (1, 0)])
def test_no_workers_are_refused(workers: int, threads: int) -> None:
    with pytest.raises(AebertError, match="at least one of each"):
        LocalExecutor({}, workers, threads)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Two workers of a Dask cluster in this process: their threads share what is loaded."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_a_dask_cluster_gives_the_same_scores(work: Work, scheduler: str) -> None:
    from aebert.search.workers.dask_cluster import DaskExecutor

    executor: Executor = DaskExecutor(work.specs, scheduler)
    try:
        assert by_number(executor.run(work.jobs)) == work.results
        # The same jobs again are new work, not a memory of the old.
        assert by_number(executor.run(work.jobs[:1])) == work.results[:1]
    finally:
        executor.close()


def test_a_scheduler_that_does_not_answer_is_refused(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    dask_executor = pytest.importorskip("aebert.search.workers.dask_cluster")
    monkeypatch.setattr(dask_executor, "_CONNECT_S", "0.5s")
    with pytest.raises(AebertError, match=r"scheduler tcp://127\.0\.0\.1:1: .*start one with"):
        dask_executor.DaskExecutor(work.specs, "tcp://127.0.0.1:1")
