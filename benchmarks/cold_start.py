"""How long ``aebert --help`` and each command's ``--help`` take in a fresh process, and what is slow about it.

    python -m benchmarks.cold_start [--repeats 10]

Prints the fastest and the median of the repeats, and the modules that take longest to import.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time

from aebert.cli.main import COMMANDS
from benchmarks.machine import machine_line

_SHOWN_MODULES = 8


def seconds(arguments: list[str], repeats: int) -> list[float]:
    """Wall-clock seconds of each of ``repeats`` fresh processes."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "aebert.cli", *arguments], check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - began)
    return found


def slowest_imports() -> list[tuple[int, str]]:
    """Microseconds that a module's own body takes, by ``-X importtime``."""
    command = [sys.executable, "-X", "importtime", "-m", "aebert.cli", "--help"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stderr.splitlines()
    rows = [re.fullmatch(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", line) for line in lines]
    return sorted(((int(row[1]), row[2]) for row in rows if row), reverse=True)[:_SHOWN_MODULES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    print(machine_line())
    print(f"{'aebert ...':<24} {'fastest':>9} {'median':>9}")
    for arguments in (["--help"], *([name, "--help"] for name in COMMANDS)):
        found = seconds(arguments, repeats)
        print(f"{' '.join(arguments):<24} {min(found):>7.3f} s {statistics.median(found):>7.3f} s")
    print("slowest imports of aebert --help:")
    for microseconds, module in slowest_imports():
        print(f"{microseconds / 1000:>9.1f} ms  {module}")


if __name__ == "__main__":
    main()
