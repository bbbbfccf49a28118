"""What commands tell people and scripts: results on standard output, everything else on standard error.

With ``--json`` standard output holds one JSON object and nothing else: ``command``, ``exit_code``, the facts that the
command passed to `Output.result`, ``wrote`` (paths), ``next`` (the likely next command), and ``error`` when it failed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import TypeVar

import click

from aebert.cli.plain_values import PlainValue, plain_value

Item = TypeVar("Item")

SLOW_S = 1.0


@dataclass
class Collected:
    """What a command has told so far, for the JSON object."""

    command: str = ""
    facts: dict[str, PlainValue] = field(default_factory=dict)
    wrote: list[str] = field(default_factory=list)
    next_command: str | None = None


@dataclass(frozen=True)
class Output:
    """How much to say, and how.

    ``quiet`` leaves results and errors only, ``verbose`` adds details, ``debug`` the traceback to an error; ``as_json``
    collects results instead of printing them.
    """

    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    as_json: bool = False
    collected: Collected = field(default_factory=Collected, compare=False)

    def result(self, text: str | None = None, /, **facts: object) -> None:
        """What the command was asked for: ``text`` on standard output even when quiet; with ``--json``, ``facts``.

        Facts of several calls are merged. Paths, dataclasses, enums and NumPy numbers are allowed in them.
        """
        if self.as_json:
            self.collected.facts.update({name: plain_value(fact) for name, fact in facts.items()})
        elif text is not None:
            click.echo(text)

    def note(self, text: str) -> None:
        """A remark for the person watching."""
        if not self.quiet:
            click.echo(text, err=True)

    def detail(self, text: str) -> None:
        """A remark for the person who asked for more (``--verbose``)."""
        if self.verbose:
            click.echo(text, err=True)

    def wrote(self, path: Path, next_command: str | None = None) -> None:
        """Name what was written, and the command that is likely to be next."""
        self.collected.wrote.append(str(path))
        self.note(f"wrote {path}")
        if next_command is not None:
            self.next(next_command)

    def next(self, command: str) -> None:
        """The command that is likely to be next, also when nothing was written."""
        self.collected.next_command = command
        self.note(f"next:  {command}")

    @contextmanager
    def facts_of(self, step: str) -> Iterator[None]:
        """Keep the facts told inside the block together, under ``step``."""
        facts = self.collected.facts
        before = dict(facts)
        facts.clear()
        yield
        told = dict(facts)
        facts.clear()
        facts.update(before)
        if self.as_json:
            facts[step] = {**told}

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
        """Pass ``items`` on with a progress bar and time left, or one line per tenth where there is no terminal."""
        if total is None and isinstance(items, Sized):
            total = len(items)
        if self.quiet:
            yield from items
        elif shows_bars():
            yield from _bar(items, description, total)
        else:
            yield from _lines(items, description, total)

    def document(self, exit_code: int, error: str | None) -> str:
        """The JSON object of a command that ended with ``exit_code``."""
        collected = self.collected
        head: dict[str, PlainValue] = {"command": collected.command or None, "exit_code": exit_code}
        tail: dict[str, PlainValue] = {"wrote": list(collected.wrote), "next": collected.next_command}
        if error is not None:
            return json.dumps({**head, "error": error, **tail}, indent=2)
        return json.dumps({**head, **collected.facts, **tail}, indent=2)


def shows_bars() -> bool:
    """Whether standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _bar(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(items, total=total, description=description)


def _lines(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    """A log keeps every line it is given, so it gets few: the start, and each tenth of a known total."""
    said = 0
    with said_once_slow(f"{description} ..."):
        for done, item in enumerate(items, start=1):
            yield item
            if total and done * 10 // total > said:
                said = done * 10 // total
                click.echo(f"{description}: {done}/{total}", err=True)


@contextmanager
def said_once_slow(line: str) -> Iterator[None]:
    """``line`` on standard error once the block has taken a second: what is refused at once is refused in one line."""
    timer = Timer(SLOW_S, click.echo, (line,), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def current_output() -> Output:
    """The settings given on the command line (``aebert --quiet prune ...``); the defaults outside the CLI."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(Output)
    return Output() if found is None else found
