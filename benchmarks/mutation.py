"""Do the tests notice? Small wrong changes in the core modules and templates, and how many of them a test catches.

    python -m benchmarks.mutation [--modules unit_counts racing] [--templates] [--sample 12] [--seed 0]

Cosmic Ray's operators (https://cosmic-ray.readthedocs.io) change the Python of ``CORE``, a seeded sample of the changes
per module; ``mutation_templates.toml`` lists changes of the generated C++ by hand. Each mutant meets the tests of its
module in a process of its own, with the changed source put under the module's name by the import system: no file is
touched, so neither Cosmic Ray's own runner nor mutmut, which both change or copy the tree, is used. The processes are
forked from one that has the large libraries loaded already, which spares each mutant several seconds.

A mutant is killed when a test fails or the CPU time of an unmutated run is exceeded several times. What survives and
cannot be noticed (it computes the same, or only a tuning constant differs) is named with its reason in
``mutation_reasons.toml`` and left out of the rate; everything else that survives is printed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import machine_line
from benchmarks.mutant_runs import Outcome, preload, run_tests
from benchmarks.mutants import Mutant, python_mutants, template_mutants

ROOT = Path(__file__).parents[1]
REQUIRED_RATE = 0.9

# Module -> the tests that are to notice a change in it, those that fail soonest first.
CORE: dict[str, tuple[str, ...]] = {
    "aebert/numerics/integers.py": ("tests/numerics",),
    "aebert/numerics/reference/matmul.py": ("tests/numerics",),
    "aebert/numerics/reference/passes.py": ("tests/numerics",),
    "aebert/numerics/reference/residual.py": ("tests/numerics",),
    "aebert/quantisation/requantiser.py": ("tests/quantisation/test_quantise.py",),
    "aebert/quantisation/contract_limits.py": ("tests/quantisation/test_contract_limits.py",),
    "aebert/quantisation/flat_tensors.py": ("tests/quantisation/test_storage.py",),
    "aebert/quantisation/integer_layer.py": ("tests/quantisation",),
    "aebert/pruning/unit_counts.py": ("tests/pruning/test_unit_counts.py", "tests/pruning/test_zero_patterns.py"),
    "aebert/pruning/zero_patterns.py": ("tests/pruning/test_zero_patterns.py",),
    "aebert/pruning/compensation.py": ("tests/pruning/test_compensation.py", "tests/pruning/test_prune_encoder.py"),
    "aebert/pruning/saliency.py": (
        "tests/pruning/test_saliency.py",
        "tests/pruning/test_prune_encoder.py",
        "tests/support_units/test_extensions.py",
    ),
    "aebert/pruning/refine.py": ("tests/pruning/test_refine.py", "tests/pruning/test_prune_encoder.py"),
    "codegen/packing.py": ("tests/codegen/test_packing.py",),
    "codegen/memory_image.py": ("tests/codegen/test_memory_image.py",),
    "codegen/golden_vectors.py": ("tests/codegen/test_golden_vectors.py",),
    "codegen/vector_order.py": ("tests/codegen/test_golden_vectors.py", "tests/host/verify/test_compare.py"),
    "codegen/placement.py": ("tests/codegen/test_placement.py",),
    "host/verify/compare.py": ("tests/host/verify/test_compare.py",),
    "host/verify/ladder.py": ("tests/host/verify/test_rungs.py", "tests/host/verify/test_ladder.py"),
    "aebert/cost_model/predictor.py": ("tests/cost_model/test_predictor.py",),
    "aebert/cost_model/subnet_tiles.py": ("tests/cost_model/test_predictor.py",),
    "aebert/cost_model/intervals.py": ("tests/cost_model/test_intervals.py",),
    "aebert/cost_model/robust_fit.py": ("tests/cost_model/test_robust_fit.py",),
    "aebert/search/space/grid.py": ("tests/search/space",),
    "aebert/search/space/budget.py": ("tests/search/space",),
    "aebert/search/space/search_space.py": ("tests/search/space",),
    "aebert/search/sampling/knapsack.py": (
        "tests/search/sampling/test_knapsack.py",
        "tests/search/sampling/test_surrogate.py",
    ),
    "aebert/search/scoring/racing.py": (
        "tests/search/scoring/test_racing.py",
        "tests/search/sampling/test_surrogate.py",
    ),
    "aebert/search/scoring/scores.py": ("tests/search/scoring/test_scores.py",),
    "aebert/design/board_fit.py": ("tests/design/test_board_fit.py",),
    "aebert/hls_reports/values.py": ("tests/hls_reports/test_values.py",),
}


@dataclass(frozen=True)
class Tried:
    """A mutant and what became of it; ``reason``: why nobody can notice it, where that is known."""

    mutant: Mutant
    outcome: Outcome
    reason: str | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--modules", nargs="*", help="parts of module names; all of CORE without it")
    parser.add_argument("--templates", action="store_true", help="the changes of the C++ instead")
    parser.add_argument("--sample", type=int, default=12, help="mutants per module (0: all)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(machine_line(), flush=True)
    preload()
    if given.templates:
        tried = list(_try_templates(given.modules))
    else:
        tried = list(_try_python(given.modules, given.sample, random.Random(given.seed)))
    return _report(tried)


def _try_python(wanted: Sequence[str] | None, sample: int, chance: random.Random) -> Iterator[Tried]:
    for module, tests in CORE.items():
        if wanted and not any(part in module for part in wanted):
            continue
        path = ROOT / module
        every = python_mutants(path, module)
        chosen = every if not sample or len(every) <= sample else sorted(chance.sample(every, sample))
        unchanged = run_tests(Mutant.none(module, path.read_text()), tests, cpu_limit_s=600)
        if unchanged.killed:
            sys.exit(f"{module}: its tests fail without any change\n{unchanged.output}")
        limit = 10 + 3 * unchanged.cpu_s
        for mutant in chosen:
            yield _told(Tried(mutant, run_tests(mutant, tests, limit), mutant.reason), len(every))


def _try_templates(wanted: Sequence[str] | None) -> Iterator[Tried]:
    every = [mutant for mutant in template_mutants(ROOT) if not wanted or any(part in mutant.module for part in wanted)]
    for mutant in every:
        yield _told(Tried(mutant, run_tests(mutant, mutant.tests, cpu_limit_s=300), mutant.reason), len(every))


def _told(tried: Tried, of: int) -> Tried:
    state = "killed" if tried.outcome.killed else "equivalent" if tried.reason else "SURVIVED"
    print(f"{state:10} {tried.outcome.cpu_s:5.1f} s  {tried.mutant} (of {of})", flush=True)
    return tried


def _report(tried: Sequence[Tried]) -> int:
    modules: dict[str, list[Tried]] = {}
    for each in tried:
        modules.setdefault(each.mutant.module, []).append(each)
    print(f"\n{'module':44} killed survived  without effect")
    for module, own in modules.items():
        killed = sum(each.outcome.killed for each in own)
        idle = sum(not each.outcome.killed and each.reason is not None for each in own)
        print(f"{module:44} {killed:6} {len(own) - killed - idle:8} {idle:15}")
    alive = [each for each in tried if not each.outcome.killed]
    counted = len(tried) - sum(each.reason is not None for each in alive)
    killed = len(tried) - len(alive)
    rate = killed / counted if counted else 1.0
    cpu = sum(each.outcome.cpu_s for each in tried)
    print(f"\n{killed} of {counted} killed ({rate:.1%}); {len(tried) - counted} without effect; {cpu / 60:.0f} CPU min")
    for each in alive:
        print(f"  {each.mutant}\n    {each.reason or 'no test notices'}")
    return 0 if rate >= REQUIRED_RATE else 1


if __name__ == "__main__":
    sys.exit(main())
