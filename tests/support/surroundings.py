"""What a command may not change: the files around its output, and the processes that run when it has ended."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

# A process that is on its way out when its command has ended is not left behind.
_GRACE_S = 1.0
# What commands store in where --store or --database says so, and what SQLite lays beside it.
_DATABASES = ("runs.sqlite", "runs.sqlite-wal", "runs.sqlite-shm", "-wal", "-shm", "-journal")
# Outputs, and where a project keeps what was made of it.
_OUTPUTS = ("out", "build", ".cache")

State = Mapping[str, tuple[int, int]]


class Surroundings:
    """The files of ``folder``, but for outputs, and the processes below this one; ``settle`` says what is right."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._copy = folder.with_name(f"{folder.name}-as-it-was")
        self.settle()

    def settle(self) -> None:
        """What is there now is how it must be."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self.folder, self._copy, symlinks=True, ignore=shutil.ignore_patterns(*_OUTPUTS))
        self._files = self._seen()
        self._processes = running_below(os.getpid())

    def restore(self) -> None:
        """All files become as they must be, databases too."""
        for path in self.folder.iterdir():
            if path.name not in _OUTPUTS:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(self._copy, self.folder, symlinks=True, dirs_exist_ok=True)
        self._files = self._seen()

    def changes(self, but: Collection[Path] = ()) -> str:
        """A file that is not as it must be, apart from ``but``, or a process that was left; empty when there is none.

        Each is told once.
        """
        seen = self._seen()
        changing = {str(path.relative_to(self.folder)) for path in but}
        differing = {name for name in {*seen, *self._files} if seen.get(name) != self._files.get(name)} - changing
        if differing:
            kept = {name: state for name, state in self._files.items() if name in changing}
            self._files = {**{name: state for name, state in seen.items() if name not in changing}, **kept}
            return f"changed outside the output: {min(differing)}"
        until = time.monotonic() + _GRACE_S
        while left := running_below(os.getpid()) - self._processes:
            if time.monotonic() > until:
                self._processes |= left
                return f"left a process: {_command_line(min(left))}"
            time.sleep(0.05)
        return ""

    def _seen(self) -> State:
        found = {}
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in _OUTPUTS]
            for name in names:
                if name.endswith(_DATABASES):
                    continue
                path = Path(folder) / name
                status = path.lstat()
                found[str(path.relative_to(self.folder))] = (status.st_size, status.st_mtime_ns)
        return found


def running_below(pid: int) -> frozenset[int]:
    """The processes below ``pid`` that run; of Python's own, the one that tracks shared memory is left out."""
    found: set[int] = set()
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it just ended
            for child in map(int, listing.read_text().split()):
                if _runs(child) and "resource_tracker" not in _command_line(child):
                    found |= {child, *running_below(child)}
    return frozenset(found)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    return str(pid)
