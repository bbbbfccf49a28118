"""The cells of benchmarks.glue: one JSON line each, appended when it is filled, never changed."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

from aebert.tasks import find_task

Stage = Literal["dense", "scored", "finetuned", "integer", "peers"]
STAGES: tuple[Stage, ...] = ("scored", "finetuned", "integer")


@dataclass(frozen=True)
class CellKey:
    stage: Stage
    task: str
    pattern: str
    ratio: float
    method: str
    seed: int

    @property
    def file_name(self) -> str:
        pattern = self.pattern.replace(":", "").replace("/", "-")
        return f"{self.task}-{pattern}-{self.ratio:g}-{self.method}-{self.seed}"

    @property
    def scored(self) -> CellKey:
        """The pruned model that a fine-tuned cell starts from; methods that draw nothing have one for all seeds."""
        from benchmarks.glue_methods import METHODS

        return replace(self, stage="scored", seed=self.seed if METHODS[self.method].draws else 0)


@dataclass(frozen=True)
class Cell:
    """``metrics`` on dev as fractions; ``notes`` what the method said of it; ``seconds`` of search or training."""

    key: CellKey
    metrics: Mapping[str, float]
    notes: Mapping[str, float]
    seconds: float
    digest: str
    machine: str


class CellStore:
    """Append-only; several processes may fill one file, each its own cells."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def read(self) -> dict[CellKey, Cell]:
        cells: dict[CellKey, Cell] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                content = json.loads(line)
                key = CellKey(**content.pop("key"))
                cells[key] = Cell(key=key, **content)
        return cells

    def __contains__(self, key: CellKey) -> bool:
        return key in self.read()

    def add(self, cell: Cell) -> None:
        line = json.dumps(asdict(cell)) + "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        name = find_task(cell.key.task).primary
        print(
            f"{cell.key.stage:9} {cell.key.file_name:44} {name} {cell.metrics[name]:.4f}  {cell.seconds:7.1f} s",
            flush=True,
        )


def print_table(
    store: CellStore,
    tasks: Sequence[str],
    patterns: Sequence[str],
    ratios: Sequence[float],
    methods: Sequence[str],
    seeds: int,
) -> None:
    """Markdown tables of what is filled, one for each stage.

    A cell has the mean and the standard deviation over seeds in points (hundredths) and, in brackets, the number of
    seeds and the mean seconds; the best of a row is bold, an empty cell a dash.
    """
    cells = store.read()
    for machine in sorted({cell.machine for cell in cells.values()}):
        print(f"machine: {machine}")
    for stage in STAGES:
        print(f"\n{stage}\n")
        print("| task (dense) | ratio | pattern | " + " | ".join(methods) + " |\n" + "|---" * (3 + len(methods)) + "|")
        for task, ratio, pattern in product(tasks, ratios, patterns):
            keys = [[CellKey(stage, task, pattern, ratio, method, seed) for seed in range(seeds)] for method in methods]
            found = [[cells[key] for key in own if key in cells] for own in keys]
            if any(found):
                print(f"| {title(cells, task)} | {ratio:g} | {pattern} | " + " | ".join(row_texts(found)) + " |")
    print("\npoints that the integers lose to fp32, by the text that calibrates them")
    for key, cell in cells.items():
        if key.stage == "integer":
            print(f"{key.file_name:36}" + "".join(f"  {name}: {points:5.2f}" for name, points in cell.notes.items()))
    total = sum(cell.seconds for cell in cells.values())
    print(f"\n{len(cells)} cells filled, {total / 3600:.2f} hours of search and training in all")


def title(cells: Mapping[CellKey, Cell], task: str) -> str:
    dense = cells.get(CellKey("dense", task, "", 0.0, "dense", 0))
    return task if dense is None else f"{task} ({points_of([dense])[0]:.2f})"


def points_of(cells: Sequence[Cell]) -> list[float]:
    """The primary metric in hundredths."""
    return [100 * cell.metrics[find_task(cell.key.task).primary] for cell in cells]


def row_texts(found: Sequence[Sequence[Cell]]) -> list[str]:
    """One text for each method's cells."""
    means = [statistics.mean(points_of(cells)) if cells else -math.inf for cells in found]
    return [cell_text(cells, bold=mean == max(means)) for cells, mean in zip(found, means, strict=True)]


def cell_text(cells: Sequence[Cell], *, bold: bool) -> str:
    if not cells:
        return "-"
    points = points_of(cells)
    mean = f"{statistics.mean(points):.2f}"
    spread = f" +- {statistics.stdev(points):.2f}" if len(points) > 1 else ""
    cost = statistics.mean(cell.seconds for cell in cells)
    return (f"**{mean}**" if bold else mean) + f"{spread} ({len(points)}; {cost:.0f} s)"
