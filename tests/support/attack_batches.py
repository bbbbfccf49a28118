"""Many attacks in one forked process, and one process for each attack of a batch in which something went wrong.

A fork of a process that has imported everything costs as much as many an attack. What holds for each attack, its
answer, is looked at as it comes; what holds for all, files and processes, when the batch has ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import islice

from tests.support.attacks import Outcome, Workspace
from tests.support.forked_command import ChildEnded, forked, messages_of_child, watched

_BATCH = 64


def attack_all(workspace: Workspace, numbers: Iterable[int]) -> Iterator[tuple[int, Outcome]]:
    """The outcome of each attack, in order."""
    left = iter(numbers)
    while batch := list(islice(left, _BATCH)):
        yield from sorted(_batch(workspace, batch).items())


def _batch(workspace: Workspace, batch: Sequence[int]) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    suspects: dict[int, str] = {}
    while todo := [number for number in batch if number not in found and number not in suspects]:
        done, ended = _in_one_process(workspace, todo)
        found |= done
        if ended:
            suspects[todo[len(done)]] = ended
            workspace.surroundings.restore()
    suspects |= {number: outcome.problem for number, outcome in found.items() if outcome.problem}
    together = workspace.surroundings.changes()
    workspace.surroundings.restore()
    return found | (_one_by_one(workspace, batch, together) if together else _alone(workspace, suspects))


def _in_one_process(workspace: Workspace, numbers: Sequence[int]) -> tuple[dict[int, Outcome], str]:
    """The outcomes up to the attack that ended the process, and how it ended; nothing where it did not."""
    found: dict[int, Outcome] = {}
    try:
        for number, message in zip(numbers, messages_of_child(partial(_attacks, workspace, numbers)), strict=True):
            found[number] = Outcome(**json.loads(message))
    except ChildEnded as error:
        return found, f"its process {error}"
    return found, ""


def _attacks(workspace: Workspace, numbers: Sequence[int]) -> Iterator[bytes]:
    for number in numbers:
        outcome = workspace.attack(number, watched, looking=False)
        yield json.dumps(asdict(outcome)).encode()


def _alone(workspace: Workspace, suspects: Mapping[int, str]) -> dict[int, Outcome]:
    """Each in a process of its own, which decides, as to time; what else shows in company only is told as such."""
    found = {number: _in_its_own(workspace, number) for number in suspects}
    for number, problem in suspects.items():
        if not found[number].problem and not problem.startswith("took "):
            found[number] = replace(found[number], problem=f"among others only: {problem}")
    return found


def _one_by_one(workspace: Workspace, batch: Sequence[int], together: str) -> dict[int, Outcome]:
    """Who it was that changed something outside the output."""
    found = {number: _in_its_own(workspace, number) for number in batch}
    if not any(outcome.problem for outcome in found.values()):
        last = batch[-1]
        found[last] = replace(found[last], problem=f"one of {batch[0]} to {last}, among others only: {together}")
    return found


def _in_its_own(workspace: Workspace, number: int) -> Outcome:
    outcome = workspace.attack(number, forked)
    if outcome.problem:
        workspace.surroundings.restore()
    return outcome
