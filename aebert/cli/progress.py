"""Progress through named steps: a bar with time left on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import click

from aebert.cli.output import Output, said_once_slow, shows_bars
from aebert.support.progress import Progress

# A log is not silent for longer while a step goes on.
SILENT_SECONDS = 30.0


@contextmanager
def step_progress(output: Output) -> Iterator[Progress]:
    """A callback ``(step, done, total)``; a step ends when ``done`` reaches ``total``.

    Where there is no terminal, a step that takes long is one line when it began, one for every half minute in which it
    went on, and one at its end.
    """
    if output.quiet:
        yield lambda step, done, total: None
    elif shows_bars():
        with _bars() as progress:
            yield progress
    else:
        with _lines() as progress:
            yield progress


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


@dataclass
class _Step:
    """When it began and when it was last spoken of; ``announced`` ends the wait for its first line."""

    began: float
    said: float
    announced: ExitStack


@contextmanager
def _lines() -> Iterator[Progress]:
    steps: dict[str, _Step] = {}
    with ExitStack() as unfinished:

        def progress(step: str, done: int, total: int) -> None:
            now = time.monotonic()
            if step not in steps:
                steps[step] = _Step(now, now, unfinished.enter_context(ExitStack()))
                steps[step].announced.enter_context(said_once_slow(f"{step} ..."))
            known = steps[step]
            if done == total:
                known.announced.close()
                click.echo(f"{step}: {now - known.began:.1f} s", err=True)
            elif now - known.said >= SILENT_SECONDS:
                known.said = now
                click.echo(f"{step}: {done} of {total} after {now - known.began:.0f} s", err=True)

        yield progress
