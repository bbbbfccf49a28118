"""The package that docs/own_methods.md describes, made from the page's own text."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

PAGE = ROOT / "docs" / "own_methods.md"


def blocks(language: str) -> list[str]:
    """The page's fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def install_page_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``mine.py`` and its entry points, as pip puts them into a folder of the path, which worker processes see too."""
    (folder / "mine.py").write_text("\n".join(blocks("python")), encoding="utf-8")
    information = folder / "mine-1.0.dist-info"
    information.mkdir()
    project = tomllib.loads("".join(blocks("toml")))["project"]
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
