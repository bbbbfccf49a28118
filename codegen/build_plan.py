"""A project as a value: relative file names and their contents, with one digest, written in one step.

After amaranth's ``BuildPlan``: building the project and writing it are different things.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from aebert.support.atomic_files import writing
from aebert.support.errors import AebertError
from aebert.support.output_directory import replaced_directory

MARKER = "manifest.json"
KIND = "project"
_PIECE_BYTES = 1 << 20


def content_digest(content: bytes | Path) -> str:
    """SHA-256 (hex) of bytes, or of a file's."""
    digest = hashlib.sha256()
    if isinstance(content, Path):
        with content.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                digest.update(piece)
    else:
        digest.update(content)
    return digest.hexdigest()


@dataclass(frozen=True)
class BuildPlan:
    """``files`` maps relative POSIX paths to contents, or to a file elsewhere that is copied.

    Raises AebertError for a path that leaves the project.
    """

    files: Mapping[str, bytes | Path]

    def __post_init__(self) -> None:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name:
                raise AebertError(f"project file {name!r}: must be a plain relative path")
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over every name and content, in the order of the names."""
        lines = (f"{digest}  {name}\n" for name, digest in self.file_digests().items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def file_digests(self) -> dict[str, str]:
        """SHA-256 (hex) of each file."""
        return {name: content_digest(content) for name, content in self.files.items()}

    def with_file(self, name: str, content: bytes) -> BuildPlan:
        """The same plan and one more file."""
        return BuildPlan({**self.files, name: content})

    def extract(self, directory: Path, *, force: bool = False) -> None:
        """Writes the project so that ``directory`` is either complete or untouched.

        An existing project is replaced only with ``force``; anything else that exists is never touched.
        Raises AebertError for these cases.
        """
        with replaced_directory(directory, MARKER, KIND, force) as temporary:
            for name, content in self.files.items():
                target = temporary / name
                with writing(target):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if isinstance(content, Path):
                        shutil.copyfile(content, target)
                    else:
                        target.write_bytes(content)
