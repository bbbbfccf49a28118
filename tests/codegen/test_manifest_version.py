"""A project of a toolkit whose programs the kernel reads otherwise is refused before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aebert.support.errors import AebertError
from codegen.manifest import SCHEMA_VERSION, read_manifest
from tests.support.projects import write_tiny_project


def test_a_manifest_of_before_the_program_changed_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    project = write_tiny_project(tiny_bert, tmp_path / "project")
    manifest = project / "manifest.json"
    before = SCHEMA_VERSION - 1
    fields = json.loads(manifest.read_text()) | {"schema_version": before}
    manifest.write_text(json.dumps(fields))
    with pytest.raises(AebertError, match=f"schema_version is {before}, this toolkit reads {SCHEMA_VERSION}; generate"):
        read_manifest(project)
