"""Names that the shell completes: ``click.option(..., shell_complete=complete_board)``."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from aebert.support.extensions import Kind, offered

_VECTORS = ("1x1", "2x1", "4x1", "8x1")
_BLOCKS = ("4x4", "8x8", "16x16")
PATTERNS = (
    "unstructured",
    *(f"vector:{size}" for size in _VECTORS),
    *(f"{kind}:{size}" for kind in ("block", "column-block", "row-block") for size in _BLOCKS),
    "head",
    "neuron",
    "head+neuron",
)
DEVICES = ("emulator", "rtl", "pynq-emulator", "pynq:0", "xrt:0", "remote:")


class MethodChoice(click.Choice[str]):
    """One of the toolkit's own methods of a kind, or one that an installed package offers (docs/own_methods.md)."""

    def __init__(self, kind: Kind, own: Iterable[str]) -> None:
        self._kind: Kind = kind
        self._own = tuple(own)
        super().__init__(self._own)

    @property
    def choices(self) -> tuple[str, ...]:
        """Looked up when it is needed: packages are searched for it."""
        return (*self._own, *(name for name in offered(self._kind) if name not in self._own))

    @choices.setter
    def choices(self, own: tuple[str, ...]) -> None:
        """What click.Choice sets; the toolkit's own are kept beside the others."""


def complete_board(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Boards that ship; files where none begins like that."""
    from aebert.design.board import board_names

    found = [CompletionItem(name) for name in board_names() if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def complete_pattern(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Patterns in the sizes that are used most, and those that packages offer."""
    return [name for name in (*PATTERNS, *offered("pattern")) if name.startswith(incomplete)]


def complete_device(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """What runs a project."""
    return [name for name in DEVICES if name.startswith(incomplete)]


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The tasks of GLUE."""
    from aebert.tasks import GLUE_TASKS

    return [name for name in GLUE_TASKS if name.startswith(incomplete)]
