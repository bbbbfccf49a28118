"""The first of the README's two commands, whole: what it calls must take what it is given."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import aebert


def test_the_demo_leaves_a_verified_project_and_its_report(minilm_directory: Path, tmp_path: Path) -> None:
    result = aebert("demo", "-o", tmp_path / "demo")
    assert result.exit_code == 0
    assert (tmp_path / "demo" / "project" / "manifest.json").is_file()
    assert "Verification ladder" in (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
