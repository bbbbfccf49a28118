"""Cores: what affinity and containers leave, and how workers share it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aebert.support.cores
from aebert.support.cores import cpu_quota, share_cores, usable_cores
from aebert.support.errors import AebertError


@given(st.integers(1, 512), st.none() | st.integers(1, 64), st.none() | st.integers(1, 64))
def test_workers_use_all_cores_and_no_more_unless_asked_to(
    cores: int, workers: int | None, threads: int | None
) -> None:
    processes, each = share_cores(cores, workers, threads)
    assert workers in (None, processes)
    assert threads in (None, each)
    if workers is None or threads is None:
        if (workers or 1) * (threads or 1) <= cores:
            assert processes * each <= cores
            assert cores - processes * each < max(processes if workers else each, 1), "another one would have fitted"
        else:
            assert processes == (workers or 1)
            assert each == (threads or 1)


def test_by_default_there_is_a_process_of_one_thread_for_each_core() -> None:
    assert share_cores(6, None, None) == (6, 1)
    assert share_cores(8, 2, None) == (2, 4)
    assert share_cores(8, None, 3) == (2, 3)
    with pytest.raises(AebertError, match="at least one of each"):
        share_cores(4, 0, None)


def group_file(folder: Path, text: str) -> Path:
    path = folder / "cgroup"
    path.write_text(text)
    return path


def quota(folder: Path, inside: str, limit: str) -> None:
    path = folder / inside
    path.mkdir(parents=True, exist_ok=True)
    (path / "cpu.max").write_text(limit)


def test_the_tightest_limit_of_all_groups_above_counts(tmp_path: Path) -> None:
    own = group_file(tmp_path, "0::/pod/container\n")
    mounted = tmp_path / "fs"
    quota(mounted, "pod/container", "max 100000\n")
    assert cpu_quota(own, mounted) is None
    quota(mounted, "pod", "250000 100000\n")
    assert cpu_quota(own, mounted) == 2.5
    quota(mounted, "pod/container", "50000 100000\n")
    assert cpu_quota(own, mounted) == 0.5
    quota(tmp_path, ".", "1 100000\n")
    assert cpu_quota(own, mounted) == 0.5, "a file outside the hierarchy is none of ours"


def test_a_container_that_sees_its_own_group_as_the_root_finds_its_limit(tmp_path: Path) -> None:
    own = group_file(tmp_path, "0::/system.slice/docker-1234.scope\n")
    quota(tmp_path / "fs", ".", "300000 100000\n")
    assert cpu_quota(own, tmp_path / "fs") == 3.0


def test_the_first_version_of_cgroups_is_read_too(tmp_path: Path) -> None:
    own = group_file(tmp_path, "12:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/\n")
    folder = tmp_path / "fs" / "cpu,cpuacct" / "docker" / "1"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (folder / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota(own, tmp_path / "fs") is None
    (folder / "cpu.cfs_quota_us").write_text("150000\n")
    assert cpu_quota(own, tmp_path / "fs") == 1.5


@pytest.mark.parametrize(("limit", "cores"), [(None, 3), (0.5, 1), (2.9, 2), (64.0, 3)])
def test_affinity_and_quota_both_hold(monkeypatch: pytest.MonkeyPatch, limit: float | None, cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 4, 7})
    monkeypatch.setattr(aebert.support.cores, "cpu_quota", lambda: limit)
    assert usable_cores() == cores


def test_where_nothing_is_said_about_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "missing", tmp_path) is None
    assert cpu_quota(group_file(tmp_path, "0::/\n"), tmp_path / "empty") is None
