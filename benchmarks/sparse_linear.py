"""Linear maps by the search's CPU kernels against PyTorch's dense ones, on one thread.

Billions of operations per second that a dense product would take (twice tokens x inputs x outputs), by CPU seconds, the
best of some repetitions, as the machine may be shared. States are where each expects them; the kernels' figure includes
packing the weight.

    python -m benchmarks.sparse_linear [--tokens 4096] [--repetitions 10]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from aebert.pruning import parse_pattern
from aebert.pruning.zero_patterns import Structured
from aebert.search.scoring.cpu_kernels import find_kernels, kernel_problem
from aebert.search.scoring.linear_cache import PreparedLinear
from aebert.search.scoring.tile_arithmetic import TileArithmetic
from benchmarks.machine import machine_line

SHAPES = ((384, 384), (1536, 384), (384, 1536), (768, 768), (3072, 768), (768, 3072))  # outputs, inputs
PATTERNS = ("vector:4x1", "unstructured", "block:8x8")
RATIOS = (0.5, 0.7)


def best_seconds(action: Callable[[], object], repetitions: int) -> float:
    """CPU seconds of the quickest repetition."""
    seconds = []
    for _ in range(repetitions):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)


def pruned(weight: torch.Tensor, name: str, ratio: float) -> torch.Tensor:
    """``weight`` pruned by magnitude."""
    pattern = parse_pattern(name)
    if isinstance(pattern, Structured):
        raise TypeError(f"{name}: prunes several matrices together")
    rows, columns = pattern.unit_shape
    outputs, inputs = weight.shape
    scores = np.abs(weight.double().numpy()).reshape(outputs // rows, rows, inputs // columns, columns).sum(axis=(1, 3))
    kept = pattern.rank(scores) < round(scores.size * (1 - ratio))
    return weight * torch.from_numpy(np.repeat(np.repeat(kept, rows, axis=0), columns, axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kernels = find_kernels()
    if kernels is None:
        parser.error(f"no kernels: {kernel_problem()}")
    tiles = TileArithmetic(kernels)
    columns = [f"{pattern} {ratio}" for pattern in PATTERNS for ratio in RATIOS]
    print(machine_line())
    print(f"{arguments.tokens} tokens, one thread; GFLOP/s of the dense product")
    print(" | ".join(["outputs x inputs", "PyTorch fp32", "PyTorch bf16", "kernels, dense", *columns]))
    random = torch.Generator().manual_seed(0)
    for outputs, inputs in SHAPES:
        states = torch.randn(arguments.tokens, inputs, generator=random)
        weight, bias = torch.randn(outputs, inputs, generator=random), torch.randn(outputs, generator=random)
        work = 2 * arguments.tokens * inputs * outputs / 1e9
        half = [part.bfloat16() for part in (states, weight, bias)]
        turned = tiles.states(states)
        own = [weight, *(pruned(weight, pattern, ratio) for pattern in PATTERNS for ratio in RATIOS)]
        actions: list[Callable[[], object]] = [
            partial(functional.linear, states, weight, bias),
            partial(functional.linear, *half),
            *(partial(tiles.linear, turned, PreparedLinear(each, bias)) for each in own),
        ]
        speeds = [f"{work / best_seconds(action, arguments.repetitions):.0f}" for action in actions]
        print(" | ".join([f"{outputs} x {inputs}", *speeds]), flush=True)


if __name__ == "__main__":
    main()
