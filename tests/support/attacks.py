"""Attacks on the command line: one wrong file or one odd set of options, one command, and what must hold afterwards."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click

from aebert.cli.command_tree import leaf_commands
from aebert.cli.common_options import flag_name, own_options
from aebert.cli.main import cli
from tests.support.attack_targets import attack_targets, write_inputs
from tests.support.command_line import Finished, aebert
from tests.support.mutations import NASTY_NUMBERS, NASTY_TEXT, mutate, restore

LIMIT_S = 10.0
# As long again, for a machine that others load too: only a command that is late each time counts as late.
_TRIES = 3
# A process that is on its way out when its command has ended is not left behind.
_GRACE_S = 1.0
# Done; done and the answer is no; bad input. Anything else is a fault of ours.
GOOD_EXIT_CODES = (0, 1, 2)
_DATABASES = ("runs.sqlite", "runs.sqlite-wal", "runs.sqlite-shm", "-wal", "-shm", "-journal")
# Of the workspace, and where a project keeps what was made of it.
_OUTPUTS = ("out", "build")
# They would train, search or try the machine's tools for minutes when their options happen to be right.
_LONG = ("finetune", "search", "explore", "doctor", "schedule")
# What takes more than a tenth of a second of a processor is drawn as much less often.
_WEIGHTS: Mapping[str, float] = {
    "report": 0.05,
    "lint": 0.05,
    "demo-model": 0.1,
    "verify": 0.1,
    "generate": 0.1,
    "run": 0.15,
    "emulate": 0.15,
}


@dataclass(frozen=True)
class Outcome:
    """``problem``: what must not be, empty when all is well."""

    what: str
    command: str
    seconds: float
    exit_code: int
    problem: str


class Workspace:
    """A folder with one good file of every format, and what is in it before an attack; ``call`` runs the commands."""

    def __init__(self, folder: Path, call: Callable[..., Finished] = aebert) -> None:
        self.folder = folder
        self._call = call
        write_inputs(folder)
        self.targets = tuple(attack_targets(folder))
        # The demo takes no input that could be wrong.
        self.commands = {words: command for words, command in leaf_commands(cli) if words != ("demo",)}
        self._before = self._seen()
        self._processes = running_below(os.getpid())

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
        self._before = self._seen()
        self._processes = running_below(os.getpid())

    def attack(self, seed: int) -> Outcome:
        """The attack of that number; the same on every machine."""
        random = Random(seed)
        attack = self._attack_file if random.random() < 0.8 else self._attack_options
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            return attack(random)
        finally:
            os.chdir(before)
            shutil.rmtree(self.folder / "out", ignore_errors=True)

    def _attack_file(self, random: Random) -> Outcome:
        (target,) = random.choices(self.targets, [_WEIGHTS.get(target.command[0], 1.0) for target in self.targets])
        path = self.folder / target.file
        content = path.read_bytes()
        stamp = path.stat().st_mtime_ns
        try:
            how = mutate(path, random)
            return self._run(f"{target.file} ({how}): {' '.join(target.command)}", target.command, path)
        finally:
            restore(path, content)
            os.utime(path, ns=(stamp, stamp))

    def _attack_options(self, random: Random) -> Outcome:
        weights = [_WEIGHTS.get(words[0], 1.0) for words in self.commands]
        ((words, command),) = random.choices(list(self.commands.items()), weights)
        line = [*words, *(_value(random, words) for _ in command.params if isinstance(_, click.Argument))]
        options = own_options(command)
        for option in random.sample(options, random.randint(0, min(4, len(options)))):
            line.append(f"--{flag_name(option)}")
            if not option.is_flag:
                line.append(_option_value(option, random, words))
        if "output" in map(flag_name, options):
            line += ["-o", "out/x"]
        return self._run(" ".join(line)[:300], tuple(line), None)

    def _run(self, what: str, command: tuple[str, ...], changed: Path | None) -> Outcome:
        for _ in range(_TRIES):
            (self.folder / "out").mkdir()
            began = time.monotonic()
            finished = self._call(*command)
            seconds = time.monotonic() - began - finished.waited_s
            if seconds <= LIMIT_S:
                break
            shutil.rmtree(self.folder / "out", ignore_errors=True)
        problem = _problem(finished, seconds) or self._leftovers(changed)
        return Outcome(what, " ".join(command[:1]), seconds, finished.exit_code, problem)

    def _leftovers(self, changed: Path | None) -> str:
        seen = self._seen()
        differing = {name for name in {*seen, *self._before} if seen.get(name) != self._before.get(name)}
        restored = set() if changed is None else {str(changed.relative_to(self.folder))}
        differing -= restored
        if differing:
            self._before = {**seen, **{name: self._before[name] for name in restored}}
            return f"changed outside the output: {min(differing)}"
        until = time.monotonic() + _GRACE_S
        while left := running_below(os.getpid()) - self._processes:
            if time.monotonic() > until:
                self._processes |= left
                return f"left a process: {_command_line(min(left))}"
            time.sleep(0.05)
        return ""

    def _seen(self) -> dict[str, tuple[int, int]]:
        found = {}
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name not in _OUTPUTS]
            for name in names:
                if name.endswith(_DATABASES):
                    continue  # outputs, where --store or --database says so
                path = Path(folder) / name
                status = path.lstat()
                found[str(path.relative_to(self.folder))] = (status.st_size, status.st_mtime_ns)
        return found


def running_below(pid: int) -> frozenset[int]:
    """The processes below ``pid`` that run; of Python's own, the one that tracks shared memory is left out."""
    found: set[int] = set()
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it just ended
            for child in map(int, listing.read_text().split()):
                if _runs(child) and "resource_tracker" not in _command_line(child):
                    found |= {child, *running_below(child)}
    return frozenset(found)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    return str(pid)


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


def _value(random: Random, words: tuple[str, ...]) -> str:
    paths = [
        "model",
        "subnet",
        "project",
        "run",
        "sentence",
        "runs.sqlite",
        "model.onnx",
        "csynth.xml",
        "absent",
        ".",
        "/dev/null",
    ]
    if words[0] in _LONG:
        paths = ["absent", "csynth.xml", "/dev/null", ""]
    return random.choice([*paths, *NASTY_TEXT[:6]]).replace("\x00", "")


def _option_value(option: click.Option, random: Random, words: tuple[str, ...]) -> str:
    if isinstance(option.type, click.Choice) and random.random() < 0.7:
        return str(random.choice(list(option.type.choices)))
    if flag_name(option) in ("device", "hil"):
        return random.choice(("emulator", "emulator:1", "pynq:9", "xrt:0", "x", "remote:", ""))
    if flag_name(option) in ("database", "storage"):
        return random.choice(("runs.sqlite", "csynth.xml", "sqlite:///absent/x", "nonsense://x", "sqlite://", ""))
    if flag_name(option) in ("scheduler", "workers", "threads"):
        return "x"
    if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
        return str(random.choice((*NASTY_NUMBERS, 2, 8, 64, "x", "9" * 5000)))
    if isinstance(option.type, click.Path):
        # Outputs too: they must lie in the workspace's own folder for it.
        outputs = ("output", "junit", "plot")
        return "out/y" if flag_name(option) in outputs else _value(random, words)
    return random.choice(("u200", "board.toml", "sst2", "0.5", "vector:4x1", *NASTY_TEXT)).replace("\x00", "")
