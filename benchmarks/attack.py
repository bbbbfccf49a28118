"""Wrong files and odd options against every command: counts of what came of them.

    python benchmarks/attack.py --inputs 100000

Inputs are numbered, and a number is the same attack everywhere: one file of one format made wrong and opened, or one
command with odd options. Many run in one process, forked from one that has imported everything; where something went
wrong in it, each of its inputs runs again in a process of its own, so that a crash or a hang is counted and does not
end the count. Exits with 1 when an input ended in anything but an answer or one line that says why: a traceback, an
internal error, a crash, more than ten seconds (three times in a row, as other programs may have the machine), a process
that was left behind, or a file that changed outside the output, in the user's home and among temporary files too.

    python benchmarks/attack.py --inputs 100000 --log attack.jsonl

goes on where an earlier run with the same log ended. The files are written again for each input: a TMPDIR in memory
spares the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# The libraries that read the files must not see the user's options or databases, nor start threads before a fork.
_OURS = "AEBERT_"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def main() -> int:
    """Prints the counts, and every bad end with its number."""
    options = _options()
    if any(os.environ.get(name) != value for name, value in _ONE_THREAD.items()):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        os.execve(sys.executable, [sys.executable, *sys.argv], {**kept, **_ONE_THREAD})
    from benchmarks.machine import machine_line

    outcomes = _Counts()
    began, earlier = time.monotonic(), 0
    for line in _logged(options.log, options.first, options.inputs):
        outcomes.count(line)
        earlier += 1
    for line in _attacks(options.first + earlier, options.inputs - earlier, options.seconds, options.log):
        outcomes.count(line)
    print(machine_line())
    took = f"{time.monotonic() - began:.0f} s" + (f" for all but the first {earlier}" if earlier else "")
    print(f"inputs {outcomes.ends.total()}, {took}, slowest {outcomes.slowest:.1f} s, bad {outcomes.bad}")
    for counts in (outcomes.ends, outcomes.commands, outcomes.formats):
        print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return 1 if outcomes.bad else 0


@dataclass
class _Counts:
    ends: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    bad: int = 0

    def count(self, line: dict[str, Any]) -> None:
        """Counts an outcome, and prints a bad one."""
        self.ends[f"exit code {line['exit_code']}"] += 1
        self.commands[line["command"]] += 1
        if line["target"]:
            self.formats[Path(line["target"]).suffix or Path(line["target"]).name] += 1
        self.slowest = max(self.slowest, float(line["seconds"]))
        if line["problem"]:
            self.bad += 1
            print(f"{line['number']}: {line['what']}\n    {line['problem']}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first input's number")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long; 0: when all inputs ran")
    parser.add_argument("--log", type=Path, help="a file that gets one JSON line for each input")
    return parser.parse_args()


def _logged(log: Path | None, first: int, count: int) -> list[dict[str, Any]]:
    """What an earlier run left in ``log``; a last line that was cut off is left out, and taken away."""
    if log is None or not log.exists():
        return []
    whole = [line for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    log.write_text("".join(whole), encoding="utf-8")
    lines = [json.loads(line) for line in whole]
    if [line["number"] for line in lines] != list(range(first, first + len(lines))) or len(lines) > count:
        sys.exit(f"{log}: holds other inputs than {first} to {first + count - 1}; give another log")
    return lines


def _attacks(first: int, count: int, seconds: float, log: Path | None) -> Iterator[dict[str, Any]]:
    if not count:
        return  # all of them are in the log
    with tempfile.TemporaryDirectory(prefix="aebert-attack-") as folder, _silenced():
        workspace = Path(folder) / "workspace"
        _live_in(workspace)
        from tests.support.attack_batches import attack_all
        from tests.support.attacks import Workspace
        from tests.support.forked_command import import_everything, leave_scheduling_out, prepare_to_fork

        import_everything()
        leave_scheduling_out()
        attacked = Workspace(workspace)
        attacked.warm_up()
        prepare_to_fork()
        until = time.monotonic() + seconds if seconds else float("inf")
        for number, outcome in attack_all(attacked, range(first, first + count)):
            line = {"number": number, **asdict(outcome)}
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            yield line
            if time.monotonic() > until:
                return


def _live_in(workspace: Path) -> None:
    """The user's home and temporary files lie in ``workspace``, where everything that changes is seen."""
    for variable, name in (("HOME", "home"), ("TMPDIR", "temporary")):
        (workspace / name).mkdir(parents=True)
        os.environ[variable] = str(workspace / name)
    tempfile.tempdir = None


@contextmanager
def _silenced() -> Iterator[None]:
    """Standard error goes nowhere: libraries write to it past Python."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
