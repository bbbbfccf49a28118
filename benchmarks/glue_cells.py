"""The cells of benchmarks.glue: one JSON line each, appended when it is filled, never changed."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from aebert.tasks import find_task

Stage = Literal["dense", "scored", "finetuned", "integer"]


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
        name = primary_metric(cell.key.task)
        print(
            f"{cell.key.stage:9} {cell.key.file_name:44} {name} {cell.metrics[name]:.4f}  {cell.seconds:7.1f} s",
            flush=True,
        )


def primary_metric(task: str) -> str:
    return find_task(task).primary


def print_table(
    store: CellStore,
    tasks: Sequence[str],
    patterns: Sequence[str],
    ratios: Sequence[float],
    methods: Sequence[str],
    seeds: int,
) -> None:
    """Per cell: mean and standard deviation over seeds in points (hundredths), the number of seeds, mean seconds."""
    cells = store.read()
    for machine in sorted({cell.machine for cell in cells.values()}):
        print(f"machine: {machine}")
    for task in tasks:
        dense = cells.get(CellKey("dense", task, "", 0.0, "dense", 0))
        if dense is not None:
            name = primary_metric(task)
            print(f"\n{task}: dense {name} {100 * dense.metrics[name]:.2f} ({dense.seconds:.0f} s)")
        for stage in ("scored", "finetuned", "integer"):
            rows = [
                (ratio, pattern, [summary(cells, stage, task, pattern, ratio, method, seeds) for method in methods])
                for ratio in ratios
                for pattern in patterns
            ]
            if any(text != EMPTY for _, _, texts in rows for text in texts):
                print(f"{task}, {stage}: mean +- standard deviation over seeds (seeds filled, seconds each)")
                print("ratio  pattern       " + "".join(f"{method:>26}" for method in methods))
                for ratio, pattern, texts in rows:
                    print(f"{ratio:<5g}  {pattern:14}" + "".join(f"{text:>26}" for text in texts))
        print_lost_points(cells, task)
    total = sum(cell.seconds for cell in cells.values())
    print(f"\n{len(cells)} cells filled, {total / 3600:.2f} hours of search and training in all")


EMPTY = "-"


def summary(
    cells: Mapping[CellKey, Cell], stage: str, task: str, pattern: str, ratio: float, method: str, seeds: int
) -> str:
    name = primary_metric(task)
    found = [
        cell
        for key, cell in cells.items()
        if (key.stage, key.task, key.pattern, key.ratio, key.method) == (stage, task, pattern, ratio, method)
        and key.seed < seeds
    ]
    if not found:
        return EMPTY
    points = [100 * cell.metrics[name] for cell in found]
    spread = f" +- {statistics.stdev(points):.2f}" if len(points) > 1 else ""
    cost = statistics.mean(cell.seconds for cell in found)
    return f"{statistics.mean(points):.2f}{spread} ({len(points)}, {cost:.0f} s)"


def print_lost_points(cells: Mapping[CellKey, Cell], task: str) -> None:
    """What the integers lose against fp32, seed by seed, by the text that calibrated them."""
    for key, cell in cells.items():
        if (key.stage, key.task) == ("integer", task):
            print(f"  {key.file_name:40}" + "".join(f"  {name}: {points:5.2f}" for name, points in cell.notes.items()))
