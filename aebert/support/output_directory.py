"""Output folders that are complete or untouched, never half-written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aebert.support.atomic_files import whole_directory
from aebert.support.errors import AebertError


def check_replaceable(directory: Path, marker: str, kind: str, force: bool) -> None:
    """Raise AebertError unless ``directory`` is free, empty, or, with ``force``, holds ``marker`` and so is our own."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise AebertError(f"{directory}: is a file, not a folder; choose another output folder")
    if not any(directory.iterdir()):
        return
    if not (directory / marker).is_file():
        raise AebertError(f"{directory}: exists and is not a {kind}; choose another output folder")
    if not force:
        raise AebertError(f"{directory}: holds a {kind} already; use --force to replace it")


@contextmanager
def replaced_directory(directory: Path, marker: str, kind: str, force: bool) -> Iterator[Path]:
    """An empty folder to write into, which takes ``directory``'s place when the block ends without an exception.

    ``marker`` is the file by which a ``kind`` of folder is recognised as one of ours. Raises as ``check_replaceable``.
    """
    check_replaceable(directory, marker, kind, force)
    with whole_directory(directory) as folder:
        yield folder
