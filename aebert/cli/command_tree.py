"""The commands as a tree: ``runs list`` is the command ``list`` below ``runs``."""

from __future__ import annotations

from collections.abc import Iterator

import click

CommandPath = tuple[str, ...]


def leaf_commands(command: click.Command, path: CommandPath = ()) -> Iterator[tuple[CommandPath, click.Command]]:
    """Every command that does something, with the words that call it; imports all of them."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None:
            yield from leaf_commands(below, (*path, name))
