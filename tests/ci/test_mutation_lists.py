"""The lists that benchmarks/mutation.py works from speak of the code as it is: a change of either must not outlive the
other."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")

from benchmarks.mutants import reasons, template_mutants
from benchmarks.mutation import CORE, ROOT


def _exists(test: str) -> bool:
    """A path, or a path with the name of a test."""
    file, _, name = test.partition("::")
    path = ROOT / file
    return path.exists() and (not name or f"def {name.partition('[')[0]}(" in path.read_text())


def test_every_module_and_test_is_there() -> None:
    assert [module for module in CORE if not (ROOT / module).is_file()] == []
    assert [test for tests in CORE.values() for test in tests if not _exists(test)] == []


def test_every_change_of_a_template_stands_in_it_once_and_has_tests() -> None:
    mutants = list(template_mutants(ROOT))  # refuses what stands there not at all, or twice
    assert len(mutants) >= 20
    assert [test for mutant in mutants for test in mutant.tests if not _exists(test)] == []
    assert all(mutant.tests and mutant.before != mutant.after for mutant in mutants)


def test_every_reason_is_of_a_line_that_is_there() -> None:
    gone = [
        (module, before)
        for module, before, _ in reasons()
        if before not in {line.strip() for line in Path(ROOT / module).read_text().splitlines()}
    ]
    assert gone == []
