"""What a candidate is worth, row by row and over all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch.nn import functional

from aebert.pruning.zero_patterns import Float64Array
from aebert.support.errors import AebertError
from aebert.support.extensions import find_method, method_name
from aebert.tasks import Task, compute_metrics

ObjectiveName = Literal["loss", "metric", "kl", "cosine"]
OBJECTIVES: tuple[ObjectiveName, ...] = get_args(ObjectiveName)


class RowScore(Protocol):
    """An objective of one's own: what each row says for a candidate. The mean over the rows is the candidate's score.

    It is called in worker processes, which import it by its name: it has to be a function of a module.
    """

    def __call__(self, logits: torch.Tensor, dense: torch.Tensor, labels: Float64Array | None) -> torch.Tensor:
        """``logits`` and those of the ``dense`` model [rows, outputs], ``labels`` [rows] (None: no task) -> [rows],
        higher is better."""
        ...


# One of OBJECTIVES, the name under which a package offers one, or the function itself.
Objective = str | RowScore


@dataclass(frozen=True)
class Score:
    """A candidate on the first ``rows`` scoring rows; measures that were not asked for or have no data are None.

    ``value`` is the objective with the sign that makes higher better. ``loss`` is the task's: mean cross entropy (nats)
    or squared error. ``metric`` is the task's primary one. ``kl`` is the mean divergence of the candidate's output from
    the dense model's: KL(dense || candidate) in nats; for regression that of two Gaussians of variance 1, half the
    squared difference. ``cosine`` is the mean cosine of the sentence embeddings
    (the model's own pooling) to the dense model's.
    """

    value: float
    loss: float | None
    metric: float | None
    kl: float | None
    cosine: float | None
    rows: int


@dataclass(frozen=True)
class RowResults:
    """What one candidate gave on some rows: ``logits`` [rows, outputs] and ``cosine`` [rows], where asked for."""

    logits: torch.Tensor | None
    cosine: torch.Tensor | None

    @staticmethod
    def join(parts: list[RowResults]) -> RowResults:
        """The results of consecutive rows as one."""
        logits = [part.logits for part in parts if part.logits is not None]
        cosine = [part.cosine for part in parts if part.cosine is not None]
        return RowResults(torch.cat(logits) if logits else None, torch.cat(cosine) if cosine else None)


@dataclass(frozen=True)
class Truth:
    """What results are compared with, for all rows: the dense model's ``logits`` [rows, outputs] and the ``labels``."""

    task: Task | None
    labels: Float64Array | None
    logits: torch.Tensor | None

    def score(self, objective: Objective, results: RowResults, rows: int) -> Score:
        """The score of a candidate from its results on the first ``rows`` rows."""
        loss = self._mean(self._losses(results, 0))
        kl = self._mean(self._divergences(results, 0))
        cosine = self._mean(results.cosine)
        metric = None
        if self.task is not None and self.labels is not None and results.logits is not None:
            whole = self.labels[:rows].astype(int) if self.task.kind == "classification" else self.labels[:rows]
            metric = compute_metrics(self.task, results.logits.numpy(), whole.tolist())[self.task.primary]
        worth = {"loss": None if loss is None else -loss, "kl": None if kl is None else -kl}
        known = {**worth, "metric": metric, "cosine": cosine}
        own = not isinstance(objective, str) or objective not in known
        value = self._mean(self._own(objective, results, 0)) if own else known[str(objective)]
        assert value is not None, f"{objective} was checked when the scorer was made"
        return Score(value, loss, metric, kl, cosine, rows)

    def row_values(self, objective: Objective, results: RowResults, first: int) -> Float64Array:
        """The objective of each row [rows], higher better, whose mean is ``Score.value``; rows start at ``first``."""
        if not isinstance(objective, str) or objective not in OBJECTIVES:
            return self._own(objective, results, first).numpy()
        values = {
            "loss": lambda: self._losses(results, first),
            "kl": lambda: self._divergences(results, first),
            "cosine": lambda: results.cosine,
        }[objective]()
        assert values is not None, f"{objective} was checked when the scorer was made"
        signed = values.double().numpy()
        return signed if objective == "cosine" else -signed

    def _losses(self, results: RowResults, first: int) -> torch.Tensor | None:
        if self.task is None or self.labels is None or results.logits is None:
            return None
        labels = torch.from_numpy(self.labels[first : first + len(results.logits)])
        logits = results.logits.double()
        if self.task.kind == "regression":
            return (logits[:, 0] - labels).square()
        return functional.cross_entropy(logits, labels.long(), reduction="none")

    def _divergences(self, results: RowResults, first: int) -> torch.Tensor | None:
        if self.logits is None or results.logits is None:
            return None
        logits = results.logits.double()
        dense = self.logits[first : first + len(logits)].double()
        if dense.shape[1] == 1:
            return (logits - dense).square().sum(dim=1) / 2
        dense, logits = dense.log_softmax(dim=1), logits.log_softmax(dim=1)
        return (dense.exp() * (dense - logits)).sum(dim=1)

    def _own(self, objective: Objective, results: RowResults, first: int) -> torch.Tensor:
        """An objective of one's own, by row, in float64."""
        assert results.logits is not None, f"{objective} was checked when the scorer was made"
        assert self.logits is not None, f"{objective} was checked when the scorer was made"
        rows = slice(first, first + len(results.logits))
        labels = None if self.labels is None else self.labels[rows]
        values: object = own_objective(objective)(results.logits, self.logits[rows], labels)
        if not isinstance(values, torch.Tensor) or values.shape != (len(results.logits),):
            raise AebertError(
                f"objective {method_name(objective)!r}: gave {getattr(values, 'shape', type(values).__name__)} for "
                f"{len(results.logits)} rows; give one number per row"
            )
        return values.double()

    @staticmethod
    def _mean(values: torch.Tensor | None) -> float | None:
        return None if values is None else float(values.double().mean())


def own_objective(objective: Objective) -> Callable[[torch.Tensor, torch.Tensor, Float64Array | None], torch.Tensor]:
    """The function of an objective that is not this toolkit's. Raises AebertError for what cannot be called."""
    found = find_method("objective", objective, OBJECTIVES) if isinstance(objective, str) else objective
    if not callable(found):
        raise AebertError(f"objective {method_name(objective)!r}: is no function of logits; see docs/own_methods.md")
    return found
