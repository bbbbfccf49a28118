"""The command line in a process of its own, forked from one that has imported everything: imports are paid once."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from codegen.schedule import stored_schedule
from tests.support.command_line import Finished, aebert

# Linux: orphans become children of ours, so that nothing a command started can be overlooked.
_PR_SET_CHILD_SUBREAPER = 36
# A child that says nothing for longer is killed.
_HANG_S = 60.0
_DONE = b"done"
_PACKAGES = ("aebert", "codegen", "host")


def import_everything() -> None:
    """All modules of the product, and what they import; those that need a package that is not installed are left."""
    for package in _PACKAGES:
        for module in walk_packages(import_module(package).__path__, f"{package}."):
            if not module.name.endswith(("__main__", ".env")) and ".migrations." not in module.name:
                with suppress(ImportError):
                    import_module(module.name)


def leave_scheduling_out() -> None:
    """Commands behave as where LLVM is not installed: to schedule a kernel is half a minute's work, and no hang."""
    stored_schedule.can_schedule = lambda: False


def prepare_to_fork() -> None:
    """To be called once, when everything is imported and no thread runs."""
    adopt_orphans(True)
    gc.collect()
    gc.freeze()


def adopt_orphans(do: bool) -> None:
    """Whether processes whose parents ended become children of this one."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(do), 0, 0, 0)


class ChildEnded(Exception):
    """A child ended before it was done, or was killed because it said nothing for too long."""

    def __init__(self, exit_code: int, what: str) -> None:
        super().__init__(what)
        self.exit_code = exit_code


def forked(*arguments: object) -> Finished:
    """``aebert`` with ``arguments`` in a child of this process. A signal that ends it is a negative exit code."""
    try:
        (message,) = messages_of_child(lambda: iter([_as_message(watched(*arguments))]))
    except ChildEnded as error:
        return Finished(error.exit_code, "", str(error))
    return Finished(**json.loads(message))


def watched(*arguments: object) -> Finished:
    """``aebert`` with ``arguments`` in this process; what leaves it as an exception is exit code -1."""
    before = _waited_s()
    try:
        return replace(aebert(*arguments), waited_s=_waited_s() - before)
    except SystemExit as error:
        return Finished(-1, "", f"SystemExit: {error}")
    except BaseException:  # noqa: BLE001 -- said to whoever watches, whatever it is
        return Finished(-1, "", traceback.format_exc())


def _as_message(finished: Finished) -> bytes:
    return json.dumps(asdict(finished)).encode()


def messages_of_child(messages: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """What ``messages`` yields in a child of this process, without line breaks, as it comes.

    Raises ChildEnded when the child ended before the last, or said nothing for a minute.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(messages, writing)
    os.close(writing)
    done = silent = False
    try:
        for line in _lines(reading):
            if line is None:
                silent = True
                break
            if line == _DONE:
                done = True
                break
            yield line
    finally:
        os.close(reading)
        if not done:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL if silent else signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        with suppress(ChildProcessError):  # orphans that ended
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    if silent:
        raise ChildEnded(-signal.SIGKILL, f"killed after {_HANG_S:.0f} s")
    if not done:
        raise ChildEnded(os.waitstatus_to_exitcode(status) or -1, "ended without a word")


def _child(messages: Callable[[], Iterator[bytes]], writing: int) -> None:
    """Never returns; what forks again in the command must not come back here either."""
    me = os.getpid()
    code = 1
    try:
        os.setpgid(0, 0)
        for message in messages():
            _write(writing, message + b"\n")
        _write(writing, _DONE + b"\n")
        code = 0
    finally:
        if os.getpid() == me:
            sys.stdout.flush()
        os._exit(code)


def _waited_s() -> float:
    """How long this process was ready to run and did not; Linux counts it in nanoseconds."""
    with suppress(OSError):
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def _write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _lines(handle: int) -> Iterator[bytes | None]:
    """Whole lines until the other side closes; None when the next takes too long."""
    content = b""
    until = time.monotonic() + _HANG_S
    while True:
        ready, _, _ = select.select([handle], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            yield None
            return
        part = os.read(handle, 1 << 16)
        if not part:
            return
        *lines, content = (content + part).split(b"\n")
        for line in lines:
            yield line
            until = time.monotonic() + _HANG_S
