"""What commands tell people: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

Item = TypeVar("Item")


@dataclass(frozen=True)
class Output:
    """How much to say. ``quiet`` leaves results and errors only; ``debug`` adds the traceback to an error."""

    quiet: bool = False
    debug: bool = False

    def result(self, text: str) -> None:
        """What the command was asked for; printed on standard output even when quiet."""
        click.echo(text)

    def note(self, text: str) -> None:
        """A remark for the person watching."""
        if not self.quiet:
            click.echo(text, err=True)

    def wrote(self, path: Path, next_command: str | None = None) -> None:
        """Name what was written, and the command that is likely to be next."""
        self.note(f"wrote {path}")
        if next_command is not None:
            self.note(f"next:  {next_command}")

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
        """Pass ``items`` on with a progress bar and time left, or one line per tenth where there is no terminal."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        if self.quiet:
            yield from items
        elif sys.stderr.isatty():
            yield from _bar(items, description, total)
        else:
            yield from _lines(items, description, total)


def _bar(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=description)


def _lines(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    """A log keeps every line it is given, so it gets few: the start, and each tenth of a known total."""
    click.echo(f"{description} ...", err=True)
    said = 0
    for done, item in enumerate(items, start=1):
        yield item
        if total and done * 10 // total > said:
            said = done * 10 // total
            click.echo(f"{description}: {done}/{total}", err=True)


def current_output() -> Output:
    """The settings given before the command (``aebert --quiet prune ...``); the defaults outside the CLI."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(Output)
    return Output() if found is None else found
