"""``import aebert``: few names, loaded when used, and the steps of the command line."""

from __future__ import annotations

import ast
import doctest
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aebert


def test_the_example_of_the_package_runs(
    tiny_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_models["bert"], tmp_path / "model")
    failures, attempted = doctest.testmod(aebert, raise_on_error=False, verbose=False)
    assert failures == 0
    assert attempted >= 8
    assert {path.name for path in tmp_path.iterdir()} == {"model", "subnet", "project"}


def test_every_public_name_is_there() -> None:
    for name in aebert.__all__:
        home = importlib.import_module(aebert._HOMES[name])
        assert getattr(aebert, name) is getattr(home, name)
    assert set(aebert.__all__) <= set(dir(aebert))
    with pytest.raises(AttributeError, match="no attribute 'prnue'"):
        _ = aebert.prnue  # type: ignore[attr-defined]  # what the test is about


def test_types_and_runtime_know_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(aebert.__file__).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {
        alias.name: statement.module
        for statement in checked.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert typed == aebert._HOMES
    assert sorted(typed) == sorted(aebert.__all__)


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "transformers", "codegen", "host")
    script = f"import sys, aebert; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "[]\n"


def test_every_public_name_is_documented() -> None:
    for name in aebert.__all__:
        assert (getattr(aebert, name).__doc__ or "").strip(), name
