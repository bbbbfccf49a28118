"""Runs a long tool: every line to a log file and a listener, a time limit, and nothing left behind on Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aebert.support.errors import AebertError

GRACE_S = 10.0
_ERROR_MARKS = ("ERROR:", "error:", "FATAL", "CRITICAL WARNING:")
_TAIL_LINES = 50


@dataclass(frozen=True)
class FinishedProcess:
    """A command that ended with exit code 0. ``log`` holds all it printed."""

    command: tuple[str, ...]
    seconds: float
    log: Path


def run_logged(
    command: Sequence[str],
    *,
    directory: Path,
    log: Path,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> FinishedProcess:
    """Runs ``command`` in ``directory`` with ``environment`` added to this process's own.

    Standard output and error go to ``log`` and, line by line, to ``on_line``. The command and all it starts are one
    process group, which is ended when ``limit_s`` is over or when anything (Ctrl-C included) interrupts this function.
    Raises AebertError with the tool's first error line when it fails, and when it takes too long.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    too_long = threading.Event()
    problems: list[str] = []
    tail: list[str] = []
    with (
        log.open("w", encoding="utf-8") as record,
        subprocess.Popen(
            list(command),
            cwd=directory,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process,
    ):
        watchdog = threading.Timer(limit_s, _end_late, (process, too_long))
        watchdog.daemon = True
        watchdog.start()
        try:
            for line in process.stdout or ():
                record.write(line)
                record.flush()
                text = line.rstrip()
                if text.startswith(_ERROR_MARKS) or ": error:" in text:
                    problems.append(text)
                if text:
                    tail = [*tail[1 - _TAIL_LINES :], text]
                on_line(text)
            code = process.wait()
        except BaseException:
            _end(process)
            raise
        finally:
            watchdog.cancel()
    if too_long.is_set() and code != 0:
        raise AebertError(f"{command[0]}: took longer than {limit_s:g} s and was ended; raise the limit, see {log}")
    if code != 0:
        said = (problems or tail or ["no message"])[0 if problems else -1]
        raise AebertError(f"{command[0]}: failed with exit code {code}: {said}; see {log}")
    return FinishedProcess(tuple(command), time.monotonic() - started, log)


def _end_late(process: subprocess.Popen[str], too_long: threading.Event) -> None:
    too_long.set()
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Asks the process group to end, ends it when it does not, and waits until the last of its members is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE_S
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
            while time.monotonic() < deadline:
                process.poll()  # a leader that nobody waited for would stay a member
                os.killpg(process.pid, 0)
                time.sleep(0.02)
            continue
        return
