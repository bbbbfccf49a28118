"""Arguments that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from codegen.project_folder import require_project

Command = TypeVar("Command", bound=Callable[..., Any])


def _project(ctx: click.Context, parameter: click.Parameter, given: Path) -> Path:
    if not ctx.resilient_parsing:
        require_project(given)
    return given


def project_argument(command: Command) -> Command:
    """``PROJECT``, a folder with a manifest: a wrong path is told at once, before the command imports torch."""
    return click.argument("project", type=click.Path(path_type=Path), callback=_project)(command)
