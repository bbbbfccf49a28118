"""Command lines in help texts and in the documentation: do they say what the commands understand?"""

from __future__ import annotations

import shlex

import click

from aebert.cli.main import cli


def commands_of(line: str) -> list[list[str]]:
    """The words of each command in ``line``, which may join several with ``&&``."""
    commands: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "&&":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def check_parses(words: list[str]) -> None:
    """Raises click.UsageError unless ``words``, which begin with ``aebert``, are a complete command line.

    Nothing runs and no file need exist: names and values of options are checked, and that nothing is missing.
    """
    assert words[0] == "aebert", words
    command: click.Command = cli
    context = click.Context(cli, info_name="aebert")
    rest = _parse_options(cli, context, words[1:])
    while isinstance(command, click.Group):
        if not rest:
            raise click.UsageError("no command", context)
        name, *rest = rest
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name!r}", context)
        command, context = found, click.Context(found, info_name=name, parent=context)
        rest = _parse_options(command, context, rest)


def _parse_options(command: click.Command, context: click.Context, words: list[str]) -> list[str]:
    """What the options and arguments of ``command`` leave over."""
    parser = command.make_parser(context)
    parser.allow_interspersed_args = not isinstance(command, click.Group)
    values, rest, _ = parser.parse_args(args=words)
    if {"help", "version"} & values.keys():
        return []
    for parameter in command.params:
        given = values.get(parameter.name or "")
        absent = given is None or given == () or isinstance(given, type(click.Option(["--absent"]).default))
        if absent and parameter.required:
            raise click.MissingParameter(ctx=context, param=parameter)
        if not absent and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, given)
    if rest and not isinstance(command, click.Group):
        raise click.UsageError(f"unexpected {rest[0]!r}", context)
    return rest
