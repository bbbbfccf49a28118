"""``aebert completion``: the script that teaches a shell to complete ``aebert``."""

from __future__ import annotations

import click

from aebert.cli.common_options import COMPLETION_VARIABLE
from aebert.cli.output import current_output

SHELLS = ("bash", "zsh", "fish")


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the completion script for SHELL: commands, options, boards, patterns, devices and tasks.

    bash: put ``eval "$(aebert completion bash)"`` into ~/.bashrc. zsh: the same in ~/.zshrc. fish: write the output to
    ~/.config/fish/completions/aebert.fish.

    Example: aebert completion bash
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from aebert.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None, "click has all of SHELLS"
    # Not the subclass's own: bash's starts a bash to look at its version.
    script = ShellComplete.source(found(cli, {}, "aebert", COMPLETION_VARIABLE))
    current_output().result(script.strip(), shell=shell, script=script)
