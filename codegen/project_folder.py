"""Whether a folder is a project, told before anything heavy is imported."""

from __future__ import annotations

from pathlib import Path

from aebert.support.errors import AebertError

MANIFEST_FILE = "manifest.json"


def require_project(folder: Path) -> Path:
    """The manifest's path. Raises AebertError when ``folder`` has none."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise AebertError(f"{path}: not found; give a folder made by 'aebert generate'")
    return path
