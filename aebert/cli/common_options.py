"""What every command accepts: ``--json``, and quietly the other options of ``aebert`` itself.

They are added when a command is loaded, so that no command has to declare them, and each option gets the environment
variable that its place gives it: ``AEBERT_<COMMAND>_<FLAG>``.
"""

from __future__ import annotations

from dataclasses import replace

import click
from click.core import ParameterSource

from aebert.cli.number_limits import limit_number
from aebert.cli.output import Output

ENVIRONMENT_PREFIX = "AEBERT"
# Set by the script of `aebert completion`: the shell asks what it may complete.
COMPLETION_VARIABLE = "_AEBERT_COMPLETE"
COMMON_FLAGS = ("json", "quiet", "verbose", "debug")
_RANKS = {ParameterSource.COMMANDLINE: 3, ParameterSource.ENVIRONMENT: 2, ParameterSource.DEFAULT_MAP: 1}


def flag_name(option: click.Option) -> str:
    """The long name of ``option`` without dashes in front: ``max-seq``."""
    return max(option.opts, key=len).lstrip("-")


def environment_variable(command_path: tuple[str, ...], flag: str) -> str:
    """``AEBERT_RUNS_LIST_LIMIT`` for ``--limit`` of ``aebert runs list``."""
    return "_".join((ENVIRONMENT_PREFIX, *command_path, flag)).replace("-", "_").upper()


def environment_variables(option: click.Option) -> list[str]:
    """Those that give ``option`` its value, the strongest first."""
    named = option.envvar
    return [named] if isinstance(named, str) else list(named or ())


def own_options(command: click.Command) -> list[click.Option]:
    """The options that ``command`` declares itself."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return [option for option in options if flag_name(option) not in (*COMMON_FLAGS, "help", "version", "config-file")]


def common_options(root: click.Command) -> list[click.Option]:
    """What ``aebert`` itself declares and every command accepts."""
    options = [parameter for parameter in root.params if isinstance(parameter, click.Option)]
    return [option for option in options if flag_name(option) in COMMON_FLAGS]


def overruled(ctx: click.Context, *alternatives: str) -> frozenset[str]:
    """Of parameters that exclude each other, those that a weaker source gives than another one: a flag beats a file."""
    ranks = {name: _RANKS.get(ctx.get_parameter_source(name) or ParameterSource.DEFAULT, 0) for name in alternatives}
    strongest = max(ranks.values())
    return frozenset(name for name, rank in ranks.items() if rank < strongest)


def add_common_options(command: click.Command, command_path: tuple[str, ...]) -> None:
    """Give ``command``, and the commands below it, the common options and their environment variables."""
    if not any(_is_common(parameter) for parameter in command.params):
        command.params.extend(_accepted_after_commands())
    for option in own_options(command):
        limit_number(option)
        own = environment_variable(command_path, flag_name(option))
        shared = environment_variables(option)
        if own not in shared:
            option.envvar = [own, *shared]
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            add_common_options(below, (*command_path, name))


def _is_common(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and "--json" in parameter.opts and not parameter.expose_value


def _accepted_after_commands() -> list[click.Option]:
    def option(flags: list[str], text: str, hidden: bool) -> click.Option:
        return click.Option(
            flags, is_flag=True, is_eager=True, expose_value=False, hidden=hidden, callback=_remember, help=text
        )

    return [
        option(["--json", "common_json"], "Print one JSON object instead of text.", hidden=False),
        option(["-q", "--quiet", "common_quiet"], "Print results and errors only.", hidden=True),
        option(["-v", "--verbose", "common_verbose"], "Print details too.", hidden=True),
        option(["--debug", "common_debug"], "Print the traceback of an error.", hidden=True),
    ]


def _remember(ctx: click.Context, parameter: click.Parameter, given: bool) -> None:
    output = ctx.find_object(Output) or Output()
    output.collected.command = " ".join(ctx.command_path.split()[1:])
    if not given or ctx.resilient_parsing:
        return
    match parameter.name:
        case "common_json":
            output = replace(output, as_json=True)
        case "common_quiet":
            output = replace(output, quiet=True)
        case "common_verbose":
            output = replace(output, verbose=True)
        case _:
            output = replace(output, debug=True)
    # The outermost frame looks there when it writes the JSON object, or an error.
    ctx.obj = ctx.find_root().obj = output
