"""The metrics of GLUE, through scikit-learn and SciPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from aebert.models.encoder import FloatArray
from aebert.support.errors import AebertError
from aebert.tasks.task import MetricName, Task


def compute_metrics(task: Task, logits: FloatArray, labels: Sequence[int | float]) -> Mapping[MetricName, float]:
    """Each metric of ``task`` for ``logits`` [rows, outputs], as a fraction of 1 (not in percent).

    A correlation with predictions that are all alike, which is not defined, counts as 0. Raises AebertError for logits
    of another shape or that are not finite.
    """
    if logits.shape != (len(labels), task.outputs) or not len(labels):
        raise AebertError(
            f"{task.name}: logits of shape {logits.shape} for {len(labels)} rows and {task.outputs} output(s)"
        )
    if not np.isfinite(logits).all():
        raise AebertError(f"{task.name}: the model's logits hold NaN or infinite values")
    predicted = logits[:, 0] if task.kind == "regression" else logits.argmax(axis=1)
    return {name: _metric(name, predicted, np.asarray(labels)) for name in task.metrics}


def _metric(name: MetricName, predicted: npt.NDArray[np.generic], labels: npt.NDArray[np.generic]) -> float:
    from scipy import stats
    from sklearn import metrics

    match name:
        case "accuracy":
            value = metrics.accuracy_score(labels, predicted)
        case "f1":
            value = metrics.f1_score(labels, predicted, zero_division=0.0)
        case "f1_macro":
            value = metrics.f1_score(labels, predicted, average="macro", zero_division=0.0)
        case "matthews":
            value = metrics.matthews_corrcoef(labels, predicted)
        case "pearson" | "spearman":
            if np.ptp(predicted.astype(float)) == 0 or np.ptp(labels.astype(float)) == 0:
                return 0.0
            correlation = stats.pearsonr if name == "pearson" else stats.spearmanr
            value = correlation(predicted, labels).statistic
    return float(value)
