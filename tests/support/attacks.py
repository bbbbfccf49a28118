"""Attacks on the command line: one wrong file or one odd set of options, one command, and what must hold afterwards."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click

from aebert.cli.command_tree import leaf_commands
from aebert.cli.common_options import flag_name, own_options
from aebert.cli.main import cli
from tests.support.attack_options import odd_argument, odd_value
from tests.support.attack_targets import attack_targets, write_inputs
from tests.support.command_line import Finished, aebert
from tests.support.mutations import mutate, restore
from tests.support.surroundings import Surroundings

LIMIT_S = 10.0
# As long again, for a machine that others load too: only a command that is late each time counts as late.
_TRIES = 3
# Done; done and the answer is no; bad input. Anything else is a fault of ours.
GOOD_EXIT_CODES = (0, 1, 2)
# What takes more than some hundredths of a second of a processor is drawn as much less often.
_WEIGHTS: Mapping[str, float] = {
    "report": 0.01,
    "lint": 0.01,
    "demo-model": 0.02,
    "doctor": 0.1,
    "verify": 0.03,
    "generate": 0.1,
    "run": 0.05,
    "emulate": 0.05,
    "prune": 0.5,
}

Call = Callable[..., Finished]


@dataclass(frozen=True)
class Outcome:
    """``problem``: what must not be, empty when all is well. ``target``: the file that was made wrong, if one was."""

    what: str
    command: str
    target: str
    seconds: float
    exit_code: int
    problem: str


class Workspace:
    """A folder with one good file of every format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        write_inputs(folder)
        self.targets = tuple(attack_targets(folder))
        # The demo takes no input that could be wrong.
        self.commands = {words: command for words, command in leaf_commands(cli) if words != ("demo",)}
        self.surroundings = Surroundings(folder)

    def warm_up(self) -> None:
        """Every command on good files, in this process: what it imports and keeps is there for later ones.

        Raises AssertionError where one ends in anything but an answer: making its files wrong would show nothing.
        """
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            for command in dict.fromkeys(target.command for target in self.targets):
                (self.folder / "out").mkdir()
                done = aebert(*command)
                # Some reports hold facts only beside another.
                assert done.exit_code in (0, 1) or command[:2] == ("runs", "import"), f"{command}: {done.stderr}"
                shutil.rmtree(self.folder / "out", ignore_errors=True)
        finally:
            os.chdir(before)
            shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.surroundings.settle()

    def attack(self, number: int, call: Call = aebert, *, looking: bool = True) -> Outcome:
        """The attack of that number, the same on every machine; ``call`` runs the command.

        ``looking``: at the surroundings afterwards; left out by those who look after many attacks at once.
        """
        random = Random(number)
        attack = self._attack_file if random.random() < 0.8 else self._attack_options
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return attack(random, call, looking)
        finally:
            os.chdir(before)
            shutil.rmtree(self.folder / "out", ignore_errors=True)

    def _attack_file(self, random: Random, call: Call, looking: bool) -> Outcome:
        (target,) = random.choices(self.targets, [_WEIGHTS.get(target.command[0], 1.0) for target in self.targets])
        path = self.folder / target.file
        content = path.read_bytes()
        stamp = path.stat().st_mtime_ns
        try:
            how = mutate(path, random)
            what = f"{target.file} ({how}): {' '.join(target.command)}"
            return self._run(what, target.command, path if looking else None, call, looking, target.file)
        finally:
            restore(path, content)
            os.utime(path, ns=(stamp, stamp))

    def _attack_options(self, random: Random, call: Call, looking: bool) -> Outcome:
        weights = [_WEIGHTS.get(words[0], 1.0) for words in self.commands]
        ((words, command),) = random.choices(list(self.commands.items()), weights)
        line = [*words, *(odd_argument(random, words) for _ in command.params if isinstance(_, click.Argument))]
        options = own_options(command)
        for option in random.sample(options, random.randint(0, min(4, len(options)))):
            line.append(f"--{flag_name(option)}")
            if not option.is_flag:
                line.append(odd_value(option, random, words))
        if "output" in map(flag_name, options):
            line += ["-o", "out/x"]
        return self._run(" ".join(line)[:300], tuple(line), None, call, looking, "")

    def _run(
        self, what: str, command: tuple[str, ...], changed: Path | None, call: Call, looking: bool, target: str
    ) -> Outcome:
        for _ in range(_TRIES):
            (self.folder / "out").mkdir()
            began = time.monotonic()
            finished = call(*command)
            seconds = time.monotonic() - began - finished.waited_s
            if seconds <= LIMIT_S:
                break
            shutil.rmtree(self.folder / "out", ignore_errors=True)
        problem = _problem(finished, seconds)
        if looking and not problem:
            problem = self.surroundings.changes(() if changed is None else (changed,))
        return Outcome(what, " ".join(command[:1]), target, seconds, finished.exit_code, problem)


def _problem(finished: Finished, seconds: float) -> str:
    said = [line for line in finished.stderr.splitlines() if line.startswith("aebert: ")]
    if finished.exit_code not in GOOD_EXIT_CODES:
        return f"exit code {finished.exit_code}: {said[-1:] or finished.stderr[-300:]}"
    if "Traceback" in finished.stderr:
        return f"a traceback: {finished.stderr[-300:]}"
    if finished.exit_code == 2 and len(said) != 1:
        return f"no single line that says why: {finished.stderr[-300:]!r}"
    if seconds > LIMIT_S:
        return f"took {seconds:.1f} s"
    return ""
