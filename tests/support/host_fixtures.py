"""One small compiled project for all tests of the host. Use it with ``pytest_plugins`` in a test module."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from codegen.project import Project, load_project
from codegen.toolchains.emulator import build_emulator
from tests.support.projects import write_tiny_project


def _shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of one pytest-xdist run share."""
    base = factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture(scope="session")
def tiny_project(tiny_classifiers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny BERT classifier on an emulated U200, compiled."""
    root = _shared(tmp_path_factory)
    with (root / "tiny_project.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory = root / "tiny_project"
        if not directory.exists():
            write_tiny_project(tiny_classifiers["bert"], directory)
            build_emulator(load_project(directory).sources())
    return load_project(directory)
