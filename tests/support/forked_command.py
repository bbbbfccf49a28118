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
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from codegen.schedule import stored_schedule
from tests.support.command_line import Finished, aebert

# Linux: orphans become children of ours, so that nothing a command started can be overlooked.
_PR_SET_CHILD_SUBREAPER = 36
# A command that takes longer is killed.
_HANG_S = 60.0
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
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    gc.collect()
    gc.freeze()


def forked(*arguments: object) -> Finished:
    """``aebert`` with ``arguments`` in a child of this process. A signal that ends it is a negative exit code."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(arguments, writing)
    os.close(writing)
    said = _read(reading, time.monotonic() + _HANG_S)
    os.close(reading)
    if said is None:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with suppress(ChildProcessError):  # orphans that ended
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    if said is None:
        return Finished(-signal.SIGKILL, "", f"killed after {_HANG_S:.0f} s")
    if not said:
        code = os.waitstatus_to_exitcode(status)
        return Finished(code or -1, "", "ended without a word")
    return Finished(**json.loads(said))


def _child(arguments: tuple[object, ...], writing: int) -> None:
    """Never returns; what forks again in the command must not come back here either."""
    code = 1
    try:
        os.setpgid(0, 0)
        finished = replace(aebert(*arguments), waited_s=_waited_s())
        _write(writing, json.dumps(asdict(finished)).encode())
        code = 0
    except SystemExit as error:
        _write(writing, json.dumps(asdict(Finished(-1, "", f"SystemExit: {error}"))).encode())
    except BaseException:  # noqa: BLE001 -- said to the parent, whatever it is
        _write(writing, json.dumps(asdict(Finished(-1, "", traceback.format_exc()))).encode())
    finally:
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


def _read(handle: int, until: float) -> bytes | None:
    """All that is written before the other side closes; None when that takes too long."""
    parts: list[bytes] = []
    for part in _parts(handle, until):
        if part is None:
            return None
        parts.append(part)
    return b"".join(parts)


def _parts(handle: int, until: float) -> Iterator[bytes | None]:
    while True:
        ready, _, _ = select.select([handle], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            yield None
            return
        part = os.read(handle, 1 << 16)
        if not part:
            return
        yield part
