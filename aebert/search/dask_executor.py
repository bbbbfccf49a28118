"""Workers of a Dask cluster, for searches that one machine is too small for.

The cluster's machines must see the model and the run's folder under the same paths (a shared file system), and have
aebert installed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import distributed

from aebert.errors import AebertError
from aebert.search.executor import Job, JobResult, Specs, Workbench

_CONNECT_S = "30s"


class DaskExecutor:
    """Scores on the cluster whose scheduler listens at ``address`` (``tcp://HOST:PORT``).

    A worker that dies has its job done by another: Dask's own doing, as often as its ``allowed-failures`` says. Raises
    AebertError where there is no scheduler.
    """

    def __init__(self, specs: Specs, address: str, threads: int = 1) -> None:
        self._specs, self._threads = dict(specs), threads
        try:
            self._client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else "no answer"
            raise AebertError(f"scheduler {address}: {reason}; start one with 'dask scheduler'") from None

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """See ``Executor``."""
        futures = [self._client.submit(score_on_worker, self._specs, job, self._threads, pure=False) for job in jobs]
        try:
            for future in distributed.as_completed(futures, loop=self._client.loop):
                try:
                    result = future.result()
                except distributed.KilledWorker as error:
                    raise AebertError(f"Dask: {error}; give the workers more memory") from None
                if not isinstance(result, JobResult):
                    raise TypeError(f"a worker answered {type(result).__name__}")
                yield result
        finally:
            self._client.cancel(futures)

    def close(self) -> None:
        self._client.close()


_lock = threading.Lock()
_workbenches: dict[str, Workbench] = {}


def score_on_worker(specs: Specs, job: Job, threads: int) -> JobResult:
    """Runs on a Dask worker, which keeps the scorers of the search that asked last. One job at a time per process."""
    import torch

    key = " ".join(f"{spec.weights} {spec.rows_key}" for spec in specs.values())
    with _lock:
        if key not in _workbenches:
            torch.set_num_threads(threads)
            _workbenches.clear()
            _workbenches[key] = Workbench(specs)
        return _workbenches[key].score(job)
