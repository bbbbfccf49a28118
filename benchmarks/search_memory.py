"""Peak memory of a search, all its processes together.

Prints docs/search.md's figures. RSS counts a page once for every process that maps it; the proportional set size (PSS)
shares it out, so that the sum is what the machine holds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import machine_line

_POLL_S = 0.5


@dataclass(frozen=True)
class Usage:
    """Bytes of all processes of a search at one moment."""

    rss: int
    pss: int
    processes: int


def usage(root: psutil.Process) -> Usage:
    """Of ``root`` and all below it; processes that end meanwhile count nothing."""
    rss = pss = count = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            found = process.memory_full_info()
        except psutil.Error:
            continue
        rss, pss, count = rss + found.rss, pss + found.pss, count + 1
    return Usage(rss, pss, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a Hugging Face directory")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--options", nargs="*", default=[], help="further options of 'aebert search', without dashes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "aebert.cli", "search", str(arguments.model), "-o", f"{folder}/run"]
        command += ["--ratio", "0.5", "--workers", str(arguments.workers), "--candidates", str(arguments.candidates)]
        command += [f"--{option}" for option in arguments.options]
        began = time.monotonic()
        search = subprocess.Popen(command)
        root = psutil.Process(search.pid)
        seen = [usage(root)]
        while search.poll() is None:
            seen.append(usage(root))
            time.sleep(_POLL_S)
        seconds = time.monotonic() - began
    if search.returncode:
        sys.exit(f"the search ended with exit code {search.returncode}")
    pss, rss = max(seen, key=lambda each: each.pss), max(seen, key=lambda each: each.rss)
    print(machine_line())
    print(f"{arguments.candidates} candidates, {arguments.workers} workers, {seconds:.0f} s")
    print(f"peak PSS {pss.pss / 2**30:.2f} GiB in {pss.processes} processes; peak sum of RSS {rss.rss / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
