"""The folder of a search: its settings, its study, what was prepared for it, and what it found."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aebert.models.text import Text
from aebert.support.atomic_files import write_json
from aebert.support.checked_files import FileTable, read_json
from aebert.support.errors import AebertError
from aebert.support.json_digest import json_digest

RUN_FILE = "run.json"
_SCHEMA_VERSION = 1
# The settings of a search.
_LARGEST = 1 << 20

Setting = str | int | float | bool | None | list[str]


class RunDirectory:
    """A folder that one search owns. ``study_name`` tells its trials from those of others in a shared database."""

    def __init__(self, directory: Path, study_name: str) -> None:
        self.directory, self.study_name = directory, study_name

    @property
    def study_file(self) -> Path:
        return self.directory / "study.db"

    @property
    def prepared(self) -> Path:
        """The scorers' files, for all workers."""
        return self.directory / "prepared"

    @property
    def refined(self) -> Path:
        """The finalists' refined weights, until what was chosen is written."""
        return self.directory / "prepared" / "refined"

    @property
    def front(self) -> Path:
        return self.directory / "front"

    @property
    def best(self) -> Path:
        return self.directory / "best"


class _StoredRun(FileTable):
    schema_version: int
    study: str
    settings: dict[str, object]


def open_run(directory: Path, settings: Mapping[str, Setting], resume: bool) -> RunDirectory:
    """A new run, or with ``resume`` the one that is there.

    Raises AebertError for a folder that is not a search, one that holds a search already (without ``resume``), and for
    a search with other settings.
    """
    path = directory / RUN_FILE
    if directory.exists() and not directory.is_dir():
        raise AebertError(f"{directory}: is a file, not a folder; choose another output folder")
    if not path.is_file():
        if directory.is_dir() and any(directory.iterdir()):
            raise AebertError(f"{directory}: exists and is not a search; choose another output folder")
        run = RunDirectory(directory, f"aebert-{uuid.uuid4().hex}")
        content = {"schema_version": _SCHEMA_VERSION, "study": run.study_name, "settings": dict(settings)}
        write_json(path, content)
        return run
    if not resume:
        raise AebertError(f"{directory}: holds a search already; use --resume to go on, or choose another folder")
    name, stored = _read(path)
    for key in sorted({*settings, *stored}):
        if stored.get(key) != settings.get(key):
            raise AebertError(
                f"{directory}: holds a search with {key} {_shown(stored.get(key))}, not {_shown(settings.get(key))}; "
                "give the same settings or another folder"
            )
    return RunDirectory(directory, name)


def rows_digest(texts: Sequence[Text], labels: Sequence[int | float] | None, task: str | None) -> str:
    """SHA-256 (hex) over what a search scores on, as its settings keep it."""
    return json_digest([task, list(texts), None if labels is None else list(labels)])


def check_scored_on(directory: Path, texts: Sequence[Text], labels: Sequence[int | float], task: str) -> None:
    """Raises AebertError where the search in ``directory`` scored on other rows, which would then be trained on."""
    _, settings = _read(directory / RUN_FILE)
    if settings.get("scoring rows") != rows_digest(texts, labels, task):
        raise AebertError(
            f"{directory}: the search scored on other rows than these options set aside; give --task, --data, "
            "--scoring-rows and --split-seed as they were for aebert search"
        )


@contextmanager
def locked(run: RunDirectory) -> Iterator[None]:
    """No other process works in the run inside the block. Raises AebertError if one does already.

    The lock ends with the process, however that ends.
    """
    with (run.directory / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AebertError(f"{run.directory}: another search is running here; wait for it or stop it") from None
        yield


def _read(path: Path) -> tuple[str, Mapping[str, object]]:
    run = read_json(_StoredRun, path, "start a new search in another folder", _LARGEST)
    if run.schema_version != _SCHEMA_VERSION:
        raise AebertError(f"{path}: not written by this version of aebert; start a new search in another folder")
    return run.study, run.settings


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "none" if value is None else str(value)
