"""What more candidates bring: of the searches that benchmarks.peers ran, the best score after so many of them.

    python -m benchmarks.peers run --data DATA --out OUT --tasks mrpc --methods ours-search
    python -m benchmarks.search_candidates --out OUT

For each search: calibration KL of the best candidate after 16, 32, 48 and so on, of the uniform one, and, on the rows
that were held out to judge by, of the refined uniform candidate and of the refined winner.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from aebert.search.run.summary import RunSummary, read_summary

STEPS = (16, 32, 48, 64, 96, 128)


def best_after(summary: RunSummary, candidates: int) -> float:
    """The best score of the first ``candidates``; NaN where there were fewer."""
    tried = summary.tried[:candidates]
    return max(each.score for each in tried if not each.lost) if len(tried) == candidates else math.nan


def uniform_refined(summary: RunSummary) -> float:
    """The judges' score of the best uniform candidate, refined."""
    return max((each.refined.score for each in summary.tried if each.uniform and each.refined), default=math.nan)


def best_refined(summary: RunSummary) -> float:
    """The judges' score of the winner, refined."""
    refined = next(each for each in summary.tried if each.trial == summary.best).refined
    return math.nan if refined is None else refined.score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    titles = ["search", "uniform", *map(str, STEPS), "winner", "stopped", "uniform, refined", "winner, refined"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for run in sorted((arguments.out / "searches").iterdir()):
        summary = read_summary(run)
        uniform = max(each.score for each in summary.tried if each.uniform)
        curve = [best_after(summary, step) for step in STEPS]
        lost = sum(each.lost for each in summary.tried)
        figures = [f"{-value:.4f}" for value in (uniform, *curve)]
        figures += [str(summary.best + 1), f"{lost} of {len(summary.tried)}"]
        figures += [f"{-value:.4f}" for value in (uniform_refined(summary), best_refined(summary))]
        print(f"| {run.name} | " + " | ".join(figures) + " |")


if __name__ == "__main__":
    main()
