"""Help: every command has an example, and every example is a command line that is understood."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from aebert.cli.command_tree import leaf_commands
from aebert.cli.main import cli
from aebert.cli.reference import command_reference
from tests.support.command_lines import check_parses, commands_of

LEAVES = [pytest.param(*leaf, id=" ".join(leaf[0])) for leaf in leaf_commands(cli)]


def example_of(command: click.Command) -> str:
    """The command line after ``Example:`` in a help text; empty if there is none."""
    found = re.search(r"Example: (.+?)(?:\n\n|\Z)", command.help or "", re.DOTALL)
    return " ".join(found[1].split()) if found else ""


@pytest.mark.parametrize(("path", "command"), LEAVES)
def test_every_command_has_an_example_of_itself_that_is_understood(
    path: tuple[str, ...], command: click.Command
) -> None:
    commands = commands_of(example_of(command))
    assert any(words[1 : len(path) + 1] == list(path) for words in commands), "Example: aebert " + " ".join(path)
    for words in commands:
        check_parses(words)


def test_the_groups_examples_are_understood() -> None:
    runs = cli.get_command(click.Context(cli), "runs")
    assert runs is not None
    for group in (cli, runs):
        for words in commands_of(example_of(group)):
            check_parses(words)


@pytest.mark.parametrize(("path", "command"), LEAVES)
def test_every_option_says_what_it_does(path: tuple[str, ...], command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option):
            described = option.help or isinstance(option.type, click.Choice)
            assert described, f"aebert {' '.join(path)} {option.opts[-1]} has no help"


@pytest.mark.parametrize(
    "line",
    [
        "aebert",
        "aebert prune",
        "aebert prune MODEL --ratio 0.5",
        "aebert prune MODEL -o subnet --ration 0.5",
        "aebert prune MODEL -o subnet --ratio half",
        "aebert prune MODEL more -o subnet",
        "aebert prnue MODEL -o subnet",
        "aebert runs lists",
        "aebert build project --tool vivado",
    ],
)
def test_the_check_finds_what_is_wrong_with_a_line(line: str) -> None:
    with pytest.raises(click.UsageError):
        check_parses(shlex.split(line))


def test_the_reference_has_every_command_with_its_options() -> None:
    reference = command_reference(cli)
    sections = {part.partition("\n")[0]: part for part in reference.split("### ")}
    for path, command in leaf_commands(cli):
        section = sections[f"aebert {' '.join(path)}"]
        assert f"```bash\n{example_of(command)}\n```" in section
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden and "--json" not in option.opts:
                assert max(option.opts, key=len) in section
    assert "--json" in sections["Options of every command"]


def test_the_reference_keeps_what_markdown_would_take_for_markup() -> None:
    section = command_reference(cli).partition("### aebert config\n")[2].partition("###")[0]
    assert "AEBERT_&lt;COMMAND>_&lt;FLAG>" in section
