"""Soak: mixed lengths and injected faults on an emulated board; every answer right or a named error, memory flat.

    python benchmarks/soak.py PROJECT --seconds 600

Exits with 1 when an answer was wrong, or memory grew by more than 5 %.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import platform
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch

from aebert.design.kernel_streams import PORTS
from aebert.support.errors import AebertError
from codegen.project import Project, load_project
from host.devices.accelerator import Accelerator
from host.devices.open import open_accelerator
from host.emulated.board_process import Fault, FaultKind
from host.emulated.pynq_emulator import find_emulated_board
from host.runtime import AcceleratedModel

BOARD = 0
DEADLINE_S = 5.0
SEQUENCES = 64
KINDS: tuple[FaultKind, ...] = ("hang", "die", "slow", "lost_start", "lost_done", "flip_memory")
# The program's buffers are small; a flip beyond the smallest one would be in somebody else's.
FLIP_BYTES = 64
WARM_UP = 0.2
GROWTH_LIMIT = 1.05


@dataclass
class Tally:
    """What happened."""

    batches: int = 0
    sequences: int = 0
    right: int = 0
    wrong: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    memory_mib: list[float] = field(default_factory=list)


def resident_mib() -> float:
    """Resident memory of this process, from /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def inputs(project: Project) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens, int64 [SEQUENCES, tokens], and their mask: all lengths from 1 to the longest."""
    longest = project.manifest.config.max_length
    generator = torch.Generator().manual_seed(0)
    vocabulary = json.loads((project.model_directory / "config.json").read_text())["vocab_size"]
    ids = torch.randint(1, vocabulary, (SEQUENCES, longest), generator=generator)
    lengths = torch.randint(1, longest + 1, (SEQUENCES, 1), generator=generator)
    return ids, (torch.arange(longest)[None] < lengths).long()


def random_fault(chance: random.Random) -> Fault:
    kind = chance.choice(KINDS)
    return Fault(
        kind,
        after=chance.randrange(4),
        seconds=chance.choice([0.05, 2 * DEADLINE_S]) if kind == "slow" else 0.0,
        port=chance.choice(PORTS),
        byte=chance.randrange(FLIP_BYTES),
    )


def soak(project: Project, seconds: float, seed: int, fault_rate: float) -> Tally:
    ids, mask = inputs(project)
    with AcceleratedModel(project, lambda: open_accelerator(project, "emulator")) as model:
        expected = model.encode(ids, mask)

    def connect() -> Accelerator:
        return open_accelerator(
            project, f"pynq-emulator:{BOARD}", known_answer=True, guarded=True, deadline_s=DEADLINE_S
        )

    chance = random.Random(seed)
    tally = Tally()
    began = time.monotonic()
    with AcceleratedModel(project, connect) as model:
        while (passed := time.monotonic() - began) < seconds:
            rows = torch.tensor(chance.sample(range(SEQUENCES), chance.randint(1, 12)))
            if chance.random() < fault_rate:
                fault = random_fault(chance)
                find_emulated_board(BOARD).inject(fault)
                tally.injected[fault.kind] += 1
            tally.batches += 1
            tally.sequences += len(rows)
            try:
                states = model.encode(ids[rows], mask[rows])
            except AebertError as error:
                tally.errors[str(error)] += 1
            else:
                same = int((states == expected[rows]).all(dim=2).all(dim=1).sum())
                tally.right += same
                tally.wrong += len(rows) - same
            if passed > WARM_UP * seconds:
                gc.collect()
                tally.memory_mib.append(resident_mib())
        tally.repeated = len(model.faults)
    return tally


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long (default 30; 600 for the real thing)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault-rate", type=float, default=0.2, help="share of batches with a fault (default 0.2)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    project = load_project(options.project)
    tally = soak(project, options.seconds, options.seed, options.fault_rate)
    tenth = max(1, len(tally.memory_mib) // 10)
    first, last = max(tally.memory_mib[:tenth]), max(tally.memory_mib[-tenth:])
    print(f"{cpu_name()}, {os.cpu_count()} cores, {datetime.date.today().isoformat()}")
    print(f"{options.seconds:g} s, {tally.batches} batches, {tally.sequences} sequences, guarded launches")
    print(f"right {tally.right}, wrong {tally.wrong}, named errors {sum(tally.errors.values())}")
    print(f"faults injected {sum(tally.injected.values())}: {dict(sorted(tally.injected.items()))}")
    print(f"faults found and repeated {tally.repeated}")
    for message, count in tally.errors.most_common():
        print(f"  {count} x {message}")
    print(f"resident memory after the warm-up {first:.1f} MiB, at the end {last:.1f} MiB")
    return int(tally.wrong > 0 or last > GROWTH_LIMIT * first)


if __name__ == "__main__":
    sys.exit(main())
