"""The sources of a project that are compiled: read once, and compared with the manifest before anybody runs them.

The digests tell a project that was changed after it was generated. They do not tell who generated it: what a project
of somebody else may do is limited where its code runs (`host.emulated.confinement`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError
from aebert.support.input_files import check_regular, read_input
from aebert.support.json_digest import bytes_digest

# What the emulator is compiled from.
SOURCE_FOLDERS = ("kernel", "emulation")
MANIFEST = "manifest.json"
# Far more than what is generated; below what makes a compiler take hours.
LARGEST_SOURCE = 16 << 20


@dataclass(frozen=True)
class ProjectSources:
    """``files``: relative name -> content. ``changed`` are those that are not as generated, which somebody trusts."""

    files: Mapping[str, bytes]
    changed: tuple[str, ...] = ()


def read_sources(project: Path) -> ProjectSources:
    """All of ``kernel/`` and ``emulation/``. Raises AebertError for links, special files, and where there is none."""
    files = {
        path.relative_to(project).as_posix(): read_input(path, LARGEST_SOURCE)
        for folder in SOURCE_FOLDERS
        for path in _files_below(project / folder)
    }
    if not any(name.endswith(".cpp") for name in files):
        raise AebertError(f"{project}: no C++ sources in {' or '.join(SOURCE_FOLDERS)}/; give a generated project")
    return ProjectSources(files)


def trusted_sources(project: Path, digests: Mapping[str, str], trust_changes: bool) -> ProjectSources:
    """The same, each listed in ``digests`` and as it was when the project was generated.

    With ``trust_changes`` what differs is named in the result instead of in an AebertError.
    """
    sources = read_sources(project)
    found = {name: bytes_digest(content) for name, content in sources.files.items()}
    listed = {name: digest for name, digest in digests.items() if name.partition("/")[0] in SOURCE_FOLDERS}
    return ProjectSources(sources.files, _changes(project, found, listed, trust_changes))


def check_build_files(project: Path, digests: Mapping[str, str], trust_changes: bool) -> tuple[str, ...]:
    """The files beside the sources that vendor tools run (Makefile, Tcl, configuration): those that are changed.

    Raises AebertError as `trusted_sources`.
    """
    found = {}
    for path in sorted(project.iterdir()):
        if path.is_file() and path.name != MANIFEST and not path.name.startswith("."):
            _refuse_link(path)
            found[path.name] = bytes_digest(read_input(path))
    listed = {name: digest for name, digest in digests.items() if "/" not in name}
    return _changes(project, found, listed, trust_changes)


def _changes(
    project: Path, found: Mapping[str, str], listed: Mapping[str, str], trust_changes: bool
) -> tuple[str, ...]:
    changed = tuple(sorted(name for name in {**found, **listed} if found.get(name) != listed.get(name)))
    if changed and not trust_changes:
        name = changed[0]
        what = "is missing" if name not in found else "changed" if name in listed else f"is not listed in {MANIFEST}"
        raise AebertError(
            f"{project / name}: {what} since the project was generated, so it is not compiled or run; generate the "
            "project again, or give --trust-changes if the change is yours"
        )
    return changed


def _files_below(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        _refuse_link(path)
        if not path.is_dir():
            check_regular(path, "remove it")
            found.append(path)
    return found


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise AebertError(f"{path}: a symbolic link among the sources; put the file itself there")
