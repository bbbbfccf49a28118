"""``--trust-changes``: C++ that somebody edited after the project was generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from aebert.cli.output import Output

if TYPE_CHECKING:
    from codegen.project import Project

trust_option = click.option(
    "--trust-changes",
    is_flag=True,
    default=False,
    help="Compile and run sources of the project although they were changed after it was generated.",
)


def tell_trust(output: Output, project: Project) -> None:
    """Names the changed sources that were trusted, in the result itself."""
    changed = project.trusted_changes
    if changed:
        output.note(f"trusted, though changed after the project was generated: {', '.join(changed)}")
        output.result(trusted_changes=changed)
