"""The folder of a training that is under way, from which it can go on after being killed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from aebert.support.atomic_files import write_json
from aebert.support.checked_files import FileTable, read_json
from aebert.support.errors import AebertError

_RUN_FILE = "training.json"
# Written last into a checkpoint: one without it was cut off.
_COMPLETE_FILE = "complete.json"


@dataclass(frozen=True)
class TrainingCheckpoint:
    """A complete checkpoint of the Trainer; ``seconds`` is the time that training had taken by then."""

    folder: Path
    step: int
    seconds: float


class _Complete(FileTable):
    seconds: float


def training_folder(output: Path) -> Path:
    """Where the training of ``output`` keeps its checkpoints until it is done."""
    return output.absolute().with_name(f"{output.name}.training")


def open_training(output: Path, description: Mapping[str, object], resume: bool, force: bool) -> Path:
    """The folder of checkpoints for ``output``, made anew or, with ``resume``, as the killed training left it.

    ``description`` is what must not change in between. Raises AebertError if there is a folder and neither ``resume``
    nor ``force`` is given, or if it was begun with another description.
    """
    folder = training_folder(output)
    plain = json.loads(json.dumps(description))
    if (folder / _RUN_FILE).is_file() and resume:
        begun = read_json(dict[str, object], folder / _RUN_FILE, "start over with --force")
        changed = sorted(name for name in plain.keys() | begun.keys() if plain.get(name) != begun.get(name))
        if changed:
            raise AebertError(
                f"{folder}: begun with another {changed[0]} ({begun.get(changed[0])!r}, "
                f"now {plain.get(changed[0])!r}); give the same again, or start over with --force"
            )
        return folder
    if folder.exists():
        if not force and (folder / _RUN_FILE).is_file():
            raise AebertError(f"{folder}: an unfinished training; go on with --resume or start over with --force")
        if not (folder / _RUN_FILE).is_file() and any(folder.iterdir()):
            raise AebertError(f"{folder}: exists and is not a training of ours; move it away")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    write_json(folder / _RUN_FILE, plain)
    return folder


def last_checkpoint(folder: Path) -> TrainingCheckpoint | None:
    """The newest complete checkpoint."""
    found = []
    for path in folder.glob("checkpoint-*"):
        number = path.name.rpartition("-")[2]
        if number.isdecimal() and (path / _COMPLETE_FILE).is_file():
            complete = read_json(_Complete, path / _COMPLETE_FILE, "remove the checkpoint")
            found.append(TrainingCheckpoint(path, int(number), complete.seconds))
    return max(found, key=lambda checkpoint: checkpoint.step, default=None)


class KeepCheckpoints(TrainerCallback):
    """Asks for a checkpoint every ``seconds``, marks it when it is complete, and tells of progress."""

    def __init__(self, folder: Path, seconds: float, spent: float, progress: Callable[[int, int], None]) -> None:
        self.folder = folder
        self.seconds = seconds
        self.began = time.monotonic() - spent
        self.saved = time.monotonic()
        self.progress = progress

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self.progress(state.global_step, state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> TrainerControl:
        self.progress(state.global_step, state.max_steps)
        control.should_save = time.monotonic() - self.saved >= self.seconds and state.global_step < state.max_steps
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        self.saved = time.monotonic()
        folder = self.folder / f"checkpoint-{state.global_step}"
        write_json(folder / _COMPLETE_FILE, {"seconds": self.saved - self.began})
