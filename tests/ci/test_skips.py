"""CI refuses a skipped test, unless its reason is on the list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SCRIPT = ROOT / ".ci" / "skips.py"
TESTS = {
    "test_cases.py": """
import pytest
def test_runs(): pass
def test_skips(): pytest.skip("no server")
@pytest.mark.xfail(reason="a known fault", strict=True)
def test_fails(): assert False
""",
    "test_module.py": "import pytest\npytest.importorskip('nowhere_to_be_found')\n",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real JUnit report of a test that runs, one that skips, one expected to fail and a module that skips."""
    folder = tmp_path_factory.mktemp("skips")
    for name, text in TESTS.items():
        (folder / name).write_text(text)
    path = folder / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", ".", f"--junitxml={path}", "."],
        cwd=folder,
        capture_output=True,
        check=True,
        timeout=120,
    )
    return path


def check(report: Path, *allowed: str) -> subprocess.CompletedProcess[str]:
    reasons = report.with_name("allowed.txt")
    reasons.write_text("\n".join(["# a comment", "", *allowed]))
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(report), str(reasons)], capture_output=True, text=True, timeout=60
    )


def test_every_kind_of_skip_is_refused_by_name_and_reason(report: Path) -> None:
    done = check(report)
    assert done.returncode == 1
    assert "3 skipped, 0 of them" in done.stdout
    assert "test_skips: no server" in done.stderr
    assert "test_fails: a known fault" in done.stderr
    assert "could not import 'nowhere_to_be_found'" in done.stderr


def test_allowed_reasons_pass_and_must_match_as_a_whole(report: Path) -> None:
    assert check(report, "no server", "a known .*", "could not import 'nowhere_to_be_found'.*").returncode == 0
    assert check(report, "no", "a known .*", "could not import.*").returncode == 1
