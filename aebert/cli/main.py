"""``aebert``: finds the command, and turns every failure a user can meet into one line and an exit code.

Exit codes: 0 done; 1 done, and the answer is no (``verify`` found a mismatch); 2 bad input, a missing file or tool;
70 a fault in aebert itself; 130 interrupted (Ctrl-C or SIGTERM); 141 whoever read our output went away.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType

import click
from click.exceptions import Exit, NoArgsIsHelpError
from click.shell_completion import CompletionItem

from aebert.cli.common_options import COMPLETION_VARIABLE, add_common_options
from aebert.cli.config_file import CONFIG_FILES, default_map, find_config_files
from aebert.cli.failures import describe_failure, termination_as_interrupt
from aebert.cli.output import Output


@dataclass(frozen=True)
class LazyCommand:
    """Where a command lives, and its one line of help, so that ``aebert --help`` need not import it."""

    module: str
    help: str


COMMANDS: Mapping[str, LazyCommand] = {
    "prune": LazyCommand("aebert.cli.prune", "Prune an encoder to a ratio: model -> subnet."),
    "search": LazyCommand("aebert.cli.search", "Find the best subnets within a ratio or a latency."),
    "finetune": LazyCommand("aebert.cli.finetune", "Train a model or subnet on a task; zeros stay zero."),
    "evaluate": LazyCommand("aebert.cli.evaluate", "The metric of a model on a task, in fp32 and in integers."),
    "import": LazyCommand("aebert.cli.import_model", "Read an ONNX model: file -> model directory."),
    "export": LazyCommand("aebert.cli.export", "Write a subnet or model as ONNX: float32 or int8."),
    "generate": LazyCommand("aebert.cli.generate", "Generate the accelerator: subnet -> project."),
    "build": LazyCommand("aebert.cli.build", "Build a project: emulator or Vitis."),
    "verify": LazyCommand("aebert.cli.verify", "Check that a project computes what PyTorch computes."),
    "emulate": LazyCommand("aebert.cli.emulate", "Run a project in emulation; with --timed, in cycles."),
    "run": LazyCommand("aebert.cli.run", "Run sentences through a project."),
    "measure": LazyCommand("aebert.cli.measure", "Measure the latency of a project on a device."),
    "explore": LazyCommand("aebert.cli.explore", "Search the sizes of a design for a board."),
    "estimate": LazyCommand("aebert.cli.estimate", "Predict latency and resources of a subnet or project."),
    "fit-cost": LazyCommand("aebert.cli.fit_cost", "Fit the cost model of a board to measured runs."),
    "runs": LazyCommand("aebert.cli.runs", "Measured facts in an SQL database."),
    "lint": LazyCommand("aebert.cli.lint", "Check the rendered C++ of a project against the rules for HLS."),
    "schedule": LazyCommand("aebert.cli.schedule", "II, depth and clock of every loop, as synthesis will find them."),
    "report": LazyCommand("aebert.cli.report", "Write a project's report as one HTML file."),
    "demo": LazyCommand("aebert.cli.demo", "The whole path on MiniLM-L6, with a report."),
    "demo-model": LazyCommand("aebert.cli.demo_model", "Write a small real model to try the commands on."),
    "doctor": LazyCommand("aebert.cli.doctor", "What works on this machine, and what is missing for what."),
    "config": LazyCommand("aebert.cli.config", "The options that hold, and where each comes from."),
    "completion": LazyCommand("aebert.cli.completion", "Completion of commands, options and names by the shell."),
}


# What commands were called before; they go on working, with a notice.
OLD_NAMES: Mapping[str, str] = {"calibrate": "fit-cost"}


class LazyGroup(click.Group):
    """The group of ``COMMANDS``; each is imported when it is called, as ``<module>.command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name].module).command
        add_common_options(command, (cmd_name,))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if (name := OLD_NAMES.get(args[0])) is not None:
            click.echo(f"aebert {args[0]} is now called aebert {name}", err=True)
            args = [name, *args[1:]]
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            near = get_close_matches(args[0], COMMANDS, n=1)
            others = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}."
            raise click.UsageError(f"no command {args[0]!r}; {others}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(name, help=e.help) for name, e in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *super(click.Group, self).shell_complete(ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _read_config(ctx: click.Context, parameter: click.Parameter, given: Path | None) -> None:
    """Before all other options: what the files say are their defaults."""
    if ctx.resilient_parsing or not isinstance(ctx.command, click.Group):
        return
    files = find_config_files(given, Path.cwd(), ctx.command)
    ctx.meta[CONFIG_FILES] = files
    ctx.default_map = default_map(files)


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, envvar="AEBERT_JSON", help="Print one JSON object instead of text.")
@click.option("--quiet", "-q", is_flag=True, envvar="AEBERT_QUIET", help="Print results and errors only.")
@click.option("--verbose", "-v", is_flag=True, envvar="AEBERT_VERBOSE", help="Print details too.")
@click.option("--debug", is_flag=True, envvar="AEBERT_DEBUG", help="Print the traceback of an error.")
@click.option(
    "--config-file",
    type=click.Path(path_type=Path),
    envvar="AEBERT_CONFIG_FILE",
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="Options from this file [default: the nearest aebert.toml, here or in a folder above].",
)
@click.version_option(package_name="aebert", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, as_json: bool, quiet: bool, verbose: bool, debug: bool) -> None:
    """From a Hugging Face encoder to a verified FPGA project.

    The options here may also follow the command. Exit codes: 0 done; 1 done, and the answer is no; 2 bad input or
    something missing; 70 a fault in aebert; 130 interrupted.

    Example: aebert prune MODEL -o subnet --ratio 0.5 && aebert generate subnet --board u200 -o project
    """
    output = Output(quiet=quiet, verbose=verbose, debug=debug, as_json=as_json)
    for file in ctx.meta[CONFIG_FILES]:
        for line in file.ignored:
            output.note(line)
        output.detail(f"options from {file.path}")
    ctx.obj = output


class _Boundary:
    """The outermost frame: whatever leaves the ``with`` block becomes a line on standard error and ``exit_code``."""

    def __init__(self, arguments: Sequence[str]) -> None:
        # Of a command line that cannot be parsed, this is what is known.
        as_json = "--json" in arguments or _is_set("AEBERT_JSON")
        self.output = Output(as_json=as_json, debug="--debug" in arguments)
        self.context: click.Context | None = None
        self.exit_code = 0
        self.error: str | None = None
        self.told_help = False
        # What --help and --version print is a field of the JSON object.
        self.asks_help = bool({"--help", "-h", "--version"}.intersection(arguments))
        self.help = io.StringIO()

    @contextmanager
    def help_kept(self) -> Iterator[None]:
        """With ``--json`` what is printed for ``--help`` goes to ``help``."""
        if not (self.asks_help and self.output.as_json):
            yield
            return
        with redirect_stdout(self.help):
            yield

    def __enter__(self) -> _Boundary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.context is not None:
            found = self.context.find_object(Output)
            if found is not None:
                as_json = found.as_json or (isinstance(error, click.UsageError) and self.output.as_json)
                self.output = replace(found, as_json=as_json)
        if error is None:
            return False
        # A parser in Rust may throw a PanicException, which is no Exception: it must not end in exit code 1, an answer.
        if isinstance(error, SystemExit | GeneratorExit):
            return False
        self.exit_code, line = describe_failure(error)
        if isinstance(error, KeyboardInterrupt) and self._can_resume():
            line = "interrupted; the same command with --resume goes on."
        # No command ends itself with 0 halfway: that is what --help and --version do.
        self.told_help = isinstance(error, NoArgsIsHelpError) or (isinstance(error, Exit) and self.exit_code == 0)
        if self.output.debug and line:
            sys.excepthook(type(error), error, trace)
        if isinstance(error, NoArgsIsHelpError):
            click.echo(line, err=True)
        elif line:
            self.error = line.removeprefix("error: ")
            click.echo(f"aebert: {line}", err=True)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            self.output.collected.command = " ".join(error.ctx.command_path.split()[1:])
        if isinstance(error, OSError):
            _forget_unwritten_output()
        return True

    def _can_resume(self) -> bool:
        name = None if self.context is None else self.context.invoked_subcommand
        command = None if self.context is None or name is None else cli.get_command(self.context, name)
        return command is not None and any(parameter.name == "resume" for parameter in command.params)

    def document(self) -> str | None:
        """The JSON object that is due on standard output, if one is."""
        if not self.output.as_json:
            return None
        if self.told_help:
            if not self.asks_help:
                return None
            self.output.collected.command = (self.context and self.context.invoked_subcommand) or ""
            self.output.result(help=self.help.getvalue().rstrip("\n"))
        return self.output.document(self.exit_code, self.error)


def _is_set(variable: str) -> bool:
    """As click reads the variable of a flag."""
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "t", "yes", "y", "on")


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
    if COMPLETION_VARIABLE in os.environ:
        cli.main(prog_name="aebert")
    given = list(sys.argv[1:] if arguments is None else arguments)
    with _Boundary(given) as command, termination_as_interrupt(), command.help_kept():
        began = time.monotonic()
        with cli.make_context("aebert", given) as command.context:
            cli.invoke(command.context)
        sys.stdout.flush()
        output = command.context.find_object(Output) or command.output
        output.detail(f"{output.collected.command}: {time.monotonic() - began:.1f} s")
    with _Boundary(()) as writing:
        document = command.document()
        if document is not None:
            click.echo(document)
            sys.stdout.flush()
    return writing.exit_code or command.exit_code
