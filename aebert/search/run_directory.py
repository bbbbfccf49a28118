"""The folder of a search: its settings, its study, what was prepared for it, and what it found."""

from __future__ import annotations

import fcntl
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from aebert.atomic import write_json
from aebert.errors import AebertError

RUN_FILE = "run.json"
_SCHEMA_VERSION = 1

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
    def front(self) -> Path:
        return self.directory / "front"

    @property
    def best(self) -> Path:
        return self.directory / "best"


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
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AebertError(f"{path}: cannot be read ({error}); start a new search in another folder") from None
    if not isinstance(content, dict) or content.get("schema_version") != _SCHEMA_VERSION:
        raise AebertError(f"{path}: not written by this version of aebert; start a new search in another folder")
    name, settings = content.get("study"), content.get("settings")
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise AebertError(f"{path}: fields 'study' and 'settings' are missing; start a new search in another folder")
    return name, settings


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return "none" if value is None else str(value)
