"""A Dask cluster of real processes: a worker that is killed loses nothing, and a cluster that is gone is one line."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import aebert.search.step
from aebert.search.run.rounds import RoundState, SearchSettings
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from aebert.search.workers.executor import Executor, JobResult, Specs
from aebert.support.errors import AebertError
from tests.support.dask_processes import Cluster, dask_cluster
from tests.support.tiny_search import HereExecutor, Work, tiny_texts, tiny_work

distributed = pytest.importorskip("distributed")

DEADLINE_S = 300.0


@pytest.fixture(scope="module")
def work(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Three jobs and their results."""
    return tiny_work(tiny_bert, tmp_path_factory.mktemp("prepared"), jobs=3, each=2, races=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers. Tests take away one, then the rest."""
    with dask_cluster(tmp_path_factory.mktemp("cluster"), "first", "second", threads=2) as started:
        yield started


def busy_worker(client: distributed.Client, workers: int) -> str:
    """The name of one that is at a job, once there are ``workers`` that all are."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        processing = client.processing()
        if len(processing) == workers and all(processing.values()):
            known = client.scheduler_info(n_workers=-1)["workers"]
            return str(known[min(processing)]["name"])
        time.sleep(0.02)
    raise AssertionError("the workers never had work")


def test_the_job_of_a_killed_worker_is_done_by_another(work: Work, cluster: Cluster) -> None:
    from aebert.search.workers.dask_cluster import DaskExecutor

    watcher = distributed.Client(cluster.address, set_as_default=False)
    watcher.wait_for_workers(2, timeout=DEADLINE_S)
    executor = DaskExecutor(work.specs, cluster.address)
    found: list[JobResult] = []
    running = threading.Thread(target=lambda: found.extend(executor.run(work.jobs)))
    running.start()
    # Its first job takes a worker seconds, as it has to import torch.
    lost = busy_worker(watcher, 2)
    assert found == []
    cluster.workers[lost].kill()
    running.join(DEADLINE_S)
    assert sorted(found, key=lambda result: result.number) == work.results
    ((process, threads),) = watcher.run(_describe_worker).values()
    assert process == cluster.workers[{"first": "second", "second": "first"}[lost]].pid
    assert threads == 2, "as many as the worker was started with"
    executor.close()
    watcher.close()


def _describe_worker() -> tuple[int, int]:
    import torch

    return os.getpid(), torch.get_num_threads()


def test_a_cluster_that_goes_away_leaves_a_search_that_goes_on(
    tiny_bert: Path, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ScoringRows(tiny_texts())
    sizes = SearchSettings(candidates=8, batch=4, job=2)
    plan = SearchPlan(Goal(0.5, 0.5), ("vector:2x1",), sampler="random", levels=8, settings=sizes)
    done: list[int] = []

    def kill(state: RoundState) -> None:
        done.append(state.done)
        if state.done == 4:
            cluster.kill()

    with pytest.raises(AebertError, match=f"scheduler {cluster.address}: the connection is lost") as lost:
        search(tiny_bert, tmp_path / "run", rows, plan, workers=Workers(scheduler=cluster.address), report=kill)
    assert "\n" not in str(lost.value)
    assert "--resume" in str(lost.value)
    assert done == [2, 4]
    executors: list[HereExecutor] = []

    @contextmanager
    def here(specs: Specs, workers: Workers) -> Iterator[Executor]:
        executors.append(HereExecutor(specs))
        yield executors[-1]

    monkeypatch.setattr(aebert.search.step, "_executor", here)
    resumed = search(tiny_bert, tmp_path / "run", rows, plan, resume=True)
    whole = search(tiny_bert, tmp_path / "whole", rows, plan)
    assert resumed.best == whole.best
    assert [len(executor.scored) for executor in executors] == [4, 8]


def test_a_cluster_without_workers_is_told_of(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aebert.search.workers import dask_cluster as dask_executor

    monkeypatch.setattr(dask_executor, "_WITHOUT_WORKERS_S", 0.1)
    monkeypatch.setattr(dask_executor, "_LOOK_EVERY_S", 0.1)
    with dask_cluster(tmp_path) as cluster:
        executor = dask_executor.DaskExecutor(work.specs, cluster.address)
        with pytest.raises(AebertError, match=r"no workers for 0.1 s; start some with 'dask worker tcp://"):
            list(executor.run(work.jobs))
        executor.close()
