"""The dense model of a project's subnet, on the rows that the project is reported on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.report.project_accuracy import subnet_record
from aebert.support.errors import AebertError
from aebert.support.progress import Progress
from aebert.tasks.evaluation import choose_rows, evaluate_rows
from aebert.tasks.predict import fp32_run, required_label_order
from aebert.tasks.task import TaskData
from codegen.project import Project


def dense_metrics(
    project: Project, dense: Path, data: TaskData, rows: int | None, progress: Progress
) -> dict[str, Mapping[str, float]]:
    """The metrics of ``dense`` in fp32 on each development set, or on ``rows`` of it, by the set's name.

    Rows are cut to what the project takes. Raises AebertError for a model that the project's subnet was not pruned
    from, and for one without a head for the task.
    """
    encoder, host = load_encoder(dense), load_host_model(dense)
    record = subnet_record(project.model_directory)
    if record is not None and record.source_digest != encoder.digest:
        raise AebertError(
            f"{dense}: not the model that the project's subnet was pruned from (encoder {encoder.digest[:12]}, "
            f"not {record.source_digest[:12]}); give that one"
        )
    required_label_order(host, data.task)
    longest = min(project.manifest.config.max_length, encoder.shape.max_positions)
    return {
        name: evaluate_rows(
            host, data.task, fp32_run(encoder), choose_rows(examples, rows), longest, f"dense on {name}", progress
        )
        for name, examples in data.dev.items()
    }
