"""Attacks that run together are told apart where one goes wrong: whatever it was, it is found, and it alone."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import forked_command
from tests.support.attack_batches import attack_all
from tests.support.attacks import Outcome
from tests.support.surroundings import Surroundings


class OneWrong:
    """A workspace in which ``wrong`` is done at the third of the attacks and nothing at the others."""

    def __init__(self, folder: Path, wrong: Callable[[Path], str]) -> None:
        folder.mkdir()
        (folder / "model").write_text("good")
        self.surroundings = Surroundings(folder)
        self._wrong = wrong
        self._folder = folder

    def attack(self, number: int, call: object = None, *, looking: bool = True) -> Outcome:
        problem = ""
        if number == 2:
            problem = self._wrong(self._folder) if call is forked_command.watched else self._in_child()
        if looking and not problem:
            problem = self.surroundings.changes()
        return Outcome("", "", "", 0.0, 0, problem)

    def _in_child(self) -> str:
        try:
            (message,) = forked_command.messages_of_child(lambda: iter([self._wrong(self._folder).encode()]))
        except forked_command.ChildEnded as error:
            return str(error)
        return message.decode()


def change(folder: Path) -> str:
    (folder / "model").write_text("bad")
    return ""


def die(folder: Path) -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return ""


def hang(folder: Path) -> str:
    signal.pause()
    return ""


def leave_a_process(folder: Path) -> str:
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with (folder.parent / "left").open("a") as file:
        file.write(f"{left.pid}\n")
    return ""


@pytest.fixture
def orphans(tmp_path: Path) -> Iterator[None]:
    """Orphans become ours, and those that ``leave_a_process`` makes end."""
    forked_command.adopt_orphans(True)
    yield
    forked_command.adopt_orphans(False)
    left = tmp_path / "left"
    for pid in map(int, left.read_text().split() if left.exists() else ()):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.usefixtures("orphans")
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (change, "changed outside the output: model"),
        (die, "ended without a word"),
        (hang, "killed after"),
        (leave_a_process, "left a process: sleep 600"),
        (lambda folder: "exit code 70", "exit code 70"),
    ],
)
def test_the_wrong_one_of_a_batch_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Path], str], said: str
) -> None:
    if wrong is hang:
        monkeypatch.setattr(forked_command, "_HANG_S", 5.0)
    workspace = OneWrong(tmp_path / "workspace", wrong)
    found = dict(attack_all(workspace, range(5)))
    assert list(found) == list(range(5))
    assert {number for number, outcome in found.items() if outcome.problem} == {2}
    assert said in found[2].problem
    assert (tmp_path / "workspace" / "model").read_text() == "good"
