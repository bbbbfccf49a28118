"""``aebert config``: which value of each option holds, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from aebert.cli.command_tree import CommandPath, leaf_commands
from aebert.cli.common_options import common_options, environment_variables, flag_name, own_options
from aebert.cli.config_file import CONFIG_FILES, ConfigFile, user_file
from aebert.cli.output import current_output


@dataclass(frozen=True)
class Effective:
    """The value of one option that holds when its flag is not given.

    ``command`` is empty for what every command has; ``origin``: a variable, a file, or ``default``.
    """

    command: str
    flag: str
    value: object
    origin: str


@click.command(name="config")
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the options that files and environment set, or with COMMAND all of that command's, and where they come from.

    A flag beats the environment (AEBERT_<COMMAND>_<FLAG>), which beats the project's file (the nearest aebert.toml, or
    --config-file), which beats the user's file, which beats the default.

    Example: aebert config prune
    """
    output = current_output()
    root = ctx.find_root().command
    leaves = [(path, found) for path, found in leaf_commands(root) if path[: len(words)] == words]
    if not leaves:
        raise click.UsageError(f"no command {' '.join(words)!r}; see 'aebert --help'.", ctx)
    files: list[ConfigFile] = ctx.find_root().meta[CONFIG_FILES]
    if not words:
        leaves.insert(0, ((), root))
    rows = [row for path, found in leaves for row in effective_options(path, found, files)]
    shown = rows if words else [row for row in rows if row.origin != "default"]
    for file in files:
        output.result(f"# {file.path}")
    if not files:
        output.note(f"no aebert.toml here or above, and no {user_file()}")
    for row in shown:
        output.result(f"{row.command} --{row.flag} = {_shown(row.value)}  ({row.origin})".lstrip())
    output.result(files=[file.path for file in files], options=shown)


def effective_options(path: CommandPath, command: click.Command, files: Sequence[ConfigFile]) -> Iterator[Effective]:
    """All options that ``command`` declares; ``files`` strongest first."""
    for option in own_options(command) if path else common_options(command):
        flag = flag_name(option)
        key = (*path, flag)
        variable = next((name for name in environment_variables(option) if os.environ.get(name)), None)
        file = next((file for file in files if key in file.settings), None)
        value: object
        if variable is not None:
            value, origin = os.environ[variable], variable
        elif file is not None:
            value, origin = file.settings[key].value, str(file.path)
        else:
            value, origin = option.to_info_dict()["default"], "default"
        yield Effective(" ".join(path), flag, value, origin)


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(map(str, value)) or "-"
    return str(value)
