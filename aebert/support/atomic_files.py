"""Files and folders that are either whole or untouched: written under a hidden name beside the target, then renamed.

The hidden one is locked while it is written, so that what a killed process left can be told from what another process
is still writing. It is removed by the next writer of the same target, and mentioned.
"""

from __future__ import annotations

import ctypes
import fcntl
import glob
import json
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from aebert.support.errors import AebertError

LOGGER = logging.getLogger("aebert.files")

_SUFFIX = ".partial"
# Of the target's name: a hidden name must stay below the 255 bytes that file systems allow.
_NAME_BYTES = 180
_AT_FDCWD = -100
# Of renameat2, in linux/fs.h.
_RENAME_EXCHANGE = 2


def write_json(path: Path, value: Mapping[str, object] | Sequence[object]) -> None:
    """Writes a small JSON file for people and programs to read. Raises ValueError for numbers that JSON has not."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, content: str) -> None:
    """Writes ``content`` as UTF-8; see `whole_file`."""
    # Names from foreign files may hold lone surrogates, which UTF-8 has not.
    write_bytes(path, content.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Writes ``content``; see `whole_file`."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """An empty file to write to, which takes ``path``'s place when the block ends without an exception.

    Only a regular file is replaced: a device, a FIFO or a symbolic link stays as it is. Raises AebertError that names
    ``path`` when it cannot be written.
    """
    _check_replaceable_file(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with writing(path):
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield temporary
            # What the block wrote may be another file of that name.
            written = os.open(temporary, os.O_RDONLY)
            try:
                os.fchmod(written, 0o666 & ~_umask())
                os.fsync(written)
            finally:
                os.close(written)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def whole_directory(directory: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes ``directory``'s place when the block ends without an exception.

    Where the file system can, the two change places in one step; elsewhere in two renames, between which a kill leaves
    both folders whole, the old one under a hidden name. Raises AebertError that names what cannot be written.
    """
    directory = directory.resolve()
    with writing(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        _sweep(directory)
        temporary = Path(tempfile.mkdtemp(prefix=_prefix(directory), suffix=_SUFFIX, dir=directory.parent))
    handle = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with writing(directory):
            fcntl.flock(handle, fcntl.LOCK_EX)
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            _swap(temporary, directory)
    except AebertError as error:
        # Nobody has seen the hidden name.
        raise AebertError(str(error).replace(str(temporary), str(directory))) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What a full disk, a missing permission or a library does to writing ``path`` becomes an AebertError naming it."""
    try:
        yield
    except AebertError:
        raise
    except OSError as error:
        named = [os.fsdecode(name) for name in (error.filename2, error.filename) if isinstance(name, str | bytes)]
        ours = [name for name in named if _SUFFIX in name or path.is_relative_to(name)]
        if named and not ours:
            raise  # about something that was to be read
        inner = ours[0] if ours and not ours[0].endswith(_SUFFIX) else path
        raise AebertError(f"{inner}: cannot be written ({error.strerror or error}); {_REMEDY}") from error
    except Exception as error:
        # safetensors and PyTorch have errors of their own, which hold the system's words.
        if not _is_of_the_system(error):
            raise
        reason = str(error).splitlines()[0]
        raise AebertError(f"{path}: cannot be written ({reason}); {_REMEDY}") from error


_REMEDY = "check the folder, its permissions and the disk"


def _is_of_the_system(error: Exception) -> bool:
    if type(error).__name__ == "SafetensorError":
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("failed writing file", "os error", os.strerror(28), "unexpected pos")
    )


def _check_replaceable_file(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}
        kind = kinds.get(stat.S_IFMT(mode), "device")
        raise AebertError(f"{path}: is a {kind}, and only a regular file is replaced; choose another output file")


def _prefix(path: Path) -> str:
    return f".{os.fsdecode(os.fsencode(path.name)[:_NAME_BYTES])}."


def _sweep(path: Path) -> None:
    """Removes what killed writers of ``path`` left beside it."""
    for left in path.parent.glob(f"{glob.escape(_prefix(path))}*{_SUFFIX}"):
        with suppress(OSError):  # another sweeps it too, or it is not ours to remove
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left) if left.is_dir() else left.unlink()
                LOGGER.warning("removed %s, which an earlier run left when it was killed", left)
            finally:
                os.close(handle)


def _swap(new: Path, directory: Path) -> None:
    """``new`` becomes ``directory``; what was there lies at ``new`` afterwards, for its owner to remove."""
    if not directory.exists():
        new.rename(directory)
    elif not _exchange(new, directory):
        old = Path(tempfile.mkdtemp(prefix=_prefix(directory), suffix=_SUFFIX, dir=directory.parent))
        directory.rename(old)
        new.rename(directory)
        shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Whether the two changed names in one step: Linux only, and not on every file system."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    done: int = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return done == 0


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
