"""The commands as Markdown, for the documentation: what ``--help`` says, in the order of ``aebert --help``."""

from __future__ import annotations

import re

import click

from aebert.cli.command_tree import CommandPath, leaf_commands
from aebert.cli.common_options import common_options


def command_reference(root: click.Group) -> str:
    """A section per command: what it does, an example, arguments and options."""
    parent = click.Context(root, info_name="aebert")
    options = [_row(option, parent) for option in [*common_options(root), _config_file(root)]]
    head = ["### Options of every command", "", *_table(options)]
    sections = ["\n".join(_section(path, command)) for path, command in leaf_commands(root)]
    return "\n\n".join(["\n".join(head), *sections])


def _config_file(root: click.Group) -> click.Option:
    return next(each for each in root.params if isinstance(each, click.Option) and "--config-file" in each.opts)


def _section(path: CommandPath, command: click.Command) -> list[str]:
    context = click.Context(command, info_name=" ".join(("aebert", *path)))
    text, _, example = re.sub(r"``", "`", command.help or "").partition("Example: ")
    paragraphs = [_escape(" ".join(paragraph.split())) for paragraph in text.strip().split("\n\n")]
    lines = [f"### aebert {' '.join(path)}", ""]
    for paragraph in paragraphs:
        lines += [paragraph, ""]
    lines += ["```bash", " ".join(example.split()), "```", ""]
    usage = " ".join(command.collect_usage_pieces(context))
    lines += [f"Usage: `{context.info_name} {usage}`", ""]
    shown = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    rows = [_row(option, context) for option in shown if "--json" not in option.opts]
    return lines + (_table(rows) if rows else [])


def _row(option: click.Option, context: click.Context) -> tuple[str, str]:
    record = option.get_help_record(context)
    flags, meaning = record if record is not None else (", ".join(option.opts), "")
    return flags, " ".join(meaning.split())


def _table(rows: list[tuple[str, str]]) -> list[str]:
    lines = ["| option | meaning |", "|---|---|"]
    return lines + [f"| `{flags}` | {_escape(meaning)} |" for flags, meaning in rows]


def _escape(text: str) -> str:
    """Angle brackets and bars as they are; code stays code."""
    parts = text.split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("|", "\\|").replace("[", "\\[") for part in parts[::2]]
    return "`".join(parts)
