"""The measured surrogate of a scorer, kept job by job beside its prepared weights: nothing is measured twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from aebert.search.sampling.sensitivity import Surrogate
from aebert.search.sampling.sensitivity_jobs import SensitivityPass
from aebert.search.scoring.scorer import Scorer
from aebert.search.scoring.tensor_files import make_key, open_part, part_is_whole, write_part
from aebert.search.workers.executor import Executor
from aebert.support.progress import Progress, no_progress


def measured_surrogate(
    scorer: Scorer, directory: Path, executor: Executor, progress: Progress = no_progress
) -> Surrogate:
    """``measure_surrogate`` of ``scorer``, shared among the workers of ``executor``.

    Each job's scores are in ``directory`` as soon as they are there, for a call that comes after this one was stopped.
    """
    spec, measured = scorer.spec, SensitivityPass(scorer.grid)
    key = make_key(
        weights=spec.weights.name,
        rows=spec.rows_key,
        settings=replace(spec.settings, precision=scorer.precision).facts(),
        jobs=[[job.rows, [candidate.kept for candidate in job.candidates]] for job in measured.jobs],
    )
    folder = directory / f"sensitivity-{key[:16]}"
    files = {job.number: folder / f"job-{job.number:03}.safetensors" for job in measured.jobs}
    values = {number: _read(path, key) for number, path in files.items() if part_is_whole(path, key)}
    step, left = f"sensitivity {spec.grid.pattern}", [job for job in measured.jobs if job.number not in values]
    progress(step, len(values), len(files))
    for result in executor.run(left):
        found = [score.value for score in result.scores]
        write_part(files[result.number], key, {"values": torch.tensor(found, dtype=torch.float64)})
        values[result.number] = found
        progress(step, len(values), len(files))
    return Surrogate(spec.grid, measured.table(values), scorer.dense_score.value)


def _read(path: Path, key: str) -> Sequence[float]:
    values: Sequence[float] = open_part(path, key)["values"].tolist()
    return values
