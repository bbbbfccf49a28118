"""Wrong files and odd options end in an answer or in one line that says why. The long run is benchmarks/attack.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.attacks import Workspace
from tests.support.command_line import aebert


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(Path(tmp_path_factory.mktemp("attacks")))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(number=st.integers(0, 99_999))
def test_no_wrong_file_and_no_option_ends_in_anything_but_an_answer_or_a_reason(
    workspace: Workspace, number: int
) -> None:
    outcome = workspace.attack(number)
    assert not outcome.problem, f"benchmarks/attack.py --first {number} --inputs 1: {outcome.what}"


def test_what_earlier_attacks_found_stays_mended(workspace: Workspace) -> None:
    """Their numbers hang on the list of targets; these are the files themselves."""
    config = workspace.folder / "model" / "config.json"
    good = config.read_text()
    try:
        config.write_text(good.replace('"model_type"', '"bos_token_id": NaN, "model_type"'))
        done = aebert("prune", workspace.folder / "model", "--ratio", "0.5", "-o", workspace.folder / "out")
    finally:
        config.write_text(good)
    assert (done.exit_code, "NaN is no JSON number" in done.stderr) == (2, True), done.stderr
    rows = workspace.folder / "glue" / "MNLI" / "dev_matched.tsv"
    good = rows.read_text()
    try:
        rows.write_text(good.rstrip("\n") + "9" * 10_000)
        done = aebert("evaluate", workspace.folder / "model", "--task", "mnli", "--data", workspace.folder / "glue")
    finally:
        rows.write_text(good)
    assert (done.exit_code, "is not one of" in done.stderr) == (2, True), done.stderr
