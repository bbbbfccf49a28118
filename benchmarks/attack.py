"""Wrong files and odd options against every command: counts of what came of them.

    python benchmarks/attack.py --inputs 100000

Inputs are numbered, and a number is the same attack everywhere: one file of one format made wrong and opened, or one
command with odd options. Each runs in a process of its own, forked from one that has imported everything, so that a
crash or a hang is counted and does not end the count, and imports are paid once. Exits with 1 when an input ended in
anything but an answer or one line that says why: a traceback, an internal error, a crash, more than ten seconds (three
times in a row, as other programs may have the machine), a process that was left behind, or a file that changed outside
the output.
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
from dataclasses import asdict
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

    ends: Counter[str] = Counter()
    commands: Counter[str] = Counter()
    began, slowest, bad = time.monotonic(), 0.0, 0
    for line in _attacks(options.first, options.inputs, options.seconds, options.log):
        ends[f"exit code {line['exit_code']}"] += 1
        commands[line["command"]] += 1
        slowest = max(slowest, float(line["seconds"]))
        if line["problem"]:
            bad += 1
            print(f"{line['number']}: {line['what']}\n    {line['problem']}", flush=True)
    print(machine_line())
    print(f"inputs {ends.total()}, {time.monotonic() - began:.0f} s, slowest {slowest:.1f} s, bad {bad}")
    for counts in (ends, commands):
        print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first input's number")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long; 0: when all inputs ran")
    parser.add_argument("--log", type=Path, help="a file that gets one JSON line for each input")
    return parser.parse_args()


def _attacks(first: int, count: int, seconds: float, log: Path | None) -> Iterator[dict[str, Any]]:
    from tests.support.attacks import Workspace
    from tests.support.forked_command import forked, import_everything, leave_scheduling_out, prepare_to_fork

    with tempfile.TemporaryDirectory(prefix="aebert-attack-") as folder, _silenced():
        import_everything()
        leave_scheduling_out()
        workspace = Workspace(Path(folder), forked)
        workspace.warm_up()
        prepare_to_fork()
        until = time.monotonic() + seconds if seconds else float("inf")
        for number in range(first, first + count):
            if time.monotonic() > until:
                return
            line = {"number": number, **asdict(workspace.attack(number))}
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            yield line


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
