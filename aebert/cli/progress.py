"""Progress through named steps: a bar with time left on a terminal, one line per step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from aebert.cli.output import Output, shows_bars
from aebert.progress import Progress


@contextmanager
def step_progress(output: Output) -> Iterator[Progress]:
    """A callback ``(step, done, total)``; a step ends when ``done`` reaches ``total``."""
    if output.quiet:
        yield lambda step, done, total: None
    elif shows_bars():
        with _bars() as progress:
            yield progress
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield progress


def _lines() -> Progress:
    began: dict[str, float] = {}

    def progress(step: str, done: int, total: int) -> None:
        if step not in began:
            began[step] = time.monotonic()
            click.echo(f"{step} ...", err=True)
        if done == total:
            click.echo(f"{step}: {time.monotonic() - began[step]:.1f} s", err=True)

    return progress
