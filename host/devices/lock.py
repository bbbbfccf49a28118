"""One owner per device: an advisory lock on a file, which the operating system releases when its owner dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from pathlib import Path
from types import TracebackType

from aebert.support.errors import AebertError


def lock_directory() -> Path:
    """XDG_RUNTIME_DIR if there is one (per user, gone after a reboot), else a folder in the temporary directory.

    Raises AebertError when that folder is not ours.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = Path(runtime) if runtime and Path(runtime).is_dir() else Path(tempfile.gettempdir())
    directory = parent / f"aebert-locks-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise AebertError(f"{directory}: belongs to somebody else; remove it or set XDG_RUNTIME_DIR")
    return directory


class DeviceLock:
    """Holds the device called ``name`` until it is released or the process ends, however it ends.

    Raises AebertError with the owner's process when somebody else has it.
    """

    def __init__(self, name: str) -> None:
        self.path = lock_directory() / (re.sub(r"[^A-Za-z0-9.-]", "_", name) + ".lock")
        # The file stays when the lock is released: removing it could pull it away under somebody who waits for it.
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._file, 64, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise AebertError(f"device {name}: in use by process {owner}; wait for it or end it") from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> DeviceLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
