"""Files and folders from somebody else: what is opened is a regular file, and what a parser throws is one line.

A FIFO or a device would be waited for, for ever; a symbolic link may lead anywhere.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aebert.support.errors import AebertError

# One thing a message quotes from a foreign file or its parser.
_QUOTED = 200


@contextmanager
def foreign(source: Path | str, what: str, remedy: str) -> Iterator[None]:
    """Whatever a parser throws inside the block becomes an AebertError: ``source``: ``what`` (the reason); ``remedy``.

    To be put around other people's parsers and nothing else: a fault of ours in the block would look like a bad file.
    A parser in Rust may throw a PanicException, which is a BaseException and no Exception.
    """
    try:
        yield
    except (AebertError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        raise AebertError(f"{source}: {what} ({reason(error)}); {remedy}") from error


def reason(error: BaseException) -> str:
    """The first line of what ``error`` says, shortened; its type where it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"no {error}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:_QUOTED] if lines else type(error).__name__


def quoted(value: object) -> str:
    """``value`` of a foreign file as a message shows it: on one line, shortened."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more than 4300 digits
        text = "a number of thousands of digits"
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."


def check_regular(path: Path, remedy: str = "give a regular file") -> None:
    """Raises AebertError for what exists and is no regular file; links are followed, and absent files let through."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISDIR(mode):
        raise AebertError(f"{path}: is a folder, not a file; {remedy}")
    if not stat.S_ISREG(mode):
        raise AebertError(f"{path}: is a FIFO, socket or device, not a file; {remedy}")


def read_input(path: Path, limit: int | None = None, remedy: str = "give a file that can be read") -> bytes:
    """The content of a regular file. Raises AebertError for anything else, and for one of more than ``limit`` bytes.

    The file is looked at after it was opened, without waiting: nobody can exchange it in between.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise AebertError(f"{path}: cannot be read ({reason(error)}); {remedy}") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            kind = "folder" if stat.S_ISDIR(status.st_mode) else "FIFO, socket or device"
            raise AebertError(f"{path}: is a {kind}, not a file; {remedy}")
        if limit is not None and status.st_size > limit:
            raise AebertError(f"{path}: {status.st_size} bytes, more than {limit}; {remedy}")
        with os.fdopen(os.dup(handle), "rb") as stream:
            return stream.read()
    except OSError as error:
        raise AebertError(f"{path}: cannot be read ({reason(error)}); {remedy}") from None
    finally:
        os.close(handle)


def files_inside(directory: Path) -> list[Path]:
    """All regular files below ``directory``, sorted, hidden ones left out.

    Raises AebertError for a link that leads out of it, and for what is neither file nor folder.
    """
    root = directory.resolve()
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in (*folders, *sorted(names)):
            path = Path(folder) / name
            if name.startswith("."):
                continue
            check_inside(path, root)
            if name not in folders:
                check_regular(path, "remove it")
                found.append(path)
    return sorted(found)


def check_inside(path: Path, directory: Path) -> None:
    """Raises AebertError for a symbolic link that leads out of ``directory``."""
    if path.is_symlink() and not path.resolve().is_relative_to(directory.resolve()):
        raise AebertError(f"{path}: a symbolic link that leads out of {directory}; put a copy of the file there")
