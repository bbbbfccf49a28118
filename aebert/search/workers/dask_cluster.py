"""Workers of a Dask cluster, for searches that one machine is too small for.

The cluster's machines must see the model and the run's folder under the same paths (a shared file system), and have
aebert installed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager

import distributed

from aebert.search.workers.executor import Job, JobResult, Specs, Workbench
from aebert.support.errors import AebertError

_CONNECT_S = 30.0
_CLOSE_S = 10.0
_LOOK_EVERY_S = 2.0
_WITHOUT_WORKERS_S = 60.0


class DaskExecutor:
    """Scores on the cluster whose scheduler listens at ``address`` (``tcp://HOST:PORT``).

    Each worker has one job at a time, with ``threads`` threads [default: as many as the worker was started with]; one
    that joins later gets its share. A worker that dies has its job done by another: Dask's own doing, as often as its
    ``allowed-failures`` says. Raises AebertError where there is no scheduler, and for one that goes away.
    """

    def __init__(self, specs: Specs, address: str, threads: int | None = None) -> None:
        self._specs, self._threads, self._address = dict(specs), threads, address
        # What the client would log of a lost connection, over several lines, is told as one error.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        try:
            self._client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no answer"
            raise AebertError(f"scheduler {address}: {reason}; start one with 'dask scheduler'") from None

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """See ``Executor``."""
        waiting = deque(jobs)
        running: set[distributed.Future[JobResult]] = set()
        try:
            while waiting or running:
                self._hand_out(waiting, running)
                for future in self._finished(running):
                    running.remove(future)
                    yield self._take(future)
        finally:
            # Without the scheduler there is nothing to take back.
            if self._client.status == "running":
                self._client.cancel(list(running))

    def close(self) -> None:
        self._client.close(timeout=_CLOSE_S)

    def _hand_out(self, waiting: deque[Job], running: set[distributed.Future[JobResult]]) -> None:
        """One job for each worker: more would wait behind others there, while a quicker worker has nothing to do."""
        free = self._workers() - len(running)
        for _ in range(min(free, len(waiting))):
            job = waiting.popleft()
            running.add(self._client.submit(score_on_worker, self._specs, job, self._threads, pure=False))

    def _workers(self) -> int:
        """How many there are; waits for the first. Raises AebertError when none comes."""
        deadline = time.monotonic() + _WITHOUT_WORKERS_S
        while not (found := self._count()):
            if time.monotonic() > deadline:
                raise AebertError(
                    f"scheduler {self._address}: no workers for {_WITHOUT_WORKERS_S:g} s; "
                    f"start some with 'dask worker {self._address}', and go on with --resume"
                )
            time.sleep(_LOOK_EVERY_S)
        return found

    def _count(self) -> int:
        with self._connection():
            return len(self._client.nthreads())

    def _finished(self, running: set[distributed.Future[JobResult]]) -> set[distributed.Future[JobResult]]:
        """Those that have ended; none when it is time to look whether workers have come or gone."""
        with self._connection(), self._client.as_current():
            try:
                done: set[distributed.Future[JobResult]] = distributed.wait(
                    list(running), timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED"
                ).done
            except TimeoutError:
                return set()
        return done

    def _take(self, future: distributed.Future[JobResult]) -> JobResult:
        """The result of a job that has ended. Raises what it raised."""
        with self._connection():
            error = future.exception()
            result = None if error is not None else future.result()
        if isinstance(error, distributed.KilledWorker):
            raise AebertError(f"Dask: {error}; give the workers more memory")
        if isinstance(error, ImportError):
            raise AebertError(f"Dask worker: {error}; install 'aebert[search,dask]' on every machine of the cluster")
        if error is not None:
            raise error
        if not isinstance(result, JobResult):
            raise TypeError(f"a worker answered {type(result).__name__}")
        return result

    @contextmanager
    def _connection(self) -> Iterator[None]:
        """Raises AebertError where the scheduler goes away inside the block."""
        try:
            yield
        except (OSError, CancelledError):
            raise AebertError(
                f"scheduler {self._address}: the connection is lost; start the cluster again and go on with --resume"
            ) from None


_lock = threading.Lock()
_workbenches: dict[str, Workbench] = {}


def score_on_worker(specs: Specs, job: Job, threads: int | None) -> JobResult:
    """Runs on a Dask worker, which keeps the scorers of the search that asked last. One job at a time per process."""
    import torch

    key = " ".join(f"{spec.weights} {spec.rows_key}" for spec in specs.values())
    with _lock:
        torch.set_num_threads(threads or distributed.get_worker().state.nthreads)
        if key not in _workbenches:
            _workbenches.clear()
            _workbenches[key] = Workbench(specs)
        return _workbenches[key].score(job)
