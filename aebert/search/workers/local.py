"""Worker processes on this machine.

Each is started fresh (spawn) and talks through a pipe of its own. So a worker sees at once when the search has been
killed, and ends; and the search sees at once when a worker has died, and gives its job to another. (The workers of
``concurrent.futures`` outlive a killed parent, and one that dies breaks the pool.)
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from aebert.search.workers.executor import Job, JobResult, Specs, Workbench
from aebert.support.errors import AebertError

_MOST_DEATHS = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None


class LocalExecutor:
    """``workers`` processes of ``threads`` threads each, started when first needed."""

    def __init__(self, specs: Specs, workers: int, threads: int = 1) -> None:
        if workers < 1 or threads < 1:
            raise AebertError(f"{workers} workers with {threads} threads; give at least one of each")
        self._specs, self._count, self._threads = dict(specs), workers, threads
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    @property
    def process_ids(self) -> list[int]:
        """Of the workers that run now."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """See ``Executor``. Abandoned half-way, it stops the workers that are busy."""
        waiting = deque(jobs)
        deaths = dict.fromkeys((job.number for job in jobs), 0)
        left = len(waiting)
        try:
            while left:
                self._hand_out(waiting)
                for worker in self._ready():
                    result = self._take(worker)
                    if isinstance(result, JobResult):
                        left -= 1
                        yield result
                        continue
                    self._bury(worker)
                    if result is not None:
                        deaths[result.number] += 1
                        self._check_deaths(deaths[result.number], worker)
                        waiting.appendleft(result)
        finally:
            for worker in [busy for busy in self._workers if busy.job is not None]:
                self._bury(worker)

    def close(self) -> None:
        while self._workers:
            self._bury(self._workers[0])

    def _hand_out(self, waiting: deque[Job]) -> None:
        """Give every idle worker a job; start workers while there is work for them."""
        idle = [worker for worker in self._workers if worker.job is None]
        while waiting:
            if not idle:
                if len(self._workers) == self._count:
                    return
                idle.append(self._start())
            worker = idle.pop()
            worker.job = waiting.popleft()
            # Had it died before, its closed pipe says so next, and the job goes to another.
            with suppress(OSError):
                worker.pipe.send(worker.job)

    def _ready(self) -> list[_Worker]:
        """Workers with an answer, or dead ones; waits for the first."""
        pipes = {worker.pipe: worker for worker in self._workers}
        return [pipes[pipe] for pipe in wait(list(pipes)) if isinstance(pipe, Connection)]

    @staticmethod
    def _take(worker: _Worker) -> JobResult | Job | None:
        """A result, or the job that died with its worker (None: it was idle). Raises what the job raised."""
        job, worker.job = worker.job, None
        try:
            answer: object = worker.pipe.recv()
        except (EOFError, OSError):
            return job
        if isinstance(answer, AebertError):
            raise answer
        if not isinstance(answer, JobResult):
            raise TypeError(f"a worker answered {type(answer).__name__}")
        return answer

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._specs, self._threads), daemon=True)
        with _thread_variables(self._threads):
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _bury(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()

    @staticmethod
    def _check_deaths(deaths: int, worker: _Worker) -> None:
        if deaths >= _MOST_DEATHS:
            raise AebertError(
                f"a worker died {deaths} times at the same candidates (exit code {worker.process.exitcode}); "
                "use fewer workers if memory ran out"
            )


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """What a child process finds in its environment before it imports any library that starts threads."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(pipe: Connection, specs: Specs, threads: int) -> None:
    """The life of a worker: until the pipe closes, because the search is done or dead."""
    # Ctrl-C reaches the whole process group; the search decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    workbench: Workbench | None = None
    while True:
        try:
            job: object = pipe.recv()
        except (EOFError, OSError):
            return
        if not isinstance(job, Job):
            raise TypeError(f"asked for {type(job).__name__}")
        answer: JobResult | AebertError
        try:
            workbench = workbench or _open_workbench(specs, threads)
            answer = workbench.score(job)
        except AebertError as error:
            answer = error
        try:
            pipe.send(answer)
        except OSError:
            return


def _open_workbench(specs: Specs, threads: int) -> Workbench:
    import torch

    torch.set_num_threads(threads)
    return Workbench(specs)
