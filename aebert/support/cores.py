"""How many cores this process may use, and how worker processes share them."""

from __future__ import annotations

import os
from pathlib import Path

from aebert.support.errors import AebertError

_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that the affinity mask and the CPU quota of the container (cgroup v1 or v2) both leave; at least 1."""
    cores = len(os.sched_getaffinity(0))
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cpu_quota(own: Path = _OWN_GROUPS, mounted: Path = _GROUPS) -> float | None:
    """CPU seconds per second that this process may use; None where nothing limits them.

    ``own`` as in cgroups(7), /proc/[pid]/cgroup; ``mounted`` is where the hierarchies are. In a container the group's
    own path may not be visible: then the root of the mount is the group.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    found: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = mounted / controllers if controllers else mounted
        # A limit of any group above holds too.
        inner = root / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(root):
                found += _quota_of(folder)
    return min(found, default=None)


def share_cores(cores: int, workers: int | None, threads: int | None) -> tuple[int, int]:
    """Worker processes and the threads of each, so that together they use ``cores``; what is given stays.

    With neither given, one process of one thread per core. Raises AebertError for numbers below 1.
    """
    if any(given is not None and given < 1 for given in (workers, threads)):
        raise AebertError(f"{workers} workers with {threads} threads; give at least one of each")
    if workers is None:
        threads = threads or 1
        return max(1, cores // threads), threads
    return workers, threads or max(1, cores // workers)


def _quota_of(folder: Path) -> list[float]:
    """The quota of one group: at most one."""
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
            return [] if quota == "max" else [int(quota) / int(period)]
        if (folder / "cpu.cfs_quota_us").is_file():
            quota, period = (folder / "cpu.cfs_quota_us").read_text(), (folder / "cpu.cfs_period_us").read_text()
            return [int(quota) / int(period)] if int(quota) > 0 else []
    except (OSError, ValueError):
        return []  # not readable here, or of a kernel that writes something else: no limit that we know of
    return []
