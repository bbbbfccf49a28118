"""Progress of a search: how many candidates, the best so far, the front, the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from aebert.cli.output import Output, shows_bars

if TYPE_CHECKING:
    from aebert.search.run.rounds import RoundState

_LINE_EVERY_S = 10.0


@contextmanager
def search_progress(output: Output) -> Iterator[Callable[[RoundState], None]]:
    """A callback for each state: a line that is rewritten on a terminal, elsewhere one every few seconds."""
    if output.quiet:
        yield lambda state: None
        return
    began, first_done, last = time.monotonic(), -1, 0.0
    on_terminal = shows_bars()

    def report(state: RoundState) -> None:
        nonlocal began, first_done, last
        now = time.monotonic()
        if first_done < 0:
            # What an earlier run had done took none of this run's time; nor did the first job say how fast others are.
            first_done, began = state.done, now
            return
        finished = state.done == state.total
        if not on_terminal and not finished and now - last < _LINE_EVERY_S:
            return
        last = now
        line = describe_state(state, (now - began) / max(state.done - first_done, 1))
        click.echo(f"\r\x1b[2K{line}" if on_terminal else line, err=True, nl=finished or not on_terminal)

    yield report
    if on_terminal and last and first_done >= 0:
        click.echo("\r\x1b[2K", err=True, nl=False)


def describe_state(state: RoundState, seconds_each: float) -> str:
    """``96/256 candidates, best -0.3127 (trial 71, 0.41 ms predicted), front of 3, 0:42 left``; with a task, its metric
    before the trial."""
    from aebert.search.run.choice import pareto_front

    left = round(seconds_each * max(state.total - state.done, 0))
    parts = [f"{state.done}/{state.total} candidates"]
    if state.best is not None:
        latency = ""
        if state.best.latency is not None:
            source = state.best.latency.source if state.best.measured else "predicted"
            latency = f", {state.best.latency.ms:.4f} ms {source}"
        metric = f"metric {state.best.facts['metric']:.4f}, " if "metric" in state.best.facts else ""
        parts.append(f"best {state.best.value:.5f} ({metric}trial {state.best.number}{latency})")
        parts.append(f"front of {len(pareto_front(state.ranked, len(state.ranked)))}")
    return ", ".join([*parts, f"{left // 60}:{left % 60:02} left"])
