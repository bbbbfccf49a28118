"""The verify step on a folder: project directory -> verification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aebert.models.calibration_text import verification_texts
from aebert.models.host_model import load_host_model
from aebert.models.text import Text
from aebert.support.progress import Progress, no_progress
from aebert.tasks.predict import required_label_order
from aebert.tasks.task import TaskData
from codegen.project import load_project
from host.devices.open import open_accelerator
from host.verify.ladder import Verification, verify_project, with_tasks
from host.verify.task import check_task


def verify(
    project: Path | str,
    device: str = "emulator",
    *,
    texts: Sequence[Text] | None = None,
    lengths: Sequence[int] | None = None,
    task: TaskData | None = None,
    rows: int | None = None,
    trust_changes: bool = False,
    progress: Progress = no_progress,
) -> Verification:
    """Check that the project computes what PyTorch computes: every pass of every layer, bit for bit.

    ``device`` as in `load`. ``texts`` measure the quantisation error [default: the quarter of the text that ships which
    calibrates nothing]; ``lengths`` are the tokens of the sequences compared [default: the longest, a short one, one].
    With ``task``, its development rows (or ``rows`` of them, spread evenly) run on the device too, one per launch, an
    emulator then in timed emulation.

    ``trust_changes``: run sources that are not as generated, which the first rung then names.

    A mismatch is a `Verification` that has not ``passed``. Raises AebertError for a folder that is no project, and for
    a model without a head for ``task``.
    """
    loaded = load_project(project, trust_changes=trust_changes)
    if task is not None:
        required_label_order(load_host_model(loaded.model_directory), task.task)
    chosen = list(texts) if texts is not None else verification_texts()
    progress("open device", 0, 1)
    with open_accelerator(loaded, device) as accelerator:
        progress("open device", 1, 1)
        verification = verify_project(loaded, accelerator, chosen, lengths, progress)
    if task is None:
        return verification
    with open_accelerator(loaded, device, clocked=True) as accelerator:
        return with_tasks(verification, check_task(loaded, accelerator, task, rows, progress))
