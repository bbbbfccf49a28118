"""The fastest subnet of a search's front that loses no more of a task's metric than allowed, once it is fine-tuned.

The choice is made on the scoring rows, which fine-tuning never sees. The development sets are read once, after it, for
the dense model and the chosen subnet alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel

from aebert.finetuning import FinetuneSettings, finetune
from aebert.models import load_encoder
from aebert.models.encoder import FloatArray
from aebert.models.host_model import load_host_model
from aebert.pruning.subnet import FINETUNE_FILE, SUBNET_FILE
from aebert.search.run.results import FRONT_FILE
from aebert.search.run.run_directory import check_scored_on
from aebert.search.run.summary import read_summary
from aebert.support.atomic_files import write_json
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError
from aebert.support.output_directory import replaced_directory
from aebert.support.progress import Progress, no_progress
from aebert.tasks import compute_metrics
from aebert.tasks.evaluation import points_lost
from aebert.tasks.predict import fp32_run, predict_logits
from aebert.tasks.split import split_train
from aebert.tasks.task import Example, Task, TaskData

CHOICE_FILE = "accuracy_budget.json"
TUNED_FOLDER = "tuned"
CHOSEN_FOLDER = "within_budget"
SCHEMA_VERSION = 1
_RESAMPLES = 400


class _FrontLatency(BaseModel):
    ms: float


class FrontEntry(BaseModel):
    """What is needed here of an entry of front.json (aebert.search.run.results.describe)."""

    directory: str
    latency: _FrontLatency | None
    kept_weights: int


class _Version(BaseModel):
    schema_version: Literal[1]


class _TunedReport(BaseModel):
    source_digest: str
    split_digest: str
    settings: dict[str, object]


@dataclass(frozen=True)
class TunedMember:
    """One subnet of the front, fine-tuned. ``loss_points``: what it loses to the dense model on the scoring rows."""

    name: str
    directory: Path
    latency_ms: float | None
    kept_weights: int
    metric: float
    loss_points: float


@dataclass(frozen=True)
class DevLoss:
    """The primary metric on one development set, as fractions of 1, and the difference in points (hundredths).

    ``standard_error`` of the difference, in points: of a paired bootstrap over the rows.
    """

    rows: int
    dense: float
    chosen: float
    loss_points: float
    standard_error: float


@dataclass(frozen=True)
class AccuracyChoice:
    """``chosen`` is None where no member keeps to ``max_loss`` points; ``dev`` is then empty, and was not read."""

    task: str
    metric: str
    max_loss: float
    scoring_rows: int
    dense: float
    members: Sequence[TunedMember]
    chosen: TunedMember | None
    dev: Mapping[str, DevLoss]

    @property
    def holds_on_dev(self) -> bool:
        """Whether the loss is within the budget on every development set."""
        return self.chosen is not None and all(each.loss_points <= self.max_loss for each in self.dev.values())


def finetune_front(
    run: Path,
    data: TaskData,
    settings: FinetuneSettings | None = None,
    output: Path | None = None,
    progress: Progress = no_progress,
) -> list[tuple[FrontEntry, Path]]:
    """Fine-tune every subnet of the front of ``run`` into ``output``/00 ... [default: ``run``/tuned].

    No development set is read. One that is there already, of the same weights, rows and settings, is kept; one that was
    interrupted goes on. Returns the front's entries with their folders.

    Raises AebertError where there is no front, and where the search scored on other rows of the task than ``settings``
    set aside.
    """
    settings = settings or FinetuneSettings()
    entries = _read_front(run)
    blind = replace(data, dev={})
    parts = split_train(data.train, settings.calibration_rows, settings.split_seed)
    rows, split = parts.calibration, parts.digest
    if "metric" in read_summary(run).dense.facts:  # scored on rows of a task, and not on text of its own
        check_scored_on(run, [row.text for row in rows], [row.label for row in rows], data.task.name)
    tuned = []
    for number, entry in enumerate(entries):
        source = run / "front" / entry.directory
        directory = (output or run / TUNED_FOLDER) / entry.directory

        def tell(step: str, done: int, total: int, number: int = number) -> None:
            progress(f"{step} {number + 1} of {len(entries)}", done, total)

        if not _is_tuned(directory, load_encoder(source).digest, split, settings):
            directory.parent.mkdir(parents=True, exist_ok=True)
            finetune(source, blind, directory, settings, resume=True, force=True, progress=tell)
        tuned.append((entry, directory))
    return tuned


def choose_within(
    model: Path,
    run: Path,
    data: TaskData,
    max_loss: float,
    settings: FinetuneSettings | None = None,
    progress: Progress = no_progress,
) -> AccuracyChoice:
    """Fine-tune the front of ``run`` and choose its fastest member that loses at most ``max_loss`` points to ``model``.

    Without latencies the smallest counts as the fastest. The chosen one is copied to ``run``/within_budget, and what it
    was chosen by is written to accuracy_budget.json. Raises AebertError for a task without development rows or a
    ``model`` without its head.
    """
    settings = settings or FinetuneSettings()
    if not data.dev:
        raise AebertError(f"{data.task.name}: no development rows; the chosen subnet could not be judged on any")
    rows = split_train(data.train, settings.calibration_rows, settings.split_seed).calibration
    dense = _metric(data.task, _logits(model, data.task, rows, settings), rows)
    members = []
    for entry, directory in finetune_front(run, data, settings, progress=progress):
        metric = _metric(data.task, _logits(directory, data.task, rows, settings), rows)
        members.append(_member(entry, directory, metric, dense))
    chosen = fastest_within(members, max_loss)
    dev = {} if chosen is None else _dev_losses(model, chosen.directory, data, settings)
    choice = AccuracyChoice(data.task.name, data.task.primary, max_loss, len(rows), dense, tuple(members), chosen, dev)
    content = json.loads(json.dumps(asdict(choice), default=lambda path: path.relative_to(run).as_posix()))
    document = {"schema_version": SCHEMA_VERSION, **content, "holds_on_dev": choice.holds_on_dev}
    if chosen is not None:
        with replaced_directory(run / CHOSEN_FOLDER, SUBNET_FILE, "subnet", force=True) as folder:
            shutil.copytree(chosen.directory, folder, dirs_exist_ok=True)
            write_json(folder / CHOICE_FILE, document)
    write_json(run / CHOICE_FILE, document)
    return choice


def read_choice(folder: Path) -> AccuracyChoice | None:
    """What `choose_within` wrote into a run or beside the subnet that it chose; None where it did not.

    Folders of members are relative to the run. Raises AebertError for a file that is damaged or of another version.
    """
    path = folder / CHOICE_FILE
    if not path.is_file():
        return None
    remedy = "run aebert search with --max-loss and --resume again"
    read_json(_Version, path, remedy)
    return read_json(AccuracyChoice, path, remedy)


def fastest_within(members: Sequence[TunedMember], max_loss: float) -> TunedMember | None:
    """The one with the smallest latency (then size) of those that lose at most ``max_loss`` points; None: there is
    none."""
    allowed = [member for member in members if member.loss_points <= max_loss]
    return min(allowed, key=lambda each: (each.latency_ms or 0.0, each.kept_weights), default=None)


def paired_standard_error(
    task: Task, before: FloatArray, after: FloatArray, labels: Sequence[int | float], seed: int = 0
) -> float:
    """Standard error, in points, of the difference of the primary metric of two models on the same rows.

    By a paired bootstrap (Efron & Tibshirani 1993): rows are drawn with replacement, both models on the same draw.
    """
    stream = np.random.default_rng(seed)
    given = np.asarray(labels)
    differences = []
    for _ in range(_RESAMPLES):
        rows = stream.integers(len(given), size=len(given))
        drawn = given[rows].tolist()
        old, new = (compute_metrics(task, logits[rows], drawn)[task.primary] for logits in (before, after))
        differences.append(100 * (old - new))
    return float(np.std(differences, ddof=1))


def _member(entry: FrontEntry, directory: Path, metric: float, dense: float) -> TunedMember:
    return TunedMember(
        name=entry.directory,
        directory=directory,
        latency_ms=None if entry.latency is None else entry.latency.ms,
        kept_weights=entry.kept_weights,
        metric=metric,
        loss_points=points_lost(dense, metric),
    )


def _dev_losses(model: Path, chosen: Path, data: TaskData, settings: FinetuneSettings) -> dict[str, DevLoss]:
    losses = {}
    for name, rows in data.dev.items():
        before, after = (_logits(folder, data.task, rows, settings) for folder in (model, chosen))
        dense, metric = _metric(data.task, before, rows), _metric(data.task, after, rows)
        error = paired_standard_error(data.task, before, after, [row.label for row in rows])
        losses[name] = DevLoss(len(rows), dense, metric, points_lost(dense, metric), error)
    return losses


def _logits(directory: Path, task: Task, rows: Sequence[Example], settings: FinetuneSettings) -> FloatArray:
    encoder = load_encoder(directory)
    longest = min(settings.max_tokens, encoder.shape.max_positions)
    return predict_logits(load_host_model(directory), task, fp32_run(encoder), rows, longest)


def _metric(task: Task, logits: FloatArray, rows: Sequence[Example]) -> float:
    return compute_metrics(task, logits, [row.label for row in rows])[task.primary]


def _read_front(run: Path) -> list[FrontEntry]:
    path, again = run / "front" / FRONT_FILE, "run aebert search with --resume again"
    if not path.is_file():
        raise AebertError(f"{run}: no front of a search; give the folder that 'aebert search -o' wrote")
    entries = read_json(list[FrontEntry], path, again)
    if not entries:
        raise AebertError(f"{path}: holds no subnets; {again}")
    return entries


def _is_tuned(directory: Path, source_digest: str, split_digest: str, settings: FinetuneSettings) -> bool:
    try:
        report = read_json(_TunedReport, directory / FINETUNE_FILE, "fine-tune again")
    except AebertError:
        return False
    return report == _TunedReport(source_digest=source_digest, split_digest=split_digest, settings=asdict(settings))
