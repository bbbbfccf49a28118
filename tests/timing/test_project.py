"""A whole project in timed emulation, as a user runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from codegen.project import load_project
from host.emulated.timed_run import time_project
from tests.support.projects import write_tiny_project


def test_a_project_on_disk_is_timed_with_its_boards_ports(tiny_bert: Path, tmp_path: Path) -> None:
    project = load_project(write_tiny_project(tiny_bert, tmp_path / "project"))
    run = time_project(project, [8, 20])
    assert run.result.checked_cycles() == pytest.approx(run.latency_ms * 1e3 * project.manifest.clock_mhz)
    assert 0.0 < run.lane_utilisation < 1.0
    assert {schedule.source for schedule in run.schedules} == {"scheduled"}
    # A zero input is as good as any: cycles do not depend on activations.
    assert time_project(project, [8, 20]).result.cycles == run.result.cycles
