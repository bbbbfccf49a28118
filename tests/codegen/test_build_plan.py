"""A build plan is a value: the same content has the same digest, and writing it is all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from aebert.support.errors import AebertError
from codegen.build_plan import BuildPlan

MANIFEST = "manifest.json"


def test_the_digest_depends_on_names_and_contents_but_not_on_their_order() -> None:
    first = BuildPlan({"a": b"1", "b/c": b"2"})
    assert first.digest == BuildPlan({"b/c": b"2", "a": b"1"}).digest
    assert first.digest != BuildPlan({"a": b"1", "b/c": b"3"}).digest
    assert first.digest != BuildPlan({"a": b"1", "b/d": b"2"}).digest


def test_a_copied_file_counts_like_its_content(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"weights")
    assert BuildPlan({"model": source}).digest == BuildPlan({"model": b"weights"}).digest


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/../../b", "a//b", "./a"])
def test_a_file_outside_the_project_is_refused(name: str) -> None:
    with pytest.raises(AebertError, match="plain relative path"):
        BuildPlan({name: b""})


def test_writing_makes_exactly_the_files_of_the_plan(tmp_path: Path) -> None:
    plan = BuildPlan({MANIFEST: b"{}", "kernel/top.cpp": b"int x;"})
    plan.extract(tmp_path / "project")
    found = {p.relative_to(tmp_path / "project").as_posix() for p in (tmp_path / "project").rglob("*") if p.is_file()}
    assert found == {MANIFEST, "kernel/top.cpp"}
    assert [p.name for p in tmp_path.iterdir()] == ["project"]


def test_a_foreign_folder_is_never_touched_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(AebertError, match="not a project"):
        BuildPlan({MANIFEST: b"{}"}).extract(tmp_path, force=True)
    assert (tmp_path / "mine").read_text() == "precious"


def test_an_existing_project_is_replaced_only_with_force(tmp_path: Path) -> None:
    BuildPlan({MANIFEST: b"{}", "old": b""}).extract(tmp_path / "p")
    with pytest.raises(AebertError, match="--force"):
        BuildPlan({MANIFEST: b"{}"}).extract(tmp_path / "p")
    BuildPlan({MANIFEST: b"{}", "new": b""}).extract(tmp_path / "p", force=True)
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == [MANIFEST, "new"]


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    plan = BuildPlan({MANIFEST: b"{}", "missing": tmp_path / "not there"})
    with pytest.raises(FileNotFoundError):
        plan.extract(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []
