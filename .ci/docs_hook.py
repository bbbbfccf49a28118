"""Hook of MkDocs: puts the reference of the commands where a page says ``<!-- commands -->``."""

from __future__ import annotations

from aebert.cli.main import cli
from aebert.cli.reference import command_reference

MARKER = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Called by MkDocs for every page."""
    return markdown.replace(MARKER, command_reference(cli)) if MARKER in markdown else markdown
