"""Rows of the GLUE tasks as files, in both layouts, with the words that conftest's tiny models know."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aebert.tasks import Example, TaskData, find_task


def write_tsv(path: Path, *rows: tuple[object, ...]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


def random_rows(count: int, seed: int, pairs: bool = False) -> list[Example]:
    """Sentences (or pairs) of the tiny vocabulary; class 1 where a cat is in the (first) sentence."""
    random = np.random.default_rng(seed)
    words = ("a", "the", "cat", "dog", "sat", "ran", "on", "to", "mat")

    def sentence() -> str:
        return " ".join(random.choice(words, size=int(random.integers(2, 12))))

    rows = []
    for _ in range(count):
        first = sentence()
        rows.append(Example((first, sentence()) if pairs else first, int("cat" in first)))
    return rows


def tiny_task(train_rows: int = 48, dev_rows: int = 24) -> TaskData:
    """SST-2 with sentences about cats."""
    return TaskData(find_task("sst2"), random_rows(train_rows, 1), {"dev": random_rows(dev_rows, 2)})


def write_tiny_task(folder: Path, train_rows: int = 48, dev_rows: int = 24) -> Path:
    """The same as files of the standard layout, in ``folder``/SST-2."""
    data = tiny_task(train_rows, dev_rows)
    for name, rows in (("train", data.train), ("dev", data.dev["dev"])):
        write_tsv(folder / "SST-2" / f"{name}.tsv", ("sentence", "label"), *((row.text, row.label) for row in rows))
    return folder
