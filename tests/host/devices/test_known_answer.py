"""Golden files that are not what their program needs are named before a device is given them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.support.errors import AebertError
from codegen.project import Project, load_project
from host.devices.known_answer import VECTOR, read_known_answer

pytest_plugins = ["tests.support.host_fixtures"]

PARTS = ("program", "input", "expected")


@pytest.fixture
def project(tiny_project: Project, tmp_path: Path) -> Project:
    return load_project(shutil.copytree(tiny_project.directory, tmp_path / "project"))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("change", ["empty", "shorter", "longer", "twice"])
def test_a_golden_file_of_another_length_is_named(project: Project, part: str, change: str) -> None:
    path = project.directory / "golden" / VECTOR / f"{part}.bin"
    content = path.read_bytes()
    changed = {"empty": b"", "shorter": content[:-1], "longer": content + b"\0", "twice": content * 2}
    path.write_bytes(changed[change])
    with pytest.raises(AebertError, match=rf"golden/{VECTOR}/{part}\.bin: (\d+ bytes, its program needs|not this)"):
        read_known_answer(project)


@pytest.mark.parametrize("part", PARTS)
def test_a_golden_file_that_is_none_is_refused_and_not_waited_for(project: Project, part: str) -> None:
    path = project.directory / "golden" / VECTOR / f"{part}.bin"
    path.unlink()
    with pytest.raises(AebertError, match=rf"{part}\.bin: missing"):
        read_known_answer(project)
    os.mkfifo(path)
    with pytest.raises(AebertError, match=rf"{part}\.bin: missing"):
        read_known_answer(project)


@settings(max_examples=40, deadline=None)
@given(line=st.text(max_size=60) | st.from_regex(r"(tokens \d{1,30} ?){1,6}", fullmatch=True))
def test_whatever_the_index_says_of_its_tokens_is_taken_or_refused(tiny_project: Project, line: str) -> None:
    index = tiny_project.directory / "golden" / "index.txt"
    good = index.read_text()
    at = next(number for number, text in enumerate(good.splitlines()) if text.startswith(f"vector {VECTOR} "))
    lines = good.splitlines()
    lines[at + 1] = line
    index.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    try:
        read_known_answer(tiny_project)
    except AebertError as refused:
        assert "generate the project again" in str(refused)  # noqa: PT017 -- most lines are refused, some are right
    finally:
        index.write_text(good)
