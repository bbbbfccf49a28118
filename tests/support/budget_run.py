"""A search with an accuracy budget on a tiny model and a tiny task, through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from aebert.finetuning import FinetuneSettings, finetune
from aebert.search.workers.executor import Executor, Specs
from tests.support.command_line import aebert
from tests.support.glue_files import tiny_task, write_tiny_task
from tests.support.tiny_search import HereExecutor

SCORING_ROWS, DEV_ROWS = 60, 24


def write_dense(tiny_bert: Path, directory: Path) -> Path:
    """The tiny BERT fine-tuned until it finds the cats."""
    settings = FinetuneSettings(epochs=6, batch_size=8, learning_rate=3e-3, calibration_rows=8, precision="fp32")
    finetune(tiny_bert, tiny_task(96), directory, settings)
    return directory


@contextmanager
def search_here() -> Iterator[None]:
    """Scores in this process, as others take longer to start than a tiny search takes."""

    @contextmanager
    def here(specs: Specs, workers: object) -> Iterator[Executor]:
        yield HereExecutor(specs)

    with patch("aebert.search.step._executor", here):
        yield


def task_words(folder: Path) -> list[object]:
    """The task's options, with its files in ``folder``."""
    return ["--task", "sst2", "--data", write_tiny_task(folder / "glue", 160, DEV_ROWS)]


def search_words(dense: Path, folder: Path) -> list[object]:
    """Four candidates, two of the front, into ``folder``/run; the budget is left to the caller."""
    arguments = ["search", dense, *task_words(folder), "--scoring-rows", SCORING_ROWS, "-o", folder / "run"]
    arguments += ["--pattern", "vector:2x1", "--sampler", "random", "--candidates", 4, "--batch", 4, "--levels", 8]
    return [*arguments, "--board", "u200", "--epochs", 1, "--front", 2, "--ratio", "0.2..0.6"]


def write_budget_run(dense: Path, folder: Path, max_loss: float = 100) -> Path:
    """The run's folder."""
    with search_here():
        done = aebert(*search_words(dense, folder), "--max-loss", max_loss)
    assert done.exit_code in (0, 1), done.stderr
    return folder / "run"
