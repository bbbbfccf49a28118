"""A Dask cluster as a user starts it: a scheduler and workers that are processes of their own, on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_DEADLINE_S = 120.0


@dataclass
class Cluster:
    """``workers`` by name. Nobody restarts what is killed: there are no nannies."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_worker(self, name: str, threads: int = 1) -> None:
        options = ["--no-nanny", "--nthreads", str(threads), "--name", name, "--host", "127.0.0.1", "--no-dashboard"]
        self.workers[name] = _start("dask_worker", self.address, *options)

    def kill(self) -> None:
        """All of it, at once."""
        for process in (self.scheduler, *self.workers.values()):
            process.send_signal(signal.SIGKILL)
        for process in (self.scheduler, *self.workers.values()):
            process.wait()


@contextmanager
def dask_cluster(folder: Path, *workers: str, threads: int = 1) -> Iterator[Cluster]:
    """With workers of these names, which may take a moment to join."""
    told = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)]
    scheduler = _start("dask_scheduler", *options)
    cluster = None
    try:
        cluster = Cluster(_address(told, scheduler), scheduler)
        for name in workers:
            cluster.start_worker(name, threads)
        yield cluster
    finally:
        if cluster is not None:
            cluster.kill()
        else:
            scheduler.kill()
            scheduler.wait()


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
    return subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _address(told: Path, scheduler: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        assert scheduler.poll() is None, "the scheduler ended"
        try:
            return str(json.loads(told.read_text())["address"])
        except (OSError, ValueError, KeyError):  # not written yet, or half
            time.sleep(0.05)
    raise AssertionError("the scheduler did not start")
